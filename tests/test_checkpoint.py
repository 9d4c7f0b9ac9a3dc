# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what they hold, and that killing a run at any moment changes nothing about its result."""

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fake_clips import build_loader, start_process, tiny_recipe, tiny_values
from full_disk import full_disk
from processes import forget_processes
from safetensors.torch import load_file
from systems import NOT_A_DIRECTORY

from modeling_videomae_v2 import VideoMAEv2ForPreTraining
from training.checkpoint import Progress, complete_checkpoints, remove_leftovers
from training.data.faults import Fault
from training.disk import claim
from training.export import save_model
from training.loop import Run, fit, start, train
from training.random_states import random_states, restore_random_states
from training.recipe import RecipeError
from training.schedule import Plan, plan_changes
from training.tasks import PreTrainingRecipe, PreTrainingTask


STEPS = 8
# Stochastic depth draws from the generators that a checkpoint has to bring back.
RUN = {"schedule.max_steps": STEPS, "model.config.drop_path_rate": 0.3, "data.workers": 2}
PLACES = [
    ("training.checkpoint:dcp.FileSystemWriter.finish", 2),  # weights half written
    ("training.checkpoint:random_states", 2),  # weights written, the rest missing
    ("training.checkpoint:force_to_disk", 5),  # all written, not yet renamed
    ("training.checkpoint:force_to_disk", 6),  # renamed
    ("training.disk:shutil.rmtree", 2),  # an old one half removed
    ("training.loop:save_model", 1),  # trained, the model not written
    ("training.export:force_to_disk", 1),  # the model half written
    ("training.loop:clip_gradients", 5),  # between two checkpoints
]


pytestmark = pytest.mark.usefixtures("fresh_processes")


def begin(folder: Path, **overrides: Any) -> Run:
    forget_processes()
    recipe = tiny_recipe(PreTrainingRecipe, folder, **overrides)
    return start(recipe, PreTrainingTask(recipe), build_loader)


def run_process(folder: Path, die: tuple[str, int] | None = None, **overrides: Any) -> int | None:
    """One run, or what it comes to before it dies; returns the exit status."""
    process = start_process(tiny_values(folder, {**RUN, **overrides}), folder.with_suffix(".log"), die)
    process.join(120)
    return process.exitcode


