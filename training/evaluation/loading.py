# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos in, groups of views out: each video once, in groups that do not depend on how many processes share them."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch.utils.data import DataLoader, Dataset

from ..data.clips import unreadable_errors
from ..data.faults import DataError, Fault
from ..data.mixture import Mixture
from ..data.sources import IndexedSource
from ..data.workers import worker_options
from .classes import ClassMap
from .recipe import EvaluationDataRecipe
from .views import ViewMaker


@dataclass(frozen=True)
class Sample:
    """One video of the data.

    Attributes:
        number: Its place in the data, over all sources.
        name: Its path, or how messages name it.
        label: Its class among those of the results.
        views: uint8 `(views, T, C, H, W)`; None where it cannot be read.
        error: Why not.
    """

    number: int
    name: str
    label: int
    views: torch.Tensor | None = None
    error: str | None = None

    def pin_memory(self) -> "Sample":
        """The same with views where a GPU can fetch them; the loader calls it."""
        return self if self.views is None else dataclasses.replace(self, views=self.views.pin_memory())


@dataclass
class ViewDataset(Dataset):
    """Views of the videos of a mixture, by number.

    Attributes:
        mixture: The sources; each knows its length.
        make_views: Decodes and cuts.
        classes: Turns labels into classes.

    Raises:
        DataError: On access to a video that can be read, but not cut into these views.
    """

    mixture: Mixture
    make_views: ViewMaker
    classes: ClassMap
    _unreadable: tuple[type[Exception], ...] = field(default_factory=unreadable_errors, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, number: int) -> Sample:
        source, place = self.mixture.locate(number)
        name, label = f"{source.name}[{place}]", None
        try:
            if isinstance(source, IndexedSource):  # known even where the file is not there
                name, label = source.paths[place], source.label(place)
            video = source.get(place, 0)
            name, label = video.name, video.label
            views = self.make_views(video, source.sampling_rate)
            return Sample(number, name, self.classes.target(label), views)
        except self._unreadable as error:
            return Sample(number, name, self.classes.target(label), error=Fault.of(name, error).reason)
        except ValueError as error:
            raise DataError(f"{name} cannot be evaluated: {error}") from error


def groups_of(length: int, size: int, done: Collection[int]) -> list[list[int]]:
    """Videos in groups that are computed together, without those that are done.

    A group is a fixed stretch of the data, whoever computes it: together with the same software and hardware that makes
    the numbers of any number of processes the same to the last bit.

    Args:
        length: Videos in the data.
        size: Videos in a group.
        done: Numbers of videos that need no more work.
    """
    stretches = (range(first, min(first + size, length)) for first in range(0, length, size))
    groups = ([number for number in stretch if number not in done] for stretch in stretches)
    return [group for group in groups if group]


def group_size(batch_size: int, num_views: int) -> int:
    """Videos in a group: as many as fit into a forward pass of `batch_size` clips, at least one."""
    return max(1, batch_size // num_views)


def make_loader(
    dataset: ViewDataset, groups: Sequence[list[int]], recipe: EvaluationDataRecipe, pin_memory: bool
) -> DataLoader:
    """Loader of the groups of one process; it gives lists of `Sample`s."""
    return DataLoader(
        dataset, batch_sampler=groups, collate_fn=list, pin_memory=pin_memory,
        generator=torch.Generator().manual_seed(0),
        **worker_options(min(recipe.workers, len(groups)), recipe.prefetch),
    )  # fmt: skip
