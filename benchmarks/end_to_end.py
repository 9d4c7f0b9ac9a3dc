# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pre-training with the real loader beside pre-training on clips that lie on the device already.

    python -m benchmarks.end_to_end [--presets giant] [--batch-sizes 32] [--workers 16] [--views 4]

Writes h264 files, or takes those of `--folder`, and trains on them as `training.pretrain` does: workers decode and put
batches together, bytes travel to the device and are normalised there. Masks are drawn by the model, on the device and
within the step, on either side. Where PyAV is missing, no file can be decoded; then frames come out of memory, which
measures all but the decoder, and the row says so. What the workers hold ready is used up before the clock starts. Time
is the clock's.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from benchmarks.competitors import DUAL, competitors, make_config
from benchmarks.machine import describe
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings, make_parser, read
from benchmarks.steps import Inputs, Step
from benchmarks.synthetic_videos import folder_of_videos, write_videos
from benchmarks.tables import print_machine, print_table
from benchmarks.timing import synchronise
from training.transfer import FrameTransfer


WANTED_SHARE = 0.9
VIDEOS, HELD_FRAMES = 8, (64, 256, 340, 3)  # frames, height, width, channels in memory
PREFETCH = 2  # batches that each worker holds ready, as in training
VIEWS = 4
WARMUP, TIMED = 2 * PREFETCH, 4  # batches per worker
SECONDS = {"cpu": 0.0, "cuda": 1.0}  # of warm-up and of timing, at least
Batches = Generator[torch.Tensor, None, None]


class HeldFrames(torch.utils.data.Dataset):
    """Items as `ClipDataset` gives them, cut from frames in memory: the loader where nothing decodes."""

    def __init__(self, views: int, size: int, num_frames: int) -> None:
        from training.data.augment import ViewMaker

        self.make_views = ViewMaker(size, views)
        frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, HELD_FRAMES, dtype=np.uint8))
        self.frames = frames.permute(0, 3, 1, 2)  # as a decoder gives them
        self.steps = torch.linspace(0, len(frames) - 1, num_frames).long()

    def __len__(self) -> int:
        return 2**31  # without end

    def __getitem__(self, number: int) -> dict[str, Any]:
        views = self.make_views(self.frames[self.steps], np.random.default_rng(number))
        return {"pixel_values": views, "bad": 0, "faults": []}


def from_memory(preset: str, batch_size: int, views: int, workers: int) -> Batches:
    """uint8 `(clips, frames, channels, height, width)` without end, put together as in training."""
    from training.data.loading import collate

    config = make_config(preset)
    options = {"prefetch_factor": PREFETCH} if workers else {}
    loader = torch.utils.data.DataLoader(
        HeldFrames(views, config.image_size, config.num_frames), batch_size=batch_size // views, num_workers=workers,
        collate_fn=collate, pin_memory=torch.cuda.is_available(), **options,
    )  # fmt: skip
    for batch in loader:
        yield batch["pixel_values"]


