# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures that are wanted, read from rows that were measured."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots, targets
from benchmarks.competitors import DUAL, ENCODER_ONLY, OURS, RESEARCH, TRANSFORMERS


COMPILED = "blocks (default)"


def row(variant: str, clips_per_s: float, compiled: str = "off", batch_size: int = 64, **other: Any) -> dict[str, Any]:
    what = {
        "section": "pretraining", "preset": "giant", "variant": variant, "dtype": "bf16-autocast", "compiled": compiled,
        "batch_size": batch_size, "clips_per_s": clips_per_s, "utilisation": clips_per_s / 500, "kept_mib": "",
        "status": "ok", "sdpa": "any", "checkpointing": "none", "optimizer": "fused", "date": "2026-01-01",
        "torch": "2.11", "transformers": "5.17", "best_batch": True, "device": "GPU", "clock": "wall", "threads": 16,
    }  # fmt: skip
    return {**what, **other}


ROWS = [
    row(DUAL, 200.0, kept_mib=50.0),
    row(DUAL, 190.0, batch_size=16, kept_mib=10.0),
    row(DUAL, 310.0, COMPILED, 96),
    row(DUAL, 300.0, COMPILED, kept_mib=60.0),
    row(DUAL, 900.0, COMPILED, checkpointing="full"),
    row(DUAL, 900.0, COMPILED, optimizer="none"),
    row(ENCODER_ONLY, 160.0, kept_mib=100.0),
    row(ENCODER_ONLY, 200.0, COMPILED),
    row(TRANSFORMERS, 100.0),
    row(TRANSFORMERS, 124.0, COMPILED, 16),
    row(RESEARCH, 62.0, batch_size=16),
    row(RESEARCH, 200.0, COMPILED, batch_size=16),
    row(OURS, 155.0, section="inference", dtype="bf16"),
    row(OURS, 150.0, COMPILED, section="inference", dtype="bf16"),
    row(OURS, 160.0, "model (default)", section="inference", dtype="bf16"),
    row(TRANSFORMERS, 100.0, COMPILED, section="inference", dtype="bf16"),
    row(TRANSFORMERS, 120.0, "model (max-autotune)", section="inference", dtype="bf16"),
    row(TRANSFORMERS, 90.0, section="inference", dtype="bf16"),
    row("loader, video files", 280.0, section="end_to_end", views=4, workers=16, share=0.95),
    row("loader, video files", 280.0, section="end_to_end", views=1, workers=16, share=0.5),
]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    fields = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


def printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    targets.main([str(folder)])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("figure", "measured", "batch", "status"),
    [
        ("ViT-g, dual-masked pre-training, clips/s", "310", "96", "reached"),
        ("the same, share of the peak", "0.62", "96", "reached"),
        ("ViT-B, dual-masked pre-training, clips/s", "", "", "not measured"),
        ("ViT-g, pre-training over transformers' compiled", "2.5", "96 and 16", "reached"),
        ("ViT-g, pre-training over the research way", "5", "96 and 16", "reached"),
        ("ViT-g, dual over encoder-only masking, speed", "1.5", "64", "reached"),
        ("ViT-g, dual over encoder-only masking, activation memory", "0.5", "64", "reached"),
        ("ViT-g, inference, 16 x 224 x 224, over transformers' compiled alike", "1.5", "64", "reached"),
        ("ViT-g, inference, 16 x 224 x 224, share of the peak", "0.32", "64", "missed"),
        ("ViT-g, end to end over clips on the device, 4 views", "0.95", "64", "reached"),
    ],
)
def test_every_figure_for_a_gpu(figure: str, measured: str, batch: str, status: str, tmp_path: Path) -> None:
    write(tmp_path, "pretrain_step-some-gpu.csv", [{**r, "views": r.get("views", ""), "workers": 16} for r in ROWS])
    (rows,) = [rows for name, rows in targets.rows_by_device(tmp_path).items() if name == "some-gpu"]
    rows = [row for row in rows if not targets.is_partial(row)]
    (line,) = [line for target in targets.gpu_targets() if (line := target.row(rows))["figure"] == figure]
    assert (line.get("measured", ""), line.get("batch", ""), line["status"]) == (measured, batch, status)


