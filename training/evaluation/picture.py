# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The confusion matrix as a picture: with names and numbers for few classes, as a map with a list for many."""

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


MANY_CLASSES = 40  # more names than that are too small to read
MAP_DOTS = 1100  # width of the map of many classes, roughly
MOST_CELLS = 2000  # along a side of it: where there are more classes, neighbours share one
DPI = 130
_NAME = 34  # characters of a name that are shown


def draw_confusion(
    path: Path, counts: np.ndarray, names: Sequence[str], mistakes: Sequence[dict[str, Any]], title: str
) -> None:
    """Draw a confusion matrix into a PNG file.

    Args:
        path: Where to write.
        counts: Videos by true and predicted class, `(classes, classes)`.
        names: Names of the classes.
        mistakes: Rows with `true`, `predicted`, `videos` and `share`, the most frequent first.
        title: What stands above.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Drawing the confusion matrix needs `matplotlib`. Run `pip install matplotlib`.") from error
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    few = len(names) <= MANY_CLASSES
    figure = Figure(dpi=DPI, layout="constrained" if few else None)
    FigureCanvasAgg(figure)
    if few:
        _draw_few(figure, shares, counts, names)
    else:
        _draw_many(figure, shares, mistakes)
    figure.suptitle(title, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # an empty box says it too
        figure.savefig(path, format="png")


def _short(name: str) -> str:
    """A name in one short line, of characters that the font has."""
    plain = "".join(c if c.isprintable() else " " for c in name.encode("utf-8", "replace").decode())
    short = textwrap.shorten(plain, _NAME, placeholder="...")
    return plain.strip()[:_NAME] if short == "..." else short  # of a long first word, nothing would be left


def _draw_few(figure: Any, shares: np.ndarray, counts: np.ndarray, names: Sequence[str]) -> None:
    """Names along the sides, and the share of each cell in percent."""
    size = len(names)
    inches = max(0.36 * size, 3.2)
    figure.set_size_inches(inches + 4.0, inches + 3.0)
    axes = figure.add_subplot()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    labels = [_short(name) for name in names]
    for set_ticks, more in ((axes.set_xticks, {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}),
                            (axes.set_yticks, {})):  # fmt: skip
        set_ticks(range(size), labels, parse_math=False, fontsize=8, **more)
    for row, column in zip(*np.nonzero(counts)):
        share = 100 * shares[row, column]
        text = f"{share:.0f}" if share >= 1 else "<1"
        axes.text(
            column, row, text, ha="center", va="center", fontsize=7, color="white" if share > 55 else "black",
        )  # fmt: skip
    axes.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(image, ax=axes, shrink=0.6, label="% of the videos of a class")


def _draw_many(figure: Any, shares: np.ndarray, mistakes: Sequence[dict[str, Any]]) -> None:
    """A map of some dots a class, in which rare mistakes show too, beside a list of the frequent ones.

    Where classes share a cell, it shows the largest of their shares: memory and file would grow with all pairs of them.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, PowerNorm

    size = len(shares)
    firsts = np.arange(0, size, -(-size // MOST_CELLS))
    shares = np.maximum.reduceat(np.maximum.reduceat(shares, firsts, axis=0), firsts, axis=1)
    cells = len(firsts)
    dots = min(max(MAP_DOTS // cells, 2 if cells <= 1200 else 1), 16)  # of one dot, single cells are hard to see
    side = cells * dots / DPI  # the map's; one dot is one pixel
    height = side + 1.3
    bar, listing = side + 1.05, side + 2.1
    figure.set_size_inches(listing + 5.2, height)

    def add_axes(left: float, bottom: float, width: float, tall: float) -> Any:
        whole = figure.get_size_inches()
        return figure.add_axes((left / whole[0], bottom / whole[1], width / whole[0], tall / whole[1]))

    left, right = add_axes(0.8, 0.7, side, side), add_axes(listing, 0.7, 5.0, side)
    colours = ListedColormap(colormaps["magma_r"](np.linspace(0.25, 1.0, 256)))  # the palest ones are lost on white
    image = left.imshow(
        np.ma.masked_equal(100 * shares, 0.0), cmap=colours, norm=PowerNorm(0.4, 0, 100), interpolation="nearest",
        extent=(-0.5, size - 0.5, size - 0.5, -0.5),
    )  # fmt: skip
    left.set(xlabel="predicted class (id)", ylabel="true class (id)")
    figure.colorbar(image, cax=add_axes(bar, 0.7 + 0.2 * side, 0.2, 0.6 * side), label="% of the videos of a class")
    right.axis("off")
    shown = list(mistakes[: int((72 * side / 11 - 2) / 2)])  # as many as fit, two lines of 11 points each
    lines = [f"{'% of class':>10}  {'videos':>6}   true > predicted", ""]
    for row in shown:
        lines.append(f"{100 * row['share']:>10.0f}  {row['videos']:>6}   {_short(row['true'])}")
        lines.append(f"{'':>18} > {_short(row['predicted'])}")
    if not shown:
        lines.append("none")
    text = {"family": "monospace", "fontsize": 9, "parse_math": False}
    right.text(0, 1, "\n".join(lines), va="top", transform=right.transAxes, **text)
    right.set_title("most frequent mistakes", loc="left", fontsize=11)
