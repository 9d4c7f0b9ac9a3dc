# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, and never in place of other content unasked."""

import filecmp
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modeling_videomae_v2.folders import refuse_address


class OutputFolder:
    """A folder whose files are written aside and renamed when the `with` block ends without an error.

    A file that is there with the same content stays as it is.

    Args:
        path: The folder; made if it is not there.
        force: Whether files with other content may be replaced.

    Raises:
        FileExistsError: At the end, before anything is replaced: there are files with other content.
        NotADirectoryError: `path` is a file.
        ValueError: `path` is an address.
    """

    def __init__(self, path: str | Path, force: bool = False) -> None:
        self.path, self._force = Path(path), force
        refuse_address(self.path, "--output")
        self._aside: Path | None = None

    def __enter__(self) -> "OutputFolder":
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file. Name a folder for the lists.")
        self.path.mkdir(parents=True, exist_ok=True)
        self._aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.path))
        return self

    def file(self, name: str) -> Path:
        """Where to write the file that will be called `name`."""
        if self._aside is None:
            raise RuntimeError("OutputFolder.file needs the `with` block")
        return self._aside / name

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        self.file(name).write_text(text, encoding="utf-8", newline="\n")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None and self._aside is not None:
                self._publish(self._aside)
            if isinstance(error, OSError) and error.errno is not None and error.filename is None:  # of a full disk
                raise OSError(f"{self.path} cannot be written: {error.strerror}.") from error
        finally:
            shutil.rmtree(self._aside or "", ignore_errors=True)
            self._aside = None

    def _publish(self, aside: Path) -> None:
        changed = []
        for file in sorted(aside.iterdir()):
            target = self.path / file.name
            if target.is_file() and filecmp.cmp(file, target, shallow=False):
                continue
            changed.append(file)
        others = [str(self.path / file.name) for file in changed if os.path.lexists(self.path / file.name)]
        if others and not self._force:
            raise FileExistsError(
                f"There are files with other content: {', '.join(others)}. Pass --force to replace them, or another "
                "--output."
            )
        for file in changed:
            os.replace(file, self.path / file.name)


def line_of(path: str, numbers: Sequence[int]) -> str:
    """One line of a list that `training.data` reads as it was meant.

    Raises:
        ValueError: The path cannot stand in a list.
    """
    if set("\n\r\0") & set(path) or path != path.rstrip() or not path:
        raise ValueError(
            f"The path {path!r} cannot stand in a list: it is empty or has a line break, a zero byte or a space at its "
            "end."
        )
    if path[0] in '#"' or path[0].isspace():
        path = f"./{path}"  # a remark otherwise, or another name
    return f"{path} {' '.join(map(str, numbers))}\n"
