# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The four masks: against those of the reference, their counts, their randomness, and what they refuse."""

import inspect
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from reference_data import load_reference

from modeling_videomae_v2 import frame_mask, random_mask, running_cell_mask, tube_mask
from modeling_videomae_v2.masking_videomae_v2 import num_dropped_tokens


Mask = Callable[..., torch.Tensor]
RANDOM_MASKS = {"tube": tube_mask, "random": random_mask, "frame": frame_mask}
ALL_MASKS = {**RANDOM_MASKS, "running_cell": running_cell_mask}
each_mask = pytest.mark.parametrize("name", ALL_MASKS)
GRID = (8, 14, 14)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ratio_of(name: str) -> float:
    return 0.5 if name == "running_cell" else 0.75


def row_strings(mask: torch.Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in mask}


# ---- running cells


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("grid", [(8, 14, 14), (8, 16, 16)])
def test_running_cells_are_the_four_phases_of_the_reference(grid: tuple[int, int, int], ratio: float):
    tensors, _ = load_reference("masks")
    expected = tensors[f"running_cell.{'x'.join(map(str, grid))}.{ratio}"].flatten(1).bool()
    drawn = running_cell_mask(64, grid, ratio, seeded(0))
    assert row_strings(drawn) == row_strings(expected)
    assert len(row_strings(drawn)) == 4


@pytest.mark.parametrize("grid", [(8, 14, 14), (8, 16, 16)])
def test_tube_drops_as_many_positions_as_the_reference(grid: tuple[int, int, int]):
    tensors, _ = load_reference("masks")
    expected = tensors[f"tube_masked_per_frame.{'x'.join(map(str, grid))}.0.9"]
    assert (tube_mask(3, grid, 0.9).view(3, 8, -1).sum(-1) == expected).all()


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_running_cells_move_one_place_per_frame(ratio: float):
    mask = running_cell_mask(16, (8, 4, 6), ratio, seeded(1)).view(16, 8, 2, 2, 3, 2)
    cells = mask.permute(0, 1, 2, 4, 3, 5).flatten(4)  # clip, frame, cell row, cell column, place
    assert (cells == cells[:, :, :1, :1]).all(), "every cell of a frame has the same pattern"
    assert (cells.sum(-1) == int(4 * ratio)).all()
    assert (cells[:, :4].sum(1) == int(4 * ratio)).all(), "within four frames every place is dropped equally often"
    assert (cells[:, 4:] == cells[:, :4]).all(), "the fifth frame is the first again"


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_all_phases_occur_about_equally_often(ratio: float):
    mask = running_cell_mask(4000, (2, 2, 2), ratio, seeded(2))
    _, counts = torch.unique(mask, dim=0, return_counts=True)
    assert len(counts) == 4
    assert ((counts > 900) & (counts < 1100)).all()


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.6, 0.9])
def test_running_cells_refuse_other_ratios(ratio: float):
    with pytest.raises(ValueError, match=rf"0\.25, 0\.5 or 0\.75.*{ratio}"):
        running_cell_mask(1, GRID, ratio)


@pytest.mark.parametrize("grid", [(8, 19, 19), (8, 14, 15), (8, 15, 14)])
def test_running_cells_refuse_odd_grids(grid: tuple[int, int, int]):
    with pytest.raises(ValueError, match=f"{grid[1]} x {grid[2]}"):
        running_cell_mask(1, grid, 0.5)


# ---- masks drawn at random


@pytest.mark.parametrize(("grid", "dropped"), [((8, 14, 14), 176), ((8, 16, 16), 230)])
def test_tube_drops_the_published_number_of_positions(grid: tuple[int, int, int], dropped: int):
    mask = tube_mask(5, grid, 0.9, seeded(0)).view(5, grid[0], -1)
    assert (mask == mask[:, :1]).all(), "the same positions in every frame"
    assert (mask.sum(-1) == dropped).all()


@pytest.mark.parametrize("grid", [(8, 14, 14), (1, 3, 5), (3, 7, 7)])
@pytest.mark.parametrize("ratio", [0.0, 0.29, 0.5, 0.9, 0.999])
def test_counts_round_down(grid: tuple[int, int, int], ratio: float):
    time, space = grid[0], grid[1] * grid[2]
    assert (tube_mask(3, grid, ratio).sum(1) == time * int(ratio * space)).all()
    assert (random_mask(3, grid, ratio).sum(1) == int(ratio * time * space)).all()
    assert (frame_mask(3, grid, ratio).sum(1) == int(ratio * time) * space).all()


def test_frame_mask_drops_whole_frames():
    mask = frame_mask(6, GRID, 0.75, seeded(0)).view(6, 8, -1)
    assert (mask.all(-1) | ~mask.any(-1)).all()
    assert (mask.any(-1).sum(1) == 6).all()


def test_random_mask_differs_between_frames():
    mask = random_mask(2, GRID, 0.75, seeded(0)).view(2, 8, -1)
    assert all(not torch.equal(mask[:, 0], mask[:, t]) for t in range(1, 8))


@pytest.mark.parametrize("name", RANDOM_MASKS)
def test_every_place_is_as_likely(name: str):
    mask = RANDOM_MASKS[name](4000, (4, 2, 2), 0.75, seeded(3))
    assert mask.float().mean(0) == pytest.approx(torch.full((16,), 0.75).numpy(), abs=0.04)


# ---- what all have in common


