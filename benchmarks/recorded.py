# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The passes of a call as one CUDA graph, which the host launches at once instead of kernel by kernel."""

from collections.abc import Callable
from functools import cache

import torch
from torch import nn


WARMUP = 3  # calls before a recording: they compile, choose kernels and fetch what libraries keep


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of all recordings: each new one would leave a workspace of cuBLAS behind, for good."""
    return torch.cuda.Stream(device)


class Recording:
    """A forward pass, in training with the backward pass, recorded once and replayed at every call.

    The optimizer is left out: the host prepares its few kernels while the graph computes, so inside it would save
    nothing, and rates that a schedule changes, clipping and accumulation stay as they are. Gradients lie in the memory
    of the graph, and every replay overwrites them: they are not to be set to None afterwards. Masks are drawn within
    the graph, from the default generator, which goes on with every replay. Casts of weights are recorded as well: the
    passes enter autocast themselves, and its cache ends with them.

    Args:
        passes: Takes clips and labels, gives a tensor, and leaves gradients if it does.
        model: Whose gradients they are.
        pixel_values: The memory that every replay reads its clips from.
        labels: Likewise.
    """

    def __init__(
        self,
        passes: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        model: nn.Module,
        pixel_values: torch.Tensor,
        labels: torch.Tensor,
    ) -> None:
        self.inputs = pixel_values, labels
        device, self.graph = pixel_values.device, torch.cuda.CUDAGraph()
        stream = side_stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):  # to return from, too: a recording that fails stays on its own
            for _ in range(WARMUP):
                passes(pixel_values, labels)
                model.zero_grad(set_to_none=True)
            torch.cuda.synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            try:
                with torch.cuda.graph(self.graph, stream=stream):
                    self.result = passes(pixel_values, labels).detach()
            except Exception:
                generator = torch.cuda.default_generators[device.index]
                generator.graphsafe_set_state(generator.clone_state())  # torch leaves it where it can only be recorded
                raise
        # all of it stays with the graph between calls
        self.peak_mib = (torch.cuda.max_memory_allocated(device) - before) / 2**20

    def __call__(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss `()`, or logits in inference; the next call overwrites it.

        Raises:
            ValueError: These are not the tensors that were recorded.
        """
        for recorded, given in zip(self.inputs, (pixel_values, labels)):
            if (given.data_ptr(), given.shape) != (recorded.data_ptr(), recorded.shape):
                raise ValueError(
                    "A recorded call reads the tensors that it was recorded with: use `Inputs(in_place=True)`."
                )
        self.graph.replay()
        return self.result
