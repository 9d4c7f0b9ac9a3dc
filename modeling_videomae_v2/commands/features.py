# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 features`: vectors of clips, for retrieval, detection and what else is built on them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ..inference.clips import Clip, Sampling, choose_sampling, clips_of
from ..inference.engine import BatchRunner, DecodeAhead, Finished, Result
from ..inference.loading import Checkpoint, load_checkpoint
from ..inference.sources import Source, find_sources, printable
from ..inference.store import FORMATS, MADE_FROM, FeatureStore, VideoFeatures, require_pyarrow
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


TOKENS = ("clip", "tubelet", "all")
# The features of a video stay in memory until it is finished; one with more than this is refused.
MAX_BYTES = 4 * 1024**3


def features(
    model: Model,
    videos: Videos,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the features and their index.", show_default=False)
    ],
    window: Window = None,
    stride: Stride = None,
    clips: Clips = None,
    tokens: Annotated[
        str,
        typer.Option("--tokens", help="clip: a vector a clip; tubelet: one a step in time; all: one a cube."),
    ] = "clip",
    file_format: Annotated[str, typer.Option("--format", help=f"{' or '.join(FORMATS)}.")] = "safetensors",
    parquet: Annotated[bool, typer.Option("--parquet", help="Write the index as Parquet, too.")] = False,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch_size: BatchSize = 8,
    workers: Workers = 1,
    compile: Compile = False,
    revision: Revision = None,
    processor: ProcessorName = None,
    quiet: Quiet = False,
) -> None:
    """Write the features of videos, clip by clip.

    A window of one clip slides over each video, unless --window, --stride or
    --clips say otherwise.

    Takes any checkpoint: pre-trained, a classifier or a bare encoder. The same
    command goes on where it was interrupted: finished videos are left as they are.

    Videos that cannot be read are reported, and the exit code is then 1.
    """
    reporter = Reporter(quiet)
    if tokens not in TOKENS:
        raise ValueError(f"`--tokens` must be one of {', '.join(TOKENS)}, got {tokens!r}.")
    sources = find_sources(videos)
    say_missing(reporter, sources)
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
    settings = _settings(checkpoint, sampling, tokens, dtype)
    store = FeatureStore(out, settings, file_format)
    for note in checkpoint.notes:
        reporter.note(note)
    left = [source for source in sources if not store.is_finished(source)]
    if len(left) < len(sources):
        done = f"{len(sources) - len(left)} of {len(sources)} videos are" if len(sources) > 1 else "The video is"
        reporter.note(f"{done} finished already.")
    runner = BatchRunner(checkpoint, partial(_features_of, tokens=tokens), batch_size, compile)

    def decode(source: Source) -> Iterator[Clip]:
        return clips_of(source.address, checkpoint.processor, sampling)

    with reporter.progress(len(left)), DecodeAhead(left, decode, workers, 2 * batch_size) as decoded:
        failed = _write_all(runner, decoded, left, store, reporter)
    if parquet:
        store.write_parquet()
    seconds = runner.busy_seconds + runner.idle_seconds
    if left and seconds:
        share = 100 * runner.busy_seconds / seconds
        written = len(left) - failed
        videos_written = f"{written} video{'s' if written != 1 else ''} written to {out}"
        reporter.note(f"{videos_written}; the model was busy {share:.0f}% of the time.")
    finish(reporter, failed, len(sources))


def _write_all(
    runner: BatchRunner, decoded: DecodeAhead, sources: list[Source], store: FeatureStore, reporter: Reporter
) -> int:
    """Write each video as it is finished; returns how many could not be read."""
    failed = 0
    rows: dict[int, list[Result]] = {}
    for event in runner.run(decoded):
        reporter.advance(event)
        if not isinstance(event, Finished):
            _check_size(sources[event.video], event)
            rows.setdefault(event.video, []).append(event)
            continue
        results = rows.pop(event.video, [])
        if event.error:
            failed += 1
            reporter.problem(printable(str(event.error)))
            continue
        video = VideoFeatures(
            torch.cat([result.outputs for result in results]),
            [result.clip.start for result in results],
            [result.clip.end for result in results],
            results[0].clip.duration,
            results[0].clip.fps,
        )
        store.write(sources[event.video], video)
    return failed


def _check_size(source: Source, result: Result) -> None:
    size = result.clip.count * result.outputs.numel() * result.outputs.element_size()
    if size > MAX_BYTES:
        raise ValueError(
            f"The features of {source.address} would take {size / 1024**3:.1f} GiB of memory. Use --tokens clip or "
            "tubelet, or a longer --stride."
        )


def _features_of(model: torch.nn.Module, pixel_values: torch.Tensor, tokens: str) -> torch.Tensor:
    """`(n, D)`, `(n, T, D)` or `(n, N, D)`."""
    outputs = model(pixel_values)
    if tokens == "clip":
        return outputs.pooler_output
    if tokens == "all":
        return outputs.last_hidden_state
    steps = pixel_values.shape[1] // model.config.tubelet_size
    return outputs.last_hidden_state.unflatten(1, (steps, -1)).mean(dim=2)


def _settings(checkpoint: Checkpoint, sampling: Sampling, tokens: str, dtype: str) -> dict[str, Any]:
    """What decides the values of the features; the same for the same weights, wherever they lie."""
    about = checkpoint.processor.to_dict()
    own = (
        "num_frames", "sampling", "sampling_rate", "num_clips", "fps", "do_resize", "size", "resample",
        "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std",
    )  # fmt: skip
    return {
        MADE_FROM: checkpoint.name,
        "model": checkpoint.fingerprint(),
        "dtype": dtype,
        "tokens": tokens,
        **sampling.describe(),
        **{f"processor.{name}": about.get(name) for name in own},
    }


__all__ = ["features"]
