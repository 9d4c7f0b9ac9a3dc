# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What was measured beside what is wanted, from the CSV files of a folder.

    python -m benchmarks.targets [FOLDER]

Rows in bf16 with the default options count: SDPA's own choice, no checkpointing, no CUDA graph recorded by hand (our
training does not either), on a GPU AdamW with fused kernels.
Models are taken at their best batch size and in their best way (compiled or not), unless the figure says otherwise. A
figure whose rows come from different dates or versions says so.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.competitors import DUAL, ENCODER_ONLY, OURS, RESEARCH, TRANSFORMERS
from benchmarks.data_loading import AGAIN, CORES_PER_GPU, FINE_TUNING, WANTED_PER_GPU
from benchmarks.end_to_end import VIEWS
from benchmarks.inference import FLOAT8, INT8
from benchmarks.settings import CUDA_GRAPH
from benchmarks.tables import RESULTS, folder_of_rows, print_table, rows_by_device


Row = dict[str, Any]
COLUMNS = ("figure", "wanted", "measured", "batch", "status", "how")
NAMES = {"giant": "ViT-g", "base": "ViT-B"}


@dataclass(frozen=True)
class Found:
    """A figure, and the rows that it comes from, ours first."""

    value: float
    rows: tuple[Row, ...]
    how: str = ""


Find = Callable[[Sequence[Row]], Found | None]


@dataclass(frozen=True)
class Target:
    """A figure that is wanted: at least so much, or at most."""

    figure: str
    wanted: float
    find: Find
    at_most: bool = False

    def row(self, rows: Sequence[Row]) -> Row:
        """Line of the table."""
        found = self.find(rows)
        line: Row = {"figure": self.figure, "wanted": f"{'<=' if self.at_most else '>='} {self.wanted:g}"}
        if found is None:
            return {**line, "status": "not measured"}
        reached = found.value <= self.wanted if self.at_most else found.value >= self.wanted
        runs = {tuple(row.get(name) for name in ("date", "torch", "transformers")) for row in found.rows}
        batches = dict.fromkeys(f"{row['batch_size']:g}" for row in found.rows if row.get("batch_size", "") != "")
        how = ", ".join(filter(None, (found.how, "rows of different runs" if len(runs) > 1 else "")))
        return {**line, "measured": f"{found.value:.4g}", "batch": " and ".join(batches),
                "status": "reached" if reached else "missed", "how": how}  # fmt: skip


def chosen(rows: Sequence[Row], section: str, preset: str, variant: str) -> list[Row]:
    """Rows of one model that have times and were measured with the defaults."""
    own = {"section": section, "preset": preset, "variant": variant}
    defaults = {"status": "ok", "sdpa": "any", "checkpointing": "none"}
    return [
        row
        for row in rows
        if all(row.get(key) == value for key, value in {**own, **defaults}.items())
        and isinstance(row.get("clips_per_s"), float)
        and str(row["dtype"]).startswith("bf16")
        and CUDA_GRAPH not in str(row.get("compiled"))
    ]


def is_partial(row: Row) -> bool:
    """Whether this is a step of training without the optimizer, as CPUs are timed."""
    return row.get("section") in ("pretraining", "finetuning") and row.get("optimizer") == "none"


def fastest(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: row["clips_per_s"], default=None)


def way(row: Row) -> str:
    return "not compiled" if row["compiled"] == "off" else f"compiled: {row['compiled']}"


def rate(section: str, preset: str, variant: str, column: str = "clips_per_s") -> Find:
    """A column of the fastest row."""

    def find(rows: Sequence[Row]) -> Found | None:
        best = fastest(chosen(rows, section, preset, variant))
        return None if best is None else Found(best[column], (best,), way(best))

    return find


def over_transformers(preset: str) -> Find:
    """Dual masking over transformers' pre-training, which must have been compiled too."""

    def find(rows: Sequence[Row]) -> Found | None:
        ours = fastest(chosen(rows, "pretraining", preset, DUAL))
        theirs = chosen(rows, "pretraining", preset, TRANSFORMERS)
        if ours is None or all(row["compiled"] == "off" for row in theirs):
            return None
        best = fastest(theirs)
        return Found(ours["clips_per_s"] / best["clips_per_s"], (ours, best), f"{way(ours)}; theirs {way(best)}")

    return find


def over_research(preset: str) -> Find:
    """Dual masking over the research way, which is not compiled."""

    def find(rows: Sequence[Row]) -> Found | None:
        ours = fastest(chosen(rows, "pretraining", preset, DUAL))
        theirs = fastest([r for r in chosen(rows, "pretraining", preset, RESEARCH) if r["compiled"] == "off"])
        if ours is None or theirs is None:
            return None
        return Found(ours["clips_per_s"] / theirs["clips_per_s"], (ours, theirs), f"{way(ours)}; theirs {way(theirs)}")

    return find


def over_encoder_only(preset: str, column: str) -> Find:
    """Dual over encoder-only masking in our code: in the fastest way and at the fastest size that both have."""

    def find(rows: Sequence[Row]) -> Found | None:
        single = {
            (row["compiled"], row["batch_size"]): row
            for row in chosen(rows, "pretraining", preset, ENCODER_ONLY)
            if row[column] != ""
        }
        dual = fastest(
            [
                row
                for row in chosen(rows, "pretraining", preset, DUAL)
                if (row["compiled"], row["batch_size"]) in single and row[column] != ""
            ]
        )
        if dual is None:
            return None
        other = single[dual["compiled"], dual["batch_size"]]
        return Found(dual[column] / other[column], (dual, other), way(dual))

    return find


