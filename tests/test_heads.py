# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a classifier starts: heads that are kept, mapped by class name, or new."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from fake_clips import tiny_recipe
from tiny import clips, tiny_model

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
)
from modeling_videomae_v2.labels_videomae_v2 import are_names, read_labels
from training.heads import describe_match, load_classifier, match_classes
from training.recipe import Recipe, RecipeError
from training.tasks import (
    ClassificationTask,
    FineTuningRecipe,
    PreTrainingRecipe,
    PreTrainingTask,
    Task,
)


KINETICS = Path(__file__).parents[2] / "shared" / "reference" / "kinetics"
OLD = ["riding a bike", "yoga", "beatboxing", "air drumming", "zumba"]


def checkpoint(folder: Path, names: list[str] | None) -> VideoMAEv2ForVideoClassification:
    """A fine-tuned model with random weights, saved."""
    named = (
        {} if names is None else {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    )
    model = tiny_model(VideoMAEv2ForVideoClassification, **named)
    model.save_pretrained(folder)
    return model


def task_for(folder: Path, start: Path, **overrides: object) -> ClassificationTask:
    recipe = tiny_recipe(
        FineTuningRecipe, folder, model={"init_from": str(start)}, data__image_size=16, data__num_frames=4, **overrides
    )
    recipe.validate()
    return ClassificationTask(recipe)


def test_a_head_becomes_one_of_other_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    old = checkpoint(tmp_path / "old", OLD)
    task = task_for(tmp_path, tmp_path / "old", labels=["Zumba", "riding_a_bike", "beat-boxing?", "yoga"])
    model = task.build_model().eval()
    assert "3 of 4 wanted ones are kept by name. 1 start anew: 'beat-boxing?'" in caplog.text
    assert model.config.id2label == {0: "Zumba", 1: "riding_a_bike", 2: "beat-boxing?", 3: "yoga"}
    assert model.config.label2id == {"Zumba": 0, "riding_a_bike": 1, "beat-boxing?": 2, "yoga": 3}
    assert model.num_labels == 4
    expected, logits = old(clips()).logits, model(clips()).logits
    torch.testing.assert_close(logits[:, [0, 1, 3]], expected[:, [4, 0, 1]])
    assert model.classifier.weight[2].abs().max() < 1e-3  # the scale of a new head
    assert model.classifier.bias[2] == 0
    assert model(clips(), labels=torch.tensor([3, 0])).loss.isfinite()
    model = task_for(tmp_path, tmp_path / "old", labels=["Zumba", "yoga"]).build_model().eval()
    assert "for 5 classes becomes one for 2 of them, by name." in caplog.text
    torch.testing.assert_close(model(clips()).logits, old(clips()).logits[:, [4, 1]])


def test_the_same_classes_keep_their_head(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    old = checkpoint(tmp_path / "old", OLD)
    for options in ({"labels": OLD}, {"num_labels": 5}):
        model = task_for(tmp_path, tmp_path / "old", **options).build_model().eval()
        assert torch.equal(model.classifier.weight, old.classifier.weight)
        assert model.config.id2label == dict(enumerate(OLD))
    assert caplog.text.count("is kept, with its 5 classes") == 2
    assert "blocks" not in caplog.text  # all of them are taken, which goes without saying


def test_weights_saved_in_half_precision_are_trained_in_fp32(tmp_path: Path) -> None:
    checkpoint(tmp_path / "old", OLD).to(torch.bfloat16).save_pretrained(tmp_path / "old")
    for labels in (OLD, OLD[:2]):
        model = task_for(tmp_path, tmp_path / "old", labels=labels).build_model()
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_placeholders_are_no_names() -> None:
    assert not are_names(["LABEL_0", "LABEL_1"])
    assert are_names(["walking", "LABEL_1"])
    assert are_names(["LABEL_0 of a box", "LABEL_1"])
    assert are_names(["LABEL_1", "LABEL_0"])  # somebody put them into this order


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (OLD, {"labels": ["a", "b"]}, "none of the 2 classes is among its 5"),
        (None, {"labels": OLD}, "it names no classes"),
        (OLD, {"num_labels": 3}, "the recipe names no classes"),
        (None, {"num_labels": 2}, "it names no classes"),  # numbers that are there say nothing
    ],
)
def test_new_heads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: list[str] | None, new: dict, said: str
) -> None:
    caplog.set_level(logging.INFO)
    checkpoint(tmp_path / "old", old)
    model = task_for(tmp_path, tmp_path / "old", **new).build_model()
    assert "is not used" in caplog.text
    assert said in caplog.text
    assert 0 < model.classifier.weight.abs().max() < 1e-3
    assert not model.classifier.bias.any()


