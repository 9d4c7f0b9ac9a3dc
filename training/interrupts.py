# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, which a terminal sends to a command and to all processes that it has started."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def starting_without_ctrl_c() -> Iterator[None]:
    """Within it, processes are started that ignore Ctrl-C from their first moment; whoever starts them, ends them.

    Here it is ignored meanwhile, too. Only the main thread may say so; in others, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
