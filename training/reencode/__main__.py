# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.reencode LIST_OR_FOLDER OUTPUT`; the same command goes on where it was interrupted."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape

from ..console import ending_in_words, print_some, progress_bar, screen
from ..disk import given_path
from ..interrupts import end_on_sigterm


if TYPE_CHECKING:
    from modeling_videomae_v2.inference.parts import Part

    from .many import Result

BAD_FILE = "not_written"


def main(
    videos: Annotated[str, typer.Argument(parser=os.path.expanduser, help="a list as training reads it, or a folder")],
    output: Annotated[
        Path, typer.Argument(parser=given_path, help="folder to write to; each video keeps its path in it")
    ],
    root: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            parser=os.path.expanduser,
            help="folder of the videos of a list; default: that of the list",
        ),
    ] = "",
    size: Annotated[int, typer.Option(min=16, help="shorter side, in pixels, of what is larger")] = 256,
    crf: Annotated[int, typer.Option(min=0, max=51, help="quality: 0 the best, 51 the worst; x264's own is 23")] = 20,
    workers: Annotated[int | None, typer.Option(min=1, help="videos at a time; default: one for each core")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="K/N", help="the K-th of N parts of the videos; others share the folder")
    ] = None,
) -> None:
    """Write videos again such that training decodes them fast: small, and with few frames needed for a clip.

    Frame i stays frame i, so the list stays true. What is there already is left as it is; a folder that was begun with
    another --size or --crf is refused. Exit code 1: some videos cannot be decoded, or other ones are there under their
    names; not_written.txt in the folder names them.
    """
    with ending_in_words():
        # what imports PyTorch is imported where it is used: arguments are answered without it
        from modeling_videomae_v2.inference.parts import Part

        from .many import Videos, write_all

        share = Part.parse(part) if part else Part(1, 1)
        found = Videos.of(videos, root)
        found.demand_other_folder(output)
        if found.absolute:
            screen.print(
                f"{found.absolute:,} paths are absolute, so training would go on reading the old files: take "
                f"{escape(os.path.join(os.path.abspath(found.root), ''))} out of the list.", soft_wrap=True,
            )  # fmt: skip
        paths = share.take(list(found.numbers))
        with progress_bar() as bar:
            done = partial(bar.advance, bar.add_task("Writing", total=len(paths)))
            result = write_all(found, paths, output, size=size, crf=crf, workers=workers or _cores(), done=done)
        _report(result, output, None if part is None else share)
    if result.bad:
        raise typer.Exit(1)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _report(result: "Result", output: Path, part: "Part | None") -> None:
    """Say what became of the videos, and name those that were not written in a file of their own."""
    named = output / (f"{BAD_FILE}.txt" if part is None else f"{BAD_FILE}-{part.number}-of-{part.of}.txt")
    for earlier in output.glob(f"{BAD_FILE}*.txt") if part is None else [named]:
        earlier.unlink(missing_ok=True)
    lines = [f"{path}\t{' '.join(reason.split())}" for path, reason in result.bad.items()]
    if lines:
        output.mkdir(parents=True, exist_ok=True)
        named.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape")
    before, after = decimal(result.bytes_before), decimal(result.bytes_after)
    sizes = f" ({before} became {after})" if result.written else ""
    there = f", {result.there:,} were there" if result.there else ""
    screen.print(escape(f"{output}: {result.written:,} videos written{sizes}{there}."), soft_wrap=True)
    if lines:
        screen.print(f"{len(lines):,} were not written:")
        print_some(lines, f"all of them: {named}")


if __name__ == "__main__":
    end_on_sigterm()
    typer.run(main)
