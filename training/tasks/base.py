# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a model is trained for. The loop knows none of this: it hands batches to a task and gets losses back."""

from abc import ABC, abstractmethod

import torch
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2VideoProcessor

from ..recipe import Recipe


Batch = dict[str, torch.Tensor]


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
