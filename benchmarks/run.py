# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""All benchmarks with one command; the pieces run on their own as well (`python -m benchmarks.<piece>`).

    python -m benchmarks.run [--pieces pretrain_step inference] [--presets base giant] [--minutes 9] [--output FOLDER]

Takes the options of the pieces. Files and pictures go to `benchmarks/results` unless `--output` says otherwise. A piece
that fails is reported, the others go on, and the command ends with an error.
"""

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import attention, end_to_end, features, finetune_step, inference, memory, pretrain_step
from benchmarks.flops import PRESET_NAMES
from benchmarks.plots import draw_all
from benchmarks.settings import Settings, make_parser, read
from benchmarks.tables import device_name, read_csv


RESULTS = Path(__file__).parent / "results"
Piece = Callable[[Settings], Any]


def run_end_to_end(settings: Settings) -> None:
    forwarded = ["--presets", *settings.presets, "--device", settings.device.type, "--compile", settings.compiled[-1]]
    forwarded += ["--optimizer", settings.optimizer, "--repeats", str(settings.repeats)]
    end_to_end.main([*forwarded, "--output", str(settings.output)])


def run_data_loading(settings: Settings) -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        print("data_loading: PyAV is not installed (`pip install av`), so no video can be written or read; left out")
        return
    from benchmarks import data_loading

    threads = torch.get_num_threads()
    name = f"data-loading-{device_name(torch.device('cpu'))}.csv"
    data_loading.main(["--output", str(settings.output / name)])
    torch.set_num_threads(threads)


def run_memory(settings: Settings) -> None:
    """Every size of model, unless some were asked for: nothing is computed in full here."""
    memory.run(settings if settings.presets_asked else replace(settings, presets=PRESET_NAMES))


PIECES: dict[str, Piece] = {
    "memory": run_memory, "attention": attention.run, "inference": inference.run, "pretrain_step": pretrain_step.run,
    "finetune_step": finetune_step.run, "features": features.run_defaults, "data_loading": run_data_loading,
    "end_to_end": run_end_to_end,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--pieces", nargs="+", choices=tuple(PIECES), default=list(PIECES), help="what to run")
    parser.set_defaults(output=RESULTS, profile=True)
    args = parser.parse_args(arguments)
    settings = read(parser, args)
    failed = []
    for name in args.pieces:
        if settings.late:
            print(f"{name}: left out, the {settings.minutes:g} minutes are over")
            continue
        print(f"== {name}", flush=True)
        try:
            PIECES[name](settings)
        except Exception:  # the next piece may work
            traceback.print_exc()
            failed.append(name)
    suffix = device_name(settings.device)
    for path in draw_all(read_csv(sorted(settings.output.glob(f"*-{suffix}.csv"))), settings.output, suffix):
        print(f"drawn: {path}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
