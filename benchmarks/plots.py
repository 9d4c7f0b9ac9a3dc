# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of measured rows: speed against batch size and against size of model, and where the time goes.

    python -m benchmarks.plots [FOLDER] [--output FOLDER]

Draws all that the CSV files of a folder allow, those of a run that was stopped as well.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.flops import PRESET_NAMES
from benchmarks.profiling import SHARES
from benchmarks.runtimes import is_runtime
from benchmarks.settings import TINY
from benchmarks.tables import RESULTS, folder_of_rows, rows_by_device
from training.disk import local_path


Rows = list[dict[str, Any]]
PRESETS = (*PRESET_NAMES, TINY)
TITLES = {"pretraining": "Pre-training step", "finetuning": "Fine-tuning step", "inference": "Inference"}
COLOURS = {"ours": "#1b6ca8", "transformers": "#c8553d", "research": "#8a8a8a"}
TITLE_INCHES = 0.07  # between the top of a picture and its title
LINES = ("-", "--", ":", "-.")
SHARE_COLOURS = ("#1b6ca8", "#5fa8d3", "#f2a65a", "#c8b8a0", "#8f5da8", "#d9d9d9")


def style(variant: str, all_variants: Sequence[str]) -> dict[str, Any]:
    """Colour by whose model it is, line by which of theirs, squares for compiled ones."""
    family = next((name for name in COLOURS if variant.startswith(name)), "research")
    siblings = [name for name in all_variants if name.startswith(family)]
    return {"color": COLOURS[family], "linestyle": LINES[siblings.index(variant) % len(LINES)],
            "marker": "s" if "compiled" in variant else "o"}  # fmt: skip


def measured(rows: Rows, section: str) -> Rows:
    """Rows of one kind of step that have figures, for the threads and the clock that most of them have.

    Programs for exported models are measured beside few others, and are left out.
    """
    found = [row for row in rows if row.get("section") == section and isinstance(row.get("clips_per_s"), float)]
    return alike([row for row in found if not is_runtime(row["variant"])])


def alike(rows: Rows) -> Rows:
    """Those for the threads and the clock that most of them have; a picture names one of each."""
    conditions = [(row.get("threads"), row.get("clock")) for row in rows]
    usual = max(conditions, key=conditions.count, default=None)
    return [row for row, condition in zip(rows, conditions) if condition == usual]


def label(row: dict[str, Any]) -> str:
    compiled = "" if row["compiled"] == "off" else f", compiled: {row['compiled'].replace(' (default)', '')}"
    return f"{row['variant']}, {row['dtype']}{compiled}"


def short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def caption(rows: Rows, path: Path) -> str:
    threads = f", {rows[0]['threads']:g} threads" if "-cpu-" in path.name else ""
    threads += ", CPU time" if "cpu" in str(rows[0].get("clock", "")) else ""
    torch, date = (" and ".join(sorted({str(row[name]) for row in rows})) for name in ("torch", "date"))
    return f"{rows[0]['device']}{threads}; torch {torch}, {date}"


def against_batch_size(rows: Rows, section: str, path: Path) -> bool:
    """One panel for each size of model with more than one batch size; False if there is none.

    Of a variant that was measured at several, what was measured at one alone (compiled, say) is left out.
    """
    rows = measured(rows, section)
    presets = [p for p in PRESETS if len({row["batch_size"] for row in rows if row["preset"] == p}) > 1]
    if not presets:
        return False
    figure, panels = new_figure(len(presets))
    for panel, preset in zip(panels, presets):
        labels = list(dict.fromkeys(label(row) for row in rows))
        lines: dict[str, Rows] = {}
        for row in sorted(rows, key=lambda row: row["batch_size"]):
            if row["preset"] == preset:
                lines.setdefault(label(row), []).append(row)
        swept = {line[0]["variant"] for line in lines.values() if len(line) > 1}
        for name, line in lines.items():
            if len(line) > 1 or line[0]["variant"] not in swept:
                points = [(row["batch_size"], row["clips_per_s"]) for row in line]
                panel.plot(*zip(*points), label=name, **style(name, labels))
        panel.set(xlabel="clips per call", ylabel="clips per second", title=preset, xscale="log", ylim=(0, None))
        sizes = sorted({row["batch_size"] for row in rows if row["preset"] == preset})
        panel.set_xticks(sizes, [f"{size:g}" for size in sizes])
        panel.minorticks_off()
    save(figure, panels, f"{TITLES[section]}: speed against batch size", caption(rows, path), path)
    return True


