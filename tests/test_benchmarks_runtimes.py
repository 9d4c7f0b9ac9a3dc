# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Exported models as competitors: they compute what the model computes, and take part only where they are named."""

from dataclasses import replace

import pytest
import torch
from tiny_benchmark import QUICK

from benchmarks.competitors import OURS, Competitor, classification_competitors
from benchmarks.inference import run
from benchmarks.runtimes import RUNTIMES, runtime_competitors


def logits_of(competitor: Competitor) -> torch.Tensor:
    """Logits of the same weights and clips, whoever computes them."""
    torch.manual_seed(0)
    model = competitor.build().eval()
    clips = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return competitor.run(model, clips, None)


@pytest.mark.slow
@pytest.mark.parametrize("package", RUNTIMES)
def test_programs_compute_what_the_model_computes(package: str) -> None:
    pytest.importorskip(package)
    pytest.importorskip("onnxscript")
    (exported,) = runtime_competitors((RUNTIMES[package][0],), "tiny")
    ours = next(one for one in classification_competitors("tiny") if one.name == OURS)
    expected = logits_of(ours)
    assert (logits_of(exported) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.slow
def test_programs_are_measured_where_they_are_named() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    for only, named in ((("ours",), set()), (("ours", "ONNX"), {f"ONNX Runtime {onnxruntime.__version__}"})):
        rows = run(replace(QUICK, dtypes=("fp32",), batch_sizes=(1,), only=only))
        assert {row["variant"] for row in rows if not row["variant"].startswith("ours")} == named
        assert {row["status"] for row in rows} == {"ok"}
