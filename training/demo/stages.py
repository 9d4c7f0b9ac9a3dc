# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""One stage of the demo: a command that the reader could type, run in a process of its own."""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..interrupts import starting_without_ctrl_c


RECIPES = Path("training/recipes")  # as it is typed in the checkout
CHECKOUT = Path(__file__).parents[2]
STOPPING = (signal.SIGINT, signal.SIGTERM)
MAX_THREADS = 4  # more of them only wait for each other on matrices as small as the demo's
# what takes seconds to import
PRELOADED = ["training.loop", "training.tasks", "training.evaluation.run", "matplotlib.figure"]


class StageError(RuntimeError):
    """A stage ended with an error, which it has told itself."""


@dataclass(frozen=True)
class Stage:
    """A command of `training`.

    Attributes:
        module: The entry script, such as "training.pretrain".
        arguments: What follows it on the command line.
    """

    module: str
    arguments: Sequence[str]

    @property
    def command(self) -> str:
        """What to type in the checkout."""
        return " ".join(["python", "-m", self.module, *(_quoted(argument) for argument in self.arguments)])


def _quoted(argument: str) -> str:
    return f'"{argument}"' if any(character in argument for character in " {[*") else argument


def run(stage: Stage) -> None:
    """Run a stage in a process that has imported everything already, where the system can fork.

    Raises:
        StageError: It failed.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(PRELOADED)
        with starting_without_ctrl_c():
            ensure_running()
    process = context.Process(target=_work, args=(stage.module, list(stage.arguments)), name=stage.module)
    asked = _start(process)
    try:
        for number in asked:
            signal.raise_signal(number)
        process.join()
    finally:
        if process.is_alive():  # interrupted: do not leave it behind
            process.terminate()
            process.join()
    if process.exitcode:
        raise StageError(f"`{stage.command}` ended with status {process.exitcode}; what it says stands above.")


def _start(process: BaseProcess) -> list[int]:
    """Start a process, whatever signals come meanwhile; returns those that came.

    The first start takes seconds, and an exception in its midst would leave a process behind that nobody knows of.
    """
    asked: list[int] = []
    before = {number: signal.signal(number, lambda got, _: asked.append(got)) for number in STOPPING}
    try:
        process.start()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return asked


def _work(module: str, arguments: list[str]) -> None:
    """In the new process: what `python -m MODULE ARGUMENTS` does."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of reading weights
    os.chdir(CHECKOUT)
    torch.set_num_threads(min(os.cpu_count() or 1, MAX_THREADS))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
