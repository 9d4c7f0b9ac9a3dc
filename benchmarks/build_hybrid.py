# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of building the hybrid data sets out of millions of lines.

    python -m benchmarks.build_hybrid [--lines 3000000] [--output FILE.csv]

Writes random lists, CSV files of Kinetics-400/600/700 with repeated ids and a WebVid CSV, of `--lines` lines each, and
builds Kinetics-710 and a draw of 250,000 from them, each in a process of its own. Time is processor time, without that
of writing the random lists; the peak of memory stands beside what the process holds after its imports.
"""

import argparse
import csv
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe
from training.disk import local_path


# Lines of each version and split in a million, about as in the published lists.
SHARES = {(400, "train"): 0.152, (600, "train"): 0.246, (700, "train"): 0.519, (400, "val"): 0.018, (600, "val"): 0.027,
          (700, "val"): 0.038}  # fmt: skip
LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
MIB = 2**20


def write_kinetics(folder: Path, lines: int, rng: np.random.Generator) -> None:
    """CSV files whose ids repeat across versions and splits."""
    ids = LETTERS[rng.integers(0, 64, (int(lines * 0.6), 11), np.uint8)]
    for (version, split), share in SHARES.items():
        count = int(lines * share)
        chosen, labels, starts = (
            rng.integers(len(ids), size=count),
            rng.integers(version, size=count),
            rng.integers(300),
        )
        with (folder / f"{version}_{split}.csv").open("w") as file:
            file.write("label,youtube_id,time_start,time_end,split\n")
            for row, label in zip(chosen.tolist(), labels.tolist()):
                file.write(f"class {label},{ids[row].tobytes().decode()},{starts},{starts + 10},{split}\n")


def write_webvid(folder: Path, lines: int, rng: np.random.Generator) -> None:
    """A CSV file with the published columns."""
    numbers = rng.permutation(lines * 10)[:lines]
    with (folder / "webvid.csv").open("w") as file:
        file.write("videoid,contentUrl,duration,page_dir,name\n")
        for number in numbers.tolist():
            text = f"Clip {number}, with a comma"
            file.write(f'{number},https://host/{number}.mp4,PT00H00M10S,{number % 5000:06}_page,"{text}"\n')


def build(name: str, folder: Path) -> int:
    """Build one of the data sets; how many videos were kept."""
    from training.hybrid.kinetics_lists import SPLITS, KineticsList
    from training.hybrid.labeled import KineticsOptions, build_kinetics710
    from training.hybrid.unlabeled import UnlabeledOptions, build_unlabeled

    if name == "kinetics710":
        lists = [
            KineticsList(str(folder / f"{version}_{split}.csv"), version, int(split == "val"))
            for version, split in SHARES
        ]
        report = build_kinetics710(KineticsOptions(lists), str(folder / name))
        return sum(report[split]["kept"] for split in SPLITS)
    options = UnlabeledOptions({"webvid": str(folder / "webvid.csv")})
    return build_unlabeled(options, str(folder / name))["total"]


def measure(name: str, folder: str, queue: Any) -> None:
    """Build in this process, and put what it took into the queue."""
    import datasets  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import training.hybrid.labeled
    import training.hybrid.unlabeled  # noqa: F401

    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    kept = build(name, Path(folder))
    seconds, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queue.put({"kept": kept, "cpu_seconds": round(seconds, 1), "imports_mib": before * 1024 // MIB,
               "peak_mib": peak * 1024 // MIB})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lines", type=int, default=3_000_000, help="lines of all lists of a data set together")
    parser.add_argument("--output", type=local_path, help="CSV file to write")
    args = parser.parse_args()
    machine, rows = describe(torch.device("cpu")), []
    print(json.dumps(machine))
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("kinetics710", write_kinetics), ("webvid", write_webvid)):
            write(Path(folder), args.lines, np.random.default_rng(0))
            queue = context.SimpleQueue()
            process = context.Process(target=measure, args=(name, folder, queue))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{name} failed with exit code {process.exitcode}")
            rows.append({"data": name, "lines": args.lines, **queue.get()})
            row = rows[-1]
            print(
                f"{name:12} {row['lines']:,} lines, {row['kept']:,} kept: {row['cpu_seconds']} s of processor time, "
                f"peak {row['peak_mib']} MiB ({row['imports_mib']} MiB after the imports)"
            )
    if args.output:
        with open(args.output, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=[*rows[0], *machine])
            writer.writeheader()
            writer.writerows({**row, **machine} for row in rows)


if __name__ == "__main__":
    main()
