# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views per second and core out of video files: decoding, multi-scale crops, repeated augmentation.

    python -m benchmarks.data_loading [--videos 8] [--views 4] [--folder FOLDER] [--reencode] [--fine-tuning]

Writes h264 files (or takes those of a folder) and cuts clips of 16 frames, 4 apart, starting anywhere. Taking turns on
the same frames, with crops drawn the same way:

- ours: `training.data`, uint8 views; normalised on the GPU in training, and here once more with that on the CPU;
- decord, Pillow crop and resize of every frame, float and normalisation (where `pip install decord` was run);
- torchcodec, torchvision's crop and resize of a clip, float and normalisation (where `pip install torchcodec` was run);
- transformers' `load_video` (PyAV) and `VideoMAEVideoProcessor`, which has one centre crop for all views;
- with `--reencode`, ours on the same videos as `training.reencode` writes them.

With `--fine-tuning` views are those of fine-tuning: crops of random area, flips and RandAugment, which only torchvision
has beside ours.

Each decodes once for all views. Time is processor time, summed over all threads, so that what else the machine does
matters little. Then the loader with worker processes, as training uses it.
"""

import argparse
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clip_views import Clips, recipe_of
from benchmarks.machine import describe
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings
from benchmarks.synthetic_videos import can_write, folder_of_videos, write_videos
from benchmarks.tables import print_machine, print_table
from benchmarks.timing import Summary, interleaved, speedup
from training.data import build_loader
from training.disk import local_path
from training.reencode.video import reencode


WANTED_PER_GPU, CORES_PER_GPU = 250, 16  # what an H100 is to get, from how many cores
TIMED_SHARE = 0.5  # of the time before the loader's, where there is a limit
LEAST_SHARE = 0.25  # of the clips from the loader
CPU = torch.device("cpu")
AGAIN, FINE_TUNING = "videos written again", "fine-tuning"
COLUMNS = (
    "part", "variant", "workers", "clips", "median_ms", "q1_ms", "q3_ms", "views_per_s_core", "views_per_s", "baseline",
    "speedup", "speedup_q1", "speedup_q3",
)  # fmt: skip


def size_of(clips: Clips) -> float:
    """Mean size of a file, in MB."""
    return float(np.mean([os.path.getsize(clips.path(number)) for number in range(clips.source.length)]) / 1e6)


def write_again(clips: Clips, folder: Path) -> Clips:
    """The same videos as `training.reencode` writes them."""
    start = time.process_time()
    for number, path in enumerate(clips.source.paths):
        reencode(clips.path(number), folder / path)
    again, seconds = Clips(folder, clips.views, clips.fine_tuning), time.process_time() - start
    print(f"{AGAIN}: {size_of(again):.2f} MB, {seconds / clips.source.length:.2f} s of processor time for each")
    return again


def on_one_core(
    clips: Clips, again: Clips | None, args: argparse.Namespace, settings: Settings
) -> list[dict[str, Any]]:
    """One row for each competitor; `again` has the videos that were written again, if they were."""
    variants: dict[str, Callable[[int], object]] = {
        "ours": clips.run_ours,
        "ours, normalised on the CPU": clips.run_ours_normalised,
    }
    if again is not None:
        variants[f"ours, {AGAIN}"] = again.run_ours
    peers = [("torchcodec + torchvision", "torchcodec.decoders", clips.run_torchcodec)]
    if not clips.fine_tuning:
        variants["transformers"] = clips.run_transformers
        peers.append(("decord + Pillow", "decord", clips.run_decord))
    for name, module, run in peers:
        package = module.partition(".")[0]
        try:
            importlib.import_module(module)
            variants[name] = run
        except ImportError:
            print(f"{package} is not installed (`pip install {package}`), so it is left out")
        except (OSError, RuntimeError) as error:  # torchcodec without FFmpeg's libraries
            print(f"{package} does not load, so it is left out: {str(error).strip().splitlines()[0]}")
    seconds = interleaved(variants, args.repeats, args.warmup, CPU, time.process_time, lambda: settings.late)
    others = [name for name in variants if not name.startswith("ours")]
    best = min(others or variants, key=lambda name: Summary.of(seconds[name]).median)
    rows = []
    for name in variants:
        taken, ratio = Summary.of(seconds[name]), speedup(seconds[best], seconds[name])
        rows.append(
            {
                "variant": name, "median_ms": round(1e3 * taken.median, 1), "q1_ms": round(1e3 * taken.low, 1),
                "q3_ms": round(1e3 * taken.high, 1), "views_per_s_core": round(args.views / taken.median, 1),
                "baseline": best, "speedup": round(ratio.median, 2), "speedup_q1": round(ratio.low, 2),
                "speedup_q3": round(ratio.high, 2),
            }
        )  # fmt: skip
    return rows


def processor_time() -> float:
    """Seconds of processor time of this process and, except on Windows, of the workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def with_workers(folder: Path, which: str, args: argparse.Namespace, settings: Settings) -> list[dict[str, Any]]:
    """A row of the loader: views per second by the clock on the wall, and per second of processor time.

    `which` videos is the end of its name. None where the time was up so early that the start of the workers would count
    most.
    """
    if os.name == "nt":
        print("loader: left out, Windows does not say how much processor time its workers took")
        return []
    loader = build_loader(recipe_of(folder, args.views, args.fine_tuning, args.workers), batch_size=4)
    loader.batch_sampler.num_samples = args.samples
    start, start_processor, views = time.perf_counter(), processor_time(), 0
    batches = iter(loader)
    for batch in batches:
        views += len(batch["pixel_values"])
        if settings.late:
            break
    del batches  # ends the workers, whose processor time counts from then on
    if settings.late and views < LEAST_SHARE * args.samples * args.views:
        print("loader: left out, the time is up")
        return []
    seconds, seconds_of_cores = time.perf_counter() - start, processor_time() - start_processor
    return [
        {
            "variant": f"loader, {args.workers} workers{which}", "workers": args.workers, "clips": views // args.views,
            "views_per_s": round(views / seconds, 1), "views_per_s_core": round(views / seconds_of_cores, 1),
        }
    ]  # fmt: skip


