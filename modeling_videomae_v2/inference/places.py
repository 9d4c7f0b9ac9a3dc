# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a user names as a checkpoint: whether it can be there, and what is wrong with it, in words."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

from safetensors import SafetensorError

from ..model_files import open_weights, read_json


INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


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
        FileNotFoundError: It is a path, and there is no such folder, or no configuration in it.
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
    if not any((path / file).is_file() for file in ("config.json", "adapter_config.json")):
        raise FileNotFoundError(
            f"{name} is not a model: it has no config.json. Give a folder that `save_pretrained` wrote."
        )
    for file in filter(Path.is_file, (path / "config.json", *(path / index for index in INDEXES))):
        values = read_json(file)
        if file.name in INDEXES and not isinstance(values.get("weight_map"), dict):
            raise ValueError(f"{file} has no `weight_map`. Save the model again with `save_pretrained`.")


@contextlib.contextmanager
def errors_in_words(name: str) -> Iterator[None]:
    """Have what goes wrong while a checkpoint is loaded name the checkpoint, and the file if one is damaged."""
    try:
        yield
    except (SafetensorError, UnpicklingError, EOFError) as error:
        raise _damaged(name, error) from error
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


def _damaged(name: str, error: Exception) -> ValueError:
    folder = Path(name)
    try:
        for path in sorted(folder.glob("*.safetensors")):
            open_weights(path)
    except ValueError as found:
        return found
    pickled = ", ".join(str(path) for path in sorted(folder.glob("*.bin"))) or f"of {name}"
    first = (str(error).splitlines() or ["it ends too early"])[0]
    return ValueError(f"The weights {pickled} cannot be read ({first}). Copy or save them again.")


__all__ = ["check_place", "errors_in_words", "refuse_missing_path"]
