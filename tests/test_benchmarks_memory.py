# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Counted memory of a training step."""

import pytest
import torch
from tiny_benchmark import CPU, QUICK, dual

from benchmarks import memory
from benchmarks.competitors import DUAL, ENCODER_ONLY, competitors
from benchmarks.steps import Inputs, Step, kept_for_backward
from training.activation_memory import as_on_a_gpu


@pytest.mark.slow
def test_dual_masking_computes_and_keeps_less() -> None:
    by_name = {c.name: c for c in competitors("pretraining", "base")}
    assert by_name[DUAL].macs() < 0.75 * by_name[ENCODER_ONLY].macs()
    kept = [memory.kept_mib("pretraining", "small", name, QUICK) for name in (DUAL, ENCODER_ONLY)]
    assert kept[0] < 0.75 * kept[1]  # the decoder: 944 tokens for 1568; the encoder is the same


def test_memory_of_full_depth_follows_from_shallow_models() -> None:
    step = Step(dual(), "pretraining", memory.DTYPE, "off", QUICK)
    with as_on_a_gpu():
        direct = kept_for_backward(step, *Inputs(step.model.config, 1, CPU, torch.float32)(0))
    assert memory.kept_mib("pretraining", "tiny", DUAL, QUICK) == pytest.approx(direct, rel=1e-6)
