# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The most that a device does in matrix products, measured: what utilisation is a share of.

python -m benchmarks.peak [--device cuda] [--dtype bf16]
"""

import time
from collections.abc import Callable
from functools import cache, partial

import torch

from benchmarks.settings import DTYPES, parse
from benchmarks.timing import Summary, interleaved, queued


SIDES = {"cuda": (8192, 4096), "cpu": (1536,)}
ROUNDS, WARMUP = 10, 3
SECONDS = 0.5  # of warm-up on a GPU


@cache
def matmul_peak(device: torch.device, dtype: torch.dtype, clock: Callable[[], float] = time.perf_counter) -> float:
    """FLOP/s of the fastest of a few large square products, two operations per multiply-accumulate.

    Timed as the models are (median of rounds, on a GPU by its own clock, launches ahead of it). The operands are drawn
    from a normal distribution: zeros would let a GPU clock higher than real work does.
    """
    best = 0.0
    for side in SIDES["cuda" if device.type == "cuda" else "cpu"]:
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        product = partial(torch.mm, left, right, out=torch.empty_like(left))
        best = max(best, 2 * side**3 / Summary.of(_seconds_of(product, device, clock)).median)
        del left, right, product
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return best


def _seconds_of(product: Callable[[], object], device: torch.device, clock: Callable[[], float]) -> list[float]:
    if device.type == "cuda":
        return queued(lambda _: product(), ROUNDS, WARMUP, device, SECONDS)
    return interleaved({"": lambda _: product()}, ROUNDS, WARMUP, device, clock)[""]


def main() -> None:
    settings = parse(__doc__.split("\n")[0])
    for dtype in settings.dtypes or dict.fromkeys(("fp32", *settings.precisions("bf16"))):
        kind = dtype.split("-")[0]
        rate = matmul_peak(settings.device, DTYPES[kind], settings.clock)
        print(f"{kind}: {rate / 1e12:.3f} TFLOP/s, {torch.get_num_threads()} threads, {settings.device}")


if __name__ == "__main__":
    main()
