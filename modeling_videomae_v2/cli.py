# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The console command `videomae-v2`: one function per command, each in its file under `commands/`."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from .commands.convert import convert
from .commands.export import export
from .commands.features import features
from .commands.predict import predict
from .commands.publish import publish
from .version import __version__


# What wrong input raises: said in words and with exit code 1. Anything else is a fault of ours and shows where.
USER_ERRORS = (ValueError, OSError, ImportError)
# The same, of safetensors and huggingface_hub: by name, since it takes time to import them.
NAMED_USER_ERRORS = frozenset({"SafetensorError", "StrictDataclassError"})


def is_for_the_user(error: Exception) -> bool:
    """Whether it is to be said in words."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, USER_ERRORS) or not names.isdisjoint(NAMED_USER_ERRORS)


class ErrorsInWords(TyperGroup):
    """Runs a command; what the user can set right is said without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of the output has gone, as `| head` does
            raise
        except Exception as error:
            if not is_for_the_user(error):
                raise
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


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"videomae-v2 {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """VideoMAE V2: convert, publish and use checkpoints."""


for command in (convert, publish, predict, features, export):
    app.command()(command)


__all__ = ["app"]
