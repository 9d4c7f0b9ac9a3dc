# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos in tar shards, as WebDataset writes them: `key.mp4` beside `key.cls` or `key.json`, in any number of files."""

import glob
import itertools
import json
import logging
import os
import re
import tarfile
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from .sources import HIGHEST_LABEL, LABELS, VIDEO_SUFFIXES, IndexedSource, Video


logger = logging.getLogger(__name__)

INDEXING_THREADS = 8
LABEL_KEYS = ("label", "cls")


@dataclass
class ShardIndex:
    """Where the videos of one shard are."""

    keys: list[str] = field(default_factory=list)
    offsets: array = field(default_factory=lambda: array("q"))
    sizes: array = field(default_factory=lambda: array("q"))
    labels: list[int | None] = field(default_factory=list)


class TarSource(IndexedSource):
    """Videos in uncompressed tar files. The headers are read once; a video is then one read at a known place.

    Args:
        path: One shard, or several: `shards/train-{000..127}.tar`, with `*`, `?` and `[]` as a shell has them.
        labelled: Whether labels are wanted: a whole number in `key.cls`, or in `key.json` under "label" or "cls".
        path_pattern: Regular expression; only videos whose name in the shard it finds are taken.

    Raises:
        FileNotFoundError: There is no such shard.
        ValueError: A shard is not an uncompressed tar file, no videos are in them, or a label is missing.
    """

    def __init__(self, path: str, *, labelled: bool = False, path_pattern: str | None = None) -> None:
        self.shards = expand_shards(path)
        with ThreadPoolExecutor(INDEXING_THREADS) as pool:
            found = list(pool.map(lambda shard: _index_shard(shard, labelled, path_pattern), self.shards))
        labels = [label for shard in found for label in shard.labels] if labelled else None
        super().__init__(path, itertools.chain.from_iterable(shard.keys for shard in found), labels)
        self._first = np.cumsum([0, *(len(shard.keys) for shard in found)])
        self._offsets = np.concatenate([np.frombuffer(shard.offsets, np.int64) for shard in found if shard.keys])
        self._sizes = np.concatenate([np.frombuffer(shard.sizes, np.int64) for shard in found if shard.keys])

    def get(self, index: int, epoch: int) -> Video:
        shard = self.shards[int(np.searchsorted(self._first, index, side="right")) - 1]
        name = f"{shard}/{self.paths[index]}"
        with open(shard, "rb") as file:
            file.seek(int(self._offsets[index]))
            content = file.read(int(self._sizes[index]))
        return Video(name, content, self.label(index))


def expand_shards(path: str) -> list[str]:
    """Files that a pattern with `{000..127}` and shell wildcards stands for, in order.

    Raises:
        FileNotFoundError: One of them does not exist.
    """
    span = re.search(r"\{(\d+)\.\.(\d+)\}", path)
    if span:
        first, last = span.groups()
        numbers = range(int(first), int(last) + 1)
        names = (f"{path[: span.start()]}{number:0{len(first)}}{path[span.end() :]}" for number in numbers)
        return [shard for name in names for shard in expand_shards(name)]
    shards = [path] if os.path.exists(path) else sorted(glob.glob(path))
    if not shards:
        raise FileNotFoundError(f"There is no shard {path}. Check `path`.")
    return shards


def _members(shard: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Files in a shard, as far as it can be read."""
    count = 0
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                count += 1
                if member.isfile():
                    yield tar, member
                tar.members.clear()  # tarfile remembers every member
    except tarfile.ReadError as error:
        if not count:
            raise ValueError(f"{shard} is not an uncompressed tar file ({error}). Unpack or write it again.") from error
        logger.warning("%s is damaged after %d members (%s); the videos before are used.", shard, count, error)


def _index_shard(shard: str, labelled: bool, path_pattern: str | None) -> ShardIndex:
    """Find the videos of one shard, and their labels if they are wanted."""
    index, labels = ShardIndex(), {}
    wanted = re.compile(path_pattern or "")
    for tar, member in _members(shard):
        folder, _, file = member.name.rpartition("/")
        key, _, suffix = file.partition(".")
        key, suffix = f"{folder}/{key}", suffix.lower()
        if labelled and suffix in ("cls", "json"):
            data = tar.extractfile(member)
            label = _parse_label(data.read() if data else b"", suffix, f"{shard}/{member.name}")
            if label is not None:
                labels[key] = label
        elif suffix.rpartition(".")[2] in VIDEO_SUFFIXES and wanted.search(member.name):
            index.keys.append(member.name)
            index.offsets.append(member.offset_data)
            index.sizes.append(member.size)
            index.labels.append(key)
    if labelled:
        missing = next((name for name, key in zip(index.keys, index.labels) if key not in labels), None)
        if missing is not None:
            raise ValueError(f"{shard}/{missing} has no label beside it. Add `key.cls`, or `key.json` with a `label`.")
        index.labels = [labels[key] for key in index.labels]
        wrong = next(
            ((name, label) for name, label in zip(index.keys, index.labels) if not 0 <= label <= HIGHEST_LABEL), None
        )
        if wrong is not None:  # where the pattern leaves them out, videos may have such labels
            raise ValueError(f"{shard}/{wrong[0]} has the label {wrong[1]}; {LABELS}.")
    return index


def _parse_label(data: bytes, suffix: str, name: str) -> int | None:
    """Class in a `.cls` or `.json` file; None if the latter does not tell it."""
    try:
        value = int(data) if suffix == "cls" else json.loads(data)
        value = next((value[key] for key in LABEL_KEYS if key in value), None) if isinstance(value, dict) else value
        return None if value is None else int(value)
    except (ValueError, TypeError):
        raise ValueError(f"{name} holds {data[:40]!r}, which is not a class number.") from None
