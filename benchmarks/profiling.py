# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a step goes: matrix products, attention, elementwise work, the optimizer, and nothing at all."""

import re
import time
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.competitors import DUAL, OURS, Task, competitors, make_config
from benchmarks.measuring import failure
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings, stored_dtype
from benchmarks.steps import Inputs, Step
from benchmarks.tables import print_table


ROUNDS = 3
REST, STEP = "elementwise and norms", "optimizer step"
# Names of kernels (GPU) or operators (CPU), tried in this order. A batched product occurs in plain attention alone.
# Generated kernels have the names of all operators they replace; but for products from templates they are elementwise.
KINDS = (
    ("matrix products", re.compile(r"^triton_tem")),
    (REST, re.compile(r"^(triton_|(graph_\d+_)?cpp_fused)")),
    ("copies and gathers", re.compile(r"CatArray")),
    (STEP, re.compile(r"adam|multi_tensor", re.I)),
    (
        "attention",
        re.compile(r"flash|fmha|attention|sdpa|mha|dot_do_o|convert_dq|softmax|aten::bmm|aten::baddbmm|batched", re.I),
    ),
    ("matrix products", re.compile(r"gemm|nvjet|cutlass|xmma|cublas|conv|aten::(add)?mm|linear|_int_mm", re.I)),
    (
        "copies and gathers",
        re.compile(r"memcpy|memset|copy|index|gather|scatter|cat\b|_to_copy|sort|fill|nchwToNhwc", re.I),
    ),
)
OPERATORS = ("aten::", "mkldnn::", "onednn::", "quantized::", "cpp_fused", "graph_")  # and what inductor generates
KEPT = (  # of the rows that are profiled
    "section", "preset", "variant", "dtype", "compiled", "batch_size", "optimizer", "checkpointing", "sdpa", "clock",
    "device", "threads", "torch", "transformers", "date", "command",
)  # fmt: skip
MOST_KERNELS = 20  # of each profile are named, those that take longest
SHARES = ("matrix products", "attention", REST, "copies and gathers", STEP, "idle")


def kind_of(name: str) -> str:
    """What a kernel or operator does, by its name."""
    return next((kind for kind, pattern in KINDS if pattern.search(name)), REST)


def spent_by_name(events: Any, on_cuda: bool) -> dict[str, tuple[int, float]]:
    """Calls and microseconds of every kernel, or of every operator without what it calls.

    Args:
        events: `FunctionEvent`s of the profiler.
        on_cuda: Count kernels; else operators.
    """
    spent: dict[str, tuple[int, float]] = {}
    for event in events:
        if on_cuda:
            is_work = event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
            is_work = is_work and not event.name.startswith(("Optimizer.", "ProfilerStep"))
        else:
            is_work = event.name.startswith(OPERATORS)
        if is_work:
            calls, time_spent = spent.get(event.name, (0, 0.0))
            own = event.time_range.elapsed_us() if on_cuda else event.self_cpu_time_total
            spent[event.name] = (calls + 1, time_spent + own)
    return spent


def shares_of(spent: dict[str, tuple[int, float]], span: float) -> dict[str, float]:
    """Share of every kind of work in `span` microseconds, from the first step to the end of the last."""
    shares = dict.fromkeys(SHARES, 0.0)
    for name, (_, own) in spent.items():
        shares[kind_of(name)] += own / span
    shares["idle"] = max(0.0, 1 - sum(shares.values()))
    return {kind: round(share, 3) for kind, share in shares.items()}


def longest(spent: dict[str, tuple[int, float]], span: float) -> list[dict[str, Any]]:
    """Rows of the kernels or operators that take longest: calls and milliseconds of a step, share of its time."""
    first = sorted(spent.items(), key=lambda item: -item[1][1])[:MOST_KERNELS]
    return [
        {"rank": rank, "kernel": name[:200], "kind": kind_of(name), "calls": round(calls / ROUNDS, 1),
         "ms": round(own / 1e3 / ROUNDS, 3), "share": round(own / span, 4)}
        for rank, (name, (calls, own)) in enumerate(first, 1)
    ]  # fmt: skip


def profile_step(step: Step, inputs: Inputs) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Shares of a few rounds of a step with `ms`, the time of one of them under the profiler; what takes longest."""
    on_cuda = step.settings.device.type == "cuda"
    for number in range(2):
        step(*inputs(number))
    if on_cuda:
        torch.cuda.synchronize()
    # On a GPU kernels alone: to record what the host does would slow it down, and the device would wait for it.
    with profile(activities=[ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter() if on_cuda else step.settings.clock()
        for number in range(ROUNDS):
            step(*inputs(number))
        if on_cuda:
            torch.cuda.synchronize()
        span = (time.perf_counter() if on_cuda else step.settings.clock()) - start
    spent = spent_by_name(profiler.events(), on_cuda)
    return {**shares_of(spent, 1e6 * span), "ms": round(1e3 * span / ROUNDS, 1)}, longest(spent, 1e6 * span)


def profile_piece(task: Task, settings: Settings, rows: list[dict[str, Any]]) -> None:
    """Profile variants that were measured, at their best batch size; print and write the shares, write the kernels.

    `settings.profile` says which: "ours" is dual masking in pre-training and our classifier in all else.
    """
    results, kernels = (RowFile(f"{kind}_{task}", settings.device, settings.output) for kind in ("profile", "kernels"))
    main = DUAL if task == "pretraining" else OURS
    for row in rows:
        if settings.late:
            break
        if not row["best_batch"] or (settings.profile == "ours" and row["variant"] != main):
            continue
        competitor = next((c for c in competitors(task, row["preset"]) if c.name == row["variant"]), None)
        if competitor is None:
            continue
        step, inputs, dtype = None, None, row["dtype"]
        try:
            step = Step(competitor, task, dtype, row["compiled"].split()[0], settings)
            where = settings.device, stored_dtype(dtype), settings.cuda_graph
            inputs = Inputs(make_config(row["preset"]), row["batch_size"], *where)
            shares, slowest = profile_step(step, inputs)
        except Exception as error:
            print(f"{row['variant']}: {failure(error)}")
            continue
        finally:
            del inputs
            if step is not None:
                step.release()
        what = {key: row[key] for key in KEPT if key in row}
        results.put([{**what, **shares}])
        kernels.put({**what, **line} for line in slowest)
    columns = ("preset", "variant", "dtype", "compiled", "batch_size", "ms", *SHARES)
    print_table(results.rows, {key: key for key in columns})
    results.announce()
    kernels.announce()
