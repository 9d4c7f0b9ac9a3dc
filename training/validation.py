# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Accuracy on a validation set during training: one view of every video, each counted once on any number of processes.

This is for watching a run. Multi-view tests, tables and predictions are the business of `training.evaluate`.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from torch import nn

from .data.faults import TooManyBadVideosError, listing
from .recipe_stages import EvalRecipe


if TYPE_CHECKING:
    from .tasks import Task

logger = get_logger(__name__)

TOP = 5


class Validation:
    """Counts right answers, and remembers the best share of them; its state goes into the checkpoints.

    Args:
        accelerator: The processes.
        task: Normalises the clips.
        loader: Each video once, a part of them on each process.
        recipe: When, and what to keep.
        videos: Digest of the videos, the same on all processes; None where it is not known.
    """

    def __init__(
        self, accelerator: Accelerator, task: "Task", loader: Any, recipe: EvalRecipe, videos: str | None = None
    ) -> None:
        self.accelerator, self.task, self.loader, self.recipe = accelerator, task, loader, recipe
        self.videos = videos
        self.best = -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def is_best(self, values: dict[str, float], videos_before: str | None = None) -> bool:
        """Whether these are the best values so far, which are then remembered.

        Args:
            values: What `measure` gave.
            videos_before: Digest of the videos that were measured last, where it is known; a share of other videos
                says nothing about these.
        """
        if None not in (self.videos, videos_before) and self.videos != videos_before:
            logger.warning(
                "The videos of data_eval, or their places, are others than before: the best top-1 so far counts no "
                "more, and output_dir/best will be overwritten."
            )
            self.best = -1.0
        better = values["eval_top1"] > self.best
        self.best = max(values["eval_top1"], self.best)
        return better and self.recipe.keep_best

    @torch.no_grad()
    def measure(self, model: nn.Module, asked: Callable[[], bool] = lambda: False) -> dict[str, float] | None:
        """Evaluate; every process calls it. The model is left in evaluation mode.

        Args:
            model: The model.
            asked: Whether to stop, the same on all processes; each calls it before every batch.

        Returns:
            `eval_top1` and `eval_top5`, shares of the videos that can be read, and `eval_videos`, their number; None if
            it was stopped.

        Raises:
            TooManyBadVideosError: More of all videos cannot be read than `data.max_bad_share`; on all processes alike.
        """
        model.eval()
        counts = torch.zeros(3, dtype=torch.int64, device=self.accelerator.device)
        for clips, labels, valid in self._batches():
            if asked():
                return None
            with self.accelerator.autocast():
                logits = model(pixel_values=clips, return_dict=True).logits
            best = logits.topk(min(TOP, logits.shape[-1])).indices
            right = (best == labels[:, None]) & valid[:, None]
            counts += torch.stack([right[:, 0].sum(), right.sum(), valid.sum()])
        top1, top5, seen = self.accelerator.reduce(counts, "sum").tolist()
        total, max_share = self.loader.samples_per_epoch, self.task.recipe.data.max_bad_share
        if not seen or total - seen > max_share * total:
            raise TooManyBadVideosError(
                f"{total - seen} of {total} videos of data_eval cannot be read, more than data.max_bad_share = "
                f"{max_share:g} allows. Repair or remove them, or raise data.max_bad_share; this process met:\n"
                f"{listing(self.loader.faults.faults)}"
            )
        if seen < total:
            logger.warning(f"{total - seen} videos of data_eval cannot be read and do not count.")
        return {"eval_top1": top1 / seen, "eval_top5": top5 / seen, "eval_videos": seen}

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Clips, labels and whether they count; as many batches on every process, since sharded models need all."""
        device, config = self.accelerator.device, self.task.config
        size = self.loader.batch_sampler.batch_size * self.accelerator.num_processes
        batches = iter(self.loader)
        for _ in range(math.ceil(self.loader.samples_per_epoch / size)):
            batch = next(batches, None)
            if batch is None:  # the last videos were for other processes
                side = config.image_size
                clips = torch.zeros(1, config.num_frames, config.num_channels, side, side, device=device)
                yield clips, torch.zeros(1, dtype=torch.long, device=device), torch.zeros(1, dtype=bool, device=device)
                continue
            clips = self.task.normalise(batch["pixel_values"], device)
            yield clips, batch["labels"].to(device), batch["bad"].to(device) == 0