def test_from_pre_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    old = tiny_model(VideoMAEv2ForPreTraining)
    old.save_pretrained(tmp_path / "old")
    model = task_for(tmp_path, tmp_path / "old", labels=OLD[:2]).build_model()
    assert "has no classification head: it starts anew, for 2 classes" in caplog.text
    name = "videomae_v2.layers.1.mlp.fc1.weight"
    assert torch.equal(model.state_dict()[name], old.state_dict()[name])
    assert model.classifier.weight.shape == (2, 32)
    model.save_pretrained(tmp_path / "new")
    assert VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "new").config.num_labels == 2


def test_new_weights_have_the_spread_of_the_reference() -> None:
    """Truncated normal of 0.02; a head 1000 times smaller."""
    recipe = tiny_recipe(
        FineTuningRecipe, Path("unused"), num_labels=400, model={"preset": "small"}, data__image_size=224
    )
    recipe.data.num_frames = 16
    torch.manual_seed(0)
    model = ClassificationTask(recipe).build_model()
    assert model.classifier.weight.std().item() == pytest.approx(0.02 * 0.001, rel=0.02)
    assert model.videomae_v2.layers[3].mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_other_names_of_the_same_classes(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "old", OLD)
    (tmp_path / "renames.json").write_text(json.dumps({"cycling": "riding a bike"}))
    task = task_for(
        tmp_path, tmp_path / "old", labels=["cycling", "yoga"], label_renames=str(tmp_path / "renames.json")
    )
    assert torch.equal(task.build_model().classifier.weight, old.classifier.weight[:2])
    (tmp_path / "renames.json").write_text("[1]")
    with pytest.raises(RecipeError, match=r"^label_renames: .*renames\.json must hold an object of names by name"):
        task.build_model()


def test_other_names_count_where_some_classes_are_new() -> None:
    assert match_classes(OLD, ["cycling", "knitting"], {"cycling": "riding a bike"}) == [0, None]


@pytest.mark.parametrize(("fresh", "end"), [(1, "'c0'."), (10, "'c9'."), (11, "'c9' and 1 more.")])
def test_no_more_than_ten_new_classes_are_listed(fresh: int, end: str) -> None:
    new = ["yoga", *(f"c{i}" for i in range(fresh))]
    said = describe_match("old", OLD, new, [1] + [None] * fresh)
    start = f"Of the head of old for 5 classes, 1 of {fresh + 1} wanted ones are kept by name. {fresh} start anew: 'c0'"
    assert said.startswith(start)
    assert said.endswith(end)


def test_only_the_first_process_says_what_becomes_of_the_head(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    checkpoint(tmp_path / "old", OLD)
    for rank, said in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", rank)
        load_classifier(
            VideoMAEv2ForVideoClassification,
            str(tmp_path / "old"),
            VideoMAEv2ForVideoClassification.config_class.from_pretrained(tmp_path / "old"),
        )
        assert ("is kept, with its 5 classes" in caplog.text) == said


@pytest.mark.parametrize("version", [400, 600, 700])
def test_kinetics_710_becomes_its_parts(version: int) -> None:
    """Where each class of Kinetics-400, -600 and -700 stands among the 710, against the lists of the authors."""
    if not KINETICS.is_dir():
        pytest.skip("the lists of the authors are not on this machine")
    old, new = (read_labels(KINETICS / f"label_map_k{number}.txt") for number in (710, version))
    renames = json.loads((KINETICS / "k710_identical_label_merge.json").read_text())
    expected = json.loads((KINETICS / f"label_710to{version}.json").read_text())
    assert match_classes(old, new, renames if isinstance(renames, dict) else None) == [int(i) for i in expected]


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model.init_from \(.*nowhere\) cannot be loaded"):
        task_for(tmp_path, tmp_path / "nowhere", labels=OLD)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b'{"hidden_size": "32"}', r"old\) cannot be loaded: `hidden_size` has a value of a wrong type"),
        ("video_preprocessor_config.json", b"{", r"old\) cannot be loaded: .*config.json is not valid JSON"),
        ("model.safetensors", b"cut", r"old\) cannot be loaded: .*model.safetensors is no whole safetensors file"),
        ("pytorch_model.bin", b"junk", r"old\) cannot be loaded: The weights .*pytorch_model.bin cannot be read"),
    ],
)
def test_a_damaged_file_of_a_checkpoint_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    checkpoint(tmp_path / "old", OLD)
    if name.endswith(".bin"):
        (tmp_path / "old/model.safetensors").unlink()
    (tmp_path / "old" / name).write_bytes(content)
    with pytest.raises(RecipeError, match=said):
        task_for(tmp_path, tmp_path / "old", labels=OLD).build_model()


