# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""UnlabeledHybrid: the lists of its parts together, and a manifest of all of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .kinetics_lists import CLIP_NAME
from .manifest import ROWS_AT_A_TIME, ListWriter, ManifestWriter, joined, manifest_schema
from .movies import WINDOW, cut_all
from .outputs import OutputFolder
from .parts import PARTS, Part, Piece, read_pieces
from .selection import Selection


LIST_COLUMNS = ("path", "start", "total")


@dataclass(frozen=True)
class MovieOptions:
    """How the movies of AVA are cut.

    Attributes:
        training: File with the names of the training movies; None: all of the list are.
        window: Seconds from and to which they are cut; None: the files hold nothing else.
        workers: Files that are read at a time where the list does not give the frames.
        progress: Gets the numbers of movies that are done and of all.
    """

    training: str | None = None
    window: tuple[float, float] | None = WINDOW
    workers: int = 1
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True)
class UnlabeledOptions:
    """What UnlabeledHybrid is built from.

    Attributes:
        lists: List file of each part that there is.
        roots: Folder of the videos of each part, for the manifest; default: `data/<part>`.
        counts: Videos to draw, where not as in the paper; None: all.
        templates: Templates of paths, where not as in `PARTS`.
        seed: Seed of the draws.
        movies: How AVA is cut.
    """

    lists: Mapping[str, str]
    roots: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int | None] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    movies: MovieOptions = field(default_factory=MovieOptions)

    def root(self, part: str) -> str:
        """Folder of the videos of a part."""
        return self.roots.get(part, f"data/{part}")


def build_unlabeled(
    options: UnlabeledOptions, output: str, *, force: bool = False, progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """Write `<part>.txt` for each part, `unlabeled_hybrid.parquet` and `report.json`.

    Args:
        options: The lists.
        output: Folder to write to.
        force: Whether files with other content may be replaced.
        progress: Gets the name of each part before it is read.

    Returns:
        The report.

    Raises:
        FileNotFoundError: A list is not there.
        FileExistsError: A file with other content is.
        ValueError: A line is wrong, or there are no lists.
    """
    if not options.lists:
        raise ValueError(f"There are no lists. Pass at least one of {', '.join('--' + name for name in PARTS)}.")
    found: dict[str, Any] = {}
    with OutputFolder(output, force) as folder:
        with ManifestWriter(folder.file("unlabeled_hybrid.parquet"), manifest_schema()) as manifest:
            for name, part in PARTS.items():
                if name in options.lists:
                    progress(name)
                    selection, extra = _select(part, options)
                    kept = _write(part, options, selection, folder, manifest)
                    found[name] = {"list": options.lists[name], **_counts(part, selection, kept), **extra}
        total = sum(part["kept"] for part in found.values())
        report = {"seed": options.seed, "total": total, "missing_parts": [n for n in PARTS if n not in found],
                  "parts": found}  # fmt: skip
        folder.write_json("report.json", report)
    return report


def _select(part: Part, options: UnlabeledOptions) -> tuple[Selection, dict[str, Any]]:
    """Read a list; what is chosen, and further counts."""
    path, movies = options.lists[part.name], options.movies
    extra: dict[str, Any] = {}
    pieces: Iterable[Piece]
    if part.name == "ava":
        pieces, extra = cut_all(
            path, options.root("ava"), window=movies.window, training=movies.training, workers=movies.workers,
            progress=movies.progress,
        )  # fmt: skip
    else:
        pieces = read_pieces(path, options.templates.get(part.name, part.template))
    count = options.counts.get(part.name, part.count)
    selection = Selection(options.seed, part.name, count)
    for piece in pieces:
        selection.add(*piece)
    return selection, {"wanted": count, **extra}


def _write(
    part: Part, options: UnlabeledOptions, selection: Selection, folder: OutputFolder, manifest: ManifestWriter
) -> int:
    """Write the list of a part and its rows of the manifest; how many there are."""
    table, root = selection.chosen(), options.root(part.name)
    with ListWriter(folder.file(f"{part.name}.txt"), LIST_COLUMNS) as lines:
        for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
            for path, start, total in zip(*(column.to_pylist() for column in batch.columns)):
                clip = CLIP_NAME.fullmatch(path) if part.name == "k710" else None
                video, begin, end = clip.groups() if clip else (None, None, None)
                times = (None if begin is None else int(begin), None if end is None else int(end))
                lines.add(path, start, total)
                manifest.add(joined(root, path), start, total, None, part.name, video, *times)
    if not len(table):
        raise ValueError(f"{options.lists[part.name]} lists no videos. Pass a list of videos.")
    return len(table)


def _counts(part: Part, selection: Selection, kept: int) -> dict[str, Any]:
    distinct = selection.distinct()
    return {"read": selection.read, "repeated": selection.read - distinct, "not_drawn": distinct - kept, "kept": kept,
            "paper": part.paper}  # fmt: skip
