# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Feature maps that a training step keeps for its backward pass, for every size of model, on any machine.

    python -m benchmarks.memory [--presets base giant] [--batch-sizes 1]

Every block of a stack keeps the same, so models of one and of two blocks are run (forward, bf16 autocast, batch 1) and
the rest is arithmetic: a laptop counts ViT-g in seconds. Attention is counted as fused wherever it is SDPA, and norms
and softmax in fp32, as a GPU does it. Peaks of real memory on a GPU stand in the tables of the timed pieces.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.competitors import RESEARCH, Competitor, Task, competitors, make_config
from benchmarks.flops import PRESET_NAMES
from benchmarks.machine import describe
from benchmarks.measuring import failure
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings, parse
from benchmarks.steps import Inputs, Step, kept_for_backward
from benchmarks.tables import print_machine, print_table
from training.activation_memory import as_on_a_gpu, by_block


DTYPE = "bf16-autocast"
DEPTHS = ("num_hidden_layers", "decoder_num_hidden_layers")


def kept_mib(task: Task, preset: str, name: str, settings: Settings) -> float:
    """MiB kept by one clip in the competitor `name`, in full depth."""

    def kept(layers: dict[str, int]) -> float:
        competitor = named(competitors(task, preset, **layers), name)
        step = Step(competitor, task, DTYPE, "off", settings)
        inputs = Inputs(make_config(preset), 1, settings.device, step.stored_dtype)
        with as_on_a_gpu():
            return kept_for_backward(step, *inputs(0))

    rest, blocks = by_block(kept, DEPTHS if task == "pretraining" else DEPTHS[:1])
    return rest + sum(size * getattr(make_config(preset), name) for name, size in blocks.items())


def named(found: Sequence[Competitor], name: str) -> Competitor:
    return next(competitor for competitor in found if competitor.name == name)


def run(settings: Settings) -> list[dict[str, Any]]:
    """Count, print and write; returns the rows."""
    print_machine(settings.device)
    results = RowFile("memory", settings.device, settings.output)
    for task in ("pretraining", "finetuning"):
        for preset in settings.presets:
            for checkpointing in ("none", "full"):
                results.put(count(task, preset, replace(settings, checkpointing=checkpointing)))
    columns = {"section": "section", "preset": "size", "variant": "variant", "checkpointing": "checkpointing"}
    print_table(
        results.rows, {**columns, "kept_mib": "MiB per clip", "share": "of transformers' SDPA", "status": "status"}
    )
    results.announce()
    return results.rows


def count(task: Task, preset: str, settings: Settings) -> list[dict[str, Any]]:
    """Rows of one size: all competitors, or with checkpointing those that have it."""
    rows: list[dict[str, Any]] = []
    for competitor in competitors(task, preset):
        if settings.late:
            break
        if not settings.wants(competitor.name) or (settings.checkpointing != "none" and competitor.name == RESEARCH):
            continue
        row: dict[str, Any] = {"section": task, "preset": preset, "variant": competitor.name, "dtype": DTYPE}
        row |= {"batch_size": 1, "checkpointing": settings.checkpointing, "kept_mib": "", "share": "", "status": "ok"}
        try:
            row["kept_mib"] = round(kept_mib(task, preset, competitor.name, settings), 1)
        except Exception as error:
            row["status"] = failure(error)
        rows.append(row)
    baseline = next((row["kept_mib"] for row in rows if row["variant"] == "transformers, sdpa"), "")
    for row in rows:
        row |= describe(settings.device)
        if baseline and row["kept_mib"] != "":
            row["share"] = round(row["kept_mib"] / baseline, 2)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    settings = parse(__doc__.split("\n")[0], arguments)
    run(settings if settings.presets_asked else replace(settings, presets=PRESET_NAMES))


if __name__ == "__main__":
    main(sys.argv[1:])
