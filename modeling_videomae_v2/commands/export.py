# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 export`: files for programs that know nothing of this package."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..folders import given_path, refuse_address
from ..places import check_place
from .options import Model, ProcessorName, Quiet, Reporter, Revision


if TYPE_CHECKING:
    from ..inference.exporting import Exported


def export(
    model: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT", parser=given_path, help="File to write.", show_default=False)],
    file_format: Annotated[
        str | None, typer.Option("--format", help="onnx or torch (torch.export); if not given, by the suffix of OUT.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="classification or features; if not given, classification where MODEL can do it."),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="float32, float16 or (torch only) bfloat16.")] = "float32",
    views: Annotated[
        int, typer.Option("--views", min=1, help="Views of a video that the classifier averages, as a dimension.")
    ] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
    revision: Revision = None,
    processor: ProcessorName = None,
    quiet: Quiet = False,
) -> None:
    """Export a model as an ONNX or torch.export file that takes any batch.

    The file is compared with PyTorch at two batch sizes before it is kept.
    Preprocessing, frame sampling and label names are written beside it as JSON.
    """
    reporter = Reporter(quiet)
    refuse_address(out, "OUT")
    check_place(model, revision)

    from ..inference.exporting import OUTPUTS, SUFFIXES, export_model, require_exporter
    from ..inference.loading import load_checkpoint

    if out.is_dir():
        suffix = SUFFIXES.get(file_format or "onnx", "")
        raise ValueError(f"{out} is a folder. Name the file in it, such as {out / f'model{suffix}'}.")
    chosen = file_format or {suffix: name for name, suffix in SUFFIXES.items()}.get(out.suffix)
    if chosen is None:
        raise ValueError(f"The suffix of {out} does not tell the format. Pass --format onnx or --format torch.")
    require_exporter(chosen, dtype)
    if out.exists() and not out.is_file():
        raise ValueError(f"{out} is no file that can be replaced. Name another.")
    task = task or _task_of(model, revision)
    if task not in OUTPUTS:
        raise ValueError(f"`--task` must be one of {', '.join(OUTPUTS)}, got {task!r}.")
    if views > 1 and task != "classification":
        raise ValueError(f"`--views` {views} averages the answers of a classifier; features have none. Leave it out.")
    checkpoint = load_checkpoint(model, task, revision=revision, processor=processor, device="cpu", dtype=dtype)
    for note in checkpoint.notes:
        reporter.note(note)
    with _quiet_exporter():
        exported = export_model(checkpoint, out, chosen, dtype, task, views, overwrite)
    _report(reporter, exported)


def _task_of(model: str, revision: str | None) -> str:
    """Classification for a checkpoint that says it is a classifier."""
    from transformers import PreTrainedConfig

    try:
        architectures = PreTrainedConfig.get_config_dict(model, revision=revision)[0].get("architectures")
    except (OSError, ValueError):
        return "classification"  # loading it will tell what is wrong
    return "classification" if "Classification" in str(architectures) else "features"


def _report(reporter: Reporter, exported: "Exported") -> None:
    from rich.filesize import decimal

    for path in exported.files:
        typer.echo(f"{path}  {decimal(path.stat().st_size)}")
    errors = ", ".join(f"{error:.2g} for a batch of {batch}" for batch, error in exported.errors.items())
    reporter.note(f"Largest difference to PyTorch: {errors}; largest output {exported.scale:.3g}.")


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without what the exporters tell their own developers."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


__all__ = ["export"]
