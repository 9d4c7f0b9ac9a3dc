"""The tests of `test_gpu_flow.py` on a GPU that computes nothing, for machines without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from null_gpu.build import CannotBuildError, build


TESTS = Path(__file__).parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def null_gpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process that has the device."""
    try:
        return {**os.environ, **build(tmp_path_factory.mktemp("null_gpu"))}
    except CannotBuildError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(1200)  # it compiles for a GPU
def test_all_but_results(null_gpu: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "test_gpu_flow.py"]
    done = subprocess.run(command, env=null_gpu, cwd=TESTS, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-5_000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
