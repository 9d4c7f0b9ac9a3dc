# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Work in a process of its own: what crashes there, or hangs, takes nothing else along."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import Any


def run_apart(work: Callable[[int], None], count: int, seconds: float | None = None) -> list[int]:
    """Call `work(0)`, `work(1)` and so on in one process; after a call that fails, those that are left in another.

    Args:
        work: Called there, so that it has to be importable (or a `functools.partial` of what is). What raises ends the
            process as well as what crashes: an error of a GPU stays with it.
        count: Number of calls.
        seconds: Stop what still runs after so long, and start nothing more; None: never.

    Returns:
        Numbers of the calls that failed or were stopped.
    """
    context = multiprocessing.get_context("spawn")  # a GPU cannot be used in a fork
    position, failed = context.Value("i", 0), []
    end = None if seconds is None else time.monotonic() + seconds
    while position.value < count and (end is None or time.monotonic() < end):
        process = context.Process(target=_work_from, args=(work, position, count))
        process.start()
        try:
            process.join(None if end is None else max(0.0, end - time.monotonic()))
        finally:
            _stop(process)
        if process.exitcode == 0:
            break
        print(f"its process ended with exit code {process.exitcode}", flush=True)
        failed.append(position.value)
        position.value += 1
    return failed


def _work_from(work: Callable[[int], None], position: Any, count: int) -> None:
    while position.value < count:
        work(position.value)
        position.value += 1


def _stop(process: SpawnProcess) -> None:
    if process.is_alive():
        process.kill()
    process.join()
