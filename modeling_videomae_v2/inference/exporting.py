# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Models as ONNX and `torch.export` files with a dynamic batch, checked against PyTorch before they are kept."""

import importlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..folders import make_folder
from ..writing import file_for_torch, naming
from .loading import DTYPES, Checkpoint


INPUT = "pixel_values"
OUTPUTS = {"classification": "logits", "features": "features"}
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
OPSET = 18
# Protocol buffers end at 2 GiB; larger weights go into a file beside the graph. A margin is left for the graph.
MAX_EMBEDDED_BYTES = 1900 * 1024**2
MAX_BATCH = 4096
CHECKED_BATCHES = (1, 3)
# Largest error accepted, as a share of the largest output: rounding, and nothing else.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: The model first, then what belongs to it.
        errors: Largest absolute difference to PyTorch, by batch size.
        scale: Largest absolute output of PyTorch.
    """

    files: list[Path]
    errors: dict[int, float]
    scale: float


class Graph(nn.Module):
    """What is exported: pixel values in, one tensor out."""

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """`(B, frames, channels, height, width)`, or `(B, views, ...)`, to logits or features `(B, ...)`."""
        outputs = self.model(pixel_values, return_dict=True)
        return outputs.logits if self.output == "logits" else outputs.pooler_output


def require_exporter(file_format: str, dtype: str) -> None:
    """Say at once what is missing.

    Raises:
        ImportError: A package is not installed.
        ValueError: The format or the precision is not known, or they do not go together.
    """
    if file_format not in SUFFIXES:
        raise ValueError(f"`--format` must be one of {', '.join(SUFFIXES)}, got {file_format!r}.")
    if dtype not in DTYPES:
        raise ValueError(f"`--dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    if file_format == "torch":
        return
    if dtype == "bfloat16":
        raise ValueError(
            "ONNX Runtime multiplies no bfloat16 matrices on a CPU, so that such a file could not be checked. Use "
            "--dtype float16, or --format torch."
        )
    try:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"ONNX files need the package `{error.name}`, which is not installed. Run "
            '`pip install "modeling-videomae-v2[export]"`, or use --format torch.'
        ) from error


def export_model(
    checkpoint: Checkpoint, path: Path, file_format: str, dtype: str, task: str, views: int = 1, overwrite: bool = False
) -> Exported:
    """Export a model, check it and describe it.

    The files are written to a folder beside `path`, checked there and only then moved: `path`, `path` with `.json`
    added, and `path` with `.data` added where the weights are too large for one file.

    Args:
        checkpoint: Model, in `dtype`, and its processor, which gives the size of the input. On the CPU.
        path: File to write.
        file_format: "onnx" or "torch".
        dtype: Precision of the model, by name.
        task: "classification" or "features".
        views: Views of a video that a classifier averages; with more than one, the input has a dimension for them.
        overwrite: Replace files that are there.

    Raises:
        FileExistsError: A file is there already.
        OSError: One cannot be written.
        ValueError: The file does not compute what PyTorch computes, or the processor takes no fixed number of frames.
    """
    if checkpoint.processor.fps:
        raise ValueError(
            f"The video processor of {checkpoint.name} takes {checkpoint.processor.fps:g} frames a second, so that "
            "clips differ in length; the input of a file has one. Pass --processor with one that has no `fps`."
        )
    description = path.with_name(f"{path.name}.json")
    taken = [str(target) for target in (path, _data_file(path), description) if target.exists()]
    if taken and not overwrite:
        raise FileExistsError(f"There is already {' and '.join(taken)}. Name another file, or pass --overwrite.")
    make_folder(path.parent)
    graph = Graph(checkpoint.model, OUTPUTS[task]).eval()
    inputs = {batch: _random_input(checkpoint, batch, views) for batch in (2, *CHECKED_BATCHES)}
    with torch.no_grad():
        expected = {batch: graph(inputs[batch]).float() for batch in CHECKED_BATCHES}
    with tempfile.TemporaryDirectory(prefix=f".{path.stem[:100]}-", dir=path.parent) as folder:
        aside = Path(folder, path.name)
        write, load = (_write_onnx, _load_onnx) if file_format == "onnx" else (_write_torch, _load_torch)
        with naming(path):
            write(graph, inputs[2], aside)
        scale = max(float(value.abs().max()) for value in expected.values())
        errors = _check(load(aside), inputs, expected, scale * TOLERANCES[dtype])
        about = describe(checkpoint, file_format, dtype, task, views) | {
            "checked": {
                "batch_sizes": list(CHECKED_BATCHES),
                "largest_error": max(errors.values()),
                "largest_output": scale,
            }
        }
        text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
        with naming(description):
            # names of classes need not be text; this escapes them as JSON does
            Path(folder, description.name).write_text(text, encoding="utf-8", errors="backslashreplace")
        return Exported(_move(Path(folder), path), errors, scale)


def describe(checkpoint: Checkpoint, file_format: str, dtype: str, task: str, views: int) -> dict[str, Any]:
    """Everything that a program without this package needs to use the file, as plain values."""
    processor, config = checkpoint.processor, checkpoint.model.config
    about = processor.to_dict()
    shape = ["batch", *_random_input(checkpoint, 1, views).shape[1:]]
    axes = ["batch", "frames", "channels", "height", "width"]
    output = {"name": OUTPUTS[task], "dtype": dtype, "shape": ["batch", config.hidden_size]}
    if task == "classification":
        output["shape"] = ["batch", config.num_labels]
        output["meaning"] = "log of the mean of the views' softmax" if views > 1 else "logits: softmax gives the scores"
        if not config.has_exclusive_classes:
            output["meaning"] = f"logits ({config.problem_type or 'regression'})"
    described: dict[str, Any] = {
        "model": checkpoint.name,
        "format": file_format,
        "task": task,
        "input": {
            "name": INPUT,
            "dtype": dtype,
            "shape": shape,
            "axes": axes if views == 1 else [axes[0], "views", *axes[1:]],
            "max_batch": MAX_BATCH,
        },
        "output": output,
        "preprocessing": {
            "colour": "RGB",
            "pixels": "(value * rescale_factor - mean) / std",
            "rescale_factor": about["rescale_factor"] if about["do_rescale"] else 1.0,
            "mean": about["image_mean"] if about["do_normalize"] else [0.0] * config.num_channels,
            "std": about["image_std"] if about["do_normalize"] else [1.0] * config.num_channels,
            "resize": {"size": about["size"], "interpolation": "bilinear", "antialias": True}
            if about["do_resize"]
            else None,
            "centre_crop": about["crop_size"] if about["do_center_crop"] else None,
        },
        "sampling": {name: getattr(processor, name) for name in ("num_frames", "sampling", "sampling_rate")},
    }
    clips, crops = processor.num_clips, processor.num_crops
    if views in (1, clips * crops):  # else the file takes other views than the processor gives
        described["sampling"] |= {"num_clips": clips, "num_crops": crops}
    if about["do_resize"] and about["resample"] is not None:
        from PIL import Image

        described["preprocessing"]["resize"]["interpolation"] = Image.Resampling(about["resample"]).name.lower()
    if task == "classification":
        described["labels"] = [config.id2label[i] for i in range(config.num_labels)]
    return described


def _random_input(checkpoint: Checkpoint, batch: int, views: int) -> torch.Tensor:
    """Pixel values of the size that the processor gives, drawn from a fixed seed."""
    processor, config = checkpoint.processor, checkpoint.model.config
    size = processor.crop_size
    height, width = (size["height"], size["width"]) if processor.do_center_crop else (config.image_size,) * 2
    shape = (processor.num_frames, config.num_channels, height, width)
    shape = (batch, views, *shape) if views > 1 else (batch, *shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(batch)).to(checkpoint.model.dtype)


def _dynamic_batch() -> dict[str, Any]:
    return {INPUT: {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}}


def _data_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def _write_torch(graph: Graph, example: torch.Tensor, path: Path) -> None:
    program = torch.export.export(graph, (), kwargs={INPUT: example}, dynamic_shapes=_dynamic_batch(), strict=False)
    with file_for_torch(path) as file:
        torch.export.save(program, file)


def _load_torch(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    module = torch.export.load(path).module()
    return lambda pixel_values: module(**{INPUT: pixel_values})


def _write_onnx(graph: Graph, example: torch.Tensor, path: Path) -> None:
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values())
    program = torch.onnx.export(
        graph,
        (),
        kwargs={INPUT: example},
        dynamo=True,
        dynamic_shapes=_dynamic_batch(),
        input_names=[INPUT],
        output_names=[graph.output],
        opset_version=OPSET,
        verbose=False,
    )
    program.save(path, external_data=size > MAX_EMBEDDED_BYTES)


def _load_onnx(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pixel_values: torch.from_numpy(session.run(None, {INPUT: pixel_values.numpy()})[0])


def _check(
    run: Callable[[torch.Tensor], torch.Tensor],
    inputs: dict[int, torch.Tensor],
    expected: dict[int, torch.Tensor],
    allowed: float,
) -> dict[int, float]:
    """Largest absolute error by batch size; refuses a file that computes something else."""
    errors = {}
    for batch, value in expected.items():
        with torch.no_grad():
            found = run(inputs[batch]).float()
        if found.shape != value.shape:
            raise ValueError(
                f"The exported file gives shape {tuple(found.shape)} for a batch of {batch}, PyTorch "
                f"{tuple(value.shape)}. Nothing was written; please report it with the versions of torch and onnx."
            )
        errors[batch] = float((found - value).abs().max())
        if not errors[batch] <= allowed:
            raise ValueError(
                f"The exported file differs from PyTorch by {errors[batch]:.3g} for a batch of {batch}, more than "
                f"{allowed:.3g}. Nothing was written. Try --dtype float32."
            )
    return errors


def _move(folder: Path, path: Path) -> list[Path]:
    """Move the checked files to their place, the model last, so that it never stands there without its weights."""
    _data_file(path).unlink(missing_ok=True)  # an older file may have had its weights there
    names = sorted((item.name for item in folder.iterdir()), key=lambda name: name == path.name)
    for name in names:
        shutil.move(folder / name, path.parent / name)
    return [path.parent / name for name in reversed(names)]


__all__ = ["Exported", "describe", "export_model", "require_exporter"]
