# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory of freed tensors stays with the process."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import tiny_model

from modeling_videomae_v2 import VideoMAEv2Model, VideoMAEv2VideoProcessor, host_memory
from modeling_videomae_v2.host_memory import LARGEST_MMAP_THRESHOLD, M_MMAP_THRESHOLD, keep_freed_memory
from modeling_videomae_v2.inference.engine import BatchRunner
from modeling_videomae_v2.inference.loading import Checkpoint
from training.data.workers import worker_options
from training.evaluation.processes import joined
from training.evaluation.recipe import EvaluationRecipe
from training.launch import make_accelerator
from training.recipe_stages import PreTrainingRecipe


ROOT = Path(__file__).parents[1]
COUNT_FAULTS = """
import resource, sys
import torch
from modeling_videomae_v2.host_memory import keep_freed_memory

assert keep_freed_memory()
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(2**21) for _ in range(30)]  # 8 MiB each, 61440 pages together
    while tensors:
        del tensors[0]
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.multiprocess
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_tensors_take_the_memory_of_those_before(tmp_path: Path) -> None:
    (tmp_path / "count_faults.py").write_text(COUNT_FAULTS)
    command, environment = [sys.executable, "count_faults.py"], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: None) -> None:
        raise OSError

    monkeypatch.setattr(host_memory.ctypes, "CDLL", fail)
    assert not keep_freed_memory()
    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()


def infer(folder: Path) -> None:
    checkpoint = Checkpoint(tiny_model(VideoMAEv2Model), VideoMAEv2VideoProcessor(), "tiny", [])
    BatchRunner(checkpoint, lambda model, pixel_values: pixel_values, batch_size=1)


def evaluate(folder: Path) -> None:
    with joined(EvaluationRecipe(device="cpu")):
        pass


def train(folder: Path) -> None:
    make_accelerator(PreTrainingRecipe(output_dir=str(folder), device="cpu"))


def decode(folder: Path) -> None:
    worker_options(workers=1, prefetch=2)["worker_init_fn"](0)


@pytest.mark.parametrize("use", [infer, evaluate, train, decode])
def test_what_computes_on_a_cpu_asks_for_it(
    use: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[int, int] = {}

    def mallopt(parameter: int, value: int) -> int:
        asked[parameter] = value
        return 1

    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    use(tmp_path)
    assert asked[M_MMAP_THRESHOLD] == LARGEST_MMAP_THRESHOLD
