# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The video processor of a checkpoint, or the knowledge that it has none."""

import os
from typing import Any

from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.model_files import PROCESSOR_FILES


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
        if all(_is_missing(start, name) for name in PROCESSOR_FILES):
            return None
        raise OSError(
            f"The video processor of {start} cannot be loaded, so that frames, mean and deviation are not known; try "
            "again when the Hub can be reached and the files can be read, or download the repository and name its "
            f"folder. ({str(error).splitlines()[0]})"
        ) from error


def _is_missing(start: str, name: str) -> bool:
    """Whether it is certain that a checkpoint has no such file."""
    if os.path.isdir(start):
        return not os.path.exists(os.path.join(start, name))
    known = try_to_load_from_cache(start, name)
    if known is not None:
        return known is _CACHED_NO_EXIST
    try:
        hf_hub_download(start, name)
    except OSError as error:
        return isinstance(error, RemoteEntryNotFoundError)  # the Hub itself says so
    return False
