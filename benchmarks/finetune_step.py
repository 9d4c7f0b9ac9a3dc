# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuning step of the classifier, all tokens, beside transformers' VideoMAE and the research way.

    python -m benchmarks.finetune_step [--presets base] [--batch-sizes 2] [--compile off layers] [--checkpointing]

A step is a forward and a backward pass, with AdamW if `--optimizer` says so. Without other orders precision is bf16
autocast over fp32 weights.
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.measuring import measure
from benchmarks.profiling import profile_piece
from benchmarks.settings import Settings, parse
from benchmarks.tables import finish, print_machine, print_table


CPU_BATCH = 1


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(settings.device)
    rows: list[dict[str, Any]] = []
    for dtype in settings.precisions("bf16-autocast"):
        rows += measure("finetuning", dtype, settings, CPU_BATCH)
    print_table(rows)
    finish(rows, "finetune_step", settings.device, settings.output)
    if settings.profile:
        profile_piece("finetuning", settings, rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
