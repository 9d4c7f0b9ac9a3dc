# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From competitors to rows of figures.

On a CPU all models take turns round by round, so that a drift of the machine hits all alike; on a GPU, whose memory
large models fill, one is built, timed at several batch sizes and freed after the other, the most important ones first.
"""

import gc
import itertools
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.competitors import DUAL, ENCODER_ONLY, Competitor, Task, competitors, make_config
from benchmarks.row_file import RowFile
from benchmarks.rows import Measurement, make_rows, peak_of
from benchmarks.settings import SMALLER, SWEEP, Settings, stored_dtype
from benchmarks.steps import Inputs, Step, backends_taken, kept_for_backward, peak_of_call
from benchmarks.timing import alloc_retries, interleaved, queued


WORTH_MORE_MEMORY = 1.01  # a larger batch must bring so much; two that do not end the search
LACK_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")  # of libraries
LONGEST_CALL = 1.0  # seconds; the search takes no batch size that would take longer


def failure(error: Exception) -> str:
    """What a row says instead of figures; the full story goes to the screen, unless it is a lack of memory.

    Raises:
        RuntimeError: The GPU takes nothing more from this process.
    """
    if isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in LACK_OF_MEMORY):
        return "out of memory"
    traceback.print_exception(error)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def time_steps(steps: dict[str, Step], inputs: Inputs, settings: Settings) -> dict[str, list[float]]:
    """Seconds of every round of every step, on a CPU in turn."""

    def caller(step: Step) -> Any:
        return lambda round_number: step(*inputs(round_number))

    callers = {name: caller(step) for name, step in steps.items()}
    if settings.device.type == "cuda":
        return {
            name: queued(call, settings.repeats, settings.least_warmup, settings.device)
            for name, call in callers.items()
        }
    return interleaved(
        callers, settings.repeats, settings.warmup, settings.device, settings.clock, lambda: settings.late
    )


def add_details(measurement: Measurement, step: Step, inputs: Inputs) -> None:
    """Fill in what memory a step takes and which attention; where that fails, the times stay."""
    try:
        measurement.compiled_parts = step.compiled_parts
        measurement.sdpa_takes = backends_taken(step, *inputs(0))
        if step.settings.device.type == "cuda" and not step.graphs_of_inductor:  # whose memory is theirs between calls
            measurement.peak_mib = peak_of_call(step, *inputs(0))
        # Selective checkpointing hides from the hooks, and beside a recording there is no room for another pass.
        can_count = step.compiled == "off" and step.settings.checkpointing != "selective" and step.recording is None
        if step.training and can_count:
            measurement.kept_mib = kept_for_backward(step, *inputs(0))
    except Exception as error:
        print(f"{measurement.competitor.name}, details: {failure(error)}")


def in_turns(
    wanted: Sequence[Competitor], task: Task, preset: str, dtype: str, compiled: str, batch_size: int,
    settings: Settings,
) -> list[Measurement]:  # fmt: skip
    """All competitors in memory, taking turns."""
    inputs = Inputs(make_config(preset), batch_size, settings.device, stored_dtype(dtype))
    measurements, steps = {}, {}
    for competitor in wanted:
        if settings.late:
            break
        measurements[competitor.name] = Measurement(competitor, batch_size)
        try:
            step = Step(competitor, task, dtype, compiled, settings)
            step(*inputs(0))
            steps[competitor.name] = step
        except Exception as error:  # one that cannot be built does not keep the others from being measured
            measurements[competitor.name].status = failure(error)
    if steps:
        for name, seconds in time_steps(steps, inputs, settings).items():
            measurements[name].seconds = seconds
            add_details(measurements[name], steps[name], inputs)
            steps[name].release()
    return list(measurements.values())


class Alone:
    """One competitor at several batch sizes; it is built once, and anew for every size if compiled or recorded."""

    def __init__(self, competitor: Competitor, task: Task, preset: str, dtype: str, compiled: str, settings: Settings):
        self.competitor, self.task, self.preset, self.dtype = competitor, task, preset, dtype
        self.compiled, self.settings = compiled, settings
        self.step: Step | None = None

    def at(self, batch_size: int) -> Measurement:
        """Measure one size."""
        found, inputs = Measurement(self.competitor, batch_size), None
        try:
            if self.step is None:
                self.step = Step(self.competitor, self.task, self.dtype, self.compiled, self.settings)
            where = self.settings.device, stored_dtype(self.dtype), self.settings.cuda_graph
            inputs = Inputs(make_config(self.preset), batch_size, *where)
            before = alloc_retries(self.settings.device)
            found.seconds = time_steps({"": self.step}, inputs, self.settings)[""]
            if before is not None:
                found.alloc_retries = alloc_retries(self.settings.device) - before
            add_details(found, self.step, inputs)
        except Exception as error:
            found.status = failure(error)
        del inputs
        made_for_size = self.compiled != "off" or self.settings.cuda_graph
        if made_for_size or found.status != "ok":  # half a step may have left anything behind
            self.release()
        elif self.settings.device.type == "cuda":
            torch.cuda.empty_cache()
        return found

    def release(self) -> None:
        if self.step is not None:
            self.step.release()
        self.step = None
        gc.collect()


def one_by_one(
    competitor: Competitor, task: Task, preset: str, dtype: str, compiled: str, sizes: Sequence[int], sweep: bool,
    settings: Settings,
) -> Iterator[Measurement]:  # fmt: skip
    """One competitor at several batch sizes.

    A sweep goes up until memory or gain ends; where memory does not last for its first size, it goes down from there.
    """
    alone = Alone(competitor, task, preset, dtype, compiled, settings)
    try:
        yield from sweep_of(alone, sizes, settings) if sweep else map(alone.at, _while_in_time(sizes, settings))
    finally:
        alone.release()


def _while_in_time(sizes: Sequence[int], settings: Settings) -> Iterator[int]:
    for size in sizes:
        if settings.late:
            return
        yield size


def sweep_of(alone: Alone, sizes: Sequence[int], settings: Settings) -> Iterator[Measurement]:
    """Measurements at ascending sizes, until nothing more is to be expected."""
    best, without_gain, found = 0.0, 0, None
    for batch_size in _while_in_time(sizes, settings):
        if best and batch_size / best > LONGEST_CALL:
            return
        found = alone.at(batch_size)
        yield found
        if found.status != "ok":
            break
        without_gain = 0 if found.rate > WORTH_MORE_MEMORY * best else without_gain + 1
        best = max(best, found.rate)
        if without_gain == 2:
            return
    if best or found is None or found.status != "out of memory":
        return
    for batch_size in _while_in_time([size for size in SMALLER if size < sizes[0]], settings):
        found = alone.at(batch_size)
        yield found
        if found.status != "out of memory":
            return


def measure(
    task: Task, dtype: str, settings: Settings, default_batch: int, results: RowFile, extra: Any = None
) -> None:
    """Measure one task in one precision: every preset, compiled or not, competitor and batch size.

    Args:
        task: What to measure.
        dtype: One of `DTYPE_NAMES`.
        settings: How.
        default_batch: Clips per call on a CPU, where nothing else is asked for.
        results: Gets the rows, after every measurement.
        extra: Gives more competitors for `(preset, dtype)`, or None.
    """
    if settings.late:
        return
    peak_of(dtype, settings)  # while no model fills the memory
    wanted = {}
    for preset in settings.presets:
        everyone = competitors(task, preset) + (extra(preset, dtype) if extra is not None else [])
        wanted[preset] = [competitor for competitor in everyone if settings.wants(competitor.name)]
        if not wanted[preset]:
            names = ", ".join(competitor.name for competitor in everyone)
            print(f"{preset}, {dtype}: --only {' '.join(settings.only)} is part of none of: {names}", flush=True)
    turns = sorted({turn for everyone in wanted.values() for one in everyone for turn in one.turns})
    found: dict[tuple[str, str], list[Measurement]] = {}
    for turn, compiled, preset in itertools.product(
        turns if settings.one_by_one else (None,), settings.compiled, settings.presets
    ):
        chosen = [one for one in wanted[preset] if turn in (None, one.turn(compiled))]
        measured = found.setdefault((preset, compiled), [])
        uncompiled = found.get((preset, "off"), []) if compiled != "off" else []
        for one in _measurements(chosen, task, preset, dtype, compiled, default_batch, uncompiled, settings):
            measured.append(one)
            print(f"{preset}, {dtype}, compiled {compiled}, {one}", flush=True)
            results.put(make_rows(measured, task, preset, dtype, compiled, settings))


def _measurements(
    wanted: Sequence[Competitor], task: Task, preset: str, dtype: str, compiled: str, default_batch: int,
    uncompiled: Sequence[Measurement], settings: Settings,
) -> Iterator[Measurement]:  # fmt: skip
    """Of all these competitors at all batch sizes."""
    sweep = not settings.batch_sizes and settings.device.type == "cuda"
    sizes = settings.batch_sizes or (SWEEP if sweep else (default_batch,))
    if not settings.one_by_one:
        for size in _while_in_time(sizes, settings):
            yield from in_turns(wanted, task, preset, dtype, compiled, size, settings)
        return
    jobs = after_sweep(wanted, sizes, uncompiled) if sweep else [(competitor, sizes) for competitor in wanted]
    for competitor, chosen in jobs:
        if settings.late:
            return
        yield from one_by_one(competitor, task, preset, dtype, compiled, chosen, chosen is SWEEP, settings)


def after_sweep(
    wanted: Sequence[Competitor], sizes: tuple[int, ...], uncompiled: Sequence[Measurement]
) -> list[tuple[Competitor, tuple[int, ...]]]:
    """Who is measured at which batch sizes, after a sweep of models that are not compiled.

    Each at the size that was best, or at all of them where the sweep has no figures. After encoder-only masking, dual
    masking is measured at the size of that, too: ratios of Table 2 need one size for both.
    """
    best = {
        m.competitor.name: m.batch_size for m in sorted(uncompiled, key=lambda m: (m.rate, -m.batch_size)) if m.seconds
    }
    jobs = [(competitor, (best[competitor.name],) if competitor.name in best else sizes) for competitor in wanted]
    common = best.get(ENCODER_ONLY)
    if common != best.get(DUAL, common) and any(competitor.name == ENCODER_ONLY for competitor in wanted):
        dual = next((m.competitor for m in uncompiled if m.competitor.name == DUAL), None)
        jobs += [(dual, (common,))] if dual is not None else []
    return jobs
