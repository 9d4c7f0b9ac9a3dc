# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 publish`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from ..folders import given_path


if TYPE_CHECKING:
    from ..publishing.staging import StagedRepository
    from ..publishing.upload import Plan


COLOURS = {
    "new": "green",
    "changed": "yellow",
    "removed": "red",
    "same": "dim",
    "kept": "dim",
    "not compared": "magenta",
}


def publish(
    folder: Annotated[
        Path, typer.Argument(parser=given_path, help="Folder that save_pretrained or `videomae-v2 convert` wrote.")
    ],
    repo_id: Annotated[str, typer.Argument(help="NAMESPACE/NAME on the Hub; NAME alone is your own.")],
    private: Annotated[bool, typer.Option("--private", help="Make the new repository private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show everything, send nothing.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over files that have other content on the Hub.")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Branch, made if it is not there. Default: main.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of a commit.")] = False,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", help="Licence of the weights. Default: that of README.md, else cc-by-nc-4.0, the authors'."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(parser=given_path, help="Text or JSON file with the names of the classes.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Pattern of further files to send; may be repeated.")
    ] = None,
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None,
) -> None:
    """Publish a model on the Hub as a complete repository: weights, code, processor, card and licences.

    It is first loaded in a clean process, as somebody without this package would. All files go in one commit. Cut off,
    the same command goes on with what has not arrived.
    """
    from ..publishing.publish import Progress, publish_folder

    console = Console(highlight=False, soft_wrap=True)

    class Shown(Progress):
        def planned(self, repository: "StagedRepository", plan: "Plan") -> None:
            _show(console, repository, plan)

        def starts(self, step: str) -> None:
            console.print(f"{escape(step)} ...")

    url = publish_folder(
        folder,
        repo_id,
        private=private,
        replace=replace,
        revision=revision,
        create_pr=create_pr,
        licence=licence,
        labels=labels,
        include=include or (),
        message=message,
        dry_run=dry_run,
        progress=Shown(),
    )
    if url is not None:
        console.print(f"Published: {escape(url)}")
    else:
        console.print("Nothing was sent." if dry_run else "Nothing to send: the Hub has all of it.")


def _show(console: Console, repository: "StagedRepository", plan: "Plan") -> None:
    table = Table("file", "size", "on the Hub", title=f"{plan.repo_id} ({plan.revision})", title_justify="left")
    table.columns[1].justify = "right"
    for entry in plan.entries:
        state = entry.state.value
        table.add_row(escape(entry.path), decimal(entry.size), f"[{COLOURS[state]}]{state}[/{COLOURS[state]}]")
    console.print(table)
    for note in repository.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")
