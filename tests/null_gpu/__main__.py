"""Run a command on a GPU that computes nothing: `python tests/null_gpu python -m benchmarks.traffic`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from build import build


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(sys.argv[1:], env={**os.environ, **build(Path(folder))}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
