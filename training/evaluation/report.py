# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From the predictions of all videos to numbers, tables and files."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from modeling_videomae_v2.writing import written_aside

from .metrics import MeanClassAccuracy, TopKAccuracy, true_class_ranks


COLUMNS = {"multi_view": "probabilities", "single_view": "single_view_probabilities"}
TOP = 5


@dataclass
class Results:
    """What an evaluation found.

    Attributes:
        table: The predictions, sorted by video (`store.SCHEMA`).
        names: Names of the classes.
        tests: "multi_view", "single_view" or both; tables and the confusion matrix show the first one.
        unreadable: "wrong" or "exclude": how videos that could not be read count.
    """

    table: pa.Table
    names: Sequence[str]
    tests: Sequence[str] = ("multi_view", "single_view")
    unreadable: str = "wrong"

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of each video, int64 `(videos,)`."""
        return self.table["label"].to_numpy().astype(np.int64)

    @cached_property
    def failed(self) -> np.ndarray:
        """Whether a video could not be read, bool `(videos,)`."""
        return self.table["error"].is_valid().to_numpy(zero_copy_only=False)

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Probabilities by test, float32 `(videos, classes)`, NaN where a video could not be read."""
        found = {}
        for test in self.tests:
            values = self.table[COLUMNS[test]].combine_chunks()
            valid = values.is_valid().to_numpy(zero_copy_only=False)
            found[test] = np.full((len(valid), len(self.names)), np.nan, dtype=np.float32)
            found[test][valid] = values.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(self.names))
        return found

    @property
    def main_test(self) -> str:
        """The test that tables and the confusion matrix show."""
        return self.tests[0]

    def accuracies(self, unreadable: str | None = None) -> dict[str, dict[str, float]]:
        """Top-1, top-5 and mean class accuracy by test, from 0 to 1.

        Args:
            unreadable: "wrong" or "exclude"; default: the attribute.
        """
        kept = ~self.failed if (unreadable or self.unreadable) == "exclude" else np.ones_like(self.failed)
        results: dict[str, dict[str, float]] = {}
        for test, scores in self.scores.items():
            results[test] = {}
            for metric in (TopKAccuracy(k=(1, TOP)), MeanClassAccuracy()):
                found = metric.compute(predictions=scores[kept], references=self.labels[kept])
                results[test].update({name: None if np.isnan(value) else value for name, value in found.items()})
        return results

    def summary(self) -> dict[str, Any]:
        """The numbers of `metrics.json`."""
        count = int(self.failed.sum())
        found: dict[str, Any] = {
            "videos": len(self.labels), "unreadable": count, "unreadable_count_as": _COUNTED[self.unreadable],
            "classes": len(self.names), **self.accuracies(),
        }  # fmt: skip
        if count:
            other = "exclude" if self.unreadable == "wrong" else "wrong"
            found["otherwise"] = {"unreadable_count_as": _COUNTED[other], **self.accuracies(other)}
        return found

    @cached_property
    def best(self) -> dict[str, np.ndarray]:
        """The best classes by test, int64 `(videos, up to 5)`, best first; of equal ones the lower id."""
        return {test: best_classes(scores) for test, scores in self.scores.items()}

    @cached_property
    def confusion(self) -> np.ndarray:
        """Readable videos by true and predicted class, int64 `(classes, classes)`."""
        size, kept = len(self.names), ~self.failed
        pairs = self.labels[kept] * size + self.best[self.main_test][kept, 0]
        return np.bincount(pairs, minlength=size * size).reshape(size, size)

    def class_rows(self) -> list[dict[str, Any]]:
        """One row for each class: how many videos, how many of them right, and what it is taken for."""
        ranks = {test: true_class_ranks(scores, self.labels) for test, scores in self.scores.items()}
        order = np.argsort(self.labels, kind="stable")
        bounds = np.searchsorted(self.labels[order], np.arange(len(self.names) + 1))
        rows = []
        for label, name in enumerate(self.names):
            own = order[bounds[label] : bounds[label + 1]]
            bad = int(self.failed[own].sum())
            counted = len(own) - (bad if self.unreadable == "exclude" else 0)
            row: dict[str, Any] = {"class": label, "name": name, "videos": len(own), "unreadable": bad}
            for test, values in ranks.items():
                for k in (1, TOP):
                    row[f"{test}_top{k}"] = round((values[own] < k).sum() / counted, 6) if counted else ""
            wrong = self.confusion[label].copy()
            wrong[label] = 0
            other = int(wrong.argmax())
            row["taken_for"], row["taken_for_videos"] = (
                (self.names[other], int(wrong[other])) if wrong.any() else ("", 0)
            )
            rows.append(row)
        return rows

    def confusion_rows(self) -> list[dict[str, Any]]:
        """Mistakes, the most frequent first."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        true, predicted = np.nonzero(wrong)
        order = np.lexsort((predicted, true, -wrong[true, predicted]))
        totals = self.confusion.sum(axis=1)
        return [
            {"true": self.names[t], "predicted": self.names[p], "videos": int(wrong[t, p]),
             "share": round(wrong[t, p] / totals[t], 6)}
            for t, p in zip(true[order].tolist(), predicted[order].tolist())
        ]  # fmt: skip

    def predictions(self) -> pa.Table:
        """The predictions with names, and the best classes."""
        table, names = self.table, pa.array(list(self.names), pa.string())
        extra = {"label_name": names.take(pa.array(self.labels))}
        for test, best in self.best.items():
            prefix = "" if test == self.main_test else f"{test}_"
            rows = [None if bad else row for bad, row in zip(self.failed, best.astype(np.int32))]
            first = pa.array(best[:, 0], pa.int32(), mask=self.failed)
            extra[f"{prefix}predicted"] = first
            extra[f"{prefix}predicted_name"] = names.take(first)
            extra[f"{prefix}top5"] = pa.array(rows, pa.list_(pa.int32()))
        for name, column in extra.items():
            table = table.append_column(name, column)
        return table


def best_classes(scores: np.ndarray) -> np.ndarray:
    """The best classes of scores `(videos, classes)`, int64 `(videos, up to 5)`, best first; of equal ones the lower.

    To sort all scores would take twenty times the time, and three times the memory.
    """
    left, found = scores.copy(), []
    for _ in range(min(TOP, scores.shape[1])):
        found.append(left.argmax(axis=1))
        np.put_along_axis(left, found[-1][:, None], -np.inf, axis=1)
    return np.stack(found, axis=1)


_COUNTED = {"wrong": "wrong answers", "exclude": "nothing"}


def write_csv(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write rows as CSV; `columns` where there may be no rows."""
    with (
        written_aside(path) as aside,
        aside.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]) if rows else list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def print_table(results: Results, tests: dict[str, str], notes: Sequence[str]) -> None:
    """Show the numbers on the screen.

    Args:
        results: The results.
        tests: What to call each test.
        notes: Lines that stand below.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(results.labels)} videos, {len(results.names)} classes")
    for name in ("views", "top-1", "top-5", "mean of classes"):
        table.add_column(name, justify="left" if name == "views" else "right")
    for test, values in results.accuracies().items():
        cells = (values[key] for key in ("top1", f"top{TOP}", "mean_class_accuracy"))
        table.add_row(tests[test], *("-" if value is None else f"{100 * value:.2f}" for value in cells))
    console = Console(soft_wrap=True)
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False)
