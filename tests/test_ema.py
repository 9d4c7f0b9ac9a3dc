# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Averaged weights: what they are, that they survive interruptions to the bit, and that they are what is saved."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_clips import build_loader, tiny_recipe
from processes import forget_processes, shards_on_cpu
from safetensors.torch import load_file
from torch.distributed.fsdp import fully_shard

from training.checkpoint import complete_checkpoints
from training.ema import WeightAverage
from training.launch import check_launch
from training.loop import Run, evaluate, fit, start, train, train_step
from training.recipe import RecipeError
from training.stopping import StopSignal
from training.tasks import PreTrainingRecipe, PreTrainingTask


ROOT = Path(__file__).parents[1]
DECAY = 0.7
NAME = "videomae_v2.layers.1.mlp.fc1.weight"


pytestmark = pytest.mark.usefixtures("fresh_processes")


def recipe_for(folder: Path, **overrides: Any) -> PreTrainingRecipe:
    forget_processes()
    recipe = tiny_recipe(PreTrainingRecipe, folder, **{"ema__decay": DECAY, **overrides})
    recipe.validate()
    return recipe


def begin(folder: Path, **overrides: Any) -> Run:
    recipe = recipe_for(folder, **overrides)
    return start(recipe, PreTrainingTask(recipe), build_loader)


def saved(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    run = begin(tmp_path)
    expected = {name: weight.detach().double() for name, weight in run.model.named_parameters()}
    for _ in range(4):
        train_step(run)
        for name, weight in run.model.named_parameters():
            expected[name] = DECAY * expected[name] + (1 - DECAY) * weight.detach().double()
    assert run.average.average.keys() == expected.keys()
    for name, average in run.average.average.items():
        torch.testing.assert_close(average.double(), expected[name], rtol=1e-5, atol=1e-6)
        assert not average.requires_grad  # or the graphs of all steps would stay in memory
    assert not torch.allclose(run.average.average[NAME], dict(run.model.named_parameters())[NAME], atol=1e-4)


def test_an_interruption_changes_no_bit(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path / "straight")
    train(recipe, PreTrainingTask(recipe), build_loader)
    first = begin(tmp_path / "resumed")
    while first.progress.step < 4:
        train_step(first)
    first.keeper.save(first.progress)
    train_step(first)  # lost
    recipe = recipe_for(tmp_path / "resumed")
    train(recipe, PreTrainingTask(recipe), build_loader)
    ours, theirs = saved(tmp_path / "resumed"), saved(tmp_path / "straight")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    files = [complete_checkpoints(tmp_path / name / "checkpoints")[-1] / "__0_0.distcp"
             for name in ("straight", "resumed")]  # fmt: skip
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("export", [True, False])
def test_what_is_saved(tmp_path: Path, export: bool) -> None:
    recipe = recipe_for(tmp_path, ema__export=export)
    train(recipe, PreTrainingTask(recipe), build_loader)
    run = begin(tmp_path, ema__export=export)  # at its end
    weights = run.average.average if export else dict(run.model.named_parameters())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in saved(tmp_path).items())


@pytest.mark.parametrize("export", [True, False])
def test_what_is_evaluated_and_kept_as_the_best(tmp_path: Path, export: bool) -> None:
    seen: dict[str, torch.Tensor] = {}

    class Watching:
        videos = None

        def measure(self, model: torch.nn.Module, stopped: Callable[[], bool]) -> dict[str, float]:
            seen.update((name, weight.detach().clone()) for name, weight in model.named_parameters())
            return {"top1": 1.0}

        def is_best(self, values: dict[str, float], videos_before: str | None) -> bool:
            return True

    run = begin(tmp_path, ema__export=export)
    for _ in range(3):
        train_step(run)
    own = {name: weight.detach().clone() for name, weight in run.model.named_parameters()}
    run.validation = Watching()
    assert evaluate(run, StopSignal())
    best = load_file(tmp_path / "best" / "model.safetensors")
    expected = run.average.average if export else own
    assert not torch.equal(run.average.average[NAME], own[NAME])
    for name, weight in run.model.named_parameters():
        assert torch.equal(weight, own[name])
        assert torch.equal(seen[name], expected[name])
        assert torch.equal(best[name], expected[name])


