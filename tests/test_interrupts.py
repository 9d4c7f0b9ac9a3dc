# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes that leave Ctrl-C to the one that started them."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from training.interrupts import starting_without_ctrl_c


def heeds_ctrl_c() -> bool:
    """Whether a process that is started now would."""
    asking = "import signal; print(signal.getsignal(signal.SIGINT) != signal.SIG_IGN)"
    return subprocess.check_output([sys.executable, "-c", asking], text=True).strip() == "True"


@pytest.mark.skipif(os.name == "nt", reason="on Windows, processes inherit no such thing")
def test_processes_that_are_started_ignore_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
    try:
        with starting_without_ctrl_c():
            assert not heeds_ctrl_c()
        assert heeds_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    def mine(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGINT, mine)
    try:
        with pytest.raises(ZeroDivisionError), starting_without_ctrl_c():
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_change_nothing() -> None:
    before, within = signal.getsignal(signal.SIGINT), []

    def start() -> None:
        with starting_without_ctrl_c():
            within.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert within == [before]
