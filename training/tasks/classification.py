# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Supervised training of a classifier: its recipe and its loss (paper, D.2 and D.3.1)."""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification

from ..adapters import LoraRecipe, add_lora, save_lora
from ..class_names import are_names, check_labels, find_class_names, names_of, placeholders
from ..erasing import RandomErasing
from ..heads import load_classifier, say
from ..mixing import Mixing, mixing_problems
from ..recipe import Recipe, RecipeError, SourceRecipe
from ..recipe_parsing import knob
from ..validation import EvalRecipe, Validation, eval_data
from .base import Batch, Task


@dataclass
class FineTuningRecipe(Recipe):
    """A run of `training.finetune`: post-pre-training or specific fine-tuning."""

    num_labels: int | None = knob(None, "number of classes, where neither labels, labels_file nor the data name them")
    labels: list[str] | None = knob(None, "names of the classes, in the order of their numbers")
    labels_file: str | None = knob(
        None, "file with one name a line, or JSON; folders of the data are found in it by name"
    )
    label_renames: str | None = knob(
        None, "JSON file of other names of the same classes, to find them in the head of model.init_from"
    )
    label_smoothing: float = knob(0.0, "share of the target that is spread over all classes")
    mixup: float = knob(0.0, "parameter of the beta distribution of mixup; 0: none")
    cutmix: float = knob(0.0, "parameter of the beta distribution of cutmix; 0: none")
    mixup_prob: float = knob(1.0, "share of the clips that are mixed, where mixup or cutmix is on")
    mixup_switch_prob: float = knob(0.5, "share of cutmix among them, where both are on")
    random_erasing: float = knob(0.0, "share of the clips of which a box becomes noise")
    peft: Literal["none", "lora"] = knob("none", "lora: train low-rank adapters and the head, and nothing else")
    lora: LoraRecipe = knob(LoraRecipe, "the adapters")
    data_eval: list[SourceRecipe] = knob(list, "validation videos; they are cut as data says, from the middle")
    eval: EvalRecipe = knob(EvalRecipe, "evaluation on data_eval")

    def problems(self) -> list[str]:
        found = super().problems()
        if self.num_labels is not None and self.num_labels < 2:
            found.append(f"num_labels must be at least 2, got {self.num_labels}")
        if self.labels is not None and self.num_labels not in (None, len(self.labels)):
            found.append(f"labels names {len(self.labels)} classes, num_labels says {self.num_labels}")
        if self.labels is not None and self.labels_file is not None:
            found.append("labels and labels_file contradict each other; leave one of them out")
        found += mixing_problems(self.mixup, self.cutmix, self.mixup_prob, self.mixup_switch_prob, self.label_smoothing)
        if not 0.0 <= self.random_erasing <= 1.0:
            found.append(f"random_erasing must lie in [0, 1], got {self.random_erasing}")
        if self.peft == "lora":
            found += self.lora.problems()
        if self.data_eval:
            texts = eval_data(self.data, self.data_eval).problems()
            found += [text.replace("data.sources", "data_eval") for text in texts if text.startswith("data.sources")]
        elif self.eval.every or self.eval.every_epochs:
            found.append("eval says when to evaluate, but data_eval names no videos")
        return found + self.eval.problems(self.tracking.log_every)

    def contradictions(self) -> list[str]:
        start = self.model.init_from
        if start is None or os.path.isdir(start):
            return super().contradictions()
        try:  # the checkpoint need not be on the machine that checks the recipe
            self.accumulation_for(int(os.environ.get("WORLD_SIZE", "1")))
        except ValueError as error:
            return [str(error).rstrip(".")]
        return []

    def model_config(self, **more: Any) -> VideoMAEv2Config:
        """As `Recipe.model_config`; `names` are the names of the classes, by default as far as the recipe says them."""
        for name in ("num_labels", "id2label", "label2id"):
            if name in self.model.config:
                raise RecipeError(f"model.config.{name} is no key of a recipe: num_labels, labels or labels_file do it")
        names = more.pop("names", None) or self.labels or placeholders(self.num_labels or 2)
        labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        return super().model_config(**labels, **more)


