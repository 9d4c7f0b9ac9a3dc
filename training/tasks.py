# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a model is trained for. The loop knows none of this: it hands batches to a task and gets losses back."""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2VideoProcessor,
)

from .masks import MaskDrawer, loss_weight
from .pictures import reconstruction_picture
from .recipe import Recipe
from .recipe_parsing import knob


Batch = dict[str, torch.Tensor]


@dataclass
class PreTrainingRecipe(Recipe):
    """A run of `training.pretrain`."""

    decoder_precision: Literal["same", "fp32"] = knob(
        "same", "fp32: decoder and loss in fp32 beside an encoder in half precision (paper, D.1)"
    )

    def contradictions(self) -> list[str]:
        found = super().contradictions()
        if not found:
            try:
                MaskDrawer(self.model_config(), self.seed)
            except ValueError as error:
                found.append(str(error).rstrip("."))
        return found


@dataclass
class FineTuningRecipe(Recipe):
    """A run of `training.finetune`."""

    num_labels: int = knob(0, "number of classes")
    labels: list[str] | None = knob(None, "names of the classes, in the order of their numbers")
    label_smoothing: float = knob(0.0, "share of the target that is spread over all classes")

    def problems(self) -> list[str]:
        found = super().problems()
        if self.num_labels < 1:
            found.append(f"num_labels must be at least 1, got {self.num_labels}")
        if self.labels is not None and len(self.labels) != self.num_labels:
            found.append(f"labels names {len(self.labels)} classes, num_labels says {self.num_labels}")
        if not 0.0 <= self.label_smoothing < 1.0:
            found.append(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        return found

    def model_config(self, **more: Any) -> VideoMAEv2Config:
        names = self.labels or [f"LABEL_{i}" for i in range(self.num_labels)]
        labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        return super().model_config(**labels, **more)


class Task(ABC):
    """An objective: the model, what it eats, and its loss.

    Args:
        recipe: The run.
    """

    model_class: type[PreTrainedModel]
    labelled = False  # whether batches need `labels`

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.config = recipe.model_config()
        self.processor = self._make_processor()
        mean, std = (torch.tensor(values) for values in (self.processor.image_mean, self.processor.image_std))
        self.scale = (1.0 / (255.0 * std)).view(-1, 1, 1)
        self.shift = (-mean / std).view(-1, 1, 1)

    def build_model(self) -> PreTrainedModel:
        """The model, from random weights or from `recipe.model.init_from`, in fp32 on the CPU."""
        options = {"attn_implementation": self.recipe.model.attention} if self.recipe.model.attention else {}
        folder = self.recipe.model.init_from
        if folder is None:
            model = self.model_class._from_config(self.config, **options)
        else:
            model = self.model_class.from_pretrained(folder, config=self.config, dtype=torch.float32, **options)
        if self.recipe.gradient_checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        return model

    @abstractmethod
    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        """Bring a collated batch to the device and make it what `loss` takes.

        Args:
            batch: `pixel_values` uint8 `(clips, frames, channels, height, width)`; maybe `labels` `(clips,)`.
            first_clip: Number in the run of the first clip of the batch; the others follow it.
            device: Where the model is.
        """

    @abstractmethod
    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        """Forward pass: `"loss"`, a mean over clips to be differentiated, and other means worth a curve, all `()`."""

    def picture(self, model: nn.Module, inputs: Batch) -> torch.Tensor | None:
        """Something to look at, uint8 `(3, height, width)`, or None. Every process calls it."""
        return None

    def normalise(self, frames: torch.Tensor, device: torch.device) -> torch.Tensor:
        """uint8 frames in host memory to normalised fp32 on the device; they travel as bytes."""
        if self.scale.device != device:
            self.scale, self.shift = self.scale.to(device), self.shift.to(device)
        return torch.addcmul(self.shift, frames.to(device, non_blocking=True).float(), self.scale)

    def _make_processor(self) -> VideoMAEv2VideoProcessor:
        data = self.recipe.data
        side = {"height": data.image_size, "width": data.image_size}
        return VideoMAEv2VideoProcessor(
            num_frames=data.num_frames,
            sampling=data.sampling,
            sampling_rate=data.sampling_rate,
            size={"shortest_edge": data.image_size},
            crop_size=side,
        )


class PreTrainingTask(Task):
    """Dual-masked autoencoding (paper, section 3.2)."""

    model_class = VideoMAEv2ForPreTraining
    recipe: PreTrainingRecipe

    def __init__(self, recipe: PreTrainingRecipe) -> None:
        super().__init__(recipe)
        self.draw_masks = MaskDrawer(self.config, recipe.seed, pinned=torch.cuda.is_available())

    def build_model(self) -> PreTrainedModel:
        model = super().build_model()
        if self.recipe.decoder_precision == "fp32":
            for module in (model.encoder_to_decoder, model.decoder):
                module.forward = in_fp32(module.forward)
        return model

    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        encoder, decoder = self.draw_masks(first_clip, len(batch["pixel_values"]))
        inputs = {
            "pixel_values": self.normalise(batch["pixel_values"], device),
            "bool_masked_pos": encoder.to(device, non_blocking=True),
            "weight": torch.tensor(loss_weight(encoder, decoder, self.config)),
        }
        if decoder is not None:
            inputs["decoder_bool_masked_pos"] = decoder.to(device, non_blocking=True)
        return inputs

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        clips = {name: tensor for name, tensor in inputs.items() if name != "weight"}
        return {"loss": model(**clips).loss * inputs["weight"]}

    @torch.no_grad()
    def picture(self, model: nn.Module, inputs: Batch) -> torch.Tensor:
        """The first clip: as it is, as the encoder sees it, and all of the rest reconstructed."""
        clip, mask = inputs["pixel_values"][:1], inputs["bool_masked_pos"][:1].cpu()
        with torch.compiler.set_stance("force_eager"):  # a compiled graph knows only the number of tokens in training
            outputs = model(clip, bool_masked_pos=mask, decoder_bool_masked_pos=torch.zeros_like(mask))
        frames = ((clip[0] - self.shift) / (255.0 * self.scale)).cpu()
        return reconstruction_picture(frames, outputs.logits[0].float().cpu(), mask[0], self.config)


class ClassificationTask(Task):
    """Supervised training of a classifier."""

    model_class = VideoMAEv2ForVideoClassification
    labelled = True
    recipe: FineTuningRecipe

    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        return {
            "pixel_values": self.normalise(batch["pixel_values"], device),
            "labels": batch["labels"].to(device, non_blocking=True),
        }

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        labels, smoothing = inputs["labels"], self.recipe.label_smoothing
        targets = labels
        if smoothing:
            one_hot = nn.functional.one_hot(labels, self.config.num_labels).float()
            targets = one_hot * (1.0 - smoothing) + smoothing / self.config.num_labels
        outputs = model(pixel_values=inputs["pixel_values"], labels=targets)
        accuracy = (outputs.logits.detach().argmax(dim=-1) == labels).float().mean()
        return {"loss": outputs.loss, "accuracy": accuracy}


def in_fp32(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The forward method of a module, outside autocast and with an fp32 first argument."""

    @functools.wraps(forward)
    def in_full_precision(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        with torch.autocast(hidden_states.device.type, enabled=False):
            return forward(hidden_states.float(), *args, **kwargs)

    return in_full_precision