def result(folder: Path) -> tuple[dict[str, torch.Tensor], dict[int, float], dict[str, Any]]:
    """Final weights, loss of each step (the last one that was written) and what the last checkpoint says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = complete_checkpoints(folder / "checkpoints")[-1]
    state = json.loads((last / "state.json").read_text())
    losses = {line["step"]: line["loss"] for line in lines}
    return load_file(folder / "model" / "model.safetensors"), losses, state["progress"]


def assert_same(folder: Path, undisturbed: Path) -> None:
    """Bit for bit, the optimizer and the random generators too."""
    weights, losses, progress = result(folder)
    expected = result(undisturbed)
    assert all(torch.equal(weights[name], expected[0][name]) for name in expected[0])
    assert losses == expected[1]
    assert progress == expected[2]
    names = [complete_checkpoints(path / "checkpoints")[-1] for path in (folder, undisturbed)]
    assert names[0].name == names[1].name == f"step-{len(losses):08d}"
    for file in ("__0_0.distcp", "rank-0.pt"):
        states = [flat_tensors(torch.load(name / file, weights_only=True)) for name in names] if "rank" in file else [
            (name / file).read_bytes() for name in names
        ]  # fmt: skip
        assert states[0] == states[1], file


def flat_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: flat_tensors(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(flat_tensors(item) for item in value)
    return value.tolist() if isinstance(value, torch.Tensor) else value


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert run_process(folder) == 0
    return folder


@pytest.mark.slow
@pytest.mark.multiprocess
def test_what_a_run_leaves(undisturbed: Path) -> None:
    kept = complete_checkpoints(undisturbed / "checkpoints")
    assert [path.name for path in kept] == ["step-00000006", "step-00000008"]
    assert sorted(path.name for path in (undisturbed / "checkpoints").iterdir()) == [path.name for path in kept]
    state = json.loads((kept[0] / "state.json").read_text())
    assert state["progress"] == {
        "step": 6, "samples_seen": 6 * 4, "owes_evaluation": False, "evaluated_step": None, "evaluated_on": None,
    }  # fmt: skip
    assert state["plan"]["num_processes"] == 1
    assert state["recipe"]["schedule"]["max_steps"] == STEPS
    own = torch.load(kept[0] / "rank-0.pt", weights_only=True)
    assert own["random"].keys() >= {"python", "numpy", "torch"}
    assert own["faults"]["seen"] == 6 * 4


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("place", PLACES, ids=[f"{place.partition(':')[2]}-{count}" for place, count in PLACES])
def test_killed_and_resumed(tmp_path: Path, undisturbed: Path, place: tuple[str, int]) -> None:
    folder = tmp_path / "killed"
    assert run_process(folder, die=place) == -signal.SIGKILL
    assert not (folder / "model").exists()
    assert run_process(folder) == 0
    assert_same(folder, undisturbed)
    assert "Going on from" in folder.with_suffix(".log").read_text()
    assert len(list((folder / "checkpoints").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(900)
def test_killed_twenty_times(tmp_path: Path) -> None:
    """At moments that only the clock knows; then the run is left alone."""
    settings = {"schedule.max_steps": 120, "checkpoint.every": 2}
    straight, folder = tmp_path / "straight", tmp_path / "killed"
    assert run_process(straight, **settings) == 0
    generator, kills = random.Random(0), 0
    while kills < 20:
        process = start_process(tiny_values(folder, {**RUN, **settings}), folder.with_suffix(".log"))
        wait_for_life(folder, process)
        time.sleep(generator.uniform(0.0, 0.3))
        assert process.exitcode is None, folder.with_suffix(".log").read_text()[-2000:]
        process.kill()
        process.join(60)
        kills += 1
    assert not (folder / "model").exists()
    assert run_process(folder, **settings) == 0
    assert_same(folder, straight)


def wait_for_life(folder: Path, process: Any) -> None:
    """Wait until a process writes its first line, so that each of them gets somewhere."""
    metrics = folder / "metrics.jsonl"
    size = metrics.stat().st_size if metrics.exists() else 0
    limit = time.monotonic() + 60
    while process.exitcode is None and time.monotonic() < limit:
        if metrics.exists() and metrics.stat().st_size > size:
            return
        time.sleep(0.005)


def test_a_half_written_checkpoint_is_never_taken(tmp_path: Path) -> None:
    assert fit(begin(tmp_path, schedule__max_steps=4))
    folder = tmp_path / "checkpoints"
    for name in (".writing", ".removing-step-00000001", "step-00000099", "step-7", "step-00000004-copy"):
        shutil.copytree(folder / "step-00000004", folder / name)
    (folder / "step-00000099" / "state.json").unlink()
    again = begin(tmp_path, schedule__max_steps=6)
    assert again.progress == Progress(step=4, samples_seen=16)
    remove_leftovers(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "step-00000002", "step-00000004", "step-00000004-copy", "step-00000099", "step-7"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("state.json", b"{", ".+"),
        ("state.json", b"{}", "it has no 'format'"),
        ("rank-0.pt", b"", ".+"),
        ("rank-0.pt", b"not a pickle", "it holds something else"),
        (".metadata", b"x", ".+"),
        ("__0_0.distcp", b"", ".+"),
        ("__0_0.distcp", b"PK and no more", ".+"),
    ],
)
def test_a_damaged_file_of_a_checkpoint_is_named(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    assert fit(begin(tmp_path, schedule__max_steps=2))
    folder = tmp_path / "checkpoints" / "step-00000002"
    (folder / name).write_bytes(content)
    named = re.escape(str(folder / ("*.distcp" if name.endswith("distcp") else name)))
    way_out = rf"If it is damaged, remove the folder {folder};"
    with pytest.raises(RecipeError, match=rf"^{named} cannot be read: {reason}\. {way_out}"):
        begin(tmp_path, schedule__max_steps=4)
    shutil.rmtree(folder)
    assert begin(tmp_path, schedule__max_steps=4).progress == Progress()


def test_a_file_that_is_missing_is_damage(tmp_path: Path) -> None:
    """Only a process that there was not before begins without a state of its own."""
    assert fit(begin(tmp_path, schedule__max_steps=2))
    own = tmp_path / "checkpoints" / "step-00000002" / "rank-0.pt"
    own.unlink()
    with pytest.raises(RecipeError, match=rf"^{re.escape(str(own))} cannot be read: .*No such file.* remove the fo"):
        begin(tmp_path, schedule__max_steps=4)


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    assert fit(begin(tmp_path, schedule__max_steps=2))
    path = tmp_path / "checkpoints" / "step-00000002" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(RecipeError, match="step-00000002 has format 2; this code reads format 1"):
        begin(tmp_path)


@pytest.mark.parametrize("place", ["training.checkpoint.dcp.FileSystemWriter.finish", "training.checkpoint.torch.save"])
def test_a_checkpoint_that_finds_no_room_is_named(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(tmp_path)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, fail)
    with pytest.raises(OSError, match=r"checkpoints/\.writing.* cannot be written: .*No space left on device\.$"):
        run.keeper.save(Progress(step=1, samples_seen=4))


def test_a_disk_that_is_full_is_told_by_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch says where its file ended, and not why."""
    run = begin(tmp_path)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")

    monkeypatch.setattr("training.checkpoint.torch.save", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=300 * 1024))
    with pytest.raises(OSError, match=r"cannot be written: .* 704 vs 598 \(0\.3 MiB are free there\)\.$"):
        run.keeper.save(Progress(step=1, samples_seen=4))


