# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views per second and core out of video files: decoding, multi-scale crops, repeated augmentation.

    python -m benchmarks.data_loading [--videos 8] [--views 4] [--workers 2] [--folder FOLDER] [--output FILE.csv]

Writes h264 files of 340x256 pixels with a key frame only every 250 frames (or takes those of a folder) and cuts
clips of 16 frames, 4 apart, starting anywhere. Taking turns on the same clips and crops:

- ours: `training.data`, uint8 views; normalised on the GPU in training, and here once more with that on the CPU;
- decord, Pillow crop and resize of every frame, float and normalisation (where `pip install decord` was run);
- transformers' `load_video` (PyAV) and `VideoMAEVideoProcessor`, which has one centre crop for all views.

Each decodes once for all views. Time is processor time, summed over all threads, so that what else the machine does
matters little. Then the loader with worker processes, as training uses it.
"""

import argparse
import csv
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import VideoMAEVideoProcessor
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.video_utils import load_video

from benchmarks.machine import describe
from benchmarks.timing import Summary, interleaved, speedup
from training.data import ClipDataset, FrameSampler, Mixture, build_loader
from training.data.augment import ViewMaker, multi_scale_crop
from training.data.files import FolderSource
from training.recipe import DataRecipe, SourceRecipe


WIDTH, HEIGHT, LENGTH, KEY_FRAME_EVERY = 340, 256, 300, 250
NUM_FRAMES, STRIDE, SIZE = 16, 4, 224
MEAN = torch.tensor(IMAGENET_DEFAULT_MEAN).view(3, 1, 1)
STD = torch.tensor(IMAGENET_DEFAULT_STD).view(3, 1, 1)
WANTED_PER_GPU, CORES_PER_GPU = 250, 16  # what an H100 is to get, from how many cores


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Random picture with detail at all scales, as photographs have, float32 `(height, width, 3)` in 0 to 255."""
    picture = np.zeros((height, width, 3), dtype=np.float32)
    for octave in range(2, 8):
        shape = (height * 2**octave // 256 + 2, width * 2**octave // 256 + 2, 3)
        noise = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        picture += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 2 ** (octave - 1)
    return np.clip((picture - picture.mean()) * 1.5 + 128, 0, 255)


def write_video(path: Path, seed: int) -> None:
    """A textured scene under a moving camera, with four things that move in it and a little noise."""
    import av

    rng = np.random.default_rng(seed)
    scene = texture(rng, HEIGHT + 128, WIDTH + 128)
    things = [texture(rng, 70, 60) for _ in range(4)]
    turns, phases = rng.uniform(0.02, 0.1, (5, 2)), rng.uniform(0, 6, (5, 2))
    options = {"g": str(KEY_FRAME_EVERY), "keyint_min": str(KEY_FRAME_EVERY), "sc_threshold": "0", "crf": "23"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(LENGTH):
            places = 0.5 + 0.5 * np.sin(turns * number + phases)
            top, left = (places[0] * 128).astype(int)
            frame = scene[top : top + HEIGHT, left : left + WIDTH].copy()
            for thing, place in zip(things, places[1:]):
                row, column = (place * (HEIGHT - 70, WIDTH - 60)).astype(int)
                frame[row : row + 70, column : column + 60] = thing
            frame += rng.normal(0, 6, (HEIGHT, WIDTH, 1))
            picture = av.VideoFrame.from_ndarray(np.clip(frame, 0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


class Clips:
    """The same clip and crops for every competitor, by the number of the round."""

    def __init__(self, folder: Path, views: int) -> None:
        self.source = FolderSource(str(folder))
        self.views = views
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

    def run_transformers(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""

        def choose(metadata: Any, **_: Any) -> list[int]:
            return self.frames(number, metadata.total_num_frames)

        video, _ = load_video(self.path(number), backend="pyav", sample_indices_fn=choose)
        return self.processor([video] * self.views, do_sample_frames=False, return_tensors="pt").pixel_values


def on_one_core(clips: Clips, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each competitor."""
    variants: dict[str, Callable[[int], object]] = {
        "ours": clips.run_ours,
        "ours, normalised on the CPU": clips.run_ours_normalised,
        "transformers": clips.run_transformers,
    }
    try:
        import decord  # noqa: F401

        variants["decord + Pillow"] = clips.run_decord
    except ImportError:
        print("decord is not installed (`pip install decord`), so it is left out")
    seconds = interleaved(variants, args.repeats, args.warmup, torch.device("cpu"), clock=time.process_time)
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
    """Seconds of processor time of this process and of the workers that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def with_workers(folder: Path, args: argparse.Namespace) -> tuple[float, float]:
    """Views out of the loader per second by the clock on the wall, and per second of processor time."""
    source = SourceRecipe(path=str(folder), kind="folder")
    recipe = DataRecipe(sources=[source], views=args.views, workers=args.workers, image_size=SIZE)
    loader = build_loader(recipe, batch_size=4)
    loader.batch_sampler.num_samples = args.samples
    start, start_processor = time.perf_counter(), processor_time()
    views = sum(len(batch["pixel_values"]) for batch in loader)
    return views / (time.perf_counter() - start), views / (processor_time() - start_processor)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="folder with videos to take instead")
    parser.add_argument("--videos", type=int, default=8, help="videos to write")
    parser.add_argument("--views", type=int, default=4, help="views per decoded clip")
    parser.add_argument("--repeats", type=int, default=32, help="timed rounds, each on another video")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before them that do not count")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="workers of the loader; 0: leave it out")
    parser.add_argument("--samples", type=int, default=160, help="clips to take from the loader")
    parser.add_argument("--output", help="CSV file to write")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    torch.set_num_threads(1)
    machine = describe(torch.device("cpu"))
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    with tempfile.TemporaryDirectory() as written:
        folder = args.folder or Path(written)
        if args.folder is None:
            for seed in range(args.videos):
                write_video(folder / f"{seed}.mp4", seed)
        sizes = [path.stat().st_size for path in folder.rglob("*.mp4")]
        print(f"{len(sizes)} videos, {np.mean(sizes) / 1e6:.2f} MB on average; {args.views} views per clip")
        rows = on_one_core(Clips(folder, args.views), args)
        for row in rows:
            print(
                f"{row['variant']:30}{row['median_ms']:8.1f} ms ({row['q1_ms']:.1f} to {row['q3_ms']:.1f})"
                f"{row['views_per_s_core']:8.1f} views/s   {row['speedup']:.2f} times {row['baseline']} "
                f"({row['speedup_q1']:.2f} to {row['speedup_q3']:.2f})"
            )
        if args.workers:
            rate, per_core = with_workers(folder, args)
            print(
                f"loader with {args.workers} workers: {rate:.0f} views/s by the clock; {per_core:.1f} per second of "
                f"processor time, so {CORES_PER_GPU * per_core:.0f} on {CORES_PER_GPU} cores (to be {WANTED_PER_GPU})"
            )
            name = f"loader, {args.workers} workers"
            rows.append({**dict.fromkeys(rows[0], ""), "variant": name, "views_per_s_core": round(per_core, 1)})
    if args.output:
        with open(args.output, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=[*rows[0], "views", *machine])
            writer.writeheader()
            writer.writerows({**row, "views": args.views, **machine} for row in rows)


if __name__ == "__main__":
    main()
