# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The cards are what the table of facts says, the figures are those of the paper, and the Hub can read them."""

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load, metadata_save
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from typer import Typer
from typer.testing import CliRunner

from model_cards import build
from model_cards.overview import overview, with_overview
from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.publishing.card import card_text, size_name


ROOT = Path(__file__).parent.parent
PAPER = ROOT.parent / "shared" / "paper.txt"
FOLDER = ROOT / "model_cards"
README = ROOT / "README.md"
CARDS = sorted(FOLDER.glob("videomae-v2-*.md"))

# Lines of the paper, copied from it a second time, apart from the table of facts, with x for the
# multiplication sign: (size, data set, table) -> line.
LINES = {
    ("huge", "k400", "3"): "VideoMAE V2 UnlabeledHybrid 1.35M 1200 81.5 (77.0) 85.4 (81.3) 86.9 (83.2) 87.2 (83.9)",
    ("giant", "k400", "3"): "VideoMAE V2 UnlabeledHybrid 1.35M 1200 81.5 (77.0) 85.4 (81.3) 86.9 (83.2) 87.2 (83.9)",
    ("huge", "ssv2", "4"): "VideoMAE V2 UnlabeledHybrid 1.35M 1200 71.2 (69.5) 75.7 (74.00) 76.8 (75.5) 77.0 (75.7)",
    ("giant", "ssv2", "4"): "VideoMAE V2 UnlabeledHybrid 1.35M 1200 71.2 (69.5) 75.7 (74.00) 76.8 (75.5) 77.0 (75.7)",
    ("huge", "k400", "5"): "VideoMAE V2 K710 88.6 (85.0) 88.5 (85.6)",
    ("giant", "k400", "5"): "VideoMAE V2 K710 88.6 (85.0) 88.5 (85.6)",
    ("huge", "k400", "6 (a)"): "VideoMAE V2-H 88.6 97.9 5 x 3 17.88",
    ("giant", "k400", "6 (a)"): "VideoMAE V2-g 88.5 98.1 5 x 3 38.16",
    ("giant 64 x 266", "k400", "6 (a)"): "VideoMAE V2-g (64 x 2662) 90.0 98.4 2 x 3 160.30",
    ("huge 64 x 288", "k400", "14"): "VideoMAE V2-H (64x 2882) 89.8 98.3 4x 3 153.34",
    ("huge", "k600", "6 (b)"): "VideoMAE V2-H 88.3 98.1 5 x 3 17.88",
    ("giant", "k600", "6 (b)"): "VideoMAE V2-g 88.8 98.2 5 x 3 38.16",
    ("giant 64 x 266", "k600", "6 (b)"): "VideoMAE V2-g (64 x 2662) 89.9 98.5 2 x 3 160.30",
    ("huge 32 x 384", "k600", "15"): "VideoMAE V2-H (32x 3842) 89.6 98.4 4x 3 184.24",
    ("huge", "ssv2", "6 (c)"): "VideoMAE V2-H 76.8 95.8",
    ("giant", "ssv2", "6 (c)"): "VideoMAE V2-g 77.0 95.9",
    ("giant", "ucf101", "13"): "VideoMAE V2 V 99.6 88.1",
    ("giant", "hmdb51", "13"): "VideoMAE V2 V 99.6 88.1",
    ("base", "k400", "17"): "Distilled ViT-B 87.1 87.4 75.0",
    ("base", "k600", "17"): "Distilled ViT-B 87.1 87.4 75.0",
    ("base", "ssv2", "17"): "Distilled ViT-B 87.1 87.4 75.0",
}
COLUMNS = {  # place of top-1 among the decimal figures of a line that holds several models or data sets
    ("huge", "3"): 4, ("giant", "3"): 6, ("huge", "4"): 4, ("giant", "4"): 6, ("huge", "5"): 0, ("giant", "5"): 2,
    ("ucf101", "13"): 0, ("hmdb51", "13"): 1, ("k400", "17"): 0, ("k600", "17"): 1, ("ssv2", "17"): 2,
}  # fmt: skip
TABLES_WITH_ONE_VIEW = ("3", "4", "5")


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return build.read_facts()


def results(facts: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(card["size"], row) for card in facts["cards"] for row in card.get("results", ())]


def test_the_cards_are_those_of_the_facts(facts: dict[str, Any]) -> None:
    built = build.build_cards(facts)
    assert len(built) == len(facts["cards"])
    assert {path.name: path.read_text("utf-8") for path in CARDS} == built, "run `python -m model_cards.build`"


def test_every_figure_is_the_papers(facts: dict[str, Any]) -> None:
    """Against the lines above, by their place in the line; each line is used, and each figure has one."""
    used = set()
    for size, row in results(facts):
        name = f"{size} {row['input']}" if "input" in row else size
        key = (name, row["data"], row["table"])
        used.add(key)
        figures = [float(figure) for figure in re.findall(r"\d+\.\d+(?![\dM])", LINES[key])]
        place = COLUMNS.get((size, row["table"]), COLUMNS.get((row["data"], row["table"]), 0))
        single = figures[place + 1] if row["table"] in TABLES_WITH_ONE_VIEW else None
        if row["views"] == "1 x 1":
            assert row["top1"] == single, key
        else:
            assert row["top1"] == figures[place], key
            assert row.get("single") in (None, single), key
        if "top5" in row:
            assert row["top5"] == figures[place + 1], key
        views = re.search(r"(\d) ?x (\d) \d+\.\d+$", LINES[key])
        if views:
            assert row["views"] == f"{views[1]} x {views[2]}", key
    assert used == set(LINES)


