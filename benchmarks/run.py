# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""All benchmarks with one command; the pieces run on their own as well (`python -m benchmarks.<piece>`).

    python -m benchmarks.run [--pieces pretrain_step inference] [--presets base giant] [--minutes 9] [--output FOLDER]

Takes the options of the pieces. Files and pictures go to `benchmarks/results` unless `--output` says otherwise. What
matters most comes first, each piece gets its share of `--minutes`, and files are written with every measurement. Pieces
run in a process of their own: one that fails is reported, the others go on in another, and the command ends with an
error. At the end, or when it is stopped (SIGTERM, Ctrl-C), it draws pictures and compares figures with targets.
"""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchmarks import (
    STARTED,
    attention,
    data_loading,
    end_to_end,
    features,
    finetune_step,
    inference,
    memory,
    pretrain_step,
)
from benchmarks.apart import run_apart
from benchmarks.flops import PRESET_NAMES
from benchmarks.plots import draw_all
from benchmarks.settings import Settings, make_parser, read
from benchmarks.tables import RESULTS, device_name
from benchmarks.targets import print_targets


Piece = Callable[[Settings], Any]
AFTER = 30.0  # seconds after the time is up, when what still runs is stopped


def run_memory(settings: Settings) -> None:
    """Every size of model, unless some were asked for: nothing is computed in full here."""
    memory.run(settings if settings.presets_asked else replace(settings, presets=PRESET_NAMES))


PIECES: dict[str, Piece] = {  # what matters most comes first
    "pretrain_step": pretrain_step.run, "inference": inference.run, "end_to_end": end_to_end.run_defaults,
    "features": features.run_defaults, "finetune_step": finetune_step.run, "attention": attention.run,
    "data_loading": data_loading.run_defaults, "memory": run_memory,
}  # fmt: skip
SHARES = {  # of the time; the others: 1
    "cuda": {"pretrain_step": 30, "inference": 11, "end_to_end": 7},
    "cpu": {"pretrain_step": 10, "inference": 5, "end_to_end": 3, "features": 3, "finetune_step": 3},
}


def default_pieces(device: torch.device) -> list[str]:
    """All; what counts memory without a GPU is left to machines that have none."""
    return [name for name in PIECES if name != "memory" or device.type != "cuda"]


def with_own_limit(settings: Settings, left: Sequence[str]) -> Settings:
    """Settings of the first of the pieces that are left, which gets its share of the time that is."""
    shares = [SHARES[settings.device.type].get(name, 1) for name in left]
    return settings.with_share(shares[0] / sum(shares))


def run_piece(settings: Settings, pieces: Sequence[str], threads: int, number: int) -> None:
    """One of the pieces, unless the time is up."""
    name = pieces[number]
    if settings.late:
        print(f"{name}: left out, the {settings.minutes:g} minutes are over", flush=True)
        return
    torch.set_num_threads(threads)
    print(f"== {name}", flush=True)
    PIECES[name](with_own_limit(settings, pieces[number:]))


def finish(settings: Settings) -> None:
    """Draw pictures of all rows in the folder, this run's and earlier ones, and compare them with the targets."""
    for path in draw_all(settings.output, device=device_name(settings.device)):
        print(f"drawn: {path}")
    print_targets(settings.output)


def main(arguments: Sequence[str] | None = None, started: float | None = None) -> int:
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument(
        "--pieces", nargs="+", choices=tuple(PIECES), help="what to run (default: what suits the device)"
    )
    parser.set_defaults(output=RESULTS, profile="ours")
    settings = read(parser, args := parser.parse_args(arguments))
    settings = replace(settings, started=time.monotonic() if started is None else started)
    pieces = args.pieces or default_pieces(settings.device)
    work = partial(run_piece, settings, pieces, torch.get_num_threads())
    try:
        failed = run_apart(work, len(pieces), None if args.minutes is None else settings.seconds_left + AFTER)
    finally:
        finish(settings)
    if failed:
        print(f"failed or stopped: {', '.join(pieces[number] for number in failed)}")
    return 1 if failed else 0


def _stop(*_: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:], STARTED))
