# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which number format this machine multiplies fastest in."""

import time

import torch


TOKENS, WIDTH = 256, 512
TRIES = 3


def fastest_precision() -> str:
    """What to take for `mixed_precision`: "bf16", or "no" where bf16 is not faster.

    It is measured, in a fraction of a second. A CPU without instructions for bf16 converts every number, which makes a
    step of the demo nine times as long.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    device = accelerator or torch.device("cpu")
    return "bf16" if _seconds(torch.bfloat16, device) < _seconds(torch.float32, device) else "no"


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Best time of a product of matrices."""
    left = torch.ones(TOKENS, WIDTH, dtype=dtype, device=device)
    right = torch.ones(WIDTH, WIDTH, dtype=dtype, device=device)
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        (left @ right)[0, 0].item()  # waits for the device
        times.append(time.perf_counter() - started)
    return min(times)
