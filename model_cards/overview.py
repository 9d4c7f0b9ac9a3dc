# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of released models in README.md, made from `facts.yaml` as the cards are."""

from typing import Any


BEGIN, END = "<!-- made by `python -m model_cards.build` -->\n", "<!-- end -->\n"
COLUMNS = ("hybrid", "k710", "k400", "k600", "ssv2", "ucf101", "hmdb51")  # data sets, as `facts.yaml` names them


def overview(facts: dict[str, Any]) -> str:
    """A Markdown table: a line for each size, a column for each data set, top-1 accuracies that lead to the cards.

    Args:
        facts: What `read_facts` of `model_cards.build` gives.

    Returns:
        The table, its lines ended.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for card in facts["cards"]:
        stage, size, distilled = facts["stages"][card["stage"]], card["size"], card["stage"] == "distillation"
        link = f"(model_cards/{stage['folder'].format(preset=size, data=card['data'])}.md)"
        row = rows.setdefault((size, facts["sizes"][size]["name"] + ", distilled" * distilled), {})
        usual = (result for result in card.get("results", ()) if "input" not in result and result["views"] != "1 x 1")
        figures = {result["data"]: result["top1"] for result in usual}
        row[card["data"]] = f"[{figures.pop(card['data'], 'card')}]{link}"
        if distilled:  # the paper has figures for data sets that this model was brought to later
            row |= {data: f"[{figure}]{link}" for data, figure in figures.items()}
    largest_first = sorted(rows, key=lambda row: list(facts["sizes"]).index(row[0]), reverse=True)
    names = ["pre-trained", *(facts["datasets"][data]["name"] for data in COLUMNS[1:])]
    lines = [["top-1, %", *names], ["---"] * (len(COLUMNS) + 1)]
    lines += [[key[1], *(rows[key].get(data, "") for data in COLUMNS)] for key in largest_first]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def with_overview(page: str, facts: dict[str, Any]) -> str:
    """A page with the table between its two marks made anew.

    Args:
        page: Text of the page.
        facts: What `read_facts` of `model_cards.build` gives.

    Raises:
        ValueError: The page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md needs the lines {BEGIN.strip()} and {END.strip()}, with the table between them.")
    return before + begin + overview(facts) + end + after
