# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From times to rows of figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.competitors import Competitor, Task
from benchmarks.machine import describe
from benchmarks.peak import matmul_peak
from benchmarks.settings import DTYPES, Settings
from benchmarks.timing import Summary, speedup


FIGURES = (
    "median_ms", "q1_ms", "q3_ms", "best_ms", "clips_per_s", "tflops", "utilisation", "baseline", "speedup",
    "speedup_q1", "speedup_q3", "speedup_at_best_batch", "kept_mib", "peak_mib", "alloc_retries", "sdpa_takes",
    "compiled_parts",
)  # fmt: skip


@dataclass
class Measurement:
    """Times of one competitor at one batch size, or why there are none."""

    competitor: Competitor
    batch_size: int
    seconds: list[float] = field(default_factory=list)
    kept_mib: float | None = None
    peak_mib: float | None = None
    alloc_retries: int | None = None
    sdpa_takes: str = ""
    compiled_parts: str = ""
    status: str = "ok"

    @property
    def rate(self) -> float:
        """Clips per second; 0 where it failed."""
        return self.batch_size / Summary.of(self.seconds).median if self.seconds else 0.0

    def __str__(self) -> str:
        if not self.seconds:
            return f"{self.competitor.name}, batch {self.batch_size}: {self.status}"
        spent = 1e3 * Summary.of(self.seconds).median
        return f"{self.competitor.name}, batch {self.batch_size}: {spent:.2f} ms, {self.rate:.4g} clips/s"


def peak_of(dtype: str, settings: Settings) -> float:
    """FLOP/s that utilisation is a share of."""
    return matmul_peak(settings.device, DTYPES[dtype.split("-")[0]], settings.clock)


def make_rows(
    found: Sequence[Measurement], task: Task, preset: str, dtype: str, compiled: str, settings: Settings
) -> list[dict[str, Any]]:
    """Figures for tables and files; `RowFile` fills in which batch size is the best."""
    peak = peak_of(dtype, settings)
    seconds = {(m.competitor.name, m.batch_size): m.seconds for m in found}
    what = {
        "preset": preset, "compiled": settings.way(compiled),
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
            flops = 2 * m.competitor.macs() * m.rate
            row |= times(m) | {"tflops": round(flops / 1e12, 3), "utilisation": round(flops / peak, 3)}
            row |= ratios(m, seconds.get((m.competitor.baseline, m.batch_size)))
        row["kept_mib"] = "" if m.kept_mib is None else round(m.kept_mib, 1)
        row["peak_mib"] = "" if m.peak_mib is None else round(m.peak_mib, 1)
        row["alloc_retries"] = "" if m.alloc_retries is None else m.alloc_retries
        row |= {"sdpa_takes": m.sdpa_takes, "compiled_parts": m.compiled_parts, "best_batch": False}
        rows.append({**row, **what})
    return rows


def times(m: Measurement) -> dict[str, Any]:
    spent = Summary.of(m.seconds)
    return {
        "median_ms": round(1e3 * spent.median, 2), "q1_ms": round(1e3 * spent.low, 2),
        "q3_ms": round(1e3 * spent.high, 2), "best_ms": round(1e3 * min(m.seconds), 2),
        "clips_per_s": round(m.rate, 4),
    }  # fmt: skip


def ratios(m: Measurement, baseline: list[float] | None) -> dict[str, Any]:
    """Speed over the baseline at the same batch size, round by round."""
    row: dict[str, Any] = {"baseline": m.competitor.baseline}
    if baseline:
        ratio = speedup(baseline, m.seconds)
        row |= {"speedup": round(ratio.median, 3), "speedup_q1": round(ratio.low, 3)}
        row["speedup_q3"] = round(ratio.high, 3)
    return row
