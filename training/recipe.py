# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run is made of: every knob, typed, documented where it is declared, and checked before anything starts.

A recipe is a YAML file of these keys (`training/recipes/`); `--key value` on the command line overrides it, with dots
for nested keys and numbers for places in a list: `--data.workers 4 --data.sources.0.root /data/ssv2`.
"""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from modeling_videomae_v2 import VideoMAEv2Config

from .compiling import CompileMode
from .recipe_parsing import RecipeError, assign, build, describe, knob, read_yaml, split_arguments


@dataclass
class SourceRecipe:
    """One collection of videos."""

    path: str = knob(
        "", "list file, folder, saved data set or name of one, or shards (`shards/{000..127}.tar`, also with * and ?)"
    )
    kind: Literal["list", "folder", "datasets", "tar"] = knob(
        "list",
        "list: lines `path start total`, `path total label` or `path label`; folder: one folder per class; "
        "datasets: a Hugging Face data set with a video column; tar: tar shards",
    )
    root: str = knob("", "folder that relative paths in a list start from; default: the folder of the list")
    sampling_rate: int | None = knob(None, "distance of the frames of a clip, in frames; default: data.sampling_rate")
    weight: float = knob(1.0, "how often each video is taken per epoch, on average; 1 is a plain union of the sources")
    pattern: str = knob("img_{:05}.jpg", "names of the frames where a video is a folder of pictures, counted from 1")
    path_pattern: str | None = knob(None, "regular expression; only videos whose path it finds are taken")
    video_column: str = knob("video", "datasets: column with the video")
    label_column: str | None = knob("label", "datasets: column with the class, if there is one")
    split: str = knob("train", "datasets: split to take")
    streaming: bool = knob(False, "datasets: read as a stream, without a copy on this machine")
    num_videos: int | None = knob(None, "datasets: number of videos of a stream, where it does not know it")


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
    max_bad_share: float = knob(0.01, "share of unreadable videos above which training stops")
    seed: int | None = knob(None, "seed of order, cuts and crops; default: the seed of the recipe")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = [f"data.{name} must be at least {low}, got {getattr(self, name)}" for name, low in _LOWEST_DATA.items()
                 if getattr(self, name) < low]  # fmt: skip
        if not (math.isfinite(self.cache_gib) and self.cache_gib >= 0):
            found.append(f"data.cache_gib must be 0 or more, got {self.cache_gib}")
        if not 0.0 <= self.max_bad_share <= 1.0:
            found.append(f"data.max_bad_share must lie in [0, 1], got {self.max_bad_share}")
        found += self.augment.problems()
        if not self.multi_scale_crop and self.augment.crop not in (None, "centre"):
            found.append(
                f"data.augment.crop ({self.augment.crop}) contradicts data.multi_scale_crop (false); leave one out"
            )
        if not self.sources:
            found.append("data.sources is empty; name at least one collection of videos")
        for i, source in enumerate(self.sources):
            if not source.path:
                found.append(f"data.sources.{i}.path is missing")
            if not (math.isfinite(source.weight) and source.weight > 0):
                found.append(f"data.sources.{i}.weight must be above 0, got {source.weight}")
            if source.sampling_rate is not None and source.sampling_rate < 1:
                found.append(f"data.sources.{i}.sampling_rate must be at least 1, got {source.sampling_rate}")
            if source.num_videos is not None and source.num_videos < 1:
                found.append(f"data.sources.{i}.num_videos must be at least 1, got {source.num_videos}")
        return found


_LOWEST_DATA = {"num_frames": 1, "sampling_rate": 1, "image_size": 1, "views": 1, "workers": 0, "prefetch": 1}


@dataclass
class ModelRecipe:
    """Architecture and where the weights come from. Size and frames of the clip stand under `data`."""

    preset: str = knob("base", "published size: small, base, large, huge or giant")
    config: dict[str, Any] = knob(dict, "fields of VideoMAEv2Config that differ from the preset, or from init_from")
    init_from: str | None = knob(
        None, "folder or Hub repository to start from, architecture and weights; default: the preset, random weights"
    )
    attention: str | None = knob(None, "attention function (sdpa, eager, flash_attention_2, flex_attention)")


@dataclass
class OptimizerRecipe:
    """AdamW."""

    base_lr: float = knob(1.5e-4, "learning rate per 256 clips; the peak is base_lr * total batch / 256")
    weight_decay: float = knob(0.05, "decoupled weight decay; biases and one-dimensional parameters get none")
    betas: list[float] = knob(lambda: [0.9, 0.95], "momentum terms")
    eps: float = knob(1e-8, "term added to the denominator")
    layer_decay: float = knob(1.0, "factor on the learning rate from each encoder block to the one below it")
    clip_grad: float | None = knob(None, "largest norm of the gradient; default: no limit")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if len(self.betas) != 2 or not all(0.0 <= beta < 1.0 for beta in self.betas):
            found.append(f"optimizer.betas must be two numbers in [0, 1), got {self.betas}")
        if not 0.0 < self.layer_decay <= 1.0:
            found.append(f"optimizer.layer_decay must lie in (0, 1], got {self.layer_decay}")
        if self.clip_grad is not None and not self.clip_grad > 0:
            found.append(f"optimizer.clip_grad must be above 0, got {self.clip_grad}; null turns clipping off")
        return found + below_zero("optimizer", self, "base_lr", "weight_decay", "eps")


@dataclass
class ScheduleRecipe:
    """Length of the run and course of the learning rate: linear warm-up, then cosine to a floor, per step."""

    epochs: float = knob(1.0, "how often each video is sampled; every view counts (paper, Table 10)")
    count_views: bool = knob(True, "false: an epoch is one pass over the videos, however many views are cut from each")
    warmup_epochs: float = knob(0.0, "epochs of warm-up, counted the same way")
    max_steps: int | None = knob(None, "optimizer steps, instead of epochs; needed for streams of unknown length")
    warmup_steps: int | None = knob(None, "steps of warm-up, instead of warmup_epochs")
    warmup_lr: float = knob(0.0, "start of the warm-up, per 256 clips as base_lr")
    min_lr: float = knob(0.0, "floor of the cosine, per 256 clips as base_lr")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if self.max_steps is not None and self.max_steps < 1:
            found.append(f"schedule.max_steps must be at least 1, got {self.max_steps}")
        if self.max_steps is None and self.epochs <= 0:
            found.append(f"schedule.epochs must be above 0, got {self.epochs}")
        found += below_zero("schedule", self, "warmup_epochs", "warmup_steps", "warmup_lr", "min_lr")
        for part, whole in (("warmup_epochs", "epochs"), ("warmup_steps", "max_steps")):
            if None not in (getattr(self, part), getattr(self, whole)) and getattr(self, part) > getattr(self, whole):
                found.append(f"schedule.{part} ({getattr(self, part)}) is more than schedule.{whole}")
        return found


@dataclass
class EmaRecipe:
    """Exponential moving average of the weights."""

    decay: float | None = knob(
        None, "share of the average that stays at each step, such as 0.9999; about 1 - 10 / steps; default: no average"
    )
    export: bool = knob(True, "evaluate and save the averaged weights; otherwise they are only kept in checkpoints")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        if self.decay is None or 0.0 < self.decay < 1.0:
            return []
        return [f"ema.decay must lie between 0 and 1, got {self.decay}; null turns the average off"]


def below_zero(where: str, part: Any, *names: str) -> list[str]:
    """In words, which of these values of a part of a recipe are negative or not finite."""
    values = {name: getattr(part, name) for name in names}
    return [
        f"{where}.{name} must not be negative, got {value}"
        for name, value in values.items()
        if value is not None and not 0 <= value < math.inf
    ]


@dataclass
class CheckpointRecipe:
    """Checkpoints of a run, in `output_dir/checkpoints`."""

    every: int = knob(1000, "steps between checkpoints; a multiple of tracking.log_every, so that none is bad")
    keep: int = knob(3, "how many to keep; 0 keeps all")
    resume: bool = knob(True, "go on from the newest complete checkpoint; otherwise refuse to start over it")


@dataclass
class TrackingRecipe:
    """What is reported, and how often."""

    log_every: int = knob(10, "steps between two log lines; nothing waits for the device in between")
    picture_every: int = knob(0, "steps between two pictures of a reconstruction; 0: none")
    trackers: list[str] = knob(lambda: ["tensorboard"], "trackers that accelerate knows; [] for none")
    project: str = knob("videomae-v2", "name of the project in the trackers")
    progress_bar: bool = knob(True, "draw a bar where the output is a terminal")
    peak_tflops: float | None = knob(None, "peak of the device in TFLOP/s, for utilisation, where it is not known")


@dataclass
class Recipe:
    """A training run, whatever its task."""

    output_dir: str = knob("", "where everything is written: checkpoints, logs, pictures, the final model")
    seed: int = knob(0, "seed of weights, order of the data, crops and masks")
    batch_size: int = knob(8, "videos per process and forward pass; each gives data.views clips")
    total_batch_size: int | None = knob(
        None, "clips per optimizer step over all views, processes and accumulated passes; fixes the accumulation"
    )
    accumulation: int | None = knob(None, "forward passes per step; default: from total_batch_size, else 1")
    mixed_precision: Literal["no", "bf16", "fp16"] | None = knob(
        None, "number format of the products; default: what the accelerate configuration says"
    )
    tf32: bool = knob(True, "TF32 products where a GPU would compute in fp32")
    gradient_checkpointing: bool = knob(False, "recompute activations in the backward pass to save memory")
    compile: CompileMode = knob(
        "no", "torch.compile; blocks: each block by itself, in seconds; model: as one graph, in minutes"
    )
    device: Literal["auto", "cpu"] = knob("auto", "auto: the GPU if there is one")
    model: ModelRecipe = knob(ModelRecipe, "the model")
    data: DataRecipe = knob(DataRecipe, "the data")
    optimizer: OptimizerRecipe = knob(OptimizerRecipe, "the optimizer")
    schedule: ScheduleRecipe = knob(ScheduleRecipe, "length and learning rate")
    ema: EmaRecipe = knob(EmaRecipe, "averaged weights")
    checkpoint: CheckpointRecipe = knob(CheckpointRecipe, "checkpoints")
    tracking: TrackingRecipe = knob(TrackingRecipe, "progress, logs and pictures")

    def validate(self) -> None:
        """Check all that can be checked without data, processes or a device.

        Raises:
            RecipeError: A list of what is wrong.
        """
        parts = (self.data, self.optimizer, self.schedule, self.ema, self)
        found = [problem for part in parts for problem in part.problems()]
        found = found or self.contradictions()
        if found:
            raise RecipeError("The recipe cannot be run:\n" + "\n".join(f"- {problem}." for problem in found))

    def problems(self) -> list[str]:
        """What is wrong with the values of this level, in words."""
        found = []
        if not self.output_dir:
            found.append("output_dir is missing; add `--output_dir FOLDER`")
        if self.batch_size < 1:
            found.append(f"batch_size must be at least 1, got {self.batch_size}")
        for part, name in ((self.checkpoint, "every"), (self.tracking, "log_every")):
            if getattr(part, name) < 1:
                found.append(f"{name} must be at least 1, got {getattr(part, name)}")
        if self.checkpoint.every % max(self.tracking.log_every, 1):
            found.append(
                f"checkpoint.every ({self.checkpoint.every}) must be a multiple of tracking.log_every "
                f"({self.tracking.log_every}): a state is saved only after its losses were looked at"
            )
        return found

    def contradictions(self) -> list[str]:
        """Values that are right by themselves and wrong together, in words."""
        try:
            self.accumulation_for(int(os.environ.get("WORLD_SIZE", "1")))
            self.model_config()
        except ValueError as error:
            return [str(error).rstrip(".")]
        return []

    def accumulation_for(self, num_processes: int) -> int:
        """Forward passes per optimizer step on this many processes.

        Raises:
            RecipeError: `total_batch_size` is no multiple of what one pass over all processes takes, or contradicts
                `accumulation`.
        """
        clips = self.batch_size * self.data.views * num_processes
        if self.total_batch_size is None:
            if self.accumulation is not None and self.accumulation < 1:
                raise RecipeError(f"accumulation must be at least 1, got {self.accumulation}")
            return self.accumulation or 1
        passes, rest = divmod(self.total_batch_size, clips)
        sum_in_words = f"batch_size {self.batch_size} x {self.data.views} views x {num_processes} processes = {clips}"
        if rest or passes < 1:
            raise RecipeError(
                f"total_batch_size ({self.total_batch_size}) must be a multiple of {sum_in_words} clips; change "
                "batch_size, or set total_batch_size to null and accumulation to what you want"
            )
        if self.accumulation not in (None, passes):
            raise RecipeError(
                f"accumulation ({self.accumulation}) contradicts total_batch_size ({self.total_batch_size}), which "
                f"takes {passes} passes of {sum_in_words} clips; leave one of them out"
            )
        return passes

    def model_config(self, **more: Any) -> VideoMAEv2Config:
        """Configuration of the model; frames and size are those of the clips.

        Raises:
            ValueError: Values do not fit together.
        """
        for ours, theirs in (("data.num_frames", "num_frames"), ("data.image_size", "image_size")):
            if theirs in self.model.config:
                raise RecipeError(f"model.config.{theirs} is no key of a recipe: {ours} says it")
        clip = {"num_frames": self.data.num_frames, "image_size": self.data.image_size}
        fields = {**clip, **more, **self.model.config}
        if self.model.init_from is not None:
            return VideoMAEv2Config.from_pretrained(self.model.init_from, **fields)
        return VideoMAEv2Config.from_preset(self.model.preset, **fields)

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dict, as YAML and JSON take it."""
        return dataclasses.asdict(self)


RecipeT = TypeVar("RecipeT", bound=Recipe)


def load_recipe(argv: Sequence[str], recipe_class: type[RecipeT]) -> RecipeT:
    """Read a recipe from command-line arguments: `--config file.yaml` and any number of `--key value` after or before.

    Args:
        argv: Arguments without the name of the program. `--help` prints every key and leaves.
        recipe_class: `Recipe` or a subclass.

    Returns:
        The recipe, checked.

    Raises:
        RecipeError: A key does not exist, a value has the wrong type, or the values contradict each other.
    """
    if "--help" in argv or "-h" in argv:
        lines = ["Usage: accelerate launch -m training.STAGE --config FILE.yaml [--key value ...]", "", "Keys:"]
        sys.stdout.write("\n".join([*lines, *describe(recipe_class)]) + "\n")
        raise SystemExit(0)
    pairs = split_arguments(argv)
    values: dict[str, Any] = {}
    for _, path in (pair for pair in pairs if pair[0] == "config"):
        values = read_yaml(str(path))
    for key, value in pairs:
        if key != "config":
            assign(values, key, value)
    recipe = build(recipe_class, values)
    recipe.validate()
    return recipe
