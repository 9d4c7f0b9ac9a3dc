# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos in a `datasets.Dataset` or a streamed `datasets.IterableDataset`, which never decode them themselves."""

import itertools
import logging
import math
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from .chance import Purpose, generator
from .columns import batches_of, class_names, class_of, is_text, matching_rows, path_of, row_marks, undecoded, video_of
from .faults import DataError
from .sources import Source, Video


if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

    from ..recipe import SourceRecipe

logger = logging.getLogger(__name__)

# Lanes share the videos by chance where a stream is mixed with others: a surplus is many of these standard deviations.
DEVIATIONS = 3.0
WAY_OUT = "Set `num_videos` to the number that there is, and have files of about the same size."
# Videos that a stream holds to shuffle them, in every worker: their files lie in memory.
SHUFFLE_BUFFER = 128
# What reads a path that is a single file, by its ending.
FILE_READERS = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".json": "json", ".jsonl": "json"}
DEFAULT_SPLIT = "train"
# Videos that a stream remembers, so that going back a little does not mean starting over.
REMEMBERED = 64


class DatasetSource(Source):
    """Rows of a `datasets.Dataset`.

    Args:
        dataset: Has a column of type `Video`, of paths, or of bytes.
        name: How messages name it.
        video_column: That column.
        label_column: Column of type `ClassLabel`, or of numbers, or of class names; None where labels are not wanted.
        path_pattern: Regular expression; only rows whose path it finds are taken.
        pattern: Names of the pictures where a path is that of a folder.

    Raises:
        ValueError: A column is missing or has the wrong type, there are no rows, or one has no label.
    """

    def __init__(
        self, dataset: "Dataset", *, name: str = "data set", video_column: str = "video",
        label_column: str | None = None, path_pattern: str | None = None, pattern: str = Video.pattern,
    ) -> None:  # fmt: skip
        self.name, self._video, self._label, self._pattern = name, video_column, label_column, pattern
        self._dataset = undecoded(dataset, name, video_column, label_column)
        if path_pattern:
            self._dataset = self._dataset.select(list(matching_rows(self._dataset, video_column, path_pattern)))
        if not len(self._dataset):
            raise ValueError(f"{name} holds no videos. Check `split` and `path_pattern`.")
        self.classes = class_names(self._dataset.features, label_column)
        self._numbers: dict[str, int] | None = None
        if label_column is None:
            return
        # not `Dataset.unique`, which copies a selection of rows to a file beside the data
        batches = batches_of(self._dataset, label_column)
        labels = list(dict.fromkeys(label for batch in batches for label in batch.unique().to_pylist()))
        if is_text(self._dataset.features[label_column]):
            self.classes = tuple(sorted(label for label in labels if label is not None))
            self._numbers = {name: i for i, name in enumerate(self.classes)}
        classes = [class_of(label, self._numbers) for label in labels]
        if None in classes:  # the first row of this kind says so by its name
            self.get(self.labels.index(None), 0)
        self._count = max(classes) + 1

    @property
    def length(self) -> int:
        return len(self._dataset)

    @property
    def labels(self) -> list[int] | None:
        """Class of each video, read anew; None where labels are not wanted."""
        if self._label is None:
            return None
        batches = batches_of(self._dataset, self._label)
        return [class_of(label, self._numbers) for batch in batches for label in batch.to_pylist()]

    def marks(self) -> Iterator[str]:
        """What tells the videos apart, without reading one."""
        return row_marks(self._dataset, self._video)

    def num_classes(self) -> int | None:
        return None if self._label is None else max(self._count, len(self.classes or ()))

    def get(self, index: int, epoch: int) -> Video:
        name = f"{self.name}[{index}]"
        return video_of(self._dataset[index], self._video, self._label, name, self._pattern, self._numbers)