def test_transformers_must_have_been_compiled() -> None:
    find = targets.over_transformers("giant")
    assert find([row(DUAL, 300.0, COMPILED), row(TRANSFORMERS, 100.0)]) is None
    both = [row(DUAL, 300.0, COMPILED), row(TRANSFORMERS, 100.0), row(TRANSFORMERS, 50.0, COMPILED)]
    assert find(both).value == 3.0  # its best way, though


def test_tables_of_every_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(tmp_path, capsys)
    assert "targets: no GPU" in text
    assert "targets: no CPU" in text
    assert "reached" not in text
    write(tmp_path, "pretrain_step-some-gpu.csv", [row(DUAL, 310.0, COMPILED), row(RESEARCH, 62.0, date="2026-01-02")])
    write(tmp_path, "traffic-null-gpu.csv", [{"section": "pretraining", "preset": "giant", "mb_per_clip": 3.0}])
    cpu = row(DUAL, 1.0, optimizer="none", preset="base", speedup=1.9, batch_size=2)
    others = [
        {**cpu, "clips_per_s": 2.0, "speedup": ""},
        {**cpu, "clips_per_s": 3.0, "compiled": COMPILED, "speedup": 9.0},
    ]
    write(tmp_path, "pretrain_step-cpu-bf16.csv", [cpu, *others])
    loader = {"section": "data_loading", "variant": "loader, 2 workers", "views_per_s_core": 10.0}
    alone = {"section": "data_loading", "variant": "ours", "views_per_s_core": 50.0}
    again = {**loader, "variant": "loader, 2 workers, videos written again", "views_per_s_core": 90.0}
    tuned = {**loader, "part": "fine-tuning", "views_per_s_core": 70.0}
    rows = [{**row, "date": "2026-01-01"} for row in (loader, alone, again, tuned)]
    write(tmp_path, "data_loading-cpu-bf16.csv", rows)
    text = printed(tmp_path, capsys)
    assert "targets: some-gpu" in text
    assert "null-gpu" not in text
    assert "compiled: blocks (default); theirs not compiled, rows of different runs" in text
    step = next(line for line in text.splitlines() if "pre-training step in bf16" in line)
    assert step.split(">=")[1].split()[:4] == ["1.8", "1.9", "2", "reached"]
    assert "16 threads, wall" in step
    assert next(line for line in text.splitlines() if "views/s" in line).split(">=")[1].split()[1] == "160"


def test_a_training_step_without_its_optimizer_does_not_count_on_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "pretrain_step-some-gpu.csv", [row(DUAL, 900.0, optimizer="none")])
    assert "targets: no GPU" in printed(tmp_path, capsys)


def test_recorded_steps_are_kept_apart() -> None:
    """Our training does not record its steps."""
    recorded = [row(DUAL, 900.0, way) for way in ("off (CUDA graph)", "blocks (default, CUDA graph)")]
    rows = [row(DUAL, 200.0), row(DUAL, 310.0, COMPILED), *recorded]
    assert targets.rate("pretraining", "giant", DUAL)(rows).value == 310.0
    assert len({plots.label(one) for one in rows}) == 4


@pytest.mark.parametrize("command", [targets.main, plots.main])
def test_a_folder_that_is_not_there_is_no_folder_without_rows(
    command: Callable[[list[str]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command([str(tmp_path / "gone")])
    assert f"{tmp_path / 'gone'} is no folder" in capsys.readouterr().err


def test_pictures_of_all_devices_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    for name in ("some-gpu", "cpu-bf16"):
        write(tmp_path, f"pretrain_step-{name}.csv", ROWS[:2])
    plots.main([str(tmp_path), "--output", str(tmp_path / "pictures")])
    drawn = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert drawn == {
        f"pretraining-speed-{k}-{name}.png" for k in ("size", "batch") for name in ("some-gpu", "cpu-bf16")
    }
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_picture_shows_one_number_of_threads() -> None:
    rows = [row(DUAL, 200.0), row(DUAL, 90.0, threads=8.0), row(TRANSFORMERS, 100.0)]
    assert [one["clips_per_s"] for one in plots.measured(rows, "pretraining")] == [200.0, 100.0]


def test_programs_for_exported_models_are_in_no_picture() -> None:
    rows = [row(DUAL, 200.0), row("ONNX Runtime 1.32.0", 250.0), row("OpenVINO 2026.4.1", 150.0)]
    assert [one["variant"] for one in plots.measured(rows, "pretraining")] == [DUAL]
