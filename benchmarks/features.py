# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Features for a folder of videos, as `videomae-v2 features` computes them, beside the model on clips that lie ready.

    python -m benchmarks.features [--presets base] [--videos 4] [--workers 1] [--dtype bf16] [--threads 2]

Writes h264 files, or takes those of `--folder`, and slides a window of one clip over each. Threads decode while the
model computes, and on a CPU they take its cores. `share` is the time of the model alone over that of the folder, by the
clock. With `--minutes`, it takes so many of the videos as there is time for.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.competitors import make_config
from benchmarks.machine import describe
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings, make_parser, read, stored_dtype
from benchmarks.synthetic_videos import can_write, folder_of_videos, write_videos
from benchmarks.tables import print_machine, print_table
from benchmarks.timing import synchronise
from modeling_videomae_v2 import VideoMAEv2Model, VideoMAEv2VideoProcessor
from modeling_videomae_v2.inference.clips import Clip, choose_sampling, clips_of
from modeling_videomae_v2.inference.engine import BatchRunner, DecodeAhead, Finished
from modeling_videomae_v2.inference.loading import Checkpoint
from modeling_videomae_v2.inference.sources import find_sources


WANTED_SHARE = 0.9
CPU_BATCH, GPU_BATCH = 2, 32
CPU_VIDEOS, GPU_VIDEOS = 4, 64  # each of about five clips
MOST_FILES = 8  # to write, which takes seconds each; more videos are the same files again


def make_checkpoint(preset: str, dtype: str, device: torch.device) -> Checkpoint:
    """An encoder with random weights, and its processor."""
    config = make_config(preset)
    with device:
        model = VideoMAEv2Model._from_config(config).eval().to(stored_dtype(dtype))
    side = {"height": config.image_size, "width": config.image_size}
    processor = VideoMAEv2VideoProcessor(
        num_frames=config.num_frames, size={"shortest_edge": config.image_size}, crop_size=side
    )
    return Checkpoint(model, processor, preset, [])


def feature(model: torch.nn.Module, pixel_values: torch.Tensor) -> torch.Tensor:
    """`(n, D)`."""
    return model(pixel_values).pooler_output


class Ready:
    """Clips that lie in memory, behind the interface of `DecodeAhead`."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = clips

    def __iter__(self) -> Iterator[tuple[int, Clip | Finished]]:
        yield from ((0, clip) for clip in self.clips)
        yield 0, Finished(0)


def seconds_of(checkpoint: Checkpoint, batch_size: int, source: Any) -> tuple[float, int, float]:
    """Seconds for all clips of a source, their number, and the seconds of them spent waiting for frames."""
    runner = BatchRunner(checkpoint, feature, batch_size)
    synchronise(checkpoint.model.device)
    start = time.perf_counter()
    count = 0
    for event in runner.run(source):
        if isinstance(event, Finished) and event.error:
            raise event.error
        count += not isinstance(event, Finished)
    synchronise(checkpoint.model.device)
    return time.perf_counter() - start, count, runner.idle_seconds


def blank_clips(checkpoint: Checkpoint, count: int) -> list[Clip]:
    """So many clips of random bytes."""
    own = checkpoint.processor
    shape = (1, own.num_frames, 3, own.crop_size["height"], own.crop_size["width"])
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    return [Clip(number, count, 0.0, 1.0, 1.0, 30.0, pixels) for number in range(count)]


def measure(
    preset: str, dtype: str, paths: Sequence[str], args: argparse.Namespace, settings: Settings
) -> list[dict[str, Any]]:
    """Two rows: a folder, or so many of its videos as the time is enough for, and the model alone on as many clips."""
    default = GPU_BATCH if settings.device.type == "cuda" else CPU_BATCH
    batch_size = settings.batch_sizes[0] if settings.batch_sizes else default
    checkpoint = make_checkpoint(preset, dtype, settings.device)
    sampling = choose_sampling(checkpoint.processor, None, None, None, slides=True, by_clip=True)

    def decode(path: str) -> Iterator[Clip]:
        return clips_of(path, checkpoint.processor, sampling)

    with settings.precision(dtype):
        warmup, clips, _ = seconds_of(checkpoint, batch_size, Ready(blank_clips(checkpoint, 2 * batch_size)))
        if settings.minutes is not None:
            start = time.perf_counter()
            clips_each = sum(1 for _ in decode(paths[0]))
            each = max((time.perf_counter() - start) / args.workers, warmup / clips * clips_each)
            paths = paths[: max(1, int(settings.seconds_left / 2 / each))]  # both rows take as long, or less
        with DecodeAhead(paths, decode, args.workers, 2 * batch_size) as decoded:
            taken, count, idle = seconds_of(checkpoint, batch_size, decoded)
        alone, _, _ = seconds_of(checkpoint, batch_size, Ready(blank_clips(checkpoint, count)))
    what = {"preset": preset, "dtype": dtype, "batch_size": batch_size, "workers": args.workers, "videos": len(paths)}
    rows = [("model alone", alone, 0.0), ("folder of videos", taken, idle)]
    return [
        {"section": "features", "variant": name, **what, "clips": count, "clips_per_s": round(count / seconds, 3),
         "waiting": round(waited / seconds, 3), "share": round(alone / seconds, 3), "wanted": WANTED_SHARE,
         **describe(settings.device)}
        for name, seconds, waited in rows
    ]  # fmt: skip


def run(settings: Settings, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows. Nothing where PyAV is missing."""
    if settings.late or not can_write("features"):
        return []
    print_machine(settings.device)
    results = RowFile("features", settings.device, settings.output)
    with tempfile.TemporaryDirectory() as written:
        folder = args.folder or Path(written)
        videos = args.videos or (GPU_VIDEOS if settings.device.type == "cuda" else CPU_VIDEOS)
        if args.folder is None:
            write_videos(folder, min(videos, MOST_FILES), settings)
        paths = [source.address for source in find_sources([str(folder)])]
        if args.folder is None:
            paths = list(itertools.islice(itertools.cycle(paths), videos))
        jobs = list(itertools.product(settings.presets, settings.inference_precisions()))
        for number, (preset, dtype) in enumerate(jobs):
            if settings.late:
                print(f"{preset}, {dtype}: left out, the time is up")
            else:
                own = settings.with_share(1 / (len(jobs) - number))
                results.put(measure(preset, dtype, paths, args, own))
    columns = ("preset", "variant", "dtype", "batch_size", "workers", "clips", "clips_per_s", "waiting", "share")
    print_table(results.rows, {key: key for key in columns})
    results.announce()
    return results.rows


def make_own_parser() -> argparse.ArgumentParser:
    """Parser with the options of all pieces and those of this one."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--folder", type=folder_of_videos, help="folder with videos to take instead")
    parser.add_argument(
        "--videos", type=int, help=f"videos, {MOST_FILES} different ones (default: {CPU_VIDEOS}, on a GPU {GPU_VIDEOS})"
    )
    parser.add_argument("--workers", type=int, default=1, help="threads that decode")
    return parser


def run_defaults(settings: Settings) -> list[dict[str, Any]]:
    """As `run`, with the defaults of the options of this piece."""
    return run(settings, make_own_parser().parse_args([]))


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = make_own_parser()
    args = parser.parse_args(arguments)
    return run(read(parser, args), args)


if __name__ == "__main__":
    main(sys.argv[1:])
