# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The console command as a whole: what it offers, what it needs, how it says that something is wrong."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from modeling_videomae_v2.__main__ import main
from modeling_videomae_v2.cli import ErrorsInWords, app


def test_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("convert", "publish", "predict", "features", "export"):
        assert command in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "~/x", "~/x", "--labels=~/x", "--label-map=~/x", "--renames", "~/x"],
        ["publish", "~/x", "~name", "--labels=~/x"],
        ["predict", "~/x", "~/x", "~/x", "--csv=~/x", "--picture", "~/x", "--processor=~/x"],
        ["features", "~/x", "~/x", "~/x", "--out=~/x", "--processor=~/x"],
        ["export", "~/x", "~/x", "--processor=~/x"],
    ],
)
def test_a_home_at_the_start_of_a_path_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """No shell does it in `--out=~/x`, and a folder `~` would be made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows

    def paths(given: list[str]) -> list[str]:
        values = get_command(app).commands[given[0]].make_context(given[0], given[1:]).params.values()
        every = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return [os.path.normpath(value) for value in every if isinstance(value, (str, Path))]

    expected = sum(argument.endswith("~/x") for argument in arguments)
    assert paths(arguments).count(str(tmp_path / "x")) == expected
    folder_here = [argument.replace("~/x", "./~/x") for argument in arguments]
    assert paths(folder_here).count(os.path.join("~", "x")) == expected


def test_errors_are_said_in_words_and_faults_are_not_hidden() -> None:
    def fails(kind: str) -> None:
        raise {"user": ValueError("[bold] is wrong"), "ours": ZeroDivisionError("oops")}[kind]

    tool = typer.Typer(cls=ErrorsInWords)
    tool.command()(fails)
    tool.command()(lambda: None)
    result = CliRunner().invoke(tool, ["fails", "user"])
    assert result.exit_code == 1
    assert "Error: [bold] is wrong" in result.output
    assert isinstance(CliRunner().invoke(tool, ["fails", "ours"]).exception, ZeroDivisionError)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "typer" else found(name))
    with pytest.raises(SystemExit, match=r"typer.*modeling-videomae-v2\[app\]"):
        main()


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_library_needs_no_command_line() -> None:
    code = "import sys; sys.modules['typer'] = sys.modules['rich'] = None; import modeling_videomae_v2"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
