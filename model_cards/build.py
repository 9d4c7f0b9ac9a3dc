# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Make the model cards, and README's table of them, from `facts.yaml`: `python -m model_cards.build`.

With `--check` it only compares.
"""

import textwrap
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import yaml

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.publishing.card import PAPER_URL, CardFacts, Result, card_text

from .overview import with_overview


HERE = Path(__file__).parent
README = HERE.parent / "README.md"
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}
MODEL_CLASSES = {
    model_class.__name__: model_class for model_class in (VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification)
}
LICENCE_NOTE = (
    "The weights are the authors', brought into another form and not changed; what is trained from them may not be "
    "used commercially either."
)
Table = dict[str, Any]


def wrap(text: str) -> str:
    """Prose in lines of at most 120 characters; paragraphs with code stay as they are."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(p if "```" in p else "\n".join(textwrap.wrap(p, 120, **WHOLE_WORDS)) for p in paragraphs)


def read_facts(path: Path = HERE / "facts.yaml") -> Table:
    """The table of facts."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def build_cards(facts: Table) -> dict[str, str]:
    """All cards.

    Args:
        facts: What `read_facts` gives.

    Returns:
        Text of each card by the name of its file.
    """
    cards = {}
    for card in facts["cards"]:
        described = card_facts(facts, card)
        cards[f"{described.name}.md"] = card_text(described)
    return cards


def card_facts(facts: Table, card: Table) -> CardFacts:
    """What one card says: the entries of its size, its stage and its data sets, put together."""
    stage, size = facts["stages"][card["stage"]], facts["sizes"][card["size"]]
    sets = _data_sets(facts, card)
    values = _values(facts, card)
    config = VideoMAEv2Config.from_preset(card["size"], num_labels=sets[-1].get("classes", 2))
    return CardFacts(
        name=stage["folder"].format(**values),
        title=stage["title"].format(**values),
        architecture=stage["architecture"],
        config=config,
        parameters=count_parameters(stage["architecture"], config),
        summary=wrap(f"{stage['summary'].format(**values)} Paper: [VideoMAE V2]({PAPER_URL})."),
        licence_note=LICENCE_NOTE,
        datasets=list(dict.fromkeys(name for data in sets for name in data["ids"])),
        base_model=size.get("hub") if card["stage"] != "pretraining" else None,
        base_model_relation="finetune" if card["stage"] != "pretraining" and "hub" in size else None,
        before_use=wrap(_how_to_convert(stage["folder"].format(**values), sets[-1])),
        results=[result for row in card.get("results", ()) for result in _results(facts, row)],
        results_note=wrap(_results_note(card)),
        data=wrap("\n\n".join(data["data"] for data in reversed(sets))),
        training=wrap(f"{stage['training'].format(**values)}\n\n{_recipe(card)}"),
        limits=list(dict.fromkeys(limit for data in reversed(sets) for limit in data["limits"])),
    )


def count_parameters(architecture: str, config: VideoMAEv2Config) -> int:
    """Parameters of a model, counted without making them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in MODEL_CLASSES[architecture](config).parameters())


def _data_sets(facts: Table, card: Table) -> list[Table]:
    """The data sets that a model has seen, first to last."""
    names = ["hybrid"]
    if card.get("from") == "k710" or (card["stage"] == "distillation" and card["data"] != "k710"):
        names.append("k710")
    return [facts["datasets"][name] for name in dict.fromkeys([*names, card["data"]])]


def _values(facts: Table, card: Table) -> Table:
    """What may stand in braces in the texts of a stage."""
    size, data = facts["sizes"][card["size"]], facts["datasets"][card["data"]]
    before = "Pre-training on UnlabeledHybrid" + (
        " and post-pre-training on Kinetics-710" * (card.get("from") == "k710")
    )
    return {
        "size": size["name"],
        "preset": card["size"],
        "data": card["data"],
        "dataset": data["name"],
        "classes": data.get("classes"),
        "before": before,
        **data.get("finetuning", {}),
        **{f"post_{key}": value for key, value in size.get("post", {}).items()},
        **{f"distill_{key}": value for key, value in data.get("distillation", {}).items()},
    }


def _results(facts: Table, row: Table) -> list[Result]:
    data = facts["datasets"][row["data"]]
    measured = [("top-1", "top1", row["views"]), ("top-5", "top5", row["views"]), ("top-1", "single", "1 x 1")]
    return [
        Result(
            dataset=data["ids"][0],
            dataset_name=data["name"],
            metric=metric,
            value=row[key],
            views=views,
            source=f"the authors' paper, Table {row['table']}",
            split=data.get("split"),
            input=row.get("input", "16 x 224"),
            in_index=row.get("own", True),
        )
        for metric, key, views in measured
        if key in row
    ]


def _results_note(card: Table) -> str:
    notes = [card["note"]] if "note" in card else []
    if card.get("results"):
        notes.append(
            "All figures were measured by the authors with their code, on their machines. Input: frames x side in "
            "pixels. Views: clips x crops, which the settings `num_clips` and `num_crops` of the video processor give."
        )
    return "\n\n".join(notes)


def _how_to_convert(folder: str, data: Table) -> str:
    options = f" --labels {data['labels']}" if "labels" in data else ""
    options += f" --sampling {data['sampling']}" if "sampling" in data else ""
    return (
        "The authors publish the weights as a `.pth` file. The command of the package `modeling_videomae_v2` brings it "
        f"into the form of Transformers:\n\n```bash\nvideomae-v2 convert AUTHORS_FILE.pth {folder}{options}\n```\n\n"
        "The folder then loads by its path, and from the Hub after `videomae-v2 publish`:"
    )


def _recipe(card: Table) -> str:
    options = f" with `{card['recipe_options']}`" if "recipe_options" in card else ""
    return (
        f"The same as a recipe of the project: `training/recipes/{card['recipe']}`{options}. It was not used for these "
        "weights, which the authors trained with their own code."
    )


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a file differs.")] = False,
) -> None:
    """Write the model cards beside the table of facts, and the table of README.md."""
    facts = read_facts()
    texts = {HERE / name: text for name, text in build_cards(facts).items()}
    num_cards = len(texts)
    texts[README] = with_overview(README.read_text("utf-8"), facts)
    left_over = set(HERE.glob("videomae-v2-*.md")) - set(texts)
    differing = [file for file, text in texts.items() if not file.exists() or file.read_text("utf-8") != text]
    changed = sorted(file.name for file in (*differing, *left_over))
    if check and changed:
        typer.echo(f"These files are not what facts.yaml says: {', '.join(changed)}", err=True)
        raise typer.Exit(1)
    for file in left_over:
        file.unlink()
    for file in differing:
        file.write_text(texts[file], encoding="utf-8")
    typer.echo(f"{num_cards} cards and the table of README.md: {len(changed)} changed.")


if __name__ == "__main__":
    typer.run(main)
