# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line, also as `python -m modeling_videomae_v2`."""

import importlib.util
import io
import signal
import sys
from typing import Any


# What `kill` and batch systems send, a terminal that is closed, Ctrl-Break (on Windows) and Ctrl-C, also while
# something is imported.
ENDINGS = ("SIGTERM", "SIGHUP", "SIGBREAK", "SIGINT")
UNCHANGED = (signal.SIG_DFL, signal.default_int_handler)  # `nohup` has some ignored


def main() -> None:
    """Run the command line, or say what it needs."""
    for name in ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in UNCHANGED:
            signal.signal(number, _leave)
    if isinstance(sys.stdout, io.TextIOWrapper):  # Windows writes files in a code page, which lacks most letters
        sys.stdout.reconfigure(errors="backslashreplace")
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"`videomae-v2` needs {' and '.join(missing)}: pip install 'modeling-videomae-v2[app]'")
    from .cli import app

    app(prog_name="videomae-v2")


def _leave(number: int, _: Any) -> None:
    """End, but not at once: what is unfinished is removed, and processes that were started end, too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
