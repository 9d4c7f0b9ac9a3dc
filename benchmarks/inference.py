# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Classification of clips beside transformers' VideoMAE and the research way; on a CPU with 8-bit products as well.

    python -m benchmarks.inference [--presets base] [--batch-sizes 1] [--dtype bf16] [--compile off model]

On a CPU, `Int8Linear` of our package takes part, in bf16 rounds where the CPU has bf16, else in fp32 rounds; in bf16 so
does `torchao` where it is installed. Beside the times stands how far the logits are from those of the same weights in
fp32.
"""

import copy
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.competitors import Competitor, classification_competitors, make_config
from benchmarks.machine import processor
from benchmarks.measuring import measure
from benchmarks.profiling import profile_piece
from benchmarks.settings import Settings, parse, stored_dtype
from benchmarks.tables import finish, print_machine, print_table
from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from modeling_videomae_v2.int8_cpu import can_multiply_int8, quantize_linear_layers


CPU_BATCH = 1
OURS, INT8, TORCHAO = "ours", "ours, int8", "ours, int8 of torchao"


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(settings.device)
    if settings.freeze:
        torch._inductor.config.freezing = True
    extra = int8_competitors if settings.device.type == "cpu" else None
    rows: list[dict[str, Any]] = []
    for dtype in settings.inference_precisions():
        rows += measure("inference", dtype, settings, CPU_BATCH, extra)
    print_table(rows)
    errors = logit_errors(settings, rows)
    for (preset, variant, dtype), error in errors.items():
        print(f"{preset}, {variant}, {dtype}: logits differ from fp32 by {100 * error:.2f}% of their norm")
    for row in rows:
        row["logit_error"] = errors.get((row["preset"], row["variant"], row["dtype"]), "")
    finish(rows, "inference", settings.device, settings.output)
    if settings.profile:
        profile_piece("inference", settings, rows)
    return rows


def quantized(build: Callable[[], nn.Module], library: bool, dtype: torch.dtype) -> Callable[[], nn.Module]:
    """Build a model in `dtype` with int8 linear layers, ours or those of torchao."""

    def build_quantized() -> nn.Module:
        model = build().to(dtype).eval()
        if library:
            from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

            quantize_(model.videomae_v2.layers, Int8DynamicActivationInt8WeightConfig())
            return model
        return quantize_linear_layers(model)

    return build_quantized


def int8_competitors(preset: str, dtype: str) -> list[Competitor]:
    """Our classifier with int8 linear layers, beside what else this CPU is fast in."""
    has_bf16 = processor()[1]
    if dtype != ("bf16" if has_bf16 else "fp32"):
        return []
    ours = next(c for c in classification_competitors(preset) if c.name == OURS)
    found = []
    if can_multiply_int8():
        found.append(Competitor(INT8, quantized(ours.build, False, stored_dtype(dtype)), ours.run, ours.macs))
    if has_bf16 and importlib.util.find_spec("torchao") is not None:
        found.append(Competitor(TORCHAO, quantized(ours.build, True, stored_dtype(dtype)), ours.run, ours.macs))
    return found


@torch.inference_mode()
def logit_errors(settings: Settings, rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], float]:
    """Distance of our logits from those of the same weights in fp32, as a share of their norm."""
    errors: dict[tuple[str, str, str], float] = {}
    wanted = {(row["preset"], row["variant"], row["dtype"]) for row in rows if row["status"] == "ok"}
    for preset in settings.presets:
        names = [(variant, dtype) for size, variant, dtype in wanted if size == preset]
        names = [pair for pair in names if pair[0] in (INT8, TORCHAO) or (pair[0] == OURS and pair[1] != "fp32")]
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
            if variant != OURS:
                changed = quantized(lambda made=changed: made, variant == TORCHAO, stored_dtype(dtype))()
            with settings.precision(dtype), settings.backend():
                logits = changed(clips.to(stored_dtype(dtype))).logits.float()
            errors[preset, variant, dtype] = round(((logits - expected).norm() / expected.norm()).item(), 5)
    return errors


def main(arguments: Sequence[str] | None = None) -> None:
    run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
