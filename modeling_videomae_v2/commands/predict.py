# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 predict`: what is to be seen in videos, and when."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..folders import given_path
from ..inference.sources import Source, find_sources
from ..inference.targets import choose_targets
from ..places import check_place
from .options import (
    BatchSize,
    Clips,
    Compile,
    Device,
    Dtype,
    Model,
    ProcessorName,
    Quantize,
    Quiet,
    Reporter,
    Revision,
    Stride,
    Videos,
    Window,
    Workers,
    finish,
    say_missing,
)


if TYPE_CHECKING:
    from ..inference.clips import Clip
    from ..inference.predictions import VideoScores


def predict(
    model: Model,
    videos: Videos,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="Classes to name.")] = 5,
    clips: Clips = None,
    crops: Annotated[
        int | None, typer.Option("--crops", min=1, help="Crops of each clip; if not given, as the processor says.")
    ] = None,
    window: Window = None,
    stride: Stride = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each video, a line each.")] = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", parser=given_path, help="Write the time line to this file; for several videos, a folder."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture", parser=given_path, help="Draw the time line: png, pdf or svg; for several videos, a folder."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace time lines that are there; a video never is.")
    ] = False,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 8,
    workers: Workers = 1,
    compile: Compile = False,
    quantize: Quantize = False,
    revision: Revision = None,
    processor: ProcessorName = None,
    quiet: Quiet = False,
) -> None:
    """Classify videos, as a whole or in a sliding window.

    A video gets one answer, averaged over --clips and --crops. With --window,
    --stride, --csv or --picture it gets one for each place of a sliding window.

    Videos that cannot be read are reported, and the exit code is then 1.
    """
    reporter = Reporter(quiet)
    sources = find_sources(videos, unique_names=bool(csv or picture))
    if csv is not None and csv == picture:
        raise ValueError(f"`--csv` and `--picture` both name {csv}. Name two files.")
    lines = choose_targets("--csv", csv, sources, ".csv", overwrite)
    pictures = choose_targets("--picture", picture, sources, ".png", overwrite)
    say_missing(reporter, sources)
    check_place(model, revision)

    from ..inference.clips import choose_sampling, clips_of
    from ..inference.engine import BatchRunner, DecodeAhead, Finished
    from ..inference.loading import load_checkpoint
    from ..inference.predictions import ScoreCollector
    from ..inference.timeline import require_matplotlib, write_csv, write_picture
    from ..video_sources_videomae_v2 import import_av

    import_av()
    if picture is not None:
        require_matplotlib(pictures[0].suffix)
    given = {"num_clips": clips, "num_crops": crops}
    checkpoint = load_checkpoint(
        model,
        "classification",
        revision=revision,
        processor=processor,
        device=device,
        dtype=dtype,
        # a value of None would stand for the default of the class
        processor_settings={name: value for name, value in given.items() if value is not None},
    )
    slides = bool(csv or picture)
    sampling = choose_sampling(checkpoint.processor, window, stride, clips, slides=slides, by_clip=False)
    for note in checkpoint.notes:
        reporter.note(note)
    collected = ScoreCollector(checkpoint.model, sources, top_k, picture is not None)

    def decode(source: Source) -> Iterator["Clip"]:
        return clips_of(source.address, checkpoint.processor, sampling)

    runner = BatchRunner(
        checkpoint, lambda net, pixels: net(pixels, return_dict=True).logits, batch_size, compile, quantize
    )
    with reporter.progress(len(sources)), DecodeAhead(sources, decode, workers, 2 * batch_size) as decoded:
        for event in runner.run(decoded):
            reporter.advance(event)
            if not isinstance(event, Finished):
                collected.add(event)
                continue
            scores = collected.finish(event)
            if scores.error:
                reporter.problem(scores.error)
            for write, paths in ((write_csv, lines), (write_picture, pictures)):
                if paths and scores.windows:
                    write(scores, paths[event.video])
            _show(reporter, scores, as_json, with_windows=sampling.window is not None)
    finish(reporter, collected.failed, len(sources))


def _show(reporter: Reporter, scores: "VideoScores", as_json: bool, with_windows: bool) -> None:
    with reporter.output() as console:
        if as_json:
            escaped = not console.encoding.startswith("utf")
            typer.echo(json.dumps(scores.as_dict(with_windows), ensure_ascii=escaped, allow_nan=False))
        elif scores.windows:
            console.print(f"[bold]{escape(scores.video)}[/bold] ({scores.length})", soft_wrap=True)
            for table in scores.tables(with_windows):
                console.print(table)
                console.print()


__all__ = ["predict"]
