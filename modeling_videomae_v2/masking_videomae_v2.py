# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Masks over the token grid of a clip (paper, sections 3.1 and 3.2).

Every mask is a bool tensor `(batch_size, T * H * W)` with `True` = dropped; tokens are flattened time first, then
rows, then columns. Every row of a batch drops the same number of tokens, so that what remains stacks into one tensor;
`num_dropped_tokens` knows that number without looking at a mask.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import torch


Grid = tuple[int, int, int]
Generators = torch.Generator | Sequence[torch.Generator]

RUNNING_CELL_RATIOS = (0.25, 0.5, 0.75)


def tube_mask(
    batch_size: int,
    grid: Grid,
    ratio: float,
    generator: Generators | None = None,
    device: torch.device | str | None = None,
) -> torch.BoolTensor:
    """Drop one random set of spatial positions, the same in every time step (the encoder mask, section 3.1).

    Args:
        batch_size: Number of clips; each gets a draw of its own.
        grid: Tokens along time, height and width, `config.grid_size`.
        ratio: Share of the `H * W` positions to drop, in [0, 1); `int(ratio * H * W)` of them are.
        generator: Source of randomness, on any device: one for the batch, or a list of one for each clip, whose masks
            then do not depend on the rest of the batch. Default: the default generator of `device`.
        device: Where the mask is wanted. Default: the generator's device, or the CPU.

    Returns:
        Bool tensor `(batch_size, T * H * W)`, True = dropped.

    Raises:
        ValueError: `grid` is not three positive whole numbers, `ratio` no number in [0, 1), `batch_size` no whole
            number, or `generator` neither a generator nor one for each clip.
    """
    time, height, width = _check(grid, ratio)
    dropped = _random_choice(batch_size, height * width, int(ratio * height * width), generator, device)
    return dropped.repeat(1, time)


def frame_mask(
    batch_size: int,
    grid: Grid,
    ratio: float,
    generator: Generators | None = None,
    device: torch.device | str | None = None,
) -> torch.BoolTensor:
    """Drop whole time steps: `int(ratio * T)` of them, drawn at random ("Frame" in Table 1).

    Arguments, return value and errors are those of `tube_mask`, with `ratio` the share of the `T` time steps.
    """
    time, height, width = _check(grid, ratio)
    dropped = _random_choice(batch_size, time, int(ratio * time), generator, device)
    return dropped.repeat_interleave(height * width, dim=1)


def random_mask(
    batch_size: int,
    grid: Grid,
    ratio: float,
    generator: Generators | None = None,
    device: torch.device | str | None = None,
) -> torch.BoolTensor:
    """Drop `int(ratio * T * H * W)` tokens, drawn at random from the whole clip ("Random" in Table 1).

    Arguments, return value and errors are those of `tube_mask`, with `ratio` the share of all tokens.
    """
    time, height, width = _check(grid, ratio)
    num_tokens = time * height * width
    return _random_choice(batch_size, num_tokens, int(ratio * num_tokens), generator, device)


def running_cell_mask(
    batch_size: int,
    grid: Grid,
    ratio: float,
    generator: Generators | None = None,
    device: torch.device | str | None = None,
) -> torch.BoolTensor:
    """Drop 1, 2 or 3 places of every 2x2 cell, moving on by one place per time step (the decoder mask, section 3.2).

    Whatever one step drops, a later one keeps: within four steps every position has been seen. Each clip draws one of
    the four phases of this movement.

    Arguments and return value are those of `tube_mask`.

    Raises:
        ValueError: `ratio` is not 0.25, 0.5 or 0.75, the grid has an odd number of rows or columns, or as for
            `tube_mask`.
    """
    time, height, width = _check(grid, ratio)
    places_dropped = _running_cell_places(grid, ratio)
    phase = _draw(partial(torch.randint, 4), (batch_size, 1, 1, 1), generator, device)
    device = device if device is not None else phase.device

    step = phase.to(device) + torch.arange(time, device=device).view(1, time, 1, 1)
    row = torch.arange(height, device=device).view(1, 1, height, 1)
    column = torch.arange(width, device=device).view(1, 1, 1, width)
    place = 2 * (row % 2) + column % 2  # in the cell: 0 1 above 2 3
    return ((place + step + 1) % 4 < places_dropped).flatten(1)


