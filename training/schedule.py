# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Length of a run and its learning rate, a pure function of the step."""

import math
from dataclasses import dataclass
from typing import Any

from .recipe import Recipe, RecipeError


REFERENCE_BATCH = 256  # clips that learning rates of recipes are stated for (paper, D.1)


def warmup_cosine(
    step: int, *, peak: float, total_steps: int, warmup_steps: int = 0, start: float = 0.0, floor: float = 0.0
) -> float:
    """Learning rate of one optimizer step: linear from `start` to `peak`, then half a cosine towards `floor`.

    Args:
        step: Steps done before this one, from 0.
        peak: Learning rate of the last step of the warm-up and of the first one after it.
        total_steps: Steps of the whole run; from there on the rate is `floor`.
        warmup_steps: Steps of the warm-up.
        start: Learning rate of step 0, if there is a warm-up of more than one step.
        floor: What the cosine falls to.
    """
    if step < warmup_steps:
        return start + (peak - start) * step / (warmup_steps - 1) if warmup_steps > 1 else peak
    if step >= total_steps:
        return floor
    share = (step - warmup_steps) / (total_steps - warmup_steps)
    return floor + 0.5 * (peak - floor) * (1.0 + math.cos(math.pi * share))


def whole_steps(steps: float) -> int:
    """Steps that a product of decimals comes to: 0.29 epochs of 100 are 29, and 28.999999999999996 as a float."""
    return int(round(steps, 6))


@dataclass(frozen=True)
class Plan:
    """A recipe in numbers, once it is known how many processes and videos there are.

    Args:
        num_processes: Processes that train.
        batch_size: Videos per process and forward pass.
        views: Clips per video.
        accumulation: Forward passes per optimizer step.
        max_steps: Optimizer steps of the run.
        warmup_steps: Steps of them with a rising learning rate.
        peak_lr: Highest learning rate.
        warmup_lr: Learning rate of the first step of the warm-up.
        min_lr: Floor of the cosine.
        steps_per_epoch: Optimizer steps per epoch; 0 if the number of videos is not known.
    """

    num_processes: int
    batch_size: int
    views: int
    accumulation: int
    max_steps: int
    warmup_steps: int
    peak_lr: float
    warmup_lr: float
    min_lr: float
    steps_per_epoch: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe, num_processes: int, num_videos: int | None) -> "Plan":
        """Resolve a recipe.

        Args:
            recipe: The recipe.
            num_processes: Processes that train.
            num_videos: Videos per epoch of the data; None where nobody knows (streams).

        Raises:
            RecipeError: The length is stated in epochs and unknown, or is less than one step.
        """
        accumulation = recipe.accumulation_for(num_processes)
        total = recipe.batch_size * recipe.data.views * num_processes * accumulation
        schedule, scale = recipe.schedule, total / REFERENCE_BATCH
        samples = None if num_videos is None else num_videos * (1 if schedule.count_views else recipe.data.views)

        def steps(epochs: float) -> int:
            if samples is None:
                raise RecipeError(
                    "The number of videos is not known, so that schedule.epochs has no meaning: set "
                    "schedule.max_steps and schedule.warmup_steps."
                )
            return whole_steps(epochs * samples / total)

        max_steps = schedule.max_steps if schedule.max_steps is not None else steps(schedule.epochs)
        if schedule.warmup_steps is not None:
            warmup_steps = schedule.warmup_steps
        elif schedule.max_steps is not None:  # another length of the same run has as long a warm-up in proportion
            share = schedule.warmup_epochs / schedule.epochs if schedule.warmup_epochs else 0.0
            warmup_steps = whole_steps(max_steps * share)
        else:
            warmup_steps = steps(schedule.warmup_epochs) if schedule.warmup_epochs else 0
        if max_steps < 1 or warmup_steps > max_steps:
            raise RecipeError(
                f"{max_steps} optimizer steps with {warmup_steps} of warm-up come out of schedule.epochs "
                f"({schedule.epochs}), {num_videos} videos and a total batch of {total} clips: raise the epochs, lower "
                "the batch, or set schedule.max_steps and schedule.warmup_steps."
            )
        return cls(
            num_processes=num_processes,
            batch_size=recipe.batch_size,
            views=recipe.data.views,
            accumulation=accumulation,
            max_steps=max_steps,
            warmup_steps=warmup_steps,
            peak_lr=recipe.optimizer.base_lr * scale,
            warmup_lr=schedule.warmup_lr * scale,
            min_lr=schedule.min_lr * scale,
            steps_per_epoch=(samples or 0) / total,
        )

    @property
    def videos_per_pass(self) -> int:
        """Videos that one forward pass on every process takes."""
        return self.batch_size * self.num_processes

    @property
    def total_batch_size(self) -> int:
        """Clips per optimizer step: views, processes and accumulated passes multiplied in."""
        return self.videos_per_pass * self.views * self.accumulation

    def learning_rate(self, step: int) -> float:
        """Learning rate of the step after `step` steps."""
        return warmup_cosine(
            step,
            peak=self.peak_lr,
            total_steps=self.max_steps,
            warmup_steps=self.warmup_steps,
            start=self.warmup_lr,
            floor=self.min_lr,
        )


def plan_changes(old: dict[str, Any], plan: Plan, step: int, samples_seen: int) -> list[str]:
    """In words, what is different when a run goes on under another plan.

    Args:
        old: The plan that the checkpoint was written under, as a dict.
        plan: The plan from here on.
        step: Optimizer steps done so far.
        samples_seen: Videos taken so far.

    Returns:
        Lines for the log; none if nothing changed.
    """
    before = Plan(**old)
    lines = []
    if before.num_processes != plan.num_processes:
        lines.append(
            f"Number of processes: {before.num_processes} -> {plan.num_processes}. Order of the data, crops and masks "
            "stay as they were; sums are taken in another order, so results agree to rounding only, and dropout draws "
            "anew on processes that were not there."
        )
    for name, unit in (("batch_size", "videos per process and pass"), ("accumulation", "passes per step")):
        if getattr(before, name) != getattr(plan, name):
            lines.append(f"{name}: {getattr(before, name)} -> {getattr(plan, name)} {unit}.")
    if before.views != plan.views:
        lines.append(
            f"data.views: {before.views} -> {plan.views}. Clips are numbered by view, so masks differ from here on."
        )
    if before.total_batch_size != plan.total_batch_size:
        lines.append(
            f"Total batch: {before.total_batch_size} -> {plan.total_batch_size} clips, and with it the peak of the "
            f"learning rate, {before.peak_lr:.3g} -> {plan.peak_lr:.3g}. Data go on at video {samples_seen}."
        )
    rates = [p.learning_rate(step) for p in (before, plan)]
    if before.max_steps != plan.max_steps or rates[0] != rates[1]:
        jump = f"jumps from {rates[0]:.3g} to {rates[1]:.3g}" if rates[0] != rates[1] else f"stays {rates[0]:.3g} here"
        lines.append(
            f"Schedule: step {step} of {before.max_steps} -> of {plan.max_steps}; the learning rate {jump}. "
            "Steps are counted on, epochs are not recomputed: set schedule.max_steps and "
            "schedule.warmup_steps for another end."
        )
    return lines
