# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Distillation of a large classifier into a smaller one (paper, section E).

    accelerate launch -m training.distill --config FILE.yaml --teacher.path runs/giant/model --output_dir runs/distilled

`--help` lists every key. The same command goes on from the newest checkpoint in `output_dir`.
"""

from .cli import leave, run_stage
from .tasks import DistillationRecipe, DistillationTask


if __name__ == "__main__":
    leave(run_stage(DistillationRecipe, DistillationTask))
