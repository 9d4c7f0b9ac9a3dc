# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Back ends of attention at the sizes that the models have: encoder and decoder in pre-training, and all tokens.

    python -m benchmarks.attention [--presets base giant] [--batch-sizes 32] [--dtype bf16]

On a GPU every back end of SDPA that takes the size, and for few tokens our own kernels, forward and backward; on a CPU
SDPA, plain products, and the products head by head that our bf16 inference takes.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import sdpa_kernel

from benchmarks.backends import backend_taken
from benchmarks.competitors import make_config
from benchmarks.machine import describe
from benchmarks.measuring import failure
from benchmarks.row_file import RowFile
from benchmarks.settings import BACKENDS, DTYPES, Settings, parse
from benchmarks.tables import print_machine, print_table
from benchmarks.timing import Summary, interleaved, queued
from modeling_videomae_v2.blocks_videomae_v2 import eager_attention_forward
from modeling_videomae_v2.compiling import can_use_training_kernels
from modeling_videomae_v2.cpu_attention_videomae_v2 import head_by_head_attention
from modeling_videomae_v2.patching_videomae_v2 import num_reconstructed, num_visible


Tensors = tuple[torch.Tensor, ...]
Way = tuple[Callable[..., torch.Tensor], Tensors]  # a function, and what it takes
COLUMNS = (
    "preset", "part", "variant", "pass", "dtype", "batch_size", "tokens", "heads", "width", "median_ms", "tflops",
    "sdpa_takes", "status",
)  # fmt: skip
SDPA = "sdpa"  # the back end is its own choice
GPU_TOKENS, GPU_SECONDS = 40960, 0.1  # tokens of a batch; warm-up of every way