@pytest.mark.parametrize(
    ("task_class", "recipe_class"), [(ClassificationTask, FineTuningRecipe), (PreTrainingTask, PreTrainingRecipe)]
)
@pytest.mark.parametrize("changes", [{"intermediate_size": 64}, {"num_hidden_layers": 3}])
def test_weights_that_do_not_fit_are_said_in_words_of_the_recipe(
    tmp_path: Path, task_class: type[Task], recipe_class: type[Recipe], changes: dict[str, int]
) -> None:
    checkpoint(tmp_path / "old", OLD)
    start = {"init_from": str(tmp_path / "old"), "config": changes}
    more = {"labels": OLD} if task_class.labelled else {}
    recipe = tiny_recipe(recipe_class, tmp_path, model=start, data__image_size=16, data__num_frames=4, **more)
    with pytest.raises(RecipeError, match=r"do not fit (.|\n)*layers\.") as error:
        task_class(recipe).build_model()
    assert str(error.value).endswith(
        "\nCorrect model.config (width, depth, patch size, layer scale), or start from another checkpoint."
    )


def test_the_saved_model_classifies_alike(tmp_path: Path) -> None:
    checkpoint(tmp_path / "old", OLD)
    task = task_for(tmp_path, tmp_path / "old", labels=OLD[1:])
    model = task.build_model().eval()
    task.save_model(model.state_dict(), tmp_path / "new")
    again = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "new")
    torch.testing.assert_close(again(clips()).logits, model(clips()).logits)
    assert again.config.label2id["zumba"] == 3
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "new").num_frames == 4


def test_loading_without_a_task(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "old", OLD)
    config = tiny_model(VideoMAEv2ForVideoClassification, id2label=dict(enumerate(OLD[::-1]))).config
    model = load_classifier(
        VideoMAEv2ForVideoClassification, str(tmp_path / "old"), config, attn_implementation="eager"
    )
    assert model.config._attn_implementation == "eager"
    assert torch.equal(model.classifier.weight, old.classifier.weight.flip(0))
    assert model.config.label2id == {name: number for number, name in enumerate(OLD[::-1])}


def test_a_student_takes_the_first_blocks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    old = checkpoint(tmp_path / "old", OLD).state_dict()
    start = {"init_from": str(tmp_path / "old"), "config": {"num_hidden_layers": 1}}
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, model=start, labels=OLD, data__image_size=16, data__num_frames=4)
    model = ClassificationTask(recipe).build_model()
    assert "The first 1 of the 2 blocks of" in caplog.text
    assert "UNEXPECTED" not in caplog.text
    assert len(model.videomae_v2.layers) == 1
    assert all(torch.equal(tensor, old[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(ValueError, match=r"layers\.1\..*not in the model"):  # elsewhere it stays an error
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "old", num_hidden_layers=1)


def test_a_student_takes_the_first_blocks_of_a_bare_encoder(tmp_path: Path) -> None:
    old = tiny_model(VideoMAEv2Model)
    old.save_pretrained(tmp_path / "old")
    start = {"init_from": str(tmp_path / "old"), "config": {"num_hidden_layers": 1}}
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, model=start, labels=OLD, data__image_size=16, data__num_frames=4)
    model = ClassificationTask(recipe).build_model()
    for name, tensor in model.videomae_v2.state_dict().items():
        assert torch.equal(tensor, old.state_dict()[name])


def test_a_student_that_cannot_be_loaded_changes_nothing_for_others(tmp_path: Path) -> None:
    checkpoint(tmp_path / "old", OLD)
    shutil.copytree(tmp_path / "old", tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"cut")
    start = {"init_from": str(tmp_path / "cut"), "config": {"num_hidden_layers": 1}}
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, model=start, labels=OLD, data__image_size=16, data__num_frames=4)
    with pytest.raises(RecipeError, match="no whole safetensors file"):
        ClassificationTask(recipe).build_model()
    with pytest.raises(ValueError, match=r"layers\.1\..*not in the model"):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "old", num_hidden_layers=1)


def test_blocks_that_the_checkpoint_lacks_are_not_left_to_chance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    checkpoint(tmp_path / "old", OLD)
    start = {"init_from": str(tmp_path / "old"), "config": {"num_hidden_layers": 3}}
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, model=start, labels=OLD, data__image_size=16, data__num_frames=4)
    with pytest.raises(RecipeError, match=r"layers\.2\..*not in the checkpoint"):
        ClassificationTask(recipe).build_model()
    assert "blocks of" not in caplog.text  # as if some were taken