@pytest.mark.skipif(not PAPER.is_file(), reason="the text of the paper is not here")
@pytest.mark.parametrize("line", sorted(set(LINES.values())))
def test_the_lines_stand_in_the_paper(line: str) -> None:
    assert line in PAPER.read_text("utf-8").replace("\u00d7", "x").splitlines()


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_the_hub_can_read_the_metadata(path: Path, tmp_path: Path) -> None:
    card = ModelCard.load(path)
    data = card.data
    assert (data.license, data.library_name) == ("cc-by-nc-4.0", "transformers")
    assert data.pipeline_tag in ("video-classification", "feature-extraction")
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in (*data.tags, *data.datasets))
    assert data.base_model is None or re.fullmatch(r"[\w.-]+/[\w.-]+", data.base_model)

    raw = metadata_load(path)
    assert raw == {**data.to_dict(), **{key: raw[key] for key in raw if key not in data.to_dict()}}
    metadata_save(tmp_path / "README.md", raw)
    assert metadata_load(tmp_path / "README.md") == raw
    if "model-index" in raw:
        name, found = model_index_to_eval_results(raw["model-index"])
        assert eval_results_to_model_index(name, found) == raw["model-index"]
        for result in found:
            assert result.task_type == "video-classification"
            assert 50 < result.metric_value < 100
            assert re.fullmatch(r"the authors' paper, Table \d+( \([abc]\))?", result.source_name)
            assert result.source_url == "https://arxiv.org/abs/2303.16727"
            assert result.verified is None


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_what_a_card_says(path: Path) -> None:
    text = ModelCard.load(path).text
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "Use", "Results", "Training data", "Training", "Intended use", "Limits and biases", "Licence", "Citation"
    ]  # fmt: skip
    assert not re.search(r"\{\w+\}|\$\w|None|Not stated", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(code)
    assert f"videomae-v2 convert AUTHORS_FILE.pth {path.stem}" in text


@pytest.mark.parametrize(
    ("change", "words"), [({"licence": "x"}, "licence 'x'"), ({"architecture": "y"}, "architecture 'y'")]
)
def test_what_cards_do_not_know_is_refused(facts: dict[str, Any], change: dict[str, str], words: str) -> None:
    described = build.card_facts(facts, facts["cards"][0])
    with pytest.raises(ValueError, match=f"{words} is not known to model cards; known are"):
        card_text(replace(described, **change))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "ViT-B"),
        ({"num_frames": 32}, "ViT-B"),  # as many weights
        ({"num_hidden_layers": 8}, "ViT of width 768 and depth 8"),
        ({"intermediate_size": 1536}, "ViT of width 768 and depth 12"),
        ({"patch_size": 14}, "ViT of width 768 and depth 12"),
    ],
)
def test_only_published_sizes_have_their_names(change: dict[str, int], name: str) -> None:
    assert size_name(VideoMAEv2Config.from_preset("base", **change)) == name


def test_a_decoder_that_sees_all_is_said(facts: dict[str, Any]) -> None:
    card = next(card for card in facts["cards"] if card["stage"] == "pretraining")
    described = build.card_facts(facts, card)
    config = VideoMAEv2Config.from_preset(card["size"], decoder_mask_type=None)
    assert "| Masks | tube 0.9 (encoder), none (decoder) |" in card_text(replace(described, config=config))


def test_every_recipe_is_there(facts: dict[str, Any]) -> None:
    missing = [card["recipe"] for card in facts["cards"] if not (ROOT / "training/recipes" / card["recipe"]).is_file()]
    assert not missing


@pytest.mark.parametrize(
    ("name", "old", "new"), [(CARDS[0].name, "# VideoMAE", "# MAE"), ("README.md", "[88.5](model", "[98.5](model")]
)
def test_check_finds_what_was_changed(
    name: str, old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in [*CARDS, README]:
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setattr(build, "README", tmp_path / "README.md")
    app = Typer()
    app.command()(build.main)
    assert CliRunner().invoke(app, ["--check"]).exit_code == 0
    changed, text = tmp_path / name, (tmp_path / name).read_text("utf-8")
    assert old in text
    changed.write_text(text.replace(old, new), "utf-8")
    left_over = tmp_path / "videomae-v2-tiny.md"
    left_over.touch()
    result = CliRunner().invoke(app, ["--check"])
    assert result.exit_code == 1
    assert f": {name}, {left_over.name}\n" in result.output
    assert CliRunner().invoke(app, []).exit_code == 0
    assert changed.read_text("utf-8") == text
    assert not left_over.exists()


def test_the_table_leads_to_every_card(facts: dict[str, Any]) -> None:
    table = overview(facts)
    assert {f"{name}.md" for name in re.findall(r"model_cards/([\w-]+)\.md", table)} == {path.name for path in CARDS}
    page = README.read_text("utf-8")
    assert with_overview(page, facts) == page, "run `python -m model_cards.build`"
    for figure, name in re.findall(r"\[([\d.]+)\]\(model_cards/([\w-]+)\.md\)", table):
        assert figure in (FOLDER / f"{name}.md").read_text("utf-8")


def test_a_page_without_marks_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"README.md needs the lines .*model_cards.build"):
        with_overview("# A page", facts)
