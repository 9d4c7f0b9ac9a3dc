# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""All benchmarks with one command; the pieces run on their own as well (`python -m benchmarks.<piece>`).

    python -m benchmarks.run [--pieces pretrain_step inference] [--presets base giant] [--minutes 9] [--output FOLDER]

Takes the options of the pieces. Files and pictures go to `benchmarks/results` unless `--output` says otherwise. What
matters most comes first, each piece gets its share of `--minutes`, and files are written with every measurement. A
piece that fails is reported, the others go on, and the command ends with an error.
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


PIECES: dict[str, Piece] = {  # what matters most comes first
    "pretrain_step": pretrain_step.run, "finetune_step": finetune_step.run, "inference": inference.run,
    "attention": attention.run, "end_to_end": end_to_end.run_defaults, "features": features.run_defaults,
    "data_loading": run_data_loading, "memory": run_memory,
}  # fmt: skip
SHARES = {"pretrain_step": 10, "finetune_step": 3, "inference": 3, "attention": 2, "end_to_end": 3}  # the others: 1


def default_pieces(device: torch.device) -> list[str]:
    """All; what counts memory without a GPU is left to machines that have none."""
    return [name for name in PIECES if name != "memory" or device.type != "cuda"]


def with_own_limit(settings: Settings, left: Sequence[str]) -> Settings:
    """Settings of the first of the pieces that are left, which gets its share of the time that is."""
    shares = [SHARES.get(name, 1) for name in left]
    return settings.with_share(shares[0] / sum(shares))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument(
        "--pieces", nargs="+", choices=tuple(PIECES), help="what to run (default: what suits the device)"
    )
    parser.set_defaults(output=RESULTS, profile="ours")
    args = parser.parse_args(arguments)
    settings = read(parser, args)
    failed = []
    pieces = args.pieces or default_pieces(settings.device)
    for place, name in enumerate(pieces):
        if settings.late:
            print(f"{name}: left out, the {settings.minutes:g} minutes are over")
            continue
        print(f"== {name}", flush=True)
        try:
            PIECES[name](with_own_limit(settings, pieces[place:]))
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
