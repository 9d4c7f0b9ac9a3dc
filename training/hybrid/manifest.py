# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""List files and `datasets` manifests (Parquet), written row by row."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outputs import line_of


if TYPE_CHECKING:
    import pyarrow

ROWS_AT_A_TIME = 50_000
COLUMNS = ("path", "start", "total", "label", "source", "youtube_id", "time_start", "time_end")


def manifest_schema(class_names: Sequence[str] | None = None) -> "pyarrow.Schema":
    """Columns of a manifest, with the types that `datasets` reads from the file.

    Args:
        class_names: Names of the classes, in the order of their numbers; None: the labels are empty.
    """
    from datasets import ClassLabel, Features, Value

    number, text = Value("int64"), Value("string")
    label = number if class_names is None else ClassLabel(names=list(class_names))
    types = (text, number, number, label, text, text, Value("int32"), Value("int32"))
    return Features(dict(zip(COLUMNS, types))).arrow_schema


class ManifestWriter:
    """Parquet file that grows by rows; a part of it at a time is in memory.

    Args:
        path: The file.
        schema: From `manifest_schema`.
    """

    def __init__(self, path: Path, schema: "pyarrow.Schema") -> None:
        import pyarrow.parquet as pq

        self._schema, self._rows = schema, []
        self._file = path.open("wb")  # pyarrow takes `a:b/c` for an address
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()
            self._file.close()

    def add(self, *row: Any) -> None:
        """Add one row, its values in the order of `COLUMNS`."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_AT_A_TIME:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            arrays = [pa.array(values, field.type) for values, field in zip(zip(*self._rows), self._schema)]
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
            self._rows.clear()


class ListWriter:
    """List file that grows line by line; its first line names the columns.

    Args:
        path: The file.
        columns: `path` and the names of the numbers behind it.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._file.write(f"# {' '.join(columns)}\n")

    def __enter__(self) -> "ListWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, path: str, *numbers: int) -> None:
        """Add one line."""
        self._file.write(line_of(path, numbers))


def joined(root: str, path: str) -> str:
    """`path` below `root`, where it is neither absolute nor an address."""
    if not root or os.path.isabs(path) or "://" in path:
        return path
    return f"{root}{path}" if root.endswith("/") else f"{root}/{path}"
