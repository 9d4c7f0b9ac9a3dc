# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos of a list file, and of a folder with a folder per class."""

import itertools
import logging
import os
import re
from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from modeling_videomae_v2.folders import folder_id, walk_folders

from ..list_lines import LONGEST_QUOTE, Layout, find_layout, read_videos
from .sources import HIGHEST_LABEL, LABELS, PICTURE_SUFFIXES, VIDEO_SUFFIXES, IndexedSource, Video


logger = logging.getLogger(__name__)

NAMES_IN_WARNING = 3
# Without its videos, training would be on less, and where it is a class the numbers of others would change.
_WAY_OUT = "Make it readable, take it out, or name the videos in a list (kind: list)."


class ListSource(IndexedSource):
    """Videos of a list file, one a line.

    Without labels a line is `path`, `path label`, `path start total` or `path start total label` (the label is
    ignored); with labels `path label`, `path total label` or `path start total label`. A first line such as
    `# path total label` names the columns instead. Values are separated by white space, or by commas where the first
    video's number stands behind one; paths may contain the separator, and may stand in quotes, as in CSV files.
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
        if os.path.isdir(path):
            raise ValueError(f"{path} is a folder, not a list of videos. Set `kind: folder`, or name a list.")
        wanted = re.compile(path_pattern) if path_pattern else None
        try:
            layout = find_layout(path, labelled)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"There is no list {path}. Check the path.") from error
        found = self._read(path, layout, wanted, numbers)
        super().__init__(path, itertools.chain.from_iterable(found), None)
        columns = {name: np.frombuffer(values, dtype=np.int64) for name, values in numbers.items() if values}
        self._starts, self._totals = columns.get("start"), columns.get("total")
        labels = columns["label"] if labelled else None
        if labels is not None and not 0 <= labels.min() <= labels.max() <= HIGHEST_LABEL:
            wrong = int(labels.argmin() if labels.min() < 0 else labels.argmax())
            raise ValueError(f"{path}: the label of {self.paths[wrong]} is {labels[wrong]}; {LABELS}.")
        self.labels = None if labels is None else labels.astype(np.int32)

    @staticmethod
    def _read(
        path: str, layout: Layout | None, wanted: re.Pattern | None, numbers: dict[str, array]
    ) -> Iterator[list[str]]:
        """Paths of the wanted lines, many at a time; their numbers are appended to `numbers`."""
        for places, lines in () if layout is None else read_videos(path, layout):
            try:
                videos, columns = layout.parse(lines)
            except (ValueError, OverflowError):
                raise _fault(path, layout, places, lines) from None
            if wanted is not None:
                chosen = [wanted.search(video) is not None for video in videos]
                videos, *columns = (itertools.compress(column, chosen) for column in (videos, *columns))
            for name, column in zip(layout.columns[1:], columns):
                numbers[name].extend(column)
            yield videos

    def get(self, index: int, epoch: int) -> Video:
        path = self.paths[index]
        if "://" not in path:
            path = os.path.join(self._root, path)
        start = 0 if self._starts is None else max(int(self._starts[index]), 0)
        total = 0 if self._totals is None else int(self._totals[index])
        total = total if total > 0 else None
        piece = f" (frames {start} to {start + total - 1})" if total and start else ""
        return Video(path + piece, path, self.label(index), start, total, self._pattern)


def _fault(path: str, layout: Layout, places: Sequence[int], lines: list[str]) -> ValueError:
    """The error for the first line that is of another layout than the list."""

    def is_wrong(line: str) -> bool:
        try:
            layout.parse([line])
        except (ValueError, OverflowError):
            return True
        return False

    place, line = next((place, line[:LONGEST_QUOTE]) for place, line in zip(places, lines) if is_wrong(line))
    numbers = ", whole numbers behind the path" if len(layout.columns) > 1 else " alone"
    return ValueError(
        f"{path}, line {place}: expected `{' '.join(layout.columns)}`{numbers}, got {line!r}. "
        "Correct the line, or name the columns in a first line such as `# path label`. A path that ends with a number "
        "must stand in quotes."
    )


class FolderSource(IndexedSource):
    """A folder of folders, one for each class, with videos, or folders of pictures, at any depth.

    Classes are numbered in alphabetical order. Videos that lie in `path` itself have none: they are taken where no
    labels are wanted. Pictures that lie beside videos, or in `path` beside folders of them, are taken for previews.

    Args:
        path: The folder.
        labelled: Whether labels are wanted.
        path_pattern: Regular expression; only videos whose path below `path` it finds are taken.
        pattern: Names of the pictures in a folder.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is a file, a folder in it cannot be read, it has no videos, or labels are wanted and it has no
            folders, or one that is a video itself.
    """

    def __init__(
        self, path: str, *, labelled: bool = False, path_pattern: str | None = None, pattern: str = "img_{:05}.jpg"
    ) -> None:
        if os.path.isfile(path):
            raise ValueError(f"{path} is a file, not a folder of videos. Set `kind: list`, or what it is.")
        self._root, self._pattern = path, pattern
        wanted = re.compile(path_pattern or "")
        labels, names = array("i"), []
        try:
            found = _by_class(path, labelled)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"There is no folder {path}. Check the path.") from error
        for label, videos in enumerate(found.values()):
            kept = [video for video in videos if wanted.search(video)]
            names += kept
            labels.extend([label] * len(kept))
        super().__init__(path, names, labels if labelled and names else None)
        self.classes = tuple(found) if labelled else None

    def get(self, index: int, epoch: int) -> Video:
        path = os.path.join(self._root, self.paths[index])
        return Video(path, path, self.label(index), pattern=self._pattern)


def _by_class(path: str, labelled: bool) -> dict[str, list[str]]:
    """Videos by the folder in `path` that they lie in; those that lie in none stand under the empty name, and first."""
    found = {name: sorted(_videos_below(path, name)) for name in sorted(_folders(path))}
    found = {name: videos for name, videos in found.items() if videos}
    loose = sorted(_videos_of("", next(walk_folders(path))[1], pictures=not found))
    if not labelled:
        return {"": loose, **found}
    single = next((name for name, videos in found.items() if videos == [name]), None)
    if single is not None:
        raise ValueError(
            f"{os.path.join(path, single)} holds pictures, so it is a video and no class. Sort such folders into "
            "folders that are the classes, or name them with their labels in a list (kind: list)."
        )
    if not loose:
        return found
    if not found:
        raise ValueError(
            f"{path} has videos, but no folders, which would be their classes. Sort them into folders, or name them "
            "with their labels in a list (kind: list)."
        )
    names = ", ".join(loose[:NAMES_IN_WARNING]) + (", ..." if len(loose) > NAMES_IN_WARNING else "")
    logger.warning(
        "%d videos in %s have no class and are left out: they lie beside the folders (%s).", len(loose), path, names
    )
    return found


def _folders(path: str) -> list[str]:
    """Folders in a folder, but for those that are hidden or the file system's own."""
    with os.scandir(path) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "lost+found"]
    for entry in found:
        if entry.is_symlink() and _suffix(entry.name) not in VIDEO_SUFFIXES and not os.path.exists(entry.path):
            raise ValueError(f"{entry.path} is a link to nothing that can be read. {_WAY_OUT}")
    # a link may lead to itself, at which `is_dir` of an entry raises an error
    return [e.name for e in found if (os.path.isdir(e.path) if e.is_symlink() else e.is_dir())]


def _videos_below(root: str, below: str) -> Iterator[str]:
    """Paths, from `root`, of the videos and of the folders with pictures in or below `root/below`."""
    try:
        for folder, files in walk_folders(os.path.join(root, below), (folder_id(root),)):
            yield from _videos_of(os.path.relpath(folder, root), files)
    except OSError as error:
        raise ValueError(f"The folder {error.filename} cannot be read ({error.strerror}). {_WAY_OUT}") from error


def _videos_of(inside: str, files: list[str], pictures: bool = True) -> list[str]:
    """The videos among the files of a folder; if it has none, but pictures, the folder itself."""
    suffixes = {name: _suffix(name) for name in files}
    videos = [name for name, suffix in suffixes.items() if suffix in VIDEO_SUFFIXES]
    if pictures and not videos and any(suffix in PICTURE_SUFFIXES for suffix in suffixes.values()):
        return [inside or os.curdir]
    return [os.path.normpath(os.path.join(inside, name)) for name in videos]  # pictures beside them are previews


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()
