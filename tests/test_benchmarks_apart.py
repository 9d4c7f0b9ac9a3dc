# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What crashes, or hangs, in a process of its own takes nothing else along."""

import os
import time
from functools import partial
from pathlib import Path

from benchmarks.apart import run_apart


def work(folder: Path, number: int) -> None:
    """Leaves a file with the process that it ran in; 1 fails, 2 crashes, 4 hangs."""
    (folder / str(number)).write_text(str(os.getpid()))
    if number == 1:
        raise RuntimeError("broken")
    if number == 2:
        os.abort()
    if number == 4:
        time.sleep(600)


def test_after_a_failure_the_rest_runs_in_another_process(tmp_path: Path) -> None:
    assert run_apart(partial(work, tmp_path), 4) == [1, 2]
    ran_in = [int((tmp_path / str(number)).read_text()) for number in range(4)]
    assert ran_in[0] == ran_in[1]
    assert len(set(ran_in[1:])) == 3
    assert os.getpid() not in ran_in


def hang(number: int) -> None:
    time.sleep(600)


def test_what_hangs_is_stopped_and_nothing_more_is_started() -> None:
    start = time.monotonic()
    assert run_apart(hang, 3, seconds=1.0) == [0]
    assert time.monotonic() - start < 60
    assert run_apart(hang, 3, seconds=0.0) == []
