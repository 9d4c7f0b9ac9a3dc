# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A small classifier with class names and a few real videos to evaluate it on, here or in processes of its own."""

import json
import multiprocessing
import multiprocessing.forkserver
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


sys.path.insert(0, str(Path(__file__).parents[1]))  # in a process of a fork server

import pyarrow.parquet as pq
import torch
from tiny import tiny_model

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor
from training.evaluation import run, store
from training.evaluation.cli import main


CLASSES = ("falling", "rising", "turning round")
FOLDERS = ("Falling", "rising", "turning_round")  # the same names, written another way
NUM_VIDEOS = 11


def save_model(folder: Path, classes: tuple[str, ...] | None = CLASSES, **overrides: Any) -> Path:
    """A classifier of these classes, or of three that are only numbered, with its video processor."""
    names = classes or tuple(f"LABEL_{i}" for i in range(3))
    model = tiny_model(VideoMAEv2ForVideoClassification, num_labels=len(names), **overrides)
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: i for i, name in enumerate(names)}
    model.save_pretrained(folder)
    side = model.config.image_size
    VideoMAEv2VideoProcessor(
        num_frames=model.config.num_frames, sampling_rate=2, size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_videos(folder: Path, count: int = NUM_VIDEOS) -> Path:
    """A folder of videos for each class; moving noise, 5 to 25 frames of 24 x 16 pixels."""
    from video_files import encode

    for i in range(count):
        path = folder / FOLDERS[i % 3] / f"{i:02}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (16, 24, 3), dtype=np.uint8)
        frames = np.stack([np.roll(noise, (i % 5 - 2) * t, axis=1) for t in range(5 + 2 * i)])
        encode(path, frames=frames, width=24, height=16, options={"qp": "4"})
    return folder


def write_a_small_one(model: Path, videos: Path, folder: Path) -> tuple[Path, Path]:
    """A copy of the model that crops and does not resize, and a list whose third of four videos is less than a crop."""
    from video_files import encode

    copy = shutil.copytree(model, folder / "unresized")
    processor = VideoMAEv2VideoProcessor.from_pretrained(copy, do_resize=False)
    processor.save_pretrained(copy)
    small = encode(folder / "small.mp4", num_frames=6, width=24, height=12)
    paths = [*sorted(videos.rglob("*.mp4"))[:3]]
    paths.insert(2, small)
    lines = folder / "list.txt"
    lines.write_text("".join(f"{path} {i % 3}\n" for i, path in enumerate(paths)))
    return copy, lines


def arguments(model: Path, videos: Path, output: Path, *more: str) -> list[str]:
    """The command line of an evaluation of 2 x 3 views, 6 clips in a forward pass."""
    kind = "folder" if videos.is_dir() else "list"
    return [
        "--model", str(model), "--output_dir", str(output), "--data.sources", f"[{{kind: {kind}, path: {videos}}}]",
        "--data.workers", "0", "--num_clips", "2", "--batch_size", "15", "--device", "cpu", *more,
    ]  # fmt: skip


def metrics(output: Path) -> dict[str, Any]:
    return json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def rows(output: Path) -> list[dict[str, Any]]:
    """What `predictions.parquet` holds."""
    return pq.read_table(output / "predictions.parquet").to_pylist()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _process(argv: list[str], environment: dict[str, str], log: Path, die_after: int | None) -> None:
    """One process of an evaluation, as a launcher starts it; killed at the start of a forward pass if asked."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    if die_after is not None:
        classify, calls = run.Classifier.__call__, []

        def dying(*args: Any) -> list[store.Prediction]:
            calls.append(1)
            if len(calls) > die_after:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)
            return classify(*args)

        run.Classifier.__call__ = dying
    sys.exit(main(argv))


def start(argv: list[str], count: int, log: Path, die_after: int | None = None) -> list[int]:
    """Run `main(argv)` in processes of its own, which a server that has imported everything forks.

    Returns:
        Their exit statuses.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiny_evaluation"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "ACCELERATE_USE_CPU": "true"}
    processes = []
    for rank in range(count):
        ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        environment = {**common, **ranks} if count > 1 else {}
        processes.append(context.Process(target=_process, args=(argv, environment, log, die_after)))
        processes[-1].start()
    deadline = time.monotonic() + 120
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.1))
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]
