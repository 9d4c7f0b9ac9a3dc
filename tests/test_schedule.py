# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Learning rate by step and weight decay by parameter, against what the reference implementation computed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_clips import tiny_recipe

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.convert_videomae_v2 import convert_state_dict
from training.optimizer import (
    layer_scale_and_decay,
    make_optimizer,
    optimizer_changes,
    parameter_groups,
    set_learning_rate,
)
from training.recipe import OptimizerRecipe, RecipeError, load_recipe
from training.schedule import Plan, warmup_cosine
from training.tasks import PreTrainingRecipe


PROTOCOL = json.loads((Path(__file__).parent / "fixtures" / "protocol.json").read_text())


def test_learning_rate_of_the_reference() -> None:
    """Base 6e-4, floor 1e-5, warm-up from 1e-6, times 2048 / 256; 300 epochs of 50 steps, 30 of them warm-up."""
    scale = 2048 / 256
    for step, expected in PROTOCOL["lr_schedule"]["lr_at_step"].items():
        rate = warmup_cosine(
            int(step), peak=6e-4 * scale, total_steps=15000, warmup_steps=1500, start=1e-6 * scale, floor=1e-5 * scale
        )
        assert rate == pytest.approx(expected, rel=1e-12)


def test_the_same_through_a_recipe(tmp_path: Path) -> None:
    """Stated per clip as in Table 10, the views of repeated augmentation counted."""
    recipe = tiny_recipe(
        PreTrainingRecipe, tmp_path, batch_size=2048, total_batch_size=8192, data__views=4, optimizer__base_lr=1.5e-4,
        schedule__max_steps=None, schedule__warmup_steps=None, schedule__epochs=1200, schedule__warmup_epochs=120,
        schedule__warmup_lr=2.5e-7, schedule__min_lr=2.5e-6,
    )  # fmt: skip
    plan = Plan.of(recipe, num_processes=1, num_videos=8192 * 50 // 4)
    assert (plan.max_steps, plan.warmup_steps) == (15000, 1500)
    for step, expected in PROTOCOL["lr_schedule"]["lr_at_step"].items():
        assert plan.learning_rate(int(step)) == pytest.approx(expected, rel=1e-12)


def test_edges_of_the_schedule() -> None:
    assert warmup_cosine(0, peak=1.0, total_steps=10) == 1.0
    assert warmup_cosine(5, peak=1.0, total_steps=10) == pytest.approx(0.5)
    assert warmup_cosine(0, peak=1.0, total_steps=10, warmup_steps=1) == 1.0
    assert [warmup_cosine(step, peak=1.0, total_steps=10, warmup_steps=2, start=0.5) for step in (0, 1)] == [0.5, 1.0]
    assert warmup_cosine(10, peak=1.0, total_steps=10, floor=0.1) == 0.1
    assert warmup_cosine(99, peak=1.0, total_steps=10, floor=0.1) == 0.1
    assert warmup_cosine(3, peak=1.0, total_steps=4, warmup_steps=4) == 1.0
    assert warmup_cosine(4, peak=1.0, total_steps=4, warmup_steps=4) == 0.0


@pytest.mark.parametrize(
    ("overrides", "num_processes", "total", "accumulation"),
    [
        ({"total_batch_size": 48, "accumulation": None}, 1, 48, 8),
        ({"total_batch_size": 48, "accumulation": None}, 4, 48, 2),
        ({"total_batch_size": None, "accumulation": 5}, 4, 120, 5),
        ({"total_batch_size": None, "accumulation": None}, 3, 18, 1),
    ],
)
def test_total_batch(
    tmp_path: Path, overrides: dict[str, Any], num_processes: int, total: int, accumulation: int
) -> None:
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path, batch_size=2, data__views=3, **overrides)
    plan = Plan.of(recipe, num_processes, num_videos=1000)
    assert (plan.total_batch_size, plan.accumulation) == (total, accumulation)
    assert plan.peak_lr == pytest.approx(recipe.optimizer.base_lr * total / 256)


def test_epochs_need_a_length(tmp_path: Path) -> None:
    epochs = {"schedule__max_steps": None, "schedule__warmup_steps": 0, "schedule__epochs": 2.0}
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path, **epochs)
    with pytest.raises(RecipeError, match="The number of videos is not known"):
        Plan.of(recipe, 1, None)
    with pytest.raises(RecipeError, match="0 optimizer steps"):
        Plan.of(recipe, 1, 3)
    assert Plan.of(recipe, 1, 100).max_steps == 2 * 100 // 8
    recipe.schedule.warmup_steps = 26
    with pytest.raises(RecipeError, match="25 optimizer steps with 26 of warm-up"):
        Plan.of(recipe, 1, 100)


def test_shortest_runs(tmp_path: Path) -> None:
    """One step, a run that is all warm-up, and epochs without one."""
    assert Plan.of(tiny_recipe(PreTrainingRecipe, tmp_path, schedule__max_steps=1, schedule__warmup_steps=0), 1, 8)
    assert Plan.of(tiny_recipe(PreTrainingRecipe, tmp_path, schedule__max_steps=3, schedule__warmup_steps=3), 1, 8)
    in_steps = tiny_recipe(
        PreTrainingRecipe, tmp_path, schedule__max_steps=3, schedule__warmup_steps=None, schedule__epochs=0.0
    )
    in_steps.validate()
    assert Plan.of(in_steps, 1, 8).warmup_steps == 0
    recipe = tiny_recipe(
        PreTrainingRecipe, tmp_path, schedule__max_steps=None, schedule__warmup_steps=None, schedule__epochs=2.0,
        schedule__warmup_epochs=0.0,
    )  # fmt: skip
    assert Plan.of(recipe, 1, 100).warmup_steps == 0


