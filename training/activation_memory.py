# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a forward pass keeps for the backward pass on a GPU, counted there, on a CPU or on tensors without memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modeling_videomae_v2 import blocks_videomae_v2 as blocks
from modeling_videomae_v2 import cpu_attention_videomae_v2 as cpu_attention
from modeling_videomae_v2 import cpu_precision_videomae_v2 as cpu_precision
from modeling_videomae_v2.patching_videomae_v2 import cut_cubes


FP32_ON_A_GPU = (nn.functional.layer_norm, nn.functional.softmax, torch.Tensor.softmax)
OF_A_CAST = ("ToCopyBackward0", "TBackward0", "ViewBackward0")


class GpuAutocast(TorchFunctionMode):
    """Autocast of a CPU leaves norms and softmax in bf16; within this, they take and give fp32 as on a GPU.

    Convolutions over cubes become products, which keep as much: CPUs without bf16 take minutes for one in bf16.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in FP32_ON_A_GPU and torch.is_autocast_enabled("cpu"):
            return func(args[0].float(), *args[1:], **kwargs)
        if func is torch.conv3d:
            pixels, weight, bias = args[:3]  # B, channels, frames, height, width
            cubes = cut_cubes(pixels.transpose(1, 2), *weight.shape[2:4]).flatten(2)
            grid = [size // step for size, step in zip(pixels.shape[2:], weight.shape[2:])]
            return nn.functional.linear(cubes, weight.flatten(1), bias).transpose(1, 2).unflatten(2, grid)
        return func(*args, **kwargs)


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Within it, a CPU keeps under autocast what a GPU would keep; attention that is SDPA is fused."""
    with (
        patch.multiple(cpu_attention, FAST_HALF_TYPES=frozenset()),
        patch.multiple(blocks, INEXACT_NORM_DEVICES=()),
        patch.multiple(cpu_precision, HALF_TYPES={}),  # that this CPU is slow does not matter
        GpuAutocast(),
    ):
        yield


def kept_bytes(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes of the tensors that autograd keeps in one forward pass, parameters and their casts by autocast left out.

    Each memory counts once, however many tensors share it.
    """
    known = {weight.untyped_storage()._cdata for weight in model.parameters()}
    sizes: dict[int, int] = {}
    alive = []  # or the memory of one tensor might be given to the next

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage, without_history = tensor.untyped_storage(), tensor.detach()
        if storage._cdata not in known and not _is_cast_of_weight(tensor):
            sizes[storage._cdata] = storage.nbytes()
            alive.append(without_history)
        return without_history  # what leads back to the graph would keep the graph for ever

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(sizes.values())


def by_block(kept: Callable[[dict[str, int]], float], stacks: Sequence[str]) -> tuple[float, dict[str, float]]:
    """What a model keeps beside its blocks, and in each block of its stacks: all blocks of a stack keep the same.

    Args:
        kept: What a model keeps that has so many blocks in each stack.
        stacks: Fields of the configuration with the numbers of blocks.
    """
    ones = dict.fromkeys(stacks, 1)
    once = kept(ones)
    blocks = {name: kept({**ones, name: 2}) - once for name in stacks}
    return once - sum(blocks.values()), blocks


def _is_cast_of_weight(tensor: torch.Tensor) -> bool:
    """Whether this is a parameter, converted, transposed or flattened."""
    function = tensor.grad_fn
    while function is not None and function.name() in OF_A_CAST:
        function = function.next_functions[0][0]
    return function is not None and hasattr(function, "variable")
