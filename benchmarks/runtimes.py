# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Our classifier as `videomae-v2 export` writes it, in the programs that people serve ONNX files with on a CPU.

Exporting takes a minute and more, so these take part where `--only` names them, and where they are installed.
"""

import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmarks.competitors import OURS, Competitor, classification_competitors
from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.inference.exporting import INPUT, export_model
from modeling_videomae_v2.inference.loading import Checkpoint


def onnx_runtime(file: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """`(B, frames, channels, height, width)` to logits, by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda pixel_values: torch.from_numpy(session.run(None, {INPUT: pixel_values.numpy()})[0])


def open_vino(file: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same by OpenVINO, held to fp32 where it would take bf16 by itself."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(file), "CPU", options)
    return lambda pixel_values: torch.from_numpy(compiled(pixel_values.numpy())[0])


RUNTIMES = {"onnxruntime": ("ONNX Runtime", onnx_runtime), "openvino": ("OpenVINO", open_vino)}


def is_runtime(variant: str) -> bool:
    """Whether a competitor of this name is such a program."""
    return variant.startswith(tuple(name for name, _ in RUNTIMES.values()))


class ExportedModel(nn.Module):
    """A classifier that another program computes."""

    def __init__(self, model: nn.Module, load: Callable[[Path], Callable[[torch.Tensor], torch.Tensor]]) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()  # the program may read weights from it as long as it runs
        file = Path(self._folder.name, "model.onnx")
        config = model.config
        side = {"height": config.image_size, "width": config.image_size}
        processor = VideoMAEv2VideoProcessor(crop_size=side, num_frames=config.num_frames)
        export_model(Checkpoint(model.eval(), processor, "benchmark", []), file, "onnx", "float32", "classification")
        self._compute = load(file)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_labels)`."""
        return self._compute(pixel_values)


def runtime_competitors(only: tuple[str, ...], preset: str) -> list[Competitor]:
    """Our classifier in the programs that are installed and named by one of the parts `only`."""
    ours = next(competitor for competitor in classification_competitors(preset) if competitor.name == OURS)

    def exported(load: Callable[[Path], Callable[[torch.Tensor], torch.Tensor]]) -> nn.Module:
        return ExportedModel(ours.build(), load)

    return [
        replace(ours, name=f"{name} {importlib.metadata.version(package)}", build=partial(exported, load))
        for package, (name, load) in RUNTIMES.items()
        if importlib.util.find_spec(package) and any(part in name for part in only)
    ]
