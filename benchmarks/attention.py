# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Back ends of attention at the sizes that the models have: encoder and decoder in pre-training, and all tokens.

    python -m benchmarks.attention [--presets base giant] [--batch-sizes 32] [--dtype bf16]

On a GPU every back end of SDPA that takes the size, forward and backward; on a CPU SDPA, plain products, and the
products head by head that our bf16 inference takes.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import sdpa_kernel

from benchmarks.competitors import make_config
from benchmarks.machine import describe
from benchmarks.measuring import failure
from benchmarks.settings import BACKENDS, DTYPES, Settings, parse
from benchmarks.tables import finish, print_machine, print_table
from benchmarks.timing import Summary, interleaved
from modeling_videomae_v2.cpu_attention_videomae_v2 import head_by_head_attention
from modeling_videomae_v2.modeling_videomae_v2 import eager_attention_forward
from modeling_videomae_v2.patching_videomae_v2 import num_reconstructed, num_visible


Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
COLUMNS = (
    "preset", "part", "variant", "pass", "dtype", "batch_size", "tokens", "heads", "width", "median_ms", "tflops",
    "status",
)  # fmt: skip


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


def ways(settings: Settings) -> dict[str, Callable[[Tensors], torch.Tensor]]:
    """Every way to compute attention on the device, `(query, key, value)` to the output."""
    attention = nn.functional.scaled_dot_product_attention

    def with_backend(name: str) -> Callable[[Tensors], torch.Tensor]:
        def call(qkv: Tensors) -> torch.Tensor:
            with sdpa_kernel(BACKENDS[name]):
                return attention(*qkv)

        return call

    def plain(function: Callable[..., Any]) -> Callable[[Tensors], torch.Tensor]:
        module = nn.Module().eval()
        return lambda qkv: function(module, *qkv, None, scaling=qkv[0].shape[-1] ** -0.5)[0]

    found = {"sdpa": lambda qkv: attention(*qkv), "eager": plain(eager_attention_forward)}
    if settings.device.type == "cuda":
        return found | {f"sdpa, {name}": with_backend(name) for name in BACKENDS if name != "math"}
    return found | {"head by head": plain(head_by_head_attention)}


def measure_size(
    part: str, size: tuple[int, int, int], batch: int, dtype: str, training: bool, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Rows of all ways at one size."""
    tokens, heads, width = size
    shape = (batch, tokens, heads, width)
    qkv: Tensors = tuple(
        torch.randn(shape, device=settings.device).to(DTYPES[dtype]).transpose(1, 2).requires_grad_(training)
        for _ in range(3)
    )

    def caller(way: Callable[[Tensors], torch.Tensor]) -> Callable[[int], None]:
        def call(round_number: int) -> None:
            with torch.set_grad_enabled(training):
                output = way(qkv)
            if training:
                output.backward(torch.ones_like(output))

        return call

    statuses, callers = {}, {}
    for name, way in ways(settings).items():
        if name == "head by head" and training:
            continue
        try:
            caller(way)(0)
            callers[name] = caller(way)
        except RuntimeError as error:  # a back end that does not take the size
            statuses[name] = "not available" if "No available kernel" in str(error) else failure(error)
    seconds = interleaved(callers, settings.repeats, settings.warmup, settings.device, settings.clock)
    products = 4 * tokens**2 * heads * width * batch * (3.5 if training else 1)  # flash computes the scores again
    for name in [*callers, *statuses]:
        row = {"part": part, "variant": name, "pass": "both" if training else "forward", "dtype": dtype}
        row |= {"tokens": tokens, "heads": heads, "width": width, "batch_size": batch}
        spent = Summary.of(seconds[name]) if name in seconds else None
        row["median_ms"] = "" if spent is None else round(1e3 * spent.median, 3)
        row["tflops"] = "" if spent is None else round(products / spent.median / 1e12, 3)
        yield {**row, "status": statuses.get(name, "ok")}


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(settings.device)
    on_cuda, rows = settings.device.type == "cuda", []
    for preset in settings.presets:
        for part, size in sizes(preset).items():
            for training in (False, True):
                for batch in settings.batch_sizes or ((32,) if on_cuda else (1,)):
                    for dtype in settings.precisions("bf16"):
                        for row in measure_size(part, size, batch, dtype.split("-")[0], training, settings):
                            rows.append({"preset": preset, **row, **describe(settings.device)})
    print_table(rows, {name: name for name in COLUMNS})
    finish(rows, "attention", settings.device, settings.output)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
