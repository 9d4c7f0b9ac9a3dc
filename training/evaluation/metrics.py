# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Top-k and mean class accuracy as `evaluate.Metric`s: made here, so that nothing is downloaded.

    TopKAccuracy(k=(1, 5)).compute(predictions=scores, references=labels)  # {"top1": ..., "top5": ...}

They work with `Trainer` (`compute_metrics`), in batches (`add_batch`, then `compute`) and with `evaluate.combine`. What
they keep of a video is one number, so a million videos are no burden; they write no files.
"""

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate
import numpy as np


NO_ANSWER = np.iinfo(np.int32).max  # the rank of the true class where there are no scores

_INPUTS = """
Args:
    predictions: Scores `(videos, classes)`, logits or probabilities. A row of NaN is a video without an answer and
        counts as wrong.
    references: Class ids `(videos,)`.
"""


def true_class_ranks(scores: Any, labels: Any) -> np.ndarray:
    """How many classes stand before the true one when they are sorted by score.

    Args:
        scores: `(videos, classes)`; of equal scores the lower class id comes first. NaN: no answer.
        labels: Class ids `(videos,)`.

    Returns:
        int32 `(videos,)`; 0 where the best class is the true one, `NO_ANSWER` where a row holds NaN.

    Raises:
        ValueError: The shapes do not fit together, or a label is no class id.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"Expected predictions (videos, classes) and references (videos,), got {scores.shape} and {labels.shape}."
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < scores.shape[1]):
        wrong = labels[(labels < 0) | (labels >= scores.shape[1])][0]
        raise ValueError(f"The label {wrong} is none of the {scores.shape[1]} classes, which count from 0.")
    own = np.take_along_axis(scores, labels[:, None].astype(np.int64), axis=1)
    before = np.arange(scores.shape[1])[None] < labels[:, None]
    ranks = ((scores > own) | ((scores == own) & before)).sum(axis=1, dtype=np.int32)
    return np.where(np.isnan(scores).any(axis=1), np.int32(NO_ANSWER), ranks)


class _RankMetric(evaluate.Metric):
    """A metric that is computed from the rank of the true class, which is all that it keeps of a video."""

    description = ""

    def __init__(self, config_name: str | None = None, keep_in_memory: bool | None = None, **kwargs: Any) -> None:
        alone = kwargs.get("num_process", 1) == 1
        super().__init__(config_name, keep_in_memory=alone if keep_in_memory is None else keep_in_memory, **kwargs)

    def _build_data_dir(self) -> str:
        """The folder for temporary files, which is not made where there are none."""
        return self._data_dir_root if self.keep_in_memory else super()._build_data_dir()

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("int32"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(
            description=self.description, citation="", inputs_description=_INPUTS,
            features=datasets.Features(features), format="numpy",
        )  # fmt: skip

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add scores `(videos, classes)` and class ids `(videos,)`; nothing happens where there are no videos."""
        ranks = true_class_ranks(predictions, references)
        if len(ranks) or self.writer is None:
            labels = np.asarray(references).astype(np.int64)
            super().add_batch(predictions=ranks, references=labels, **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add the scores `(classes,)` of one video and its class id."""
        self.add_batch(predictions=np.asarray(prediction)[None], references=np.asarray(reference)[None], **kwargs)


class TopKAccuracy(_RankMetric):
    """Share of videos whose true class is among the k best ones, as `{"top1": ..., "top5": ...}`, from 0 to 1.

    Args:
        k: Which of them to compute; one number or several, each at least 1.
    """

    description = "Share of videos whose true class is among the k best ones."

    def __init__(self, k: int | Iterable[int] = (1, 5), **kwargs: Any) -> None:
        self.k = (k,) if isinstance(k, int) else tuple(k)
        if not self.k or min(self.k) < 1:
            raise ValueError(f"`k` must be at least 1, got {k!r}.")
        super().__init__(**kwargs)

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        ranks = np.asarray(predictions)
        return {f"top{k}": float((ranks < k).mean()) if len(ranks) else float("nan") for k in self.k}


class MeanClassAccuracy(_RankMetric):
    """Top-1 accuracy of each class, averaged over the classes that have videos, as `{"mean_class_accuracy": ...}`."""

    description = "Top-1 accuracy of each class, averaged over the classes that have videos."

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        right, labels = np.asarray(predictions) == 0, np.asarray(references).astype(np.int64)
        counts = np.bincount(labels)
        hits = np.bincount(labels, weights=right)
        present = counts > 0
        mean = float((hits[present] / counts[present]).mean()) if present.any() else float("nan")
        return {"mean_class_accuracy": mean}
