# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a user names as a checkpoint: whether it can be there, and what is wrong with it, in words."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

from safetensors import SafetensorError

from .model_files import (
    CONFIGURATIONS,
    INDEXES,
    PROCESSOR_FILES,
    WEIGHTS,
    advise_model_folder,
    files_of_index,
    open_weights,
    read_index,
    read_json,
)


SETTINGS = ("config.json", *PROCESSOR_FILES)
PICKLED = "*_model*.bin"


def refuse_missing_path(name: str) -> None:
    """`FileNotFoundError` for what can only be a path, and is not there: no name on the Hub has two slashes."""
    is_path = os.path.isabs(name) or name.startswith((".", "~")) or name.count("/") > 1 or name.endswith(("/", "\\"))
    if is_path and not os.path.exists(name):
        raise FileNotFoundError(f"There is no checkpoint at {name}: the folder does not exist. Check the path.")


def check_place(name: str, revision: str | None = None) -> None:
    """Refuse what is seen at once to hold no model.

    Args:
        name: Folder or Hub name.
        revision: Branch, tag or commit of a Hub repository.

    Raises:
        FileNotFoundError: It is a path, and there is no such folder, or no configuration in it,
            or a file with weights that its index names.
        ValueError: It is a file, one of its JSON files is damaged, or a folder is to have a revision.
    """
    refuse_missing_path(name)
    path = Path(name)
    if path.is_file():
        raise ValueError(
            f"{name} is a file. Name the folder that holds it, or make one of it: videomae-v2 convert {name} NEW_FOLDER"
        )
    if not path.is_dir():
        return
    if revision is not None:
        raise ValueError(f"`--revision` {revision!r} chooses among the versions on the Hub, and {name} is a folder.")
    if not any((path / file).is_file() for file in CONFIGURATIONS):
        raise FileNotFoundError(f"{name} is not a model: it has no config.json. {advise_model_folder(path)}")
    check_settings(path)
    there = [file for file in WEIGHTS if (path / file).is_file()]
    for file in there:
        if file in INDEXES:
            # transformers takes the first; of others, the files may have been left out
            files_of_index(path / file, beside=False) if file == there[0] else read_index(path / file)


def check_settings(folder: Path) -> None:
    """Refuse damaged settings of a model or a video processor, which transformers takes for missing ones.

    Raises:
        ValueError: One of the JSON files in a folder holds something else; it is named.
    """
    for file in filter(Path.is_file, (folder / name for name in SETTINGS)):
        read_json(file)


@contextlib.contextmanager
def errors_in_words(name: str) -> Iterator[None]:
    """Have what goes wrong while a checkpoint is loaded name the checkpoint, and the file if one is damaged."""
    try:
        yield
    except (SafetensorError, UnpicklingError, EOFError) as error:
        raise (_find_damaged(Path(name)) or _unreadable(f"of {name}", error)) from error
    except OSError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        if os.path.isdir(name):
            raise OSError(f"{name} cannot be loaded ({first}). Copy or save it again.") from error
        raise OSError(
            f"There is no folder {name} here, and the Hub does not give a model of this name: {first}"
        ) from error
    except ValueError as error:
        if name in str(error):
            raise
        raise ValueError(f"{name}: {error}") from error
    except Exception as error:  # a pickle that is cut short or holds something else fails in many ways
        found = _find_damaged(Path(name))
        if found is None:
            raise
        raise found from error


def _find_damaged(folder: Path) -> ValueError | None:
    """An error that names the file with weights in a folder that cannot be read; None where all can."""
    import torch

    try:
        for path in sorted(folder.glob("*.safetensors")):
            open_weights(path)
    except ValueError as found:
        return found
    for path in sorted(folder.glob(PICKLED)):
        try:
            dict(torch.load(path, map_location="meta", weights_only=True))
        except Exception as error:
            return _unreadable(str(path), error)
    return None


def _unreadable(weights: str, error: Exception) -> ValueError:
    first = (str(error).splitlines() or ["it ends too early"])[0]
    return ValueError(f"The weights {weights} cannot be read ({first}). Copy or save them again.")


__all__ = ["check_place", "check_settings", "errors_in_words", "refuse_missing_path"]
