# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory traffic of a training step on a GPU, matrix products and attention left out: what compiling can save.

    python -m benchmarks.traffic [--presets base giant] [--batch-sizes 64] [--compile off blocks model]

Counted, not timed, so that the device need not be fast, nor real: `python tests/null_gpu python -m benchmarks.traffic`
counts on a machine without one. Uncompiled, it is what each operator reads and writes; compiled, what each kernel does
that Inductor generates, as it says itself, and those of `bias_gelu_gpu.py` (what else stays outside its graphs is not
counted). The optimizer is left out.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.competitors import Task, competitors, make_config
from benchmarks.machine import describe
from benchmarks.measuring import failure
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings, parse
from benchmarks.steps import Inputs, Step, peak_of_call
from benchmarks.tables import print_machine, print_table


BATCH = 64
DTYPE = "bf16-autocast"
PRODUCTS = (
    "mm", "addmm", "bmm", "baddbmm",
    "_scaled_dot_product", "_flash_attention", "_efficient_attention", "short_attention",
)  # fmt: skip
WITHOUT_READING = ("full", "zeros", "ones", "fill_", "zero_", "new_zeros", "zeros_like", "ones_like", "arange")
GATHERS = ("index", "gather", "index_select")  # read as much as they write


class OperatorTraffic(TorchDispatchMode):
    """Bytes that operators read and write. Operators that give a view of their input do neither."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bytes = self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0]
        read, written = _cuda_tensors((args, kwargs)), _cuda_tensors(result)
        memory = {tensor.untyped_storage().data_ptr() for tensor in read}
        is_view = not func._schema.is_mutable and all(t.untyped_storage().data_ptr() in memory for t in written)
        if written and not is_view and not name.startswith((*PRODUCTS, "empty", "new_empty")):
            self.calls += 1
            self.num_bytes += sum(map(_size, written))
            if name in GATHERS:
                self.num_bytes += sum(map(_size, written))
            elif name not in WITHOUT_READING:
                self.num_bytes += sum(map(_size, read))
        return result


def _cuda_tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor) and leaf.is_cuda]


def _size(tensor: torch.Tensor) -> int:
    """Bytes that reading or writing it takes; an expanded tensor has fewer than elements."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


class KernelTraffic:
    """Bytes that kernels of Inductor and of our own read and write, summed up at each launch."""

    def __init__(self) -> None:
        self.num_bytes = self.calls = 0


@contextmanager
def counting_kernels() -> Iterator[KernelTraffic]:
    """Counts the launches within it; kernels know their sizes that were generated with `benchmark_kernel` on."""
    from torch._inductor.runtime.triton_heuristics import CachingAutotuner
    from triton import JITFunction

    counted, run, run_own = KernelTraffic(), CachingAutotuner.run, JITFunction.run

    def counting_run(kernel: CachingAutotuner, *args: Any, **kwargs: Any) -> Any:
        counted.calls += 1
        known = kernel.inductor_meta.get("kernel_num_gb")  # not of kernels that are several in one
        counted.num_bytes += int(1e9 * known) if known else sum(map(_size, _cuda_tensors(args)))
        return run(kernel, *args, **kwargs)

    def counting_own(kernel: JITFunction, *args: Any, **kwargs: Any) -> Any:
        if "attention" not in kernel.__name__:
            counted.calls += 1
            counted.num_bytes += sum(map(_size, _cuda_tensors(args)))
        return run_own(kernel, *args, **kwargs)

    CachingAutotuner.run, JITFunction.run = counting_run, counting_own
    try:
        yield counted
    finally:
        CachingAutotuner.run, JITFunction.run = run, run_own


def count(step: Step, inputs: Inputs) -> KernelTraffic | OperatorTraffic:
    """Traffic of one step, the optimizer left out."""
    if step.compiled == "off":
        step(*inputs(0))
        with OperatorTraffic() as operators:
            step(*inputs(1))
        return operators
    import torch._inductor.config as inductor

    with inductor.patch(benchmark_kernel=True), counting_kernels() as kernels:  # or kernels do not know their sizes
        step(*inputs(0))
        step(*inputs(1))
        kernels.num_bytes = kernels.calls = 0
        step(*inputs(2))
    return kernels


def run(settings: Settings) -> list[dict[str, Any]]:
    """Count, print and write; returns the rows."""
    if settings.device.type != "cuda":
        print("traffic: needs a CUDA device, which may be one that computes nothing (tests/null_gpu); left out")
        return []
    print_machine(settings.device)
    settings = replace(settings, optimizer="none", cuda_graph=False)
    results = RowFile("traffic", settings.device, settings.output)
    for task in ("pretraining", "finetuning"):
        for preset in settings.presets:
            for batch_size in settings.batch_sizes or (BATCH,):
                for compiled in settings.compiled:
                    results.put(count_all(task, preset, batch_size, compiled, settings))
    columns = {"section": "section", "preset": "size", "variant": "variant", "compiled": "compiled"}
    columns |= {"batch_size": "batch", "mb_per_clip": "MB per clip", "kernels": "kernels", "peak_mib": "peak MiB"}
    print_table(results.rows, {**columns, "status": "status"})
    results.announce()
    return results.rows


def count_all(task: Task, preset: str, batch_size: int, compiled: str, settings: Settings) -> list[dict[str, Any]]:
    """A row for each competitor that is wanted."""
    rows = []
    for competitor in competitors(task, preset):
        if settings.late:
            break
        if not settings.wants(competitor.name):
            continue
        row: dict[str, Any] = {"section": task, "preset": preset, "variant": competitor.name, "dtype": DTYPE}
        row |= {"compiled": compiled, "batch_size": batch_size, "mb_per_clip": "", "kernels": "", "peak_mib": ""}
        step = None
        try:
            inputs = Inputs(make_config(preset), batch_size, settings.device, torch.float32)
            step = Step(competitor, task, DTYPE, compiled, settings)
            counted = count(step, inputs)
            row |= {"mb_per_clip": round(counted.num_bytes / batch_size / 1e6, 1), "kernels": counted.calls}
            row["peak_mib"] = round(peak_of_call(step, *inputs(0)), 1)
            row["status"] = "ok"
        except Exception as error:
            row["status"] = failure(error)
        if step is not None:
            step.release()
        del step, inputs
        rows.append(row | describe(settings.device))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
