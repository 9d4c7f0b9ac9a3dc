# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings and competitors for tests of the benchmarks."""

import torch

from benchmarks.competitors import DUAL, Competitor, competitors
from benchmarks.settings import Settings
from benchmarks.tables import device_name


CPU = torch.device("cpu")
CPU_NAME = device_name(CPU)
QUICK = Settings(device=CPU, presets=("tiny",), repeats=2, warmup=1)


def dual(preset: str = "tiny") -> Competitor:
    return next(c for c in competitors("pretraining", preset) if c.name == DUAL)
