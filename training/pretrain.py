# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Dual-masked pre-training (paper, sections 3.2 and 3.3).

    accelerate launch -m training.pretrain --config training/recipes/pretrain_base_hybrid.yaml --output_dir runs/base

`--help` lists every key. The same command goes on from the newest checkpoint in `output_dir`.
"""

from .cli import leave, run_stage
from .tasks import PreTrainingRecipe, PreTrainingTask


if __name__ == "__main__":
    leave(run_stage(PreTrainingRecipe, PreTrainingTask))