@each_mask
def test_signature(name: str):
    parameters = inspect.signature(ALL_MASKS[name]).parameters
    assert list(parameters) == ["batch_size", "grid", "ratio", "generator", "device"]
    assert parameters["generator"].default is parameters["device"].default is None


@each_mask
def test_shape_type_and_device(name: str):
    mask = ALL_MASKS[name](3, GRID, ratio_of(name))
    assert (mask.shape, mask.dtype, mask.device.type) == ((3, 1568), torch.bool, "cpu")
    assert ALL_MASKS[name](0, GRID, ratio_of(name)).shape == (0, 1568)
    assert ALL_MASKS[name](2, GRID, ratio_of(name), device="meta").device.type == "meta"
    assert ALL_MASKS[name](2, GRID, ratio_of(name), seeded(0), device="meta").device.type == "meta"
    assert ALL_MASKS[name](2, list(GRID), ratio_of(name), device=torch.device("cpu")).device.type == "cpu"


@each_mask
def test_generator_makes_it_repeatable(name: str):
    draw, ratio = ALL_MASKS[name], ratio_of(name)
    before = torch.get_rng_state()
    first, second = (draw(16, GRID, ratio, seeded(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before), "the global generator was touched"
    generator = seeded(7)
    assert torch.equal(draw(16, GRID, ratio, generator), first)
    assert not torch.equal(draw(16, GRID, ratio, generator), first), "a generator moves on"


@each_mask
def test_default_generator_is_the_global_one(name: str):
    torch.manual_seed(11)
    first = ALL_MASKS[name](16, GRID, ratio_of(name))
    assert not torch.equal(ALL_MASKS[name](16, GRID, ratio_of(name)), first)
    torch.manual_seed(11)
    assert torch.equal(ALL_MASKS[name](16, GRID, ratio_of(name)), first)


@each_mask
def test_each_clip_has_its_own_draw(name: str):
    mask = ALL_MASKS[name](32, GRID, ratio_of(name), seeded(0))
    assert len(row_strings(mask)) >= (4 if name == "running_cell" else 16)
    assert len(mask.sum(1).unique()) == 1


@each_mask
@pytest.mark.parametrize("ratio", [-0.25, 1.0, 1.5, float("nan"), "0.5", None, (0.5,)])
def test_ratio_outside_is_refused(name: str, ratio: object):
    with pytest.raises(ValueError, match=re.escape(f"`ratio` must be a number in [0, 1), got {ratio!r}.")):
        ALL_MASKS[name](1, GRID, ratio)


@each_mask
@pytest.mark.parametrize(
    "grid", [(8, 14), (8, 14, 0), (8, -14, 14), (0, 14, 14), (8, 14, 14, 14), (8, 14.0, 14), 14, 14.0, None, "8xx", {}]
)
def test_grid_that_is_none_is_refused(name: str, grid: object):
    with pytest.raises(ValueError, match=f"`grid` must be three .*, got {re.escape(repr(grid))}"):
        ALL_MASKS[name](1, grid, ratio_of(name))


@each_mask
@pytest.mark.parametrize("batch_size", [-1, 2.0, "2", None])
def test_batch_size_that_is_none_is_refused(name: str, batch_size: object):
    with pytest.raises(ValueError, match=f"`batch_size` must be a whole number of at least 0, got {batch_size!r}"):
        ALL_MASKS[name](batch_size, GRID, ratio_of(name))


@each_mask
@pytest.mark.parametrize("generator", [0, [0, 1], np.random.default_rng(0), [None, None], "cpu"])
def test_generator_that_is_none_is_refused(name: str, generator: object):
    with pytest.raises(ValueError, match=r"`generator` must be a `torch.Generator`.*manual_seed"):
        ALL_MASKS[name](2, GRID, ratio_of(name), generator)


@each_mask
def test_numbers_may_be_of_numpy(name: str):
    numbers = (np.int64(2), np.array(GRID), np.float32(ratio_of(name)))
    assert torch.equal(ALL_MASKS[name](*numbers, seeded(0)), ALL_MASKS[name](2, GRID, ratio_of(name), seeded(0)))


@pytest.mark.parametrize("grid", [GRID, (3, 4, 6)])
@pytest.mark.parametrize(
    ("name", "ratio"),
    [*((name, ratio) for name in ALL_MASKS for ratio in (0.25, 0.5, 0.75)), *((name, 0.9) for name in RANDOM_MASKS)],
)
def test_the_number_of_dropped_tokens_is_known_without_a_mask(name: str, ratio: float, grid: tuple[int, int, int]):
    assert (ALL_MASKS[name](2, grid, ratio).sum(1) == num_dropped_tokens(name, grid, ratio)).all()


# ---- a generator for each clip


@each_mask
def test_a_clip_with_a_generator_of_its_own_has_the_mask_that_it_has_alone(name: str):
    draw, ratio = ALL_MASKS[name], ratio_of(name)
    together = draw(5, GRID, ratio, [seeded(i) for i in range(5)])
    for i in range(5):
        assert torch.equal(together[i : i + 1], draw(1, GRID, ratio, seeded(i)))
    assert len(row_strings(together)) > 1


@each_mask
def test_generators_are_one_for_each_clip(name: str):
    with pytest.raises(ValueError, match="list of 2 for 3 clips: pass one generator for each clip"):
        ALL_MASKS[name](3, GRID, ratio_of(name), [seeded(0), seeded(1)])
