# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""All benchmarks with one command, its options and its share of time for each piece."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_benchmark import CPU, CPU_NAME, QUICK

from benchmarks import attention, end_to_end, features, memory, run
from benchmarks.settings import Settings, parse


pytestmark = pytest.mark.usefixtures("small_peak")


@pytest.mark.parametrize("piece", [attention.run, memory.run, end_to_end.run_defaults, features.run_defaults])
def test_pieces_start_nothing_after_the_time_is_up(piece: Callable[[Settings], list[object]]) -> None:
    assert piece(replace(QUICK, minutes=0.0)) == []


def test_a_cpu_without_bf16_is_measured_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    for support, training, inference_ in ((["AMX"], ("bf16-autocast",), ("fp32", "bf16")), ([], ("fp32",), ("fp32",))):
        monkeypatch.setattr("benchmarks.settings.processor", lambda: ("CPU", support))  # noqa: B023
        assert Settings(device=CPU).precisions("bf16-autocast") == training
        assert Settings(device=CPU).inference_precisions() == inference_
    assert Settings(device=CPU, dtypes=("bf16",)).precisions("fp16") == ("bf16",)


def in_this_process(work: Callable[[int], None], count: int, seconds: float | None) -> list[int]:
    """In place of `run_apart`; what fails ends it."""
    for number in range(count):
        work(number)
    return []


def test_run_measures_writes_and_draws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(run, "run_apart", in_this_process)
    arguments = ["--presets", "tiny", "--pieces", "pretrain_step", "--repeats", "1", "--warmup", "1", "--device", "cpu"]
    assert run.main([*arguments, "--batch-sizes", "1", "2", "--only", "ours", "--output", str(tmp_path)]) == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert {f"pretrain_step-{CPU_NAME}.csv", f"profile_pretraining-{CPU_NAME}.csv"} < written
    assert {f"pretraining-speed-{kind}-{CPU_NAME}.png" for kind in ("batch", "size")} < written
    assert f"pretraining-time-{CPU_NAME}.png" in written
    printed = capsys.readouterr().out
    assert "times the speed" in printed
    assert "ViT-g, dual-masked pre-training, clips/s" in printed


def test_run_reports_a_piece_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "run_apart", lambda work, count, seconds: [1])
    assert run.main(["--pieces", "inference", "memory", "--device", "cpu", "--output", str(tmp_path)]) == 1
    assert "failed or stopped: memory" in capsys.readouterr().out


def test_figures_are_compared_with_targets_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> list[int]:
        raise SystemExit(143)

    monkeypatch.setattr(run, "run_apart", stopped)
    with pytest.raises(SystemExit):
        run.main(["--pieces", "memory", "--device", "cpu", "--output", str(tmp_path)])
    assert "not measured" in capsys.readouterr().out


def test_a_limit_holds_for_what_runs_already(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limits: list[float | None] = []
    monkeypatch.setattr(run, "run_apart", lambda work, count, seconds: limits.append(seconds) or [])
    for more in ([], ["--minutes", "2"]):
        run.main(["--pieces", "memory", "--device", "cpu", "--output", str(tmp_path), *more], time.monotonic() - 60)
    assert limits == [None, pytest.approx(60 + run.AFTER, abs=5)]


@pytest.mark.slow
def test_run_stops_in_good_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.run", "--device", "cpu", "--presets", "tiny", "--dtype", "fp32"]
    command += ["--pieces", "pretrain_step", "--repeats", "100000", "--batch-sizes", "2", "--output", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            next(line for line in process.stdout if line.startswith("device "))
            process.terminate()
            printed = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert process.returncode == 143
    assert "not measured" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0"], "--repeats must be at least 1"),
        (["--output", "s3://me/rows"], "s3://me/rows is an address"),
        (["--batch-sizes", "0"], "--batch-sizes must be at least 1"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--compile", "blocks", "--compile-mode", "reduce-overhead"], "add --compile model"),
        (["--inductor", "no_such=1"], "got ['no_such=1']"),
        (["--cuda-graph"], "--cuda-graph needs a GPU"),
        (["--inductor", "max_autotune=True", "--compile-mode", "max-autotune-no-cudagraphs"], "no --compile-mode"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("", ["--device", "cpu", *arguments])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--compile-mode", "reduce-overhead"], ["--inductor", "triton.cudagraphs=True"]])
def test_graphs_are_recorded_once(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(SystemExit):
        parse("", ["--cuda-graph", "--compile", "model", *arguments])
    assert f"{arguments[1]} parts of it" in capsys.readouterr().err


def test_training_comes_first_and_gets_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu = run.default_pieces(torch.device("cuda"))
    assert on_gpu[:3] == ["pretrain_step", "inference", "end_to_end"]
    assert "memory" not in on_gpu
    assert set(run.default_pieces(CPU)) == set(run.PIECES)
    monkeypatch.setattr("benchmarks.settings.time.monotonic", lambda: 120.0)
    settings = replace(QUICK, minutes=9.0, started=0.0)
    own = run.with_own_limit(settings, ["pretrain_step", "inference", "features", "end_to_end"])
    assert own.minutes == pytest.approx(2 + 7 * 10 / 21)
    gpu = run.with_own_limit(replace(settings, device=torch.device("cuda")), on_gpu)
    assert gpu.minutes == pytest.approx(2 + 7 * 30 / 52)
    assert replace(settings, profile="ours").before_profiles().minutes == pytest.approx(2 + 7 * 0.85)
    assert run.with_own_limit(settings, ["features"]).minutes == pytest.approx(9.0)
    assert run.with_own_limit(QUICK, ["features"]).minutes is None


def test_defaults_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    settings = parse("", [])
    assert settings.presets == ("giant", "base")
    assert settings.compiled == ("off", "blocks")
    assert settings.one_by_one
    assert [settings.way(compiled) for compiled in settings.compiled] == ["off", "blocks (default)"]
    recorded = parse("", ["--cuda-graph"])
    assert [recorded.way(one) for one in recorded.compiled] == ["off (CUDA graph)", "blocks (default, CUDA graph)"]