def from_files(preset: str, batch_size: int, views: int, workers: int, folder: Path) -> Batches:
    """uint8 `(clips, frames, channels, height, width)` without end."""
    from training.data import build_loader
    from training.recipe import DataRecipe, SourceRecipe

    config = make_config(preset)
    source = SourceRecipe(path=str(folder), kind="folder")
    recipe = DataRecipe(
        sources=[source], views=views, workers=workers, prefetch=PREFETCH, image_size=config.image_size,
        num_frames=config.num_frames,
    )  # fmt: skip
    for batch in build_loader(recipe, batch_size=batch_size // views, pin_memory=torch.cuda.is_available()):
        yield batch["pixel_values"]


def channels_last(clips: torch.Tensor) -> torch.Tensor:
    """The same clips, laid out in memory as the loader gives them."""
    return clips.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def rate_of(
    step: Step, feed: Callable[[int], torch.Tensor], batch_size: int, workers: int, settings: Settings
) -> tuple[float, int] | None:
    """Clips per second by the clock, device waited for at both ends, and the batches that took part.

    None where the time was up before what the workers held ready was used up.
    """
    labels = torch.zeros(1)

    def repeat(least: int) -> int:
        start, count = time.perf_counter(), 0
        while count < least or time.perf_counter() - start < SECONDS[settings.device.type]:
            if settings.late:
                break
            step(feed(count), labels)
            count += 1
        synchronise(settings.device)
        return count

    repeat(max(settings.warmup, WARMUP * workers))
    start = time.perf_counter()
    count = repeat(max(settings.repeats, TIMED * workers))
    return (count * batch_size / (time.perf_counter() - start), count) if count else None


def loaded(preset: str, batch_size: int, args: Any, settings: Settings, folder: Path) -> tuple[str, Batches]:
    """Name of the source and its batches; writes videos where none were named."""
    try:
        import av  # noqa: F401
    except ImportError:
        return "loader, frames in memory (no PyAV)", from_memory(preset, batch_size, args.views, args.workers)
    if args.folder is None:
        write_videos(folder, VIDEOS, settings)
    return "loader, video files", from_files(preset, batch_size, args.views, args.workers, args.folder or folder)


def measure(preset: str, args: Any, settings: Settings, folder: Path, results: RowFile) -> None:
    """Rows of one size of model."""
    batch_size = batch_size_of(settings)
    if batch_size % args.views:
        raise ValueError(
            f"--batch-sizes {batch_size} must be a multiple of --views {args.views}, whose clips it holds."
        )
    dual = next(c for c in competitors("pretraining", preset) if c.name == DUAL)
    compiled = settings.compiled[-1]
    dtype = settings.precisions("bf16-autocast")[0]
    what = {
        "section": "end_to_end", "preset": preset, "batch_size": batch_size, "views": args.views,
        "workers": args.workers, "compiled": compiled, "dtype": dtype, "optimizer": settings.optimizer,
    }  # fmt: skip
    step = Step(dual, "pretraining", dtype, compiled, replace(settings, cuda_graph=False))
    inputs = Inputs(make_config(preset), batch_size, settings.device, torch.float32)
    inputs.clips = channels_last(inputs.clips)
    normalise = FrameTransfer(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    name, batches = loaded(preset, batch_size, args, settings, folder)
    feeds = {
        "synthetic, on the device": (lambda number: inputs(number)[0], 0),
        name: (lambda number: normalise(next(batches), settings.device), args.workers),
    }
    best = None
    try:
        for name, (feed, workers) in feeds.items():
            found = rate_of(step, feed, batch_size, workers, settings)
            if found is None:
                print(f"{preset}, {name}: left out, the time is up")
                return
            rate, count = found
            print(f"{preset}, {name}: {rate:.4g} clips/s", flush=True)
            best = best or rate
            figures = {"batches": count, "clips_per_s": round(rate, 2), "share": round(rate / best, 3)}
            results.put([{**what, "variant": name, **figures, "wanted": WANTED_SHARE, **describe(settings.device)}])
    finally:
        batches.close()  # the workers would go on beside the next size
        step.release()


def batch_size_of(settings: Settings) -> int:
    return settings.batch_sizes[0] if settings.batch_sizes else (32 if settings.device.type == "cuda" else 4)


def run(settings: Settings, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    if args.workers is None:
        args.workers = (os.cpu_count() or 1) if settings.device.type == "cuda" else 1
    print_machine(settings.device)
    results = RowFile("end_to_end", settings.device, settings.output)
    with tempfile.TemporaryDirectory() as folder:
        for preset in settings.presets:
            if not settings.late:
                measure(preset, args, settings, Path(folder), results)
    columns = ("preset", "variant", "batch_size", "views", "workers", "batches", "clips_per_s", "share")
    print_table(results.rows, {key: key for key in columns})
    results.announce()
    return results.rows


def make_own_parser() -> argparse.ArgumentParser:
    """Parser with the options of all pieces and those of this one."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--folder", type=folder_of_videos, help="folder with videos to take instead")
    parser.add_argument("--views", type=int, default=VIEWS, help="views per decoded clip")
    parser.add_argument("--workers", type=int, help="workers of the loader (default: 1, on a GPU one per core)")
    return parser


def run_defaults(settings: Settings) -> list[dict[str, Any]]:
    """As `run`, with the defaults of the options of this piece, but for views that do not go into the batch."""
    args = make_own_parser().parse_args(["--views", str(math.gcd(VIEWS, batch_size_of(settings)))])
    return run(settings, args)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = make_own_parser()
    args = parser.parse_args(arguments)
    return run(read(parser, args), args)


if __name__ == "__main__":
    main(sys.argv[1:])
