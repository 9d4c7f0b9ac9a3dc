# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation is made of: every knob, typed, documented where it is declared, checked before anything starts."""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ..recipe import CompileMode, SourceRecipe, unknown_attention
from ..recipe_data import address_problems
from ..recipe_parsing import RecipeError, knob


@dataclass
class EvaluationDataRecipe:
    """The videos, and how clips are cut from them."""

    sources: list[SourceRecipe] = knob(list, "the collections to evaluate on; `weight` has no meaning here")
    classes: str | None = knob(
        None,
        "file with the names of the data's classes, in the order of their ids; default: what the sources say",
        is_path=True,
    )
    num_frames: int | None = knob(None, "frames per clip; default here and below: the checkpoint's video processor")
    sampling: Literal["dense", "uniform"] | None = knob(
        None, "dense: `sampling_rate` apart; uniform: one frame of each of `num_frames` equal segments"
    )
    sampling_rate: int | None = knob(None, "distance of the frames of a dense clip, in frames of the video")
    image_size: int | None = knob(None, "short side after the resize, and side of the crops, in pixels")
    workers: int = knob(8, "processes per process of the evaluation that decode; 0 decodes in the process itself")
    prefetch: int = knob(2, "groups of videos that each worker holds ready")
    max_bad_share: float = knob(0.01, "share of unreadable videos above which the evaluation stops")
    unreadable: Literal["wrong", "exclude"] = knob(
        "wrong", "unreadable videos count as wrong answers, or not at all; metrics.json holds both numbers"
    )

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        lowest = {"num_frames": 1, "sampling_rate": 1, "image_size": 1, "workers": 0, "prefetch": 1}
        found = [
            f"data.{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in lowest.items()
            if getattr(self, name) is not None and getattr(self, name) < low
        ]
        if not 0.0 <= self.max_bad_share <= 1.0:
            found.append(f"data.max_bad_share must lie in [0, 1], got {self.max_bad_share}")
        if not self.sources:
            found.append('data.sources is empty; name a collection: `--data.sources "[{kind: folder, path: FOLDER}]"`')
        for i, source in enumerate(self.sources):
            found += [f"data.sources.{i}.{problem}" for problem in source.problems()]
            if source.streaming:
                found.append(
                    f"data.sources.{i}.streaming must be false: each video is counted once, by its number, and a "
                    "stream has none"
                )
        return found


@dataclass
class EvaluationRecipe:
    """A run of `training.evaluate`."""

    model: str = knob("", "folder or Hub repository of a classifier, weights and video processor", is_path=True)
    output_dir: str = knob("", "where predictions, metrics, tables and the confusion matrix are written", is_path=True)
    num_clips: int = knob(
        5, "clips per video in the multi-view test (paper: 5 for Kinetics, 2 for Something-Something)"
    )
    num_crops: int = knob(3, "crops per clip in the multi-view test; 1 x 1 is the centre view alone")
    single_view: bool = knob(True, "also evaluate the centre crop of the centre clip, in the same pass")
    batch_size: int = knob(16, "clips per process and forward pass; the views of a video may lie in several passes")
    mixed_precision: Literal["no", "bf16", "fp16"] | None = knob(
        None, "number format of the products; default: what the accelerate configuration says"
    )
    tf32: bool = knob(False, "TF32 products where a GPU would compute in fp32")
    compile: CompileMode = knob("no", "torch.compile; blocks: in seconds; model: as one graph, in minutes")
    attention: str | None = knob(None, "attention function (sdpa, eager, flash_attention_2, flex_attention)")
    device: Literal["auto", "cpu"] = knob("auto", "auto: the GPU if there is one")
    match: Literal["auto", "name", "id"] = knob(
        "auto",
        "how classes of the data find those of the model; name: by their names; id: by their numbers; auto: by name "
        "where both sides have names",
    )
    model_classes: str | None = knob(
        None,
        "file with the names of the model's classes, in the order of its outputs; default: its id2label",
        is_path=True,
    )
    renames: str | None = knob(
        None, "JSON file {name: other name of the same class}, used where names are matched", is_path=True
    )
    restrict: bool = knob(True, "where names are matched, only the data's classes compete; false: all of the model's")
    keep_views: bool = knob(False, "also write the probabilities of every single view to predictions.parquet")
    save_every: float = knob(30.0, "seconds between two saves of what was predicted so far")
    overwrite: bool = knob(False, "throw away the predictions that output_dir holds; otherwise go on with them")
    progress_bar: bool = knob(True, "draw a bar where the output is a terminal")
    data: EvaluationDataRecipe = knob(EvaluationDataRecipe, "the data")

    def validate(self) -> None:
        """Check all that can be checked without data, processes or a device.

        Raises:
            RecipeError: A list of what is wrong.
        """
        found = [*self.problems(), *self.data.problems()]
        if found:
            raise RecipeError("The recipe cannot be run:\n" + "\n".join(f"- {problem}." for problem in found))

    def problems(self) -> list[str]:
        """What is wrong with the values of this level, in words."""
        found = []
        for name, example in (("model", "FOLDER_OR_REPOSITORY"), ("output_dir", "FOLDER")):
            if not getattr(self, name):
                found.append(f"{name} is missing; add `--{name} {example}`")
        found += address_problems(self.output_dir)
        for name in ("num_clips", "num_crops", "batch_size"):
            if getattr(self, name) < 1:
                found.append(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.save_every >= 0:
            found.append(f"save_every must not be negative, got {self.save_every}")
        if self.match == "id" and self.renames:
            found.append("renames has no effect with match: id; leave it out, or set match to name")
        return found + unknown_attention("attention", self.attention)

    @property
    def multi_view(self) -> bool:
        """Whether there are more views than the centre one."""
        return self.num_clips * self.num_crops > 1

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dict, as YAML and JSON take it."""
        return dataclasses.asdict(self)
