# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the pages name is there: keys of recipes, files, other pages."""

import re
from pathlib import Path

import pytest
from tiny import tiny_config

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification
from training.evaluation.recipe import EvaluationRecipe
from training.other_names import OTHER_NAMES
from training.recipe_parsing import RecipeError, build, describe
from training.recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe


ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def known_keys() -> set[str]:
    """Keys of all recipes, as they are written with the first of several sources."""
    recipes = (PreTrainingRecipe, FineTuningRecipe, DistillationRecipe, EvaluationRecipe)
    lines = [line.strip() for recipe in recipes for line in describe(recipe)]
    keys = {re.split(r"[ :]", line.removeprefix("--"))[0].replace(".N.", ".0.") for line in lines}
    return keys | {f"model.config.{field}" for field in VideoMAEv2Config().to_dict()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_keys_files_and_pages_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    keys = {re.sub(r"\.(\d+|N)\.", ".0.", key) for key in re.findall(r"(?<!\S)`?--([a-z_]+(?:\.\w+)+)", text)}
    assert keys <= known_keys()
    files = set(re.findall(r"\b((?:training/recipes|examples|benchmarks|tests|docs)/[a-z_][\w/]*\.\w+)", text))
    links = {target.partition("#")[0] for target in re.findall(r"\]\((?!https?:)([^)#][^)]*)\)", text)}
    missing = [name for name in files if not (ROOT / name).exists()]
    assert missing + [link for link in links if not (page.parent / link).exists()] == []


def test_flags_of_the_research_code_became_keys_that_exist() -> None:
    text = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    keys: list[str] = []
    for cell in re.findall(r"^\| `--[^|]*\|([^|]*)\|", text, flags=re.MULTILINE):
        for name in re.findall(r"`([\w.]+)(?:: [^`]*)?`", cell):
            keys.append(keys[-1].rpartition(".")[0] + name if name.startswith(".") else name)
    assert len(keys) > 40
    assert set(keys) - {"training.evaluate"} <= known_keys() | {"num_clips", "num_crops"}


def test_flags_of_the_research_code_are_answered_with_the_key_beside_them() -> None:
    text = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    asked = 0
    for flags, keys in re.findall(r"^\| (`--[^|]*)\|([^|]*)\|", text, flags=re.MULTILINE):
        ours = re.findall(r"`[\w.]*?(\w+)(?:: [^`]*)?`", keys)
        for flag in set(re.findall(r"--(\w+)", flags)) & OTHER_NAMES.keys() if ours else ():
            recipe_class = EvaluationRecipe if flag.startswith("test_") else FineTuningRecipe
            with pytest.raises(RecipeError, match=rf"did you mean `([\w.]*\.)?({'|'.join(ours)})`") as caught:
                build(recipe_class, {flag: 1}, others=OTHER_NAMES)
            asked += flag in str(caught.value)
    assert asked > 25


def test_names_that_replace_those_of_transformers_exist() -> None:
    model = VideoMAEv2ForVideoClassification(tiny_config())
    layer = model.base_model.layers[0]
    assert model.base_model is model.videomae_v2
    assert model.base_model.fc_norm is not None
    names = {name.rpartition(".")[2] for name, _ in layer.named_modules()}
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"} <= names
