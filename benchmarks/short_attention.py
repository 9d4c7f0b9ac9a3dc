# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Attention over the few hundred tokens that the encoder sees in pre-training, in kernels of our own.

A candidate: it was never timed on a GPU, and no model takes it of its own accord. `benchmarks.attention` compares it
with the back ends of SDPA, `--only 'short attention'` of `benchmarks.pretrain_step` measures it in a step.

cuDNN's and flash's tiles of 64 and 128 do not fit 160 or 208 tokens, and their backward pass adds up the gradients of
queries in fp32 in memory. Here one program has all tokens of a head: queries and their gradients stay on the chip while
the keys pass by, so that every number is read and written once. Products are laid out so that 64 or 128 rows are
queries or channels, what Hopper's matrix instructions take; keys come 32 at a time, and 160 tokens are 5 of these.
Triton 3.2, which comes with torch 2.6, cannot compile the way back.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


NAME = "short"  # as `attn_implementation`
MAX_TOKENS, MAX_WIDTH = 256, 128  # beyond, queries and their gradients find no room on the chip
LOG2E = tl.constexpr(1.4426950408889634)  # exp2 is an instruction, exp is not


@dataclass(frozen=True)
class Tiling:
    """Queries and keys of a tile, and warps of a program."""

    queries: int
    keys: int
    warps: int

    def __str__(self) -> str:
        return f"{self.queries} x {self.keys}, {self.warps} warps"


# To choose from. Heads of up to 64 channels fit into the registers, or nearly; wider ones on the way back with 128
# queries alone (ptxas of triton 3.6).
TILINGS = (Tiling(64, 32, 4), Tiling(64, 16, 4), Tiling(64, 32, 8), Tiling(128, 32, 8), Tiling(128, 16, 8))
STAGES = 2  # keys are fetched while those before them are worked on


