# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Classes of the data find those of the model, or a message says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference_data import EXTRA
from tiny import tiny_config


pytest.importorskip("pyarrow")  # the package of evaluation needs it
from modeling_videomae_v2.labels_videomae_v2 import read_renames
from training.class_names import read_other_names
from training.evaluation.classes import match_classes, read_names
from training.evaluation.recipe import EvaluationDataRecipe, EvaluationRecipe
from training.hybrid.classes import read_renames as read_renames_of_kinetics
from training.recipe_parsing import RecipeError


def match(model: list[str] | int, data: list[str] | int, **options: Any):
    """Match a model's classes, by name or by number, with those of the data."""
    names = [f"LABEL_{i}" for i in range(model)] if isinstance(model, int) else model
    config = tiny_config(num_labels=len(names), id2label=dict(enumerate(names)))
    recipe = EvaluationRecipe(data=EvaluationDataRecipe(), **options)
    return match_classes(recipe, config, None if isinstance(data, int) else data, data if isinstance(data, int) else 0)


def test_same_names_in_another_order_and_spelling() -> None:
    found = match(["jump", "run fast", "sit"], ["Run_Fast", "sit", "jump"])
    assert found.columns == (1, 2, 0)
    assert found.names == ("Run_Fast", "sit", "jump")
    assert found.how == "by name: the same 3 classes in another order"
    assert [found.target(i) for i in range(3)] == [0, 1, 2]
    same = match(["jump", "sit"], ["Jump", "sit"])
    assert (same.columns, same.targets) == (None, None)
    assert match(["LABEL_0", "sit"], ["sit", "LABEL_0"]).columns == (1, 0)  # a name beside it says that these are names


def test_fewer_classes_in_the_data() -> None:
    restricted = match(["a", "b", "c", "d"], ["d", "b"])
    assert restricted.columns == (3, 1)
    assert "2 of the model's 4 classes, the others left out" in restricted.how
    free = match(["a", "b", "c", "d"], ["d", "b"], restrict=False)
    assert free.columns is None
    assert [free.target(0), free.target(1)] == [3, 1]
    assert free.names == ("a", "b", "c", "d")


def test_by_number() -> None:
    assert match(4, 3).names == ("class 0", "class 1", "class 2", "class 3")
    assert match(2, ["left", "right"]).names == ("left", "right")
    assert match(["a", "b"], ["x", "y"], match="id").names == ("x", "y")
    assert match(["a", "b"], 2).names == ("a", "b")
    assert match(3, ["x", "y"], match="id").names == ("class 0", "class 1", "class 2")
    assert match(4, 0).target(3) == 3  # of data that do not know their labels
    with pytest.raises(ValueError, match="the label 2 is none of the 2 class ids"):
        match(["a", "b"], 2).target(2)
    with pytest.raises(ValueError, match="the label None"):
        match(["a", "b"], 2).target(None)


