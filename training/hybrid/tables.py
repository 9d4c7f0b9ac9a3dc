# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reports as tables on the screen."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from .parts import PARTS
from .versions import SPLITS


SHOWN = 5  # names in a remark
STEPS = {
    "read": "lines read",
    "repeated": "- again in the same version",
    "in_other_version": "- in a preferred version",
    "in_validation": "- in a validation list",
    "kept": "= kept",
    "renamed": "lines of renamed classes",
    "other_times": "dropped, other seconds",
    "conflicts": "dropped, another class",
}


def kinetics_tables(report: dict[str, Any]) -> list[Table]:
    """What happened to the lines of each version, step by step; a table for each split, since 80 columns hold one."""
    return [_kinetics_table(split, report) for split in SPLITS if report[split]["by_version"]]


def _kinetics_table(split: str, report: dict[str, Any]) -> Table:
    counts = {**report[split]["by_version"], "all": report[split]}
    table = Table(title=f"Kinetics, {report['classes']['count']} classes: {split}")
    table.add_column("")
    for version in counts:
        table.add_column(str(version), justify="right")
    for key, title in STEPS.items():
        table.add_row(title, *(f"{steps[key]:,}" for steps in counts.values()), end_section=key == "kept")
    return table


def kinetics_remarks(report: dict[str, Any]) -> list[str]:
    """What to look at, in words."""
    classes, training = report["classes"], report["training"]
    found = [f"{old!r} keeps its name: {reason}." for old, reason in classes["kept_apart"].items()]
    renamed = sorted({(old, new) for names in classes["renamed"].values() for old, new in names.items()})
    if renamed:
        found.append(f"Renamed: {'; '.join(f'{old!r} to {new!r}' for old, new in renamed)}.")
    if training["classes_with_videos"] < classes["count"]:
        without = classes["count"] - training["classes_with_videos"]
        found.append(f"{without} of {classes['count']} classes have no training video.")
    if not report["validation"]["read"]:
        found.append("There are no validation lists, so no validation video was removed from training.")
    return found


def unlabeled_table(report: dict[str, Any]) -> Table:
    """What was read and chosen of each part, beside Table 8."""
    table = Table(title=f"UnlabeledHybrid, seed {report['seed']}")
    for name in ("part", "lines read", "- repeated", "- not drawn", "= kept", "paper"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for name, part in PARTS.items():
        counts = report["parts"].get(name)
        keys = ("read", "repeated", "not_drawn", "kept")
        values = ["-"] * len(keys) if counts is None else [f"{counts[key]:,}" for key in keys]
        table.add_row(escape(part.title), *values, f"{part.paper:,}", end_section=part is list(PARTS.values())[-1])
    table.add_row("all", "", "", "", f"{report['total']:,}", f"{sum(part.paper for part in PARTS.values()):,}")
    return table


def unlabeled_remarks(report: dict[str, Any]) -> list[str]:
    """What to look at, in words."""
    found = []
    if report["missing_parts"]:
        found.append(f"Without {', '.join(report['missing_parts'])}: take them out of the recipe's data.sources too.")
    for name, part in report["parts"].items():
        if part["wanted"] is not None and part["kept"] < part["wanted"]:
            found.append(f"{name}: {part['wanted']:,} videos were to be drawn, and the list has {part['kept']:,}.")
        without = part.get("training_movies_without_file", [])
        if without:
            names = ", ".join(without[:SHOWN]) + (" ..." if len(without) > SHOWN else ".")
            found.append(f"{name}: {len(without)} training movies are not in the list: {names}")
    return found
