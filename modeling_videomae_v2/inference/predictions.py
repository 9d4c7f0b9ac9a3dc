# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of videos and of their windows, as plain values and as tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.markup import escape
from rich.table import Table

from ..modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from .engine import Finished, Result
from .sources import Source, printable


# Rows of a table in the terminal; whoever wants all of them takes the CSV.
MAX_ROWS = 40


def scores_of(model: VideoMAEv2ForVideoClassification, logits: torch.Tensor) -> np.ndarray:
    """Scores `(num_labels,)` of one clip from the logits `(views, num_labels)` of its views.

    Classes that exclude each other get the mean of the views' softmax; otherwise the views' logits are averaged and,
    with several labels, become independent probabilities. A regression's outputs stay as they are.
    """
    averaged = model.average_views(logits[None])[0]
    if model.config.has_exclusive_classes:
        return averaged.softmax(dim=-1).numpy()
    if model.config.problem_type == "multi_label_classification":
        return averaged.sigmoid().numpy()
    return averaged.numpy()


@dataclass
class ScoredWindow:
    """Start and end in seconds, and the best classes as `(class id, score)`, best first."""

    start: float
    end: float
    best: list[tuple[int, float]]


@dataclass
class VideoScores:
    """What the model says of a video.

    Attributes:
        video: Path or URL, as it can be printed.
        labels: Names of the classes.
        top_k: Classes to name.
        keep_all: Keep the scores of all classes for every window, as half-precision numbers.
        windows: The windows or, without a sliding window, the one clip of the video.
        duration: Seconds that the video lasts.
        error: Why it could not be read, or not to its end.
    """

    video: str
    labels: list[str]
    top_k: int
    keep_all: bool = False
    windows: list[ScoredWindow] = field(default_factory=list)
    duration: float = 0.0
    error: str | None = None
    _sum: Any = 0.0
    _all: list[np.ndarray] = field(default_factory=list)

    def add(self, result: Result, scores: np.ndarray) -> None:
        """Take the scores `(num_labels,)` of the next window."""
        clip = result.clip
        self.windows.append(ScoredWindow(clip.start, clip.end, self.best(scores)))
        self.duration = clip.duration
        self._sum = self._sum + scores.astype(np.float64)
        if self.keep_all:
            self._all.append(scores.astype(np.float16))

    def best(self, scores: np.ndarray) -> list[tuple[int, float]]:
        """The `top_k` best classes; of equal ones the first."""
        order = np.argsort(-scores, kind="stable")[: self.top_k]
        return [(int(i), float(scores[i])) for i in order]

    @property
    def length(self) -> str:
        """Of the video, as `2:03`."""
        return clock(self.duration)

    @property
    def mean_scores(self) -> np.ndarray:
        """Mean over the windows, `(num_labels,)`."""
        return self._sum / len(self.windows)

    @property
    def all_scores(self) -> np.ndarray:
        """`(windows, num_labels)`, float16; only with `keep_all`."""
        return np.stack(self._all)

    def as_dict(self, with_windows: bool) -> dict[str, Any]:
        """As plain values, for JSON."""
        data: dict[str, Any] = {"video": self.video}
        if self.windows:
            data["duration"] = round(self.duration, 3)
            data["predictions"] = self._named(self.best(self.mean_scores))
        if self.windows and with_windows:
            data["windows"] = [
                {"start": round(w.start, 3), "end": round(w.end, 3), "predictions": self._named(w.best)}
                for w in self.windows
            ]
        if self.error:
            data["error"] = self.error
        return data

    def _named(self, best: list[tuple[int, float]]) -> list[dict[str, Any]]:
        return [{"label": self.labels[i], "score": round(score, 6)} for i, score in best]

    def tables(self, with_windows: bool) -> list[Table]:
        """For the terminal: the best classes, and which class leads when."""
        table = _table("score", "class")
        for i, score in self.best(self.mean_scores):
            table.add_row(f"{score:.4f}", escape(self.labels[i]))
        if not with_windows:
            return [table]
        runs = self._runs()
        times = _table("from", "to", "score", "leading class")
        for start, end, i, score in runs[:MAX_ROWS]:
            times.add_row(clock(start, True), clock(end, True), f"{score:.4f}", escape(self.labels[i]))
        if len(runs) > MAX_ROWS:
            times.add_row("...", "", "", f"{len(runs) - MAX_ROWS} more; --csv writes all of them")
        return [table, times]

    def _runs(self) -> list[tuple[float, float, int, float]]:
        """Stretches over which one class leads: start, end, class, mean score."""
        runs: list[tuple[float, float, int, list[float]]] = []
        for window in self.windows:
            leader, score = window.best[0]
            if runs and runs[-1][2] == leader:
                runs[-1][3].append(score)
                runs[-1] = (runs[-1][0], window.end, *runs[-1][2:])
            else:
                if runs:  # windows may overlap, stretches do not
                    runs[-1] = (runs[-1][0], min(runs[-1][1], window.start), *runs[-1][2:])
                runs.append((window.start, window.end, leader, [score]))
        return [(start, end, leader, float(np.mean(scores))) for start, end, leader, scores in runs]


class ScoreCollector:
    """Scores of the videos that are not finished.

    Args:
        model: Gives the names of the classes, and says what its logits mean.
        sources: The videos.
        top_k: Classes to name.
        keep_all: See `VideoScores`.

    Attributes:
        failed: Videos so far that could not be read, or not to the end.
    """

    def __init__(
        self, model: VideoMAEv2ForVideoClassification, sources: Sequence[Source], top_k: int, keep_all: bool
    ) -> None:
        self._model, self._sources = model, sources
        names = model.config.id2label
        self._new = partial(VideoScores, labels=[names[i] for i in range(len(names))], top_k=top_k, keep_all=keep_all)
        self._scores: dict[int, VideoScores] = {}
        self.failed = 0

    def _of(self, video: int) -> VideoScores:
        return self._scores.setdefault(video, self._new(printable(self._sources[video].address)))

    def add(self, result: Result) -> None:
        """Take the next clip of a video."""
        self._of(result.video).add(result, scores_of(self._model, result.outputs))

    def finish(self, event: Finished) -> VideoScores:
        """Scores of a video that is finished; they are not kept here any longer."""
        scores = self._of(event.video)
        del self._scores[event.video]
        if event.error:
            self.failed += 1
            scores.error = printable(str(event.error))
        return scores


def clock(seconds: float, tenths: bool = False) -> str:
    """Time as `1:02:03`, `2:03` or, with `tenths`, `2:03.4`."""
    whole = round(seconds * 10) if tenths else round(seconds) * 10
    minutes, rest = divmod(whole, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest // 10:02d}" if hours else f"{minutes}:{rest // 10:02d}"
    return (f"{hours}:" if hours else "") + text + (f".{rest % 10}" if tenths else "")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        numeric = column in ("score", "from", "to")
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    return table


__all__ = ["ScoreCollector", "ScoredWindow", "VideoScores", "clock", "scores_of"]
