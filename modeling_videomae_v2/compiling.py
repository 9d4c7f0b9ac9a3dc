# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`torch.compile` of a model, whole or block by block. Does not travel to the Hub."""

import os
from typing import Any, Literal

import torch
from packaging.version import Version
from torch import nn

from .blocks_videomae_v2 import VideoMAEv2Layer
from .embeddings_videomae_v2 import VideoMAEv2Embeddings
from .reconstruction_videomae_v2 import VideoMAEv2ReconstructionLoss


CompileMode = Literal["no", "blocks", "model"]

# What is worth a graph of its own: where elementwise work stands beside products, or nothing else.
REGIONS = (VideoMAEv2Embeddings, VideoMAEv2Layer, VideoMAEv2ReconstructionLoss)

HOPPER = 9  # major capability of H100, H200 and GH200
TRITON = "3.6"  # that of torch 2.10 and 2.11; 3.2 cannot compile the way back of attention
SWITCH = "VIDEOMAE_V2_KERNELS"  # environment variable: 0 leaves them out


def compile_model(
    model: nn.Module, parts: CompileMode, regions: tuple[type[nn.Module], ...] = REGIONS, **options: Any
) -> None:
    """Compile a model in place; on a Hopper GPU it will train with kernels of our own (`training_kernels.py`).

    Args:
        model: Not wrapped yet.
        parts: "blocks": embedding, every block and the loss, each by itself. Blocks of a size share one graph, so it
            takes seconds whatever the depth; in training, gradients of a block are exchanged between processes while
            the blocks below still compute. Where `output_attentions` are asked for, they run uncompiled. "model": one
            graph, which also fuses across blocks; its gradients come all at the end. "no" leaves it as it is.
        regions: What "blocks" compiles.
        options: Of `torch.compile`.
    """
    if parts != "no" and can_use_training_kernels():
        from .training_kernels import use_training_kernels

        use_training_kernels(model)
    if parts == "model":
        model.compile(**options)
    elif parts == "blocks":
        for module in model.modules():
            if isinstance(module, regions):
                module.compile(**options)


def can_use_training_kernels() -> bool:
    """Whether all GPUs are of the kind that our kernels were made for, and Triton as new as they were tried with.

    `VIDEOMAE_V2_KERNELS=0` in the environment says no.
    """
    if os.environ.get(SWITCH) == "0" or not torch.cuda.is_available() or torch.version.hip is not None:
        return False
    try:
        import triton
    except ImportError:
        return False
    kinds = {torch.cuda.get_device_capability(number)[0] for number in range(torch.cuda.device_count())}
    return kinds == {HOPPER} and Version(triton.__version__) >= Version(TRITON)


__all__ = ["REGIONS", "CompileMode", "can_use_training_kernels", "compile_model"]
