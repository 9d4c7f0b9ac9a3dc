# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips as grids of cubes: their size in tokens, the tokens that a mask keeps, the pixels of those tokens.

B clips, N = T*H*W tokens of the grid, K tokens that a mask keeps. What K is follows from the configuration, never from
data on a device: nothing here waits for one, and no shape depends on what a mask holds.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from .configuration_videomae_v2 import VideoMAEv2Config
from .masking_videomae_v2 import Grid, num_dropped_tokens


def token_grid(pixel_values: torch.Tensor, config: VideoMAEv2Config, with_views: bool = False) -> Grid:
    """Tokens along (time, height, width) of the clips; refuses what is no clip, and says what would make it one.

    Args:
        pixel_values: `(B, frames, channels, height, width)`; `with_views`, `(B, views, frames, ...)`.
        config: Says what a cube is.
        with_views: Whether there is a dimension of views.
    """
    if not isinstance(pixel_values, torch.Tensor):
        hint = ' Pass `return_tensors="pt"` to the video processor.' if isinstance(pixel_values, list) else ""
        if isinstance(pixel_values, Mapping):
            hint = " Pass `model(**inputs)` where `inputs` are what the video processor gives."
        elif isinstance(pixel_values, np.ndarray):
            hint = " Pass `torch.from_numpy(pixel_values)`."
        raise ValueError(f"`pixel_values` must be a tensor, got {type(pixel_values).__name__}.{hint}")
    shape, first = tuple(pixel_values.shape), 2 if with_views else 1
    layout = f"(batch, {'views, ' if with_views else ''}frames, channels, height, width)"
    if len(shape) != first + 4:
        hint = " Pass `pixel_values.unsqueeze(0)` for a single clip." if len(shape) == 4 else ""
        raise ValueError(f"`pixel_values` must have {first + 4} dimensions {layout}, got shape {shape}.{hint}")
    frames, channels, height, width = shape[first:]
    if channels != config.num_channels:
        last_to_place = (*range(first + 1), first + 3, first + 1, first + 2)
        ways_out = {first: f"transpose({first}, {first + 1})", first + 3: f"permute{last_to_place}"}
        found = [way for dim, way in ways_out.items() if shape[dim] == config.num_channels]
        hint = (
            f"the channels seem to stand elsewhere: pass `pixel_values.{found[0]}`" if found else "see `num_channels`"
        )
        raise ValueError(
            f"`pixel_values` must be {layout} with {config.num_channels} channels, got shape {shape}; {hint}."
        )
    if not pixel_values.is_floating_point():
        raise ValueError(
            f"`pixel_values` must be normalised floating point values, got {pixel_values.dtype}: let "
            "`VideoMAEv2VideoProcessor` prepare the frames."
        )
    if not shape[0]:
        raise ValueError(f"`pixel_values` must hold at least one clip, got shape {shape}.")
    cube = (config.tubelet_size, config.patch_size, config.patch_size)
    for name, size, step in zip(("frames", "height", "width"), (frames, height, width), cube):
        if size % step or not size:
            raise ValueError(f"The {name} of `pixel_values` must be a multiple of {step} (a cube), got {size}.")
    return frames // cube[0], height // cube[1], width // cube[2]


def num_visible(config: VideoMAEv2Config, grid: Grid) -> int:
    """Tokens per clip that an encoder mask drawn from the configuration keeps."""
    return math.prod(grid) - num_dropped_tokens(config.mask_type, grid, config.mask_ratio)


def num_reconstructed(config: VideoMAEv2Config, grid: Grid) -> int:
    """Tokens per clip that the decoder reconstructs; without a decoder mask, all that the encoder does not see."""
    if config.decoder_mask_type is None:
        return num_dropped_tokens(config.mask_type, grid, config.mask_ratio)
    return math.prod(grid) - num_dropped_tokens(config.decoder_mask_type, grid, config.decoder_mask_ratio)


