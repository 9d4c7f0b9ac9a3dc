# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Back ends of attention at the sizes that the models have: encoder and decoder in pre-training, and all tokens.

    python -m benchmarks.attention [--presets base giant] [--batch-sizes 32] [--dtype bf16]

On a GPU every back end of SDPA that takes the size, and for few tokens the kernels of `short_attention.py`, forward and
backward; on a CPU SDPA, plain products, and the products head by head that our bf16 inference takes.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
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
from modeling_videomae_v2.cpu_attention_videomae_v2 import head_by_head_attention
from modeling_videomae_v2.patching_videomae_v2 import num_reconstructed, num_visible


Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
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


def ways(settings: Settings, qkv: Tensors) -> dict[str, Callable[[Tensors], torch.Tensor]]:
    """Every way to compute attention on the device of tensors like these: three `(B, heads, N, width)` to
    `(B, N, heads, width)`.
    """

    def with_backend(name: str) -> Callable[[Tensors], torch.Tensor]:
        def call(qkv: Tensors) -> torch.Tensor:
            with sdpa_kernel(BACKENDS[name]):
                return sdpa(qkv)

        return call

    def sdpa(qkv: Tensors) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(*qkv).transpose(1, 2)

    def plain(function: Callable[..., Any]) -> Callable[[Tensors], torch.Tensor]:
        module = nn.Module().eval()
        return lambda qkv: function(module, *qkv, None, scaling=qkv[0].shape[-1] ** -0.5)[0]

    found = {SDPA: sdpa, "eager": plain(eager_attention_forward)}
    if settings.device.type == "cuda":
        backends = {f"sdpa, {name}": with_backend(name) for name in BACKENDS if name != "math"}
        return found | backends | short_ways(qkv)
    return found | {"head by head": plain(head_by_head_attention)}


def short_ways(qkv: Tensors) -> dict[str, Callable[[Tensors], torch.Tensor]]:
    """As `ways`, the kernels for few tokens in every tiling, where these suit; in fp32 they would round to tf32."""
    if qkv[0].dtype == torch.float32 or find_spec("triton") is None:
        return {}
    from benchmarks.short_attention import TILINGS, Tiling, short_attention, suits

    def with_tiling(tiling: Tiling) -> Callable[[Tensors], torch.Tensor]:
        def call(qkv: Tensors) -> torch.Tensor:
            tokens_first = (tensor.transpose(1, 2) for tensor in qkv)
            return short_attention(*tokens_first, qkv[0].shape[-1] ** -0.5, (tiling, tiling))

        return call

    if not suits(*(tensor.transpose(1, 2) for tensor in qkv)):
        return {}
    return {f"short, {tiling}": with_tiling(tiling) for tiling in TILINGS}


def caller(
    way: Callable[[Tensors], torch.Tensor], qkv: Tensors, gradient: torch.Tensor | None
) -> Callable[[int], None]:
    """A call of one way, with its backward pass where there is a gradient `(B, N, heads, width)` to go back from."""

    def call(round_number: int) -> None:
        with torch.set_grad_enabled(gradient is not None):
            output = way(qkv)
        if gradient is not None:
            torch.autograd.grad(output, qkv, gradient)

    return call


def time_ways(
    qkv: Tensors, gradient: torch.Tensor | None, settings: Settings
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of all ways, and what became of those that do not take the size."""
    seconds: dict[str, list[float]] = {}
    statuses: dict[str, str] = {}
    callers = {}
    for name, way in ways(settings, qkv).items():
        if (name == "head by head" and gradient is not None) or settings.late:
            continue
        call = caller(way, qkv, gradient)
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
    shape, kind = (batch, tokens, heads, width), DTYPES[dtype]
    query, key, value, gradient = (torch.randn(shape, device=settings.device, dtype=kind) for _ in range(4))
    qkv: Tensors = tuple(t.transpose(1, 2).requires_grad_(training) for t in (query, key, value))
    seconds, statuses = time_ways(qkv, gradient if training else None, settings)
    products = 4 * tokens**2 * heads * width * batch * (3.5 if training else 1)  # flash computes the scores again
    for name in [*seconds, *statuses]:
        row = {"part": part, "variant": name, "pass": "both" if training else "forward", "dtype": dtype}
        row |= {"tokens": tokens, "heads": heads, "width": width, "batch_size": batch}
        spent = Summary.of(seconds[name]) if name in seconds else None
        row["median_ms"] = "" if spent is None else round(1e3 * spent.median, 4)
        row["tflops"] = "" if spent is None else round(products / spent.median / 1e12, 3)
        row["sdpa_takes"] = backend_taken(*qkv) if name == SDPA else ""
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
