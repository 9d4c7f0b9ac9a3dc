# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the commands of `training` import before they have read their arguments."""

import json
import subprocess
import sys
from pathlib import Path


CHECKOUT = Path(__file__).parents[1]
STAGES = ("pretrain", "finetune", "distill", "evaluate")

# `sys.argv`: pairs of a module and its arguments, in JSON. Prints what each ends with, and then what has been imported.
ANSWERING = """
import json, runpy, sys
codes = []
for module, arguments in json.loads(sys.argv[1]):
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(f"training.{module}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps([codes, [name for name in ("torch", "transformers", "datasets", "av") if name in sys.modules]]))
"""


def test_help_and_slips_of_the_pen_do_not_wait_for_pytorch(tmp_path: Path) -> None:
    nowhere, sources = str(tmp_path / "nowhere.yaml"), ["--data.sources", "[{path: list.txt}]"]
    misspelt, wrong_type, out_of_range = ["--batchsize", "4"], ["--batch_size", "many"], ["--batch_size", "0"]
    answered = [(module, ["--help"]) for module in (*STAGES, "build_hybrid", "motion", "demo")]
    answered += [("build_hybrid", [name, "--help"]) for name in ("kinetics710", "unlabeled", "check")]
    refused = [
        (stage, [*arguments, "--output_dir", str(tmp_path), *sources])
        for stage in STAGES
        for arguments in (["--config", nowhere], misspelt, wrong_type, out_of_range)
    ]
    refused += [("build_hybrid", ["kinetics710"]), ("motion", ["--seed", "x"]), ("demo", ["--scale", "0"])]
    command = [sys.executable, "-c", ANSWERING, json.dumps([*answered, *refused])]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    codes, imported = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0] * len(answered) + [2] * len(refused)
    assert imported == []
    for text in (nowhere, "batchsize", "'many'", "batch_size must be at least 1"):
        assert done.stderr.count(text) >= len(STAGES)