class ClassificationTask(Task):
    """Supervised training of a classifier.

    Raises:
        RecipeError: The classes are not known, or the checkpoint to start from is not there.
    """

    model_class = VideoMAEv2ForVideoClassification
    labelled = True
    recipe: FineTuningRecipe
    default_names: list[str] | None = None  # of classes of which nobody else says names or number

    def __init__(self, recipe: FineTuningRecipe) -> None:
        super().__init__(recipe)
        self.classes = names_of(self.config) if are_names(names_of(self.config)) else None
        self.mix = Mixing(
            self.config.num_labels, recipe.mixup, recipe.cutmix, recipe.mixup_prob, recipe.mixup_switch_prob,
            recipe.label_smoothing, recipe.seed, recipe.data.views,
        )  # fmt: skip
        self.erase = RandomErasing(recipe.random_erasing, recipe.seed)
        if self.mix.active and recipe.batch_size % 2:
            say(f"Videos are mixed two by two: an odd batch_size ({recipe.batch_size}) mixes some with themselves.")

    def make_config(self) -> VideoMAEv2Config:
        recipe = self.recipe
        names = find_class_names(recipe, self.default_names)
        if names is None:
            names = placeholders(recipe.num_labels or 2)
            if recipe.model.init_from is not None:  # the same number of classes: they have names there, and a head
                trained = names_of(recipe.start_config())
                names = trained if len(trained) == recipe.num_labels else names
        return recipe.model_config(names=names)

    def load_model(self, **options: str) -> PreTrainedModel:
        start, renames = self.recipe.model.init_from, self.recipe.label_renames
        if start is None:
            return super().load_model(**options)
        names = read_renames(renames) if renames else None
        return load_classifier(self.model_class, start, self.config, names, **options)

    def build_model(self) -> PreTrainedModel:
        model = super().build_model()
        if self.recipe.peft == "lora":
            model = add_lora(model, self.recipe.lora)
        return model

    def freeze(self, model: PreTrainedModel) -> None:
        if self.recipe.peft == "lora":  # gradients flow through all blocks, and into none of their weights
            model.videomae_v2.layers.requires_grad_(False)

    def save_model(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        if self.recipe.peft == "none":
            return super().save_model(weights, folder)
        with torch.device("meta"):
            clean = self.model_class(self.config)
        save_lora(clean, self.recipe.lora, weights, folder, self.recipe.model.init_from)
        self.processor.save_pretrained(folder)

    def check_data(self, loader: Any) -> None:
        mixture = getattr(loader, "mixture", None)
        if mixture is not None:
            check_labels(mixture, self.config.num_labels)

    def make_validation(self, accelerator: Accelerator, build_loader: Callable[..., Any]) -> Validation | None:
        recipe = self.recipe
        if not recipe.data_eval:
            return None
        loader = build_loader(
            eval_data(recipe.data, recipe.data_eval),
            batch_size=recipe.eval.batch_size or recipe.batch_size * recipe.data.views,
            seed=recipe.seed,
            labelled=True,
            num_processes=accelerator.num_processes,
            process_index=accelerator.process_index,
            pin_memory=accelerator.device.type == "cuda",
            training=False,
            classes=self.classes,
            num_labels=self.config.num_labels,
        )
        self.check_data(loader)
        return Validation(accelerator, self, loader, recipe.eval)

    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        clips = self.erase(self.normalise(batch["pixel_values"], device), first_clip)
        clips, targets = self.mix(clips, batch["labels"].to(device, non_blocking=True), first_clip)
        return {"pixel_values": clips, "labels": targets}

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        outputs = model(pixel_values=inputs["pixel_values"], labels=inputs["labels"])
        right = outputs.logits.detach().argmax(dim=-1) == inputs["labels"].argmax(dim=-1)
        return {"loss": outputs.loss, "accuracy": right.float().mean()}


def read_renames(path: str) -> dict[str, str]:
    """Other names of classes, from a JSON object.

    Raises:
        RecipeError: The file cannot be read, or holds something else.
    """
    try:
        renames = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"label_renames ({path}) cannot be read: {error}") from error
    if not isinstance(renames, dict) or not all(isinstance(name, str) for name in renames.values()):
        raise RecipeError(f'label_renames ({path}) must hold names by name: {{"old name": "new name"}}.')
    return renames
