# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of figures, and the files that hold them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_benchmark import CPU, CPU_NAME, QUICK
from torch.nn.attention import SDPBackend

from benchmarks import pretrain_step
from benchmarks.backends import backend_taken
from benchmarks.competitors import DUAL, ENCODER_ONLY, Competitor
from benchmarks.measuring import measure
from benchmarks.row_file import RowFile, read_text
from benchmarks.steps import Step


pytestmark = pytest.mark.usefixtures("small_peak")


def row_of(batch_size: int, rate: float | str, status: str = "ok", **other: object) -> dict[str, object]:
    row = {"section": "pretraining", "variant": DUAL, "dtype": "fp32", "batch_size": batch_size, "preset": "base"}
    return {**row, "clips_per_s": rate, "status": status, "best_batch": "", "baseline": "transformers, sdpa", **other}


def test_rows_of_earlier_runs_stay_until_they_are_measured_again(tmp_path: Path) -> None:
    first = RowFile("piece", CPU, tmp_path)
    first.put([row_of(1, 2.0)])
    first.put([row_of(2, 3.0), row_of(1, 1.5, variant="transformers, sdpa")])
    second = RowFile("piece", CPU, tmp_path)
    second.put([row_of(4, 2.5), row_of(2, 3.6, torch="new")])
    second.put([row_of(1, "", status="out of memory")])
    assert len(second.rows) == 3
    rows = {(row["variant"], row["batch_size"]): row for row in read_text(second.path)}
    assert {key: row["clips_per_s"] for key, row in rows.items()} == {
        (DUAL, "1"): "2.0", (DUAL, "2"): "3.6", (DUAL, "4"): "2.5", ("transformers, sdpa", "1"): "1.5",
    }  # fmt: skip
    assert [key for key, row in rows.items() if row["best_batch"] == "True"][-1] == (DUAL, "2")
    assert rows[DUAL, "4"]["speedup_at_best_batch"] == "2.4"
    assert [path.name for path in tmp_path.iterdir()] == [f"piece-{CPU_NAME}.csv"]


def test_every_cpu_has_files_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Intel(R) Xeon(R) CPU @ 2.50GHz", "AMD EPYC 7763"):
        monkeypatch.setattr("benchmarks.machine.processor", lambda name=name: (name, []))
        RowFile("piece", CPU, tmp_path).put([row_of(1, 2.0)])
    names = ["piece-cpu-amd-epyc-7763-no-bf16.csv", "piece-cpu-intel-xeon-cpu-2-50ghz-no-bf16.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_rows_are_written_before_the_next_model_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, seen, real = tmp_path / f"pretrain_step-{CPU_NAME}.csv", [], Step.__init__

    def build(self: Step, competitor: Competitor, *rest: object) -> None:
        seen.append(len(read_text(path)) if path.exists() else 0)
        real(self, competitor, *rest)

    monkeypatch.setattr(Step, "__init__", build)
    pretrain_step.run(replace(QUICK, one_by_one=True, output=tmp_path, only=("ours",), repeats=1))
    assert seen == [0, 1]


def test_rows_name_back_end_and_compiled_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._fused_sdp_choice", lambda *_, **__: int(SDPBackend.EFFICIENT_ATTENTION))
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
    results = RowFile("inference", CPU, None)
    settings = replace(QUICK, repeats=1, compiled=("blocks",), only=("ours", "transformers"))
    measure("finetuning", "fp32", settings, 1, results)
    rows = {row["variant"]: row for row in results.rows}
    assert rows["transformers, sdpa"]["sdpa_takes"] == "efficient"
    assert rows["transformers, eager"]["sdpa_takes"] == ""
    assert rows["transformers, sdpa"]["compiled_parts"] == "VideoMAELayer"
    assert rows["ours"]["compiled_parts"] == "VideoMAEv2Embeddings VideoMAEv2Layer"


def test_a_torch_that_does_not_tell_its_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch._fused_sdp_choice")
    assert backend_taken(*(torch.randn(1, 2, 8, 4) for _ in range(3))) == ""


def test_ratios_of_table_2_name_both_kinds_of_memory() -> None:
    what = {"status": "ok", "preset": "base", "dtype": "bf16", "compiled": "off", "batch_size": 8}
    single = {**what, "variant": ENCODER_ONLY, "median_ms": 3.0, "kept_mib": 4.0, "peak_mib": 10.0}
    double = {**what, "variant": DUAL, "median_ms": 2.0, "kept_mib": 3.0, "peak_mib": 8.0}
    (line,) = pretrain_step.ratios_of_table_2([single, double])
    assert "1.50 times the speed, 0.75 of the memory kept" in line
    assert line.endswith("0.80 of the peak of memory")
    (line,) = pretrain_step.ratios_of_table_2([{**single, "kept_mib": ""}, {**double, "kept_mib": ""}])
    assert "kept" not in line
