# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A file in the output folder records the settings; a run with others is refused with a list of what differs."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..model_files import read_json
from ..writing import written_aside


def keep_settings(
    path: Path, settings: dict[str, Any], *, what: str, option: str, same: str = "settings", free: Collection[str] = ()
) -> None:
    """Write the settings that a folder is begun with, or find that it was begun with the same.

    Args:
        path: The file in the folder.
        settings: What decides how its other files come out, as plain values.
        what: What these are, for the message.
        option: What the folder is the value of, likewise.
        same: What to leave as it was in order to go on, likewise.
        free: Names of settings that may differ from run to run.

    Raises:
        ValueError: The folder was begun with others, which the message names; or the file is damaged.
        OSError: It cannot be written.
    """
    if not path.exists():
        with written_aside(path, first_stays=True) as aside:
            aside.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    try:  # also after that, for another run may have been the first
        before = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error} Choose another folder for {option}.") from error
    now = json.loads(json.dumps(settings))
    names = sorted(name for name in {*before, *now} - {*free} if before.get(name) != now.get(name))
    if names:
        changes = "; ".join(f"{name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in names)
        raise ValueError(
            f"{path.parent} holds {what} that were made otherwise ({changes}). Choose another folder for {option}, or "
            f"use the same {same} to go on."
        )


__all__ = ["keep_settings"]