def test_unreadable_videos_of_processes_that_are_no_more_stay_known(tmp_path: Path) -> None:
    run = begin(tmp_path, schedule__max_steps=2)
    run.loader.faults.count(1, 0, [Fault("mine.mp4", "broken")])
    assert fit(run)
    folder = complete_checkpoints(tmp_path / "checkpoints")[-1]
    states = torch.load(folder / "rank-0.pt", weights_only=True)
    seen = states["faults"]["seen"]
    states["faults"] |= {"reasons": {"theirs.mp4": "empty"}, "bad": 1}
    own = states["random"]["torch"]
    states["random"]["torch"] = torch.Generator().manual_seed(99).get_state()
    torch.save(states, folder / "rank-1.pt")  # as another process would have written it
    run.claim.close()  # Windows heeds claims within a process, too
    faults = begin(tmp_path).loader.faults
    assert torch.equal(torch.get_rng_state(), own)  # and not theirs
    assert (faults.reasons, faults.bad, faults.seen) == ({"mine.mp4": "broken", "theirs.mp4": "empty"}, 1, 2 * seen)


def test_resume_can_be_refused(tmp_path: Path) -> None:
    assert fit(begin(tmp_path, schedule__max_steps=2))
    with pytest.raises(RecipeError, match=r"already holds step-00000002: choose another output_dir"):
        begin(tmp_path, checkpoint__resume=False)
    assert begin(tmp_path / "elsewhere", checkpoint__resume=False).progress == Progress()
    assert not list((tmp_path / "elsewhere" / "checkpoints").iterdir())


def test_all_are_kept_on_request(tmp_path: Path) -> None:
    assert fit(begin(tmp_path, checkpoint__keep=0))
    assert len(complete_checkpoints(tmp_path / "checkpoints")) == 3


