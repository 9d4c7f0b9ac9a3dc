# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines of list files: where the path ends, and what the numbers behind it are."""

import codecs
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat


BYTE_ORDER_MARK = "\ufeff"
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Columns of a list by their number, without and with labels: the layouts of the original pre-training and fine-tuning.
COLUMNS = {
    False: {1: ("path",), 2: ("path", "label"), 3: ("path", "start", "total"), 4: ("path", "start", "total", "label")},
    True: {2: ("path", "label"), 3: ("path", "total", "label"), 4: ("path", "start", "total", "label")},
}
# Columns that a list may have and its reader does not know.
OTHER_COLUMNS = {"label", "start", "total", "fps", "frames", "num_frames", "duration", "class", "end", "split"}
LARGEST = 2**63 - 1
CHARACTERS_AT_A_TIME = 2**18
LONGEST_QUOTE = 200  # characters of a line that is wrong: what is no list may be one of many megabytes
_NUMBER = re.compile(r"\s*[+-]?\d+(?:\.\d+)?\s*")
_ONE_MORE = {  # a number at the end of what is left of a line
    None: re.compile(r"[ \t,][+-]?\d+(?:\.\d+)?$", re.MULTILINE),
    ",": re.compile(r",[ \t]*[+-]?\d+(?:\.\d+)?$", re.MULTILINE),
}
_QUOTED = re.compile(r'"((?:[^"]|"")*)"((?:[\s,].*)?)', re.DOTALL)


def whole(text: str) -> int:
    """A whole number that a table can hold; `ValueError` for anything else, such as Python's `1_000`."""
    value = int(text)
    if "_" in text or not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{text} is no number, or too large.")
    return value


def separator_of(line: str) -> str | None:
    """Comma where a number stands behind the last one, or where the line has no white space; None: white space."""
    has_number = _NUMBER.fullmatch(line.rpartition(",")[2]) is not None
    return "," if "," in line and (has_number or len(line.split()) == 1) else None


def split_line(line: str, separator: str | None, count: int) -> list[str]:
    """Path and `count` values of a line without blanks around it; fewer if it has no more.

    Args:
        line: The path in front may stand in quotes, as pandas and spreadsheets write it.
        separator: Comma, or None for white space. Paths may contain it.
        count: -1: as many values as there are.
    """
    if line[:1] == '"' and (match := _QUOTED.fullmatch(line)):
        values = match[2].replace(",", " ").split()
        if count in (-1, len(values)):  # otherwise the quotes are a part of the name
            return [match[1].replace('""', '"').strip(), *values]
    parts = line.rsplit(separator, count)
    parts[0] = parts[0].strip()
    return parts


@dataclass(frozen=True)
class Layout:
    """How the lines of a list read.

    Attributes:
        columns: `path` and the names of the numbers behind it.
        separator: Comma, or None for white space.
        begin: Number of the line of the first video, counted from 1.
        named: Whether the list names its columns. Otherwise no path may end with what looks like one more of them,
            unless it stands in quotes.
    """

    columns: tuple[str, ...]
    separator: str | None
    begin: int
    named: bool = False

    def parse(self, lines: list[str]) -> tuple[list[str], list[array]]:
        """Paths, and the numbers of each further column.

        Raises:
            ValueError, OverflowError: A line is of another layout.
        """
        width = len(self.columns)
        quotes = any(line[0] == '"' for line in lines)
        split: Callable[[str, str | None, int], list[str]] = split_line
        if self.separator is None and not quotes:
            split = str.rsplit  # the same there, in less time
        rows = map(split, lines, repeat(self.separator), repeat(width - 1))
        values = list(chain.from_iterable(rows))  # no list of lists, which the garbage collector goes through
        paths = values[::width]
        if len(values) != len(lines) * width or not all(paths):
            raise ValueError("there are fewer values")
        if not self.named:
            # quotes that were taken off keep what stood in them
            bare = [path for path, line in zip(paths, lines) if line[0] != '"' or path[0] == '"'] if quotes else paths
            if _ONE_MORE[self.separator].search("\n".join(bare)):
                raise ValueError("there are more values")
        return paths, [array("q", map(int, values[place::width])) for place in range(1, width)]


def find_layout(path: str, labelled: bool) -> Layout | None:
    """Layout of a list as training reads it, see `layout_of`."""
    return layout_of(path, COLUMNS[labelled])


