# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists of Kinetics-400/600/700: the published CSV files, and lists of files with class numbers."""

import re
import string
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modeling_videomae_v2.labels_videomae_v2 import normalise_label

from ..data.sources import TextTable
from .lists import Header, columns_at, fault, find_layout, read_csv, read_header, read_list
from .versions import SPLITS, TRAINING, VALIDATION


SPLIT_NAMES = {  # what the column `split` says, "" where it is empty
    TRAINING: frozenset(("", "train", "training")),
    VALIDATION: frozenset(("", "val", "valid", "validate", "validation")),
}
LAYOUTS = {2: ("path", "label"), 3: ("path", "total", "label"), 4: ("path", "start", "total", "label")}
ID_LENGTH = 11
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# `ID_000012_000022.mp4` or `ID.mp4`; the id may begin with a dash and hold underscores, so it is told by its length
CLIP_NAME = re.compile(r"(?:.*[/\\])?([A-Za-z0-9_-]{11})(?:_(\d{1,9})_(\d{1,9}))?(?:\.\w+)*")
UNKNOWN_TIME = -1
LONGEST = 2**31 - 1
FIELDS = ("id", "start", "end", "label", "version", "split")


@dataclass(frozen=True)
class KineticsList:
    """A list file of one version."""

    path: str
    version: int
    split: int


@dataclass(frozen=True)
class Spelling:
    """A class as one version writes it, and where it stands for the first time."""

    version: int
    name: str
    path: str
    line: int


@dataclass
class Clips:
    """The lines of all lists, in columns of equal length.

    Attributes:
        ids: YouTube ids, uint8 `(clips, 11)`.
        spellings: Index in `names` of each clip's class, as its version writes it.
        start, end: Seconds in the video of YouTube; -1 where the list does not tell.
        files: Index in `lists` of each clip's list.
        paths: Path of each clip; empty for a line of a CSV file.
        names: Classes as the versions write them.
        lists: The list files.
    """

    ids: np.ndarray
    spellings: np.ndarray
    start: np.ndarray
    end: np.ndarray
    files: np.ndarray
    paths: TextTable
    names: list[Spelling]
    lists: list[KineticsList]

    def texts(self, rows: np.ndarray) -> list[str]:
        """YouTube ids of some clips."""
        joined = self.ids[rows].tobytes().decode()
        return [joined[at : at + ID_LENGTH] for at in range(0, len(joined), ID_LENGTH)]


@dataclass
class _Columns:
    """Columns that grow."""

    ids: bytearray = field(default_factory=bytearray)
    spellings: array = field(default_factory=lambda: array("i"))
    start: array = field(default_factory=lambda: array("i"))
    end: array = field(default_factory=lambda: array("i"))