def test_an_old_one_that_cannot_be_removed_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As over NFS, while somebody copies it."""
    remove = shutil.rmtree

    def busy(path: Path, ignore_errors: bool = False) -> None:
        if path.name.startswith(".removing") and path.exists() and not ignore_errors:
            raise OSError(39, "Directory not empty", str(path))
        if not path.name.startswith(".removing"):
            remove(path)

    monkeypatch.setattr(shutil, "rmtree", busy)
    assert fit(begin(tmp_path, checkpoint__keep=1))
    folder = tmp_path / "checkpoints"
    assert [path.name for path in complete_checkpoints(folder)] == ["step-00000006"]
    assert "step-00000002 cannot be removed whole: [Errno 39]" in caplog.text
    monkeypatch.undo()
    remove_leftovers(folder)
    assert [path.name for path in folder.iterdir()] == ["step-00000006"]


def test_an_older_model_that_cannot_be_removed_keeps_no_newer_one_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above; and whoever loads the model meanwhile finds the one or the other."""
    run = begin(tmp_path)
    folder = save_model(run.accelerator, run.model, run.task)
    with torch.no_grad():
        run.model.decoder.mask_token.fill_(3.0)
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors=False: None)
    assert save_model(run.accelerator, run.model, run.task) == folder
    assert load_file(folder / "model.safetensors")["decoder.mask_token"].eq(3.0).all()


def test_a_model_that_finds_no_room_is_named(tmp_path: Path) -> None:
    run = begin(tmp_path)
    folder = save_model(run.accelerator, run.model, run.task)
    before = (folder / "model.safetensors").read_bytes()
    with full_disk(5000), pytest.raises(OSError, match=r"\.model-writing cannot be written: .*File too large"):
        save_model(run.accelerator, run.model, run.task)
    assert (folder / "model.safetensors").read_bytes() == before


def test_each_process_forces_what_it_wrote_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first one does so with the rest, for that one may be on another machine."""
    run, forced = begin(tmp_path), []
    monkeypatch.setattr("training.checkpoint.force_to_disk", lambda path, recurse=True: forced.append(path.name))
    run.keeper.save(Progress(step=1, samples_seen=4))
    assert forced == ["rank-0.pt", ".writing", "checkpoints"]


def test_an_output_dir_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "run"
    said = rf"output_dir \({re.escape(str(folder))}\) cannot be written to: .*{NOT_A_DIRECTORY}"
    with pytest.raises(RecipeError, match=said):
        begin(folder)


def test_a_folder_that_another_training_writes_to_is_refused_until_it_ends(tmp_path: Path) -> None:
    """Two at once would remove each other's checkpoints."""
    folder = tmp_path / "run"
    other = start_process(tiny_values(folder, {**RUN, "schedule.max_steps": 10_000}), folder.with_suffix(".log"))
    try:
        wait_for_life(folder, other)
        told = (
            rf"a training that still runs \(process {other.pid} on .+\): wait until it has ended, or choose another "
            rf"output_dir\. If its machine has gone, remove {re.escape(str(folder / '.in-use'))}\."
        )
        with pytest.raises(RecipeError, match=told):
            begin(folder)
        assert other.exitcode is None
    finally:
        other.kill()
        other.join(60)
    assert begin(folder).claim is not None


@pytest.mark.parametrize("fails", [None, "pathlib.Path.rmdir", "training.loop.make_optimizer", "training.loop.fit"])
def test_a_run_that_has_ended_leaves_its_folder_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str | None
) -> None:
    """Not only when its process ends: the run after it in the same process would lose its own claim by that."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    held: list[Any] = []
    monkeypatch.setattr("training.checkpoint.claim", lambda *a: held.append(claim(*a)) or held[-1])
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path, schedule__max_steps=3)
    task = PreTrainingTask(recipe)
    if fails is not None:
        monkeypatch.setattr(fails, fail)
    with nullcontext() if fails is None else pytest.raises(ZeroDivisionError):
        train(recipe, task, build_loader)
    assert [file.closed for file in held] == [True]


@pytest.mark.slow
@pytest.mark.multiprocess
def test_processes_that_share_no_folder_are_told_at_the_start(tmp_path: Path) -> None:
    """As on two machines, each with a disk of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    runs = []
    for rank in ("0", "1"):
        environment = {
            **os.environ, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, str(Path(__file__).with_name("fake_clips.py")), "--output_dir", tmp_path / rank]
        runs.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for run in runs:
        _, said = run.communicate(timeout=120)
        assert run.returncode != 0
        assert "is another folder for 1 of 2 processes than for the first one: it must lie in a folder that all" in said
    assert not (tmp_path / "0" / "metrics.jsonl").exists()


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    """Of a deeper one, the blocks that fit would go on, alone."""
    assert fit(begin(tmp_path, schedule__max_steps=2))
    with pytest.raises(RecipeError, match=r"step-00000002 is a checkpoint of another model, 15 of whose") as error:
        begin(tmp_path, model__config__num_hidden_layers=1)
    assert "videomae_v2.layers.1.attention.k_proj.weight: (16, 16) there, None here" in str(error.value)
    with pytest.raises(
        RecipeError, match=r"videomae_v2\.layers\.2\.attention\.k_proj\.weight: None there, \(16, 16\) here"
    ):
        begin(tmp_path, model__config__num_hidden_layers=3)
    with pytest.raises(RecipeError, match=r"decoder\.head\.weight: \(96, 8\) there, \(96, 16\) here"):
        begin(tmp_path, model__config__decoder_hidden_size=16)


