# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From a recipe to batches."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, default_collate

from .augment import RandomResizedCrop, ViewMaker
from .clips import ClipDataset, FrameSampler
from .faults import FaultCounter
from .frame_cache import FrameCache
from .mixture import Mixture, open_sources
from .randaugment import RandAugment
from .sampler import EpochSampler
from .workers import started, worker_options


if TYPE_CHECKING:
    from ..recipe import DataRecipe


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Put items of a `ClipDataset` together.

    Returns:
        `pixel_values` uint8 `(batch * views, T, C, H, W)`, the views of a video side by side, laid out in memory with
        the channels last; `labels` int64 `(batch * views,)`, where there are any; `bad` int64 `(batch,)`; `faults`, all
        videos that could not be read.
    """
    # unlike `torch.stack`, it puts them, in a worker, straight into the memory that the main process reads
    clips = default_collate([item["pixel_values"].permute(0, 1, 3, 4, 2) for item in items])
    views = clips.shape[1]
    batch: dict[str, Any] = {
        "pixel_values": clips.flatten(0, 1).permute(0, 1, 4, 2, 3),
        "bad": torch.tensor([item["bad"] for item in items]),
        "faults": [fault for item in items for fault in item["faults"]],
    }
    if "labels" in items[0]:
        batch["labels"] = torch.tensor([item["labels"] for item in items]).repeat_interleave(views)
    return batch


class ClipLoader(DataLoader):
    """`DataLoader` over a `ClipDataset` that counts the unreadable videos of the batches it hands out.

    Neither order nor content depends on the number of workers, but for streams, of which each reads its own part. It
    draws nothing from the global generators.

    Args:
        dataset: The clips.
        sampler: The keys.
        faults: Counter; it raises `TooManyBadVideosError` out of the iteration.
        workers: Processes that decode, one thread each; 0: this process decodes.
        prefetch: Batches that each of them holds ready.
        pin_memory: Put batches where a GPU can fetch them.
    """

    def __init__(
        self, dataset: ClipDataset, sampler: EpochSampler, faults: FaultCounter, *, workers: int = 0, prefetch: int = 2,
        pin_memory: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            dataset, batch_sampler=sampler, collate_fn=collate, pin_memory=pin_memory,
            generator=torch.Generator().manual_seed(0), **worker_options(workers, prefetch),
        )  # fmt: skip
        self.faults = faults

    @property
    def mixture(self) -> Mixture:
        """The sources."""
        return self.dataset.mixture

    @property
    def samples_per_epoch(self) -> int | None:
        """Videos in an epoch, over all processes; None for a stream of unknown length."""
        return self.batch_sampler.samples_per_epoch

    def set_position(self, samples_seen: int) -> None:
        """Start the next iteration with this sample, counted over all processes and epochs."""
        self.batch_sampler.set_position(samples_seen)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in started(self):
            self.faults.count(len(batch["bad"]), int(batch["bad"].sum()), batch.pop("faults"))
            yield batch


def make_view_maker(recipe: "DataRecipe", training: bool = True) -> ViewMaker:
    """Crops, flips and augmentation of a recipe; without RandAugment and crops of random area unless in training."""
    augment = recipe.augment
    resized = randomly = None
    if training and augment.crop == "random_resized":
        resized = RandomResizedCrop(tuple(augment.crop_area), tuple(augment.crop_aspect))
    if training and augment.rand_augment:
        randomly = RandAugment(augment.num_ops, augment.magnitude, augment.noise_std, augment.op_prob)
    multi_scale = recipe.multi_scale_crop and augment.crop in (None, "multi_scale")
    return ViewMaker(recipe.image_size, recipe.views, multi_scale, recipe.flip, resized, randomly)


def build_loader(
    recipe: "DataRecipe", *, batch_size: int, seed: int = 0, labelled: bool = False, num_processes: int = 1,
    process_index: int = 0, pin_memory: bool = False, training: bool = True, classes: Sequence[str] | None = None,
    num_labels: int | None = None,
) -> ClipLoader:  # fmt: skip
    """Open the sources of a recipe and make the loader of one process.

    Args:
        recipe: The data; `recipe.seed` goes before `seed`.
        batch_size: Videos in a batch of this process; each gives `recipe.views` clips.
        seed: Seed of order, cuts and crops.
        labelled: Whether the batches get `labels`.
        num_processes: Processes that share the data.
        process_index: Which of them this is.
        pin_memory: Put batches where a GPU can fetch them.
        training: Random order, frames and crops, without end. False: every video once, whatever its weight, in order,
            the frames in the middle and, unless `recipe.multi_scale_crop`, of the picture too, without RandAugment; the
            last batches may be short, and unreadable videos are counted, but never too many.
        classes: Names of the classes that labels number; sources that name theirs in another order are brought to it.
        num_labels: How many there are; a video with another label ends the iteration with a `DataError`.

    Raises:
        FileNotFoundError, ValueError: A source cannot be opened; before any video is read.
    """
    seed = seed if recipe.seed is None else recipe.seed
    lanes = num_processes * max(recipe.workers, 1) if training else 1
    mixture = open_sources(recipe, labelled=labelled, seed=seed, shuffle=training, classes=classes, lanes=lanes)
    if not training and not len(mixture):
        raise ValueError(
            f"{mixture.sources[0].name} does not say how many videos it has, so it cannot be gone through once. Set "
            "`streaming` to false."
        )
    if not training:
        for source in mixture.sources:
            source.weight = 1.0
    choose = FrameSampler(recipe.num_frames, recipe.sampling_rate, recipe.sampling, random=training)
    make_views = make_view_maker(recipe, training)
    sampler = EpochSampler(
        mixture.sources, batch_size=batch_size, seed=seed, num_processes=num_processes, process_index=process_index,
        shuffle=training, num_samples=None if training else len(mixture),
    )  # fmt: skip
    faults = FaultCounter(recipe.max_bad_share if training else 1.0, num_videos=len(mixture))
    workers = {"workers": recipe.workers, "prefetch": recipe.prefetch}
    dataset = ClipDataset(mixture, choose, make_views, seed, FrameCache(int(recipe.cache_gib * 2**30)), num_labels)
    return ClipLoader(dataset, sampler, faults, pin_memory=pin_memory, **workers)
