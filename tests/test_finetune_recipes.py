# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The recipes of Tables 9 and 11, and that every recipe in the folder can be read by its stage."""

import re
from pathlib import Path
from typing import Any

import pytest

from training.recipe import load_recipe
from training.schedule import Plan
from training.tasks import FineTuningRecipe, PreTrainingRecipe


RECIPES = Path(__file__).parents[1] / "training" / "recipes"
STAGES = {"pretrain": PreTrainingRecipe, "postpretrain": FineTuningRecipe, "finetune": FineTuningRecipe}
RUNNABLE = sorted(path for path in RECIPES.glob("*.yaml") if path.stem.split("_")[0] in STAGES)
TUNED = [path for path in RUNNABLE if not path.stem.startswith("pretrain")]

# Columns of the tables: base_lr, weight decay, batch, warm-up, epochs, drop path, dropout, layer decay, clipping, flip
TABLE_9 = {
    "k": (1e-5, 0.05, 32, 0, 3, 0.3, 0.5, 0.9, None, True),
    "k_64x266": (1e-4, 0.05, 32, 0, 5, 0.35, 0.5, 0.9, None, True),
    "ssv": (3e-4, 0.05, 96, 5, 10, 0.35, 0.5, 0.9, None, False),
    "ucf101": (1e-3, 0.05, 24, 5, 50, 0.35, 0.5, 0.9, None, True),
    "hmdb51": (5e-4, 0.05, 24, 5, 15, 0.35, 0.5, 0.9, None, True),
}
TABLE_11 = {
    "huge": (1e-3, 0.05, 128, 5, 40, 0.2, 0.5, 0.8, None, True),
    "giant": (1e-3, 0.1, 128, 5, 35, 0.3, 0.0, 0.9, 5.0, True),
}
CLASSES = {"k400": 400, "k600": 600, "k710": 710, "ssv1": 174, "ssv2": 174, "ucf101": 101, "hmdb51": 51}


def load(path: Path, *arguments: str) -> FineTuningRecipe:
    return load_recipe(["--config", str(path), "--output_dir", "runs/x", *arguments], FineTuningRecipe)


def expected(name: str) -> tuple[Any, ...] | None:
    stage, size, data = name.split("_", 2)
    if stage == "postpretrain":
        return TABLE_11[size]
    column = re.sub(r"^(k|ssv)\d+", r"\1", data)
    return None if size == "base" else TABLE_9[column]


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.stem)
def test_every_recipe_can_be_read(path: Path) -> None:
    """As written: neither the data nor the checkpoint to start from need be on the machine."""
    stage = path.stem.split("_")[0]
    recipe = load_recipe(["--config", str(path), "--output_dir", "runs/x"], STAGES[stage])
    places = [text for source in recipe.data.sources for text in (source.path, source.root)]
    places += [recipe.model.init_from or "", getattr(recipe, "labels_file", "")]
    assert not any(Path(place).is_absolute() for place in places)


def test_which_there_are() -> None:
    names = {path.stem for path in TUNED}
    wanted = {f"finetune_giant_{data}" for data in CLASSES if data != "k710"}
    wanted |= {f"finetune_{size}_{data}" for size in ("giant", "huge") for data in ("k400", "k600", "ssv1", "ssv2")}
    wanted |= {f"finetune_giant_{data}_64x266" for data in ("k400", "k600")}
    wanted |= {"finetune_base_k400", "finetune_base_ssv2", "postpretrain_giant_k710", "postpretrain_huge_k710"}
    assert names == wanted


@pytest.mark.parametrize("path", TUNED, ids=lambda path: path.stem)
def test_values_of_the_tables(path: Path) -> None:
    _, size, data = path.stem.split("_")[:3]
    recipe = load(path, "--model.init_from", "null")  # the preset instead
    config = recipe.model_config()
    assert recipe.model.preset == size
    assert config.num_labels == recipe.num_labels == CLASSES[data]
    large = path.stem.endswith("_64x266")
    assert (config.num_frames, config.image_size) == ((64, 266) if large else (16, 224))
    assert (recipe.data.sampling == "uniform") == data.startswith("ssv")
    assert (recipe.mixup, recipe.cutmix, recipe.label_smoothing) == (0.8, 1.0, 0.1)
    assert (recipe.data.views, recipe.data.multi_scale_crop, recipe.data.augment.rand_augment) == (2, True, True)
    assert (recipe.data.augment.magnitude, recipe.data.augment.num_ops, recipe.data.augment.noise_std) == (7.0, 4, 0.5)
    assert recipe.optimizer.betas == [0.9, 0.999]
    assert recipe.data.flip != data.startswith("ssv")
    row = expected(path.stem)
    if row is not None:
        optimizer, schedule = recipe.optimizer, recipe.schedule
        assert row == (
            optimizer.base_lr, optimizer.weight_decay, recipe.total_batch_size, schedule.warmup_epochs,
            schedule.epochs, config.drop_path_rate, config.classifier_dropout, optimizer.layer_decay,
            optimizer.clip_grad, recipe.data.flip,
        )  # fmt: skip


def test_an_epoch_is_a_pass_over_the_videos() -> None:
    recipe = load(RECIPES / "finetune_giant_k400.yaml")
    plan = Plan.of(recipe, 8, 240_000)
    assert plan.max_steps == 3 * 240_000 * 2 // 32
    assert plan.steps_per_epoch == 240_000 * 2 / 32
    assert plan.peak_lr == pytest.approx(1e-5 * 32 / 256)
    recipe.schedule.count_views = True
    assert Plan.of(recipe, 8, 240_000).max_steps == 3 * 240_000 // 32


@pytest.mark.parametrize("path", TUNED, ids=lambda path: path.stem)
def test_the_batch_fits_numbers_of_gpus(path: Path) -> None:
    recipe = load(path)
    assert recipe.batch_size % 2 == 0  # or the views of one video would be mixed with each other
    for num_processes in (1, 2, 6) if recipe.total_batch_size == 24 else (1, 2, 4, 8):
        assert Plan.of(recipe, num_processes, 10_000).total_batch_size == recipe.total_batch_size
