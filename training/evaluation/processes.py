# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The processes of an evaluation: each holds the whole model, and they meet only at the start and at the end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list

from ..launch import check_processes, on_cpu, set_up_torch, wants
from ..recipe import launched_processes
from ..recipe_parsing import RecipeError
from .errors import FailedElsewhereError
from .recipe import EvaluationRecipe


PATIENCE = timedelta(days=2)  # how long the first process to end waits for the others


def check_launch(recipe: EvaluationRecipe) -> None:
    """Find what cannot work before a process group is made.

    Raises:
        RecipeError: The launcher and the recipe ask for something that does not exist together.
    """
    check_processes(recipe)
    if wants("DEEPSPEED"):
        raise RecipeError("Evaluation does not run with DeepSpeed; use training/accelerate/ddp.yaml or cpu.yaml.")


@contextmanager
def joined(recipe: EvaluationRecipe) -> Iterator[PartialState]:
    """Join the other processes, if there are any, and part from them at the end, unless they had been joined before.

    After an error it does not wait for them: this process is to say what is wrong and to end.

    Raises:
        RecipeError: As `check_launch`.
    """
    check_launch(recipe)
    before = bool(PartialState._shared_state)
    state = PartialState(cpu=on_cpu(recipe), timeout=PATIENCE)
    try:
        expected = launched_processes()
        if state.num_processes != expected:
            raise RuntimeError(f"The launcher started {expected} processes, accelerate joined {state.num_processes}.")
        set_up_torch(recipe)
        yield state
        if not before:  # and not after an error, for the reason that `loop.train` has
            state.destroy_process_group()
    finally:
        if not before:
            PartialState._reset_state()  # or the next one would take the group for alive


def meet(state: PartialState) -> None:
    """Wait for all processes.

    Raises:
        FailedElsewhereError: One of them is gone.
    """
    try:
        state.wait_for_everyone()
    except RuntimeError as error:
        raise FailedElsewhereError(f"Another process has ended before its time ({error}).") from error


@contextmanager
def leaving_on_sigterm() -> Iterator[None]:
    """Within it, SIGTERM, as a scheduler sends it, raises `SystemExit`, on whose way out predictions get saved.

    A second one, as a launcher sends it after the scheduler, does not disturb that.
    """

    def leave(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread: then nobody sends signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def on_main(state: PartialState, work: Callable[[], Any]) -> Any:
    """Have the main process do some work, and give its result to all.

    Raises:
        Exception: On the main process, what the work raised; on the others, `FailedElsewhereError`.
    """
    outcome: list[Any] = [None, None]
    error = None
    if state.is_main_process:
        try:
            outcome = [work(), None]
        except Exception as caught:
            error, outcome = caught, [None, f"{type(caught).__name__}: {caught}"]
    try:
        broadcast_object_list(outcome)
    except RuntimeError as gone:
        raise error or FailedElsewhereError(f"Another process has ended before its time ({gone}).") from gone
    if error is not None:
        raise error
    if outcome[1] is not None:
        raise FailedElsewhereError(outcome[1])
    return outcome[0]
