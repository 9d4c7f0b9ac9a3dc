# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of our models beside transformers' own VideoMAE, on random clips.

    python -m benchmarks.model [--preset base] [--batch-size 2] [--threads 1] [--output FILE.csv]

Pre-training is a forward and a backward pass (no optimizer) under bf16 autocast: dual masking against transformers'
`VideoMAEForPreTraining`, which masks its encoder only, and against our own model without a decoder mask, the
comparison of Table 2. Masks are drawn within the time that is measured. Classification is inference. Models take turns
on the same clips; ratios are taken round by round.
"""

import argparse
import csv
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEForVideoClassification

from benchmarks.machine import describe
from benchmarks.timing import Summary, interleaved, speedup
from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    tube_mask,
)


DTYPES = ("fp32", "bf16-autocast", "fp16-autocast", "bf16", "fp16")
ROTATING_CLIPS = 4
NUM_LABELS = 710
SHARED_FIELDS = (
    "image_size", "patch_size", "num_channels", "num_frames", "tubelet_size", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps", "use_mean_pooling", "norm_pix_loss",
    "decoder_hidden_size", "decoder_num_hidden_layers", "decoder_num_attention_heads", "decoder_intermediate_size",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One model to time; `baseline` is the name of the variant of the same section that its speed is compared with."""

    name: str
    model: nn.Module
    dtype: str
    run: Callable[[nn.Module, torch.Tensor], Any]
    baseline: str

    def call(self, pixel_values: torch.Tensor) -> None:
        kind, _, autocast = self.dtype.partition("-")
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[kind]
        if autocast:
            with torch.autocast(pixel_values.device.type, dtype):
                result = self.run(self.model, pixel_values)
        else:
            result = self.run(self.model, pixel_values.to(dtype))
        if torch.is_grad_enabled():
            result.loss.backward()
            self.model.zero_grad(set_to_none=True)


def their_config(config: VideoMAEv2Config) -> VideoMAEConfig:
    """transformers' configuration of the same architecture."""
    shared = {name: getattr(config, name) for name in SHARED_FIELDS}
    return VideoMAEConfig(**shared, num_labels=config.num_labels)


def prepare(model: nn.Module, args: argparse.Namespace, dtype: str) -> nn.Module:
    model = model.to(args.device)
    if dtype in ("bf16", "fp16"):
        model = model.to(torch.bfloat16 if dtype == "bf16" else torch.float16)
    return torch.compile(model) if args.compile else model


def pretraining_variants(args: argparse.Namespace, dtype: str) -> Iterator[Variant]:
    """Ours with and without a decoder mask, and transformers' with each of its two attention functions."""
    config = VideoMAEv2Config.from_preset(args.preset)

    def ours(model: nn.Module, pixel_values: torch.Tensor) -> Any:
        return model(pixel_values)

    def theirs(model: nn.Module, pixel_values: torch.Tensor) -> Any:
        mask = tube_mask(len(pixel_values), config.grid_size, config.mask_ratio, device=pixel_values.device)
        return model(pixel_values, bool_masked_pos=mask)

    dual, encoder_only, baseline = "ours, dual masking", "ours, encoder-only masking", "transformers, sdpa"
    for attention in ("sdpa", "eager"):
        model = VideoMAEForPreTraining._from_config(their_config(config), attn_implementation=attention)
        yield Variant(f"transformers, {attention}", prepare(model, args, dtype).train(), dtype, theirs, baseline)
    unmasked = {"decoder_mask_type": None}
    for name, attention, overrides in (
        (encoder_only, "sdpa", unmasked), (f"{dual}, eager", "eager", {}), (dual, "sdpa", {}),
    ):  # fmt: skip
        our_config = VideoMAEv2Config.from_preset(args.preset, **overrides)
        model = VideoMAEv2ForPreTraining._from_config(our_config, attn_implementation=attention)
        yield Variant(name, prepare(model, args, dtype).train(), dtype, ours, baseline)


def classification_variants(args: argparse.Namespace, dtype: str) -> Iterator[Variant]:
    """Our classifier and transformers', all tokens, with the default attention function."""
    config = VideoMAEv2Config.from_preset(args.preset, num_labels=NUM_LABELS)

    def classify(model: nn.Module, pixel_values: torch.Tensor) -> Any:
        return model(pixel_values)

    theirs = VideoMAEForVideoClassification._from_config(their_config(config), attn_implementation="sdpa")
    ours = VideoMAEv2ForVideoClassification._from_config(config, attn_implementation="sdpa")
    for name, model in (("transformers, sdpa", theirs), ("ours", ours)):
        yield Variant(name, prepare(model, args, dtype).eval(), dtype, classify, "transformers, sdpa")


SECTIONS: dict[str, tuple[Callable[[argparse.Namespace, str], Iterator[Variant]], tuple[str, ...]]] = {
    "pretraining": (pretraining_variants, ("bf16-autocast",)),
    "classification": (classification_variants, ("fp32", "bf16-autocast", "bf16")),
}


def kept_for_backward(variant: Variant, pixel_values: torch.Tensor) -> float:
    """MiB of feature maps that a forward pass keeps for the backward pass (parameters and casts of them left out)."""
    weight_shapes = {shape for p in variant.model.parameters() for shape in (p.shape, p.shape[::-1]) if p.dim() > 1}
    storages: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape not in weight_shapes and not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        variant.call(pixel_values)
    return sum(storages.values()) / 2**20


