# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clocks, inputs and the peak of the device."""

import itertools
import sys
from dataclasses import replace

import pytest
import torch
from tiny import tiny_model
from tiny_benchmark import CPU, QUICK

from benchmarks import peak
from benchmarks.steps import Inputs
from benchmarks.timing import ENOUGH, interleaved, queued
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


def test_a_gpu_is_timed_over_several_calls_that_nothing_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("event")

        def elapsed_time(self, other: "Event") -> float:
            return 10.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr("benchmarks.timing.synchronise", lambda _: log.append("wait"))
    numbers: list[int] = []
    call = lambda number: (numbers.append(number), log.append("call"))  # noqa: E731
    monkeypatch.setattr("benchmarks.timing.math.ceil", lambda _: 5)
    means = queued(call, repeats=3, warmup=4, device=CPU, seconds=0.0)
    assert means == [pytest.approx(0.002)] * 3
    assert log == ["call", "wait"] * 4 + ["event", *["call"] * 5, "event", "wait"] * 3
    assert numbers == list(range(19))


def test_cuda_graphs_get_more_warm_up() -> None:
    assert replace(QUICK, warmup=1).least_warmup == 1
    assert replace(QUICK, warmup=1, mode="reduce-overhead").least_warmup >= 4


def test_a_gpu_warms_up_after_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first call compiles, the device idles, and its clocks fall."""
    now, calls = [0.0], []

    def call(number: int) -> None:
        now[0] += 60.0 if not calls else 0.1
        calls.append(number)

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            pass

        def record(self) -> None:
            self.time = now[0]

        def elapsed_time(self, other: "Event") -> float:
            return 1e3 * (other.time - self.time)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: now[0])
    means = queued(call, repeats=3, warmup=2, device=CPU, seconds=0.5)
    assert means == [pytest.approx(0.1)] * 3
    assert len(calls) >= 1 + 5 + 3


def test_rounds_end_when_the_time_is_up() -> None:
    calls: list[int] = []
    seconds = interleaved({"": calls.append}, 10, 1, CPU, late=lambda: len(calls) > 2)
    assert len(seconds[""]) == ENOUGH
    assert len(interleaved({"": calls.append}, 10, 1, CPU)[""]) == 10
