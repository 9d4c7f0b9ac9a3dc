# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From competitors to rows of figures.

On a CPU all models take turns round by round, so that a drift of the machine hits all alike; on a GPU, whose memory
large models fill, one is built, timed and freed after the other, at several batch sizes.
"""

import gc
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.competitors import Competitor, Task, competitors, make_config
from benchmarks.machine import describe
from benchmarks.peak import matmul_peak
from benchmarks.settings import DTYPES, SWEEP, Settings, stored_dtype
from benchmarks.steps import Inputs, Step, kept_for_backward, peak_of_call
from benchmarks.timing import Summary, interleaved, speedup


FORWARD_AND_BACKWARD = 3  # a backward pass multiplies twice as much as a forward pass
WORTH_MORE_MEMORY = 1.01  # a larger batch must bring so much; two that do not end the search


@dataclass
class Measurement:
    """Times of one competitor at one batch size, or why there are none."""

    competitor: Competitor
    batch_size: int
    seconds: list[float] = field(default_factory=list)
    kept_mib: float | None = None
    peak_mib: float | None = None
    status: str = "ok"

    @property
    def rate(self) -> float:
        """Clips per second; 0 where it failed."""
        return self.batch_size / Summary.of(self.seconds).median if self.seconds else 0.0


def failure(error: Exception) -> str:
    """What a row says instead of figures; the full story goes to the screen, unless it is a lack of memory."""
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    traceback.print_exception(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def time_steps(steps: dict[str, Step], inputs: Inputs, settings: Settings) -> dict[str, list[float]]:
    """Seconds of every round of every step, in turn."""

    def caller(step: Step) -> Any:
        return lambda round_number: step(*inputs(round_number))

    callers = {name: caller(step) for name, step in steps.items()}
    return interleaved(callers, settings.repeats, settings.warmup, settings.device, settings.clock)


def add_memory(measurement: Measurement, step: Step, inputs: Inputs) -> None:
    """Fill in what memory a step takes."""
    if step.training and step.compiled == "off" and step.settings.checkpointing != "selective":  # that hides from hooks
        measurement.kept_mib = kept_for_backward(step, *inputs(0))
    if step.settings.device.type == "cuda":
        measurement.peak_mib = peak_of_call(step, *inputs(0))


def in_turns(
    wanted: list[Competitor], task: Task, preset: str, dtype: str, compiled: str, batch_size: int, settings: Settings
) -> list[Measurement]:
    """All competitors in memory, taking turns."""
    inputs = Inputs(make_config(preset), batch_size, settings.device, stored_dtype(dtype))
    measurements, steps = {c.name: Measurement(c, batch_size) for c in wanted}, {}
    for competitor in wanted:
        try:
            step = Step(competitor, task, dtype, compiled, settings)
            step(*inputs(0))
            steps[competitor.name] = step
        except Exception as error:  # one that cannot be built does not keep the others from being measured
            measurements[competitor.name].status = failure(error)
    if steps:
        for name, seconds in time_steps(steps, inputs, settings).items():
            measurements[name].seconds = seconds
            add_memory(measurements[name], steps[name], inputs)
            steps[name].release()
    return list(measurements.values())


def one_by_one(
    competitor: Competitor, task: Task, preset: str, dtype: str, compiled: str, sizes: tuple[int, ...], sweep: bool,
    settings: Settings,
) -> Iterator[Measurement]:  # fmt: skip
    """One competitor at several batch sizes, in ascending order, until memory or gain ends."""
    best, without_gain = 0.0, 0
    for batch_size in sizes:
        measurement = Measurement(competitor, batch_size)
        step = inputs = None
        try:
            inputs = Inputs(make_config(preset), batch_size, settings.device, stored_dtype(dtype))
            step = Step(competitor, task, dtype, compiled, settings)
            measurement.seconds = time_steps({"": step}, inputs, settings)[""]
            add_memory(measurement, step, inputs)
        except Exception as error:
            measurement.status = failure(error)
        if step is not None:
            step.release()
        del step, inputs
        gc.collect()
        yield measurement
        without_gain = 0 if measurement.rate > WORTH_MORE_MEMORY * best else without_gain + 1
        best = max(best, measurement.rate)
        if settings.late or (sweep and (measurement.status != "ok" or without_gain == 2)):
            return


def measure(
    task: Task, dtype: str, settings: Settings, default_batch: int, extra: Any = None
) -> Iterator[dict[str, Any]]:
    """Rows of one task in one precision: every preset, compiled or not, competitor and batch size.

    Args:
        task: What to measure.
        dtype: One of `DTYPE_NAMES`.
        settings: How.
        default_batch: Clips per call on a CPU, where nothing else is asked for.
        extra: Gives more competitors for `(preset, dtype)`, or None.
    """
    for preset in settings.presets:
        wanted = competitors(task, preset) + (extra(preset, dtype) if extra is not None else [])
        wanted = [competitor for competitor in wanted if settings.wants(competitor.name)]
        best: dict[str, int] = {}  # compiled models take the batch that was best without
        for compiled in settings.compiled:
            if settings.late:
                return
            found: list[Measurement] = []
            sweep = not settings.batch_sizes and settings.device.type == "cuda"
            sizes = settings.batch_sizes or (SWEEP if sweep else (default_batch,))
            if settings.one_by_one:
                for competitor in wanted:
                    chosen = (best[competitor.name],) if sweep and competitor.name in best else sizes
                    found += one_by_one(competitor, task, preset, dtype, compiled, chosen, len(chosen) > 1, settings)
            else:
                for size in sizes:
                    found += in_turns(wanted, task, preset, dtype, compiled, size, settings)
            rows = make_rows(found, task, preset, dtype, compiled, settings)
            best = {row["variant"]: row["batch_size"] for row in rows if row["best_batch"]} or best
            yield from rows


def make_rows(
    found: list[Measurement], task: Task, preset: str, dtype: str, compiled: str, settings: Settings
) -> list[dict[str, Any]]:
    """Figures for tables and files."""
    peak = matmul_peak(settings.device, DTYPES[dtype.split("-")[0]], settings.clock)
    seconds = {(m.competitor.name, m.batch_size): m.seconds for m in found}
    best = {m.competitor.name: max(x.rate for x in found if x.competitor is m.competitor) for m in found}
    what = {
        "preset": preset, "compiled": compiled if compiled == "off" else f"{compiled} ({settings.mode})",
        "optimizer": "none" if task == "inference" else settings.optimizer,
        "checkpointing": settings.checkpointing, "sdpa": settings.sdpa or "any",
        "clock": "cpu time" if settings.cpu_time else "wall",
        "peak_tflops": round(peak / 1e12, 3), **describe(settings.device),
    }  # fmt: skip
    rows = []
    for m in found:
        row: dict[str, Any] = {
            "section": task,
            "variant": m.competitor.name,
            "dtype": dtype,
            "batch_size": m.batch_size,
        }
        row |= {"status": m.status, **dict.fromkeys(FIGURES, "")}
        if m.seconds:
            flops = 2 * m.competitor.macs * (1 if task == "inference" else FORWARD_AND_BACKWARD) * m.rate
            row |= times(m) | {"tflops": round(flops / 1e12, 3), "utilisation": round(flops / peak, 3)}
            row |= ratios(m, seconds.get((m.competitor.baseline, m.batch_size)), best)
        row["kept_mib"] = "" if m.kept_mib is None else round(m.kept_mib, 1)
        row["peak_mib"] = "" if m.peak_mib is None else round(m.peak_mib, 1)
        row["best_batch"] = bool(m.seconds) and m.rate == best[m.competitor.name]
        rows.append({**row, **what})
    return rows


FIGURES = (
    "median_ms", "q1_ms", "q3_ms", "best_ms", "clips_per_s", "tflops", "utilisation", "baseline", "speedup",
    "speedup_q1", "speedup_q3", "speedup_at_best_batch", "kept_mib", "peak_mib", "best_batch",
)  # fmt: skip


def times(m: Measurement) -> dict[str, Any]:
    spent = Summary.of(m.seconds)
    return {
        "median_ms": round(1e3 * spent.median, 2), "q1_ms": round(1e3 * spent.low, 2),
        "q3_ms": round(1e3 * spent.high, 2), "best_ms": round(1e3 * min(m.seconds), 2),
        "clips_per_s": round(m.rate, 3),
    }  # fmt: skip


def ratios(m: Measurement, baseline: list[float] | None, best: dict[str, float]) -> dict[str, Any]:
    """Speed over the baseline: at the same batch size, round by round, and each at its best batch size."""
    row: dict[str, Any] = {"baseline": m.competitor.baseline}
    if baseline:
        ratio = speedup(baseline, m.seconds)
        row |= {"speedup": round(ratio.median, 3), "speedup_q1": round(ratio.low, 3)}
        row["speedup_q3"] = round(ratio.high, 3)
    if best.get(m.competitor.baseline):
        row["speedup_at_best_batch"] = round(best[m.competitor.name] / best[m.competitor.baseline], 3)
    return row
