# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Dual-masked pre-training (paper, sections 3.2 and 3.3).

    accelerate launch -m training.pretrain --config training/recipes/pretrain_base_hybrid.yaml --output_dir runs/base

`--help` lists every key. The same command goes on from the newest checkpoint in `output_dir`.
"""

from typing import TYPE_CHECKING

from .cli import leave, run_stage
from .recipe_stages import PreTrainingRecipe


if TYPE_CHECKING:
    from .tasks import PreTrainingTask


def make_task(recipe: PreTrainingRecipe) -> "PreTrainingTask":
    """What the recipe trains for."""
    from .tasks import PreTrainingTask  # imports PyTorch: after the arguments have been read

    return PreTrainingTask(recipe)


if __name__ == "__main__":
    leave(run_stage(PreTrainingRecipe, make_task))
