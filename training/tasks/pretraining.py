# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Dual-masked pre-training: its masks and its loss (paper, section 3.2)."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from modeling_videomae_v2 import VideoMAEv2ForPreTraining

from ..masks import MaskDrawer, loss_weight
from ..pictures import reconstruction_picture
from ..recipe_parsing import RecipeError
from ..recipe_stages import PreTrainingRecipe
from ..transfer import move
from .base import Batch, Task


class PreTrainingTask(Task):
    """Dual-masked autoencoding (paper, section 3.2).

    Raises:
        RecipeError: The model to start from is used to statistics with which its targets would be no pixels.
    """

    model_class = VideoMAEv2ForPreTraining
    recipe: PreTrainingRecipe

    def __init__(self, recipe: PreTrainingRecipe) -> None:
        super().__init__(recipe)
        statistics = [list(values) for values in (self.processor.image_mean, self.processor.image_std)]
        if not self.config.norm_pix_loss and statistics != [IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD]:
            # (cubes that are normalised each by itself come out alike from any statistics)
            raise RecipeError(
                "model.config.norm_pix_loss: false takes pixels as targets, which the model gets back from frames "
                f"normalised with ImageNet's mean and deviation; those of model.init_from ({recipe.model.init_from}) "
                f"are {statistics[0]} and {statistics[1]}. Set model.config.norm_pix_loss to true, or correct its "
                "video processor."
            )
        self.draw_masks = MaskDrawer(self.config, recipe.seed)

    def build_model(self) -> PreTrainedModel:
        model = super().build_model()
        if self.recipe.decoder_precision == "fp32":
            keep_decoder_in_fp32(model)
        return model

    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        encoder, decoder = self.draw_masks(first_clip, len(batch["pixel_values"]))
        inputs = {
            "pixel_values": self.normalise(batch["pixel_values"], device),
            "bool_masked_pos": move(encoder, device),
            "weight": torch.tensor(loss_weight(encoder, decoder, self.config)),
        }
        if decoder is not None:
            inputs["decoder_bool_masked_pos"] = move(decoder, device)
        return inputs

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        clips = {name: tensor for name, tensor in inputs.items() if name != "weight"}
        return {"loss": model(**clips, return_dict=True).loss * inputs["weight"]}

    @torch.no_grad()
    def picture(self, model: nn.Module, inputs: Batch) -> torch.Tensor:
        """The first clip: as it is, as the encoder sees it, and all of the rest reconstructed."""
        clip, mask = inputs["pixel_values"][:1], inputs["bool_masked_pos"][:1].cpu()
        with torch.compiler.set_stance("force_eager"):  # a compiled graph knows only the number of tokens in training
            masks = {"bool_masked_pos": mask, "decoder_bool_masked_pos": torch.zeros_like(mask)}
            outputs = model(clip, **masks, return_dict=True)
        frames = self.normalise.undo(clip[0]).cpu()
        return reconstruction_picture(frames, outputs.logits[0].float().cpu(), mask[0], self.config)


def keep_decoder_in_fp32(model: VideoMAEv2ForPreTraining) -> None:
    """Have the decoder of a model compute in fp32, beside an encoder under autocast (paper, D.1)."""
    for module in (model.encoder_to_decoder, model.decoder):
        module.forward = in_fp32(module.forward)


def in_fp32(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The forward method of a module, outside autocast and with an fp32 first argument."""

    @functools.wraps(forward)
    def in_full_precision(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        with torch.autocast(hidden_states.device.type, enabled=False):
            return forward(hidden_states.float(), *args, **kwargs)

    return in_full_precision
