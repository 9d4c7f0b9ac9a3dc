# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Kinetics-710: the union of three versions without duplicates (paper, 3.3 and C.1).

A video is a YouTube id. The lists of all versions are merged, each id stays once in training and once in validation,
and ids of any validation list leave training. Of several lines with one id, the one of the preferred version stays;
within a version, the one with the smallest start, end, class and path, so that the order of lines never matters.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .kinetics_lists import UNKNOWN_TIME, Clips
from .versions import SPLITS, TRAINING, VALIDATION


COMMON_CONFLICTS = 20  # pairs of classes that the report names


@dataclass
class SplitCounts:
    """What happened to the lines of one version in one split; `read` is the sum of the four below it.

    Attributes:
        read: Lines.
        repeated: Dropped: the version itself has the id already.
        in_other_version: Dropped: a preferred version has the id.
        in_validation: Dropped from training: some version validates on the id.
        kept: What is left.
        renamed: Lines, kept or dropped, whose class was renamed.
        other_times: Dropped lines that show other seconds of the video than the kept one.
        conflicts: Dropped lines that give the video another class than the kept one.
    """

    read: int = 0
    repeated: int = 0
    in_other_version: int = 0
    in_validation: int = 0
    kept: int = 0
    renamed: int = 0
    other_times: int = 0
    conflicts: int = 0


@dataclass
class Merged:
    """What is left, and what was counted.

    Attributes:
        rows: For training and validation, the numbers of the clips that stay, sorted by YouTube id.
        labels: Class of every clip, int16 `(clips,)`.
        counts: By split and version.
        conflicts: Numbers of two clips each, `(n, 2)`: the one that stays (or would, but for validation), and a dropped
            one of another class.
    """

    rows: tuple[np.ndarray, np.ndarray]
    labels: np.ndarray
    counts: dict[str, dict[int, SplitCounts]]
    conflicts: np.ndarray


def merge(clips: Clips, numbers: Sequence[int], renamed: Sequence[bool], preference: Sequence[int]) -> Merged:
    """Merge the lists.

    Args:
        clips: The lines of all lists.
        numbers: Class of each of `clips.names`.
        renamed: Whether each of them was renamed.
        preference: Versions, the one whose class and file are taken first.
    """
    rank_of_list = np.array([preference.index(item.version) for item in clips.lists], np.int8)
    split_of_list = np.array([item.split for item in clips.lists], np.int8)
    labels = np.asarray(numbers, np.int16)[clips.spellings]
    high, low = _sortable(clips.ids)
    # validation before training, so that the first line of an id tells whether some version validates on it
    keys = (labels, clips.end, clips.start, rank_of_list[clips.files], -split_of_list[clips.files], low, high)
    order = np.lexsort(keys)
    _sort_equals_by_path(order, keys, clips)

    rank, split = rank_of_list[clips.files[order]], split_of_list[clips.files[order]]
    new_id = _changes(high[order], low[order])
    new_split = new_id | _changes(split)
    new_version = new_split | _changes(rank)
    places = np.arange(len(order))
    first = np.maximum.accumulate(np.where(new_split, places, 0))  # place of the line that stays
    first_of_id = np.maximum.accumulate(np.where(new_id, places, 0))
    removed = new_split & (split == TRAINING) & (split[first_of_id] == VALIDATION)
    kept = new_split & ~removed

    label, start, end = (values[order] for values in (labels, clips.start, clips.end))
    conflict = label != label[first]
    both_known = (start != UNKNOWN_TIME) & (start[first] != UNKNOWN_TIME)
    other_times = both_known & ((start != start[first]) | (end != end[first]))
    flags = {
        "read": np.ones_like(kept), "repeated": ~new_version, "in_other_version": new_version & ~new_split,
        "in_validation": removed, "kept": kept, "renamed": np.asarray(renamed, bool)[clips.spellings[order]],
        "other_times": other_times, "conflicts": conflict,
    }  # fmt: skip
    return Merged(
        rows=(order[kept & (split == TRAINING)], order[kept & (split == VALIDATION)]),
        labels=labels,
        counts=_count(flags, rank, split, preference),
        conflicts=np.stack([order[first[conflict]], order[conflict]], axis=1),
    )


def report(merged: Merged, clips: Clips, names: Sequence[str]) -> dict[str, Any]:
    """Counts by split and version, their sums, and the pairs of classes that disagree most often."""
    found: dict[str, Any] = {}
    for split, rows in zip(SPLITS, merged.rows):
        versions = {str(version): asdict(count) for version, count in merged.counts[split].items()}
        total = {key: sum(count[key] for count in versions.values()) for key in asdict(SplitCounts())}
        classes = len(np.unique(merged.labels[rows]))
        found[split] = {**total, "classes_with_videos": classes, "by_version": versions}
    pairs = Counter(zip(*(merged.labels[merged.conflicts[:, i]].tolist() for i in (0, 1))))
    common = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:COMMON_CONFLICTS]
    found["most_common_conflicts"] = [
        {"kept": names[kept], "dropped": names[dropped], "videos": count} for (kept, dropped), count in common
    ]
    found["lists"] = [
        {"path": item.path, "version": item.version, "split": SPLITS[item.split], "lines": int(lines)}
        for item, lines in zip(clips.lists, np.bincount(clips.files))
    ]
    return found


def _sortable(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers for each id, in the order of its characters: the first 8 and the last 3."""
    low = np.zeros((len(ids), 4), np.uint8)
    low[:, 1:] = ids[:, 8:]
    return np.ascontiguousarray(ids[:, :8]).view(">u8")[:, 0].astype(np.uint64), low.view(">u4")[:, 0].astype(np.uint32)


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Where a row differs from the one before it; the first one does."""
    found = np.ones(len(columns[0]), bool)
    found[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return found


def _sort_equals_by_path(order: np.ndarray, keys: Sequence[np.ndarray], clips: Clips) -> None:
    """Put rows that are equal in all keys into the order of their paths, in place; they are few."""
    starts = np.flatnonzero(_changes(*(key[order] for key in keys)))
    ends = np.append(starts[1:], len(order))
    for start, end in zip(*(places[ends - starts > 1].tolist() for places in (starts, ends))):
        order[start:end] = sorted(order[start:end].tolist(), key=clips.paths.__getitem__)


def _count(
    flags: dict[str, np.ndarray], rank: np.ndarray, split: np.ndarray, preference: Sequence[int]
) -> dict[str, dict[int, SplitCounts]]:
    """Sums of the flags by split and version."""
    group = split.astype(np.int64) * len(preference) + rank
    sums = {
        name: np.bincount(group[flag], minlength=len(SPLITS) * len(preference)).reshape(len(SPLITS), -1)
        for name, flag in flags.items()
    }
    return {
        name: {
            version: SplitCounts(**{key: int(values[place, i]) for key, values in sums.items()})
            for i, version in sorted(enumerate(preference), key=lambda item: item[1])
            if sums["read"][place, i]
        }
        for place, name in enumerate(SPLITS)
    }
