# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Classification of clips beside transformers' VideoMAE and the research way; with 8-bit products as well.

    python -m benchmarks.inference [--presets base] [--batch-sizes 1] [--dtype bf16] [--compile off model]

Our 8-bit layers take part: int8 on a CPU, in bf16 rounds where it has bf16, else in fp32 rounds; float8 on a GPU, in
bf16 rounds. Where torchao is installed, its own do, in bf16 rounds. On a CPU, `--only ours ONNX OpenVINO` measures our
exported model in these programs as well (`runtimes.py`). Beside the times stands how far the logits are from those of
the same weights in fp32.
"""

import copy
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.competitors import OURS, Competitor, classification_competitors, make_config
from benchmarks.machine import processor
from benchmarks.measuring import measure
from benchmarks.profiling import profile_piece
from benchmarks.row_file import RowFile
from benchmarks.runtimes import runtime_competitors
from benchmarks.settings import Settings, parse, stored_dtype
from benchmarks.tables import print_machine, print_steps
from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from modeling_videomae_v2.float8_gpu import can_multiply_float8
from modeling_videomae_v2.int8_cpu import can_multiply_int8
from modeling_videomae_v2.quantizing import quantize_linear_layers


CPU_BATCH = 1


def int8_of_torchao(model: nn.Module) -> nn.Module:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(model.videomae_v2.layers, Int8DynamicActivationInt8WeightConfig())
    return model


def float8_of_torchao(model: nn.Module) -> nn.Module:
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow, quantize_

    quantize_(model.videomae_v2.layers, Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()))
    return model


INT8, INT8_OF_TORCHAO = "ours, int8", "ours, int8 of torchao"
FLOAT8, FLOAT8_OF_TORCHAO = "ours, float8", "ours, float8 of torchao"
QUANTIZE = {
    INT8: quantize_linear_layers, INT8_OF_TORCHAO: int8_of_torchao,
    FLOAT8: quantize_linear_layers, FLOAT8_OF_TORCHAO: float8_of_torchao,
}  # fmt: skip


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(settings.device)
    if settings.freeze:
        torch._inductor.config.freezing = True
    extra = partial(extra_competitors, settings)
    results = RowFile("inference", settings.device, settings.output)
    timing = settings.before_profiles()
    for dtype in settings.inference_precisions():
        measure("inference", dtype, timing, CPU_BATCH, results, extra)
    rows = results.rows
    print_steps(rows)
    errors = logit_errors(settings, rows)
    for (preset, variant, dtype), error in errors.items():
        print(f"{preset}, {variant}, {dtype}: logits differ from fp32 by {100 * error:.2f}% of their norm")
    for row in rows:
        row["logit_error"] = errors.get((row["preset"], row["variant"], row["dtype"]), "")
    results.put(rows)
    results.announce()
    if settings.profile:
        profile_piece("inference", settings, rows)
    return rows


def quantized(build: Callable[[], nn.Module], variant: str, dtype: torch.dtype) -> Callable[[], nn.Module]:
    """Build a model in `dtype` whose blocks have the 8-bit linear layers of a variant."""
    return lambda: QUANTIZE[variant](build().to(dtype).eval())


def extra_competitors(settings: Settings, preset: str, dtype: str) -> list[Competitor]:
    """What takes part beside the models in plain floating point."""
    exported = settings.device.type == "cpu" and dtype == "fp32" and settings.compiled == ("off",)
    return [
        *eight_bit_competitors(settings.device, preset, dtype),
        *(runtime_competitors(settings.only, preset) if exported else []),
    ]


def eight_bit_competitors(device: torch.device, preset: str, dtype: str) -> list[Competitor]:
    """Our classifier with 8-bit linear layers, beside what else the device is fast in."""
    has_torchao = importlib.util.find_spec("torchao") is not None and dtype == "bf16"
    if device.type == "cpu":
        has_bf16 = processor()[1]
        names = [INT8] if can_multiply_int8() and dtype == ("bf16" if has_bf16 else "fp32") else []
        names += [INT8_OF_TORCHAO] if has_bf16 and has_torchao else []
    else:
        can_float8 = can_multiply_float8(device) and dtype == "bf16"
        names = ([FLOAT8] if can_float8 else []) + ([FLOAT8_OF_TORCHAO] if can_float8 and has_torchao else [])
    ours = next(competitor for competitor in classification_competitors(preset) if competitor.name == OURS)
    return [replace(ours, name=name, build=quantized(ours.build, name, stored_dtype(dtype))) for name in names]


@torch.inference_mode()
def logit_errors(settings: Settings, rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], float]:
    """Distance of our logits from those of the same weights in fp32, as a share of their norm."""
    errors: dict[tuple[str, str, str], float] = {}
    inexact = {
        (row["preset"], row["variant"], row["dtype"])
        for row in rows
        if row["status"] == "ok" and (row["variant"] in QUANTIZE or (row["variant"] == OURS and row["dtype"] != "fp32"))
    }
    for preset in settings.presets:
        names = [(variant, dtype) for size, variant, dtype in inexact if size == preset]
        if not names or settings.late:
            continue
        torch.manual_seed(0)
        config = make_config(preset)
        with settings.device:
            model = VideoMAEv2ForVideoClassification._from_config(config).eval()
            clips = torch.randn(1, config.num_frames, config.num_channels, config.image_size, config.image_size)
        expected = model(clips).logits
        for variant, dtype in sorted(names):
            changed = copy.deepcopy(model).to(stored_dtype(dtype))
            changed = QUANTIZE.get(variant, nn.Module.eval)(changed)
            with settings.precision(dtype), settings.backend():
                logits = changed(clips.to(stored_dtype(dtype))).logits.float()
            errors[preset, variant, dtype] = round(((logits - expected).norm() / expected.norm()).item(), 5)
    return errors


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
