# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos of a list file, and of a folder with a folder per class."""

import codecs
import os
import re
from array import array
from collections.abc import Iterator

import numpy as np

from modeling_videomae_v2.folders import folder_id, walk_folders

from .sources import HIGHEST_LABEL, LABELS, PICTURE_SUFFIXES, VIDEO_SUFFIXES, IndexedSource, Video


_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Columns of a list by their number, without and with labels: the layouts of the original pre-training and fine-tuning.
COLUMNS = {
    False: {1: ("path",), 2: ("path", "label"), 3: ("path", "start", "total")},
    True: {2: ("path", "label"), 3: ("path", "total", "label"), 4: ("path", "start", "total", "label")},
}
# Without its videos, training would be on less, and where it is a class the numbers of others would change.
_WAY_OUT = "Make it readable, take it out, or name the videos in a list (kind: list)."


class ListSource(IndexedSource):
    """Videos of a list file, one a line.

    Without labels a line is `path`, `path label` (the label is ignored) or `path start total`; with labels
    `path label`, `path total label` or `path start total label`. A first line such as `# path total label` names the
    columns instead. Values are separated by white space, or by commas where the first line has none; paths may contain
    the separator.
    A path may be a video (`total` -1 or 0: to its end) or a folder of pictures.

    Args:
        path: The list file.
        root: Folder that relative paths start from; default: the folder of the list.
        labelled: Whether labels are wanted.
        path_pattern: Regular expression; only lines whose path it finds are taken.
        pattern: Names of the pictures in a folder.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: It is no text in UTF-8, a line has other columns than the first one, or none match.
    """

    def __init__(
        self, path: str, root: str = "", *, labelled: bool = False, path_pattern: str | None = None,
        pattern: str = "img_{:05}.jpg",
    ) -> None:  # fmt: skip
        self._root, self._pattern = root or os.path.dirname(path), pattern
        numbers: dict[str, array] = {"start": array("q"), "total": array("q"), "label": array("q")}
        super().__init__(path, self._read(path, labelled, re.compile(path_pattern or ""), numbers), None)
        columns = {name: np.frombuffer(values, dtype=np.int64) for name, values in numbers.items() if values}
        self._starts, self._totals = columns.get("start"), columns.get("total")
        labels = columns["label"] if labelled else None
        if labels is not None and not 0 <= labels.min() <= labels.max() <= HIGHEST_LABEL:
            wrong = int(labels.argmin() if labels.min() < 0 else labels.argmax())
            raise ValueError(f"{path}: the label of {self.paths[wrong]} is {labels[wrong]}; {LABELS}.")
        self.labels = None if labels is None else labels.astype(np.int32)

    @staticmethod
    def _read(path: str, labelled: bool, wanted: re.Pattern, numbers: dict[str, array]) -> Iterator[str]:
        """Paths of the wanted lines; their numbers are appended to `numbers`."""
        columns, separator = None, None
        for place, line in _lines(path):
            if columns is None and line.startswith("#"):
                columns = _named_columns(path, line, labelled)
            if not line or line.startswith("#"):
                continue
            if columns is None:
                separator = None if len(line.split()) > 1 or "," not in line else ","
                columns = _guess_columns(path, line, separator, labelled)
            video, *values = line.rsplit(separator, len(columns) - 1)
            try:
                values = array("q", map(int, values))
                if len(values) != len(columns) - 1:
                    raise ValueError
            except (ValueError, OverflowError):
                raise ValueError(
                    f"{path}, line {place}: expected `{' '.join(columns)}`, got {line!r}. Correct the line, or "
                    "name the columns in a first line such as `# path label`."
                ) from None
            if wanted.search(video):
                for name, value in zip(columns[1:], values):
                    numbers[name].append(value)
                yield video

    def get(self, index: int, epoch: int) -> Video:
        path = self.paths[index]
        if "://" not in path:
            path = os.path.join(self._root, path)
        start = 0 if self._starts is None else max(int(self._starts[index]), 0)
        total = 0 if self._totals is None else int(self._totals[index])
        total = total if total > 0 else None
        piece = f" (frames {start} to {start + total - 1})" if total and start else ""
        return Video(path + piece, path, self.label(index), start, total, self._pattern)


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Lines of a list with their numbers, counted from 1; a file that is none is refused."""
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder, not a list of videos. Set `kind: folder`, or name a list.")
    with open(path, "rb") as file:
        if file.read(2) in _UTF16_MARKS:
            raise ValueError(f"{path} is UTF-16, as Windows tools write it. Save the list as UTF-8.")
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as lines:
        for place, line in enumerate(lines, start=1):
            if "\0" in line:
                raise ValueError(f"{path} is no text. Name a list of videos, or set `kind` to what it is.")
            yield place, line.strip()


def _named_columns(path: str, line: str, labelled: bool) -> tuple[str, ...] | None:
    """Columns that a comment names; None if it is just a comment."""
    columns = tuple(line.lstrip("#").replace(",", " ").split())
    if not columns or columns[0] != "path" or set(columns) - {"path", "start", "total", "label"}:
        return None
    if labelled and "label" not in columns:
        raise ValueError(f"{path} has the columns `{' '.join(columns)}`, without the `label` that this task needs.")
    return columns


def _guess_columns(path: str, line: str, separator: str | None, labelled: bool) -> tuple[str, ...]:
    """Columns by how many numbers the first line ends with."""
    count = 0
    for value in reversed(line.split(separator)[1:]):
        if not re.fullmatch(r"\s*[+-]?\d+\s*", value):
            break
        count += 1
    layouts = COLUMNS[labelled]
    count = min(count + 1, max(layouts))
    if count not in layouts:
        known = ", ".join(f"`{' '.join(layout)}`" for layout in layouts.values())
        raise ValueError(f"{path}: a line must be one of {known}; the first one is {line!r}.")
    return layouts[count]


class FolderSource(IndexedSource):
    """A folder of folders, one for each class, with videos, or folders of pictures, at any depth.

    Classes are numbered in alphabetical order. Videos that lie in `path` itself, with no folders beside them, have
    none. Pictures that lie beside videos are taken for previews of these.

    Args:
        path: The folder.
        labelled: Whether labels are wanted.
        path_pattern: Regular expression; only videos whose path below `path` it finds are taken.
        pattern: Names of the pictures in a folder.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is a file, a folder in it cannot be read, it has no videos, or labels are wanted and it has no
            folders.
    """

    def __init__(
        self, path: str, *, labelled: bool = False, path_pattern: str | None = None, pattern: str = "img_{:05}.jpg"
    ) -> None:
        if os.path.isfile(path):
            raise ValueError(f"{path} is a file, not a folder of videos. Set `kind: list`, or what it is.")
        self._root, self._pattern = path, pattern
        wanted = re.compile(path_pattern or "")
        labels, names = array("i"), []
        found = {name: sorted(_videos_below(path, name)) for name in sorted(_folders(path))}
        found = {name: videos for name, videos in found.items() if videos}
        if not found and not labelled:
            found = {"": sorted(_videos_below(path, ""))}
        for label, videos in enumerate(found.values()):
            kept = [video for video in videos if wanted.search(video)]
            names += kept
            labels.extend([label] * len(kept))
        super().__init__(path, names, labels if labelled and names else None)
        self.classes = tuple(found) if labelled else None

    def get(self, index: int, epoch: int) -> Video:
        path = os.path.join(self._root, self.paths[index])
        return Video(path, path, self.label(index), pattern=self._pattern)


def _folders(path: str) -> list[str]:
    """Folders in a folder, but for those that are hidden or the file system's own."""
    with os.scandir(path) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "lost+found"]
    for entry in found:
        if entry.is_symlink() and _suffix(entry.name) not in VIDEO_SUFFIXES and not os.path.exists(entry.path):
            raise ValueError(f"{entry.path} is a link to nothing that can be read. {_WAY_OUT}")
    return [entry.name for entry in found if entry.is_dir()]


def _videos_below(root: str, below: str) -> Iterator[str]:
    """Paths, from `root`, of the videos and of the folders with pictures in or below `root/below`."""
    above = (folder_id(root),) if below else ()
    try:
        for folder, files in walk_folders(os.path.join(root, below), above):
            inside = os.path.relpath(folder, root)
            suffixes = {name: _suffix(name) for name in files}
            videos = [name for name, suffix in suffixes.items() if suffix in VIDEO_SUFFIXES]
            if not videos and any(suffix in PICTURE_SUFFIXES for suffix in suffixes.values()):
                yield inside
            for name in videos:  # pictures beside them are previews
                yield os.path.normpath(os.path.join(inside, name))
    except OSError as error:
        raise ValueError(f"The folder {error.filename} cannot be read ({error.strerror}). {_WAY_OUT}") from error


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()
