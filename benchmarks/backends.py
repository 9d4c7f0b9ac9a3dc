# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which back end of SDPA is taken where any may be."""

from typing import Any

import torch
from torch.nn.attention import SDPBackend
from torch.overrides import TorchFunctionMode

from benchmarks.settings import BACKENDS


NAMES = {backend: name for name, backend in BACKENDS.items()}


def backend_taken(*args: Any, **kwargs: Any) -> str:
    """Name of the back end that SDPA takes with these arguments; "" where this torch does not tell."""
    try:
        return NAMES.get(SDPBackend(torch._fused_sdp_choice(*args, **kwargs)), "")
    except (AttributeError, TypeError, ValueError, RuntimeError):  # not a public function
        return ""


class RecordBackends(TorchFunctionMode):
    """Within it, `names` collects the back ends that SDPA takes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            self.names |= {backend_taken(*args, **kwargs)} - {""}
        return func(*args, **kwargs)
