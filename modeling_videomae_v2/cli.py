# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The console command `videomae-v2`: one function per command, each in its file under `commands/`."""

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from .commands.convert import convert
from .commands.export import export
from .commands.features import features
from .commands.predict import predict
from .commands.publish import publish


# What wrong input raises: said in words and with exit code 1. Anything else is a fault of ours and shows where.
USER_ERRORS = (ValueError, OSError, ImportError, FileNotFoundError)


class ErrorsInWords(TyperGroup):
    """Runs a command; what the user can set right is said without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of the output has gone, as `| head` does
            raise
        except USER_ERRORS as error:
            Console(stderr=True, highlight=False).print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="videomae-v2",
    help="VideoMAE V2: convert, publish and use checkpoints.",
    cls=ErrorsInWords,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (convert, publish, predict, features, export):
    app.command()(command)


__all__ = ["app"]
