# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Write the videos of a list or a folder again such that training decodes them fast (`data/reencoding.py`).

    python -m training.reencode data/k710/train.txt data/k710_fast --root data/k710

The same command goes on where it was interrupted.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape

from .console import errors_in_words, print_some, progress_bar, screen


if TYPE_CHECKING:
    from modeling_videomae_v2.inference.parts import Part

    from .data.files import ListSource
    from .data.sources import IndexedSource

BAD_FILE = "not_written"


def main(
    videos: Annotated[str, typer.Argument(help="a list as training reads it, or a folder")],
    output: Annotated[Path, typer.Argument(help="folder to write to; each video keeps its path in it")],
    root: Annotated[str, typer.Option(help="folder of the videos of a list; default: that of the list")] = "",
    size: Annotated[int, typer.Option(min=16, help="shorter side, in pixels, of what is larger")] = 256,
    crf: Annotated[int, typer.Option(min=0, max=51, help="quality: 0 the best, 51 the worst; x264's own is 23")] = 20,
    workers: Annotated[int | None, typer.Option(min=1, help="videos at a time; default: one for each core")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="K/N", help="the K-th of N parts of the videos; others share the folder")
    ] = None,
) -> None:
    """Write videos again such that training decodes them fast: small, and with few frames needed for a clip.

    Frame i stays frame i, so the list stays true. What is there already is left as it is. Exit code 1: some videos
    cannot be decoded; not_written.txt in the folder names them.
    """
    with errors_in_words():
        # what imports PyTorch is imported where it is used: arguments are answered without it
        from modeling_videomae_v2.inference.parts import Part

        from .data.files import FolderSource

        share = Part.parse(part) if part else Part(1, 1)
        source: IndexedSource
        if os.path.isdir(videos):
            if root:
                raise ValueError(f"--root is for lists, and {videos} is a folder. Leave it out.")
            source, root = FolderSource(videos), videos
        else:
            source, root = _open_list(videos, root), root or os.path.dirname(videos)
        _demand_other_folder(output, root, is_source=root == videos)
        numbers = share.take(list(_by_path(source, root).items()))
        result = _write_all(source, numbers, output, size, crf, workers or _cores())
        _report(result, output, None if part is None else share)
    if result.bad:
        raise typer.Exit(1)


@dataclass
class Result:
    """What became of the videos.

    Attributes:
        there: How many were there already.
        written: How many were written.
        bytes_before, bytes_after: Sizes of those.
        bad: Why others were not, by path.
    """

    there: int = 0
    written: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    bad: dict[str, str] = field(default_factory=dict)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_list(path: str, root: str) -> "ListSource":
    """A list with classes or without: only with them may four columns be `path start total label`."""
    from .data.files import ListSource

    try:
        return ListSource(path, root, labelled=True)
    except ValueError:
        return ListSource(path, root)


def _demand_other_folder(output: Path, root: str, is_source: bool) -> None:
    """Refuse to write among the videos."""
    place, own = os.path.realpath(output), os.path.realpath(root or os.curdir)
    inside, around = place.startswith(os.path.join(own, "")), own.startswith(os.path.join(place, ""))
    if place == own or around or (is_source and inside):
        raise ValueError(f"The videos lie in {root or os.curdir}, and so would the new ones. Name a folder elsewhere.")


def _by_path(source: "IndexedSource", root: str) -> dict[str, int]:
    """Number of each video, once, by its path in the folder."""
    found: dict[str, int] = {}
    absolute = sum(map(os.path.isabs, source.paths))
    if absolute:
        screen.print(
            f"{absolute:,} paths are absolute, so training would go on reading the old files: take "
            f"{escape(os.path.join(os.path.abspath(root), ''))} out of the list.", soft_wrap=True,
        )  # fmt: skip
    for number, path in enumerate(source.paths):
        inside = os.path.relpath(path, os.path.abspath(root)) if os.path.isabs(path) else os.path.normpath(path)
        if "://" not in path and inside.partition(os.sep)[0] == os.pardir:
            raise ValueError(
                f"{source.name}: {path} lies outside of {root or os.curdir}. Set --root to the folder that holds all."
            )
        found.setdefault(path if "://" in path else inside, number)
    return found


def _write_all(
    source: "IndexedSource", numbers: Sequence[tuple[str, int]], output: Path, size: int, crf: int, workers: int
) -> Result:
    """Write those of the videos that are not there yet."""
    from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError

    from .data.faults import Fault
    from .data.reencoding import demand_encoder, reencode
    from .thread_pool import in_order

    demand_encoder()
    stopped, result = Event(), Result()

    def write(job: tuple[str, int]) -> tuple[str, str | int]:
        """Path, and why it was not written, or the size that it had."""
        inside, number = job
        video, target = source.get(number, 0).content, output / inside
        if "://" in video:
            return inside, "an address. Download it first."
        if os.path.isdir(video):
            return inside, "a folder of pictures, which is left as it is."
        if target.exists():
            return inside, 0
        try:
            reencode(video, target, size=size, crf=crf, stopped=stopped.is_set)
        except (FileNotFoundError, VideoDecodingError) as error:
            return inside, Fault.of(video, error).reason
        return inside, os.path.getsize(video)

    with progress_bar() as bar, closing(in_order(write, numbers, workers, stopped.set)) as results:
        task = bar.add_task("Writing", total=len(numbers))
        for inside, found in results:
            if isinstance(found, str):
                result.bad[inside] = found
            elif found:
                result.written, result.bytes_before = result.written + 1, result.bytes_before + found
                result.bytes_after += os.path.getsize(output / inside)
            else:
                result.there += 1
            bar.advance(task)
    return result


def _report(result: Result, output: Path, part: "Part | None") -> None:
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


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    typer.run(main)
