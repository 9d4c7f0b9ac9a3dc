# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The way of frames from the loader to the device, where they become what a model takes."""

from collections.abc import Sequence

import torch


class FrameTransfer:
    """Brings uint8 frames to a device and normalises them there: they travel as bytes.

    To a GPU they travel on a stream of their own, while it still computes the step before. Otherwise the way of a
    batch, 2.4 MB for a clip of 16 x 224 x 224, would stand between two steps.

    Args:
        mean: Of the channels, of frames in [0, 1].
        std: Their deviation.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        mean, std = torch.tensor(mean), torch.tensor(std)
        self._scale = (1.0 / (255.0 * std)).view(-1, 1, 1)
        self._shift = (-mean / std).view(-1, 1, 1)
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, frames: torch.Tensor, device: torch.device) -> torch.Tensor:
        """uint8 `(..., channels, height, width)` in host memory to normalised fp32 of the same shape on the device.

        Nothing waits; frames have to lie in pinned memory for that (`pin_memory` of the loader).
        """
        self._scale, self._shift = self._scale.to(device), self._shift.to(device)
        moved = self._move(frames, device)
        if moved.is_cuda:  # bytes are read once and floats written once
            return torch.addcmul(self._shift, moved, self._scale)
        clips = moved.float()  # faster on a CPU
        return torch.addcmul(self._shift, clips, self._scale, out=clips)

    def undo(self, clips: torch.Tensor) -> torch.Tensor:
        """Normalised clips, on the device where this was called last, to values in [0, 1]."""
        return (clips - self._shift) / (255.0 * self._scale)

    def _move(self, frames: torch.Tensor, device: torch.device) -> torch.Tensor:
        if device.type != "cuda":
            return frames.to(device)
        computing = torch.cuda.current_stream(device)
        self._stream = self._stream or torch.cuda.Stream(device)
        with torch.cuda.stream(self._stream):
            moved = frames.to(device, non_blocking=True)
        computing.wait_stream(self._stream)
        moved.record_stream(computing)  # or the next transfer might get the memory while this one is being read
        return moved


def move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor in host memory to a device. Nobody waits for one of CUDA; Apple's might read what has been freed."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
