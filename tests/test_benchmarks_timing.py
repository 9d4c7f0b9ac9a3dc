# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clocks, inputs and the peak of the device."""

import itertools
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from tiny import tiny_model
from tiny_benchmark import CPU, QUICK

from benchmarks import peak
from benchmarks.steps import Inputs
from benchmarks.timing import ENOUGH, LONGEST, interleaved, queued
from modeling_videomae_v2 import VideoMAEv2ForPreTraining


pytestmark = pytest.mark.usefixtures("small_peak")


def step_config() -> object:
    return tiny_model(VideoMAEv2ForPreTraining).config


def test_inputs_differ_from_round_to_round() -> None:
    inputs = Inputs(step_config(), 2, CPU, torch.float32)
    assert not torch.equal(inputs(0)[0], inputs(1)[0])
    assert inputs(3)[0].shape == inputs(0)[0].shape


def test_peak_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "SIDES", {"cpu": (32, 64, 16)})
    seconds = itertools.count(0.0, 0.5)  # by this clock every product takes half a second
    assert peak.matmul_peak(CPU, torch.float32, lambda: next(seconds)) == 2 * 64**3 / 0.5


def test_peaks_on_the_screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(
        peak, "matmul_peak", lambda device, dtype, clock: {torch.float32: 1e12, torch.bfloat16: 3e12}[dtype]
    )
    monkeypatch.setattr(sys, "argv", ["peak", "--device", "cpu", "--dtype", "bf16-autocast", "fp32"])
    peak.main()
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        "bf16: 3.000 TFLOP/s",
        "fp32: 1.000 TFLOP/s",
    ]


def test_what_a_recorded_step_reads_changes_in_its_place() -> None:
    inputs = Inputs(step_config(), 2, CPU, torch.float32, in_place=True)
    batches = [inputs(number)[0] for number in range(2)]
    assert batches[0].data_ptr() == batches[1].data_ptr()
    before = batches[0].clone()
    assert [torch.equal(*pair) for pair in zip(inputs(2)[0], before)] == [False, True]


class Device:
    """A GPU that takes a second for every call, and stamps events when it has come to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = self.busy_until = 0.0  # of the host, of the device
        self.numbers: list[int] = []
        device = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                self.time = device.busy_until

            def synchronize(self) -> None:
                device.time = max(device.time, self.time)

            def elapsed_time(self, other: "Event") -> float:
                return 1e3 * (other.time - self.time)

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr("benchmarks.timing.synchronise", lambda _: self.wait())
        monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: self.time)

    def wait(self) -> None:
        self.time = max(self.time, self.busy_until)

    def call(self, number: int, host: float = 0.25, device: float = 1.0) -> None:
        self.numbers.append(number)
        self.time += host
        self.busy_until = max(self.time, self.busy_until) + device


@pytest.mark.parametrize("seconds", [0.0, 25.0])
def test_a_gpu_is_timed_while_it_is_busy(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    means = queued(device.call, repeats=3, warmup=4, device=CPU, seconds=seconds)
    assert means == [pytest.approx(1.0)] * 3
    assert device.numbers == list(range(len(device.numbers)))
    warmup, calls = (4, 1) if seconds == 0 else (21, 4)  # with its 1.25 s, a call is warm-up 20 times after the first
    assert len(device.numbers) == warmup + 1 + 3 * calls


def test_the_host_is_timed_where_the_device_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    assert queued(partial(device.call, host=1.5), 3, 2, CPU, 0.0) == [pytest.approx(1.5)] * 3


def test_long_calls_get_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    assert len(queued(partial(device.call, device=LONGEST), 10, 2, CPU, 0.0)) == ENOUGH


def test_cuda_graphs_get_more_warm_up() -> None:
    assert replace(QUICK, warmup=1).least_warmup == 1
    assert replace(QUICK, warmup=1, mode="reduce-overhead").least_warmup >= 4


def test_a_gpu_warms_up_after_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first call compiles, the device idles, and its clocks fall."""
    device = Device(monkeypatch)

    def call(number: int) -> None:
        device.call(number, host=0.01 if device.numbers else 60.0, device=0.1)

    means = queued(call, repeats=3, warmup=2, device=CPU, seconds=0.5)
    assert means == [pytest.approx(0.1)] * 3
    assert len(device.numbers) >= 1 + 5 + 3


def test_rounds_end_when_the_time_is_up() -> None:
    calls: list[int] = []
    seconds = interleaved({"": calls.append}, 10, 1, CPU, late=lambda: len(calls) > 2)
    assert len(seconds[""]) == ENOUGH
    assert len(interleaved({"": calls.append}, 10, 1, CPU)[""]) == 10
