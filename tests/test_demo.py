# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo: its whole machinery on a few clips and steps, and what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from processes import members
from systems import NOT_A_DIRECTORY

from training.demo.__main__ import main
from training.demo.plan import Plan
from training.demo.precision import fastest_precision
from training.demo.stages import Stage, StageError, run


pytest.importorskip("av")
ROOT = Path(__file__).parents[1]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.timeout(900)
def test_every_stage_runs_and_its_results_lie_where_it_says(tmp_path: Path) -> None:
    output = tmp_path / "demo"
    done = demo("--output-dir", str(output), "--scale", "0.01")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    rows = json.loads((output / "results.json").read_text())
    assert [row["model"] for row in rows] == [
        "from scratch", "pre-trained", "+ post-pre-trained", "student from scratch", "distilled student",
    ]  # fmt: skip
    assert [row["labelled_clips"] for row in rows] == [12, 12, 20, 12, 20]
    assert rows[0]["parameters"] == rows[1]["parameters"] > rows[3]["parameters"] == rows[4]["parameters"]
    assert all(0.0 <= row[test] <= 1.0 for row in rows for test in ("single_view", "multi_view"))
    assert [row["one_frame"] is not None for row in rows] == [False, False, True, False, False]
    assert (output / "results.md").read_text().count("\n") == 2 + len(rows)
    with Image.open(output / "reconstruction.png") as picture:
        assert picture.size == (3 * 3 * 2 * 66, 3 * 3 * 66)
    for path in ("results.md", "reconstruction.png"):
        assert str(output / path) in done.stdout
    assert "python -m training.pretrain --config training/recipes/demo_pretrain.yaml" in done.stdout

    again = demo("--output-dir", str(output), "--scale", "0.02")  # the clips of another size of the demo stay
    assert again.returncode == 1
    assert "choose another folder or delete this one" in again.stdout


def test_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("keep")
    done = demo("--output-dir", str(tmp_path))
    assert done.returncode == 2
    assert "holds no demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "nan"], "--scale must be above 0, got nan"),
        (["--scale", "inf"], "--scale must be above 0, got inf"),
        (["--seed", "-1"], "--seed must lie in [0, 2147483648), got -1"),
        (["--output-dir", "s3://me/demo"], "s3://me/demo is an address"),
    ],
)
def test_numbers_that_have_no_meaning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--output-dir", str(tmp_path / "demo"), *arguments])
    assert message in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)  # of the test run
    (tmp_path / "file").write_text("keep")
    assert main(["--output-dir", str(tmp_path / "file/demo"), "--mixed-precision", "no"]) == 1
    assert re.search(NOT_A_DIRECTORY, capsys.readouterr().out)


def test_without_pyav_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)  # of the test run
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["--output-dir", str(tmp_path / "demo"), "--mixed-precision", "no"]) == 1
    assert "pip install av" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_stage_that_fails_names_its_command() -> None:
    stage = Stage("training.pretrain", ["--config", "no such.yaml"])
    with pytest.raises(StageError, match=r'`python -m training.pretrain --config "no such.yaml"` ended with status 2'):
        run(stage)


def test_the_target_has_all_classes_and_the_other_data_set_some(tmp_path: Path) -> None:
    plan = Plan(tmp_path, seed=3)
    target, other = plan.datasets().values()
    assert len(target.classes) == 12
    assert len(other.classes) == 8
    assert target.seed != other.seed
    assert plan.datasets() != Plan(tmp_path, seed=4).datasets()


def test_precision_is_what_the_cpu_is_faster_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for fast, answer in ((torch.bfloat16, "bf16"), (torch.float32, "no")):
        monkeypatch.setattr("training.demo.precision.seconds_of_product", lambda dtype: float(dtype != fast))  # noqa: B023
        assert fastest_precision() == answer
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert fastest_precision() == "bf16"


def test_every_stage_computes_in_the_precision_of_the_plan(tmp_path: Path) -> None:
    plan = Plan(tmp_path, precision="bf16")
    stages = [plan.pretraining(), plan.finetuning("a", None), plan.distillation("a"), plan.evaluation("a")]
    for stage in stages:
        assert "--mixed_precision bf16" in stage.command
    assert "--mixed_precision no" in Plan(tmp_path).pretraining().command


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("line", "number"),  # before and after the stage has begun
    [
        ("python -m training.pretrain", signal.SIGTERM),
        ("step 50/", signal.SIGTERM),
        ("python -m training.pretrain", signal.SIGINT),
    ],
)
def test_a_demo_that_is_told_to_stop_leaves_no_stage_behind(tmp_path: Path, line: str, number: int) -> None:
    output = tmp_path / "demo"
    command = [sys.executable, "-u", "-m", "training.demo", "--output-dir", str(output), "--scale", "0.2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    try:
        assert any(line in said for said in running.stdout)
        if number == signal.SIGINT:
            while running.poll() is None and not any("forkserver" in process for process in members(running.pid)):
                time.sleep(0.1)  # until the server of the stages is there, and imports
            os.killpg(running.pid, number)  # as a terminal does
            assert re.search("^Stopped by Ctrl-C", rest := running.stdout.read(), flags=re.MULTILINE)
            assert "Traceback" not in rest
        else:
            running.send_signal(number)
        assert running.wait(timeout=120) == 128 + number
        deadline = time.monotonic() + 30
        while members(running.pid) and time.monotonic() < deadline:  # servers of multiprocessing notice it soon
            time.sleep(0.5)
        assert members(running.pid) == []
    finally:
        if members(running.pid):
            os.killpg(running.pid, signal.SIGKILL)
        running.stdout.close()
