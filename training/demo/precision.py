# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which number format this machine multiplies fastest in."""

import time

import torch


TOKENS, WIDTH = 256, 512
TRIES = 3


def fastest_precision() -> str:
    """What to take for `mixed_precision`: "bf16", or "no" on a CPU where bf16 is not faster.

    It is measured, in a fraction of a second. A CPU without instructions for bf16 converts every number, which makes a
    step of the demo many times as long.
    """
    if torch.accelerator.is_available():
        return "bf16"
    return "bf16" if seconds_of_product(torch.bfloat16) < seconds_of_product(torch.float32) else "no"


def seconds_of_product(dtype: torch.dtype) -> float:
    """Best time of a product of matrices on the CPU."""
    left, right = torch.ones(TOKENS, WIDTH, dtype=dtype), torch.ones(WIDTH, WIDTH, dtype=dtype)
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        torch.matmul(left, right)
        times.append(time.perf_counter() - started)
    return min(times)
