# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The video processor of a checkpoint, or the knowledge that it has none."""

import os
from pathlib import Path
from typing import Any

from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError
from transformers.utils import PROCESSOR_NAME

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.model_files import PROCESSOR_FILES, read_json


def find_processor(start: str, **settings: Any) -> VideoMAEv2VideoProcessor | None:
    """The video processor of a checkpoint; None where the checkpoint has none.

    Args:
        start: Folder or Hub repository.
        settings: Settings of the processor that are to be others.

    Raises:
        OSError: There may be one, but it cannot be had, as when the Hub does not answer.
        ValueError: Its settings have no meaning.
    """
    try:
        return VideoMAEv2VideoProcessor.from_pretrained(start, **settings)
    except OSError as error:  # of a Hub that does not answer, transformers says the same as of a file that is not there
        if all(_holds_none(start, name) for name in PROCESSOR_FILES):
            return None
        raise OSError(
            f"The video processor of {start} cannot be loaded, so that frames, mean and deviation are not known; try "
            "again when the Hub can be reached and the files can be read, or download the repository and name its "
            f"folder. ({str(error).splitlines()[0]})"
        ) from error


def _holds_none(start: str, name: str) -> bool:
    """Whether it is certain that a checkpoint has no such file, or one that is about processors of other kinds."""
    if os.path.isdir(start):
        path = os.path.join(start, name)
        if not os.path.exists(path):
            return True
    else:
        path = try_to_load_from_cache(start, name)
        if path is _CACHED_NO_EXIST:
            return True
        if path is None:
            try:
                path = hf_hub_download(start, name)
            except OSError as error:
                return isinstance(error, RemoteEntryNotFoundError)  # the Hub itself says so
    try:
        return name == PROCESSOR_NAME and "video_processor" not in read_json(Path(path))
    except (OSError, ValueError):  # it cannot be read, or is damaged
        return False
