# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Parameter-efficient fine-tuning: what is trained, what is saved, and what it costs."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_clips import build_loader, tiny_recipe
from processes import forget_processes
from systems import LOADS_HEADS_OF_ADAPTERS
from tiny import clips, tiny_model

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification
from training.checkpoint import complete_checkpoints
from training.loop import train
from training.recipe import RecipeError
from training.tasks import ClassificationTask, FineTuningRecipe
from training.tracking import training_flops


peft = pytest.importorskip("peft")


pytestmark = pytest.mark.usefixtures("fresh_processes")


@pytest.fixture(scope="module")
def pre_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pre_trained")
    tiny_model(VideoMAEv2ForPreTraining).save_pretrained(folder)
    return folder


def tuned(folder: Path, start: Path, **overrides: Any) -> ClassificationTask:
    forget_processes()
    recipe = tiny_recipe(
        FineTuningRecipe, folder, labels=["a", "b", "c"], peft="lora", model={"init_from": str(start)},
        **{"lora__rank": 2, "optimizer__base_lr": 1.0, **overrides},
    )  # fmt: skip
    recipe.validate()
    task = ClassificationTask(recipe)
    train(recipe, task, build_loader)
    return task


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapter_and_merged_model(tmp_path: Path, pre_trained: Path, checkpointing: bool) -> None:
    tuned(tmp_path, pre_trained, gradient_checkpointing=checkpointing, lora__alpha=5.0, lora__dropout=0.25)
    merged, info = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert merged.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert (tmp_path / "model" / "video_preprocessor_config.json").is_file()
    start = VideoMAEv2ForPreTraining.from_pretrained(pre_trained).state_dict()
    changed = {name for name, weight in merged.state_dict().items() if name in start and not weight.equal(start[name])}
    assert changed == {f"videomae_v2.layers.{i}.attention.{part}_proj.weight" for i in range(2) for part in "qv"}

    base = VideoMAEv2ForVideoClassification.from_pretrained(pre_trained, num_labels=3)
    adapted = peft.PeftModel.from_pretrained(base, tmp_path / "model" / "adapter")
    saved = adapted.peft_config["default"]
    assert saved.base_model_name_or_path == str(pre_trained)
    assert (saved.r, saved.lora_alpha, saved.lora_dropout) == (2, 5.0, 0.25)
    torch.testing.assert_close(adapted.eval()(clips()).logits, merged(clips()).logits, atol=1e-5, rtol=1e-5)
    if LOADS_HEADS_OF_ADAPTERS:
        model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "model" / "adapter", config=merged.config)
        assert list(model.peft_config) == ["default"]
        torch.testing.assert_close(model(clips()).logits, merged(clips()).logits, atol=1e-5, rtol=1e-5)


def test_adapters_on_random_weights_are_told(
    tmp_path: Path, pre_trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for model, told in (({"init_from": str(pre_trained)}, False), ({}, True)):
        ClassificationTask(tiny_recipe(FineTuningRecipe, tmp_path, num_labels=3, peft="lora", model=model))
        assert ("Name the model to adapt in model.init_from." in caplog.text) == told


def test_the_cost_of_a_clip_leaves_out_what_is_frozen(tmp_path: Path) -> None:
    """A third less, but for the products of attention, which have no weights."""
    options = {"num_labels": 3, "model": {"preset": "small"}, "data__num_frames": 16, "data__image_size": 224}
    recipes = [tiny_recipe(FineTuningRecipe, tmp_path, peft=kind, **options) for kind in ("none", "lora")]
    whole, adapters = (training_flops(ClassificationTask(recipe)) for recipe in recipes)
    assert 0.66 * whole < adapters < 0.85 * whole


def test_a_checkpoint_that_does_not_fit(tmp_path: Path, pre_trained: Path) -> None:
    recipe = tiny_recipe(
        FineTuningRecipe, tmp_path, num_labels=3, model={"init_from": str(pre_trained), "config": {"hidden_size": 16}}
    )
    with pytest.raises(RecipeError, match=r"model.init_from \(.*\) cannot be loaded"):
        ClassificationTask(recipe).build_model()


def test_saving_leaves_the_model_as_it_is(tmp_path: Path, pre_trained: Path) -> None:
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, num_labels=3, peft="lora", model={"init_from": str(pre_trained)})
    task = ClassificationTask(recipe)
    model = task.build_model()
    torch.nn.init.normal_(model.base_model.model.videomae_v2.layers[0].attention.q_proj.lora_B.default.weight)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    drawn = torch.get_rng_state()
    task.save_model(dict(model.state_dict()), tmp_path / "model")
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_what_is_trained(tmp_path: Path, pre_trained: Path) -> None:
    recipe = tiny_recipe(
        FineTuningRecipe, tmp_path, num_labels=3, peft="lora", model={"init_from": str(pre_trained)},
        lora__targets=["q_proj", "fc1", "fc2"],
    )  # fmt: skip
    model = ClassificationTask(recipe).build_model()
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    whole = [name for name in trained if "lora" not in name]
    assert len(trained) - len(whole) == 2 * 3 * 2
    assert {name.split(".modules_to_save")[0].rpartition(".")[2] for name in whole} == {"classifier", "fc_norm"}


def test_interrupted(tmp_path: Path, pre_trained: Path) -> None:
    """Averaged adapters, too: the same bits."""
    options = {"ema__decay": 0.6, "lora__dropout": 0.2}
    tuned(tmp_path / "straight", pre_trained, **options)
    tuned(tmp_path / "parts", pre_trained, **options, checkpoint__keep=0)
    for path in complete_checkpoints(tmp_path / "parts" / "checkpoints")[1:]:
        path.rename(path.with_name(f"gone-{path.name}"))
    tuned(tmp_path / "parts", pre_trained, **options)
    for file in ("model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "straight/model" / file).read_bytes() == (tmp_path / "parts/model" / file).read_bytes()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"lora__rank": 0}, "lora.rank must be at least 1"),
        ({"lora__alpha": 0.0}, "lora.alpha must be above 0"),
        ({"lora__alpha": float("inf")}, "lora.alpha must be above 0, got inf"),
        ({"lora__dropout": 1.0}, "lora.dropout must lie in"),
        ({"lora__targets": ["query"]}, "lora.targets must name some of fc1, fc2, k_proj"),
        ({"lora__targets": []}, "lora.targets must name some of fc1, fc2, k_proj"),
    ],
)
def test_refused(tmp_path: Path, overrides: dict[str, Any], message: str) -> None:
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, num_labels=3, peft="lora", **overrides)
    with pytest.raises(RecipeError, match=message):
        recipe.validate()
