# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Exponential moving average of the weights, kept on the device and in the checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


class WeightAverage:
    """`average = decay * average + (1 - decay) * weights`, once per optimizer step, over all that is trained.

    Works on whole weights (one process, DDP) and on shards (FSDP2), where each process averages its own. Nothing waits
    for the device: an update that a bad gradient kept from the weights averages with weights from before.

    Args:
        model: The model, out of its wrappers; the average starts from its weights.
        decay: Share of the average that stays, between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.average = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self._sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]

    @torch.no_grad()
    def restart(self) -> None:
        """Start over from the weights of now."""
        torch._foreach_copy_(_local(self.average), _local(self.weights))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights of now."""
        torch._foreach_lerp_(_local(self.average), _local(self.weights), 1.0 - self.decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within it, the model has the averaged weights; afterwards its own again, to the bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for module in self._sharded:  # weights that a forward pass has left gathered would be computed with as they are
            module.reshard()
        for average, weight in zip(_local(self.average), _local(self.weights)):
            own = weight.clone()  # one tensor at a time, so that memory for one is enough
            weight.copy_(average)
            average.copy_(own)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The average, by the names of the weights."""
        return dict(self.average)

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> None:
        """Take over an average.

        Raises:
            KeyError: It is of other weights.
        """
        if state_dict.keys() != self.average.keys():
            other = sorted(state_dict.keys() ^ self.average.keys())
            raise KeyError(f"The average in the checkpoint is of other weights: {', '.join(other[:5])}.")
        for name, average in self.average.items():
            average.copy_(state_dict[name])


def _local(tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """What this process holds of each."""
    return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors.values()]