def compiled_alike(preset: str, variant: str = OURS) -> Find:
    """A classifier over transformers', both compiled in the way that is best for it of those measured with both."""

    def find(rows: Sequence[Row]) -> Found | None:
        ours, theirs = (
            [row for row in chosen(rows, "inference", preset, one) if row["compiled"] != "off"]
            for one in (variant, TRANSFORMERS)
        )
        best = fastest([row for row in ours if any(row["compiled"] == other["compiled"] for other in theirs)])
        if best is None:
            return None
        other = fastest([row for row in theirs if row["compiled"] == best["compiled"]])
        return Found(best["clips_per_s"] / other["clips_per_s"], (best, other), way(best))

    return find


def speedup(section: str, variant: str) -> Find:
    """Over transformers' ViT-B in the same rounds, not compiled."""

    def find(rows: Sequence[Row]) -> Found | None:
        found = [r for r in chosen(rows, section, "base", variant) if r["compiled"] == "off" and r["speedup"] != ""]
        best = fastest(found)
        how = "" if best is None else f"{best['threads']:g} threads, {best['clock']}"
        return None if best is None else Found(best["speedup"], (best,), how)

    return find


def share(section: str, preset: str, variants: Sequence[str]) -> Find:
    """Share of the speed without loading; of the first of the variants that was measured."""

    def find(rows: Sequence[Row]) -> Found | None:
        for variant in variants:
            own = {"section": section, "preset": preset, "variant": variant}
            found = [row for row in rows if own.items() <= row.items() and row.get("views", VIEWS) == VIEWS]
            if found:
                how = f"{variant}, {found[-1]['workers']:g} workers, {found[-1]['dtype']}"
                return Found(found[-1]["share"], (found[-1],), how)
        return None

    return find


def of_all_cores(rows: Sequence[Row]) -> Found | None:
    """Views per second of the loader on the cores of a GPU."""
    loaders = [row for row in rows if row.get("section") == "data_loading" and row["variant"].startswith("loader")]
    found = [row for row in loaders if AGAIN not in row["variant"] and row.get("part") != FINE_TUNING]
    return Found(CORES_PER_GPU * found[-1]["views_per_s_core"], (found[-1],), found[-1]["variant"]) if found else None


def gpu_targets() -> list[Target]:
    """What an H100 is to reach."""
    masking, inference_ = {"base": 1.79, "giant": 1.48}, "inference, 16 x 224 x 224"
    found = [
        Target("ViT-g, dual-masked pre-training, clips/s", 300, rate("pretraining", "giant", DUAL)),
        Target("the same, share of the peak", 0.55, rate("pretraining", "giant", DUAL, "utilisation")),
        Target("ViT-B, dual-masked pre-training, clips/s", 2500, rate("pretraining", "base", DUAL)),
    ]
    for preset in ("giant", "base"):
        name, pairs = NAMES[preset], f"{NAMES[preset]}, dual over encoder-only masking"
        found += [
            Target(f"{name}, pre-training over transformers' compiled", 2.0, over_transformers(preset)),
            Target(f"{name}, pre-training over the research way", 3.0, over_research(preset)),
            Target(f"{pairs}, speed", masking[preset], over_encoder_only(preset, "clips_per_s")),
            Target(f"{pairs}, activation memory", 0.55, over_encoder_only(preset, "kept_mib"), at_most=True),
            Target(f"{name}, {inference_}, over transformers' compiled alike", 1.2, compiled_alike(preset)),
            Target("the same with float8 products, over transformers' bf16", 1.2, compiled_alike(preset, FLOAT8)),
        ]
    loaders = ("loader, video files", "loader, frames in memory (no PyAV)")
    return [
        *found,
        Target(f"ViT-g, {inference_}, share of the peak", 0.6, rate("inference", "giant", OURS, "utilisation")),
        Target("ViT-g, end to end over clips on the device, 4 views", 0.9, share("end_to_end", "giant", loaders)),
    ]


def cpu_targets() -> list[Target]:
    """What a CPU with bf16 is to reach."""
    return [
        Target("ViT-B, classification in bf16 over transformers'", 1.2, speedup("inference", OURS)),
        Target("ViT-B, classification with int8 products over transformers' bf16", 1.5, speedup("inference", INT8)),
        Target("ViT-B, pre-training step in bf16 over transformers'", 1.8, speedup("pretraining", DUAL)),
        Target("ViT-B, features of videos over the model alone", 0.9, share("features", "base", ["folder of videos"])),
        Target(f"views/s of the loader on {CORES_PER_GPU} cores", WANTED_PER_GPU, of_all_cores),
    ]


def print_targets(folder: Path) -> None:
    """One table for each device that anything was measured on, and an empty one for a kind of device without."""
    by_device = rows_by_device(folder)
    for kind, targets in (("GPU", gpu_targets()), ("CPU", cpu_targets())):
        tables = {
            device: [target.row([row for row in rows if kind == "CPU" or not is_partial(row)]) for target in targets]
            for device, rows in by_device.items()
            if device.startswith("cpu") == (kind == "CPU")
        }
        tables = {name: lines for name, lines in tables.items() if any("measured" in line for line in lines)}
        for name, lines in (tables or {f"no {kind}": [target.row([]) for target in targets]}).items():
            print(f"targets: {name}")
            print_table(lines, {column: column for column in COLUMNS})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=folder_of_rows, default=RESULTS, help="where the CSV files are")
    print_targets(parser.parse_args(arguments).folder)


if __name__ == "__main__":
    main()
