# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Requests to stop, and how processes agree on them."""

import signal

import pytest
import torch
from accelerate import Accelerator

from training.stopping import PATIENCE, Agreement, StopSignal


pytestmark = pytest.mark.usefixtures("fresh_processes")


def test_a_second_request_to_stop_changes_nothing() -> None:
    """As scheduler and launcher send them, one after the other."""
    asked = StopSignal()
    signal.raise_signal(signal.SIGTERM)
    assert asked.stop
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL  # or the next one would end the tests
    signal.raise_signal(signal.SIGTERM)


class Processes:
    """This one and another one, whose steps take as long and which is asked to stop after some of them."""

    device = torch.device("cpu")

    def __init__(self, stops_after: float = float("inf")) -> None:
        self.step, self.stops_after = 0, stops_after
        self.met_after: list[int] = []

    def reduce(self, mine: torch.Tensor, reduction: str) -> torch.Tensor:
        assert reduction == "mean"
        if self.met_after[-1:] == [self.step]:  # now about the time, which is the same there
            return mine
        self.met_after.append(self.step)
        return (mine + float(self.step >= self.stops_after)) / 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its only item is the time."""
    now = [100.0]
    monkeypatch.setattr("training.stopping.time.perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "met_after"),
    [
        ([60.0] * 4, [1, 2, 3, 4]),
        ([2.0] * 9, [1, 3, 5, 7, 9]),
        ([90.0] + [1.0] * 20, [1, 2, 4, 8, 13, 18]),  # the first one is compiled
        ([0.01] * 80, [1, 3, 7, 15, 31, 51, 71]),
        ([0.0] * 8, [1, 3, 7]),  # a clock that is coarse
        ([0.01] * 31 + [30.0] * 40, [1, 3, 7, 15, 31, 51, *range(52, 72)]),  # no more than 20 steps apart
    ],
)
def test_processes_ask_each_other_every_few_seconds(
    clock: list[float], seconds: list[float], met_after: list[int]
) -> None:
    processes = Processes()
    agreement = Agreement(processes, StopSignal(), most=20)
    for taken in seconds:
        clock[0] += taken
        processes.step += 1
        assert not agreement()
    assert processes.met_after == met_after
    assert PATIENCE == 5.0  # what these figures are for


@pytest.mark.parametrize(("mine", "theirs"), [(True, 1e9), (False, 5)])
def test_all_stop_as_soon_as_one_is_asked(clock: list[float], mine: bool, theirs: float) -> None:
    processes, asked = Processes(theirs), StopSignal()
    agreement = Agreement(processes, asked, most=20)
    stopped = []
    for processes.step in range(1, 8):
        clock[0] += PATIENCE
        asked.stop = mine and processes.step >= 5
        stopped.append(agreement())
    assert stopped == [False] * 4 + [True] * 3


def test_one_process_agrees_with_itself() -> None:
    asked = StopSignal()
    asked.stop = True
    assert Agreement(Accelerator(cpu=True), asked, most=20)()
