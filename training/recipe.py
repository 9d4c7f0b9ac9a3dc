# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run is made of: every knob, typed, documented where it is declared, and checked before anything starts.

Nothing that takes seconds to import is imported before the keys and values of a recipe have been checked one by one.

A recipe is a YAML file of these keys (`training/recipes/`); `--key value` on the command line overrides it, with dots
for nested keys and numbers for places in a list: `--data.workers 4 --data.sources.0.root /data/ssv2`.
"""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import dataclasses
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .other_names import OTHER_NAMES
from .recipe_data import AugmentRecipe as AugmentRecipe
from .recipe_data import DataRecipe, address_problems, not_negative_problems
from .recipe_data import SourceRecipe as SourceRecipe
from .recipe_parsing import RecipeError, assign, build, describe, knob, read_yaml, split_arguments


if TYPE_CHECKING:
    from modeling_videomae_v2 import VideoMAEv2Config

LARGEST_SEED = 2**31  # NumPy takes 32 bits, and processes add their numbers
CompileMode = Literal["no", "blocks", "model"]  # that of `modeling_videomae_v2.compiling`


@dataclass
class ModelRecipe:
    """Architecture and where the weights come from. Size and frames of the clip stand under `data`."""

    preset: str = knob("base", "published size: small, base, large, huge or giant")
    config: dict[str, Any] = knob(dict, "fields of VideoMAEv2Config that differ from the preset, or from init_from")
    init_from: str | None = knob(
        None,
        "folder or Hub repository to start from, architecture and weights; default: the preset, random weights",
        is_path=True,
    )
    attention: str | None = knob(None, "attention function (sdpa, eager, flash_attention_2, flex_attention)")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        return unknown_attention("model.attention", self.attention)


def unknown_attention(where: str, name: str | None) -> list[str]:
    """In words, that transformers knows no attention function of this name, if so."""
    if name is None or "/" in name:  # with a slash it is a kernel of the Hub
        return []
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    known = sorted({"eager", *(key for key in ALL_ATTENTION_FUNCTIONS if "|" not in key)})
    return [] if name in known else [f"{where} ({name}) is no attention function; there are: {', '.join(known)}"]


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
        if not 0.0 < self.eps < math.inf:
            found.append(f"optimizer.eps must be above 0 and finite, got {self.eps}; 1e-8 is usual")
        return found + not_negative_problems("optimizer", self, "base_lr", "weight_decay")


@dataclass
class ScheduleRecipe:
    """Length of the run and course of the learning rate: linear warm-up, then cosine to a floor, per step."""

    epochs: float = knob(1.0, "how often each video is sampled; every view counts (paper, Table 10)")
    count_views: bool = knob(True, "false: an epoch is one pass over the videos, however many views are cut from each")
    warmup_epochs: float = knob(
        0.0,
        "warm-up in epochs, counted the same way; with max_steps, the warm-up is warmup_epochs / epochs of max_steps",
    )
    max_steps: int | None = knob(None, "optimizer steps, instead of epochs; needed for streams of unknown length")
    warmup_steps: int | None = knob(None, "steps of warm-up, instead of warmup_epochs")
    warmup_lr: float = knob(0.0, "start of the warm-up, per 256 clips as base_lr")
    min_lr: float = knob(0.0, "floor of the cosine, per 256 clips as base_lr")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if self.max_steps is not None and self.max_steps < 1:
            found.append(f"schedule.max_steps must be at least 1, got {self.max_steps}")
        if not 0 < self.epochs < math.inf and (self.max_steps is None or self.epochs != 0):
            found.append(f"schedule.epochs must be above 0, got {self.epochs}")
        found += not_negative_problems("schedule", self, "warmup_epochs", "warmup_steps", "warmup_lr", "min_lr")
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


@dataclass
class CheckpointRecipe:
    """Checkpoints of a run, in `output_dir/checkpoints`."""

    every: int = knob(1000, "steps between checkpoints; losses are looked at before each, so that none is bad")
    keep: int = knob(3, "how many to keep; 0 keeps all")
    resume: bool = knob(True, "go on from the newest complete checkpoint; otherwise refuse to start over it")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = [f"checkpoint.every must be at least 1, got {self.every}"] if self.every < 1 else []
        return found + not_negative_problems("checkpoint", self, "keep")


@dataclass
class TrackingRecipe:
    """What is reported, and how often."""

    log_every: int = knob(10, "steps between log lines, which come before checkpoints and evaluations, too")
    picture_every: int = knob(0, "steps between two pictures of a reconstruction; 0: none")
    trackers: list[str] = knob(lambda: ["tensorboard"], "trackers that accelerate knows; [] for none")
    project: str = knob("videomae-v2", "name of the project in the trackers")
    progress_bar: bool = knob(True, "draw a bar where the output is a terminal")
    peak_tflops: float | None = knob(None, "peak of the device in TFLOP/s, for utilisation, where it is not known")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = [f"tracking.log_every must be at least 1, got {self.log_every}"] if self.log_every < 1 else []
        if self.peak_tflops is not None and not 0 < self.peak_tflops < math.inf:
            found.append(f"tracking.peak_tflops must be above 0, got {self.peak_tflops}; null: as far as it is known")
        return found + not_negative_problems("tracking", self, "picture_every")


@dataclass
class Recipe:
    """A training run, whatever its task."""

    output_dir: str = knob(
        "", "where everything is written: checkpoints, logs, pictures, the final model", is_path=True
    )
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

    def validate(self, num_processes: int | None = None) -> None:
        """Check all that can be checked without data, processes or a device.

        Args:
            num_processes: Processes that are going to train; default: those that the launcher has started.

        Raises:
            RecipeError: A list of what is wrong.
        """
        parts = (self.model, self.data, self.optimizer, self.schedule, self.ema, self.checkpoint, self.tracking, self)
        found = [problem for part in parts for problem in part.problems()]
        found = found or self.contradictions(num_processes or launched_processes())
        if found:
            lines = (f"- {problem}" if problem.endswith("?") else f"- {problem}." for problem in found)
            raise RecipeError("\n".join(["The recipe cannot be run:", *lines]))

    def problems(self) -> list[str]:
        """What is wrong with the values of this level, in words."""
        found = []
        if not self.output_dir:
            found.append("output_dir is missing; add `--output_dir FOLDER`")
        found += address_problems(self.output_dir)
        if self.batch_size < 1:
            found.append(f"batch_size must be at least 1, got {self.batch_size}")
        if not 0 <= self.seed < LARGEST_SEED:
            found.append(f"seed must lie in [0, {LARGEST_SEED}), got {self.seed}")
        return found

    def contradictions(self, num_processes: int) -> list[str]:
        """Values that are right by themselves and wrong together on this many processes, in words."""
        try:
            self.accumulation_for(num_processes)
            if self.knows_model():
                self.model_config()
        except ValueError as error:
            return [str(error).rstrip(".")]
        return []

    def knows_model(self) -> bool:
        """Whether the model can be looked at where the recipe is checked."""
        return True

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

    def model_config(self, **more: Any) -> "VideoMAEv2Config":
        """Configuration of the model; frames and size are those of the clips.

        Raises:
            ValueError: Values do not fit together, or `model.init_from` cannot be loaded.
        """
        for ours, theirs in (("data.num_frames", "num_frames"), ("data.image_size", "image_size")):
            if theirs in self.model.config:
                raise RecipeError(f"model.config.{theirs} is no key of a recipe: {ours} says it")
        from modeling_videomae_v2 import VideoMAEv2Config

        clip = {"num_frames": self.data.num_frames, "image_size": self.data.image_size}
        fields = {**clip, **more, **self.model.config}
        config = (
            VideoMAEv2Config.from_preset(self.model.preset, **fields)
            if self.model.init_from is None
            else self.start_config(**fields)
        )
        if config.num_channels != 3:
            raise RecipeError(
                f"model.config.num_channels (here or in model.init_from) is {config.num_channels}; clips of videos "
                "have 3"
            )
        return config

    def start_config(self, **fields: Any) -> "VideoMAEv2Config":
        """Configuration of `model.init_from`, but for `fields`; for other clips, with the positions that it knows.

        Raises:
            ValueError: It cannot be loaded, or values do not fit together.
        """
        from modeling_videomae_v2 import VideoMAEv2Config
        from modeling_videomae_v2.places import check_place

        start = self.model.init_from
        try:
            check_place(start)
            trained = VideoMAEv2Config.from_pretrained(start)  # by itself: its faults are not those of `fields`
        except (OSError, ValueError) as error:
            raise RecipeError(f"model.init_from ({start}) cannot be loaded: {error}") from error
        config = VideoMAEv2Config.from_pretrained(start, **fields)
        config.keep_table_of(trained)
        return config

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dict, as YAML and JSON take it."""
        return dataclasses.asdict(self)


RecipeT = TypeVar("RecipeT", bound=Recipe)


def launched_processes() -> int:
    """Processes that the launcher has started, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def load_recipe(
    argv: Sequence[str], recipe_class: type[RecipeT], other_names: Mapping[str, str] = OTHER_NAMES, **checked_for: Any
) -> RecipeT:
    """Read a recipe from command-line arguments: `--config file.yaml` and any number of `--key value` after or before.

    Args:
        argv: Arguments without the name of the program. `--help` prints every key and leaves.
        recipe_class: `Recipe`, a subclass, or another recipe that has `validate`.
        other_names: What others call its keys.
        **checked_for: Arguments of its `validate`.

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
    files = [os.path.expanduser(str(path)) for key, path in pairs if key == "config"]
    if len(files) > 1:
        raise RecipeError(f"`--config` takes one file, got {', '.join(files)}; a file names another in `extends`.")
    values = read_yaml(files[0]) if files else {}
    for key, value in pairs:
        if key != "config":
            assign(values, key, value)
    recipe = build(recipe_class, values, others=other_names)
    recipe.validate(**checked_for)
    return recipe
