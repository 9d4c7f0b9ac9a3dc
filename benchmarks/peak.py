# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The most that a device does in matrix products, measured: what utilisation is a share of.

python -m benchmarks.peak [--device cuda] [--dtype bf16]
"""

import time
from collections.abc import Callable
from functools import cache

import torch

from benchmarks.settings import DTYPES, parse
from benchmarks.timing import synchronise


SIDES = {"cuda": (8192, 4096), "cpu": (1536,)}
SECONDS = 1.0


@cache
def matmul_peak(device: torch.device, dtype: torch.dtype, clock: Callable[[], float] = time.perf_counter) -> float:
    """FLOP/s of the fastest of a few large square products, two operations per multiply-accumulate.

    The operands are drawn from a normal distribution: zeros would let a GPU clock higher than real work does.
    """
    best = 0.0
    for side in SIDES["cuda" if device.type == "cuda" else "cpu"]:
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(left)
        for _ in range(3):
            torch.mm(left, right, out=out)
        synchronise(device)
        end, times = time.monotonic() + SECONDS, []
        while time.monotonic() < end or len(times) < 5:
            products = 10 if device.type == "cuda" else 1
            start = clock()
            for _ in range(products):
                torch.mm(left, right, out=out)
            synchronise(device)
            times.append((clock() - start) / products)
        best = max(best, 2 * side**3 / sorted(times)[len(times) // 4])
    return best


def main() -> None:
    settings = parse(__doc__.split("\n")[0])
    for dtype in settings.dtypes or dict.fromkeys(("fp32", *settings.precisions("bf16"))):
        kind = dtype.split("-")[0]
        rate = matmul_peak(settings.device, DTYPES[kind], settings.clock)
        print(f"{kind}: {rate / 1e12:.3f} TFLOP/s, {torch.get_num_threads()} threads, {settings.device}")


if __name__ == "__main__":
    main()