class Best:
    """Further state that is no tensor, and so cannot be loaded into."""

    def __init__(self, value: float) -> None:
        self.value = value

    def state_dict(self) -> dict[str, float]:
        return {"value": self.value}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.value = state_dict["value"]


def test_further_state(tmp_path: Path) -> None:
    """Averaged weights and the like travel along."""
    run = begin(tmp_path)
    average = torch.nn.Linear(3, 2)
    run.keeper.extras |= {"average": average, "best": Best(0.75)}
    run.keeper.save(Progress(step=1, samples_seen=4))
    run = begin(tmp_path / "other")
    fresh, best = torch.nn.Linear(3, 2), Best(0.0)
    torch.nn.init.zeros_(fresh.weight)  # the seed would make it what the other one is
    run.keeper.extras |= {"average": fresh, "best": best}
    run.keeper.folder = tmp_path / "checkpoints"
    assert run.keeper.resume() == Progress(step=1, samples_seen=4)
    assert torch.equal(fresh.weight, average.weight)
    assert best.value == 0.75


def test_a_step_that_is_saved_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    run = begin(tmp_path)
    (tmp_path / "checkpoints" / ".writing").mkdir()  # of a process that was killed
    for samples_seen in (4, 8):
        run.keeper.save(Progress(step=1, samples_seen=samples_seen))
    assert run.keeper.resume() == Progress(step=1, samples_seen=8)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_random_states_come_back() -> None:
    np.random.randn()  # of two normal numbers that NumPy makes, it keeps the second
    states = random_states()
    drawn = random.random(), np.random.randn(3).tolist(), torch.rand(3).tolist()
    restore_random_states(states)
    assert drawn == (random.random(), np.random.randn(3).tolist(), torch.rand(3).tolist())


def plan(**changes: Any) -> Plan:
    values = {
        "num_processes": 2, "batch_size": 4, "views": 2, "accumulation": 3, "max_steps": 100, "warmup_steps": 10,
        "peak_lr": 1.0, "warmup_lr": 0.0, "min_lr": 0.0,
    }  # fmt: skip
    return Plan(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"num_processes": 1, "accumulation": 6}, ["Number of processes: 2 -> 1", "accumulation: 3 -> 6"]),
        (
            {"batch_size": 8, "peak_lr": 2.0},
            [
                "batch_size: 4 -> 8",
                "Total batch: 48 -> 96 clips, and with it the peak of the "
                "learning rate, 1 -> 2. Data go on at video 1200.",
                "Schedule: step 50",
            ],
        ),
        ({"views": 4, "batch_size": 2}, ["batch_size", "data.views: 2 -> 4"]),
        ({"max_steps": 200}, ["Schedule: step 50 of 100 -> of 200; the learning rate jumps from 0.587 to 0.895"]),
    ],
)
def test_what_changes_is_said(changes: dict[str, Any], said: list[str]) -> None:
    lines = plan_changes(dataclasses.asdict(plan()), plan(**changes), step=50, samples_seen=1200)
    assert len(lines) == len(said)
    assert all(line.startswith(expected) for line, expected in zip(lines, said))
    back = plan_changes(dataclasses.asdict(plan(**changes)), plan(), step=50, samples_seen=1200)
    assert len(back) == len(said)


