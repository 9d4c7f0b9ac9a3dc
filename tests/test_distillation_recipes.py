# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The recipes of distillation against Table 16, on as many videos as the paper had."""

from pathlib import Path

import pytest

from modeling_videomae_v2 import VideoMAEv2Config
from training.recipe import load_recipe
from training.recipe_parsing import describe
from training.schedule import Plan
from training.tasks import DistillationRecipe, DistillationTask


RECIPES = Path(__file__).parents[1] / "training" / "recipes"


@pytest.mark.parametrize("size", ["base", "small"])
@pytest.mark.parametrize("data", ["k710", "ssv2"])
def test_recipes_are_table_16(tmp_path: Path, size: str, data: str) -> None:
    classes, videos = (710, 658_000) if data == "k710" else (174, 169_000)
    VideoMAEv2Config.from_preset("giant", num_labels=classes).save_pretrained(tmp_path / "giant")
    arguments = ["--config", str(RECIPES / f"distill_{size}_{data}.yaml"), "--output_dir", "runs/x"]
    assert load_recipe(arguments, DistillationRecipe).model.init_from == f"runs/{size}_k710/model"
    overrides = ["--teacher.path", str(tmp_path / "giant"), "--model.init_from", "null"]
    recipe = load_recipe([*arguments, *overrides], DistillationRecipe)
    task = DistillationTask(recipe)
    assert not Path(recipe.data.sources[0].path).is_absolute()

    config = task.config
    assert (config.hidden_size, config.num_labels) == ({"base": 768, "small": 384}[size], classes)
    assert (config.num_frames, config.image_size) == (16, 224)
    assert (config.drop_path_rate, config.classifier_dropout) == (0.1, 0.0)
    assert recipe.optimizer.base_lr == {"k710": 1e-3, "ssv2": 5e-4}[data]
    assert (recipe.optimizer.weight_decay, recipe.optimizer.betas) == (0.05, [0.9, 0.999])
    assert (recipe.optimizer.layer_decay, recipe.optimizer.clip_grad) == (0.75, 1.0)
    assert (recipe.mixup, recipe.cutmix, recipe.label_smoothing) == (0.8, 1.0, 0.0)
    assert (recipe.teacher.temperature, recipe.teacher.label_weight) == (3.0, 0.0)
    assert (recipe.data.flip, recipe.data.multi_scale_crop) == (data == "k710", True)
    augment = recipe.data.augment
    assert (augment.rand_augment, augment.magnitude, augment.num_ops, augment.noise_std) == (True, 7.0, 4, 0.5)
    for num_processes in (8, 32):
        plan = Plan.of(recipe, num_processes, videos)
        assert plan.total_batch_size == {"k710": 1024, "ssv2": 512}[data]
        assert plan.peak_lr == pytest.approx({"k710": 4e-3, "ssv2": 1e-3}[data])
        assert plan.warmup_steps == pytest.approx(plan.max_steps / 20, abs=1)
        assert plan.max_steps == 100 * videos // plan.total_batch_size


def test_every_knob_is_documented(capsys: pytest.CaptureFixture) -> None:
    assert all(len(line.split(": ", 1)[1]) > 5 for line in describe(DistillationRecipe))
    with pytest.raises(SystemExit):
        load_recipe(["--help"], DistillationRecipe)
    shown = capsys.readouterr().out
    assert all(key in shown for key in ("--teacher.temperature", "--data.augment.magnitude", "--mixup"))
