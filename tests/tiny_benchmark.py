# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings and competitors for tests of the benchmarks."""

import torch

from benchmarks.competitors import DUAL, Competitor, Task, competitors, make_config
from benchmarks.settings import Settings
from benchmarks.steps import Inputs, Step
from benchmarks.tables import device_name


CPU = torch.device("cpu")
CPU_NAME = device_name(CPU)
QUICK = Settings(device=CPU, presets=("tiny",), repeats=2, warmup=1)


def dual(preset: str = "tiny") -> Competitor:
    return next(c for c in competitors("pretraining", preset) if c.name == DUAL)


def recorded_step(task: Task, compiled: str, competitor: Competitor | None = None) -> tuple[Step, Inputs]:
    """A call that becomes a CUDA graph, and what it reads: our model, unless it is another one."""
    settings = Settings(torch.device("cuda"), presets=("tiny",), optimizer="fused", cuda_graph=True)
    step = Step(competitor or competitors(task, "tiny")[0], task, "bf16-autocast", compiled, settings)
    return step, Inputs(make_config("tiny"), 2, settings.device, step.stored_dtype, in_place=True)