def host_values(tensor: torch.Tensor) -> np.ndarray | None:
    """What a tensor in host memory holds; None for one on another device, or where a graph is being made.

    In the transforms of `torch.func` a tensor stands for others: the values are those of the innermost, clips of
    `vmap` in the first dimension.
    """
    if type(tensor) is not torch.Tensor or tensor.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    if torch._C._functorch.peek_interpreter_stack() is None:
        return tensor.numpy()
    clip_dims = []  # of `vmap`, the outermost first; each counts in what it stands for
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        clip_dims.append(torch._C._functorch.maybe_get_bdim(tensor))
        tensor = torch._C._functorch.get_unwrapped(tensor)
    with temporarily_clear_interpreter_stack():  # or this would give a tensor that stands for others again
        values = tensor.numpy()
    for moved, dim in enumerate(dim for dim in reversed(clip_dims) if dim != -1):  # -1: another transform
        values = np.moveaxis(values, dim + moved, 0)
    return values


def kept_indices(
    name: str, mask: torch.BoolTensor, pixel_values: torch.Tensor, grid: Grid, num_kept: Callable[[], int]
) -> torch.LongTensor:
    """Indices, in ascending order, of the tokens that a mask keeps.

    How many they are must be known without waiting for the device. A mask in host memory is counted, and so is, after a
    wait, one on a GPU of Apple's. Any other one, and every mask in a compiled graph, has to keep what the configuration
    says; the device checks that on its own.

    Args:
        name: What the caller knows the mask by, for messages.
        mask: Bool `(B, N)`, True = dropped.
        pixel_values: The clips that it belongs to.
        grid: Their token grid.
        num_kept: Gives the number of tokens per clip that a mask drawn from the configuration keeps.

    Returns:
        `(B, K)` token indices, on the device of `pixel_values`.
    """
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
        found = f"{mask.dtype}: call `.bool()` on it" if isinstance(mask, torch.Tensor) else type(mask).__name__
        raise ValueError(f"`{name}` must be a bool tensor, True = dropped, got {found}.")
    if mask.shape != (expected := (pixel_values.shape[0], math.prod(grid))):
        raise ValueError(f"`{name}` must have shape {expected} (clips, tokens), got {tuple(mask.shape)}.")

    on_mps = mask.device.type == "mps"  # which PyTorch 2.11 and earlier have no `_assert_async` for
    values = host_values(mask.cpu() if on_mps else mask)
    if values is not None:
        kept_per_clip = (~values).sum(axis=-1).flatten()
        count = int(kept_per_clip[0])
        if count == 0 or (kept_per_clip != count).any():
            raise ValueError(
                f"`{name}` must keep the same number of tokens, at least one, in every clip of the batch; it keeps "
                f"{kept_per_clip.min()} to {kept_per_clip.max()} of {mask.shape[1]}."
            )
    else:
        count = num_kept()
        torch._assert_async(
            ((~mask).sum(dim=1) == count).all(),
            f"`{name}` does not keep the {count} of {mask.shape[1]} tokens per clip that the configuration says: "
            "change the mask type and ratio there, or pass the mask in host memory to a model that is not compiled",
        )
    device = pixel_values.device  # Apple's GPUs may read later what has been freed
    mask = mask.to(device=device, dtype=torch.uint8, non_blocking=device.type != "mps")
    return mask.argsort(dim=1, stable=True)[:, :count]


def cut_cubes(
    pixel_values: torch.Tensor, tubelet_size: int, patch_size: int, index: torch.LongTensor | None = None
) -> torch.Tensor:
    """Cut clips into cubes, all of them or only those asked for.

    Args:
        pixel_values: `(B, frames, channels, height, width)`.
        tubelet_size: Frames per cube.
        patch_size: Pixels per side of a cube.
        index: `(B, K)` tokens to cut out; the others are never touched. Default: all.

    Returns:
        `(B, K, channels, tubelet_size, patch_size, patch_size)`.
    """
    batch, frames, channels, height, width = pixel_values.shape
    time, rows, columns = frames // tubelet_size, height // patch_size, width // patch_size
    cubes = pixel_values.reshape(batch, time, tubelet_size, channels, rows, patch_size, columns, patch_size)
    cubes = cubes.permute(0, 1, 4, 6, 3, 2, 5, 7)  # B, T, H, W, then the cube, channels first
    if index is None:
        return cubes.flatten(1, 3)
    clip = torch.arange(batch, device=index.device).unsqueeze(1)
    return cubes[clip, index // (rows * columns), index // columns % rows, index % columns]
