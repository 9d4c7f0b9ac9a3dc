# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The console command as a whole: what it offers, what it needs, how it says that something is wrong."""

import importlib.util
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from modeling_videomae_v2.__main__ import main
from modeling_videomae_v2.cli import ErrorsInWords, app


def test_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("convert", "publish", "predict", "features", "export"):
        assert command in result.output


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
