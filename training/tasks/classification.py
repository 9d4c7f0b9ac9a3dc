# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Supervised training of a classifier: its model, its data and its loss (paper, D.2 and D.3.1)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.labels_videomae_v2 import are_names, placeholders

from ..adapters import add_lora, save_lora
from ..class_names import (
    check_labels,
    check_numbers,
    compared_by_number,
    find_class_names,
    names_of,
    read_other_names,
)
from ..data.identity import describe_sources, digest_of
from ..erasing import RandomErasing
from ..heads import load_classifier, say
from ..mixing import Mixing
from ..recipe_stages import FineTuningRecipe, eval_data
from ..transfer import move
from ..validation import Validation
from .base import Batch, Task


class ClassificationTask(Task):
    """Supervised training of a classifier.

    Raises:
        RecipeError: The classes are not known, or the checkpoint to start from is not there.
    """

    model_class = VideoMAEv2ForVideoClassification
    labelled = True
    recipe: FineTuningRecipe
    default_names: list[str] | None = None  # of classes of which nobody else says names or number
    renames: dict[str, str] | None = None  # other names of classes of the checkpoint to start from

    def __init__(self, recipe: FineTuningRecipe) -> None:
        super().__init__(recipe)
        self.classes = names_of(self.config) if are_names(names_of(self.config)) else None
        self.mix = Mixing(
            self.config.num_labels, recipe.mixup, recipe.cutmix, recipe.mixup_prob, recipe.mixup_switch_prob,
            recipe.label_smoothing, recipe.seed, recipe.data.views,
        )  # fmt: skip
        self.erase = RandomErasing(recipe.random_erasing, recipe.seed)
        if self.mix.active and recipe.batch_size % 2:
            say(
                f"Videos are mixed two by two: of an odd batch_size ({recipe.batch_size}), one is left over and takes "
                "another clip of its batch."
            )
        if recipe.peft == "lora" and recipe.model.init_from is None:
            say(
                "peft: lora without model.init_from: the blocks are frozen with random weights, and adapters on them "
                "learn next to nothing. Name the model to adapt in model.init_from."
            )

    def make_config(self) -> VideoMAEv2Config:
        recipe = self.recipe
        names = find_class_names(recipe, self.default_names)
        if names is None:
            names = placeholders(recipe.num_labels)
            if recipe.model.init_from is not None:  # the same number of classes: they have names there, and a head
                trained = names_of(recipe.start_config())
                names = trained if len(trained) == recipe.num_labels else names
        return recipe.model_config(names=names)

    def load_model(self, **options: str) -> PreTrainedModel:
        start = self.recipe.model.init_from
        if start is None:
            return super().load_model(**options)
        return load_classifier(self.model_class, start, self.config, self.renames, **options)

    def build_model(self) -> PreTrainedModel:
        recipe = self.recipe
        if recipe.model.init_from is not None and recipe.label_renames:  # here, or the model would be blamed for them
            self.renames = read_other_names(recipe.label_renames, "label_renames")
        model = super().build_model()
        return add_lora(model, recipe.lora) if recipe.peft == "lora" else model

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
        check_labels(loader.mixture, self.config.num_labels)

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
        mixture = loader.mixture
        if self.classes is None and mixture.classes is not None:
            say(compared_by_number(mixture.classes, self.config.num_labels))
        of_data = recipe.labels is None and recipe.labels_file is None  # else the recipe says what 0, 1, ... are
        if of_data and self.classes is not None and mixture.classes is None:
            check_numbers(self.classes, "the run", "data_eval")
        digest = digest_of(json.dumps(describe_sources(mixture.sources, recipe.data_eval)))
        return Validation(accelerator, self, loader, recipe.eval, broadcast_object_list([digest])[0])

    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        clips = self.erase(self.normalise(batch["pixel_values"], device), first_clip)
        clips, targets = self.mix(clips, move(batch["labels"], device), first_clip)
        return {"pixel_values": clips, "labels": targets}

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        outputs = model(pixel_values=inputs["pixel_values"], labels=inputs["labels"], return_dict=True)
        right = outputs.logits.detach().argmax(dim=-1) == inputs["labels"].argmax(dim=-1)
        return {"loss": outputs.loss, "accuracy": right.float().mean()}
