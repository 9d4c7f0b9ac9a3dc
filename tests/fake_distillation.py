# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Distillation on clips out of a formula.

    python tests/fake_distillation.py --output_dir OUT --teacher.path TEACHER [--key value ...]

distils a tiny model; tests start this in processes of its own.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import torch


sys.path.insert(0, str(Path(__file__).parents[1]))  # when it is run as a script

from fake_clips import build_loader, tiny_values
from tiny import tiny_model

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from training.cli import leave
from training.loop import train
from training.recipe_parsing import build, split_arguments
from training.tasks import DistillationRecipe, DistillationTask


CLASSES = 3
MIXED = {"num_labels": CLASSES, "mixup": 0.8, "cutmix": 1.0, "random_erasing": 0.5, "optimizer.base_lr": 0.05}


def make_teacher(folder: Path, seed: int = 1, **config: Any) -> Path:
    """Save a random classifier whose answers differ from clip to clip; by default of another grid than the student."""
    values = {"num_labels": CLASSES, "image_size": 24, "patch_size": 6, "num_frames": 8, **config}
    model = tiny_model(VideoMAEv2ForVideoClassification, seed, **values)
    model.save_pretrained(folder)
    return folder


def distillation_recipe(output_dir: Path | str, teacher: Path | str, **overrides: Any) -> DistillationRecipe:
    """The tiny recipe, with mixing and erasing; `overrides` have dotted keys, with `__` for the dots."""
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return build(DistillationRecipe, tiny_values(output_dir, {**MIXED, "teacher.path": str(teacher), **dotted}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO)
    arguments = dict(split_arguments(sys.argv[1:]))
    recipe = distillation_recipe(arguments.pop("output_dir"), arguments.pop("teacher.path"), **arguments)
    recipe.validate()
    train(recipe, DistillationTask(recipe), build_loader)
    leave(0)
