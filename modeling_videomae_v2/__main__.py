# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line, also as `python -m modeling_videomae_v2`."""

import importlib.util
import signal
import sys
from typing import Any


# What `kill` and batch systems send, and a terminal that is closed.
ENDINGS = ("SIGTERM", "SIGHUP")


def main() -> None:
    """Run the command line, or say what it needs."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"`videomae-v2` needs {' and '.join(missing)}: pip install 'modeling-videomae-v2[app]'")
    for name in ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, _leave)
    from .cli import app

    app(prog_name="videomae-v2")


def _leave(number: int, _: Any) -> None:
    """End as after Ctrl-C: what is unfinished is removed, and processes that were started end, too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
