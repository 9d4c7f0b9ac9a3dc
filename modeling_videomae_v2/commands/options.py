# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Arguments that `predict`, `features` and `export` share, and how they show what goes on."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..inference.sources import Source, printable, refuse_missing


if TYPE_CHECKING:
    from ..inference.engine import Finished, Result


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", parser=os.path.expanduser, help="Folder or Hub name of the checkpoint.", show_default=False
    ),
]
Videos = Annotated[
    list[str],
    typer.Argument(
        metavar="VIDEO",
        parser=os.path.expanduser,
        show_default=False,
        help="Files, folders (all videos in them) or URLs (http, hf, s3, ...).",
    ),
]
Clips = Annotated[
    int | None,
    typer.Option("--clips", min=1, help="Clips spread over each video; if not given, as the processor says."),
]
Window = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="LENGTH",
        help="Slide a window over each video: clip (as long as a clip of the processor), 4 (seconds) or 64f (frames).",
    ),
]
Stride = Annotated[
    str | None,
    typer.Option(
        "--stride",
        metavar="LENGTH",
        help="From one window to the next: 0.5 (seconds) or 16f (frames); if not given, the window.",
    ),
]
ProcessorName = Annotated[
    str | None,
    typer.Option(
        "--processor",
        metavar="NAME",
        parser=os.path.expanduser,
        help="Folder or Hub name of the processor, if it is not MODEL.",
    ),
]
Revision = Annotated[str | None, typer.Option("--revision", help="Branch, tag or commit of a MODEL on the Hub.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Clips that the model sees at once.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Videos that are decoded at the same time.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the blocks first: seconds, then faster on a GPU.")]
Quantize = Annotated[
    bool,
    typer.Option("--quantize", help="8-bit linear layers: int8 on a CPU; float8 on a GPU, best with --compile."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no notes.")]


class Reporter:
    """Progress and notes on the standard error, results on the standard output."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self.results = Console(highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        hidden = quiet or not self._errors.is_terminal
        self._progress = Progress(*columns, console=self._errors, transient=True, disable=hidden)

    @contextlib.contextmanager
    def progress(self, videos: int) -> Iterator[None]:
        """Show a bar for the videos and one for the clips of the current video."""
        self._videos = self._progress.add_task("videos", total=videos)
        self._clips = self._progress.add_task("clips", total=None)
        with self._progress:
            yield

    def advance(self, event: "Result | Finished") -> None:
        """Move the bars."""
        from ..inference.engine import Finished

        if isinstance(event, Finished):
            self._progress.advance(self._videos)
            self._progress.update(self._clips, completed=0, total=None)
        else:
            self._progress.update(self._clips, completed=event.clip.number + 1, total=event.clip.count)

    @contextlib.contextmanager
    def output(self) -> Iterator[Console]:
        """The standard output; on a terminal the bars are out of the way meanwhile."""
        shared = self.results.file.isatty() and self._progress.live.is_started
        if shared:
            self._progress.stop()
        yield self.results
        self.results.file.flush()
        if shared:
            self._progress.start()

    def note(self, text: str) -> None:
        """Say something that is good to know."""
        if not self._quiet:
            self._errors.print(escape(text))

    def problem(self, text: str) -> None:
        """Say what went wrong, also to those who want it quiet."""
        self._errors.print(f"[red]Error:[/red] {escape(text)}")


def say_missing(reporter: Reporter, sources: Sequence[Source]) -> None:
    """Name the files that do not exist before the model loads; without any other video, end there."""
    for address in refuse_missing(sources):
        reporter.note(f"There is no video {printable(address)}; the others go on.")


def finish(reporter: Reporter, failed: int, total: int) -> None:
    """End with exit code 1 if videos could not be read."""
    if failed:
        which = f"{failed} of {total} videos" if total > 1 else "The video"
        reporter.problem(f"{which} could not be read, or not to the end; see above.")
        raise typer.Exit(1)


__all__ = [
    "BatchSize",
    "Clips",
    "Compile",
    "Device",
    "Dtype",
    "Model",
    "ProcessorName",
    "Quantize",
    "Quiet",
    "Reporter",
    "Revision",
    "Stride",
    "Videos",
    "Window",
    "Workers",
    "finish",
    "say_missing",
]
