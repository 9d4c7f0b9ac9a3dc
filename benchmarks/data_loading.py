# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views per second and core out of video files: decoding, multi-scale crops, repeated augmentation.

    python -m benchmarks.data_loading [--videos 8] [--views 4] [--folder FOLDER] [--reencode] [--minutes 3]

Writes h264 files (or takes those of a folder) and cuts clips of 16 frames, 4 apart, starting anywhere. Taking turns on
the same clips and crops:

- ours: `training.data`, uint8 views; normalised on the GPU in training, and here once more with that on the CPU;
- decord, Pillow crop and resize of every frame, float and normalisation (where `pip install decord` was run);
- torchcodec, torchvision's crop and resize of a clip, float and normalisation (where `pip install torchcodec` was run);
- transformers' `load_video` (PyAV) and `VideoMAEVideoProcessor`, which has one centre crop for all views;
- with `--reencode`, ours on the same videos as `training.reencode` writes them.

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
from PIL import Image
from torchvision.transforms.v2.functional import resized_crop
from transformers import VideoMAEVideoProcessor
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.video_utils import load_video

from benchmarks.machine import describe
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings
from benchmarks.synthetic_videos import can_write, folder_of_videos, write_videos
from benchmarks.tables import print_machine, print_table
from benchmarks.timing import Summary, interleaved, speedup
from training.data import ClipDataset, FrameSampler, Mixture, build_loader
from training.data.augment import ViewMaker, multi_scale_crop
from training.data.files import FolderSource
from training.recipe import DataRecipe, SourceRecipe
from training.reencode.video import reencode


NUM_FRAMES, STRIDE, SIZE = 16, 4, 224
MEAN = torch.tensor(IMAGENET_DEFAULT_MEAN).view(3, 1, 1)
STD = torch.tensor(IMAGENET_DEFAULT_STD).view(3, 1, 1)
WANTED_PER_GPU, CORES_PER_GPU = 250, 16  # what an H100 is to get, from how many cores
TIMED_SHARE = 0.5  # of the time before the loader's, where there is a limit
LEAST_SHARE = 0.25  # of the clips from the loader
CPU = torch.device("cpu")
AGAIN = "videos written again"
COLUMNS = (
    "variant", "workers", "clips", "median_ms", "q1_ms", "q3_ms", "views_per_s_core", "views_per_s", "baseline",
    "speedup", "speedup_q1", "speedup_q3",
)  # fmt: skip


