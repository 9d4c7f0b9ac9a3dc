# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of attention alone."""

import pytest
import torch
from tiny_benchmark import QUICK

from benchmarks import attention


def test_attention_piece_finds_all_ways_equal() -> None:
    qkv = torch.randn(2, 8, 3, 2, 4)
    outputs = {name: function(*inputs) for name, (function, inputs) in attention.ways(QUICK, qkv).items()}
    for name in ("eager", "head by head"):
        torch.testing.assert_close(outputs[name], outputs["sdpa"])
    rows = attention.run(QUICK)
    assert {row["status"] for row in rows} == {"ok"}


def test_attention_goes_back_without_adding_up_gradients() -> None:
    qkv = torch.randn(1, 8, 3, 2, 4, requires_grad=True)
    seconds, statuses = attention.time_ways(qkv, torch.randn(1, 8, 2, 4), QUICK)
    assert set(seconds) == {"sdpa", "eager"}
    assert not statuses
    assert qkv.grad is None
    assert attention.default_batch(944, torch.device("cuda")) == 43


def test_what_a_compiler_refuses_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class CompilationError(Exception):  # as triton's, no RuntimeError
        pass

    def refused() -> torch.Tensor:
        raise CompilationError("no tuples")

    monkeypatch.setattr(attention, "ways", lambda settings, qkv: {"refused": (refused, ())})
    qkv = torch.randn(1, 8, 3, 2, 4)
    assert attention.time_ways(qkv, None, QUICK) == ({}, {"refused": "CompilationError: no tuples"})


@pytest.mark.parametrize(("dtype", "there"), [(torch.bfloat16, True), (torch.float32, False)])
def test_kernels_that_round_to_tf32_are_not_compared_in_fp32(
    dtype: torch.dtype, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(attention, "can_use_training_kernels", lambda: True)
    qkv = torch.randn(1, 8, 3, 2, 16, dtype=dtype)
    assert bool(attention.short_way(qkv)) == there
    assert not attention.short_way(torch.randn(1, 300, 3, 2, 16, dtype=dtype))  # which they are too many for