def test_another_end_is_said_within_the_warm_up() -> None:
    (line,) = plan_changes(dataclasses.asdict(plan()), plan(max_steps=200), step=9, samples_seen=216)
    assert line.startswith("Schedule: step 9 of 100 -> of 200; the learning rate stays 1 here. Steps are counted on")


def test_another_accumulation_goes_on_with_the_same_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert fit(begin(tmp_path / "straight"))
    assert fit(begin(tmp_path / "changed", schedule__max_steps=2))
    caplog.clear()
    run = begin(tmp_path / "changed", batch_size=1)
    assert "batch_size: 2 -> 1" in caplog.text
    assert fit(run)
    losses = []
    for name in ("straight", "changed"):
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert losses[1][2] == pytest.approx(losses[0][2], rel=1e-2)  # two steps were made on another schedule


def test_a_changed_optimizer_counts_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert fit(begin(tmp_path, schedule__max_steps=2, optimizer__layer_decay=0.9))
    changed = {"weight_decay": 0.5, "betas": [0.8, 0.7], "eps": 1e-6, "layer_decay": 0.8}
    run = begin(tmp_path, **{f"optimizer__{name}": value for name, value in changed.items()})
    assert run.progress.step == 2
    groups = run.optimizer.param_groups
    assert {group["weight_decay"] for group in groups} == {0.0, 0.5}
    assert {(*group["betas"], group["eps"]) for group in groups} == {(0.8, 0.7, 1e-6)}
    assert min(group["lr_scale"] for group in groups) == pytest.approx(0.8**3)
    assert len(run.optimizer.state_dict()["state"]) == sum(len(group["params"]) for group in groups)  # was loaded
    for text in ("weight_decay: 0.05 -> 0.5", "betas: [0.9, 0.95] -> [0.8, 0.7]", "layer_decay: 0.9 -> 0.8"):
        assert f"optimizer.{text}." in caplog.text
    assert fit(run)


def test_other_changes_of_the_recipe_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, start = tmp_path / "run", str(tmp_path / "start")
    options = {"schedule__max_steps": 2, "model__config__drop_path_rate": 0.3}
    assert fit(begin(folder, **options))
    VideoMAEv2ForPreTraining(tiny_recipe(PreTrainingRecipe, tmp_path).model_config()).save_pretrained(start)

    def told(**changes: Any) -> list[str]:
        caplog.clear()
        assert begin(folder, **{**options, **changes}).progress.step == 2
        said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        return [line.removeprefix("[RANK 0] ") for line in said]

    assert told() == []
    assert told(tracking__log_every=1, checkpoint__every=1, data__workers=0) == []  # no part of the result
    assert told(gradient_checkpointing=True, compile="blocks", device="cpu") == []
    assert told(
        model__init_from=start, seed=7, data__flip=True, optimizer__clip_grad=0.5, model__config__drop_path_rate=0.1,
        model__config__hidden_dropout_prob=0.2,
    ) == [
        "data.flip: false -> true from here on.",
        "model.config.drop_path_rate: 0.3 -> 0.1 from here on.",
        "model.config.hidden_dropout_prob: not set -> 0.2 from here on.",
        f"model.init_from ({start}) changes nothing: the weights are those of this run, which began from random ones. "
        "To start from others, choose another output_dir.",
        "optimizer.clip_grad: 1.0 -> 0.5 from here on.",
        "seed: 0 -> 7 from here on.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("layer_decay", 1.0, 0.5), ("layer_decay", 0.5, 1.0), ("weight_decay", 0.05, 0.0), ("weight_decay", 0.0, 0.05)],
)
def test_other_groups_of_parameters_are_refused(tmp_path: Path, name: str, before: float, after: float) -> None:
    assert fit(begin(tmp_path, schedule__max_steps=2, **{f"optimizer__{name}": before}))
    with pytest.raises(RecipeError, match=rf"optimizer.{name} \({after}\) was {before} .* set it to {before}, or"):
        begin(tmp_path, **{f"optimizer__{name}": after})
