# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of attention alone."""

from dataclasses import replace

import pytest
import torch
from tiny_benchmark import QUICK

from benchmarks import attention


def test_attention_piece_finds_all_ways_equal() -> None:
    qkv = tuple(torch.randn(2, 2, 8, 4) for _ in range(3))
    outputs = {name: way(qkv) for name, way in attention.ways(QUICK, qkv).items()}
    for name in ("eager", "head by head"):
        torch.testing.assert_close(outputs[name], outputs["sdpa"])
    rows = attention.run(QUICK)
    assert {row["status"] for row in rows} == {"ok"}


def test_attention_goes_back_without_adding_up_gradients() -> None:
    qkv = tuple(torch.randn(1, 2, 8, 4, requires_grad=True) for _ in range(3))
    seconds, statuses = attention.time_ways(qkv, torch.randn(1, 8, 2, 4), QUICK)
    assert set(seconds) == {"sdpa", "eager"}
    assert not statuses
    assert all(tensor.grad is None for tensor in qkv)
    assert attention.default_batch(944, torch.device("cuda")) == 43


def test_what_a_compiler_refuses_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class CompilationError(Exception):  # as triton's, no RuntimeError
        pass

    def refused(qkv: attention.Tensors) -> torch.Tensor:
        raise CompilationError("no tuples")

    monkeypatch.setattr(attention, "ways", lambda settings, qkv: {"refused": refused})
    qkv = tuple(torch.randn(1, 2, 8, 4) for _ in range(3))
    assert attention.time_ways(qkv, None, QUICK) == ({}, {"refused": "CompilationError: no tuples"})


@pytest.mark.parametrize(("dtype", "there"), [(torch.bfloat16, True), (torch.float32, False)])
def test_kernels_that_round_to_tf32_are_not_compared_in_fp32(dtype: torch.dtype, there: bool) -> None:
    pytest.importorskip("triton")
    qkv = tuple(torch.randn(1, 2, 8, 16, dtype=dtype) for _ in range(3))
    found = attention.ways(replace(QUICK, device=torch.device("cuda")), qkv)
    assert any(name.startswith("short") for name in found) == there
