# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of a piece, and the file that holds them: written anew with every measurement, so that nothing gets lost."""

import csv
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.tables import device_name


Row = dict[str, Any]
IDENTITY = (
    "section", "preset", "part", "pass", "variant", "dtype", "compiled", "batch_size", "tokens", "optimizer",
    "checkpointing", "sdpa", "clock", "views", "workers", "videos", "rank", "device", "threads",
)  # fmt: skip


class RowFile:
    """Rows of this run, and a CSV file with these and with what earlier runs measured and this one does not.

    Args:
        piece: Start of the name of the file.
        device: What is measured; the end of the name.
        folder: Where the file is; None: nowhere, rows are only collected.
    """

    def __init__(self, piece: str, device: torch.device, folder: Path | None) -> None:
        self.rows: list[Row] = []
        self.path = None if folder is None else folder / f"{piece}-{device_name(device)}.csv"
        self.earlier = read_text(self.path) if self.path is not None and self.path.exists() else []

    def put(self, rows: Iterable[Row]) -> None:
        """Add rows, or put them in the place of rows that measured the same; write the file."""
        self.rows = merged(self.rows, rows)
        mark_best(self.rows)
        if self.path is not None and self.rows:
            every = [dict(row) for row in merged(self.earlier, self.rows)]
            mark_best(every, {identity(row, "batch_size") for row in self.rows})
            write_csv(every, self.path)

    def announce(self) -> None:
        """Say where the rows are."""
        if self.path is not None and self.rows:
            print(f"written: {self.path}\n", flush=True)


def identity(row: Row, without: str = "") -> tuple[str, ...]:
    """What a row measures, whatever came out."""
    return tuple(str(row.get(name, "")) for name in IDENTITY if name != without)


def has_figures(row: Row) -> bool:
    return row.get("status", "ok") in ("ok", "")


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Old rows, then new ones; of two that measure the same the newer one, unless it alone has no figures."""
    by_identity = {identity(row): row for row in old}
    for row in new:
        key = identity(row)
        if has_figures(row) or key not in by_identity or not has_figures(by_identity[key]):
            by_identity.pop(key, None)
            by_identity[key] = row
    return list(by_identity.values())


def mark_best(rows: Sequence[Row], groups: Collection[tuple[str, ...]] | None = None) -> None:
    """Fill in `best_batch`, the fastest size of what differs in its size alone, and the ratio of best to best.

    Args:
        rows: To compare, and to fill in; those without the column are left out.
        groups: Fill in these alone, by their identity without the size; None: all.
    """
    best: dict[tuple[str, ...], Row] = {}
    timed = [row for row in rows if "best_batch" in row and row.get("clips_per_s") not in ("", None)]
    for row in timed:
        key = identity(row, "batch_size")
        if key not in best or float(row["clips_per_s"]) > float(best[key]["clips_per_s"]):
            best[key] = row
    for row in timed:
        group = identity(row, "batch_size")
        if groups is not None and group not in groups:
            continue
        own = best[group]
        baseline = best.get(identity({**row, "variant": row.get("baseline", "")}, "batch_size"))
        row["best_batch"] = own is row
        row["speedup_at_best_batch"] = (
            "" if baseline is None else round(float(own["clips_per_s"]) / float(baseline["clips_per_s"]), 3)
        )


def read_text(path: Path) -> list[Row]:
    """Rows of a file as they are written there."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows; whoever stops this halfway finds the file as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = list(dict.fromkeys(key for row in rows for key in row))
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(unfinished, path)
