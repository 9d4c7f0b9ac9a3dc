# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of figures on the screen and in files."""

import argparse
import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe, processor_name


RESULTS = Path(__file__).parent / "results"
COLUMNS = {
    "preset": "size", "variant": "variant", "dtype": "dtype", "compiled": "compiled", "batch_size": "batch",
    "median_ms": "median ms", "clips_per_s": "clips/s", "tflops": "TFLOP/s", "utilisation": "of peak",
    "speedup": "speed", "speedup_at_best_batch": "at best batch", "kept_mib": "kept MiB", "peak_mib": "peak MiB",
    "sdpa_takes": "SDPA takes", "status": "status",
}  # fmt: skip
PARTS = 'With "blocks", embedding and loss are compiled as well in our models, and blocks alone in the others.'


def device_name(device: torch.device) -> str:
    """Short name of a device, for names of files: one for each device, or pictures of a file would mix them."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {processor_name()}"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", name.lower())).strip("-")


def print_machine(device: torch.device) -> None:
    print(", ".join(f"{key} {value}" for key, value in describe(device).items()), flush=True)


def print_table(rows: Sequence[dict[str, Any]], columns: dict[str, str] | None = None) -> None:
    """A plain table of those of the columns that hold anything."""
    if not rows:
        return
    headings = {key: text for key, text in (columns or COLUMNS).items() if any(row.get(key, "") != "" for row in rows)}
    cells = [list(headings.values())] + [[str(row.get(key, "")) for key in headings] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(headings))]
    numeric = [
        all(isinstance(row.get(key, ""), (int, float)) or row.get(key, "") == "" for row in rows) for key in headings
    ]
    for line in cells:
        print(
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric)
            ).rstrip()
        )
    print(flush=True)


def print_steps(rows: Sequence[dict[str, Any]]) -> None:
    """The table of steps, and what "blocks" stands for in it."""
    print_table(rows)
    if any(row["compiled"].startswith("blocks") for row in rows):
        print(f"{PARTS}\n", flush=True)


def read_csv(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Rows of several files, numbers as numbers."""
    rows = []
    for path in paths:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows += [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return rows


def folder_of_rows(text: str) -> Path:
    """A folder to read CSV files from, as a type for argparse; of one that is not there, every row would be missing."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder; name the one that the benchmarks wrote to (--output)")
    return Path(text)


def rows_by_device(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of all CSV files of a folder, by the name of the device, which follows the first hyphen."""
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*-*.csv")):
        paths.setdefault(path.stem.split("-", 1)[1], []).append(path)
    return {device: read_csv(files) for device, files in paths.items()}


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
