# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A disk that has no room for what is written."""

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def full_disk(size: int = 2048) -> Iterator[None]:
    """Within it no file of this process grows beyond `size` bytes; tests are skipped where no system can say so."""
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
