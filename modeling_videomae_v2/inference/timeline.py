# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The time line of a video: as CSV, and as a picture that can be read for minutes and for hours."""

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..writing import written_aside
from .predictions import VideoScores, clock
from .sources import printable


# Columns of the picture: more windows than this share a column, which shows the highest score among them.
MAX_COLUMNS = 1500
MAX_CLASSES = 8
# Distances between time marks, in seconds; the first that gives at most so many of them is taken.
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
MAX_TIME_MARKS = 11
ELLIPSIS = "..."


def write_csv(scores: VideoScores, path: Path) -> None:
    """Write one line for each class named of each window: video, start, end (seconds), rank, label, score."""
    with (
        written_aside(path) as unfinished,
        # names of folders, which classes may have, need not be text
        open(unfinished, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("video", "start", "end", "rank", "label", "score"))
        for window in scores.windows:
            times = (f"{window.start:.3f}", f"{window.end:.3f}")
            for rank, (label, score) in enumerate(window.best, 1):
                writer.writerow((scores.video, *times, rank, scores.labels[label], f"{score:.6f}"))


def require_matplotlib(suffix: str) -> None:
    """Say at once, and not after hours, that there can be no picture.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: It does not write files of this suffix.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise ImportError(
            'A picture needs matplotlib, which is not installed. Run `pip install "modeling-videomae-v2[app]"`, or '
            "leave out --picture (--csv needs nothing)."
        ) from error
    known = sorted(FigureCanvasAgg.get_supported_filetypes())
    if suffix.removeprefix(".").lower() not in known:
        raise ValueError(f"`--picture` cannot be a {suffix} file. Use one of {', '.join(known)}.")


def write_picture(scores: VideoScores, path: Path) -> None:
    """Draw the scores of the classes that matter most over time, one strip each.

    Args:
        scores: With `keep_all`.
        path: Its suffix chooses the format: png, pdf, svg and what else matplotlib writes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = scores.all_scores.astype(np.float32)
    chosen = _choose_classes(values, scores)
    edges, strips = _columns(scores, values[:, chosen].T)
    figure = Figure(figsize=(12, 1.5 + 0.42 * len(chosen)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    low, high = (0.0, 1.0) if strips.min() >= 0 and strips.max() <= 1 else (float(strips.min()), float(strips.max()))
    mesh = axes.pcolormesh(
        edges, np.arange(len(chosen) + 1), strips, vmin=low, vmax=high, cmap="Blues", rasterized=True
    )
    axes.hlines(np.arange(1, len(chosen)), edges[0], edges[-1], color="white", linewidth=2)
    axes.set_yticks(np.arange(len(chosen)) + 0.5, [_short(scores.labels[i], 40) for i in chosen])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    _mark_times(axes, edges[0], edges[-1])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    width = (edges[-1] - edges[0]) / strips.shape[1]
    merged = f", each column the highest score of {width:.0f} s" if len(scores.windows) > MAX_COLUMNS else ""
    title = f"{Path(scores.video).name}: {len(scores.windows)} windows{merged}"
    axes.set_title(_short(title, 110), loc="left", fontsize=10)
    figure.colorbar(mesh, ax=axes, label="score", pad=0.01, aspect=12)
    with written_aside(path) as unfinished, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font lacks is drawn as a box
        figure.savefig(unfinished, format=path.suffix.removeprefix(".").lower())


def _short(text: str, width: int) -> str:
    """Text of at most so many letters, in which `$` is a dollar and begins no formula."""
    text = printable(text)
    if len(text) > width:
        cut = text[: width - len(ELLIPSIS)]
        words = cut.rpartition(" ")[0]
        text = (words if len(words) > width // 2 else cut) + ELLIPSIS
    return text.replace("$", r"\$")


def _choose_classes(values: np.ndarray, scores: VideoScores) -> np.ndarray:
    """Classes to draw, those that lead longest first, then those that never lead by their highest score."""
    seconds = np.zeros(values.shape[1])
    np.add.at(seconds, values.argmax(axis=1), [window.end - window.start for window in scores.windows])
    order = np.lexsort((-values.max(axis=0), -seconds))
    return order[: min(max(scores.top_k, int((seconds > 0).sum()), 3), MAX_CLASSES)]


def _columns(scores: VideoScores, strips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges in time `(columns + 1,)` and values `(classes, columns)`; each moment belongs to the nearest window."""
    starts = np.array([window.start for window in scores.windows])
    middles = np.array([(window.start + window.end) / 2 for window in scores.windows])
    end = max(scores.windows[-1].end, starts[-1] + 1e-3)
    edges = np.concatenate([starts[:1], (middles[1:] + middles[:-1]) / 2, [end]])
    if len(starts) <= MAX_COLUMNS:
        return edges, strips
    first = np.searchsorted(middles, np.linspace(starts[0], end, MAX_COLUMNS + 1)[:-1])
    first = np.unique(np.minimum(first, len(starts) - 1))
    return np.append(edges[first], end), np.maximum.reduceat(strips, first, axis=1)


def _mark_times(axes: Any, start: float, end: float) -> None:
    step = next((s for s in TIME_STEPS if (end - start) / s <= MAX_TIME_MARKS), TIME_STEPS[-1])
    marks = np.arange(np.ceil(start / step) * step, end + 1e-6, step)
    axes.set_xticks(marks, [clock(mark) for mark in marks])
    axes.set_xlim(start, end)
    axes.set_xlabel("time (h:mm:ss)" if end >= 3600 else "time (m:ss)")


__all__ = ["require_matplotlib", "write_csv", "write_picture"]