MASKS: dict[str, Callable[..., torch.BoolTensor]] = {
    "tube": tube_mask,
    "running_cell": running_cell_mask,
    "random": random_mask,
    "frame": frame_mask,
}


def num_dropped_tokens(mask_type: str, grid: Grid, ratio: float) -> int:
    """How many of the `T * H * W` tokens a mask of this type drops in every clip (a key of `MASKS`)."""
    time, height, width = _check(grid, ratio)
    if mask_type == "tube":
        return time * int(ratio * height * width)
    if mask_type == "frame":
        return int(ratio * time) * height * width
    if mask_type == "random":
        return int(ratio * time * height * width)
    return _running_cell_places(grid, ratio) * time * height * width // 4


def _check(grid: Grid, ratio: float) -> Grid:
    sides = tuple(grid) if isinstance(grid, Iterable) else ()
    if len(sides) != 3 or not all(_is_whole(side) and side >= 1 for side in sides):
        raise ValueError(
            "`grid` must be three positive whole numbers (time, height, width), such as `config.grid_size`, got "
            f"{grid!r}."
        )
    if not isinstance(ratio, Real) or not 0.0 <= ratio < 1.0:
        raise ValueError(f"`ratio` must be a number in [0, 1), got {ratio!r}.")
    return sides


def _is_whole(value: Any) -> bool:
    return isinstance(value, (Integral, torch.SymInt))


def _running_cell_places(grid: Grid, ratio: float) -> int:
    """Dropped places per 2x2 cell."""
    if ratio not in RUNNING_CELL_RATIOS:
        raise ValueError(
            f"A running cell drops 1, 2 or 3 of its 4 places: `ratio` must be 0.25, 0.5 or 0.75, got {ratio}."
        )
    if grid[1] % 2 or grid[2] % 2:
        raise ValueError(
            f"Running cells of 2x2 tokens do not tile a grid of {grid[1]} x {grid[2]}: choose an image size with an "
            "even number of patches per side, or another mask type ('random', 'tube', 'frame')."
        )
    return int(4 * ratio)


def _draw(
    sample: Callable[..., torch.Tensor],
    shape: tuple[int, ...],
    generator: Generators | None,
    device: torch.device | str | None,
) -> torch.Tensor:
    """Random numbers of a shape `(batch_size, ...)`, where the generators are, or else on `device`."""
    if not _is_whole(shape[0]) or shape[0] < 0:
        raise ValueError(f"`batch_size` must be a whole number of at least 0, got {shape[0]!r}.")
    if generator is None:
        return sample(shape, device=device)
    if isinstance(generator, torch.Generator):
        return sample(shape, generator=generator, device=generator.device)
    if not isinstance(generator, Sequence) or not all(isinstance(one, torch.Generator) for one in generator):
        raise ValueError(
            f"`generator` must be a `torch.Generator`, or a list of one for each clip, got {generator!r}. Of a seed: "
            "`torch.Generator().manual_seed(seed)`."
        )
    if len(generator) != shape[0]:
        raise ValueError(
            f"`generator` is a list of {len(generator)} for {shape[0]} clips: pass one generator for each clip, or a "
            "single one."
        )
    return torch.stack([sample(shape[1:], generator=one, device=one.device) for one in generator])


def _random_choice(
    batch_size: int, n: int, k: int, generator: Generators | None, device: torch.device | str | None
) -> torch.BoolTensor:
    """Bool `(batch_size, n)` with `k` random places True in each row."""
    noise = _draw(torch.rand, (batch_size, n), generator, device)
    chosen = noise.argsort(dim=1)[:, :k]
    mask = torch.zeros_like(noise, dtype=torch.bool).scatter_(1, chosen, True)
    return mask if device is None else mask.to(device)


__all__ = ["frame_mask", "random_mask", "running_cell_mask", "tube_mask"]
