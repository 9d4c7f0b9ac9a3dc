# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory of freed tensors stays with the process."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from training import host_memory
from training.host_memory import keep_freed_memory


ROOT = Path(__file__).parents[1]
COUNT_FAULTS = """
import resource, sys
import torch
from training.host_memory import keep_freed_memory

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
