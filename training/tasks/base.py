# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a model is trained for. The loop knows none of this: it hands batches to a task and gets losses back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2VideoProcessor
from modeling_videomae_v2.loading_videomae_v2 import advising
from modeling_videomae_v2.places import errors_in_words

from ..processors import find_processor, pixel_statistics
from ..recipe import Recipe, RecipeError
from ..transfer import FrameTransfer


if TYPE_CHECKING:
    from ..validation import Validation

Batch = dict[str, torch.Tensor]
ADVICE = "Correct model.config (width, depth, patch size, layer scale), or start from another checkpoint."


class Task(ABC):
    """An objective: the model, what it eats, and its loss.

    Args:
        recipe: The run.
    """

    model_class: type[PreTrainedModel]
    labelled = False  # whether batches need `labels`
    classes: Sequence[str] | None = None  # what labels number, where that has names

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.config = self.make_config()
        self.processor = self._make_processor()
        self.normalise = FrameTransfer(self.processor.image_mean, self.processor.image_std)

    def make_config(self) -> VideoMAEv2Config:
        """Configuration of the model."""
        return self.recipe.model_config()

    def build_model(self) -> PreTrainedModel:
        """The model, ready to be trained, in fp32 on the CPU.

        Raises:
            RecipeError: The attention function of the recipe cannot be had, or the checkpoint to start from not loaded.
        """
        attention, start = self.recipe.model.attention, self.recipe.model.init_from
        try:
            with nullcontext() if start is None else errors_in_words(start), advising(ADVICE):
                model = self.load_model(**({"attn_implementation": attention} if attention else {}))
        except ImportError as error:
            raise RecipeError(f"model.attention ({attention}) cannot be used here: {error}") from error
        except (OSError, ValueError) as error:
            if start is None:
                raise
            raise RecipeError(f"model.init_from ({start}) cannot be loaded: {error}") from error
        if self.recipe.gradient_checkpointing:
            checkpoint_activations(model)
        return model

    def load_model(self, **options: str) -> PreTrainedModel:
        """The model from random weights or from `recipe.model.init_from`, with `options` of transformers."""
        folder = self.recipe.model.init_from
        if folder is None:
            return self.model_class._from_config(self.config, **options)
        return self.model_class.from_pretrained(folder, config=self.config, dtype=torch.float32, **options)

    def freeze(self, model: PreTrainedModel) -> None:
        """Freeze what is not trained, in a model without memory whose cost is counted."""
        return None

    def save_model(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Write a folder for `from_pretrained`, the video processor too.

        Args:
            weights: State dict of what `build_model` returned, whole and on the CPU.
            folder: Where to; it does not exist.
        """
        with torch.device("meta"):  # a fresh model, without what engines and options did to the one that was trained
            clean = self.model_class(self.config)
        clean.save_pretrained(folder, state_dict=weights)
        self.processor.save_pretrained(folder)

    def check_data(self, loader: Any) -> None:
        """Refuse data that this task cannot learn from (`RecipeError`), before the first step."""
        return None

    def make_validation(self, accelerator: Accelerator, build_loader: Callable[..., Any]) -> "Validation | None":
        """What measures the model during the training, if the recipe asks for it."""
        return None

    def start(self, accelerator: Accelerator) -> None:
        """Get ready what the loss needs beside the model; called once, after the model has been made and spread."""
        return None

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

    def _make_processor(self) -> VideoMAEv2VideoProcessor:
        data = self.recipe.data
        side = {"height": data.image_size, "width": data.image_size}
        return VideoMAEv2VideoProcessor(
            num_frames=data.num_frames,
            sampling=data.sampling,
            sampling_rate=data.sampling_rate,
            size={"shortest_edge": data.image_size},
            crop_size=side,
            **statistics_of(self.recipe.model.init_from),
        )


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Have the blocks of a model compute their activations anew in the backward pass."""
    # its name, and its older one
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def statistics_of(start: str | None, key: str = "model.init_from") -> dict[str, list[float]]:
    """Mean and standard deviation of frames in [0, 1] that a model is used to by its video processor; else nothing.

    Args:
        start: Folder or Hub repository of the model.
        key: What names it in the recipe.

    Raises:
        RecipeError: It has a video processor that cannot be used, or whether it has one is not known.
    """
    if start is None:
        return {}
    try:
        processor = find_processor(start)
        return {} if processor is None else pixel_statistics(processor)
    except OSError as error:
        raise RecipeError(f"{key}: {error}") from error
    except ValueError as error:
        raise RecipeError(f"The video processor of {key} ({start}) cannot be used: {error}") from error
