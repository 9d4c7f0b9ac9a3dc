# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Attention over the few hundred tokens that the encoder sees in pre-training, in two Triton kernels.

cuDNN's and flash's tiles of 64 and 128 do not fit 160 or 208 tokens, and their backward pass adds up the gradients of
queries in fp32 in memory. Here one program has all tokens of a head: queries and their gradients stay on the chip while
the keys pass by, so that every number is read and written once. Products are laid out so that 64 or 128 rows are
queries or channels, what Hopper's matrix instructions take; keys come 32 at a time, and 160 tokens are 5 of these.
Queries, keys and values lie side by side, as one product gives them, and so do their gradients.

On an H100, 160 tokens and heads of 64 channels take 0.42 + 1.05 us per clip of ViT-B where cuDNN takes 0.63 + 2.2
(`docs/performance.md`). Does not travel to the Hub.
"""

from dataclasses import astuple, dataclass
from typing import Any

import torch
import triton
import triton.language as tl


MAX_TOKENS, MAX_WIDTH = 256, 128  # beyond, queries and their gradients find no room on the chip
LOG2E = tl.constexpr(1.4426950408889634)  # exp2 is an instruction, exp is not


@dataclass(frozen=True)
class Tiling:
    """Queries and keys of a tile, warps of a program, and tiles of keys on the way to it.

    Triton 3.6 compiles a way back in 1 stage that reads beyond the memory of its program: 2 at least.
    """

    queries: int
    keys: int
    warps: int
    stages: int


# Of the way forward and back, the fastest that were tried on an H100: heads of up to 64 channels, and wider ones.
NARROW = Tiling(64, 32, 4, 3), Tiling(64, 32, 4, 3)
WIDE = Tiling(64, 32, 4, 3), Tiling(128, 32, 8, 2)


@triton.jit
def _start(program, TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr, KINDS: tl.constexpr):
    """Where the head of a program begins in tensors `(B, tokens, kinds, heads, width)`."""
    return ((program // HEADS).to(tl.int64) * TOKENS * KINDS * HEADS + program % HEADS) * WIDTH


@triton.jit
def _tile(
    first, ROWS: tl.constexpr, TOKENS: tl.constexpr, ROW: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr
):
    """Offsets `(ROWS, CHANNELS)` of the tokens from `first` on, `ROW` numbers apart, and which of them exist."""
    tokens, channels = first + tl.arange(0, ROWS)[:, None], tl.arange(0, CHANNELS)[None, :]
    return tokens * ROW + channels, (tokens < TOKENS) & (channels < WIDTH)


@triton.jit
def _attention_forward_kernel(
    qkv_at, output_at, norm_at, scale,
    TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """A tile of queries of a head: weighted values, and base 2 logarithms of the sums of the exponentials."""
    ROW: tl.constexpr = HEADS * WIDTH
    head, first_query = tl.program_id(0) // TILES, tl.program_id(0) % TILES * QUERIES
    query_at, scale2 = qkv_at + _start(head, TOKENS, HEADS, WIDTH, 3), scale * LOG2E
    rows, exist = _tile(first_query, QUERIES, TOKENS, 3 * ROW, WIDTH, CHANNELS)
    query = tl.load(query_at + rows, mask=exist, other=0.0)
    highest = tl.full([QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    output = tl.zeros([QUERIES, CHANNELS], tl.float32)
    for first_key in range(0, TOKENS, KEYS):
        cols, there = _tile(first_key, KEYS, TOKENS, 3 * ROW, WIDTH, CHANNELS)
        key = tl.load(query_at + ROW + cols, mask=there, other=0.0)
        value = tl.load(query_at + 2 * ROW + cols, mask=there, other=0.0)
        scores = tl.dot(query, tl.trans(key))
        if TOKENS % KEYS:
            scores = tl.where(first_key + tl.arange(0, KEYS)[None, :] < TOKENS, scores, float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, 1) * scale2)
        weights = tl.exp2(scores * scale2 - higher[:, None])
        shrunk = tl.exp2(highest - higher)
        total = total * shrunk + tl.sum(weights, 1)
        output = tl.dot(weights.to(value.dtype), value, output * shrunk[:, None])
        highest = higher
    output_at += _start(head, TOKENS, HEADS, WIDTH, 1)
    rows, exist = _tile(first_query, QUERIES, TOKENS, ROW, WIDTH, CHANNELS)
    tl.store(output_at + rows, (output / total[:, None]).to(output_at.dtype.element_ty), mask=exist)
    tokens = first_query + tl.arange(0, QUERIES)
    tl.store(norm_at + head * TOKENS + tokens, highest + tl.log2(total), mask=tokens < TOKENS)


@triton.jit
def _attention_backward_kernel(
    qkv_at, output_at, norm_at, gradient_at, qkv_gradient_at, scale,
    TOKENS: tl.constexpr, HEADS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """All gradients of a head. What is of the queries stays, in a tuple of tiles; the keys pass by."""
    ROW: tl.constexpr = HEADS * WIDTH
    head, scale2 = tl.program_id(0), scale * LOG2E
    start, start3 = _start(head, TOKENS, HEADS, WIDTH, 1), _start(head, TOKENS, HEADS, WIDTH, 3)
    query_at, query_gradient_at = qkv_at + start3, qkv_gradient_at + start3
    queries = ()
    gradients = ()
    norms = ()
    shares = ()  # of a query's output in its gradient
    query_gradients = ()
    for tile in tl.static_range(TILES):
        rows3, _ = _tile(tile * QUERIES, QUERIES, TOKENS, 3 * ROW, WIDTH, CHANNELS)
        rows, exist = _tile(tile * QUERIES, QUERIES, TOKENS, ROW, WIDTH, CHANNELS)
        gradient = tl.load(gradient_at + start + rows, mask=exist, other=0.0)
        output = tl.load(output_at + start + rows, mask=exist, other=0.0)
        tokens = tile * QUERIES + tl.arange(0, QUERIES)
        queries += (tl.load(query_at + rows3, mask=exist, other=0.0),)
        gradients += (gradient,)
        norms += (tl.load(norm_at + head * TOKENS + tokens, mask=tokens < TOKENS, other=0.0),)
        shares += (tl.sum(gradient.to(tl.float32) * output.to(tl.float32), 1),)
        query_gradients += (tl.zeros([QUERIES, CHANNELS], tl.float32),)
    for first_key in range(0, TOKENS, KEYS):
        cols, there = _tile(first_key, KEYS, TOKENS, 3 * ROW, WIDTH, CHANNELS)
        key = tl.load(query_at + ROW + cols, mask=there, other=0.0)
        value = tl.load(query_at + 2 * ROW + cols, mask=there, other=0.0)
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
        key_gradient = tl.trans((key_gradient * scale).to(key.dtype))
        tl.store(query_gradient_at + ROW + cols, key_gradient, mask=there)
        tl.store(query_gradient_at + 2 * ROW + cols, tl.trans(value_gradient.to(key.dtype)), mask=there)
    for tile in tl.static_range(TILES):
        rows, exist = _tile(tile * QUERIES, QUERIES, TOKENS, 3 * ROW, WIDTH, CHANNELS)
        query_gradient = (query_gradients[tile] * scale).to(queries[tile].dtype)
        tl.store(query_gradient_at + rows, query_gradient, mask=exist)


def _sizes(qkv: torch.Tensor) -> tuple[int, int, int, int]:
    """Tokens, heads, width of a head, and channels of a tile of `(B, tokens, 3, heads, width)`."""
    _, tokens, _, heads, width = qkv.shape
    return tokens, heads, width, max(16, triton.next_power_of_2(width))


# Schemas are spelt out, for torch 2.6 does not read `list[int]`.
@torch.library.custom_op(
    "videomae_v2::short_attention", mutates_args=(),
    schema="(Tensor qkv, float scale, int[] tilings) -> (Tensor, Tensor)",
)  # fmt: skip
def _forward(qkv: torch.Tensor, scale: float, tilings: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    batch, tokens, _, heads, _ = qkv.shape
    queries, keys, warps, stages = tilings[:4]
    output, norms = _results(qkv)
    tiles = triton.cdiv(tokens, queries)
    with torch.cuda.device_of(qkv):
        _attention_forward_kernel[(batch * heads * tiles,)](
            qkv, output, norms, scale, *_sizes(qkv), queries, keys, tiles, num_warps=warps, num_stages=stages
        )
    return output, norms


def _results(qkv: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Memory for `(B, tokens, heads, width)` and for `(B, heads, tokens)` in fp32."""
    batch, tokens, _, heads, width = qkv.shape
    return qkv.new_empty((batch, tokens, heads, width)), qkv.new_empty((batch, heads, tokens), dtype=torch.float32)


