# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which classes of a head to keep when a checkpoint is converted, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..labels_videomae_v2 import read_json, read_labels, read_renames, select_classes


@dataclass(frozen=True)
class LabelFiles:
    """Files about the classes of a head.

    Attributes:
        labels: Names of the classes, see `read_labels`.
        label_map: Which of the checkpoint's classes to keep and in what order: a JSON list of their ids, as the
            authors' `label_710to400.json`, or the names of the classes wanted.
        renames: A JSON object of other names of the same classes, for a `label_map` of names.
    """

    labels: Path | None = None
    label_map: Path | None = None
    renames: Path | None = None

    def given(self) -> bool:
        """Whether there is any."""
        return any((self.labels, self.label_map, self.renames))


def choose_classes(
    num_classes: int, known: Sequence[str] | None, files: LabelFiles
) -> tuple[list[int] | None, list[str] | None]:
    """Which classes of a head to keep, and what they are called.

    Args:
        num_classes: Classes of the head.
        known: Their names, if the checkpoint has them.
        files: What the user says about them. The names in `labels` are those of the head's classes, or, if there are as
            many as `label_map` keeps, of those.

    Returns:
        Indices of the classes to keep (None: all as they are), and names (None: not known).

    Raises:
        ValueError: The files do not fit each other or the head.
    """
    names = None if files.labels is None else read_labels(files.labels)
    if files.label_map is None:
        if files.renames is not None:
            raise ValueError("`renames` serves to find the classes of a `label_map`; there is none.")
        if names is not None and len(names) != num_classes:
            raise ValueError(f"{files.labels} names {len(names)} classes; the checkpoint has {num_classes}.")
        return None, names
    wanted = _read_label_map(files.label_map)
    if names is not None and len(names) not in (num_classes, len(wanted)):
        raise ValueError(
            f"{files.labels} names {len(names)} classes; expected the {num_classes} of the checkpoint or the "
            f"{len(wanted)} that {files.label_map} keeps."
        )
    there = names if names is not None and len(names) == num_classes else known
    new_names = names if names is not None and len(names) != num_classes else None
    if isinstance(wanted[0], str):
        if there is None:
            raise ValueError(
                f"{files.label_map} holds names, and those of the checkpoint's {num_classes} classes are not known: "
                "pass them as `labels`."
            )
        renames = None if files.renames is None else read_renames(files.renames)
        return select_classes(there, wanted, renames), new_names or list(wanted)
    if files.renames is not None:
        raise ValueError(f"`renames` serves to find names, and {files.label_map} holds ids. Leave it out.")
    wrong = [index for index in wanted if not 0 <= index < num_classes]
    if wrong or len(set(wanted)) != len(wanted):
        what = f"the class {wrong[0]}, and the checkpoint has {num_classes}" if wrong else "a class twice"
        raise ValueError(f"{files.label_map} names {what}.")
    return wanted, new_names or (None if there is None else [there[index] for index in wanted])


def _read_label_map(path: Path) -> list[int] | list[str]:
    """Ids or names of classes."""
    if path.suffix.lower() == ".json":
        content = read_json(path)
        if isinstance(content, list) and content and all(type(index) is int for index in content):
            return content
        if not isinstance(content, list):
            raise ValueError(f"{path} must hold a list of class ids or names; other names of classes go to `renames`.")
    return read_labels(path)