def test_swapping_gives_everything_back() -> None:
    model = torch.nn.Linear(3, 2)
    average = WeightAverage(model, 0.5)
    own = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    average.update()
    with average.swapped():
        torch.testing.assert_close(model.weight, own + 0.5)
    with pytest.raises(RuntimeError, match="unreadable"), average.swapped():
        raise RuntimeError("unreadable")
    assert torch.equal(model.weight, own + 1.0)
    torch.testing.assert_close(average.average["weight"], own + 0.5)


@shards_on_cpu
def test_weights_that_a_pass_left_gathered_are_swapped_too(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        mesh = torch.distributed.init_device_mesh("cpu", (1,))
        model = fully_shard(torch.nn.Linear(3, 2), mesh=mesh, reshard_after_forward=False)
        average, inputs = WeightAverage(model, 0.5), torch.ones(1, 3)
        with torch.no_grad():
            for weight in model.parameters():
                weight.to_local().add_(1.0)
            own = model(inputs)
            with average.swapped():
                averaged = model(inputs)
            again = model(inputs)
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close(averaged, own - 4.0)
    assert torch.equal(again, own)


def test_an_average_is_taken_over() -> None:
    model = torch.nn.Linear(3, 2)
    average = WeightAverage(model, 0.5)
    other = {"weight": torch.rand(2, 3), "bias": torch.rand(2)}
    average.load_state_dict(other)
    assert all(torch.equal(average.average[name], value) for name, value in other.items())
    assert not torch.equal(model.weight, other["weight"])
    with pytest.raises(KeyError, match="of other weights: bias"):
        average.load_state_dict({"weight": other["weight"]})


def test_frozen_weights_are_left_out() -> None:
    model = torch.nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    assert WeightAverage(model, 0.5).average.keys() == {"bias"}


def test_it_may_be_asked_for_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert fit(begin(tmp_path, ema__decay=None, schedule__max_steps=2))
    run = begin(tmp_path)
    assert "holds no `ema`: it starts from here" in caplog.text
    assert run.progress.step == 2
    assert torch.equal(run.average.average[NAME], dict(run.model.named_parameters())[NAME])
    assert begin(tmp_path, ema__decay=None).average is None


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1, 2.0])
def test_refused(tmp_path: Path, decay: float) -> None:
    with pytest.raises(RecipeError, match=r"ema.decay must lie between 0 and 1"):
        tiny_recipe(PreTrainingRecipe, tmp_path, ema__decay=decay).validate()


def test_not_with_deepspeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(RecipeError, match=r"ema.decay does not exist with DeepSpeed"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, ema__decay=0.9))


ENGINES = {
    "ddp": ["--config_file", "training/accelerate/cpu.yaml"],
    "fsdp2": ["--config_file", "training/accelerate/fsdp2.yaml", "--num_processes", "2", "--mixed_precision", "no"],
}


def launch(engine: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", *ENGINES[engine],
               "tests/fake_clips.py", "--output_dir", str(folder), "--ema.decay", str(DECAY)]  # fmt: skip
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ACCELERATE_", "FSDP_"))}
    environment = {**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


@shards_on_cpu
@pytest.mark.slow
@pytest.mark.multiprocess
def test_processes_and_engines_agree(tmp_path: Path) -> None:
    """Killed with FSDP2 on two processes, on with DDP: the average of one process, but for rounding."""
    recipe = recipe_for(tmp_path / "one")
    train(recipe, PreTrainingTask(recipe), build_loader)
    died = launch("fsdp2", tmp_path / "two", DIE_AT="training.loop:train_step 5")
    assert died.returncode != 0
    done = launch("ddp", tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Going on from" in done.stderr
    ours, theirs = saved(tmp_path / "two"), saved(tmp_path / "one")
    assert ours.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)
    again = launch("fsdp2", tmp_path / "sharded")
    assert again.returncode == 0, again.stderr[-3000:]
    ours = saved(tmp_path / "sharded")
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)
    metrics = (tmp_path / "sharded" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1, 2, 3, 4, 5, 6]
