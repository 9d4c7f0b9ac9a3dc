# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sources that name their classes in an order of their own, brought to one common list of classes by name."""

import dataclasses
from collections.abc import Sequence

from modeling_videomae_v2.labels_videomae_v2 import RENAMES_ADVICE, select_classes

from .sources import Source, Video


NAME_IN_ORDER = "List the names of all classes, the class of label 0 first (labels_file)."


class RelabelledSource(Source):
    """A source whose labels are numbers in another list of classes.

    Args:
        source: Knows the names of its classes.
        classes: Names of all classes, those of the source among them (case and punctuation do not matter).

    Attributes:
        source: The source as it is, with its own numbers of classes.

    Raises:
        ValueError: A class of the source is not among them.
    """

    def __init__(self, source: Source, classes: Sequence[str]) -> None:
        if source.classes is None:
            raise ValueError(f"{source.name} does not name its classes.")
        try:
            self._labels = select_classes(classes, source.classes)
        except ValueError as error:
            raise ValueError(
                f"The classes of {source.name} do not fit the list of classes (labels, labels_file): "
                f"{str(error).removesuffix(RENAMES_ADVICE)} Correct one or the other."
            ) from error
        self.source, self.name, self.classes = source, source.name, tuple(classes)
        self.sequential, self.lanes = source.sequential, source.lanes
        self.sampling_rate, self.weight = source.sampling_rate, source.weight

    @property
    def length(self) -> int | None:
        return self.source.length

    def get(self, index: int, epoch: int) -> Video:
        video = self.source.get(index, epoch)
        return video if video.label is None else dataclasses.replace(video, label=self._labels[video.label])

    def num_classes(self) -> int | None:
        return len(self.classes or ())


def with_classes(source: Source, classes: Sequence[str] | None) -> Source:
    """The source with labels that number `classes`, if both know names and do not agree."""
    if classes is None or source.classes is None or source.classes == tuple(classes):
        return source
    return RelabelledSource(source, classes)


def misplaced_number(names: Sequence[str], whose: str, others: str) -> str | None:
    """What is wrong where all classes are called by numbers that do not follow each other: the folders `0`, `10`, `2`.

    Beside labels that are numbers, one of them would then mean two classes.

    Args:
        names: Names of classes, by label.
        whose: Who names them.
        others: Who has numbers alone.

    Returns:
        Words for an error; None where the names are no numbers, or follow each other from whichever number on.
    """
    if not all(name.isdecimal() for name in names):
        return None
    for place, name in enumerate(names):
        if int(name) != int(names[0]) + place:
            return (
                f"{whose} has classes that are called by numbers, of which {name!r} has the label {place}; {others} "
                "has numbers alone."
            )
    return None
