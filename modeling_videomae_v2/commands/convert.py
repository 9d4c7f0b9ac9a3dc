# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 convert`: checkpoints of any origin, to ours and back."""

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..folders import given_path


class Target(str, Enum):
    """What to convert to."""

    ours = "ours"
    transformers = "transformers"
    official = "official"


class Sampling(str, Enum):
    """How frames of a clip are chosen."""

    dense = "dense"
    uniform = "uniform"


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            parser=os.path.expanduser,
            help="A .pth file of the research code, or a folder or Hub repository of any VideoMAE.",
        ),
    ],
    destination: Annotated[
        Path,
        typer.Argument(metavar="DST", parser=given_path, help="New folder; with --to official a new .pth file."),
    ],
    to: Annotated[
        Target,
        typer.Option(help="Classes of this package, transformers' own VideoMAE, or a file for the research code."),
    ] = Target.ours,
    labels: Annotated[
        Path | None,
        typer.Option(parser=given_path, help="Names of the classes, one a line, as the authors' label_map_k710.txt."),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, help="Classes to keep: ids in JSON, as label_710to400.json, or names, one a line."
        ),
    ] = None,
    renames: Annotated[
        Path | None,
        typer.Option(parser=given_path, help="Other names of classes in JSON, as k710_identical_label_merge.json."),
    ] = None,
    num_attention_heads: Annotated[
        int | None, typer.Option(min=1, help="Heads, for a width of no published model.")
    ] = None,
    decoder_num_attention_heads: Annotated[
        int | None, typer.Option(min=1, help="Heads of the decoder, likewise.")
    ] = None,
    num_frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip; 16 if not given.")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Side of the frames; 224 if not given.")] = None,
    sampling: Annotated[
        Sampling | None, typer.Option(help="Frames at a fixed distance, or spread over the video (SSv2).")
    ] = None,
    sampling_rate: Annotated[int | None, typer.Option(min=1, help="Distance of the frames of a dense clip.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub repository.")] = None,
    shard_size: Annotated[str, typer.Option(help="Largest size of a file with weights.")] = "1GB",
) -> None:
    """Convert a checkpoint: width, depth, patch, classes and kind are read from the weights.

    No code in SRC is run. DST holds a model for from_pretrained, with its video processor.
    """
    from rich.console import Console
    from rich.markup import escape

    from ..conversion.architecture import UnseenSettings
    from ..conversion.class_selection import LabelFiles
    from ..conversion.converting import convert_checkpoint

    console = Console(stderr=True, highlight=False)
    given = {"sampling": None if sampling is None else sampling.value, "sampling_rate": sampling_rate}
    with console.status(f"Converting {escape(source)}"):
        done = convert_checkpoint(
            source,
            destination,
            to=to.value,
            label_files=LabelFiles(labels, label_map, renames),
            unseen=UnseenSettings(num_attention_heads, decoder_num_attention_heads, num_frames, image_size),
            processing={name: value for name, value in given.items() if value is not None},
            revision=revision,
            shard_size=shard_size,
        )
    facts = [done.kind, done.size or "no published size", f"{done.num_parameters:,} weights in {done.dtype}"]
    if done.num_labels is not None:
        facts.append(f"{done.num_labels} classes")
    typer.echo(f"{done.destination}: {', '.join(facts)}")
