# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 predict`: what is to be seen in videos, and when."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ..inference.clips import Clip, choose_sampling, clips_of
from ..inference.engine import BatchRunner, DecodeAhead, Finished
from ..inference.loading import Checkpoint, load_checkpoint
from ..inference.predictions import VideoScores, clock, scores_of
from ..inference.sources import Source, find_sources, printable
from ..inference.targets import choose_targets
from ..inference.timeline import require_matplotlib, write_csv, write_picture
from ..video_sources_videomae_v2 import import_av
from .options import (
    BatchSize,
    Clips,
    Compile,
    Device,
    Dtype,
    Model,
    ProcessorName,
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
        Path | None, typer.Option("--csv", help="Write the time line to this file; for several videos, a folder.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Draw the time line: png, pdf or svg; for several videos, a folder."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace time lines that are there; a video never is.")
    ] = False,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 8,
    workers: Workers = 1,
    compile: Compile = False,
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
    targets = {
        write_csv: choose_targets("--csv", csv, sources, ".csv", overwrite),
        write_picture: choose_targets("--picture", picture, sources, ".png", overwrite),
    }
    say_missing(reporter, sources)
    import_av()
    if picture is not None:
        require_matplotlib(targets[write_picture][0].suffix)
    settings = {"num_clips": clips, "num_crops": crops}
    checkpoint = load_checkpoint(
        model,
        "classification",
        revision=revision,
        processor=processor,
        device=device,
        dtype=dtype,
        processor_settings=settings,
    )
    slides = bool(csv or picture)
    sampling = choose_sampling(checkpoint.processor, window, stride, clips, slides=slides, by_clip=False)
    for note in checkpoint.notes:
        reporter.note(note)
    collected = _Collector(checkpoint, sources, top_k, picture is not None)

    def decode(source: Source) -> Iterator[Clip]:
        return clips_of(source.address, checkpoint.processor, sampling)

    runner = BatchRunner(checkpoint, lambda net, pixels: net(pixels).logits, batch_size, compile)
    with reporter.progress(len(sources)), DecodeAhead(sources, decode, workers, 2 * batch_size) as decoded:
        for event in runner.run(decoded):
            reporter.advance(event)
            if not isinstance(event, Finished):
                collected.add(event)
                continue
            scores = collected.finish(event)
            if scores.error:
                reporter.problem(scores.error)
            for write, paths in targets.items():
                if paths and scores.windows:
                    write(scores, paths[event.video])
            _show(reporter, scores, as_json, with_windows=sampling.window is not None)
    finish(reporter, collected.failed, len(sources))


class _Collector:
    """Scores of the videos that are not finished."""

    def __init__(self, checkpoint: Checkpoint, sources: list[Source], top_k: int, keep_all: bool) -> None:
        self._model, self._sources = checkpoint.model, sources
        names = checkpoint.model.config.id2label
        self._new = partial(VideoScores, labels=[names[i] for i in range(len(names))], top_k=top_k, keep_all=keep_all)
        self._scores: dict[int, VideoScores] = {}
        self.failed = 0

    def _of(self, video: int) -> VideoScores:
        return self._scores.setdefault(video, self._new(printable(self._sources[video].address)))

    def add(self, result: Any) -> None:
        self._of(result.video).add(result, scores_of(self._model, result.outputs))

    def finish(self, event: Finished) -> VideoScores:
        scores = self._of(event.video)
        del self._scores[event.video]
        if event.error:
            self.failed += 1
            scores.error = printable(str(event.error))
        return scores


def _show(reporter: Reporter, scores: VideoScores, as_json: bool, with_windows: bool) -> None:
    with reporter.output() as console:
        if as_json:
            typer.echo(json.dumps(scores.as_dict(with_windows), ensure_ascii=False, allow_nan=False))
        elif scores.windows:
            console.print(f"[bold]{escape(scores.video)}[/bold] ({clock(scores.duration)})", soft_wrap=True)
            for table in scores.tables(with_windows):
                console.print(table)
                console.print()


__all__ = ["predict"]
