# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a source of videos is, and the table that millions of paths fit into.

The kinds of sources: list files and folders (`files.py`), tar shards (`shards.py`), `datasets` (`hub.py`).
"""

import hashlib
import itertools
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeling_videomae_v2 import indexed_videos_videomae_v2
from modeling_videomae_v2.inference import sources as inference_sources


# the same as for inference: what can be predicted on is not left out of training
VIDEO_SUFFIXES = frozenset(suffix[1:] for suffix in inference_sources.VIDEO_SUFFIXES)
HIGHEST_LABEL = np.iinfo(np.int32).max  # of the type in which a table keeps labels
LABELS = f"labels start from 0, and end at {HIGHEST_LABEL}"
BATCH = 4096  # texts that go into a table at a time
DIGITS = 16  # of a hash that names a video
PICTURE_SUFFIXES = frozenset(suffix[1:] for suffix in indexed_videos_videomae_v2.PICTURE_SUFFIXES)


@dataclass(frozen=True)
class Video:
    """One video of a source.

    Attributes:
        name: How messages name it.
        content: Path or URL of a file, path of a folder of pictures, or the bytes of a file.
        label: Class, None where there is none.
        start: First frame that belongs to it.
        total: Frames from `start` on that belong to it; None: all.
        pattern: Names of the pictures in a folder, by their number.
        numbered: Whether it is named by its number, having no path.
    """

    name: str
    content: Any
    label: int | None = None
    start: int = 0
    total: int | None = None
    pattern: str = "img_{:05}.jpg"
    numbered: bool = False

    @property
    def lasting_name(self) -> str:
        """Name that it also has where it comes from a stream, which numbers videos anew in each pass."""
        if not self.numbered or not isinstance(self.content, bytes):
            return self.name
        return f"{self.name.rpartition('[')[0]}[sha256 {hashlib.sha256(self.content).hexdigest()[:DIGITS]}]"


def picture_names(folder: str) -> list[str]:
    """Pictures in a folder of frames; hidden ones, such as `._img_00001.jpg` of macOS, are none."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    return [name for name in names if name.rpartition(".")[2].lower() in PICTURE_SUFFIXES]


class Source(ABC):
    """Numbered videos.

    Attributes:
        name: How messages name it.
        classes: Names of the classes, where they are known.
        sequential: Whether videos come in a fixed order, so that going on is cheap and going back is not.
        lanes: Parts that are read apart, each by one worker; video `i` is number `i // lanes` of lane `i % lanes`.
        sampling_rate: Distance between the frames of a clip, in frames; None: the recipe's.
        weight: How often each video is taken per epoch, on average.
    """

    name: str
    classes: tuple[str, ...] | None = None
    sequential = False
    lanes: int = 1
    sampling_rate: int | None = None
    weight: float = 1.0

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Number of videos; None for a stream that does not know."""

    @abstractmethod
    def get(self, index: int, epoch: int) -> Video:
        """Video number `index`, 0 to `length - 1`. `epoch` is of a stream the pass, each in another order."""

    @abstractmethod
    def num_classes(self) -> int | None:
        """Largest label + 1, None where there are no labels or a stream does not know."""


class TextTable(Sequence[str]):
    """Immutable strings in one piece of memory: a million paths are two objects, not a million."""

    def __init__(self, texts: Iterable[str]) -> None:
        data, ends, texts = bytearray(), array("Q", [0]), iter(texts)
        while batch := list(itertools.islice(texts, BATCH)):
            joined = "".join(batch)
            lengths = map(len, batch if joined.isascii() else map(os.fsencode, batch))
            data += os.fsencode(joined)
            ends.extend(itertools.accumulate(lengths, initial=ends.pop()))
        self._data, self._ends = bytes(data), np.frombuffer(ends, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of {len(self)} texts")
        index %= len(self)
        return os.fsdecode(self._data[int(self._ends[index]) : int(self._ends[index + 1])])


class IndexedSource(Source):
    """A source whose videos are a table of paths with a label each."""

    def __init__(self, name: str, paths: Iterable[str], labels: Sequence[int] | None) -> None:
        self.name = name
        self.paths = TextTable(paths)
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int32)
        if not self.paths:
            raise ValueError(f"{name} holds no videos. Check `path`, `path_pattern` and the suffixes of the files.")

    @property
    def length(self) -> int:
        return len(self.paths)

    def num_classes(self) -> int | None:
        if self.labels is None:
            return None
        return max(int(self.labels.max()) + 1, len(self.classes or ()))

    def label(self, index: int) -> int | None:
        """Class of video `index`."""
        return None if self.labels is None else int(self.labels[index])

    def get(self, index: int, epoch: int) -> Video:
        return Video(name=self.paths[index], content=self.paths[index], label=self.label(index))