def memory(variant: Variant, pixel_values: torch.Tensor, compiled: bool) -> dict[str, float | str]:
    """Memory of one call: feature maps kept for the backward pass, and on CUDA the peak over what the models hold."""
    result: dict[str, float | str] = {"kept_mib": "", "peak_mib": ""}
    if torch.is_grad_enabled() and not compiled:
        result["kept_mib"] = round(kept_for_backward(variant, pixel_values), 1)
    if pixel_values.is_cuda:
        gc.collect()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        variant.call(pixel_values)
        result["peak_mib"] = round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
    return result


def measure(section: str, dtype: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of one section in one precision, one per variant."""
    build, _ = SECTIONS[section]
    config = VideoMAEv2Config.from_preset(args.preset)
    shape = (args.batch_size, config.num_frames, config.num_channels, config.image_size, config.image_size)
    clips = [torch.randn(shape, device=args.device) for _ in range(ROTATING_CLIPS)]
    variants = {variant.name: variant for variant in build(args, dtype)}

    def caller(variant: Variant) -> Callable[[int], None]:
        return lambda round_number: variant.call(clips[round_number % ROTATING_CLIPS])

    with torch.inference_mode() if section == "classification" else nullcontext():
        callers = {name: caller(variant) for name, variant in variants.items()}
        clock = time.process_time if args.cpu_time else time.perf_counter
        seconds = interleaved(callers, args.repeats, args.warmup, args.device, clock)
        memories = {name: memory(variant, clips[0], args.compile) for name, variant in variants.items()}
    rows = []
    for name, variant in variants.items():
        spent, ratio = Summary.of(seconds[name]), speedup(seconds[variant.baseline], seconds[name])
        rows.append(
            {
                "section": section, "variant": name, "dtype": dtype,
                "median_ms": round(1e3 * spent.median, 2), "q1_ms": round(1e3 * spent.low, 2),
                "q3_ms": round(1e3 * spent.high, 2), "best_ms": round(1e3 * min(seconds[name]), 2),
                "clips_per_s": round(args.batch_size / spent.median, 3), "baseline": variant.baseline,
                "speedup": round(ratio.median, 3),
                "speedup_q1": round(ratio.low, 3), "speedup_q3": round(ratio.high, 3), **memories[name],
            }
        )  # fmt: skip
    if section == "pretraining":
        dual = speedup(seconds["ours, encoder-only masking"], seconds["ours, dual masking"])
        print(f"speed of dual over encoder-only masking: {dual.median:.2f} ({dual.low:.2f} to {dual.high:.2f})")
    return rows


COLUMNS = (
    ("section", -16), ("variant", -28), ("dtype", -14), ("median ms", 11), ("quartiles", 20), ("best ms", 10),
    ("clips/s", 9), ("speed over baseline", 21), ("kept MiB", 10), ("peak MiB", 10),
)  # fmt: skip


def print_cells(cells: Sequence[object]) -> None:
    print(
        "".join(
            f"{cell!s:<{-width}}" if width < 0 else f"{cell!s:>{width}}" for cell, (_, width) in zip(cells, COLUMNS)
        )
    )


def print_row(row: dict[str, Any]) -> None:
    """One line of the table; the speed is a ratio to the baseline, 1.00 for the baseline itself."""
    quartiles = f"{row['q1_ms']:.0f} to {row['q3_ms']:.0f}"
    ratio = f"{row['speedup']:.2f} ({row['speedup_q1']:.2f} to {row['speedup_q3']:.2f})"
    times = (f"{row['median_ms']:.1f}", quartiles, f"{row['best_ms']:.1f}", f"{row['clips_per_s']:.2f}", ratio)
    print_cells((row["section"], row["variant"], row["dtype"], *times, row["kept_mib"], row["peak_mib"]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="base", help="size of the models")
    parser.add_argument("--batch-size", type=int, default=2, help="clips per call")
    parser.add_argument("--device", type=torch.device, help="cpu or cuda (default: both, where there is a GPU)")
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, help="precisions (default: what suits the section)")
    parser.add_argument("--only", choices=tuple(SECTIONS), help="run one section")
    parser.add_argument("--compile", action="store_true", help="compile all models with torch.compile")
    parser.add_argument("--repeats", type=int, default=10, help="timed rounds")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before them that do not count")
    parser.add_argument("--threads", type=int, help="CPU threads; 1 suffers least where other jobs are running")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="time the CPU's work for this process, not the clock (for shared machines)",
    )
    parser.add_argument("--output", help="CSV file to write")
    args = parser.parse_args()
    if args.cpu_time and (args.device is None or args.device.type != "cpu"):
        parser.error("--cpu-time needs --device cpu")
    return args


def main() -> None:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    found = [torch.device(name) for name in ("cpu", "cuda") if name == "cpu" or torch.cuda.is_available()]
    rows = []
    for device in [args.device] if args.device is not None else found:
        args.device = device
        machine = describe(device)
        print(", ".join(f"{key} {value}" for key, value in machine.items()))
        print(f"{args.preset}, batch of {args.batch_size}: medians (quartiles) of {args.repeats} rounds")
        print_cells([heading for heading, _ in COLUMNS])
        for section in [args.only] if args.only else SECTIONS:
            for dtype in args.dtype or SECTIONS[section][1]:
                measured = measure(section, dtype, args)
                for row in measured:
                    print_row(row)
                what = {"preset": args.preset, "batch_size": args.batch_size, "compiled": args.compile}
                what["clock"] = "cpu time" if args.cpu_time else "wall"
                rows += [{**row, **what, **machine} for row in measured]
    if args.output:
        with open(args.output, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
