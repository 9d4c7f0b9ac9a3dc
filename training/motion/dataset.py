# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of mp4 files: which clips there are, how one is encoded, and how an interrupted write is completed."""

import dataclasses
import functools
import io
import json
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..interrupts import starting_without_ctrl_c
from .scenes import CLASSES, draw_scene, film


logger = logging.getLogger(__name__)

GENERATOR_VERSION = 1  # raise it whenever the same options give other pixels
SPLITS = ("train", "test")
CODEC = "libx264"
# No lookahead, B-frames or scene cuts: x264's lookahead gives other bytes now and then, even on one thread.
ENCODER_OPTIONS = {"preset": "veryfast", "crf": "20", "tune": "zerolatency", "sc_threshold": "0"}


def _option(default: int, lowest: int, text: str) -> Any:
    return field(default=default, metadata={"lowest": lowest, "help": text})


@dataclass(frozen=True)
class MotionOptions:
    """What the dataset is made from. Equal options give equal pixels. `classes` are some of `CLASSES`, in any order.

    Raises:
        ValueError: A value is not a whole number, is too small, or does not fit the others; a class is unknown.
    """

    train_clips_per_class: int = _option(100, 0, "training clips of each class")
    test_clips_per_class: int = _option(20, 0, "held-out clips of each class; drawn from another seed")
    size: int = _option(80, 32, "side of the square frames in pixels, even")
    min_frames: int = _option(24, 8, "fewest frames of a clip")
    max_frames: int = _option(40, 8, "most frames of a clip")
    fps: int = _option(12, 1, "frames per second")
    seed: int = _option(0, 0, "seed of everything that is random")
    classes: tuple[str, ...] = CLASSES

    def __post_init__(self) -> None:
        for option in number_options():
            value, lowest = getattr(self, option.name), option.metadata["lowest"]
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"`{option.name}` must be a whole number, got {value!r}.")
            if value < lowest:
                raise ValueError(f"`{option.name}` must be at least {lowest}, got {value}.")
        if self.size % 2:
            raise ValueError(f"`size` must be even (H.264 halves the colour planes), got {self.size}.")
        if self.max_frames < self.min_frames:
            raise ValueError(
                f"`max_frames` ({self.max_frames}) must not be below `min_frames` ({self.min_frames}); raise it or "
                f"lower the other."
            )
        if not self.train_clips_per_class + self.test_clips_per_class:
            raise ValueError("`train_clips_per_class` and `test_clips_per_class` are both 0: nothing to write.")
        unknown = sorted(set(self.classes) - set(CLASSES))
        if unknown or not self.classes or len(set(self.classes)) < len(self.classes):
            wrong = f"{', '.join(unknown)} is unknown" if unknown else "it is empty or names a class twice"
            raise ValueError(f"`classes` must name some of {', '.join(CLASSES)}; {wrong}.")
        object.__setattr__(self, "classes", tuple(sorted(self.classes)))


def number_options() -> list[dataclasses.Field]:
    """The fields of `MotionOptions` that are whole numbers."""
    return [option for option in dataclasses.fields(MotionOptions) if "lowest" in option.metadata]


@dataclass(frozen=True)
class Clip:
    """One clip of the dataset: its split, the number of its class in `CLASSES`, and its own number within the class."""

    split: str
    label: int
    index: int

    @property
    def name(self) -> str:
        """The name of its class."""
        return CLASSES[self.label]

    @property
    def path(self) -> str:
        """Where it lies within the dataset."""
        return f"{self.split}/{self.name}/{self.index:05}.mp4"


def list_clips(options: MotionOptions, split: str) -> list[Clip]:
    """All clips of a split, the classes in turn, so that the head of the list is balanced too."""
    count = options.train_clips_per_class if split == "train" else options.test_clips_per_class
    return [Clip(split, CLASSES.index(name), index) for index in range(count) for name in options.classes]


def render_clip(clip: Clip, options: MotionOptions) -> np.ndarray:
    """Draw one clip. It depends on its own number, split, class and the options only, not on other clips.

    Returns:
        uint8 RGB frames `(T, size, size, 3)`, `min_frames <= T <= max_frames`.
    """
    seeds = np.random.SeedSequence([options.seed, SPLITS.index(clip.split), clip.label, clip.index]).spawn(2)
    still, motion = (np.random.default_rng(seed) for seed in seeds)
    scene = draw_scene(still, options.size, options.min_frames, options.max_frames)
    return film(scene, clip.name, motion)


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError("Writing mp4 files needs the package `av`. Run `pip install av`.") from error
    if CODEC not in av.codecs_available:
        raise ImportError(f"This PyAV has no encoder {CODEC}; the wheels on PyPI have it: run `pip install av`.")
    return av


