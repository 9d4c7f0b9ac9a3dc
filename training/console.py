# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What commands that go through many videos share: the screen, progress, errors in words."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


SHOWN = 10  # bad videos that are named on the screen
screen = Console(highlight=False)
messages = Console(stderr=True, highlight=False)


def escape_foreign_letters() -> None:
    """From here on, the standard output has escapes where its encoding lacks a letter, or a name is no text."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # Windows writes files in a code page
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def ending_in_words() -> Iterator[None]:
    """Within it, what the user can set right ends the command, without a traceback and with exit code 1."""
    escape_foreign_letters()
    try:
        yield
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        messages.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar below the messages, which goes when all is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True) as bar:
        yield bar


def print_some(lines: list[str], more: str) -> None:
    """The first lines, indented, and how many there are more; `more` says where all of them are."""
    for line in lines[:SHOWN]:
        text = line.encode(errors="replace").decode()  # names of files are bytes, which need not be text
        screen.print(escape(f"  {text}"), soft_wrap=True)
    if len(lines) > SHOWN:
        screen.print(f"  and {len(lines) - SHOWN:,} more ({more})")
