# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind in its process; and what `ps` and `kill` do, which slim images of Linux lack."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest
from accelerate.state import AcceleratorState, GradientState
from tiny import TORCH


shards_on_cpu = pytest.mark.skipif(TORCH < (2, 9), reason="FSDP2 on CPUs needs PyTorch 2.9")
ENGINES = ("ddp", pytest.param("fsdp2", marks=shards_on_cpu))


def forget_processes() -> None:
    """Make accelerate forget the run before, so that another one can begin."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()


def ask_to_stop(process_id: int) -> None:
    """Send SIGTERM from a process that is not its parent."""
    subprocess.run([sys.executable, "-c", f"import os; os.kill({process_id}, {signal.SIGTERM:d})"], check=True)


def members(group: int) -> list[str]:
    """Command lines of the processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):  # it has ended meanwhile
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found
