# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos in tar shards, as WebDataset writes them: `key.mp4` beside `key.cls` or `key.json`, in any number of files."""

import glob
import itertools
import json
import logging
import os
import re
from array import array
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from .sources import HIGHEST_LABEL, LABELS, VIDEO_SUFFIXES, IndexedSource, Video
from .tar_members import TarMembers


logger = logging.getLogger(__name__)

INDEXING_THREADS = 8
LABEL_KEYS = ("label", "cls")


@dataclass
class ShardIndex:
    """Where the videos of one shard are."""

    names: list[str] = field(default_factory=list)
    offsets: array = field(default_factory=lambda: array("q"))
    sizes: array = field(default_factory=lambda: array("q"))
    labels: list[int] = field(default_factory=list)


class TarSource(IndexedSource):
    """Videos in uncompressed tar files. The headers are read once; a video is then one read at a known place.

    Files whose name begins with a dot are left out. Of a name that stands twice, the last file is taken, as unpacking
    would leave it. Of a damaged shard, the videos before the damage are used, but for those whose label is not there.

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
        super().__init__(path, itertools.chain.from_iterable(shard.names for shard in found), labels)
        self._first = np.cumsum([0, *(len(shard.names) for shard in found)])
        self._offsets = np.concatenate([np.frombuffer(shard.offsets, np.int64) for shard in found])
        self._sizes = np.concatenate([np.frombuffer(shard.sizes, np.int64) for shard in found])

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


def _index_shard(shard: str, labelled: bool, path_pattern: str | None) -> ShardIndex:
    """Find the videos of one shard, and their labels if they are wanted."""
    if os.path.isdir(shard):
        raise ValueError(f"{shard} is a folder, not a tar file. Set `kind: folder`, or name the shards.")
    videos: dict[str, tuple[str, int, int]] = {}
    labels: dict[str, int] = {}
    wanted = re.compile(path_pattern or "")
    with open(shard, "rb") as file:
        members = TarMembers(file)
        for member in members:
            name, offset, size = member
            folder, _, base = name.rpartition("/")
            key, _, suffix = base.partition(".")
            key, suffix = f"{folder}/{key}", suffix.lower()
            if not base or base[0] == ".":  # as macOS writes them beside others
                continue
            if labelled and offset and suffix in ("cls", "json"):
                label = _parse_label(members.read(member), suffix, f"{shard}/{name}")
                if label is not None:
                    labels[key] = label
            elif suffix.rpartition(".")[2] in VIDEO_SUFFIXES and wanted.search(name):
                videos[name] = (key, offset, size)
    if members.damage and not members.count:
        raise ValueError(f"{shard} is not an uncompressed tar file ({members.damage}). Unpack or write it again.")
    return _index(shard, videos, labels if labelled else None, members.damage)


def _index(
    shard: str, videos: dict[str, tuple[str, int, int]], labels: dict[str, int] | None, damage: str | None
) -> ShardIndex:
    """The index of videos, which are key and place by name; a damaged shard may lack labels."""
    index = ShardIndex()
    links = unlabelled = 0
    for name, (key, offset, size) in videos.items():
        label = 0 if labels is None else labels.get(key)
        if not offset:
            links += 1
        elif label is None and damage is None:
            raise ValueError(f"{shard}/{name} has no label beside it. Add `key.cls`, or `key.json` with a `label`.")
        elif label is None:
            unlabelled += 1
        elif not 0 <= label <= HIGHEST_LABEL:  # where the pattern leaves them out, videos may have such labels
            raise ValueError(f"{shard}/{name} has the label {label}; {LABELS}.")
        else:
            index.names.append(name)
            index.offsets.append(offset)
            index.sizes.append(size)
            index.labels.append(label)
    if links:
        logger.warning("%s has %d videos that are links, not files; they are left out.", shard, links)
    if damage is not None:
        without = f", without {unlabelled} that have no label" if unlabelled else ""
        used = f"{len(index.names)}{without}"
        logger.warning("%s is damaged (%s); the videos before are used: %s.", shard, damage, used)
    return index


def _parse_label(data: bytes, suffix: str, name: str) -> int | None:
    """Class in a `.cls` or `.json` file; None if the latter does not tell it."""
    try:
        value = int(data) if suffix == "cls" else json.loads(data)
        value = next((value[key] for key in LABEL_KEYS if key in value), None) if isinstance(value, dict) else value
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        return None if value is None else int(value)
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f"{name} holds {data[:40]!r}, which is not a class number.") from None
