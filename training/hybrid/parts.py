# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The parts of UnlabeledHybrid, and the lists that they are read from (paper, C.1 and Table 8)."""

import json
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .lists import Header, columns_at, fault, find_layout, read_csv, read_header, read_list, whole


LAYOUTS = {1: ("path",), 2: ("path", "label"), 3: ("path", "start", "total")}
Piece = tuple[str, int, int]  # path, first frame, frames (-1: to the end)


@dataclass(frozen=True)
class Part:
    """A part of UnlabeledHybrid.

    Attributes:
        name: Name of its list file and of its folder under `data/`, as `training/recipes/unlabeled_hybrid.yaml` has it.
        title: Name in Table 8.
        paper: Videos in Table 8.
        count: Videos that are drawn; None: all.
        template: Path of a video, made of the columns of a CSV file, or of the keys of a JSON file.
    """

    name: str
    title: str
    paper: int
    count: int | None = None
    template: str | None = None


PARTS = {
    part.name: part
    for part in (
        Part("k710", "K710", 658_000, template="{youtube_id}_{time_start:0>6}_{time_end:0>6}.mp4"),
        Part("ssv2", "SSV2", 169_000, template="{id}.webm"),
        Part("ava", "AVA", 21_000),
        Part("webvid", "WebVid2M", 250_000, 250_000, "{page_dir}/{videoid}.mp4"),
        Part("self_collected", "self-collected", 250_000, 250_000),
    )
}


def read_pieces(path: str, template: str | None = None) -> Iterator[Piece]:
    """Videos of a list in any of the usual forms, line by line.

    - A plain list: `path`, `path label`, `path start total`, or columns that a first line such as `# path total label`
      names. Labels are left out.
    - A CSV file with a header that has `path` (and perhaps `start` and `total`), or the columns of `template`.
    - A JSON list of objects with the keys of `template`, as Something-Something publishes it.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: A line cannot be understood.
    """
    if path.lower().endswith(".json"):
        yield from _read_json(path, template)
        return
    fields = template_columns(template) if template else []
    header = read_header(path, ("path", *(field.lower() for field in fields)))
    if header is None:
        yield from _read_plain(path)
    elif template is None or "path" in header.names:
        yield from _read_paths(path, header)
    else:
        yield from _read_template(path, header, template, fields)


def template_columns(template: str) -> list[str]:
    """Columns that a template needs.

    Raises:
        ValueError: It is no template, or needs none.
    """
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        template.format(**dict.fromkeys(fields, "0"))
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"{template!r} is no template of a path: {error}.") from None
    if not fields:
        raise ValueError(f"The template {template!r} gives all videos one path: put a column into it, as {{id}}.")
    return fields


def _read_plain(path: str) -> Iterator[Piece]:
    layout = find_layout(path, LAYOUTS)
    places = {name: place for place, name in enumerate(layout.columns[1:])}
    start_at, total_at = places.get("start"), places.get("total")
    for line, video, values in read_list(path, layout):
        start = 0 if start_at is None else int(values[start_at])
        total = -1 if total_at is None else int(values[total_at])
        if start and not layout.named:
            raise fault(
                path, line, f"is {video!r} the part of a video from frame {start} on, or are these columns `path total "
                "label`? Say so in a first line of the list: `# path start total` or `# path total label`."
            )  # fmt: skip
        yield video, max(start, 0), total if total > 0 else -1


def _read_paths(path: str, header: Header) -> Iterator[Piece]:
    place = columns_at(path, header, ["path"])[0]
    start_at, total_at = (header.names.index(name) if name in header.names else None for name in ("start", "total"))
    for line, row in read_csv(path, header):
        video = row[place].strip()
        if not video:
            raise fault(path, line, "the path is empty.")
        try:
            start = 0 if start_at is None else max(whole(row[start_at]), 0)
            total = -1 if total_at is None else whole(row[total_at])
        except ValueError:
            raise fault(path, line, f"`start` and `total` must be whole numbers, got {','.join(row)!r}.") from None
        yield video, start, total if total > 0 else -1


def _read_template(path: str, header: Header, template: str, fields: list[str]) -> Iterator[Piece]:
    way_out = f"Add it, or change the template {template!r} (--video-path)."
    places = columns_at(path, header, [field.lower() for field in fields], way_out)
    for line, row in read_csv(path, header):
        values = {field: row[place].strip() for field, place in zip(fields, places)}
        if not all(values.values()):
            empty = next(field for field, value in values.items() if not value)
            raise fault(path, line, f"`{empty}` is empty. Complete the line, or drop it.")
        yield template.format(**values), 0, -1


def _read_json(path: str, template: str | None) -> Iterator[Piece]:
    if template is None:
        raise ValueError(f"{path}: how do its entries become paths? Pass a template, such as --video-path {{id}}.webm.")
    fields = template_columns(template)
    try:
        with open(path, encoding="utf-8-sig") as file:
            entries: Any = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON in UTF-8: {error}.") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path} must hold a list of objects with the keys {', '.join(fields)}.")
    for number, entry in enumerate(entries, start=1):
        missing = [f for f in fields if not isinstance(entry, dict) or entry.get(f) in (None, "")]
        if missing:
            raise ValueError(f"{path}, entry {number}: there is no `{missing[0]}`, which {template!r} needs.")
        wrong = [field for field in fields if not isinstance(entry[field], (str, int, float))]
        if wrong:
            raise ValueError(f"{path}, entry {number}: `{wrong[0]}` must be text or a number, got {entry[wrong[0]]!r}.")
        video = template.format(**{field: str(entry[field]) for field in fields})
        if any("\ud800" <= letter <= "\udfff" for letter in video):  # as escapes in JSON can be
            raise ValueError(f"{path}, entry {number}: {video!r} has letters that no path has. Correct it.")
        yield video, 0, -1
