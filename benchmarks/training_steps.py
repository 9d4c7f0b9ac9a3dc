# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the pieces that time a step of training have in common."""

from collections.abc import Callable
from typing import Any

from benchmarks.competitors import Task
from benchmarks.measuring import measure
from benchmarks.profiling import profile_piece
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings
from benchmarks.tables import print_machine, print_steps


def run_training_steps(
    task: Task,
    piece: str,
    settings: Settings,
    cpu_batch: int,
    compare: Callable[[list[dict[str, Any]]], list[str]] = lambda rows: [],
) -> list[dict[str, Any]]:
    """Measure the steps of all competitors, write after each, print and, if asked for, profile them.

    Args:
        task: "pretraining" or "finetuning".
        piece: Name of the piece, for the file.
        settings: What to measure.
        cpu_batch: Clips per step on a CPU, where nothing is said.
        compare: Gives lines about the rows, to print.

    Returns:
        The rows.
    """
    print_machine(settings.device)
    results = RowFile(piece, settings.device, settings.output)
    timing = settings.before_profiles()
    for dtype in settings.precisions("bf16-autocast"):
        measure(task, dtype, timing, cpu_batch, results)
    print_steps(results.rows)
    results.announce()
    for line in compare(results.rows):
        print(line, flush=True)
    if settings.profile:
        profile_piece(task, settings, results.rows)
    return results.rows
