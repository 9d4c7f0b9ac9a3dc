# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists of videos as people have them: CSV files with a header, and plain lists as `training.list_lines` reads them.

Both may have byte order marks, any line ends, empty lines, quotes and paths with spaces. What cannot be understood, or
is not UTF-8, is an error that names the file and the line.
"""

import csv
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from ..list_lines import Layout, layout_of, read_raw_lines, split_line, whole


def fault(path: str, line: int, reason: str) -> ValueError:
    """The error for a line that is wrong."""
    return ValueError(f"{path}, line {line}: {reason}")


def read_lines(path: str) -> Iterator[tuple[int, str]]:
    """Number, counted from 1, and text of every line, ends and byte order marks removed; empty ones too.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no text in UTF-8.
    """
    for place, lines in read_raw_lines(path, "Pass a list of videos."):
        for number, line in enumerate(lines, start=place):
            if not line.isascii():
                try:
                    line.encode()
                except UnicodeEncodeError:
                    raise fault(path, number, f"{line.strip()[:80]!r} is not UTF-8. Save the list as UTF-8.") from None
            yield number, line.rstrip("\n")


@dataclass(frozen=True)
class Header:
    """First line of a CSV file: names of the columns in lower case, and the number of the line."""

    names: tuple[str, ...]
    line: int


def read_header(path: str, telling: Collection[str]) -> Header | None:
    """Header of a CSV file.

    Args:
        path: The file.
        telling: Names of columns; where the first line has none of them, it is not a header.

    Returns:
        None for a file without a header.
    """
    for number, line in read_lines(path):
        if line.strip():
            try:
                names = tuple(name.strip().lower() for name in next(csv.reader([line], skipinitialspace=True)))
            except csv.Error:
                return None
            return Header(names, number) if set(names) & set(telling) else None
    raise ValueError(f"{path} is empty. Pass a list of videos.")


def columns_at(path: str, header: Header, wanted: Collection[str], way_out: str = "Correct the header.") -> list[int]:
    """Places of the wanted columns in a header.

    Raises:
        ValueError: Some are not there, or stand twice.
    """
    for name in wanted:
        if header.names.count(name) != 1:
            problem = "stands twice" if name in header.names else "is missing"
            raise fault(
                path, header.line, f"column `{name}` {problem}; there are `{','.join(header.names)}`. {way_out}"
            )
    return [header.names.index(name) for name in wanted]


def read_csv(path: str, header: Header) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every row below the header.

    Raises:
        ValueError: A row has more or fewer fields than the header, or its quotes do not close.
    """
    reader = csv.reader((line + "\n" for _, line in read_lines(path)), strict=True, skipinitialspace=True)
    width, line = len(header.names), 1
    try:
        for row in reader:
            if line > header.line and len(row) == width:
                yield line, row
            elif line > header.line and "".join(row).strip():
                raise fault(path, line, f"{len(row)} values where the header has {width} columns: {','.join(row)!r}.")
            line = reader.line_num + 1
    except csv.Error as error:
        raise fault(path, line, f"{error}. Check the quotes.") from None


def find_layout(
    path: str, layouts: Mapping[int, tuple[str, ...]], convert: Callable[[str], float] = whole, hint: str = ""
) -> Layout:
    """Layout of a plain list, see `layout_of`.

    Raises:
        ValueError: The list has no videos, or other columns.
    """
    layout = layout_of(path, layouts, convert, hint)
    if layout is None:
        raise ValueError(f"{path} lists no videos. Pass a list of videos.")
    return layout


def read_list(
    path: str, layout: Layout, convert: Callable[[str], float] = whole
) -> Iterator[tuple[int, str, list[float]]]:
    """Line number, path and numbers of every line of a plain list; remarks (`# ...`) and empty lines are left out.

    Raises:
        ValueError: A line has other columns, or no path.
    """
    count, separator = len(layout.columns) - 1, layout.separator
    for number, line in read_lines(path):
        line = line.strip()
        if not line or line[0] == "#" or number < layout.begin:
            continue
        video, *values = split_line(line, separator, count)
        try:
            numbers = [convert(value) for value in values]
        except ValueError:
            numbers = []
        if len(numbers) != count or not video:
            reason = f"expected `{' '.join(layout.columns)}`, got {line!r}"
            raise fault(path, number, f"{reason}. Correct it, or name the columns in a first line: `# path label`.")
        yield number, video, numbers
