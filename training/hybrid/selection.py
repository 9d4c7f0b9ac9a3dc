# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A random choice of videos that the seed and the set of paths decide, and nothing else."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa


HASH_SIZE, HASH_TYPE = 8, "<u8"
BATCH = 50_000
HELD = 1_000_000  # rows in memory beyond the wanted ones before what cannot be chosen any more is dropped
SCHEMA = pa.schema([("path", pa.large_string()), ("start", pa.int64()), ("total", pa.int64()), ("hash", pa.uint64())])


class Selection:
    """Distinct videos, all of them or a random choice.

    Each video gets a number, the keyed hash of its path and frames; the smallest `count` numbers are chosen. So the
    order of the lists, their line ends and repeated lines change nothing, and a list with a few videos more or less
    gives nearly the same choice. (Two of three million videos have one number with a chance below 1e-6; one of them
    counts as a repetition then.)

    Args:
        seed: Not negative.
        name: Which choice it is; different names are independent.
        count: Videos to choose; None: all.

    Attributes:
        read: Videos that were added.
    """

    def __init__(self, seed: int, name: str, count: int | None = None) -> None:
        self.read = 0
        self._key, self._count = blake2b(f"{seed}:{name}".encode(), digest_size=32).digest(), count
        self._hashes = bytearray()
        self._rows: list[tuple[str, int, int]] = []
        self._batches: list[pa.Table] = []

    def add(self, path: str, start: int = 0, total: int = -1) -> None:
        """Add a video, or a part of one."""
        self.read += 1
        self._hashes += blake2b(f"{path}\0{start}\0{total}".encode(), digest_size=HASH_SIZE, key=self._key).digest()
        self._rows.append((path, start, total))
        if len(self._rows) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        hashes = np.frombuffer(self._hashes[-HASH_SIZE * len(self._rows) :], HASH_TYPE)
        paths, starts, totals = zip(*self._rows)
        self._batches.append(pa.table([list(paths), list(starts), list(totals), hashes], schema=SCHEMA))
        self._rows.clear()
        if self._count is not None and sum(map(len, self._batches)) > self._count + HELD:
            self._batches = [self._smallest()]

    def _smallest(self) -> pa.Table:
        """The distinct videos with the smallest hashes."""
        table = pa.concat_tables(self._batches) if self._batches else SCHEMA.empty_table()
        first = np.unique(table["hash"].to_numpy(), return_index=True)[1][: self._count]
        return table.take(first)

    def distinct(self) -> int:
        """How many different videos were added."""
        return len(np.unique(np.frombuffer(self._hashes, HASH_TYPE)))

    def chosen(self) -> pa.Table:
        """The choice, with the columns `path`, `start` and `total`, sorted."""
        self._flush()
        table = self._smallest().drop_columns("hash")
        return table.sort_by([("path", "ascending"), ("start", "ascending"), ("total", "ascending")])
