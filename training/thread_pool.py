# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Work on many videos in threads, which decoding leaves the interpreter to."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar


Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 64  # tasks that wait for each thread, so that a list of millions is not held as tasks


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, stop: Callable[[], None] = lambda: None
) -> Iterator[Result]:
    """Results of `work`, done by so many threads, in the order of the items.

    At an error of `work`, which is raised here, and at Ctrl-C, `stop` is called, and those that are at work are waited
    for.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            for task in waiting:
                task.cancel()
            stop()
            raise
