# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder of features: one file for each video, an index with times, and the settings that all of them share."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ..folders import make_folder, refuse_address
from ..video_sources_videomae_v2 import file_of
from ..writing import naming, written_aside
from .parts import Part
from .settings import keep_settings
from .sources import Source, printable


FORMATS = ("safetensors", "npy")
SETTINGS, INDEX, PARQUET = "settings.json", "index.jsonl", "index.parquet"
INDEXES = "index*.jsonl"  # with those of parts
MODEL = "config.json"
MADE_FROM = "model_name"  # for people: the same weights may lie elsewhere


@dataclass
class VideoFeatures:
    """Features of the clips of one video.

    Attributes:
        features: float32 `(clips, ...)`.
        start: Seconds at which each clip starts.
        end: Seconds at which each clip is over.
        duration: Seconds that the video lasts.
        fps: Its frames per second, on average.
    """

    features: torch.Tensor
    start: list[float]
    end: list[float]
    duration: float
    fps: float


class FeatureStore:
    """Writes features so that a run which was interrupted can go on.

    `settings.json` says what the features were made with. `index.jsonl` has a line for each finished video; it is added
    after the file has been written under another name and renamed, so what it lists is whole. Several processes may
    share a folder: each part of the videos has an index of its own, and what is in any of them is finished.

    Args:
        folder: Is made where it does not exist.
        settings: What decides the values, as plain values; `model_name` alone may differ from run to run.
        file_format: "safetensors" (tensors `features`, `start`, `end`) or "npy" (the features alone).
        part: Which part of the videos is written, if others write the rest; None: all of them.

    Raises:
        ValueError: The folder holds features that were made with other settings, which the message names; or a model.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], file_format: str = "safetensors", part: Part | None = None
    ) -> None:
        if file_format not in FORMATS:
            raise ValueError(f"`--format` must be one of {', '.join(FORMATS)}, got {file_format!r}.")
        self._folder, self._format = folder, file_format
        self._index = folder / (INDEX if part is None else f"index-{part.number}-of-{part.of}.jsonl")
        self._settings = {**settings, "format": file_format}
        refuse_address(folder, "`--out`")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file. `--out` must name a folder.")
        if (folder / MODEL).exists() and not (folder / SETTINGS).exists():
            raise ValueError(f"`--out` {folder} holds a model ({MODEL}). Choose another folder, or a new one in it.")
        make_folder(folder)
        self._check_settings()
        self._records = self._read_indexes()

    def _check_settings(self) -> None:
        path = self._folder / SETTINGS
        if not path.exists() and any(self._folder.glob(INDEXES)):
            raise ValueError(f"{self._folder} holds an index but no {SETTINGS}. Choose another folder for --out.")
        keep_settings(
            path, self._settings, what="features", option="--out", same="model and settings", free={MADE_FROM}
        )

    def _read_indexes(self) -> dict[str, dict[str, Any]]:
        """Records of all parts by name: the last one of a video whose file is there, our own part being the last."""
        records: dict[str, dict[str, Any]] = {}
        for path in sorted(self._folder.glob(INDEXES), key=lambda path: (path == self._index, path)):
            for name, record in self._read_index(path):
                if name not in records or self._is_whole(record):
                    records[name] = record
        return records

    def _read_index(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and records of one part; a line of ours that an interruption cut short is taken away."""
        whole, _, rest = path.read_bytes().rpartition(b"\n")
        if rest and path == self._index:  # of another part, somebody may be writing it
            with open(path, "r+b") as file:
                file.truncate(len(whole) + bool(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                _check_record(record)
            except (ValueError, RecursionError) as error:
                raise ValueError(
                    f"Line {number} of {path} is damaged: {error}. Delete the line, to have that video done again, or "
                    "choose another folder for --out."
                ) from error
            yield record["name"], record

    def _is_whole(self, record: dict[str, Any]) -> bool:
        path = self._folder / record["file"]
        return path.is_file() and path.stat().st_size == record["file_bytes"]

    def is_finished(self, source: Source) -> bool:
        """Whether the features of this video, of the same size in bytes, are there.

        Raises:
            ValueError: Those of another video are there, whose file still exists.
        """
        record = self._records.get(source.name)
        if record is None or not self._is_whole(record):
            return False
        self._refuse_another(record, source)
        return record["bytes"] == _size(source.address)

    def _refuse_another(self, record: dict[str, Any], source: Source) -> None:
        """Refuse a video under whose name the features of another one stand (`ValueError`); it may have moved."""
        place = record.get("place") or record["video"]  # a relative one, of an older version, began who knows where
        before, now = file_of(place), file_of(source.address)
        both_there = os.path.isabs(before) and os.path.exists(before) and os.path.exists(now)
        if both_there and not os.path.samefile(before, now):
            raise ValueError(
                f"{self._folder} holds the features of {printable(place)}, and {source.address} has the same name, "
                f"{source.name}, so that the results would be mixed up. Choose another folder for --out."
            )

    def write(self, source: Source, video: VideoFeatures) -> None:
        """Write the features of a video, and then its line of the index."""
        path = self._folder / f"{source.name}.{self._format}"
        with written_aside(path) as aside:
            self._write_file(aside, source, video)
        record = {
            "name": source.name,
            "video": printable(source.address),
            "place": None if "://" in file_of(source.address) else os.path.abspath(file_of(source.address)),
            "file": path.relative_to(self._folder).as_posix(),
            "bytes": _size(source.address),
            "file_bytes": path.stat().st_size,
            "shape": list(video.features.shape),
            "duration": round(video.duration, 6),
            "fps": round(video.fps, 6),
            "start": [round(value, 6) for value in video.start],
            "end": [round(value, 6) for value in video.end],
        }
        with naming(self._index), open(self._index, "ab") as file:
            file.write((json.dumps(record, allow_nan=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        self._records[source.name] = record

    def _write_file(self, path: Path, source: Source, video: VideoFeatures) -> None:
        if self._format == "npy":
            with open(path, "wb") as file:
                np.save(file, video.features.numpy())
            return
        tensors = {
            "features": video.features,
            "start": torch.tensor(video.start, dtype=torch.float64),
            "end": torch.tensor(video.end, dtype=torch.float64),
        }
        about = {"video": printable(source.address), "settings": json.dumps(self._settings, sort_keys=True)}
        save_file(tensors, path, metadata=about)
        shutil.copymode(self._folder / SETTINGS, path)  # or nobody else could read it

    def write_parquet(self) -> Path:
        """Write the index as a table with a row for each clip: name, video, file, row, start, end, duration, fps.

        Features whose file is gone or incomplete have none.
        """
        import pyarrow
        import pyarrow.parquet

        records = [self._records[name] for name in sorted(self._records) if self._is_whole(self._records[name])]
        lengths = [len(record["start"]) for record in records]
        columns: dict[str, Any] = {
            name: np.repeat([_as_text(record[name]) for record in records], lengths).tolist() if records else []
            for name in ("name", "video", "file", "duration", "fps")
        }
        columns["row"] = [row for length in lengths for row in range(length)]
        for name in ("start", "end"):
            columns[name] = [time for record in records for time in record[name]]
        path = self._folder / PARQUET
        with written_aside(path) as aside, aside.open("wb") as file:  # pyarrow takes `a:b/c` for an address
            pyarrow.parquet.write_table(pyarrow.table(columns), file)
        return path


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types) and not isinstance(value, bool)


# Fields that are read back from a line of an index: the kind of value expected, for messages, and a test of it.
FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("name", "video", "file"), ("text", _is_a(str))),
    "place": ("text or null", _is_a(str, type(None))),  # where `video` lay, from whatever folder it was named
    "bytes": ("a whole number or null", _is_a(int, type(None))),
    "file_bytes": ("a whole number", _is_a(int)),
    **dict.fromkeys(("duration", "fps"), ("a number", _is_a(int, float))),
    **dict.fromkeys(
        ("start", "end"), ("a list of numbers", lambda value: _is_a(list)(value) and all(map(_is_a(int, float), value)))
    ),
}
LATER_FIELDS = frozenset({"place"})  # which folders of older versions lack


def _check_record(record: Any) -> None:
    """`ValueError` where a line of an index is not what `FeatureStore.write` writes."""
    if not isinstance(record, dict):
        raise ValueError(f"it must be a JSON object, got {record!r}")
    for name, (kind, fits) in FIELDS.items():
        if name not in record and name not in LATER_FIELDS:
            raise ValueError(f"`{name}` is missing")
        if not fits(record.get(name)):
            raise ValueError(f"`{name}` must be {kind}, got {record[name]!r}")
    starts, ends = len(record["start"]), len(record["end"])
    if starts != ends:
        raise ValueError(f"`start` and `end` must be of one length, got {starts} and {ends}")


def _as_text(value: Any) -> Any:
    """A value for a table: Parquet takes no names that are not valid UTF-8."""
    return printable(value) if isinstance(value, str) else value


def require_pyarrow() -> None:
    """Say at once, and not after hours, that there can be no Parquet file.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "`--parquet` needs pyarrow, which is not installed. Run `pip install pyarrow`, or leave it out: "
            f"{INDEX} holds the same."
        ) from error


def _size(address: str) -> int | None:
    """Bytes of a file; None for a URL."""
    try:
        return os.stat(file_of(address)).st_size
    except OSError:
        return None


__all__ = ["FORMATS", "FeatureStore", "VideoFeatures", "require_pyarrow"]
