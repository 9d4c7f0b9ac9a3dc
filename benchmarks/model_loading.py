# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Seconds from a folder to a model in host memory: `from_pretrained` of classifiers, imports left out.

    python -m benchmarks.model_loading [--presets base large] [--repeats 10] [--cpu-time]

Each library reads fp32 weights that it wrote itself, just before, so that the system has the files in memory.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from transformers import PreTrainedModel, VideoMAEForVideoClassification

from benchmarks.competitors import OURS, TRANSFORMERS, make_config, their_config, their_modeling, their_slow_table
from benchmarks.machine import describe
from benchmarks.row_file import RowFile
from benchmarks.settings import Settings, parse
from benchmarks.tables import print_machine, print_table
from benchmarks.timing import Summary, interleaved, speedup
from modeling_videomae_v2 import VideoMAEv2ForVideoClassification


CPU = torch.device("cpu")
COLUMNS = ("preset", "variant", "median_s", "q1_s", "q3_s", "speedup", "speedup_q1", "speedup_q3")


def write(preset: str, folder: Path) -> dict[str, Callable[[int], PreTrainedModel]]:
    """Write the models of both libraries; returns what loads them."""
    config = make_config(preset)
    models = {
        OURS: (VideoMAEv2ForVideoClassification, config),
        TRANSFORMERS: (VideoMAEForVideoClassification, their_config(config)),
    }
    for name, (model_class, config) in models.items():
        model_class._from_config(config).save_pretrained(folder / name)
    return {name: partial(_load, model_class, folder / name) for name, (model_class, _) in models.items()}


def _load(model_class: type[PreTrainedModel], folder: Path, number: int) -> PreTrainedModel:
    return model_class.from_pretrained(folder)


def measure(preset: str, settings: Settings) -> list[dict[str, Any]]:
    """A row for each library."""
    with tempfile.TemporaryDirectory() as folder:
        loads = write(preset, Path(folder))
        with mock.patch.object(their_modeling, "get_sinusoid_encoding_table", their_slow_table):
            seconds = interleaved(loads, settings.repeats, settings.warmup, CPU, settings.clock, lambda: settings.late)
    rows = []
    for name in loads:
        taken, ratio = Summary.of(seconds[name]), speedup(seconds[TRANSFORMERS], seconds[name])
        rows.append(
            {
                "section": "model_loading", "preset": preset, "variant": name, "dtype": "fp32",
                "clock": "cpu time" if settings.cpu_time else "wall", "median_s": round(taken.median, 3),
                "q1_s": round(taken.low, 3), "q3_s": round(taken.high, 3), "baseline": TRANSFORMERS,
                "speedup": round(ratio.median, 2), "speedup_q1": round(ratio.low, 2),
                "speedup_q3": round(ratio.high, 2), **describe(CPU),
            }
        )  # fmt: skip
    return rows


def run(settings: Settings) -> list[dict[str, Any]]:
    """Measure, print and write; returns the rows."""
    print_machine(CPU)
    results = RowFile("model_loading", CPU, settings.output)
    for preset in settings.presets:
        if not settings.late:
            results.put(measure(preset, settings))
    print_table(results.rows, {name: name for name in COLUMNS})
    results.announce()
    return results.rows


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    return run(parse(__doc__.split("\n")[0], arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
