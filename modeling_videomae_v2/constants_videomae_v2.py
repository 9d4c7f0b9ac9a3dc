# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Modules with fixed tables that no checkpoint holds."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class VideoMAEv2Constants(nn.Module):
    """Base of modules with fixed tables: buffers that no checkpoint holds, which have to be right all the same.

    A buffer that is not saved is uninitialised memory after `from_pretrained`, and after the construction on the meta
    device that goes before it. So the tables are filled wherever weights are: when the weights are initialised
    (`_init_weights` of the models) and when a state dict is loaded.
    """

    def constants(self) -> dict[str, torch.Tensor]:
        """Values of the buffers, by name."""
        raise NotImplementedError

    def register_constants(self) -> None:
        for name, value in self.constants().items():
            self.register_buffer(name, value, persistent=False)

    def _apply(self, fn: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> "VideoMAEv2Constants":
        """Move to another device, but leave the type, as `from_pretrained` does: half precision cannot be undone."""
        exact = dict(self.named_buffers(recurse=False))
        super()._apply(fn, *args, **kwargs)
        for name, value in exact.items():
            new = getattr(self, name)
            if new.dtype != value.dtype:
                setattr(self, name, value.to(new.device))
        return self

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        for name, value in self.constants().items():
            old = getattr(self, name)
            setattr(self, name, value.to(old.dtype) if old.is_meta else value.to(old))