class KineticsReader:
    """Reads lists.

    Args:
        labels: Class names by version, in the order of their numbers; needed where a list has numbers for classes.
        fields: Names in the template of the paths of CSV lines, see `template_fields`.
    """

    def __init__(self, labels: Mapping[int, Sequence[str]], fields: frozenset[str] = frozenset()) -> None:
        self._labels, self._needs_times = labels, bool(fields & {"start", "end"})
        self._columns = _Columns()
        self._names: list[Spelling] = []
        self._numbers: dict[tuple[int, str], int] = {}  # of the names, by version and normalised name

    def read(self, lists: Sequence[KineticsList], progress: Callable[[KineticsList], Any] | None = None) -> Clips:
        """Read all lists.

        Args:
            lists: What to read.
            progress: Called with each list before it is read.

        Raises:
            FileNotFoundError: There is no such list.
            ValueError: A line cannot be understood.
        """
        counts: list[int] = []

        def paths() -> Iterator[str]:
            for item in lists:
                if progress:
                    progress(item)
                before = len(self._columns.spellings)
                header = read_header(item.path, ("youtube_id", "label", "time_start"))
                if header and header.names[0].lstrip("# ") == "path" and "youtube_id" not in header.names:
                    header = None  # the columns of a plain list
                yield from self._read_plain(item) if header is None else self._read_csv(item, header)
                counts.append(len(self._columns.spellings) - before)
                if not counts[-1]:
                    raise ValueError(f"{item.path} lists no videos. Pass a list of videos.")

        table, columns = TextTable(paths()), self._columns
        return Clips(
            np.frombuffer(columns.ids, np.uint8).reshape(-1, ID_LENGTH), np.frombuffer(columns.spellings, np.int32),
            np.frombuffer(columns.start, np.int32), np.frombuffer(columns.end, np.int32),
            np.repeat(np.arange(len(lists), dtype=np.int16), counts), table, self._names, list(lists),
        )  # fmt: skip

    def _read_csv(self, item: KineticsList, header: Header) -> Iterator[str]:
        wanted = ["label", "youtube_id", *(("time_start", "time_end") if self._needs_times else ())]
        columns_at(item.path, header, wanted, "Pass a published CSV file, or change the template of the paths.")
        places = {name: i for i, name in enumerate(header.names)}
        label_at, id_at, split_at = places["label"], places["youtube_id"], places.get("split")
        start_at, end_at = places.get("time_start"), places.get("time_end")
        known: dict[str, int] = {}
        splits, add = SPLIT_NAMES[item.split], self._columns
        for line, row in read_csv(item.path, header):
            name, video = row[label_at], row[id_at].strip()
            number = known.get(name)
            if number is None:
                number = known[name] = self._number(item, name, line)
            if YOUTUBE_ID.fullmatch(video) is None:
                raise fault(item.path, line, f"{video!r} is no YouTube id: those have 11 letters, digits, `-` or `_`.")
            if split_at is not None and row[split_at] not in splits:
                self._check_split(item, line, row[split_at])
            start = UNKNOWN_TIME if start_at is None else self._seconds(item, line, row[start_at])
            end = UNKNOWN_TIME if end_at is None else self._seconds(item, line, row[end_at])
            add.ids += video.encode()
            add.spellings.append(number)
            add.start.append(start)
            add.end.append(end)
            yield ""

    def _read_plain(self, item: KineticsList) -> Iterator[str]:
        layout = find_layout(item.path, LAYOUTS, hint="Or pass a CSV file with the columns label,youtube_id,...")
        if item.version not in self._labels:
            raise ValueError(
                f"{item.path} has numbers for classes. Pass the class names of Kinetics-{item.version}, one a line in "
                f"the order of the numbers: --labels {item.version}=label_map_k{item.version}.txt."
            )
        names, place = self._labels[item.version], layout.columns.index("label") - 1
        add, numbers = self._columns, {}
        for line, path, values in read_list(item.path, layout):
            label = int(values[place])
            number = numbers.get(label)
            if number is None:
                if not 0 <= label < len(names):
                    reason = f"class {label} is none of the {len(names)} of Kinetics-{item.version}, 0 to"
                    raise fault(item.path, line, f"{reason} {len(names) - 1}. Check --labels.")
                number = numbers[label] = self._number(item, names[label], line)
            found = CLIP_NAME.fullmatch(path)
            if found is None:
                reason = f"{path!r} has no YouTube id; a file is called ID.mp4 or ID_000012_000022.mp4."
                raise fault(item.path, line, f"{reason} Or pass a CSV file with the ids.")
            video, start, end = found.groups()
            add.ids += video.encode()
            add.spellings.append(number)
            add.start.append(UNKNOWN_TIME if start is None else int(start))
            add.end.append(UNKNOWN_TIME if end is None else int(end))
            yield path

    def _number(self, item: KineticsList, name: str, line: int) -> int:
        """Index in `names` of a class of one version, whatever its case, spaces and punctuation."""
        if not name.strip():
            raise fault(item.path, line, "the class is empty. Name it, or drop the line.")
        key = (item.version, normalise_label(name))
        if key not in self._numbers:
            self._numbers[key] = len(self._names)
            self._names.append(Spelling(item.version, name.strip(), item.path, line))
        return self._numbers[key]

    def _seconds(self, item: KineticsList, line: int, text: str) -> int:
        if not self._needs_times and not text.strip():
            return UNKNOWN_TIME
        try:
            seconds = int(text) if text.isdecimal() else round(float(text))
        except (ValueError, OverflowError):
            seconds = -1
        if not 0 <= seconds <= LONGEST:
            raise fault(item.path, line, f"{text!r} is no time in seconds. Correct it.")
        return seconds

    @staticmethod
    def _check_split(item: KineticsList, line: int, value: str) -> None:
        if value.strip().lower() not in SPLIT_NAMES[item.split]:
            reason = f"the split is {value!r}, and the file was given for {SPLITS[item.split]}"
            raise fault(item.path, line, f"{reason}. Pass it to the other option, or drop such lines.")


def template_fields(template: str) -> frozenset[str]:
    """Names of the fields of the template of a path, such as `{version}/{id}_{start:06}_{end:06}.mp4`.

    Raises:
        ValueError: It has other fields than `FIELDS`, or no id.
    """
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        template.format(id="-" * 11, start=0, end=10, label="", version=400, split="")
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"{template!r} is no template of a path: {error}. It may hold {known}.") from None
    if "id" not in fields:
        raise ValueError(f"The template {template!r} gives all videos one path: put {{id}} into it.")
    return frozenset(fields)