def encode_mp4(frames: np.ndarray, fps: int) -> bytes:
    """Encode frames as H.264 in mp4, with one key frame at the start and on one thread: equal frames, equal bytes.

    Args:
        frames: uint8 RGB `(T, height, width, 3)`, height and width even.
        fps: Frames per second.

    Raises:
        ImportError: PyAV, or its H.264 encoder, is missing.
    """
    av = _import_av()
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(CODEC, rate=Fraction(fps), options=ENCODER_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return target.getvalue()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either there in full or not at all, whenever the process ends.

    `modeling_videomae_v2.writing` has the same for a power cut, but each of our workers would import PyTorch with it.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(data)
        os.replace(aside, path)
    except OSError as error:  # that of a full disk names no file
        raise OSError(f"{path} cannot be written: {error.strerror}.") from error


def _write_clip(clip: Clip, folder: Path, options: MotionOptions) -> None:
    write_whole(folder / clip.path, encode_mp4(render_clip(clip, options), options.fps))


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` over that many processes. They are spawned: a fork would inherit locks of the caller's threads."""
    if workers == 1:
        yield map
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
        with starting_without_ctrl_c():
            for _ in range(workers):
                pool.submit(int)  # which starts one
        try:
            yield functools.partial(pool.map, chunksize=8)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Have this worker end when its parent is killed, and not wait for work for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _claim(folder: Path, record: dict[str, Any]) -> None:
    """Note down whose folder this is, or find that it was begun with the same options."""
    note = folder / "dataset.json"
    if not note.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "not empty and holds no dataset.json" if folder.is_dir() else "a file"
            raise FileExistsError(f"{folder} is {what}; choose a new or an empty folder.")
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(note, json.dumps(record, indent=2).encode())
        return
    try:
        found = json.loads(note.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{note} cannot be read ({error}); delete the folder to write the dataset anew.") from error
    for key in ("generator_version", "classes", *(f"options.{name}" for name in record["options"])):
        ours, theirs = record, found
        for part in key.split("."):
            ours, theirs = ours[part], theirs.get(part) if isinstance(theirs, dict) else None
        if ours != theirs:
            raise FileExistsError(
                f"{folder} was written with `{key}` {theirs!r}, not {ours!r}; choose another folder or delete this one."
            )


def write_motion_dataset(
    folder: str | Path,
    options: MotionOptions | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the dataset, or what is missing of it; a finished one is left as it is.

    The folder then holds `train/CLASS/NUMBER.mp4`, `test/CLASS/NUMBER.mp4`, the lists `train.txt` and `test.txt` (one
    `path label` a line, paths relative to the folder), `classes.txt` (the class of each label, in order) and
    `dataset.json` (options and version of the generator).

    Args:
        folder: Where to write; new, empty, or begun with the same options.
        options: What to write; defaults to `MotionOptions()`.
        workers: Processes. More than 1 spawns them, which needs a main module that is safe to import.
        progress: Called with the number of clips that are there and that there will be, after each clip.

    Returns:
        The folder.

    Raises:
        ValueError: `workers` is below 1, or `dataset.json` is damaged.
        FileExistsError: The folder holds something else, or was written with other options.
        ImportError: PyAV, or its H.264 encoder, is missing.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1, got {workers}.")
    _import_av()
    folder, options = Path(folder), options or MotionOptions()
    record = {
        "generator_version": GENERATOR_VERSION,
        "options": {option.name: getattr(options, option.name) for option in number_options()},
        "classes": list(options.classes),
        "clips": {split: len(list_clips(options, split)) for split in SPLITS},
    }
    _claim(folder, record)
    write_whole(folder / "classes.txt", "".join(f"{name}\n" for name in options.classes).encode())
    clips = [clip for split in SPLITS for clip in list_clips(options, split)]
    for split in SPLITS:
        lines = (f"{clip.path} {options.classes.index(clip.name)}\n" for clip in clips if clip.split == split)
        write_whole(folder / f"{split}.txt", "".join(lines).encode())
        for name in options.classes:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for rest in (folder / split / name).glob(".*.part"):
                rest.unlink()
    missing = [clip for clip in clips if not (folder / clip.path).is_file()]
    if missing:
        logger.info("Writing %d of %d clips to %s.", len(missing), len(clips), folder)
    with _mapper(min(workers, max(len(missing), 1))) as mapper:
        done = len(clips) - len(missing)
        for _ in mapper(functools.partial(_write_clip, folder=folder, options=options), missing):
            done += 1
            if progress:
                progress(done, len(clips))
    return folder
