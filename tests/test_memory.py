# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The memory sum of a recipe, against what a real pass on a small model keeps, and an H100 has kept."""

import csv
import gc
import logging
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import clips, tiny_config

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from training.activation_memory import as_on_a_gpu, kept_bytes
from training.memory import main
from training.memory_sum import GIB, activation_bytes, memory_of
from training.recipe import Recipe
from training.recipe_parsing import build
from training.recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe
from training.tasks import ClassificationTask, PreTrainingTask, Task
from training.tasks.distillation import DistillationTask
from training.tasks.teacher import Teacher


RECIPES = Path(__file__).parents[1] / "training" / "recipes"
TINY = {
    "preset": "small", "config": {
        "patch_size": 8, "hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4, "num_hidden_layers": 4,
        "decoder_hidden_size": 48, "decoder_intermediate_size": 96, "decoder_num_attention_heads": 4,
        "decoder_num_hidden_layers": 3,
    },
}  # fmt: skip
DATA = {"num_frames": 4, "image_size": 32}


def recipe_of(recipe_class: type[Recipe], *, model: dict | None = None, **values: Any) -> Recipe:
    return build(recipe_class, {"output_dir": ".", "batch_size": 3, "data": DATA, "model": model or TINY, **values})


def kept_by(task: Task, half: bool) -> int:
    """What a pass of three clips keeps, with memory."""
    model, clips = task.build_model().train(), torch.rand(3, 4, 3, 32, 32)
    inputs = {"labels": torch.zeros(3, dtype=torch.long)} if task.labelled else {}
    with as_on_a_gpu(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        return kept_bytes(model, lambda: model(clips, **inputs))


@pytest.mark.parametrize("half", [True, False], ids=["half", "fp32"])
@pytest.mark.parametrize(
    ("recipe_class", "values"),
    [
        (FineTuningRecipe, {"num_labels": 3}),
        (FineTuningRecipe, {"num_labels": 3, "peft": "lora", "lora": {"rank": 2}}),
        (PreTrainingRecipe, {}),
        (PreTrainingRecipe, {"decoder_precision": "fp32"}),
    ],
    ids=["whole", "lora", "pretraining", "decoder-in-fp32"],
)
def test_activations_of_a_real_pass(recipe_class: type[Recipe], values: dict, half: bool) -> None:
    """Four blocks (and three of a decoder) with memory, against the sum from one and two without."""
    if "lora" in values:
        pytest.importorskip("peft")
    recipe = recipe_of(recipe_class, **values)
    task = (PreTrainingTask if recipe_class is PreTrainingRecipe else ClassificationTask)(recipe)
    everything = kept_by(task, half)
    assert activation_bytes(recipe, task.config, half) == pytest.approx(everything, rel=0.01)
    recipe.gradient_checkpointing = True
    inputs = kept_by(task, half)
    assert inputs < 0.6 * everything
    one_block = activation_bytes(recipe, task.config, half) - inputs  # which is computed anew
    most = 1 / 2 if recipe_class is FineTuningRecipe else 0.235  # the largest of encoder and decoder, not one of each
    assert everything / 8 < one_block < most * everything


def test_activations_are_what_a_gpu_has_kept() -> None:
    """Measured on an H100; the rows of `benchmarks.pretrain_step`."""
    (path,) = (Path(__file__).parents[1] / "benchmarks" / "results").glob("pretrain_step-*h100*.csv")
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kept_mib"] and row["variant"] == "ours, dual masking"]
    assert {row["preset"] for row in rows} == {"base", "giant"}
    for row in rows:
        model = {"preset": row["preset"], "config": {"decoder_mask_ratio": 0.5}}
        data = {"num_frames": 16, "image_size": 224}
        recipe = recipe_of(PreTrainingRecipe, model=model, batch_size=int(row["batch_size"]), data=data)
        found = activation_bytes(recipe, recipe.model_config()) / 2**20
        assert found == pytest.approx(float(row["kept_mib"]), rel=0.002)


def activated_logits(model: VideoMAEv2ForVideoClassification) -> torch.Tensor:
    return model(clips(1)).logits.sigmoid()  # which keeps its output


def test_counting_keeps_nothing() -> None:
    """A graph that a hook ties to itself outlives its model, and a GPU soon has no room for the next."""
    model = VideoMAEv2ForVideoClassification(tiny_config()).train()
    weight = weakref.ref(model.classifier.weight)
    assert kept_bytes(model, partial(activated_logits, model)) > 0
    del model
    gc.collect()
    assert weight() is None


def test_weights_and_their_casts_are_not_counted() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 64), torch.nn.LayerNorm(64))
    x = torch.ones(4, 8)
    inputs = 4 * (8 + 16)  # of the products; the norm keeps its own, and mean and deviation of each row
    assert kept_bytes(model, lambda: model(x)) == 4 * inputs + 4 * 4 * (64 + 2)
    with torch.autocast("cpu", torch.bfloat16), as_on_a_gpu():
        assert kept_bytes(model, lambda: model(x)) == 2 * inputs + 4 * 4 * (64 + 2)
        cubes, clip = torch.nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4)), torch.ones(2, 3, 4, 8, 12)
        assert kept_bytes(cubes, lambda: cubes(clip)) == 2 * clip.numel()


def test_the_memory_of_several_tensors_is_counted_once_and_whole() -> None:
    model, x = torch.nn.Linear(8, 16), torch.ones(4, 8)

    def forward() -> torch.Tensor:
        y = model(x)
        return y[:, :1] * y[:, 1:2]

    assert kept_bytes(model, forward) == 4 * (x.numel() + 4 * 16)


