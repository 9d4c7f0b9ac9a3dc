# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds Kinetics-710 out of the lists of three versions: the files for training, and what was counted."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from modeling_videomae_v2.labels_videomae_v2 import read_labels

from .classes import UnitedClasses, read_renames, unite
from .kinetics710 import Merged, merge, report
from .kinetics_lists import UNKNOWN_TIME, Clips, KineticsList, KineticsReader, template_fields
from .manifest import ROWS_AT_A_TIME, ListWriter, ManifestWriter, joined, manifest_schema
from .outputs import OutputFolder
from .versions import FILE_NAME, PREFERENCE, SPLITS


FILE_OF_SPLIT = {"training": "train", "validation": "validation"}


@dataclass(frozen=True)
class KineticsOptions:
    """What Kinetics-710 is built from.

    Attributes:
        lists: The list files.
        labels: File with the class names of a version, in the order of their numbers.
        label_map: File with the names of the 710 classes in the order of their numbers; None: sorted by name.
        renames: File with new names of classes by old ones; None: none.
        template: Path of the video of a CSV line, from `{id}`, `{start}`, `{end}`, `{label}`, `{version}`, `{split}`.
        folders: Folder that the paths of a version get in front.
        root: Folder of the videos, for the manifests.
        preference: Versions, the one whose class and file are taken first where several have a video.
    """

    lists: Sequence[KineticsList]
    labels: Mapping[int, str] = field(default_factory=dict)
    label_map: str | None = None
    renames: str | None = None
    template: str = FILE_NAME
    folders: Mapping[int, str] = field(default_factory=dict)
    root: str = ""
    preference: tuple[int, ...] = PREFERENCE


def build_kinetics710(
    options: KineticsOptions,
    output: str,
    *,
    force: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Write lists (`train.txt`, `validation.txt`), manifests (`*.parquet`), classes, conflicts and `report.json`.

    Args:
        options: The lists.
        output: Folder to write to.
        force: Whether files with other content may be replaced.
        progress: Gets what is being done.

    Returns:
        The report.

    Raises:
        FileNotFoundError: A list is not there.
        FileExistsError: A file with other content is.
        ValueError: A line is wrong, or there is no training list.
    """
    if not any(SPLITS[item.split] == "training" for item in options.lists):
        raise ValueError("There is no training list. Pass --train 400=FILE, --train 600=FILE, --train 700=FILE.")
    fields = template_fields(options.template)
    labels = {version: read_labels(path) for version, path in options.labels.items()}
    label_map = None if options.label_map is None else read_labels(options.label_map)
    renames = {} if options.renames is None else read_renames(options.renames)
    reader = KineticsReader(labels, fields)
    clips = reader.read(options.lists, lambda item: progress(f"Reading {item.path}"))
    progress("Merging")
    classes = unite(clips.names, labels, renames, label_map, options.preference)
    is_renamed = [item.name in classes.renamed.get(item.version, ()) for item in clips.names]
    merged = merge(clips, classes.numbers, is_renamed, options.preference)
    found = {"classes": _class_report(classes), "preference": list(options.preference)}
    found |= report(merged, clips, classes.names)
    progress("Writing")
    with OutputFolder(output, force) as folder:
        for split, rows in zip(SPLITS, merged.rows):
            if len(rows):
                _write_split(folder, FILE_OF_SPLIT[split], _rows(clips, merged, rows, options), classes.names, options)
        _write_conflicts(folder, clips, merged, classes.names)
        folder.write_text("label_map_k710.txt", "".join(f"{name}\n" for name in classes.names))
        for version, numbers in classes.by_version.items():
            folder.write_json(f"label_710to{version}.json", numbers)
        folder.write_json("report.json", found)
    return found


def _class_report(classes: UnitedClasses) -> dict[str, Any]:
    return {
        "count": len(classes.names),
        "renamed": {str(version): dict(sorted(names.items())) for version, names in sorted(classes.renamed.items())},
        "kept_apart": dict(sorted(classes.kept_apart.items())),
    }


class _Row(NamedTuple):
    path: str
    label: int
    version: int
    video: str
    start: int | None
    end: int | None


def _rows(clips: Clips, merged: Merged, rows: np.ndarray, options: KineticsOptions) -> Iterator[_Row]:
    """What is written of each clip."""
    versions = [item.version for item in clips.lists]
    splits = [FILE_OF_SPLIT[SPLITS[item.split]] for item in clips.lists]
    folders = [options.folders.get(version, "") for version in versions]
    names, fill = [item.name for item in clips.names], options.template.format
    for at in range(0, len(rows), ROWS_AT_A_TIME):
        part = rows[at : at + ROWS_AT_A_TIME]
        columns = (clips.files, clips.spellings, clips.start, clips.end, merged.labels)
        numbers = zip(part.tolist(), clips.texts(part), *(column[part].tolist() for column in columns))
        for row, video, file, spelling, start, end, label in numbers:
            version = versions[file]
            path = clips.paths[row] or fill(
                id=video, start=start, end=end, label=names[spelling], version=version, split=splits[file]
            )
            known = start != UNKNOWN_TIME
            yield _Row(
                joined(folders[file], path), label, version, video, start if known else None, end if known else None
            )


def _write_split(
    folder: OutputFolder, name: str, rows: Iterator[_Row], class_names: Sequence[str], options: KineticsOptions
) -> None:
    with (
        ListWriter(folder.file(f"{name}.txt"), ("path", "label")) as lines,
        ManifestWriter(folder.file(f"{name}.parquet"), manifest_schema(class_names)) as manifest,
    ):
        for row in rows:
            lines.add(row.path, row.label)
            path = joined(options.root, row.path)
            manifest.add(path, 0, -1, row.label, f"k{row.version}", row.video, row.start, row.end)


def _write_conflicts(folder: OutputFolder, clips: Clips, merged: Merged, names: Sequence[str]) -> None:
    """A CSV file with a line for each dropped clip whose class differs from that of the clip that stays."""

    with folder.file("conflicts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["youtube_id", "split", "kept_version", "kept_class", "dropped_version", "dropped_class"])
        for at in range(0, len(merged.conflicts), ROWS_AT_A_TIME):
            kept, dropped = merged.conflicts[at : at + ROWS_AT_A_TIME].T
            sides = [zip(clips.files[rows].tolist(), merged.labels[rows].tolist()) for rows in (kept, dropped)]
            for video, (file, label), (other_file, other_label) in zip(clips.texts(kept), *sides):
                item, other = clips.lists[file], clips.lists[other_file]
                writer.writerow(
                    [video, SPLITS[item.split], item.version, names[label], other.version, names[other_label]]
                )