class Clips:
    """The same clip and crops for every competitor, by the number of the round."""

    def __init__(self, folder: Path, views: int) -> None:
        self.folder, self.source, self.views = folder, FolderSource(str(folder)), views
        self.choose = FrameSampler(NUM_FRAMES, STRIDE)
        self.ours = ClipDataset(Mixture([self.source]), self.choose, ViewMaker(SIZE, views))
        self.processor = VideoMAEVideoProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})

    def path(self, number: int) -> str:
        return str(self.source.get(number % self.source.length, 0).content)

    def frames(self, number: int, total: int) -> list[int]:
        return self.choose(total, None, np.random.default_rng(number)).tolist()

    def run_ours(self, number: int) -> torch.Tensor:
        """uint8 `(views, T, C, H, W)`."""
        dataset = self.ours
        dataset.choose = lambda total, rate, rng: np.array(self.frames(number, total))
        return dataset[0, number % self.source.length]["pixel_values"]

    def run_ours_normalised(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""
        return torch.addcmul(-MEAN / STD, self.run_ours(number).float(), 1 / (255 * STD))

    def run_decord(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""
        import decord

        reader = decord.VideoReader(self.path(number), num_threads=1, ctx=decord.cpu(0))
        frames = reader.get_batch(self.frames(number, len(reader))).asnumpy()
        pictures, rng, views = [Image.fromarray(frame) for frame in frames], np.random.default_rng(number), []
        for _ in range(self.views):
            crop = multi_scale_crop(*frames.shape[1:3], SIZE, rng)
            box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
            cut = [picture.crop(box).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for picture in pictures]
            clip = torch.from_numpy(np.stack([np.asarray(picture) for picture in cut])).permute(0, 3, 1, 2)
            views.append(clip.contiguous().float().div_(255).sub_(MEAN).div_(STD))
        return torch.stack(views)

    def run_torchcodec(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""
        from torchcodec.decoders import VideoDecoder

        decoder, rng, views = VideoDecoder(self.path(number), num_ffmpeg_threads=1), np.random.default_rng(number), []
        frames = decoder.get_frames_at(self.frames(number, len(decoder))).data
        for _ in range(self.views):
            crop = multi_scale_crop(*frames.shape[2:], SIZE, rng)
            box = (crop.top, crop.left, crop.height, crop.width)
            views.append(resized_crop(frames, *box, [SIZE, SIZE]).float().div_(255).sub_(MEAN).div_(STD))
        return torch.stack(views)

    def run_transformers(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""

        def choose(metadata: Any, **_: Any) -> list[int]:
            return self.frames(number, metadata.total_num_frames)

        video, _ = load_video(self.path(number), backend="pyav", sample_indices_fn=choose)
        return self.processor([video] * self.views, do_sample_frames=False, return_tensors="pt").pixel_values


def size_of(clips: Clips) -> float:
    """Mean size of a file, in MB."""
    return float(np.mean([os.path.getsize(clips.path(number)) for number in range(clips.source.length)]) / 1e6)


def write_again(clips: Clips, folder: Path) -> Clips:
    """The same videos as `training.reencode` writes them."""
    start = time.process_time()
    for number, path in enumerate(clips.source.paths):
        reencode(clips.path(number), folder / path)
    again, seconds = Clips(folder, clips.views), time.process_time() - start
    print(f"{AGAIN}: {size_of(again):.2f} MB, {seconds / clips.source.length:.2f} s of processor time for each")
    return again


def on_one_core(
    clips: Clips, again: Clips | None, args: argparse.Namespace, settings: Settings
) -> list[dict[str, Any]]:
    """One row for each competitor; `again` has the videos that were written again, if they were."""
    variants: dict[str, Callable[[int], object]] = {
        "ours": clips.run_ours,
        "ours, normalised on the CPU": clips.run_ours_normalised,
        "transformers": clips.run_transformers,
    }
    if again is not None:
        variants[f"ours, {AGAIN}"] = again.run_ours
    for name, module, run in (
        ("decord + Pillow", "decord", clips.run_decord),
        ("torchcodec + torchvision", "torchcodec.decoders", clips.run_torchcodec),
    ):
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
    best = min(others, key=lambda name: Summary.of(seconds[name]).median)
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
    source = SourceRecipe(path=str(folder), kind="folder")
    recipe = DataRecipe(sources=[source], views=args.views, workers=args.workers, image_size=SIZE)
    loader = build_loader(recipe, batch_size=4)
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
    parser.add_argument("--videos", type=int, default=8, help="videos to write")
    parser.add_argument("--views", type=int, default=4, help="views per decoded clip")
    parser.add_argument("--repeats", type=int, default=32, help="timed rounds, each on another video")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before them that do not count")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="workers of the loader; 0: leave it out")
    parser.add_argument("--samples", type=int, default=160, help="clips to take from the loader")
    parser.add_argument("--minutes", type=float, help="start nothing new after so many minutes")
    parser.add_argument("--output", type=Path, help="folder for the CSV file")
    return parser


def run(settings: Settings, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows. Nothing where PyAV is missing."""
    if settings.late or not can_write("data_loading"):
        return []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print_machine(CPU)
    results = RowFile("data_loading", CPU, settings.output)
    what = {"section": "data_loading", "views": args.views, **describe(CPU)}
    with tempfile.TemporaryDirectory() as written:
        folder = args.folder or Path(written, "videos")
        if args.folder is None:
            folder.mkdir()
            write_videos(folder, args.videos, settings)
        clips, again = Clips(folder, args.views), None
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
