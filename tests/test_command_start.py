# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""How the console command starts, and how it ends when somebody else wants it to."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from published_models import save_model
from systems import ends_by_request


CHECKOUT = Path(__file__).parents[1]

# `sys.argv`: the command lines, in JSON. Prints what each ends with, and then what it has imported.
ANSWERING = """
import json, sys
from videomae_v2_command import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps([codes, [name for name in ("torch", "transformers", "numpy", "av") if name in sys.modules]]))
"""

CONVERTING = """
import sys
from videomae_v2_command import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
import modeling_videomae_v2, transformers
assert modeling_videomae_v2.VideoMAEv2Config is type(transformers.AutoConfig.from_pretrained(sys.argv[-1]))
"""

# A command that takes long, with something to clear away.
WAITING = """
import signal, sys, tempfile, time
signal.SIGBREAK = signal.SIGUSR1  # which only Windows has
from videomae_v2_command import main
# the tests themselves may run in the background, where these are ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_IGN if "ignored" in sys.argv else signal.SIG_DFL)  # ignored as by `nohup`
sys.argv[1:] = ["--version"]
try:
    main()
except SystemExit:
    from modeling_videomae_v2.cli import app  # loaded by then

@app.command()
def wait(folder: str):
    with tempfile.TemporaryDirectory(dir=folder):
        print("waiting", flush=True)
        time.sleep(60)

sys.argv[1:] = ["wait", FOLDER]
main()
"""


# Ctrl-C while something is imported.
INTERRUPTED = """
import signal, sys
from videomae_v2_command import main
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finder:
    def find_spec(name, *rest):
        if name == "modeling_videomae_v2.cli":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder)
main()
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=240, check=False)


def test_help_and_wrong_arguments_do_not_wait_for_pytorch(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    film, absent = str(tmp_path / "film.mp4"), str(tmp_path / "absent")
    answered = [["--help"], ["--version"]]
    answered += [[name, "--help"] for name in ("predict", "features", "convert", "export", "publish")]
    wrong = [["predict", "--top-q", "1"], ["predict", absent], ["unknown"]]
    refused = [["predict", "model", absent], ["features", "model", absent, "--out", absent], ["predict", absent, film]]
    done = run(ANSWERING, json.dumps([*answered, *wrong, *refused]))
    assert done.returncode == 0, done.stderr
    codes, imported = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0] * len(answered) + [2] * len(wrong) + [1] * len(refused)
    assert imported == []


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_command_registers_the_classes_all_the_same(tmp_path: Path) -> None:
    done = run(CONVERTING, "convert", str(save_model(tmp_path / "model")), str(tmp_path / "converted"))
    assert done.returncode == 0, done.stderr


@ends_by_request
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_a_command_that_is_ended_clears_up(ending: str, tmp_path: Path) -> None:
    assert _ended_by(tmp_path, getattr(signal, ending)) == 128 + getattr(signal, ending)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_something_is_imported() -> None:
    done = run(INTERRUPTED)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "")


@ends_by_request
def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    assert _ended_by(tmp_path, signal.SIGHUP, signal.SIGTERM, ignored=True) == 128 + signal.SIGTERM


def _ended_by(folder: Path, *signals: signal.Signals, ignored: bool = False) -> int:
    """Exit code of a command that gets these signals."""
    command = [sys.executable, "-c", WAITING.replace("FOLDER", repr(str(folder))), *["ignored"] * ignored]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        while process.stdout.readline() != "waiting\n":
            assert process.poll() is None
        assert len(list(folder.iterdir())) == 1
        for number in signals:
            process.send_signal(number)
        return process.wait(timeout=60)
    finally:
        process.kill()
        process.communicate()
