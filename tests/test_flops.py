# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sizes and costs are those of the paper, and ours are lower where cubes are masked."""

import math

import pytest

from benchmarks.flops import (
    NUM_LABELS,
    PAPER_FIGURES,
    PAPER_NORM_OPERATIONS,
    PaperFigure,
    Task,
    our_macs,
    parameter_count,
    reference_macs,
)
from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.masking_videomae_v2 import num_dropped_tokens


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("small", 22_153_286),
        ("base", 86_773_190),
        ("large", 304_588_486),
        ("huge", 632_516_550),
        ("giant", 1_012_611_142),
    ],
)
def test_parameters_of_encoder_and_head(preset: str, parameters: int) -> None:
    assert parameter_count(preset, "classification") == parameters


@pytest.mark.parametrize(
    ("preset", "overrides", "giga"),
    [
        ("base", {"decoder_mask_type": None}, 35.44),
        ("base", {"decoder_mask_ratio": 0.25}, 31.59),
        ("base", {}, 25.84),
        ("base", {"decoder_mask_ratio": 0.75}, 21.03),
        ("giant", {"decoder_mask_type": None}, 263.96),
        ("giant", {}, 241.61),
    ],
)
def test_reference_cost_of_pretraining(preset: str, overrides: dict[str, object], giga: float) -> None:
    config = VideoMAEv2Config.from_preset(preset, **overrides)
    assert reference_macs(config, "pretraining") / 1e9 == pytest.approx(giga, abs=0.0051)


@pytest.mark.parametrize(
    ("preset", "giga"),
    [("small", 56.88), ("base", 180.34), ("large", 596.83), ("huge", 1190.99), ("giant", 2542.79)],
)
def test_reference_cost_of_classification(preset: str, giga: float) -> None:
    macs = reference_macs(VideoMAEv2Config.from_preset(preset), "classification")
    assert macs / 1e9 == pytest.approx(giga, abs=0.0051)


@pytest.mark.parametrize("figure", PAPER_FIGURES, ids=lambda figure: figure.name)
def test_reference_cost_is_the_papers(figure: PaperFigure) -> None:
    giga = figure.views * reference_macs(figure.config(), figure.task) / 1e9
    assert giga == pytest.approx(figure.paper, rel=0.002)


@pytest.mark.parametrize("figure", PAPER_FIGURES[:4], ids=lambda figure: figure.name)
def test_norms_account_for_the_rest_of_table_1(figure: PaperFigure) -> None:
    giga = reference_macs(figure.config(), figure.task, PAPER_NORM_OPERATIONS) / 1e9
    assert round(giga, 2) == figure.paper


@pytest.mark.parametrize("preset", ["small", "base", "giant"])
def test_our_classifier_does_no_more_than_the_reference(preset: str) -> None:
    config = VideoMAEv2Config.from_preset(preset, num_labels=NUM_LABELS)
    assert our_macs(config, "classification") <= reference_macs(config, "classification")


@pytest.mark.parametrize("overrides", [{}, {"decoder_mask_type": None}, {"decoder_mask_ratio": 0.75}])
def test_our_pretraining_leaves_out_what_nobody_reads(overrides: dict[str, object]) -> None:
    """Cubes that no token is made of, and what the last block of the decoder would make of the latents."""
    config = VideoMAEv2Config.from_preset("base", **overrides)
    tokens, dim, mlp = math.prod(config.grid_size), config.decoder_hidden_size, config.decoder_intermediate_size
    dropped = num_dropped_tokens(config.mask_type, config.grid_size, config.mask_ratio)
    visible, reconstructed = tokens - dropped, dropped
    if config.decoder_mask_type is not None:
        reconstructed = tokens - num_dropped_tokens(
            config.decoder_mask_type, config.grid_size, config.decoder_mask_ratio
        )
    cube_values = config.num_channels * config.tubelet_size * config.patch_size**2
    cubes = dropped * cube_values * config.hidden_size
    latents = visible * (2 * (visible + reconstructed) * dim + dim**2 + 2 * dim * mlp)
    assert our_macs(config, "pretraining") == reference_macs(config, "pretraining") - cubes - latents


@pytest.mark.parametrize("task", ["pretraining", "classification"])
def test_a_training_step_costs_at_most_three_forward_passes(task: Task) -> None:
    config = VideoMAEv2Config.from_preset("small", num_hidden_layers=2, decoder_num_hidden_layers=1)
    forward, step = our_macs(config, task), our_macs(config, task, training_step=True)
    assert 2.8 * forward < step <= 3 * forward


def test_the_cost_of_a_larger_clip_grows_with_its_tokens() -> None:
    small, large = (VideoMAEv2Config(num_frames=frames) for frames in (16, 32))
    assert math.prod(large.grid_size) == 2 * math.prod(small.grid_size)
    assert reference_macs(large, "classification") > 2 * reference_macs(small, "classification")