class StreamSource(Source):
    """Rows of a `datasets.IterableDataset`, in the order in which they come.

    Every worker process reads a lane of its own: some of the shards or, of too few shards, every n-th row of one.
    Going on after an interruption reads what was there before and drops it. A lane that ends before the pass goes on
    with the shards of the next one, in another order; a stream with fewer videos than it announces starts over. Videos
    that a lane has not come to when the pass ends are left out of it. Where they are many, the log says so.

    Args:
        dataset: Has a column of type `Video`, of paths, or of bytes.
        name: How messages name it.
        length: Number of videos. Default: what the data set says; None if it does not.
        video_column: That column.
        label_column: Column of type `ClassLabel` or of numbers; None where labels are not wanted.
        path_pattern: Regular expression; only rows whose path it finds are taken. `length` counts those.
        pattern: Names of the pictures where a path is that of a folder.
        seed: Seed of the order; None: as they come.
        lanes: Parts that are read apart.

    Raises:
        ValueError: A column is missing or has the wrong type.
    """

    sequential = True

    def __init__(
        self, dataset: "IterableDataset", *, name: str = "stream", length: int | None = None,
        video_column: str = "video", label_column: str | None = None, path_pattern: str | None = None,
        pattern: str = Video.pattern, seed: int | None = None, lanes: int = 1,
    ) -> None:  # fmt: skip
        self.name, self._video, self._label, self._seed = name, video_column, label_column, seed
        self._pattern, self.lanes = pattern, lanes
        if dataset.num_shards < lanes and hasattr(dataset, "reshard"):  # older versions of datasets lack it
            dataset = dataset.reshard()  # Parquet files into row groups
        self._dataset = undecoded(dataset, name, video_column, label_column)
        features = self._dataset.features or {}
        if label_column and is_text(features.get(label_column)):
            raise ValueError(
                f"{name}: the column `{label_column}` holds names, and the classes of a stream are not known in "
                "advance. Cast it to `ClassLabel`, or set `streaming` to false."
            )
        self._wanted = re.compile(path_pattern) if path_pattern else None
        self.classes = class_names(features, label_column)
        self._length = length if length or self._wanted else _announced_length(dataset)
        self._rows: Iterator[Video] | None = None
        self._lane, self._epoch, self._next = -1, -1, 0
        self._in_own = self._judged = self._judging = False
        self._recent: deque[Video] = deque(maxlen=REMEMBERED)

    @property
    def length(self) -> int | None:
        return self._length

    def num_classes(self) -> int | None:
        return len(self.classes) if self.classes else None

    def get(self, index: int, epoch: int) -> Video:
        place, lane = divmod(index, self.lanes)
        if self._rows is None or (lane, epoch) != (self._lane, self._epoch) or place < self._next - len(self._recent):
            if (lane, epoch) == (self._lane, self._epoch + 1):
                self._judge()
            self._rows, self._lane, self._epoch, self._next = self._passes(epoch, lane), lane, epoch, 0
            self._recent.clear()
        try:
            while self._next <= place:
                self._recent.append(next(self._rows))
                self._next += 1
        except BaseException:
            self._rows = None  # a generator that has raised is at its end: read anew next time
            raise
        return self._recent[place - self._next]

    def _judge(self) -> None:
        """Once, after a pass: read a little further, and warn if many videos of this lane were left out."""
        if self._judged or self._rows is None or self._length is None or not self._in_own:
            return
        share = self._length * self._held(self._lane)
        margin = DEVIATIONS * math.sqrt(share)
        if self._next + margin < share:  # it has more shards than other lanes: those know
            return
        self._judged = self._judging = True
        with suppress(Exception):  # what is wrong with a video is said where it is wanted
            while self._next <= share + margin and next(self._rows, None):
                self._next += 1
        self._judging = False
        if self._next > share + margin:
            logger.warning(
                "%s announces %d videos, but each pass over so many skips some: part %d of %d, which one worker "
                "reads, should have %d and has more than %d. %s",
                self.name, self._length, self._lane + 1, self.lanes, round(share), self._next - 1, WAY_OUT,
            )  # fmt: skip

    def _held(self, lane: int) -> float:
        """Part of the videos that a lane holds where all shards are of one size."""
        count = self._dataset.num_shards
        shards = min(count, self.lanes)
        readers = len(range(lane % shards, self.lanes, shards))
        return len(range(lane % shards, count, shards)) / count / readers

    def _passes(self, epoch: int, lane: int) -> Iterator[Video]:
        """Videos of one lane in one pass; when it ends too early, those of the next ones."""
        number = total = empty = 0
        while True:
            before, self._in_own = total, number == 0
            for row in self._read(epoch, number, (lane + number) % self.lanes):
                if self._wanted is None or self._wanted.search(path_of(row[self._video])):
                    name = f"{self.name}[{total * self.lanes + lane}]"
                    yield video_of(row, self._video, self._label, name, self._pattern)
                    total += 1
            self._in_own = False
            if self._judging:
                return
            empty = empty + 1 if total == before else 0
            if empty == self.lanes:
                raise DataError(f"{self.name} holds no videos. Check `split` and `path_pattern`.")
            number += 1
            if number == self.lanes and total < (self._length or 0):  # all of it, and it did not last for a lane
                logger.warning(
                    "%s announces %d videos and, in what should be all of it, has %d; it starts over. %s",
                    self.name, self._length, total, WAY_OUT,
                )  # fmt: skip

    def _read(self, epoch: int, number: int, lane: int) -> Iterator[dict[str, Any]]:
        """Rows of one pass over a lane."""
        dataset = self._dataset
        if self._seed is not None:
            # not set_epoch, whose number is shared by all workers
            seed = int(generator(self._seed, Purpose.STREAM, epoch, number).integers(2**32))
            dataset = dataset.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER)
        shards = min(dataset.num_shards, self.lanes)
        dataset = dataset.shard(shards, lane % shards)
        rows = dataset.iter(batch_size=1)  # plain iteration would give each worker only some of the shards
        in_turn = len(range(lane % shards, self.lanes, shards))  # lanes that read this shard
        for batch in itertools.islice(rows, lane // shards, None, in_turn):
            yield {key: values[0] for key, values in batch.items()}


def open_hub_source(
    recipe: "SourceRecipe", *, labelled: bool, path_pattern: str | None, seed: int, shuffle: bool, lanes: int = 1
) -> Source:
    """Source of a saved data set, of Parquet files, or of whatever else `datasets.load_dataset` takes.

    Args:
        recipe: Its `path`, `split`, `streaming`, `pattern` and columns.
        labelled: Whether labels are wanted.
        path_pattern: Regular expression; only rows whose path it finds are taken.
        seed: Seed of the order of a stream.
        shuffle: Whether a stream is shuffled.
        lanes: Lanes of a stream.

    Raises:
        ImportError: `datasets` is not installed, or something that it needs.
        ValueError: As the sources.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"Reading {recipe.path} needs the package `datasets`, which cannot be imported ({error}). Run `pip install "
            "datasets`, or repair what the error names."
        ) from error
    if labelled and recipe.label_column is None:
        raise ValueError(f"{recipe.path}: labels are needed, and `label_column` is null. Name the column.")
    common: dict[str, Any] = {
        "name": recipe.path, "video_column": recipe.video_column, "path_pattern": path_pattern,
        "label_column": recipe.label_column if labelled else None, "pattern": recipe.pattern,
    }  # fmt: skip
    with _naming_damage(recipe.path):
        dataset, length = _open(recipe), recipe.num_videos
        if recipe.streaming and isinstance(dataset, datasets.Dataset):
            if not path_pattern:  # what it says may be of the data set that it was made from
                length = length or len(dataset)
            dataset = dataset.to_iterable_dataset()
        if isinstance(dataset, datasets.IterableDataset):
            order = {"seed": seed if shuffle else None, "lanes": lanes}
            return StreamSource(dataset, length=length, **order, **common)
        return DatasetSource(dataset, **common)


def _open(recipe: "SourceRecipe") -> "Dataset | IterableDataset":
    """The data set of a recipe, a saved one as it is; `ValueError` if it has no such split."""
    import datasets

    path, split = recipe.path, recipe.split
    if any(os.path.isfile(os.path.join(path, name)) for name in ("state.json", "dataset_dict.json")):
        return _saved(path, split)
    options: dict[str, Any] = {"split": split, "streaming": recipe.streaming}
    reader = FILE_READERS.get(os.path.splitext(path)[1].lower())
    if reader and not os.path.isdir(path):
        return datasets.load_dataset(reader, data_files={split.partition("[")[0]: path}, **options)
    return datasets.load_dataset(path, **options)


def _saved(path: str, split: str) -> "Dataset":
    """A split of a saved data set, or a part of one such as `train[:100]`."""
    import datasets

    found = datasets.load_from_disk(path)
    if isinstance(found, datasets.DatasetDict):
        splits = named = dict(found)
    else:  # a single one, which the default stands for as well
        named = {str(found.split or DEFAULT_SPLIT): found}
        splits = {DEFAULT_SPLIT: found, **named}
    if split in splits:
        return splits[split]
    try:
        parts = datasets.ReadInstruction.from_spec(split).to_absolute({name: len(splits[name]) for name in splits})
    except ValueError:
        raise ValueError(f"{path} has no split `{split}`, it has: {', '.join(named)}. Set `split`.") from None
    return datasets.concatenate_datasets([splits[part.splitname].select(range(part.from_, part.to)) for part in parts])


@contextmanager
def _naming_damage(path: str) -> Iterator[None]:
    """Say of a file that cannot be read which one it is (`ValueError`)."""
    from datasets.exceptions import DatasetGenerationError
    from pandas.errors import EmptyDataError, ParserError
    from pyarrow import ArrowException

    text_errors = (EmptyDataError, JSONDecodeError, ParserError, UnicodeDecodeError)
    try:
        yield
    except (ArrowException, DatasetGenerationError, OSError, *text_errors) as error:
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and (cause.errno is not None or not os.path.exists(path)):
            raise cause from None  # a full disk; no such file; an address out of reach
        reason = str(cause).strip()
        raise ValueError(f"{path} cannot be read ({reason}). Download it again, or write it anew.") from error
    except ValueError as error:
        if path in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def _announced_length(dataset: "IterableDataset") -> int | None:
    """Number of rows in the description of a stream, None where it is not there."""
    splits = dataset.info.splits or {}
    split = splits.get(str(dataset.split)) if dataset.split else None
    return getattr(split, "num_examples", None) or None
