# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The models that are timed: ours, transformers' own VideoMAE, and the research way (`research_way.py`)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import nn
from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEForVideoClassification
from transformers.models.videomae import modeling_videomae as their_modeling

from benchmarks.flops import NUM_LABELS, our_macs
from benchmarks.research_way import ResearchBlock, ResearchClassifier, ResearchPreTraining
from benchmarks.settings import TINY
from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    tube_mask,
)
from modeling_videomae_v2.embeddings_videomae_v2 import sin_cos_table


Task = Literal["pretraining", "finetuning", "inference"]

SHARED_FIELDS = (
    "image_size", "patch_size", "num_channels", "num_frames", "tubelet_size", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps", "use_mean_pooling", "norm_pix_loss",
    "decoder_hidden_size", "decoder_num_hidden_layers", "decoder_num_attention_heads", "decoder_intermediate_size",
)  # fmt: skip
TINY_FIELDS = {
    "image_size": 32, "patch_size": 8, "num_frames": 4, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 64, "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 32,
}  # fmt: skip
# What "blocks" compiles, beside the regions of our training.
THEIR_BLOCKS = (their_modeling.VideoMAELayer, ResearchBlock)

DUAL, ENCODER_ONLY = "ours, dual masking", "ours, encoder-only masking"
OURS, TRANSFORMERS, RESEARCH = "ours", "transformers, sdpa", "research way"
# What is measured first is what everything else is compared with, and what takes no compilation.
FIRST, COMPILED_LATER, COMPILED_LAST, LAST = (0, 0), (0, 1), (0, 2), (2, 2)


@cache
def their_table(num_positions: int, dim: int) -> torch.FloatTensor:
    """transformers' position table `(1, num_positions, dim)`, on the host, where theirs stays too."""
    with torch.device("cpu"):
        return sin_cos_table(num_positions, dim).unsqueeze(0)


# Theirs is a loop over all values in Python, at every build: seconds for a large model, in which nothing is measured.
their_slow_table = their_modeling.get_sinusoid_encoding_table
their_modeling.get_sinusoid_encoding_table = their_table


@dataclass(frozen=True)
class Competitor:
    """One model to time.

    Args:
        name: What the tables call it.
        build: Makes the model, on the device of the surrounding `torch.device`.
        run: `(model, pixel_values, labels)` to the loss, or the logits where there are no labels.
        macs: Gives the multiply-accumulates that the task needs for one clip, in training with the backward pass.
        turns: Where one model follows the other: those with the lowest number come first. One number for models as they
            are, one for compiled ones.
        baseline: Name of the competitor whose speed it is compared with.
    """

    name: str
    build: Callable[[], nn.Module]
    run: Callable[[nn.Module, torch.Tensor, torch.Tensor | None], torch.Tensor]
    macs: Callable[[], int]
    turns: tuple[int, int] = LAST
    baseline: str = TRANSFORMERS

    def turn(self, compiled: str) -> int:
        """Its number if it is compiled so."""
        return self.turns[compiled != "off"]


def make_config(preset: str, **overrides: Any) -> VideoMAEv2Config:
    """Configuration of a preset, or of a model for tests."""
    overrides = {"num_labels": NUM_LABELS, **overrides}
    if preset == TINY:
        return VideoMAEv2Config(**{**TINY_FIELDS, **overrides})
    return VideoMAEv2Config.from_preset(preset, **overrides)


@cache
def task_macs(
    preset: str, task: Literal["pretraining", "classification"], training_step: bool, **overrides: Any
) -> int:
    """As `our_macs`, which runs a model for it, once for each configuration."""
    return our_macs(make_config(preset, **overrides), task, training_step)


def their_config(config: VideoMAEv2Config) -> VideoMAEConfig:
    """transformers' configuration of the same architecture."""
    shared = {name: getattr(config, name) for name in SHARED_FIELDS}
    return VideoMAEConfig(**shared, num_labels=config.num_labels)


def _ours(model: nn.Module, pixel_values: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    return model(pixel_values).loss


def _classify(model: nn.Module, pixel_values: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    outputs = model(pixel_values)
    logits = outputs if isinstance(outputs, torch.Tensor) else outputs.logits
    return logits if labels is None else nn.functional.cross_entropy(logits.float(), labels)


def pretraining_competitors(preset: str, **overrides: Any) -> list[Competitor]:
    """Dual and encoder-only masking, transformers' (encoder-only, two attention functions), the research way.

    All draw their masks within the step.
    """
    config = make_config(preset, **overrides)
    encoder_only = make_config(preset, decoder_mask_type=None, **overrides)
    macs = partial(task_macs, preset, "pretraining", True, **overrides)
    macs_encoder_only = partial(task_macs, preset, "pretraining", True, decoder_mask_type=None, **overrides)

    def ours(config: VideoMAEv2Config) -> Callable[[], nn.Module]:
        return lambda: VideoMAEv2ForPreTraining._from_config(config, attn_implementation="sdpa")

    def theirs(attention: str) -> Callable[[], nn.Module]:
        return lambda: VideoMAEForPreTraining._from_config(their_config(config), attn_implementation=attention)

    def run_theirs(model: nn.Module, pixel_values: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        mask = tube_mask(len(pixel_values), config.grid_size, config.mask_ratio, device=pixel_values.device)
        return model(pixel_values, bool_masked_pos=mask).loss

    def run_research(model: nn.Module, pixel_values: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return model(pixel_values)

    return [
        Competitor(DUAL, ours(config), _ours, macs, FIRST),
        Competitor(TRANSFORMERS, theirs("sdpa"), run_theirs, macs_encoder_only, FIRST),
        Competitor(ENCODER_ONLY, ours(encoder_only), _ours, macs_encoder_only, COMPILED_LATER),
        Competitor(RESEARCH, lambda: ResearchPreTraining(config), run_research, macs, COMPILED_LAST),
        Competitor("transformers, eager", theirs("eager"), run_theirs, macs_encoder_only),
    ]


def classification_competitors(preset: str, training: bool = False, **overrides: Any) -> list[Competitor]:
    """Our classifier, transformers' with two attention functions, the research way."""
    config = make_config(preset, **overrides)
    macs = partial(task_macs, preset, "classification", training, **overrides)

    def theirs(attention: str) -> Callable[[], nn.Module]:
        return lambda: VideoMAEForVideoClassification._from_config(their_config(config), attn_implementation=attention)

    def ours() -> nn.Module:
        return VideoMAEv2ForVideoClassification._from_config(config, attn_implementation="sdpa")

    return [
        Competitor(OURS, ours, _classify, macs, FIRST),
        Competitor(TRANSFORMERS, theirs("sdpa"), _classify, macs, FIRST),
        Competitor(RESEARCH, lambda: ResearchClassifier(config), _classify, macs),
        Competitor("transformers, eager", theirs("eager"), _classify, macs),
    ]


def competitors(task: Task, preset: str, **overrides: Any) -> list[Competitor]:
    """Who takes part in a task; `overrides` change the configuration."""
    if task == "pretraining":
        return pretraining_competitors(preset, **overrides)
    return classification_competitors(preset, training=task == "finetuning", **overrides)
