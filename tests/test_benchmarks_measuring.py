# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which models are timed at which batch sizes, in which order, and what becomes of those that fail."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_benchmark import CPU, QUICK, dual

from benchmarks import finetune_step, inference, pretrain_step
from benchmarks.competitors import DUAL, ENCODER_ONLY, Competitor, competitors
from benchmarks.measuring import add_details, after_sweep, failure, measure, one_by_one
from benchmarks.row_file import RowFile
from benchmarks.rows import Measurement, make_rows
from benchmarks.settings import Settings, parse
from benchmarks.steps import Inputs, Step


pytestmark = pytest.mark.usefixtures("small_peak")


@pytest.mark.parametrize("piece", [pretrain_step, finetune_step, inference])
def test_timed_piece_gives_a_complete_row_for_each_competitor(piece: object, tmp_path: Path) -> None:
    settings = Settings(device=CPU, presets=("tiny",), repeats=2, warmup=1, optimizer="fused", output=tmp_path)
    rows = piece.run(settings)
    assert {row["status"] for row in rows} == {"ok"}
    names = {row["variant"] for row in rows}
    assert {"transformers, sdpa", "transformers, eager", "research way"} < names
    for row in rows:
        assert row["clips_per_s"] > 0
        assert row["speedup"] > 0
        assert row["device"]
        assert row["torch"] == torch.__version__
    (path,) = tmp_path.glob("*.csv")
    with path.open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)


def test_one_that_fails_leaves_the_others() -> None:
    settings = Settings(device=CPU, presets=("tiny",), repeats=1, warmup=0, checkpointing="selective")
    results = RowFile("pretrain_step", CPU, None)
    measure("pretraining", "fp32", settings, 1, results)
    rows = {row["variant"]: row for row in results.rows}
    assert "no checkpointing" in rows["research way"]["status"]
    assert rows["research way"]["clips_per_s"] == ""
    assert rows[DUAL]["status"] == "ok"


def test_a_competitor_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(device=CPU, presets=("tiny",), repeats=1, warmup=0, only=("ourz", "theirs"))
    results = RowFile("pretrain_step", CPU, None)
    measure("pretraining", "fp32", settings, 1, results)
    assert not results.rows
    assert "--only ourz theirs is part of none of: ours, dual masking," in capsys.readouterr().out


def sweep(monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], room: int = 10**6) -> list[Measurement]:
    """Sweep of batch sizes that take so long, where memory is enough for so many clips."""

    def time_steps(steps: object, inputs: Inputs, settings: Settings) -> dict[str, list[float]]:
        if inputs.batch_size > room:
            raise torch.OutOfMemoryError("too many clips")
        return {"": [seconds[inputs.batch_size]]}

    monkeypatch.setattr("benchmarks.measuring.time_steps", time_steps)
    sizes = tuple(size for size in seconds if size >= 4)
    return list(one_by_one(dual(), "pretraining", "tiny", "fp32", "off", sizes, True, QUICK))


def test_sweep_stops_where_a_larger_batch_brings_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweep(monkeypatch, {4: 0.1, 8: 0.1, 16: 0.2, 32: 0.4, 64: 0.8})
    assert [m.batch_size for m in found] == [4, 8, 16, 32]
    results = RowFile("pretrain_step", CPU, None)
    results.put(make_rows(found, "pretraining", "tiny", "fp32", "off", QUICK))
    assert [row["batch_size"] for row in results.rows if row["best_batch"]] == [8]


def test_sweep_stops_before_a_call_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweep(monkeypatch, {4: 0.5, 8: 0.8, 16: 1.0})
    assert [m.batch_size for m in found] == [4, 8]  # 16 clips would take 1.6 s


def test_sweep_goes_down_where_its_first_size_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweep(monkeypatch, {1: 0.1, 2: 0.1, 4: 0.1, 8: 0.1}, room=2)
    assert [(m.batch_size, m.status) for m in found] == [(4, "out of memory"), (2, "ok")]
    assert [m.batch_size for m in sweep(monkeypatch, {4: 0.1, 8: 0.1, 16: 0.1}, room=8)] == [4, 8, 16]


def test_a_model_is_built_once_for_all_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    counted = replace(dual(), build=lambda: built.append("") or dual().build())
    settings = replace(QUICK, repeats=1, warmup=0)
    for compiled, expected in (("off", 1), ("model", 2)):
        monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
        built.clear()
        found = list(one_by_one(counted, "pretraining", "tiny", "fp32", compiled, (1, 2), False, settings))
        assert [m.status for m in found] == ["ok", "ok"]
        assert len(built) == expected


