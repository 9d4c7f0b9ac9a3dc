# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints whose configuration says `return_dict: false`, so that their models return tuples."""

import json
from pathlib import Path

import pytest
import torch
from fake_clips import TINY, build_loader
from fake_clips import tiny_recipe as recipe_of
from fake_distillation import distillation_recipe, make_teacher
from processes import forget_processes
from published_models import change_json
from tiny import clips, tiny_model
from typer.testing import CliRunner

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2Model
from modeling_videomae_v2.cli import app
from modeling_videomae_v2.inference.exporting import Graph
from modeling_videomae_v2.inference.feature_values import features_of
from training.loop import train
from training.tasks import ClassificationTask, DistillationTask, FineTuningRecipe, PreTrainingRecipe, PreTrainingTask


pytestmark = pytest.mark.usefixtures("fresh_processes")


def returning_tuples(folder: Path) -> Path:
    """A folder that `save_pretrained` wrote, changed."""
    change_json(folder / "config.json", return_dict=False)
    model = VideoMAEv2ForVideoClassification.from_pretrained(folder)
    side = model.config.image_size
    assert isinstance(model(torch.zeros(1, model.config.num_frames, 3, side, side)), tuple)
    return folder


@pytest.mark.parametrize("tokens", ["clip", "tubelet", "all"])
def test_features(tokens: str) -> None:
    plain, tuples = tiny_model(VideoMAEv2Model), tiny_model(VideoMAEv2Model, return_dict=False)
    torch.testing.assert_close(features_of(tuples, clips(), tokens), features_of(plain, clips(), tokens))


def test_what_is_exported() -> None:
    for model_class, output in ((VideoMAEv2ForVideoClassification, "logits"), (VideoMAEv2Model, "features")):
        plain, tuples = (Graph(tiny_model(model_class, return_dict=wanted), output) for wanted in (True, False))
        torch.testing.assert_close(tuples(clips()), plain(clips()))


def test_predict_and_evaluate(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tiny_evaluation import arguments, metrics, save_model, write_videos

    from training.evaluation.cli import main

    videos, model = write_videos(tmp_path / "videos", 3), save_model(tmp_path / "model")
    answers = []
    for name in ("plain", "tuples"):
        assert main(arguments(model, videos, tmp_path / name)) == 0
        result = CliRunner().invoke(app, ["predict", str(model), str(videos / "rising"), "--json"])
        assert result.exit_code == 0, result.output
        answers.append((metrics(tmp_path / name)["multi_view"], json.loads(result.stdout)["predictions"]))
        returning_tuples(model)
    assert answers[0] == answers[1]


def test_training(tmp_path: Path) -> None:
    """Each stage from a checkpoint that returns tuples, or into a model that does; the last with such a teacher."""
    tuples = {"model__config": {**TINY["model"]["config"], "return_dict": False}, "schedule__max_steps": 2}
    recipe = recipe_of(
        PreTrainingRecipe, tmp_path / "pretrained", **tuples, tracking__picture_every=2, tracking__peak_tflops=1.0
    )
    train(recipe, PreTrainingTask(recipe), build_loader)
    assert list((tmp_path / "pretrained/pictures").iterdir())

    forget_processes()
    start = {"model__init_from": str(tmp_path / "pretrained/model"), "schedule__max_steps": 2, "num_labels": 3}
    values = {**start, "data_eval": [{"path": "fake"}]}
    recipe = recipe_of(FineTuningRecipe, tmp_path / "tuned", **values)
    train(recipe, ClassificationTask(recipe), build_loader)
    assert "eval_top1" in (tmp_path / "tuned/evaluation.jsonl").read_text()
    assert not VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "tuned/model").config.return_dict

    forget_processes()
    teacher = returning_tuples(make_teacher(tmp_path / "teacher"))
    recipe = distillation_recipe(tmp_path / "distilled", teacher, **tuples)
    train(recipe, DistillationTask(recipe), build_loader)
