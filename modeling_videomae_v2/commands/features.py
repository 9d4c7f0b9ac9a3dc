# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 features`: vectors of clips, for retrieval, detection and what else is built on them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..folders import given_path
from ..inference.parts import Part
from ..inference.sources import Source, find_sources, printable
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
    from ..inference.engine import BatchRunner, DecodeAhead, Result
    from ..inference.store import FeatureStore


TOKENS = ("clip", "tubelet", "all")


def features(
    model: Model,
    videos: Videos,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given_path, help="Folder for the features and their index.", show_default=False
        ),
    ],
    window: Window = None,
    stride: Stride = None,
    clips: Clips = None,
    tokens: Annotated[
        str,
        typer.Option("--tokens", help="clip: a vector a clip; tubelet: one a step in time; all: one a cube."),
    ] = "clip",
    file_format: Annotated[str, typer.Option("--format", help="safetensors or npy.")] = "safetensors",
    parquet: Annotated[bool, typer.Option("--parquet", help="Write the index as Parquet, too.")] = False,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="K/N", help="The K-th of N parts of the videos; others share the folder."),
    ] = None,
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
    """Write the features of videos, clip by clip.

    A window of one clip slides over each video, unless --window, --stride or
    --clips say otherwise.

    Takes any checkpoint: pre-trained, a classifier or a bare encoder. The same
    command goes on where it was interrupted: finished videos are left as they are.

    Videos that cannot be read, and those whose features are too many for the
    memory, are reported, and the exit code is then 1.
    """
    reporter = Reporter(quiet)
    if tokens not in TOKENS:
        raise ValueError(f"`--tokens` must be one of {', '.join(TOKENS)}, got {tokens!r}.")
    own_part = None if part is None else Part.parse(part)
    if own_part and parquet:
        raise ValueError(
            "`--parquet` and `--part` do not go together: a part knows nothing of the others. When all are done, run "
            "the command once more with `--parquet`, and without `--part`."
        )
    sources = _choose(videos, own_part, reporter)
    check_place(model, revision)

    from ..inference.clips import choose_sampling, clips_of
    from ..inference.engine import BatchRunner, DecodeAhead
    from ..inference.feature_values import check_size, describe_settings, features_of
    from ..inference.loading import load_checkpoint
    from ..inference.store import FeatureStore, require_pyarrow
    from ..video_sources_videomae_v2 import import_av

    import_av()
    if parquet:
        require_pyarrow()
    checkpoint = load_checkpoint(
        model,
        "features",
        revision=revision,
        processor=processor,
        device=device,
        dtype=dtype,
        processor_settings={"num_clips": clips or 1, "num_crops": 1},
    )
    sampling = choose_sampling(checkpoint.processor, window, stride, clips, slides=True, by_clip=True)
    products = "float8" if checkpoint.model.device.type == "cuda" else "int8"
    settings = describe_settings(checkpoint, sampling, tokens, f"{dtype}, {products} products" if quantize else dtype)
    runner = BatchRunner(checkpoint, partial(features_of, tokens=tokens), batch_size, compile, quantize)
    store = FeatureStore(out, settings, file_format, own_part)
    for note in checkpoint.notes:
        reporter.note(note)
    left = [source for source in sources if not store.is_finished(source)]
    if len(left) < len(sources):
        done = f"{len(sources) - len(left)} of {len(sources)} videos are" if len(sources) > 1 else "The video is"
        reporter.note(f"{done} finished already.")

    def decode(source: Source) -> Iterator["Clip"]:
        for clip in clips_of(source.address, checkpoint.processor, sampling):
            check_size(source, clip, checkpoint.model.config, tokens)  # raised here, it is an error of this video alone
            yield clip

    with reporter.progress(len(left)), DecodeAhead(left, decode, workers, 2 * batch_size) as decoded:
        failed = _write_all(runner, decoded, left, store, reporter)
    if parquet:
        store.write_parquet()
    seconds = runner.busy_seconds + runner.idle_seconds
    if left and seconds:
        busy = 100 * runner.busy_seconds / seconds
        written = len(left) - failed
        videos_written = f"{written} video{'s' if written != 1 else ''} written to {out}"
        reporter.note(f"{videos_written}; the model was busy {busy:.0f}% of the time.")
    finish(reporter, failed, len(sources))


def _choose(videos: list[str], part: Part | None, reporter: Reporter) -> list[Source]:
    """The videos, or a part of them; a part without any has been done."""
    sources = find_sources(videos)
    say_missing(reporter, sources)
    if part is None:
        return sources
    if not (taken := part.take(sources)):
        reporter.note(f"Nothing to do: of {len(sources)} videos, part {part.number}/{part.of} has none.")
        raise typer.Exit
    return taken


def _write_all(
    runner: "BatchRunner", decoded: "DecodeAhead", sources: list[Source], store: "FeatureStore", reporter: Reporter
) -> int:
    """Write each video as it is finished; returns how many could not be read."""
    from ..inference.engine import Finished
    from ..inference.feature_values import join

    failed = 0
    rows: dict[int, list[Result]] = {}
    for event in runner.run(decoded):
        reporter.advance(event)
        if not isinstance(event, Finished):
            rows.setdefault(event.video, []).append(event)
            continue
        results = rows.pop(event.video, [])
        if event.error:
            failed += 1
            reporter.problem(printable(str(event.error)))
            continue
        store.write(sources[event.video], join(results))
    return failed


__all__ = ["features"]