def test_parts_of_the_sum() -> None:
    pytest.importorskip("peft")
    whole = memory_of(recipe_of(FineTuningRecipe, ema={"decay": 0.9}))
    config = recipe_of(FineTuningRecipe).model_config()
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in VideoMAEv2ForVideoClassification(config).parameters())
    assert whole.weights == whole.gradients == whole.average == 4 * parameters
    assert (whole.optimizer, whole.casts) == (8 * parameters, 2 * parameters)
    assert whole.total == sum([whole.weights, whole.gradients, whole.optimizer, whole.average, whole.casts,
                               whole.activations, whole.cuda])  # fmt: skip
    adapters = memory_of(recipe_of(FineTuningRecipe, peft="lora", lora={"rank": 1}, ema={"decay": 0.9}))
    assert adapters.gradients < 0.1 * whole.gradients
    assert adapters.gradients == adapters.average == adapters.optimizer / 2 == 2 * adapters.casts
    in_fp32 = memory_of(recipe_of(FineTuningRecipe, mixed_precision="no"))
    assert (in_fp32.casts, in_fp32.average) == (0, 0)
    assert in_fp32.activations > 1.3 * whole.activations
    eager = memory_of(recipe_of(FineTuningRecipe, model={**TINY, "attention": "eager"}))
    assert eager.activations > whole.activations  # it keeps its weights
    views = memory_of(recipe_of(FineTuningRecipe, data={**DATA, "views": 2}))
    assert views.clips == 6
    assert views.activations == pytest.approx(2 * whole.activations, rel=0.01)


@pytest.mark.parametrize(("mixed_precision", "dtype"), [("bf16", torch.bfloat16), ("no", None)])
def test_teacher(tmp_path: Path, mixed_precision: str, dtype: torch.dtype | None) -> None:
    recipe = recipe_of(DistillationRecipe, teacher={"path": str(tmp_path)}, mixed_precision=mixed_precision)
    assert memory_of(recipe).teacher == 0  # not there yet
    VideoMAEv2ForVideoClassification(tiny_config()).save_pretrained(tmp_path)
    task = DistillationTask(recipe)
    teacher = Teacher(recipe.teacher, task.config, task.processor, torch.device("cpu"), dtype)
    kept = sum(weight.numel() * weight.element_size() for weight in teacher.model.parameters())
    assert memory_of(recipe).teacher == kept


def test_giant_with_adapters_fits_24_gb() -> None:
    pytest.importorskip("peft")
    model = {"preset": "giant"}
    data = {"num_frames": 16, "image_size": 224}
    found = memory_of(
        recipe_of(FineTuningRecipe, model=model, data=data, batch_size=16, peft="lora", gradient_checkpointing=True)
    )
    assert found.total < 24e9
    assert 4.0 < found.weights / 1e9 < 4.2
    assert found.gradients < 0.02 * found.weights


def test_autocast_gives_what_it_gives_on_a_gpu() -> None:
    norm, cubes = torch.nn.LayerNorm(4), torch.nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4))
    clip = torch.randn(2, 3, 4, 8, 12)
    with torch.no_grad():
        expected = cubes(clip)
        with torch.autocast("cpu", torch.bfloat16):
            assert norm(torch.ones(2, 4).bfloat16()).dtype == torch.bfloat16
            with as_on_a_gpu():
                assert norm(torch.ones(2, 4).bfloat16()).dtype == torch.float32
                assert torch.ones(2, 4).bfloat16().softmax(dim=-1).dtype == torch.float32
                assert torch.nn.functional.softmax(torch.ones(2, 4).bfloat16(), dim=-1).dtype == torch.float32
                assert cubes(clip).dtype == torch.bfloat16
        with as_on_a_gpu():
            torch.testing.assert_close(cubes(clip), expected)


def test_command(capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture) -> None:
    """On a published recipe, of which nothing is there: no data, no checkpoint, no teacher."""
    caplog.set_level(logging.INFO)
    assert main(["distill", "--config", f"{RECIPES}/distill_small_k710.yaml", "--gradient_checkpointing", "true"]) == 0
    rows = dict(line.rsplit(maxsplit=2)[:2] for line in capsys.readouterr().out.splitlines())
    assert "cannot be loaded: model.preset (small) is counted instead" in caplog.text
    assert "cannot be loaded: the teacher is not counted" in caplog.text
    assert set(rows) == {"weights", "gradients", "optimizer", "casts", "activations (16 clips)", "cuda", "total"}
    assert float(rows["cuda"]) == 1.0
    assert GIB == 1024**3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["finetun"], "must be one of pretrain, finetune, distill, got 'finetun'"),
        (["pretrain", "--batch_size", "0"], "batch_size must be at least 1"),
        (["pretrain", "--batch_size"], "`--batch_size` has no value"),
        (["pretrain", "--model.preset", "enormous"], "no preset"),
        (["pretrain", "--peft", "lora"], "`peft` is no key of a recipe"),
        (
            ["finetune", "--model.init_from", "nowhere", "--model.config.num_attention_heads", "7"],
            "must be a multiple of `num_attention_heads` (7)",
        ),
    ],
)
def test_command_refuses(capsys: pytest.CaptureFixture, arguments: list[str], said: str) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_hub_that_goes_away_is_said(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("The Hub does not answer.")

    monkeypatch.setattr("training.memory.load_recipe", fail)
    assert main(["pretrain"]) == 2
    assert capsys.readouterr().err == "The Hub does not answer.\n"


def test_command_explains_itself(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    assert "python -m training.memory STAGE" in capsys.readouterr().out
