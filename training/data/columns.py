# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Columns of a data set of `datasets`: what they may hold, and the video that a row is."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from .faults import DataError
from .sources import Video


if TYPE_CHECKING:
    from datasets import Dataset
    from pyarrow import ChunkedArray

ROWS_AT_A_TIME = 10_000
# Where both are there, as numbers, rows are parts of videos: first frame, and frames (-1: to the end).
PART_COLUMNS = ("start", "total")


def undecoded(dataset: Any, name: str, video_column: str, label_column: str | None) -> Any:
    """The columns that are needed, and those of parts, with files or bytes in place of decoded videos."""
    from datasets import Video as VideoFeature

    wanted = [video_column] if label_column is None else [video_column, label_column]
    features = dataset.features or dict.fromkeys(next(dataset.iter(batch_size=1), {}))  # some streams know no types
    parts = [column for column in PART_COLUMNS if column in features and _may_be(_is_number, features[column])]
    for option, column in zip(("video_column", "label_column"), wanted):
        if column not in features:
            raise ValueError(f"{name} has no column `{column}`, it has: {', '.join(features)}. Set `{option}`.")
        can_be, holds = CONTENTS[option]
        if not _may_be(can_be, features[column]):
            raise ValueError(f"{name}: the column `{column}` ({features[column]}) holds no {holds}. Set `{option}`.")
    if len(parts) == len(PART_COLUMNS):
        wanted += parts
    dataset = dataset.with_format(None).select_columns(wanted)  # which may have been saved with another one
    if isinstance(features[video_column], VideoFeature):
        dataset = dataset.cast_column(video_column, VideoFeature(decode=False))
    return dataset


def class_names(features: Mapping[str, Any], label_column: str | None) -> tuple[str, ...] | None:
    names = getattr(features.get(label_column), "names", None) if label_column else None
    return tuple(names) if names else None


def is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("string", "large_string")


def _is_binary(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("binary", "large_binary")


def _may_be(kind: Callable[[Any], bool], feature: Any) -> bool:
    return feature is None or kind(feature)  # some streams know no types


def _is_number(feature: Any) -> bool:
    return getattr(feature, "dtype", "").startswith(("int", "uint", "float", "bool"))


def _can_be_labels(feature: Any) -> bool:
    return _is_number(feature) or is_text(feature) or getattr(feature, "dtype", "") == "null"


def _can_be_videos(feature: Any) -> bool:
    return isinstance(feature, Mapping) or (hasattr(feature, "dtype") and not _is_number(feature))


CONTENTS = {
    "video_column": (_can_be_videos, "videos: files, paths or bytes"),
    "label_column": (_can_be_labels, "labels: numbers or names"),
}


def path_of(value: Any) -> str:
    path = value.get("path") if isinstance(value, dict) else value
    return os.fsdecode(path) if isinstance(path, (str, os.PathLike)) else ""


def batches_of(dataset: "Dataset", column: str) -> Iterator["ChunkedArray"]:
    """What the rows hold in one column."""
    for batch in dataset.select_columns(column).with_format("arrow").iter(batch_size=ROWS_AT_A_TIME):
        yield batch[column]


def matching_rows(dataset: "Dataset", column: str, path_pattern: str) -> Iterator[int]:
    """Numbers of the rows whose path matches; the bytes of the videos are not copied."""
    wanted, row = re.compile(path_pattern), 0
    for batch in batches_of(dataset, column):
        values = batch.combine_chunks()
        paths = values.field("path") if hasattr(values, "field") else values
        for path in paths.to_pylist():
            if wanted.search(path_of(path)):
                yield row
            row += 1


def row_marks(dataset: "Dataset", video_column: str) -> Iterator[str]:
    """What tells the rows apart, without reading a video: their paths, else sizes of their bytes, and their parts.

    Paths are those below the folder that all of them share: where that lies is another matter on each machine, since
    `datasets` keeps files in a cache and makes relative paths absolute ones.
    """
    flat = dataset.flatten()  # paths and bytes as columns of their own, so that the bytes stay where they are
    paths = _column_of(flat, is_text, f"{video_column}.path", video_column)
    contents = _column_of(flat, _is_binary, f"{video_column}.bytes", video_column)
    marks = [None] * len(flat) if paths is None else list(_values(flat, paths))
    # addresses and paths that are not absolute may be among them, which `commonpath` refuses
    folder = os.path.dirname(os.path.commonprefix([path for path in marks if path]))  # noqa: RUF071
    marks = [path[len(folder) :] if path else None for path in marks]
    if contents is not None and None in marks:
        from pyarrow.compute import binary_length

        sizes = (size for batch in batches_of(flat, contents) for size in binary_length(batch).to_pylist())
        marks = [size if mark is None else mark for mark, size in zip(marks, sizes)]
    parts = [_values(flat, column) for column in PART_COLUMNS if column in flat.column_names]
    yield from map(repr, zip(marks, *parts))


def _column_of(dataset: "Dataset", kind: Callable[[Any], bool], *names: str) -> str | None:
    """The first of these columns that is there and of this kind."""
    return next((name for name in names if kind(dataset.features.get(name))), None)


def _values(dataset: "Dataset", column: str) -> Iterator[Any]:
    return (value for batch in batches_of(dataset, column) for value in batch.to_pylist())


def video_of(
    row: dict[str, Any], video_column: str, label_column: str | None, name: str, pattern: str,
    numbers: dict[str, int] | None = None,
) -> Video:  # fmt: skip
    """The video of one row."""
    value = row[video_column]
    content = (value.get("bytes") or value.get("path")) if isinstance(value, dict) else value
    path = path_of(value)
    label = class_of(row[label_column], numbers) if label_column else None
    if label is None and label_column:
        raise DataError(
            f"{path or name} has the label {row[label_column]!r} in the column `{label_column}`. Labels are whole "
            "numbers from 0, or names: correct it, or drop the row."
        )
    start, total = (row.get(column) for column in PART_COLUMNS)
    if not all(number is None or isinstance(number, Real) for number in (start, total)):
        start = total = None  # of a stream without types, and no frames
    start, total = (0 if number is None or number != number else number for number in (start, total))  # NaN: a gap
    if start % 1 or total % 1:
        raise DataError(
            f"{path or name} has `start` {start!r} and `total` {total!r}. They are whole frames: correct them, or "
            "give the columns other names."
        )
    start, total = max(int(start), 0), max(int(total), 0) or None
    piece = f" (frames {start} to {start + total - 1})" if total and start else ""
    return Video(path + piece if path else name, content, label, start, total, pattern, numbered=not path)


def class_of(label: Any, numbers: Mapping[str, int] | None) -> int | None:
    """Number of a class from what a row says; None where that is none (data sets write None, or -1)."""
    number = label if numbers is None else numbers.get(label)
    return int(number) if isinstance(number, (int, float)) and number >= 0 and number % 1 == 0 else None
