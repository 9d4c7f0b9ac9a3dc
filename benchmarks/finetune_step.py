# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuning step of the classifier, all tokens, beside transformers' VideoMAE and the research way.

    python -m benchmarks.finetune_step [--presets base] [--batch-sizes 2] [--compile off blocks] [--checkpointing]

A step is a forward and a backward pass, with AdamW if `--optimizer` says so. Without other orders precision is bf16
autocast over fp32 weights.
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.settings import Settings, parse
from benchmarks.training_steps import run_training_steps


CPU_BATCH = 1


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    return run_training_steps("finetuning", "finetune_step", settings, CPU_BATCH)


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
