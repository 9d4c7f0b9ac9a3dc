# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pre-training with the real loader beside pre-training on clips that lie on the device already.

    python -m benchmarks.end_to_end [--presets giant] [--batch-sizes 32] [--workers 16] [--views 4]

Writes h264 files, or takes those of `--folder`, and trains on them as `training.pretrain` does: workers decode, bytes
travel to the device and are normalised there, masks are drawn by the task. Where PyAV is missing, no file can be
decoded; then frames come out of memory, which measures all but the decoder, and the row says so. Time is the clock's.
"""

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from benchmarks.competitors import DUAL, competitors, make_config
from benchmarks.machine import describe
from benchmarks.settings import Settings, make_parser, read
from benchmarks.steps import Inputs, Step
from benchmarks.tables import finish, print_machine, print_table
from benchmarks.timing import synchronise
from training.transfer import FrameTransfer


WANTED_SHARE = 0.9
VIDEOS, HELD_FRAMES = 8, (64, 256, 340, 3)  # frames, height, width, channels in memory
Batches = Iterator[torch.Tensor]


class HeldFrames(torch.utils.data.Dataset):
    """Clips cut from frames in memory by the views of training: what is left of the loader where nothing decodes."""

    def __init__(self, views: int, size: int, num_frames: int, length: int) -> None:
        from training.data.augment import ViewMaker

        self.make_views, self.length = ViewMaker(size, views), length
        frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, HELD_FRAMES, dtype=np.uint8))
        self.frames = frames.permute(0, 3, 1, 2)  # as a decoder gives them
        self.steps = torch.linspace(0, len(frames) - 1, num_frames).long()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> torch.Tensor:
        return self.make_views(self.frames[self.steps], np.random.default_rng(number))


def from_memory(preset: str, batch_size: int, views: int, workers: int, batches: int) -> Batches:
    """So many times uint8 `(clips, frames, channels, height, width)`."""
    config = make_config(preset)
    dataset = HeldFrames(views, config.image_size, config.num_frames, batch_size // views * batches)
    options = {"num_workers": workers, "pin_memory": torch.cuda.is_available()}
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size // views, **options)
    for batch in loader:
        yield batch.flatten(0, 1)


def from_files(preset: str, batch_size: int, views: int, workers: int, folder: Path) -> Batches:
    """uint8 `(clips, frames, channels, height, width)` without end."""
    from training.data import build_loader
    from training.recipe import DataRecipe, SourceRecipe

    config = make_config(preset)
    source = SourceRecipe(path=str(folder), kind="folder")
    recipe = DataRecipe(
        sources=[source], views=views, workers=workers, image_size=config.image_size, num_frames=config.num_frames
    )
    for batch in build_loader(recipe, batch_size=batch_size // views, pin_memory=torch.cuda.is_available()):
        yield batch["pixel_values"]


def rate_of(step: Step, feed: Callable[[int], torch.Tensor], batch_size: int, settings: Settings) -> float:
    """Clips per second by the clock, device waited for at both ends."""
    labels = torch.zeros(1)
    for number in range(settings.warmup):
        step(feed(number), labels)
    synchronise(settings.device)
    start = time.perf_counter()
    for number in range(settings.repeats):
        step(feed(number), labels)
    synchronise(settings.device)
    return settings.repeats * batch_size / (time.perf_counter() - start)


def loaded(preset: str, batch_size: int, args: Any, settings: Settings, folder: Path) -> tuple[str, Batches]:
    """Name of the source and its batches; writes videos where none were named."""
    try:
        import av  # noqa: F401
    except ImportError:
        count = settings.warmup + settings.repeats + 1
        return "loader, frames in memory (no PyAV)", from_memory(preset, batch_size, args.views, args.workers, count)
    if args.folder is None:
        from benchmarks.data_loading import write_video

        for seed in range(VIDEOS):
            write_video(folder / f"{seed}.mp4", seed)
    return "loader, video files", from_files(preset, batch_size, args.views, args.workers, args.folder or folder)


def measure(preset: str, args: Any, settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Rows of one size of model."""
    batch_size = settings.batch_sizes[0] if settings.batch_sizes else (32 if settings.device.type == "cuda" else 4)
    if batch_size % args.views:
        raise ValueError(
            f"--batch-sizes {batch_size} must be a multiple of --views {args.views}, whose clips it holds."
        )
    dual = next(c for c in competitors("pretraining", preset) if c.name == DUAL)
    compiled = settings.compiled[-1]
    dtype = settings.precisions("bf16-autocast")[0]
    step = Step(dual, "pretraining", dtype, compiled, settings)
    inputs = Inputs(make_config(preset), batch_size, settings.device, torch.float32)
    rates = {"synthetic, on the device": rate_of(step, lambda number: inputs(number)[0], batch_size, settings)}
    normalise = FrameTransfer(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    name, batches = loaded(preset, batch_size, args, settings, folder)
    rates[name] = rate_of(step, lambda number: normalise(next(batches), settings.device), batch_size, settings)
    step.release()
    best = rates["synthetic, on the device"]
    what = {
        "preset": preset,
        "batch_size": batch_size,
        "views": args.views,
        "workers": args.workers,
        "compiled": compiled,
        "dtype": dtype,
    }
    return [
        {"section": "end_to_end", "variant": key, **what, "clips_per_s": round(rate, 2), "share": round(rate / best, 3),
         "wanted": WANTED_SHARE, **describe(settings.device)}
        for key, rate in rates.items()
    ]  # fmt: skip


def run(settings: Settings, args: Any) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(settings.device)
    with tempfile.TemporaryDirectory() as folder:
        found = (measure(preset, args, settings, Path(folder)) for preset in settings.presets)
        rows = list(itertools.chain.from_iterable(found))
    print_table(
        rows, {key: key for key in ("preset", "variant", "batch_size", "views", "workers", "clips_per_s", "share")}
    )
    finish(rows, "end_to_end", settings.device, settings.output)
    return rows


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="folder with videos to take instead")
    parser.add_argument("--views", type=int, default=4, help="views per decoded clip")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="workers of the loader")
    args = parser.parse_args(arguments)
    return run(read(parser, args), args)


if __name__ == "__main__":
    main(sys.argv[1:])
