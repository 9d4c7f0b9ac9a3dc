# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Start of the console command `videomae-v2`, also as `python -m modeling_videomae_v2`."""

import importlib.util
import sys


def main() -> None:
    """Run the command line, or say what it needs."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"`videomae-v2` needs {' and '.join(missing)}: pip install 'modeling-videomae-v2[app]'")
    from .cli import app

    app(prog_name="videomae-v2")


if __name__ == "__main__":
    main()
