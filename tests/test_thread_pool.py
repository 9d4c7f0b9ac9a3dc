# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Work in threads: the order of its results, and how it ends before its time."""

import threading
from collections.abc import Iterator

import pytest

from training.thread_pool import AHEAD, in_order


def test_results_have_the_order_of_the_items_which_are_taken_a_few_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    results = in_order(lambda i: -i, items(), workers=2)
    assert next(results) == 0
    assert len(taken) == 2 * AHEAD
    assert list(results) == [-i for i in range(1, 1000)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, None])
def test_what_has_not_begun_is_left_at_an_error(error: type[BaseException] | None) -> None:
    """Or where nobody wants more results; what is at work is told and waited for."""
    told, stops, begun, ended = threading.Event(), [], [], []

    def work(i: int) -> None:
        if i == 0:
            if error is not None:
                raise error
            return
        begun.append(i)
        if not told.wait(5):
            told.set()  # nobody stops this: the others need not wait too
        ended.append(i)

    def stop() -> None:
        stops.append(1)
        told.set()

    results = in_order(work, range(1000), workers=1, stop=stop)
    if error is None:
        next(results)
        results.close()
    else:
        with pytest.raises(error):
            next(results)
    assert stops == [1]
    assert begun == ended
    assert len(ended) <= 1
