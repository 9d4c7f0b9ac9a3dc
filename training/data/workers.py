# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes that decode for a loader: how they start, and what they leave to the process that they work for."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch.utils.data import DataLoader

from modeling_videomae_v2.host_memory import keep_freed_memory


def start_worker(_: int) -> None:
    """What a worker does first. Whatever the training computes on, this process decodes and crops on a CPU."""
    keep_freed_memory()
    obey_only_parent()


def obey_only_parent() -> None:
    """Heed SIGTERM, in a worker, only if it comes from the process that the worker works for.

    Launchers and schedulers send it to whole process groups. A worker that dies of it takes the training along before
    that could write its checkpoint; one that ignored it altogether would keep the training from ending.
    """
    parent = multiprocessing.parent_process()
    if parent is None or not hasattr(signal, "sigwaitinfo"):  # no worker, or no Linux
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with, args=(parent.pid,), daemon=True).start()


def _end_with(parent: int | None) -> None:
    """End this process when that one sends SIGTERM, which all threads block."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def worker_options(workers: int, prefetch: int) -> dict[str, Any]:
    """Arguments of a `DataLoader` about its workers.

    Args:
        workers: Their number; 0: the process decodes by itself.
        prefetch: Batches that each of them holds ready.
    """
    if not workers:
        return {"num_workers": 0}
    forks = sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
    return {
        "num_workers": workers,
        "prefetch_factor": prefetch,
        "multiprocessing_context": "fork" if forks else None,
        "worker_init_fn": start_worker,
    }


def started(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader, whose workers, if it has any, leave alone what this process has used."""
    with _out_of_workers_reach() if loader.num_workers else nullcontext():
        return DataLoader.__iter__(loader)


@contextmanager
def _out_of_workers_reach() -> Iterator[None]:
    """Within it, workers may be started that do not free decoders which this process has used.

    A decoder with threads, freed in a process where these do not run, waits for them for ever. So garbage goes before,
    and the rest is out of reach of their garbage collection.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
