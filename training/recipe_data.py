# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The part of a recipe about data: which videos, and what clips are made of them."""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from .recipe_parsing import knob


@dataclass
class SourceRecipe:
    """One collection of videos."""

    path: str = knob(
        "",
        "list file, folder, saved data set or name of one, or shards (`shards/{000..127}.tar`, also with * and ?)",
        is_path=True,
    )
    kind: Literal["list", "folder", "datasets", "tar"] = knob(
        "list",
        "list: lines `path start total`, `path total label` or `path label`; folder: one folder per class; "
        "datasets: a Hugging Face data set with a video column; tar: tar shards",
    )
    root: str = knob(
        "", "folder that relative paths in a list start from; default: the folder of the list", is_path=True
    )
    sampling_rate: int | None = knob(None, "distance of the frames of a clip, in frames; default: data.sampling_rate")
    weight: float = knob(1.0, "how often each video is taken per epoch, on average; 1 is a plain union of the sources")
    pattern: str = knob("img_{:05}.jpg", "names of the frames where a video is a folder of pictures, by number")
    path_pattern: str | None = knob(None, "regular expression; only videos whose path it finds are taken")
    video_column: str = knob("video", "datasets: column with the video")
    label_column: str | None = knob("label", "datasets: column with the class, if there is one")
    split: str = knob("train", "datasets: split to take")
    streaming: bool = knob(False, "datasets: read as a stream, without a copy on this machine")
    num_videos: int | None = knob(None, "datasets: number of videos of a stream, where it does not know it")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words; each begins with the name of the field."""
        found = []
        if not self.path:
            found.append("path is missing")
        if not (math.isfinite(self.weight) and self.weight > 0):
            found.append(f"weight must be above 0, got {self.weight}")
        for name in ("sampling_rate", "num_videos"):
            value = getattr(self, name)
            if value is not None and value < 1:
                found.append(f"{name} must be at least 1, got {value}")
        try:
            re.compile(self.path_pattern or "")
        except re.error as error:
            found.append(f"path_pattern ({self.path_pattern}) is no regular expression: {error}")
        if not numbers_files(self.pattern):
            found.append(f"pattern ({self.pattern}) must hold the place of a number, as img_{{:05}}.jpg does")
        return found


def numbers_files(pattern: str) -> bool:
    """Whether a pattern makes different names of different numbers."""
    try:
        return pattern.format(1) != pattern.format(2)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


@dataclass
class AugmentRecipe:
    """What happens to the views of a clip in training, beside data.flip; the same for all frames."""

    crop: Literal["multi_scale", "random_resized", "centre"] | None = knob(
        None,
        "multi_scale: nearly square parts of a few scales (paper); random_resized: parts of any area and aspect, as in "
        "the released fine-tuning script; centre; default: multi_scale or centre, as data.multi_scale_crop says",
    )
    crop_area: list[float] = knob(lambda: [0.08, 1.0], "random_resized: smallest and largest share of the frame")
    crop_aspect: list[float] = knob(lambda: [3 / 4, 4 / 3], "random_resized: smallest and largest width over height")
    rand_augment: bool = knob(False, "RandAugment, by default with the strength of the released fine-tuning script")
    num_ops: int = knob(4, "RandAugment: operations that are drawn for a view")
    magnitude: float = knob(7.0, "RandAugment: their strength, from 0 to 10")
    noise_std: float = knob(0.5, "RandAugment: standard deviation of the noise on the strength")
    op_prob: float = knob(0.5, "RandAugment: share of the drawn operations that are carried out")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        for name, largest in (("crop_area", 1.0), ("crop_aspect", math.inf)):
            pair = getattr(self, name)
            if len(pair) != 2 or not 0.0 < pair[0] <= pair[1] <= largest or math.isinf(pair[1]):
                limit = "above 0" if math.isinf(largest) else "in (0, 1]"
                found.append(f"data.augment.{name} must be two numbers {limit}, the smaller one first, got {pair}")
        if self.num_ops < 1:
            found.append(
                f"data.augment.num_ops must be at least 1, got {self.num_ops}; rand_augment: false turns it off"
            )
        if not 0.0 <= self.magnitude <= 10.0:
            found.append(f"data.augment.magnitude must lie in [0, 10], got {self.magnitude}")
        if not 0.0 <= self.noise_std < math.inf:
            found.append(f"data.augment.noise_std must not be negative, got {self.noise_std}")
        if not 0.0 <= self.op_prob <= 1.0:
            found.append(f"data.augment.op_prob must lie in [0, 1], got {self.op_prob}")
        return found


@dataclass
class DataRecipe:
    """What clips are made of and how they are cut."""

    sources: list[SourceRecipe] = knob(list, "the collections to mix")
    num_frames: int = knob(16, "frames per clip")
    sampling_rate: int = knob(4, "distance of the frames of a clip, in frames of the video")
    sampling: Literal["dense", "uniform"] = knob(
        "dense", "dense: `sampling_rate` apart; uniform: one frame of each of `num_frames` equal segments"
    )
    image_size: int = knob(224, "side of the clip, in pixels")
    views: int = knob(1, "clips cut from one decoded video (repeated augmentation)")
    multi_scale_crop: bool = knob(True, "crop of random scale, position and aspect; otherwise a centre crop")
    flip: bool = knob(False, "mirror half of the clips; never where left and right are classes")
    augment: AugmentRecipe = knob(AugmentRecipe, "further augmentation, for fine-tuning and distillation")
    workers: int = knob(8, "processes per training process that decode; 0 decodes in the training process")
    prefetch: int = knob(2, "batches that each worker holds ready")
    cache_gib: float = knob(
        0.0, "memory in GiB, of each worker, for small video files that stay decoded; worth it where epochs are many"
    )
    max_bad_share: float = knob(
        0.01,
        "share of unreadable videos above which training stops; judged with a margin for chance where few were seen",
    )
    seed: int | None = knob(None, "seed of order, cuts and crops; default: the seed of the recipe")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = [f"data.{name} must be at least {low}, got {getattr(self, name)}" for name, low in _LOWEST_DATA.items()
                 if getattr(self, name) < low]  # fmt: skip
        if not (math.isfinite(self.cache_gib) and self.cache_gib >= 0):
            found.append(f"data.cache_gib must be 0 or more, got {self.cache_gib}")
        if not 0.0 <= self.max_bad_share <= 1.0:
            found.append(f"data.max_bad_share must lie in [0, 1], got {self.max_bad_share}")
        found += not_negative_problems("data", self, "seed")
        found += self.augment.problems()
        if not self.multi_scale_crop and self.augment.crop not in (None, "centre"):
            found.append(
                f"data.augment.crop ({self.augment.crop}) contradicts data.multi_scale_crop (false); leave one out"
            )
        if not self.sources:
            found.append("data.sources is empty; name at least one collection of videos")
        for i, source in enumerate(self.sources):
            found += [f"data.sources.{i}.{problem}" for problem in source.problems()]
        return found


_LOWEST_DATA = {"num_frames": 1, "sampling_rate": 1, "image_size": 1, "views": 1, "workers": 0, "prefetch": 1}


def address_problems(output_dir: str) -> list[str]:
    """In words, that `output_dir` is an address, of which a folder `s3:` would become here; nothing if it is none."""
    wrong = f"output_dir ({output_dir}) is an address; name a folder, and copy it there afterwards"
    return [wrong] * ("://" in output_dir)


def not_negative_problems(where: str, part: Any, *names: str) -> list[str]:
    """In words, which of these values of a part of a recipe are negative or not finite."""
    values = {name: getattr(part, name) for name in names}
    return [
        f"{where}.{name} must not be negative, got {value}"
        for name, value in values.items()
        if value is not None and not 0 <= value < math.inf
    ]
