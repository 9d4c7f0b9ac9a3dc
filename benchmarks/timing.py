# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Timing of several variants side by side, on machines that are not quiet."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Summary:
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Summary":
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    variants: dict[str, Callable[[int], object]],
    repeats: int,
    warmup: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of every call, all variants taking turns, so that a drift of the machine hits all of them alike.

    Args:
        variants: What to time, by name; each is called with the number of the round (to pick its input).
        repeats: Rounds that are timed. Every other one runs the variants in reverse order.
        warmup: Rounds before them that are not.
        device: Where the work is done; it is waited for at both stamps.
        clock: Seconds, from any start. `time.process_time` counts the work of this process alone, whatever else runs.

    Returns:
        For every variant its `repeats` times; the i-th ones of all variants were taken in the same round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(-warmup, repeats):
        order = list(variants) if round_number % 2 == 0 else list(reversed(variants))
        for name in order:
            synchronise(device)
            start = clock()
            variants[name](round_number + warmup)
            synchronise(device)
            if round_number >= 0:
                seconds[name].append(clock() - start)
    return seconds


def speedup(baseline: list[float], variant: list[float]) -> Summary:
    """How many times faster a variant is than the baseline, round by round."""
    return Summary.of([slow / fast for slow, fast in zip(baseline, variant)])
