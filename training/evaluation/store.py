# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Predictions on disk: written in whole files while the evaluation runs, found again by the same command.

`output_dir/parts` holds what the processes have predicted so far. Each file is written under another name and renamed,
so that it is whole, whenever a process is killed. `output_dir/evaluation.json` says what they are predictions of.
"""

import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modeling_videomae_v2.writing import remove_leftovers, written_aside

from ..disk import FolderInUse, claim
from ..recipe_parsing import RecipeError
from .errors import EvaluationError


logger = logging.getLogger(__name__)

PREDICTIONS = "predictions.parquet"
ABOUT = "evaluation.json"
PARTS = "parts"
_SCORES = pa.large_list(pa.float32())  # of all videos together there may be more than 32 bits can count
SCHEMA = pa.schema([
    ("video", pa.int64()), ("path", pa.string()), ("label", pa.int32()), ("error", pa.string()),
    ("probabilities", _SCORES), ("single_view_probabilities", _SCORES), ("view_probabilities", pa.large_list(_SCORES)),
])  # fmt: skip


def as_text(name: str) -> str:
    """A name, or what has one in it, as tables take it: names of files are bytes, which need not be text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says about one video.

    Attributes:
        number: Place of the video in the data.
        path: Its name.
        label: Its class.
        multi_view: Probabilities `(classes,)` averaged over the views; None without that test.
        single_view: Those of the centre view; None without that test.
        views: Those of every view `(views, classes)`; None where they are not kept.
        error: Why the video cannot be read; None if it can.
    """

    number: int
    path: str
    label: int
    multi_view: np.ndarray | None = None
    single_view: np.ndarray | None = None
    views: np.ndarray | None = None
    error: str | None = None

    def as_row(self) -> dict[str, Any]:
        """A row of the files."""
        values = (
            self.number, as_text(self.path), self.label, None if self.error is None else as_text(self.error),
            self.multi_view, self.single_view, None if self.views is None else list(self.views),
        )  # fmt: skip
        return dict(zip(SCHEMA.names, values))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet; the file is opened here, since pyarrow takes `a:b/c` for an address, and only text."""
    with written_aside(path) as aside, aside.open("wb") as file:
        pq.write_table(table, file)


class PartWriter:
    """Keeps the predictions of one process and saves them now and then; use it as a context manager.

    Args:
        folder: The output folder.
        every: Seconds between two saves.
    """

    def __init__(self, folder: Path, every: float) -> None:
        self.folder, self.every = folder / PARTS, every
        self._rows: list[dict[str, Any]] = []
        self._saved = time.monotonic()

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Take predictions."""
        self._rows += [prediction.as_row() for prediction in predictions]
        if time.monotonic() - self._saved >= self.every:
            self.save()

    def save(self) -> None:
        """Write what was taken since the last save."""
        if self._rows:
            table = pa.Table.from_pylist(self._rows, SCHEMA)
            path = self.folder / f"{self._rows[0]['video']:09}-{uuid.uuid4().hex[:8]}.parquet"
            write_table(path, table)
            self._rows = []
        self._saved = time.monotonic()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Within it the output folder is there, and no other run writes to it; one process of an evaluation claims it.

    Raises:
        RecipeError: Another run writes to it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim_of_it = claim(folder, "an evaluation")
    except FolderInUse as error:
        raise RecipeError(f"output_dir ({folder}) {error}") from error
    except OSError as error:
        raise RecipeError(f"output_dir ({folder}) cannot be written to: {error}") from error
    with claim_of_it or nullcontext():
        yield


def open_store(folder: Path, about: dict[str, Any], overwrite: bool) -> set[int]:
    """Make the output folder ready; one process calls it before any other writes.

    Args:
        folder: The output folder, claimed.
        about: What decides the predictions: model, data, views, precision.
        overwrite: Throw away what is there.

    Returns:
        Numbers of the videos that are predicted already. Those that could not be read are tried again.

    Raises:
        RecipeError: The folder holds predictions of something else.
    """
    if overwrite:
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        for name in (ABOUT, PREDICTIONS, "metrics.json"):
            (folder / name).unlink(missing_ok=True)
    has_some = (folder / PREDICTIONS).exists() or any((folder / PARTS).glob("*.parquet"))
    known = _read_about(folder / ABOUT)
    if has_some and known != about:
        differing = sorted(key for key in {**about, **known} if about.get(key) != known.get(key))
        raise RecipeError(
            f"{folder} holds predictions of another evaluation (other {', '.join(differing)}). Choose another "
            "output_dir, or throw them away with `--overwrite true`."
        )
    (folder / PARTS).mkdir(exist_ok=True)
    for within in (folder, folder / PARTS):
        remove_leftovers(within)
        for left in within.glob(".writing-*"):  # by an older version
            left.unlink()
    text = json.dumps(about, indent=2, ensure_ascii=False)
    with written_aside(folder / ABOUT) as aside:
        aside.write_text(text + "\n", encoding="utf-8")
    done = _read(folder, ["video", "error"])
    return {number for number, error in zip(done["video"].to_pylist(), done["error"].to_pylist()) if error is None}


def read_predictions(folder: Path, length: int) -> pa.Table:
    """Every video once, sorted by its number.

    Args:
        folder: The output folder, after all processes have written.
        length: Videos in the data.

    Raises:
        EvaluationError: Some are missing.
    """
    table = _read(folder, SCHEMA.names)
    numbers = table["video"].to_numpy()
    failed = table["error"].is_valid().to_numpy(zero_copy_only=False)
    order = np.lexsort((failed, numbers))  # a prediction goes before a failure that was tried again
    first = order[np.concatenate([[True], np.diff(numbers[order]) > 0])] if len(order) else order
    if not np.array_equal(numbers[first], np.arange(length)):
        raise EvaluationError(
            f"{folder} holds predictions of {len(first)} of {length} videos. All processes must see the same "
            "output_dir: use a shared file system, and run the same command again."
        )
    return table.take(first)


def close_store(folder: Path, table: pa.Table) -> None:
    """Write the one file with all predictions, and remove the parts."""
    write_table(folder / PREDICTIONS, table)
    shutil.rmtree(folder / PARTS)


def _read_about(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(folder: Path, columns: list[str]) -> pa.Table:
    """Some columns of all files there are, in no particular order."""
    paths = [path for path in [folder / PREDICTIONS, *sorted((folder / PARTS).glob("*.parquet"))] if path.exists()]
    tables = []
    for path in paths:
        try:
            with path.open("rb") as file:
                tables.append(pq.read_table(file, columns=columns).cast(pa.schema([SCHEMA.field(c) for c in columns])))
        except FileNotFoundError as error:
            raise RecipeError(
                f"{path} has gone meanwhile: another evaluation writes to {folder}. Wait for its end, then run this "
                "command again."
            ) from error
        except (OSError, pa.ArrowException) as error:
            first = str(error).splitlines()[0]
            raise RecipeError(f"{path} is damaged: {first}. Remove it; its videos are then computed anew.") from error
    schema = pa.schema([SCHEMA.field(column) for column in columns])
    return pa.concat_tables(tables) if tables else schema.empty_table()
