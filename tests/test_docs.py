# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the pages name is there: keys of recipes, files, other pages."""

import re
from pathlib import Path

import pytest

from modeling_videomae_v2 import VideoMAEv2Config
from training.evaluation.recipe import EvaluationRecipe
from training.recipe_parsing import describe
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