@_forward.register_fake
def _(qkv: torch.Tensor, scale: float, tilings: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    return _results(qkv)


@torch.library.custom_op(
    "videomae_v2::short_attention_backward", mutates_args=(),
    schema="(Tensor gradient, Tensor qkv, Tensor output, Tensor norms, float scale, int[] tilings) -> Tensor",
)  # fmt: skip
def _backward(
    gradient: torch.Tensor, qkv: torch.Tensor, output: torch.Tensor, norms: torch.Tensor, scale: float,
    tilings: list[int],
) -> torch.Tensor:  # fmt: skip
    batch, tokens, _, heads, _ = qkv.shape
    queries, keys, warps, stages = tilings[4:]
    qkv_gradient = torch.empty_like(qkv)
    with torch.cuda.device_of(qkv):
        _attention_backward_kernel[(batch * heads,)](
            qkv, output, norms, gradient.contiguous(), qkv_gradient, scale, *_sizes(qkv), queries, keys,
            triton.cdiv(tokens, queries), num_warps=warps, num_stages=stages,
        )  # fmt: skip
    return qkv_gradient


@_backward.register_fake
def _(
    gradient: torch.Tensor, qkv: torch.Tensor, output: torch.Tensor, norms: torch.Tensor, scale: float,
    tilings: list[int],
) -> torch.Tensor:  # fmt: skip
    return torch.empty_like(qkv)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    qkv, ctx.scale, ctx.tilings = inputs
    ctx.save_for_backward(qkv, *output)


def _go_back(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    return _backward(gradient, *ctx.saved_tensors, ctx.scale, ctx.tilings), None, None


_forward.register_autograd(_go_back, setup_context=_keep)


def tilings_for(width: int) -> tuple[Tiling, Tiling]:
    """Of the way forward and back, for heads of that width."""
    return NARROW if width <= 64 else WIDE


def short_attention(qkv: torch.Tensor, scale: float, tilings: tuple[Tiling, Tiling] | None = None) -> torch.Tensor:
    """Attention of queries, keys and values `(B, tokens, 3, heads, width)`, in bf16 or fp16 on a GPU, without mask or
    dropout.

    Scores, sums and gradients are fp32; weights are rounded to the type of the values before they are multiplied by
    them, as flash attention does.

    Args:
        qkv: What attends to what.
        scale: Of the scores.
        tilings: On the way forward and back; None: `tilings_for`.

    Returns:
        `(B, tokens, heads, width)`.

    Raises:
        ValueError: The shape is another, or beyond `MAX_TOKENS` or `MAX_WIDTH`.
    """
    if qkv.ndim != 5 or qkv.shape[2] != 3 or qkv.shape[1] > MAX_TOKENS or qkv.shape[4] > MAX_WIDTH:
        raise ValueError(
            f"short_attention takes (B, tokens, 3, heads, width) of up to {MAX_TOKENS} tokens and {MAX_WIDTH} "
            f"channels, got {tuple(qkv.shape)}"
        )
    numbers = [number for tiling in tilings or tilings_for(qkv.shape[-1]) for number in astuple(tiling)]
    return _forward(qkv.contiguous(), scale, numbers)[0]