def test_epochs_that_are_no_binary_fractions(tmp_path: Path) -> None:
    """0.29 of 100 is 28.999999999999996 as a product."""
    recipe = tiny_recipe(
        PreTrainingRecipe, tmp_path, schedule__max_steps=None, schedule__warmup_steps=0, schedule__epochs=0.29,
        total_batch_size=None, accumulation=1, batch_size=1, data__views=1,
    )  # fmt: skip
    assert Plan.of(recipe, 1, 100).max_steps == 29


def test_warmup_of_a_trial_run() -> None:
    """`--schedule.max_steps 50` is all that need be said, with a published recipe, and of data without a length."""
    file = Path(__file__).parents[1] / "training" / "recipes" / "pretrain_giant_hybrid.yaml"
    arguments = ["--config", str(file), "--output_dir", "x", "--schedule.max_steps"]
    for num_videos in (1_350_000, 100, None):
        plan = Plan.of(load_recipe([*arguments, "50"], PreTrainingRecipe), 8, num_videos)
        assert (plan.max_steps, plan.warmup_steps) == (50, 5)
    for warmup_steps in (7, 0):
        recipe = load_recipe([*arguments, "50", "--schedule.warmup_steps", str(warmup_steps)], PreTrainingRecipe)
        assert Plan.of(recipe, 8, 1_350_000).warmup_steps == warmup_steps


def our_names(official: str) -> list[str]:
    """Our parameters that an official one becomes."""
    weight = torch.zeros((3, 1) if "qkv" in official else 1)
    names = convert_state_dict({official: weight, "head.bias": torch.zeros(1)})
    return [name for name in names if name != "classifier.bias" or official == "head.bias"]


def test_layer_decay_of_the_reference() -> None:
    """ViT-B, 0.75 per layer, weight decay 0.05: every parameter that the reference lists, under our name for it."""
    with torch.device("meta"):
        model = VideoMAEv2ForVideoClassification(VideoMAEv2Config.from_preset("base", num_labels=10))
    recipe = OptimizerRecipe(layer_decay=0.75, weight_decay=0.05)
    parameters = dict(model.named_parameters())
    checked = set()
    for official, expected in PROTOCOL["layer_decay_vit_base_0.75_wd_0.05"].items():
        for name in our_names(official):
            for wrapped in (name, f"module.{name}", f"base_model.model.{name}"):
                found = layer_scale_and_decay(wrapped, parameters[name], 12, recipe)
                assert found == pytest.approx(tuple(expected)), wrapped
            checked.add(name)
    kinds = {name.replace("layers.11.", "layers.0.") for name in checked}
    every = {name for name in parameters if ".layers." not in name or ".layers.0." in name}
    assert kinds == every


def test_rates_of_the_reference_by_parameter_and_step() -> None:
    """Layer-wise decay times the schedule, as the optimizer has it at each step, under our names of the parameters."""
    with torch.device("meta"):
        model = VideoMAEv2ForVideoClassification(VideoMAEv2Config.from_preset("base", num_labels=10))
    optimizer = make_optimizer(model, 12, OptimizerRecipe(layer_decay=0.75, weight_decay=0.05))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    expected = {}
    for official, pair in PROTOCOL["layer_decay_vit_base_0.75_wd_0.05"].items():
        expected |= dict.fromkeys(our_names(official), pair)
    found = set()
    for rate in PROTOCOL["lr_schedule"]["lr_at_step"].values():
        set_learning_rate(optimizer, rate)
        for group in optimizer.param_groups:
            for name in (names[id(parameter)] for parameter in group["params"]):
                if name in expected:
                    scale, decay = expected[name]
                    assert (group["lr"], group["weight_decay"]) == pytest.approx((rate * scale, decay), rel=1e-12), name
                    found.add(name)
    assert found == set(expected)


def test_groups_of_the_optimizer() -> None:
    with torch.device("meta"):
        model = VideoMAEv2ForPreTraining(VideoMAEv2Config.from_preset("small"))
    for parameter in model.decoder.head.parameters():
        parameter.requires_grad_(False)
    groups = parameter_groups(model, 12, OptimizerRecipe(layer_decay=0.9, weight_decay=0.1))
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trainable = {id(p): (name, p) for name, p in model.named_parameters() if p.requires_grad}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == set(trainable)
    for group in groups:
        for parameter in group["params"]:
            name = trainable[id(parameter)][0]
            assert (group["weight_decay"] == 0.0) == (parameter.dim() == 1 or name == "decoder.mask_token"), name
            if name.startswith(("decoder.", "encoder_to_decoder.", "videomae_v2.layernorm")):
                assert group["lr_scale"] == 1.0


def test_learning_rate_is_set_per_group() -> None:
    model = VideoMAEv2ForPreTraining(VideoMAEv2Config(hidden_size=12, num_hidden_layers=2, decoder_hidden_size=12))
    optimizer = make_optimizer(model, 2, OptimizerRecipe(layer_decay=0.5))
    set_learning_rate(optimizer, 0.8)
    assert {group["lr"] for group in optimizer.param_groups} == {0.1, 0.2, 0.4, 0.8}


def test_what_has_changed_in_an_optimizer() -> None:
    """What did not change is no reason to refuse, whatever its value; nor is what an older checkpoint did not note."""
    old = dataclasses.asdict(OptimizerRecipe(layer_decay=1.0, weight_decay=0.0, eps=1e-8))
    recipe = OptimizerRecipe(layer_decay=1.0, weight_decay=0.0, eps=1e-6)
    assert optimizer_changes(old, recipe) == ["optimizer.eps: 1e-08 -> 1e-06."]
    assert optimizer_changes({}, recipe) == []


def test_nothing_to_train() -> None:
    model = torch.nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        parameter_groups(model, 1, OptimizerRecipe())
