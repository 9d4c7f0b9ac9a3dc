# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, which a terminal sends to a command and to all processes that it has started, and SIGTERM."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def starting_without_ctrl_c() -> Iterator[None]:
    """Within it, processes are started that ignore Ctrl-C from their first moment; whoever starts them, ends them.

    This process ignores Ctrl-C meanwhile, too. In any other thread than the main one, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_on_sigterm() -> None:
    """From here on, SIGTERM ends this process as an error would, so that it ends first what it has started."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
