# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning on labelled videos (paper, D.3.1).

    accelerate launch -m training.finetune --config FILE.yaml --model.init_from runs/base/model --output_dir runs/tuned

`--help` lists every key. The same command goes on from the newest checkpoint in `output_dir`.
"""

from typing import TYPE_CHECKING

from .cli import leave, run_stage
from .recipe_stages import FineTuningRecipe


if TYPE_CHECKING:
    from .tasks import ClassificationTask


def make_task(recipe: FineTuningRecipe) -> "ClassificationTask":
    """What the recipe trains for."""
    from .tasks import ClassificationTask  # imports PyTorch: after the arguments have been read

    return ClassificationTask(recipe)


if __name__ == "__main__":
    leave(run_stage(FineTuningRecipe, make_task))
