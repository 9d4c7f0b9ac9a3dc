# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluation in several processes: the same numbers whatever their number, each video once, on after a kill."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


pytest.importorskip("av")
from tiny_evaluation import NUM_VIDEOS, arguments, metrics, rows, save_model, start, write_a_small_one, write_videos


ROOT = Path(__file__).parents[1]
RESULTS = ("metrics.json", "classes.csv", "confusions.csv")
pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def alone(model: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation in one process."""
    output = tmp_path_factory.mktemp("alone")
    assert start(arguments(model, videos, output), 1, output / "log") == [0], (output / "log").read_text()
    return output


def assert_same(output: Path, expected: Path) -> None:
    for name in RESULTS:
        assert (output / name).read_text() == (expected / name).read_text(), name
    assert rows(output) == rows(expected)  # probabilities too, to the last bit
    assert not (output / "parts").exists()


@pytest.mark.parametrize("count", [2, 3])
def test_processes_do_not_change_a_bit(count: int, model: Path, videos: Path, alone: Path, tmp_path: Path) -> None:
    """11 videos in groups of two: nothing divides evenly."""
    assert [row["video"] for row in rows(alone)] == list(range(NUM_VIDEOS))
    assert start(arguments(model, videos, tmp_path), count, tmp_path / "log") == [0] * count, (
        tmp_path / "log"
    ).read_text()
    assert_same(tmp_path, alone)


def test_accelerate_launch(model: Path, videos: Path, alone: Path, tmp_path: Path) -> None:
    launcher = ["--config_file", "training/accelerate/cpu.yaml", "--num_processes", "2", "--main_process_port", "0"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ACCELERATE_")}
    done = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", *launcher, "-m", "training.evaluate",
            *arguments(model, videos, tmp_path, "--data.workers", "1"),
        ],
        cwd=ROOT, env={**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same(tmp_path, alone)
    assert done.stdout.count("1 x 1 (centre)") == 1  # one process speaks
    assert "destroy_process_group" not in done.stderr


def test_more_processes_than_videos(model: Path, tmp_path: Path) -> None:
    videos, output = write_videos(tmp_path / "videos", 1), tmp_path / "output"
    output.mkdir()
    assert start(arguments(model, videos, output), 3, tmp_path / "log") == [0, 0, 0], (tmp_path / "log").read_text()
    assert metrics(output)["videos"] == 1
    assert len(rows(output)) == 1


def test_killed_and_on_with_another_number_of_processes(model: Path, videos: Path, alone: Path, tmp_path: Path) -> None:
    every = ["--save_every", "0"]
    assert start(arguments(model, videos, tmp_path, *every), 1, tmp_path / "log", die_after=3) == [-9]
    parts = list((tmp_path / "parts").glob("*.parquet"))
    assert len(parts) == 3
    assert not (tmp_path / "metrics.json").exists()
    assert start(arguments(model, videos, tmp_path, *every), 2, tmp_path / "log2") == [0, 0]
    assert "5 videos to evaluate on 2 processes, 6 are already done" in (tmp_path / "log2").read_text()
    assert_same(tmp_path, alone)


def test_one_process_fails_and_none_hangs(model: Path, videos: Path, tmp_path: Path) -> None:
    """A folder that belongs to another evaluation: only the main process sees it, and all of them leave."""
    assert start(arguments(model, videos, tmp_path), 1, tmp_path / "log") == [0]
    argv = arguments(model, videos, tmp_path, "--num_crops", "1")
    assert start(argv, 2, tmp_path / "log2") == [2, 1]
    assert "holds predictions of another evaluation (other views)" in (tmp_path / "log2").read_text()


def test_the_other_process_fails_and_none_hangs(model: Path, videos: Path, tmp_path: Path) -> None:
    """The third video, the first of the second process, fits no view; the first process is at the end."""
    argv = arguments(*write_a_small_one(model, videos, tmp_path), tmp_path / "output")
    assert start(argv, 2, tmp_path / "log") == [1, 1]
    log = (tmp_path / "log").read_text()
    assert "small.mp4 cannot be evaluated" in log
    assert "Another process has ended before its time" in log
    assert "Traceback" not in log
