# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A pre-training step: dual masking beside encoder-only masking (Table 2), transformers' VideoMAE and the research way.

    python -m benchmarks.pretrain_step [--presets base] [--batch-sizes 2] [--compile off blocks] [--profile]

A step is a forward and a backward pass, with AdamW if `--optimizer` says so; masks are drawn within it. Without other
orders precision is bf16 autocast over fp32 weights.
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.competitors import DUAL, ENCODER_ONLY
from benchmarks.settings import Settings, parse
from benchmarks.training_steps import run_training_steps


CPU_BATCH = 2


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    return run_training_steps("pretraining", "pretrain_step", settings, CPU_BATCH, ratios_of_table_2)


def ratios_of_table_2(rows: list[dict[str, Any]]) -> list[str]:
    """Dual over encoder-only masking in our own code, at every setting that was measured with both, as sentences."""
    by_setting: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "ok" and row["variant"] in (DUAL, ENCODER_ONLY):
            key = tuple(row[name] for name in ("preset", "dtype", "compiled", "batch_size"))
            by_setting.setdefault(key, {})[row["variant"]] = row
    lines = []
    for (preset, dtype, compiled, batch_size), pair in by_setting.items():
        if len(pair) < 2:
            continue
        dual, single = pair[DUAL], pair[ENCODER_ONLY]
        shares = "".join(
            f", {dual[name] / single[name]:.2f} of {text}"
            for name, text in (
                ("kept_mib", "the memory kept for the backward pass"),
                ("peak_mib", "the peak of memory"),
            )
            if dual[name] != "" and single[name]
        )
        lines.append(
            f"{preset}, {dtype}, compiled {compiled}, batch {batch_size}: dual over encoder-only masking "
            f"{single['median_ms'] / dual['median_ms']:.2f} times the speed{shares}"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
