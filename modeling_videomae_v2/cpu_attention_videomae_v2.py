# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Attention in bf16 on a CPU: when plain matrix products are the fast way, and for inference, head by head.

torch's fused attention multiplies small tiles there and reaches a fraction of what oneDNN's large products do; batched
products over all heads write scores that fit into no cache. One head and a few hundred queries at a time have neither
fault: 1568 tokens and 12 heads take 73 ms of one core instead of 121 ms (AVX512-BF16, `docs/performance.md`). In fp32
fused attention is the faster one, with and without gradients, and in bf16 where a CPU has no products for it; and with
AMX, for which torch's has kernels of its own (26 ms of two cores where head by head takes 44).
"""

import torch

from .cpu_precision_videomae_v2 import FAST_HALF_TYPES


QUERIES_AT_ONCE = 512
# Longer sequences train with fused attention: the scores of plain products would be kept for the backward pass. With
# AMX, 160 and 208 tokens take plain products half the time, and 944 half as much again.
MAX_TOKENS_OF_PLAIN_TRAINING, MAX_TOKENS_WITH_AMX = 1024, 384
HAS_AMX = bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


def _has_large_products(query: torch.Tensor) -> bool:
    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.dtype in FAST_HALF_TYPES


def trains_with_plain_products(query: torch.Tensor) -> bool:
    """Whether plain products over all heads are the fast way to train with queries `(B, heads, K, head_dim)`.

    A bf16 step of ViT-B pre-training takes 1.9 s with them instead of 2.4 s, for 311 MiB kept for the backward pass
    instead of 193 MiB.
    """
    longest = MAX_TOKENS_WITH_AMX if HAS_AMX else MAX_TOKENS_OF_PLAIN_TRAINING
    return _has_large_products(query) and query.shape[2] <= longest


def suits_head_by_head(query: torch.Tensor) -> bool:
    """Whether `head_by_head_attention` is the fast way for queries `(B, heads, K, head_dim)`; never in a graph."""
    return (
        _has_large_products(query)
        and not HAS_AMX
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def head_by_head_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention of `(B, heads, K, head_dim)` tensors, without mask, dropout or gradient.

    Products add up in fp32; scores and weights are kept in the precision of the input, as "eager" keeps them.

    Returns:
        `(B, K, heads, head_dim)`, and None in place of the attention weights.
    """
    query = query * scaling
    batch, heads, tokens, head_dim = query.shape
    output = query.new_empty(batch, tokens, heads, head_dim)
    for clip in range(batch):
        for head in range(heads):
            keys, values = key[clip, head].t(), value[clip, head]
            for first in range(0, tokens, QUERIES_AT_ONCE):
                rows = slice(first, first + QUERIES_AT_ONCE)
                weights = torch.mm(query[clip, head, rows], keys).softmax(dim=-1)
                output[clip, rows, head] = torch.mm(weights, values)
    return output, None
