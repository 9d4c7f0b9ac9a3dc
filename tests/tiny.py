# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A model small enough for every test, inputs for it, and where it can be compiled or quantized."""

import os
import shutil
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    running_cell_mask,
    tube_mask,
)
from modeling_videomae_v2.int8_cpu import can_multiply_int8


TORCH = tuple(map(int, torch.__version__.split(".")[:2]))
# The compiler of torch 2.6 does not get through transformers' decorators, those of its own models included.
compiles = pytest.mark.skipif(TORCH < (2, 7), reason="this torch cannot compile transformers' models")

# Where inductor makes code for the CPU, a C++ compiler translates it.
needs_compiler = pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")

needs_avx2 = pytest.mark.skipif(not can_multiply_int8(), reason="needs a CPU with AVX2")

MODEL_CLASSES = (VideoMAEv2Model, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification)
TRAINED_CLASSES = MODEL_CLASSES[1:]

GRID = (2, 4, 4)
TOKENS, VISIBLE, RECONSTRUCTED, CUBE_VALUES = 32, 8, 16, 96
LABELS = 5


def tiny_config(**overrides: Any) -> VideoMAEv2Config:
    """Two blocks each for encoder and decoder over a grid of 2 x 4 x 4 cubes; the encoder sees 8 of its 32 tokens."""
    values = {
        "image_size": 16,
        "patch_size": 4,
        "num_frames": 4,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 37,
        "decoder_hidden_size": 16,
        "decoder_num_hidden_layers": 2,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 20,
        "mask_ratio": 0.75,
        "num_labels": LABELS,
    }
    return VideoMAEv2Config(**{**values, **overrides})


def tiny_model(model_class: type[PreTrainedModel], seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """A model in evaluation mode whose parameters, biases and norms too, are all random and far from zero."""
    torch.manual_seed(seed)
    model = model_class(tiny_config(**overrides)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = "norm" in name and name.endswith("weight")
            parameter.normal_(1.0 if is_scale else 0.0, 0.2)
    return model


def clips(batch: int = 2, seed: int = 0, frames: int = 4, size: int = 16) -> torch.Tensor:
    """Pixel values `(batch, frames, 3, size, size)`."""
    return torch.randn(batch, frames, 3, size, size, generator=torch.Generator().manual_seed(seed))


def masks(batch: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """Both masks, drawn as `tiny_config` says, under the names of the arguments."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "bool_masked_pos": tube_mask(batch, GRID, 0.75, generator),
        "decoder_bool_masked_pos": running_cell_mask(batch, GRID, 0.5, generator),
    }


def inputs_for(
    model_class: type[PreTrainedModel], batch: int = 2, seed: int = 0, labels: bool = False
) -> dict[str, torch.Tensor]:
    """Arguments of one forward pass that leave nothing to chance."""
    inputs = {"pixel_values": clips(batch, seed)}
    if model_class is VideoMAEv2ForPreTraining:
        inputs.update(masks(batch, seed))
    elif model_class is VideoMAEv2ForVideoClassification and labels:
        inputs["labels"] = torch.arange(batch) % LABELS
    return inputs
