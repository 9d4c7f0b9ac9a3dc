# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which half precisions a CPU multiplies at speed."""

import torch
from transformers.utils import logging


logger = logging.get_logger(__name__)

HALF_TYPES = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}


def multiplied_at_speed() -> frozenset[torch.dtype]:
    """The half precisions that oneDNN has kernels for on this CPU; products in the others are emulated."""
    checks = ((dtype, getattr(torch.ops.mkldnn, check, None)) for dtype, check in HALF_TYPES.items())
    return frozenset(dtype for dtype, check in checks if check is not None and check())


FAST_HALF_TYPES = multiplied_at_speed()


def warn_where_emulated(tokens: torch.Tensor) -> None:
    """Say once that what computes in the precision of these tokens will be slow, if it will."""
    if tokens.device.type != "cpu" or tokens.dtype not in HALF_TYPES or torch.compiler.is_compiling():
        return
    if tokens.dtype not in FAST_HALF_TYPES and torch.backends.mkldnn.is_available():
        name = str(tokens.dtype).removeprefix("torch.")
        logger.warning_once(
            f"This CPU has no instructions for {name}: matrix products are emulated, several times slower than in "
            "float32. Load the model with dtype=torch.float32, and train without mixed precision, or use a GPU."
        )
