# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a step goes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_benchmark import CPU, CPU_NAME, QUICK, dual
from torch.profiler import ProfilerActivity

from benchmarks import pretrain_step
from benchmarks.competitors import DUAL
from benchmarks.profiling import SHARES, kind_of, profile_step
from benchmarks.row_file import read_text
from benchmarks.steps import Inputs, Step


pytestmark = pytest.mark.usefixtures("small_peak")


def test_shares_of_a_profile_add_up() -> None:
    step = Step(dual(), "pretraining", "fp32", "off", QUICK)
    shares, slowest = profile_step(step, Inputs(step.model.config, 1, CPU, torch.float32))
    assert sum(shares[name] for name in SHARES) == pytest.approx(1.0, abs=0.02)
    assert shares["matrix products"] > 0
    assert [row["rank"] for row in slowest] == list(range(1, len(slowest) + 1))
    assert slowest[0]["share"] >= slowest[-1]["share"]
    assert any(row["kernel"] == "aten::addmm" and row["calls"] >= 1 for row in slowest)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n", "matrix products"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", "matrix products"),
        ("void pytorch_flash::flash_fwd_kernel<...>", "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16", "attention"),
        ("void at::native::multi_tensor_apply_kernel<...FusedAdamMathFunctor...>", "optimizer step"),
        ("void cudnn::fusion::compute_dot_do_o_specialized<true, 64>(void const*, void const*)", "attention"),
        ("void cudnn::fusion::convert_dq_to_16bits<true>(void const*, void*)", "attention"),
        ("void implicit_convolveNd_sgemm<__nv_bfloat16, 3, 128, 6, 7, 3, 3, 5>(int, int)", "matrix products"),
        ("void cudnn::engines_precompiled::nchwToNhwcKernel<__nv_bfloat16>", "copies and gathers"),
        ("Memcpy HtoD (Pinned -> Device)", "copies and gathers"),
        ("triton_per_fused_native_layer_norm_0", "elementwise and norms"),
        ("triton_poi_fused__to_copy_index_add_native_layer_norm_3", "elementwise and norms"),
        ("triton_poi_fused__scaled_dot_product_flash_attention_view_1", "elementwise and norms"),
        ("graph_3_cpp_fused__to_copy_native_layer_norm_0", "elementwise and norms"),
        ("triton_tem_fused_mm_4", "matrix products"),
        (
            "void at::native::(anonymous namespace)::CatArrayBatchedCopy<at::native::OpaqueType<4u>>",
            "copies and gathers",
        ),
    ],
)
def test_kinds_of_kernels(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_profiles_take_our_main_variant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profiled: list[str] = []
    shares, line = dict.fromkeys(SHARES, 0.1), [{"rank": 1, "kernel": "aten::mm", "share": 0.1}]
    monkeypatch.setattr(
        "benchmarks.profiling.profile_step", lambda step, _: profiled.append(step.compiled) or (shares, line)
    )
    settings = replace(QUICK, repeats=1, compiled=("off", "blocks"), only=("ours",), output=tmp_path, profile="ours")
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
    pretrain_step.run(settings)
    assert profiled == ["off", "blocks"]
    rows = read_text(tmp_path / f"profile_pretraining-{CPU_NAME}.csv")
    assert {row["optimizer"] for row in rows} == {"none"}  # which there is none of, whatever its share
    assert [(row["variant"], row["clock"]) for row in rows] == [(DUAL, "wall")] * 2
    kernels = read_text(tmp_path / f"kernels_pretraining-{CPU_NAME}.csv")
    assert [(row["compiled"], row["kernel"]) for row in kernels] == [(row["compiled"], "aten::mm") for row in rows]


def test_a_gpu_is_profiled_without_what_the_host_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Profile:
        def __init__(self, activities: list[ProfilerActivity]) -> None:
            seen.extend(activities)

        def __enter__(self) -> "Profile":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def events(self) -> list[object]:
            return []

    class FakeStep:
        settings = replace(QUICK, device=torch.device("cuda"))

        def __call__(self, number: int) -> None:
            pass

    monkeypatch.setattr("benchmarks.profiling.profile", Profile)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert profile_step(FakeStep(), lambda number: (number,))[0]["idle"] == 1.0
    assert seen == [ProfilerActivity.CUDA]