@pytest.mark.parametrize(
    ("model", "data", "options", "message"),
    [
        (["a", "b"], ["a", "c"], {}, "1 of 2 class names are not among the 2 of the source: 'c'"),
        (["a", "b"], ["a", "c"], {}, "set `match` to id"),
        (3, 4, {}, "label 3, the model has only 3 classes"),
        (["a", "b"], 3, {}, "label 2, the model has only 2 classes"),
        (3, ["a", "b"], {}, "The data names 2 classes, the model numbers 3 without names"),
        (3, ["a", "b", "c"], {"match": "name"}, "the model has none; set model_classes"),
        (["a", "b"], 2, {"match": "name"}, "the data has none; set data.classes"),
    ],
)
def test_no_match(model: Any, data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        match(model, data, **options)


def test_classes_called_by_numbers_beside_numbers(tmp_path: Path) -> None:
    """Folders `0` to `10` sort so that "10" would be compared with the label 2."""
    text_order, ascending = sorted(map(str, range(11))), [str(i) for i in range(11)]
    problem = r"classes that are called by numbers, of which '10' has the label 2; the {} has numbers alone\. Name the"
    with pytest.raises(RecipeError, match="^The model has " + problem.format("data")):
        match(text_order, 11)
    with pytest.raises(RecipeError, match="^The data has " + problem.format("model")):
        match(11, text_order)
    assert match(text_order, 11, match="id").names == tuple(text_order)
    assert match(text_order, ascending).target(2) == 2
    assert match(ascending, 11).names == match(11, ascending).names == tuple(ascending)
    (tmp_path / "names.txt").write_text("\n".join(f"class {name}" for name in text_order))
    assert match(11, 11, model_classes=str(tmp_path / "names.txt")).names[2] == "class 10"
    (tmp_path / "numbers.json").write_text(json.dumps(text_order))  # whoever lists them knows what they mean
    assert match(11, 11, model_classes=str(tmp_path / "numbers.json")).names == tuple(text_order)


def test_a_label_without_a_name() -> None:
    with pytest.raises(RecipeError, match="The data has the label 2, but only 2 names of classes"):
        match_classes(EvaluationRecipe(data=EvaluationDataRecipe()), tiny_config(num_labels=3), ["a", "b"], 3)


def test_files_of_names(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("jump\nsit\n")
    (tmp_path / "renames.json").write_text(json.dumps({"hop": "jump"}))
    found = match(2, ["sit", "hop"], model_classes=str(tmp_path / "names.txt"), renames=str(tmp_path / "renames.json"))
    assert found.columns == (1, 0)
    assert read_names(str(tmp_path / "names.txt"), "data.classes") == ("jump", "sit")
    with pytest.raises(RecipeError, match="names 2 classes, the model has 3 outputs"):
        match(3, 3, model_classes=str(tmp_path / "names.txt"))
    with pytest.raises(RecipeError, match=r"data.classes: .*missing.txt"):
        read_names(str(tmp_path / "missing.txt"), "data.classes")
    no_names = "must hold an object of names by name"
    for content, message in (("[1]", no_names), ('{"a": 1}', no_names), ("{", "is not valid JSON")):
        (tmp_path / "renames.json").write_text(content)
        with pytest.raises(RecipeError, match=rf"renames: .*renames\.json {message}"):
            match(["a"], ["a"], renames=str(tmp_path / "renames.json"))


NO_RENAMES = r'renames\.json must hold an object of names by name: {"old name": "new name", \.\.\.}'
EVERY_READER = {
    "convert": read_renames,
    "training": lambda path: read_other_names(str(path), "renames"),
    "hybrid": lambda path: read_renames_of_kinetics(str(path)),
}


def renames_of(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("reader", EVERY_READER.values(), ids=EVERY_READER)
def test_renames_are_read_the_same_everywhere(reader: Callable[[Path], dict[str, str]], tmp_path: Path) -> None:
    path = renames_of(tmp_path / "renames.json", '\ufeff{"old": "caf\u00e9", "b": "d"}')
    assert reader(path) == {"old": "caf\u00e9", "b": "d"}
    for content, message in (
        ('{"a": "  "}', NO_RENAMES),
        ('{" ": "a"}', NO_RENAMES),
        ('{"a": 1}', NO_RENAMES),
        ("[1]", NO_RENAMES),
        ("[" * 100_000, r"renames\.json is not valid JSON: "),
        ("{", r"renames\.json is not valid JSON: "),
    ):
        with pytest.raises(ValueError, match=message):
            reader(renames_of(path, content))
    path.write_bytes(b"\xff{}")
    with pytest.raises(ValueError, match=r"renames\.json is no text file in UTF-8"):
        reader(path)
    with pytest.raises((FileNotFoundError, RecipeError), match=r"There is no file .*nowhere\.json\. Check the path"):
        reader(tmp_path / "nowhere.json")


@pytest.mark.parametrize("size", [400, 600, 700])
def test_kinetics_710_on_its_parts(size: int) -> None:
    """As the authors map them."""
    folder = EXTRA / "kinetics"
    if not folder.is_dir():
        pytest.skip("the lists of Kinetics are not on this machine")
    names = read_names(str(folder / f"label_map_k{size}.txt"), "data.classes")
    model = list(read_names(str(folder / "label_map_k710.txt"), "model_classes"))
    found = match(model, list(names), renames=str(folder / "k710_identical_label_merge.json"))
    assert list(found.columns) == json.loads((folder / f"label_710to{size}.json").read_text())