def against_model_size(rows: Rows, section: str, path: Path) -> bool:
    """Bars of the best speed of every variant, the fastest on top; False if nothing was measured."""
    rows = [row for row in measured(rows, section) if row["best_batch"] in (True, "True")]
    if not rows:
        return False
    presets = [p for p in PRESETS if any(row["preset"] == p for row in rows)]
    figure, panels = new_figure(len(presets), height=0.6 + 0.28 * len({label(row) for row in rows}))
    for panel, preset in zip(panels, presets):
        chosen = sorted((row for row in rows if row["preset"] == preset), key=lambda row: row["clips_per_s"])
        colours = [style(label(row), [label(row)])["color"] for row in chosen]
        bars = panel.barh([label(row) for row in chosen], [row["clips_per_s"] for row in chosen], color=colours)
        texts = [f"{short(row['clips_per_s'])} ({100 * row['utilisation']:.0f}% of peak)" for row in chosen]
        panel.bar_label(bars, texts, padding=3, fontsize=8)
        panel.set(title=preset, xlabel="clips per second", xlim=(0, 1.5 * max(row["clips_per_s"] for row in chosen)))
        panel.grid(axis="y", visible=False)
    save(figure, panels, f"{TITLES[section]}: clips per second", caption(rows, path), path, legend=False)
    return True


def where_time_goes(rows: Rows, section: str, path: Path) -> bool:
    """Stacked bars of the profiler's shares; False if there are none."""
    rows = alike([row for row in rows if row.get("section") == section and isinstance(row.get(SHARES[0]), float)])
    if not rows:
        return False
    figure, panels = new_figure(1, height=1.2 + 0.3 * len(rows))
    names = [f"{row['preset']}, {label(row)}" for row in rows][::-1]
    left = [0.0] * len(rows)
    for share, colour in zip(SHARES, SHARE_COLOURS):
        widths = [100 * row[share] for row in rows][::-1]
        panels[0].barh(names, widths, left=left, color=colour, label=share)
        left = [start + width for start, width in zip(left, widths)]
    panels[0].set(xlabel="% of the time of a step", xlim=(0, 100))
    save(figure, panels, f"{TITLES[section]}: where the time goes", caption(rows, path), path)
    return True


def new_figure(panels: int, height: float = 3.6) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(panels, 2)
    lines = -(-panels // columns)
    size = (10 if panels == 1 else 7.5 * columns, (height + 0.8) * lines)
    figure, axes = pyplot.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.set_axisbelow(True)
    for panel in axes.flat[panels:]:
        panel.set_visible(False)
    return figure, list(axes.flat[:panels])


def save(figure: Any, panels: list[Any], title: str, note: str, path: Path, legend: bool = True) -> None:
    from matplotlib import pyplot

    if legend:
        handles = {}
        for panel in panels:
            handles |= dict(zip(*reversed(panel.get_legend_handles_labels())))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(f"{title}\n", fontsize=12)
    below = 1 - TITLE_INCHES / figure.get_figheight()
    figure.text(0.5, below, f"\n\n{note}", ha="center", va="top", fontsize=8, color="#555555")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


PLOTS: dict[str, Callable[[Rows, str, Path], bool]] = {
    "speed-batch": against_batch_size, "speed-size": against_model_size, "time": where_time_goes,
}  # fmt: skip


def draw_all(folder: Path, output: Path | None = None, device: str | None = None) -> list[Path]:
    """Draw what the CSV files of a folder allow.

    Args:
        folder: Where they are.
        output: Where the pictures go; None: there too.
        device: Name of the only device to draw, as files name it; None: all.

    Returns:
        The pictures; none without matplotlib, which it says.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("matplotlib is not installed (`pip install matplotlib`): no pictures")
        return []
    paths = []
    for name, rows in rows_by_device(folder).items():
        for section, (kind, draw) in itertools.product(TITLES, PLOTS.items() if device in (None, name) else ()):
            path = (output or folder) / f"{section}-{kind}-{name}.png"
            if draw(rows, section, path):
                paths.append(path)
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=folder_of_rows, default=RESULTS, help="where the CSV files are")
    parser.add_argument("--output", type=local_path, help="folder for the pictures (default: the same)")
    args = parser.parse_args(arguments)
    for path in draw_all(args.folder, args.output):
        print(path)


if __name__ == "__main__":
    main()