def layout_of(
    path: str, layouts: Mapping[int, tuple[str, ...]], convert: Callable[[str], float] = whole, hint: str = ""
) -> Layout | None:
    """Layout of a list, by a line such as `# path label` or, where there is none, by its first video.

    Args:
        path: The list.
        layouts: Columns by their number, as they are when the list does not name them. What all of them have, a list
            that names its columns must have too.
        convert: Reads a number; `ValueError` for what is none.
        hint: What to do where the layout is not known.

    Returns:
        None for a list without videos.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: It is JSON, or no text in UTF-8, or of no known layout.
    """
    columns = None
    for place, lines in read_lines(path):
        for number, line in enumerate(lines, start=place):
            if not line:
                continue
            named = None if columns else _named_columns(path, line, layouts)
            columns = named or columns
            if named is None and line[0] != "#":
                if line[0] in "[{" and line.lstrip("[{ \t")[:1] in ("", '"'):
                    raise ValueError(f"{path} is JSON, not a list of videos. Write a line with the path of each video.")
                separator = separator_of(line)
                guess = columns or _guess_columns(line, separator, layouts, convert)
                if guess is None:
                    known = ", ".join(f"`{' '.join(layout)}`" for layout in layouts.values())
                    raise ValueError(
                        f"{path}, line {number}: a line must be one of {known}, whole numbers behind the path; the "
                        f"first one is {line[:LONGEST_QUOTE]!r}. {hint}".rstrip()
                    )
                return Layout(guess, separator, number, named=columns is not None)
    return None


def read_videos(path: str, layout: Layout) -> Iterator[tuple[Sequence[int], list[str]]]:
    """Numbers and texts of the lines with videos, many at a time."""
    for place, lines in read_lines(path):
        at = range(place, place + len(lines))
        if place < layout.begin or not all(lines) or any(line[0] == "#" for line in lines):
            at = [n for n, line in zip(at, lines) if line and line[0] != "#" and n >= layout.begin]
            lines = [lines[n - place] for n in at]
        if lines:
            yield at, lines


def read_lines(path: str) -> Iterator[tuple[int, list[str]]]:
    """Lines of a list without blanks around them, see `read_raw_lines`."""
    for place, lines in read_raw_lines(path):
        yield place, list(map(str.strip, lines))


def read_raw_lines(
    path: str, way_out: str = "Name a list of videos, or set `kind` to what it is."
) -> Iterator[tuple[int, list[str]]]:
    """Lines of a text without byte order marks, many at a time, and the number of the first one, counted from 1.

    Bytes that are not UTF-8 become surrogates.

    Args:
        path: The file.
        way_out: What to do where it is no text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is UTF-16, or no text.
    """
    with open(path, "rb") as file:
        if file.read(2) in UTF16_MARKS:
            raise ValueError(f"{path} is UTF-16, as Windows tools write it. Save the list as UTF-8.")
    place = 1
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        while lines := file.readlines(CHARACTERS_AT_A_TIME):
            text = "".join(lines)
            if "\0" in text:
                raise ValueError(f"{path} is no text. {way_out}")
            if BYTE_ORDER_MARK in text:  # of lists that were put together
                lines = [line.lstrip(BYTE_ORDER_MARK) for line in lines]
            yield place, lines
            place += len(lines)


def _named_columns(path: str, line: str, layouts: Mapping[int, tuple[str, ...]]) -> tuple[str, ...] | None:
    """Columns that a remark, or the header of a CSV file, names; None if it is something else.

    Raises:
        ValueError: It lacks one that is needed, or has one that is not known, which would be taken for another.
    """
    columns, known = tuple(line.lstrip("#").replace(",", " ").split()), set().union(*layouts.values())
    if columns[:1] != ("path",) or line[0] == ",":  # a column without a name, as pandas writes the index
        return None
    if set(columns) - known or len(set(columns)) < len(columns):
        like_columns = sum(column in OTHER_COLUMNS for column in columns)
        if like_columns and 2 * like_columns >= len(columns) - 1:  # else it is a sentence
            raise ValueError(
                f"{path} names the columns {line.lstrip('# ')[:LONGEST_QUOTE]!r}; those that are known are "
                f"{', '.join(sorted(known))}, each once. Take the others out of the list; a remark must not begin with "
                "`path`."
            )
        return None
    missing = set.intersection(*map(set, layouts.values())) - set(columns)
    if missing:
        raise ValueError(
            f"{path} has the columns `{' '.join(columns)}`, without the `{missing.pop()}` that is needed here: add it."
        )
    return columns


def _guess_columns(
    line: str, separator: str | None, layouts: Mapping[int, tuple[str, ...]], convert: Callable[[str], float]
) -> tuple[str, ...] | None:
    """Columns by how many numbers a line ends with; None where there are none with so many."""
    count = 1
    for value in reversed(split_line(line, separator, -1)[1:]):
        try:
            convert(value)
        except ValueError:
            break
        count += 1
    return layouts.get(min(count, max(layouts)))