def make_own_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=folder_of_videos, help="folder with videos to take instead")
    parser.add_argument("--reencode", action="store_true", help="measure ours on videos written again, too")
    parser.add_argument("--fine-tuning", action="store_true", help="views of fine-tuning, with RandAugment")
    parser.add_argument("--videos", type=int, default=8, help="videos to write")
    parser.add_argument("--views", type=int, default=4, help="views per decoded clip")
    parser.add_argument("--repeats", type=int, default=32, help="timed rounds, each on another video")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before them that do not count")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="workers of the loader; 0: leave it out")
    parser.add_argument("--samples", type=int, default=160, help="clips to take from the loader")
    parser.add_argument("--minutes", type=float, help="start nothing new after so many minutes")
    parser.add_argument("--output", type=local_path, help="folder for the CSV file")
    return parser


def run(settings: Settings, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows. Nothing where PyAV is missing."""
    if settings.late or not can_write("data_loading"):
        return []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print_machine(CPU)
    results = RowFile("data_loading", CPU, settings.output)
    what = {"section": "data_loading", "part": FINE_TUNING if args.fine_tuning else "", "views": args.views}
    what |= describe(CPU)
    with tempfile.TemporaryDirectory() as written:
        folder = args.folder or Path(written, "videos")
        if args.folder is None:
            folder.mkdir()
            write_videos(folder, args.videos, settings)
        clips, again = Clips(folder, args.views, args.fine_tuning), None
        print(f"{clips.source.length} videos, {size_of(clips):.2f} MB on average; {args.views} views per clip")
        if args.reencode:
            again = write_again(clips, Path(written, "again"))
        timing = settings.with_share(TIMED_SHARE) if args.workers else settings
        results.put({**what, **row} for row in on_one_core(clips, again, args, timing))
        for measured, which in ((clips, ""), (again, f", {AGAIN}")):
            if args.workers and measured is not None:
                results.put({**what, **row} for row in with_workers(measured.folder, which, args, settings))
    torch.set_num_threads(threads)
    print_table(results.rows, {name: name for name in COLUMNS})
    for row in results.rows:
        if row["variant"].startswith("loader"):
            rate = round(CORES_PER_GPU * row["views_per_s_core"])
            print(f"{row['variant']}: {rate} views/s of {CORES_PER_GPU} cores (to be {WANTED_PER_GPU})")
    results.announce()
    return results.rows


def run_defaults(settings: Settings) -> list[dict[str, Any]]:
    """As `run`, with the defaults of the options of this piece."""
    return run(settings, make_own_parser().parse_args([]))


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    args = make_own_parser().parse_args(arguments)
    return run(Settings(device=CPU, minutes=args.minutes, output=args.output), args)


if __name__ == "__main__":
    main(sys.argv[1:])