def test_times_stay_where_memory_ends_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> float:
        raise torch.OutOfMemoryError("no room to count")

    monkeypatch.setattr("benchmarks.measuring.kept_for_backward", fail)
    (found,) = one_by_one(dual(), "pretraining", "tiny", "fp32", "off", (1,), False, QUICK)
    assert (found.status, found.kept_mib) == ("ok", None)
    assert found.seconds


@pytest.mark.parametrize(("mode", "peak"), [("default", 3.0), ("reduce-overhead", None)])
def test_memory_that_graphs_keep_between_calls_is_no_peak(
    mode: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.measuring.peak_of_call", lambda *_: 3.0)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
    step = Step(dual(), "pretraining", "fp32", "model", replace(QUICK, mode=mode))
    step.settings = replace(step.settings, device=torch.device("cuda"))
    found = Measurement(dual(), 1)
    add_details(found, step, Inputs(step.model.config, 1, CPU, torch.float32))
    assert found.peak_mib == peak


def test_compiled_dual_masking_takes_the_size_of_encoder_only_masking_too() -> None:
    wanted = competitors("pretraining", "tiny")[:3]
    ours, theirs, single = wanted
    found = [Measurement(ours, 16, [1.0]), Measurement(ours, 64, [2.0]), Measurement(ours, 128, [4.0])]
    found += [Measurement(single, 16, [1.0]), Measurement(single, 64, [])]
    assert after_sweep([ours, theirs], (16, 64), found) == [(ours, (64,)), (theirs, (16, 64))]
    assert after_sweep([single], (16, 64), found) == [(single, (16,)), (ours, (16,))]
    assert after_sweep([single], (16, 64), found[:1] + found[3:]) == [(single, (16,))]  # the same size already
    assert after_sweep(wanted, (16, 64), []) == [(competitor, (16, 64)) for competitor in wanted]


def test_what_matters_most_is_measured_first(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[str, str]] = []

    def build(self: object, competitor: Competitor, task: str, dtype: str, compiled: str, settings: Settings) -> None:
        built.append((competitor.name, compiled))
        raise RuntimeError("not built")

    monkeypatch.setattr(Step, "__init__", build)
    settings = replace(QUICK, compiled=("off", "blocks"), one_by_one=True)
    measure("pretraining", "fp32", settings, 1, RowFile("pretrain_step", CPU, None))
    main = [DUAL, "transformers, sdpa"]
    assert built[:4] == [(name, "off") for name in (*main, ENCODER_ONLY, "research way")]
    assert built[4:6] == [(name, "blocks") for name in main]
    assert built[6:] == [
        (ENCODER_ONLY, "blocks"), ("transformers, eager", "off"), ("research way", "blocks"),
        ("transformers, eager", "blocks"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED in `cublasCreate`"])
def test_libraries_run_out_of_memory_too(text: str) -> None:
    assert failure(RuntimeError(text)) == "out of memory"


def test_nothing_more_is_asked_of_a_gpu_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def synchronize() -> None:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        failure(RuntimeError("of a kernel"))


def test_no_model_is_built_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def build(self: object, competitor: Competitor, *_: object) -> None:
        built.append(competitor.name)
        monkeypatch.setattr(Settings, "late", True)
        raise RuntimeError("stop here")

    for one_at_a_time in (True, False):
        built.clear()
        monkeypatch.setattr(Settings, "late", False)
        monkeypatch.setattr(Step, "__init__", build)
        settings = replace(QUICK, batch_sizes=(1, 2), compiled=("off", "blocks"), one_by_one=one_at_a_time)
        results = RowFile("pretrain_step", CPU, None)
        measure("pretraining", "fp32", settings, 1, results)
        assert built == [DUAL]
        assert [row["variant"] for row in results.rows] == [DUAL]


def test_options_of_inductor_reach_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: given.append(options))
    settings = parse("", ["--device", "cpu", "--inductor", "triton.multi_kernel=1", "cpp.simdlen=None"])
    Step(dual(), "pretraining", "fp32", "model", settings)
    assert given == [{"dynamic": False, "options": {"triton.multi_kernel": 1, "cpp.simdlen": None}}]
    assert settings.compile_label == "triton.multi_kernel=1 cpp.simdlen=None"


@pytest.mark.parametrize(("compiled", "expected"), [("off", 0), ("blocks", 5), ("model", 1)])
def test_what_is_compiled(compiled: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: asked.append(options))
    Step(dual(), "pretraining", "fp32", compiled, QUICK)
    assert asked == [{"mode": "default", "dynamic": False}] * expected
