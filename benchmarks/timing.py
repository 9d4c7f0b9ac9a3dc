# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Timing of several variants side by side, on machines that are not quiet."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch


LONGEST = 2.0  # seconds of timed rounds on a GPU, after which `ENOUGH` will do
ENOUGH = 3  # rounds


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
    late: Callable[[], bool] = lambda: False,
) -> dict[str, list[float]]:
    """Seconds of every call, all variants taking turns, so that a drift of the machine hits all of them alike.

    Args:
        variants: What to time, by name; each is called with the number of the round (to pick its input).
        repeats: Rounds that are timed. Every other one runs the variants in reverse order.
        warmup: Rounds before them that are not.
        device: Where the work is done; it is waited for at both stamps.
        clock: Seconds, from any start. `time.process_time` counts the work of this process alone, whatever else runs.
        late: Whether the time is up, and `ENOUGH` rounds will do.

    Returns:
        For every variant its `repeats` times; the i-th ones of all variants were taken in the same round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(-warmup, repeats):
        if round_number >= ENOUGH and late():
            break
        order = list(variants) if round_number % 2 == 0 else list(reversed(variants))
        for name in order:
            synchronise(device)
            start = clock()
            variants[name](round_number + warmup)
            synchronise(device)
            if round_number >= 0:
                seconds[name].append(clock() - start)
    return seconds


def queued(
    call: Callable[[int], object], repeats: int, warmup: int, device: torch.device, seconds: float = 0.5
) -> list[float]:
    """Seconds of a call on a GPU, by its own clock: means of several between two events.

    The device never waits for the host, which launches a round ahead of it as in training.

    Args:
        call: What to time; it gets its number (to pick its input).
        repeats: Rounds that are timed; calls that take long get fewer, but `ENOUGH`.
        warmup: Calls before them that are not, at least; 2 at least.
        device: The GPU.
        seconds: Warm-up at least, after the first call, while whose compilation the device idled and its clocks fell; a
            round takes about a fifth of it.

    Returns:
        Mean seconds of a call, for every round.
    """
    call(0)
    synchronise(device)
    number, start = 1, time.perf_counter()
    while number < max(warmup, 2) or time.perf_counter() - start < seconds:
        last = time.perf_counter()
        call(number)
        synchronise(device)
        last, number = time.perf_counter() - last, number + 1
    calls = max(1, math.ceil(seconds / 5 / last))
    call(number)  # while the device computes it, the host launches the first round
    marks, start = [_mark()], time.perf_counter()
    while len(marks) <= repeats and (len(marks) <= ENOUGH or time.perf_counter() - start < LONGEST):
        for _ in range(calls):
            number += 1
            call(number)
        marks.append(_mark())
        marks[-2].synchronize()  # the host is a round ahead and no further, so that its clock is the device's as well
    synchronise(device)
    return [first.elapsed_time(end) / 1e3 / calls for first, end in pairwise(marks)]


def _mark() -> torch.cuda.Event:
    """The moment at which a GPU has done what it was given so far."""
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def alloc_retries(device: torch.device) -> int | None:
    """How often memory of a GPU ran out and was freed and fetched again, which takes time; None on a CPU."""
    return torch.cuda.memory_stats(device)["num_alloc_retries"] if device.type == "cuda" else None


def speedup(baseline: list[float], variant: list[float]) -> Summary:
    """How many times faster a variant is than the baseline, round by round."""
    return Summary.of([slow / fast for slow, fast in zip(baseline, variant)])