@triton.jit
def _start(program, TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr):
    """Where the head of a program begins in tensors `(B, tokens, heads, width)`."""
    return ((program // HEADS).to(tl.int64) * TOKENS * HEADS + program % HEADS) * WIDTH


@triton.jit
def _tile(
    first, ROWS: tl.constexpr, TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr
):
    """Offsets `(ROWS, CHANNELS)` of the tokens from `first` on, and which of them exist."""
    tokens, channels = first + tl.arange(0, ROWS)[:, None], tl.arange(0, CHANNELS)[None, :]
    return tokens * (HEADS * WIDTH) + channels, (tokens < TOKENS) & (channels < WIDTH)


@triton.jit
def _attention_forward_kernel(
    query_at, key_at, value_at, output_at, norm_at, scale,
    TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """A tile of queries of a head: weighted values, and base 2 logarithms of the sums of the exponentials."""
    head, first_query = tl.program_id(1), tl.program_id(0) * QUERIES
    start, scale2 = _start(head, TOKENS, HEADS, WIDTH), scale * LOG2E
    rows, exist = _tile(first_query, QUERIES, TOKENS, HEADS, WIDTH, CHANNELS)
    query = tl.load(query_at + start + rows, mask=exist, other=0.0)
    highest = tl.full([QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    output = tl.zeros([QUERIES, CHANNELS], tl.float32)
    for first_key in range(0, TOKENS, KEYS):
        cols, there = _tile(first_key, KEYS, TOKENS, HEADS, WIDTH, CHANNELS)
        key = tl.load(key_at + start + cols, mask=there, other=0.0)
        value = tl.load(value_at + start + cols, mask=there, other=0.0)
        scores = tl.dot(query, tl.trans(key))
        if TOKENS % KEYS:
            scores = tl.where(first_key + tl.arange(0, KEYS)[None, :] < TOKENS, scores, float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, 1) * scale2)
        weights = tl.exp2(scores * scale2 - higher[:, None])
        shrunk = tl.exp2(highest - higher)
        total = total * shrunk + tl.sum(weights, 1)
        output = tl.dot(weights.to(value.dtype), value, output * shrunk[:, None])
        highest = higher
    tl.store(output_at + start + rows, (output / total[:, None]).to(output_at.dtype.element_ty), mask=exist)
    tokens = first_query + tl.arange(0, QUERIES)
    tl.store(norm_at + head * TOKENS + tokens, highest + tl.log2(total), mask=tokens < TOKENS)


@triton.jit
def _attention_backward_kernel(
    query_at, key_at, value_at, output_at, norm_at, gradient_at, query_gradient_at, key_gradient_at, value_gradient_at,
    scale,
    TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """All gradients of a head. What is of the queries stays, in a tuple of tiles; the keys pass by."""
    head = tl.program_id(0)
    start, scale2 = _start(head, TOKENS, HEADS, WIDTH), scale * LOG2E
    queries = ()
    gradients = ()
    norms = ()
    shares = ()  # of a query's output in its gradient
    query_gradients = ()
    for tile in tl.static_range(TILES):
        rows, exist = _tile(tile * QUERIES, QUERIES, TOKENS, HEADS, WIDTH, CHANNELS)
        gradient = tl.load(gradient_at + start + rows, mask=exist, other=0.0)
        output = tl.load(output_at + start + rows, mask=exist, other=0.0)
        tokens = tile * QUERIES + tl.arange(0, QUERIES)
        queries += (tl.load(query_at + start + rows, mask=exist, other=0.0),)
        gradients += (gradient,)
        norms += (tl.load(norm_at + head * TOKENS + tokens, mask=tokens < TOKENS, other=0.0),)
        shares += (tl.sum(gradient.to(tl.float32) * output.to(tl.float32), 1),)
        query_gradients += (tl.zeros([QUERIES, CHANNELS], tl.float32),)
    for first_key in range(0, TOKENS, KEYS):
        cols, there = _tile(first_key, KEYS, TOKENS, HEADS, WIDTH, CHANNELS)
        key = tl.load(key_at + start + cols, mask=there, other=0.0)
        value = tl.load(value_at + start + cols, mask=there, other=0.0)
        key_gradient = tl.zeros([CHANNELS, KEYS], tl.float32)
        value_gradient = tl.zeros([CHANNELS, KEYS], tl.float32)
        added = ()
        for tile in tl.static_range(TILES):
            scores = tl.dot(queries[tile], tl.trans(key))
            weights = tl.exp2(scores * scale2 - norms[tile][:, None])
            if TOKENS % KEYS:  # where there is no key, a score of 0 may be far above the others
                weights = tl.where(first_key + tl.arange(0, KEYS)[None, :] < TOKENS, weights, 0.0)
            value_gradient = tl.dot(tl.trans(gradients[tile]), weights.to(value.dtype), value_gradient)
            weight_gradients = tl.dot(gradients[tile], tl.trans(value))
            score_gradients = (weights * (weight_gradients - shares[tile][:, None])).to(key.dtype)
            key_gradient = tl.dot(tl.trans(queries[tile]), score_gradients, key_gradient)
            added += (tl.dot(score_gradients, key, query_gradients[tile]),)
        query_gradients = added
        key_gradient = tl.trans((key_gradient * scale).to(key_gradient_at.dtype.element_ty))
        value_gradient = tl.trans(value_gradient.to(value_gradient_at.dtype.element_ty))
        tl.store(key_gradient_at + start + cols, key_gradient, mask=there)
        tl.store(value_gradient_at + start + cols, value_gradient, mask=there)
    for tile in tl.static_range(TILES):
        rows, exist = _tile(tile * QUERIES, QUERIES, TOKENS, HEADS, WIDTH, CHANNELS)
        query_gradient = (query_gradients[tile] * scale).to(query_gradient_at.dtype.element_ty)
        tl.store(query_gradient_at + start + rows, query_gradient, mask=exist)


def _sizes(tensor: torch.Tensor) -> tuple[int, int, int, int]:
    """Tokens, heads, width of a head, and channels of a tile of `(B, tokens, heads, width)`."""
    _, tokens, heads, width = tensor.shape
    return tokens, heads, width, max(16, triton.next_power_of_2(width))


# Schemas are spelt out, for torch 2.6 does not read `list[int]`.
@torch.library.custom_op(
    "videomae_v2_benchmarks::short_attention", mutates_args=(),
    schema="(Tensor query, Tensor key, Tensor value, float scale, int[] tilings) -> (Tensor, Tensor)",
)  # fmt: skip
def _forward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, tilings: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, tokens, heads, _ = query.shape
    queries, keys, warps = tilings[:3]
    output, norms = torch.empty_like(query), query.new_empty((batch, heads, tokens), dtype=torch.float32)
    grid = (triton.cdiv(tokens, queries), batch * heads)
    _attention_forward_kernel[grid](
        query, key, value, output, norms, scale, *_sizes(query), queries, keys, num_warps=warps, num_stages=STAGES
    )
    return output, norms


@_forward.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, tilings: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, tokens, heads, _ = query.shape
    return torch.empty_like(query), query.new_empty((batch, heads, tokens), dtype=torch.float32)


@torch.library.custom_op(
    "videomae_v2_benchmarks::short_attention_backward", mutates_args=(),
    schema="(Tensor gradient, Tensor query, Tensor key, Tensor value, Tensor output, Tensor norms, float scale, "
    "int[] tilings) -> (Tensor, Tensor, Tensor)",
)  # fmt: skip
def _backward(
    gradient: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, output: torch.Tensor,
    norms: torch.Tensor, scale: float, tilings: list[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    batch, tokens, heads, _ = query.shape
    queries, keys, warps = tilings[3:]
    gradients = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    _attention_backward_kernel[(batch * heads,)](
        query, key, value, output, norms, gradient.contiguous(), *gradients, scale, *_sizes(query), queries, keys,
        triton.cdiv(tokens, queries), num_warps=warps, num_stages=STAGES,
    )  # fmt: skip
    return gradients


@_backward.register_fake
def _(
    gradient: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, output: torch.Tensor,
    norms: torch.Tensor, scale: float, tilings: list[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    query, key, value, ctx.scale, ctx.tilings = inputs
    ctx.save_for_backward(query, key, value, *output)


def _go_back(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    return *_backward(gradient, *ctx.saved_tensors, ctx.scale, ctx.tilings), None, None


_forward.register_autograd(_go_back, setup_context=_keep)


def default_tilings(width: int) -> tuple[Tiling, Tiling]:
    """Of the way forward and back, for heads of that width; guessed from registers and shared memory, not timed."""
    return TILINGS[0], TILINGS[0] if width <= 64 else TILINGS[3]


def short_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    tilings: tuple[Tiling, Tiling] | None = None,
) -> torch.Tensor:
    """Attention of `(B, tokens, heads, width)` tensors of one shape, in bf16 or fp16 on a GPU, without mask or dropout.

    Scores, sums and gradients are fp32; weights are rounded to the type of the values before they are multiplied by
    them, as flash attention does.

    Args:
        query, key, value: What attends to what.
        scale: Of the scores.
        tilings: On the way forward and back; None: `default_tilings`.

    Raises:
        ValueError: The shapes differ, or are beyond `MAX_TOKENS` or `MAX_WIDTH`.
    """
    if not suits(query, key, value):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (query, key, value))
        raise ValueError(f"short_attention takes up to {MAX_TOKENS} tokens of {MAX_WIDTH} channels alike, got {shapes}")
    contiguous = (tensor.contiguous() for tensor in (query, key, value))
    numbers = [
        number
        for tiling in tilings or default_tilings(query.shape[-1])
        for number in (tiling.queries, tiling.keys, tiling.warps)
    ]
    return _forward(*contiguous, scale, numbers)[0]


def suits(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether `(B, tokens, heads, width)` tensors are what `short_attention` takes."""
    alike = query.shape == key.shape == value.shape
    return alike and query.shape[1] <= MAX_TOKENS and query.shape[3] <= MAX_WIDTH


def short_attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention of `(B, heads, tokens, width)` tensors to `(B, tokens, heads, width)`; SDPA where it does not suit.

    So it is in fp32, too, whose products would be rounded to tf32 here.
    """
    tokens_first = tuple(tensor.transpose(1, 2) for tensor in (query, key, value))
    if dropout or query.dtype == torch.float32 or not suits(*tokens_first):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, is_causal=False)
    return short_attention(*tokens_first, scaling), None


ALL_ATTENTION_FUNCTIONS.register(NAME, short_attention_forward)
