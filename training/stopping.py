# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Requests to stop: SIGTERM, as schedulers and launchers send it before they kill."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger


logger = get_logger(__name__)

PATIENCE = 5.0  # seconds between two agreements; torchrun kills 30 after its request, and a checkpoint takes its time


class StopSignal:
    """Remembers that this process was asked to stop.

    Further requests change nothing: scheduler and launcher each send one. Ctrl-C (SIGINT) ends the process at once.
    """

    def __init__(self) -> None:
        self.stop = False
        try:
            signal.signal(signal.SIGTERM, self._remember)
        except ValueError:  # not in the main thread: then nobody sends signals
            logger.debug("Signals are not handled outside the main thread.")

    def _remember(self, number: int, frame: Any) -> None:
        self.stop = True


class Agreement:
    """Has all processes of a loop know that one of them was asked to stop.

    They ask each other after about `PATIENCE` seconds, or after a step that takes longer; in between nothing waits for
    the device. Loops whose steps differ in length have one each.

    Args:
        accelerator: The processes.
        asked: What this process was asked.
        most: Steps from one time to the next, at most: how long steps take may change.
    """

    def __init__(self, accelerator: Accelerator, asked: StopSignal, most: int) -> None:
        self.accelerator, self.asked, self.most = accelerator, asked, most
        self._every = self._left = 1  # steps from one time to the next
        self._since = time.perf_counter()

    def __call__(self) -> bool:
        """Whether to stop, the same on all processes; each of them calls it after every step."""
        self._left -= 1
        if self._left:
            return False
        stop = self._mean(float(self.asked.stop))  # waits until the device has done the steps, which are timed then
        now = time.perf_counter()
        seconds = self._mean(now - self._since)  # the same on all, so that they meet again
        wanted = int(self._every * PATIENCE / max(seconds, 1e-6))
        self._every = self._left = max(1, min(wanted, 2 * self._every, self.most))
        self._since = now
        return stop > 0

    def _mean(self, mine: float) -> float:
        return self.accelerator.reduce(torch.tensor(mine, device=self.accelerator.device), "mean").item()


@contextmanager
def sigterm_as_before() -> Iterator[None]:
    """Gives SIGTERM back the meaning that it had, at the end."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with suppress(ValueError, TypeError):  # not in the main thread, or not set by Python: nothing was changed
            signal.signal(signal.SIGTERM, before)
