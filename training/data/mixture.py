# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The sources of a recipe as one list of videos."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .files import FolderSource, ListSource
from .hub import open_hub_source
from .relabel import NAME_IN_ORDER, misplaced_number, with_classes
from .shards import TarSource
from .sources import Source


if TYPE_CHECKING:
    from ..recipe import DataRecipe, SourceRecipe


class Mixture:
    """Several sources as one list of videos, numbered one source after the other.

    Attributes:
        sources: The sources.
        starts: Number of the first video of each source.
        classes: Names of the classes, where the sources know them; None otherwise.

    Raises:
        ValueError: The sources name different classes, or one of several is a stream of unknown length.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)
        unknown = [source.name for source in self.sources if source.length is None]
        if unknown and len(self.sources) > 1:
            raise ValueError(
                f"The stream {unknown[0]} does not say how many videos it has, so it cannot be mixed with other "
                "sources. Train on it alone, or set `streaming` to false."
            )
        lengths = [source.length or 0 for source in self.sources]
        self.starts = np.cumsum([0, *lengths])
        named = {source.classes for source in self.sources if source.classes is not None}
        if len(named) > 1:
            raise ValueError(
                "The sources name different classes, so that one label would mean two things: "
                f"{', '.join(repr(source.name) for source in self.sources)}. Give them one common list of classes "
                "(labels_file)."
            )
        self.classes = named.pop() if named else None

    def __len__(self) -> int:
        """Number of videos, 0 where a stream does not know it."""
        return int(self.starts[-1])

    def locate(self, index: int) -> tuple[Source, int]:
        """Source of video `index` and its number there."""
        if len(self.sources) == 1:
            return self.sources[0], index
        place = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.sources[place], index - int(self.starts[place])

    def num_classes(self) -> int | None:
        """Number of classes over all sources, None where it is not known."""
        counts = [source.num_classes() for source in self.sources]
        return None if None in counts else max(counts)


def open_source(recipe: "SourceRecipe", *, labelled: bool, seed: int, shuffle: bool, lanes: int = 1) -> Source:
    """The source that a recipe describes.

    Args:
        recipe: Its description.
        labelled: Whether labels are wanted.
        seed: Seed of the order of a stream.
        shuffle: Whether a stream is shuffled.
        lanes: Lanes of a stream.

    Raises:
        FileNotFoundError, ValueError: As the sources.
    """
    common: dict[str, Any] = {"labelled": labelled, "path_pattern": recipe.path_pattern}
    source: Source
    if recipe.kind == "list":
        source = ListSource(recipe.path, recipe.root, pattern=recipe.pattern, **common)
    elif recipe.kind == "folder":
        source = FolderSource(recipe.path, pattern=recipe.pattern, **common)
    elif recipe.kind == "tar":
        source = TarSource(recipe.path, **common)
    else:
        source = open_hub_source(recipe, seed=seed, shuffle=shuffle, lanes=lanes, **common)
    source.sampling_rate, source.weight = recipe.sampling_rate, recipe.weight
    return source


def open_sources(
    recipe: "DataRecipe", *, labelled: bool, seed: int, shuffle: bool = True, classes: Sequence[str] | None = None,
    lanes: int = 1,
) -> Mixture:  # fmt: skip
    """All sources of a recipe, see `open_source`.

    Args:
        recipe: The data.
        labelled: Whether labels are wanted.
        seed: Seed of the order of streams.
        shuffle: Whether streams are shuffled.
        classes: What labels number; a source that names its classes in another order is brought to this one.
        lanes: Lanes of streams, which so many workers read.

    Raises:
        FileNotFoundError, ValueError: As the sources and `Mixture`; or some name their classes, by numbers, and others
            have labels that would mean others of them.
    """
    common: dict[str, Any] = {"labelled": labelled, "seed": seed, "shuffle": shuffle, "lanes": lanes}
    sources = [open_source(source, **common) for source in recipe.sources]
    mixture = Mixture([with_classes(source, classes) for source in sources])
    named = [source.name for source in sources if source.classes is not None]
    numbered = [source.name for source in sources if source.classes is None]
    if classes is None and named and numbered:  # else the caller says what 0, 1, ... are
        problem = misplaced_number(mixture.classes or (), named[0], numbered[0])
        if problem:
            raise ValueError(f"{problem} {NAME_IN_ORDER}")
    return mixture