def sizes(preset: str) -> dict[str, tuple[int, int, int]]:
    """Tokens, heads and width of a head, by the part of the model."""
    config = make_config(preset)
    grid = config.grid_size
    seen, asked = num_visible(config, grid), num_reconstructed(config, grid)
    heads, decoder_heads = config.num_attention_heads, config.decoder_num_attention_heads
    return {
        "encoder, pre-training": (seen, heads, config.hidden_size // heads),
        "decoder, pre-training": (seen + asked, decoder_heads, config.decoder_hidden_size // decoder_heads),
        "encoder, all tokens": (math.prod(grid), heads, config.hidden_size // heads),
    }


def apart(qkv: torch.Tensor) -> Tensors:
    """Queries, keys and values `(B, heads, N, width)` of `(B, N, 3, heads, width)`, each in memory of its own."""
    tensors = (tensor.contiguous().transpose(1, 2) for tensor in qkv.detach().unbind(2))
    return tuple(tensor.requires_grad_(qkv.requires_grad) for tensor in tensors)


def ways(settings: Settings, qkv: torch.Tensor) -> dict[str, Way]:
    """Every way to compute attention of `(B, N, 3, heads, width)` on its device, to `(B, N, heads, width)`."""

    def with_backend(name: str) -> Callable[..., torch.Tensor]:
        def call(*qkv: torch.Tensor) -> torch.Tensor:
            with sdpa_kernel(BACKENDS[name]):
                return sdpa(*qkv)

        return call

    def sdpa(*qkv: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(*qkv).transpose(1, 2)

    def plain(function: Callable[..., Any]) -> Callable[..., torch.Tensor]:
        module = nn.Module().eval()
        return lambda *qkv: function(module, *qkv, None, scaling=qkv[0].shape[-1] ** -0.5)[0]

    functions = {SDPA: sdpa, "eager": plain(eager_attention_forward)}
    on_gpu = settings.device.type == "cuda"
    if on_gpu:
        functions |= {f"sdpa, {name}": with_backend(name) for name in BACKENDS if name != "math"}
    else:
        functions["head by head"] = plain(head_by_head_attention)
    inputs = apart(qkv)
    return {name: (function, inputs) for name, function in functions.items()} | (short_way(qkv) if on_gpu else {})


def short_way(qkv: torch.Tensor) -> dict[str, Way]:
    """Our kernels for few tokens, where these suit."""
    if qkv.dtype == torch.float32 or not can_use_training_kernels():  # they would round to tf32
        return {}
    from modeling_videomae_v2.short_attention_gpu import MAX_TOKENS, short_attention

    if qkv.shape[1] > MAX_TOKENS:
        return {}
    return {"ours, few tokens": (lambda qkv: short_attention(qkv, qkv.shape[-1] ** -0.5), (qkv,))}


def caller(way: Way, gradient: torch.Tensor | None) -> Callable[[int], None]:
    """A call of one way, with its backward pass where there is a gradient `(B, N, heads, width)` to go back from."""
    function, inputs = way

    def call(round_number: int) -> None:
        with torch.set_grad_enabled(gradient is not None):
            output = function(*inputs)
        if gradient is not None:
            torch.autograd.grad(output, inputs, gradient)

    return call


def time_ways(
    qkv: torch.Tensor, gradient: torch.Tensor | None, settings: Settings
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of all ways, and what became of those that do not take the size."""
    seconds: dict[str, list[float]] = {}
    statuses: dict[str, str] = {}
    callers = {}
    for name, way in ways(settings, qkv).items():
        if (name == "head by head" and gradient is not None) or settings.late:
            continue
        call = caller(way, gradient)
        try:
            call(0)
            if settings.device.type == "cuda":
                seconds[name] = queued(call, settings.repeats, settings.warmup, settings.device, GPU_SECONDS)
            callers[name] = call
        except Exception as error:  # triton's own are no RuntimeErrors
            statuses[name] = "not available" if "No available kernel" in str(error) else failure(error)
    if settings.device.type != "cuda":
        seconds = interleaved(
            callers, settings.repeats, settings.warmup, settings.device, settings.clock, lambda: settings.late
        )
    return seconds, statuses


def measure_size(
    part: str, size: tuple[int, int, int], batch: int, dtype: str, training: bool, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Rows of all ways at one size."""
    tokens, heads, width = size
    like = {"device": settings.device, "dtype": DTYPES[dtype]}
    qkv = torch.randn(batch, tokens, 3, heads, width, **like, requires_grad=training)
    gradient = torch.randn(batch, tokens, heads, width, **like)
    seconds, statuses = time_ways(qkv, gradient if training else None, settings)
    products = 4 * tokens**2 * heads * width * batch * (3.5 if training else 1)  # flash computes the scores again
    for name in [*seconds, *statuses]:
        row = {"part": part, "variant": name, "pass": "both" if training else "forward", "dtype": dtype}
        row |= {"tokens": tokens, "heads": heads, "width": width, "batch_size": batch}
        spent = Summary.of(seconds[name]) if name in seconds else None
        row["median_ms"] = "" if spent is None else round(1e3 * spent.median, 4)
        row["tflops"] = "" if spent is None else round(products / spent.median / 1e12, 3)
        row["sdpa_takes"] = backend_taken(*apart(qkv)) if name == SDPA else ""
        yield {**row, "status": statuses.get(name, "ok")}


def default_batch(tokens: int, device: torch.device) -> int:
    """Clips of so many tokens: on a GPU about as much work at every size, enough to fill it."""
    return max(1, round(GPU_TOKENS / tokens)) if device.type == "cuda" else 1


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(settings.device)
    results = RowFile("attention", settings.device, settings.output)
    for preset, training in itertools.product(settings.presets, (False, True)):
        for part, size in sizes(preset).items():
            for batch in settings.batch_sizes or (default_batch(size[0], settings.device),):
                for dtype in settings.precisions("bf16"):
                    if settings.late:
                        continue
                    rows = measure_size(part, size, batch, dtype.split("-")[0], training, settings)
                    results.put({"preset": preset, **row, **describe(settings.device)} for row in rows)
    print_table(results.rows, {name: name for name in COLUMNS})
    results.announce()
    return results.rows


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
