# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Positions of clips of another size than the weights were trained on: interpolated, and so again after saving."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_clips import build_loader, tiny_recipe
from test_modeling_backends import main_outputs
from tiny import LABELS, MODEL_CLASSES, clips, tiny_config, tiny_model
from transformers import PreTrainedModel

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    random_mask,
)
from modeling_videomae_v2.conversion.converting import convert_checkpoint
from training.loop import train
from training.tasks import ClassificationTask, FineTuningRecipe


LARGER = {"num_frames": 8, "image_size": 24}  # 4 x 6 x 6 tokens, trained are 2 x 4 x 4
each_model = pytest.mark.parametrize("model_class", MODEL_CLASSES)
pytestmark = pytest.mark.usefixtures("fresh_processes")


def outputs(model: PreTrainedModel, frames: int = 8, size: int = 24) -> torch.Tensor:
    pixel_values = clips(frames=frames, size=size)
    inputs: dict[str, Any] = {}
    if isinstance(model, VideoMAEv2ForPreTraining):
        grid, generator = (frames // 2, size // 4, size // 4), torch.Generator().manual_seed(0)
        inputs["bool_masked_pos"] = random_mask(2, grid, 0.75, generator)
        inputs["decoder_bool_masked_pos"] = random_mask(2, grid, 0.5, generator)
    return main_outputs(model, pixel_values=pixel_values, **inputs)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A classifier of 2 x 4 x 4 tokens."""
    tiny_model(VideoMAEv2ForVideoClassification).save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


@each_model
@pytest.mark.parametrize("way", ["keywords", "config"])
def test_a_model_for_larger_clips_keeps_the_positions(
    model_class: type[PreTrainedModel], way: str, tmp_path: Path
) -> None:
    trained = tiny_model(model_class)
    trained.save_pretrained(tmp_path / "trained")
    config = tiny_config(**LARGER)
    given = copy.deepcopy(config)
    options = LARGER if way == "keywords" else {"config": given}
    larger = model_class.from_pretrained(tmp_path / "trained", **options).eval()
    assert given.to_dict() == config.to_dict()  # the caller's
    assert larger.config.grid_size == (4, 6, 6)
    larger.save_pretrained(tmp_path / "larger")
    again = model_class.from_pretrained(tmp_path / "larger").eval()
    back = model_class.from_pretrained(tmp_path / "larger", num_frames=4, image_size=16).eval()
    for model in (larger, again, back):
        assert list(model.config.position_grid) == [2, 4, 4]
        torch.testing.assert_close(outputs(model), outputs(trained))
    torch.testing.assert_close(outputs(back, 4, 16), outputs(trained, 4, 16), rtol=0, atol=0)
    # a third size: from the table that was trained, not from the one for the larger clips
    torch.testing.assert_close(outputs(larger, 4, 32), outputs(trained, 4, 32))


def test_a_new_table_has_to_be_asked_for(trained: Path) -> None:
    known = VideoMAEv2ForVideoClassification.from_pretrained(trained, **LARGER).eval()
    for options in ({**LARGER, "position_grid": [4, 6, 6]}, {"config": tiny_config(**LARGER, position_grid=[4, 6, 6])}):
        new = VideoMAEv2ForVideoClassification.from_pretrained(trained, **options).eval()
        fresh = VideoMAEv2ForVideoClassification(tiny_config(**LARGER)).eval()
        fresh.load_state_dict(new.state_dict())
        torch.testing.assert_close(outputs(new), outputs(fresh), rtol=0, atol=0)
        assert (outputs(new) - outputs(known)).abs().max() > 1e-3


def test_the_positions_are_those_of_the_revision(trained: Path, tmp_path: Path) -> None:
    """A repository whose weights were trained on larger clips later, as the Hub's cache holds it."""
    cache = tmp_path / "cache" / "models--me--films"
    tiny_model(VideoMAEv2ForVideoClassification, **LARGER).save_pretrained(cache / "snapshots" / ("b" * 40))
    trained.rename(cache / "snapshots" / ("a" * 40))
    for name, commit in (("main", "b" * 40), ("v1", "a" * 40)):
        (cache / "refs").mkdir(exist_ok=True)
        (cache / "refs" / name).write_text(commit)
    for revision, grid in ((None, [4, 6, 6]), ("v1", [2, 4, 4])):
        where = {"cache_dir": cache.parent, "local_files_only": True} | ({"revision": revision} if revision else {})
        model = VideoMAEv2Model.from_pretrained("me/films", image_size=32, **where)
        assert model.config.position_grid == grid


def test_nothing_is_set_where_the_size_is_the_same(trained: Path) -> None:
    for options in ({}, {"image_size": 16}, {"config": tiny_config()}, {"attn_implementation": "eager"}):
        assert VideoMAEv2Model.from_pretrained(trained, **options).config.position_grid is None


@pytest.mark.parametrize("wrong", [[2, 4], [0, 4, 4], [2, 4, 4, 1], "2 4 4", [2.0, 4, 4]])
def test_wrong_grids_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="position_grid"):
        tiny_config(position_grid=wrong)


@pytest.mark.parametrize("target", ["transformers", "official"])
def test_layouts_without_such_a_field_are_refused(target: str, trained: Path, tmp_path: Path) -> None:
    VideoMAEv2ForVideoClassification.from_pretrained(trained, **LARGER).save_pretrained(tmp_path / "larger")
    destination = tmp_path / ("out.pth" if target == "official" else "out")
    with pytest.raises(ValueError, match=r"interpolates its positions from another grid \(`position_grid` \[2, 4, 4\]"):
        convert_checkpoint(tmp_path / "larger", destination, to=target)
    convert_checkpoint(trained, destination, to=target)
    convert_checkpoint(tmp_path / "larger", tmp_path / "ours")
    ours = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours").eval()
    torch.testing.assert_close(outputs(ours), outputs(VideoMAEv2ForVideoClassification.from_pretrained(trained).eval()))


@pytest.mark.parametrize("classes", [LABELS, 3])
def test_training_on_larger_clips_starts_from_the_positions(classes: int, trained: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(
        FineTuningRecipe, tmp_path / "run", num_labels=classes, model={"init_from": str(trained)},
        data__num_frames=8, data__image_size=24, schedule__max_steps=2, optimizer__base_lr=0.0,
    )  # fmt: skip
    train(recipe, ClassificationTask(recipe), build_loader)
    saved = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "run" / "model").eval()
    assert (saved.config.num_frames, saved.config.image_size, list(saved.config.position_grid)) == (8, 24, [2, 4, 4])
    expected = outputs(VideoMAEv2ForVideoClassification.from_pretrained(trained).videomae_v2.eval())
    torch.testing.assert_close(outputs(saved.videomae_v2), expected)
