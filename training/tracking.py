# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run tells about itself: losses, speed, time left, utilisation. Losses that are not finite end it here."""

import json
import math
import re
import sys
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from modeling_videomae_v2.writing import naming, written_aside

from .checkpoint import Progress
from .pictures import save_picture
from .recipe import Recipe
from .recipe_parsing import leaves
from .schedule import Plan
from .tasks import Task


logger = get_logger(__name__)

# Dense bf16 or fp16 products, TFLOP/s, by what the driver calls the device; the first match counts.
PEAK_TFLOPS = {
    "B200": 2250.0, "B100": 1750.0, "H100 PCIe": 756.0, "H100 NVL": 835.0, "H200": 989.0, "H100": 989.0, "GH200": 989.0,
    "A100": 312.0, "A800": 312.0, "A40": 149.7, "A30": 165.0, "A10G": 70.0, "A10": 125.0, "A6000": 154.8, "L40S": 362.0,
    "L40": 181.0, "L4": 121.0, "RTX 4090": 165.2, "RTX 3090": 71.0, "V100": 125.0, "T4": 65.0,
}  # fmt: skip
SMALLEST_LOSS_SCALE = 1.0
METRICS, EVALUATIONS = "metrics.jsonl", "evaluation.jsonl"


class Monitor:
    """Collects what the steps return, and reports it every `tracking.log_every` steps.

    Between two reports nothing is read from the device.

    Args:
        accelerator: The processes.
        task: For the cost of a clip.
        recipe: What to report.
        plan: The recipe in numbers.
        progress: How far the run is.
    """

    def __init__(self, accelerator: Accelerator, task: Task, recipe: Recipe, plan: Plan, progress: Progress) -> None:
        self.accelerator, self.task, self.plan, self.progress = accelerator, task, plan, progress
        self.output_dir = Path(recipe.output_dir)
        self.window: list[dict[str, torch.Tensor]] = []
        self.started = time.perf_counter()
        self.flops_per_clip: float | None = None
        self.peak = peak_flops(accelerator.device, recipe.tracking.peak_tflops)
        self.bar = tqdm(
            total=plan.max_steps,
            initial=progress.step,
            desc=type(task).__name__,
            unit="step",
            disable=not (accelerator.is_main_process and recipe.tracking.progress_bar and sys.stderr.isatty()),
        )
        if accelerator.is_main_process:
            for name in (METRICS, EVALUATIONS):
                forget_lines(self.output_dir / name, progress.step)
        if recipe.tracking.trackers:
            accelerator.init_trackers(recipe.tracking.project, config=flat(recipe.as_dict()))

    def add(self, values: dict[str, torch.Tensor]) -> None:
        """Take the values `()` of one optimizer step, on the device."""
        self.window.append(values)
        self.bar.update(1)

    def report(self, stop: bool = False) -> bool:
        """Report the steps since the last report; every process calls it.

        Args:
            stop: Whether this process was asked to stop.

        Returns:
            Whether any process was.

        Raises:
            FloatingPointError: A loss or a gradient was not finite. All processes raise it, and the weights are those
                from before.
        """
        names = list(self.window[0])
        steps = torch.stack([torch.stack([values[name].float() for name in names]) for values in self.window])
        flag = torch.full((1, len(names)), float(stop), device=steps.device)
        means = self.accelerator.reduce(torch.cat([steps, flag]), "mean").tolist()  # the one wait for the device
        rows, stop = [dict(zip(names, row)) for row in means[:-1]], means[-1][0] > 0
        first = self.progress.step - len(rows)
        self._demand_finite(rows, first)
        speed = self._speed(len(rows))
        values = {name: sum(row[name] for row in rows) / len(rows) for name in names}
        values |= {"lr": self.plan.learning_rate(self.progress.step - 1), "epoch": self._epoch()} | speed
        self.accelerator.log(values, step=self.progress.step)
        if self.accelerator.is_main_process:
            self._write_lines(rows, first)
            self._show(values)
        self.window.clear()
        return stop

    def evaluation(self, values: dict[str, float]) -> None:
        """Report what was measured on the validation set, in the trackers and in `output_dir/evaluation.jsonl`."""
        step = self.progress.step
        self.accelerator.log(values, step=step)
        if self.accelerator.is_main_process:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            path = self.output_dir / EVALUATIONS
            with naming(path), open(path, "a", encoding="utf-8") as file:
                file.write(json_line({"step": step, **values}))
            text = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            logger.info(f"step {step}/{self.plan.max_steps}: {text}")
        self.skip_time()

    def picture(self, picture: torch.Tensor | None) -> None:
        """Save a picture, and show it to TensorBoard if it runs; the main process has it."""
        if picture is None or not self.accelerator.is_main_process:
            return
        step = self.progress.step
        save_picture(picture, self.output_dir / "pictures" / f"step-{step:08d}.png")
        for tracker in self.accelerator.trackers:
            if tracker.name == "tensorboard":
                tracker.log_images({"reconstruction": picture[None].numpy()}, step=step)

    def close(self) -> None:
        """Write out what the trackers hold back."""
        self.bar.close()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def _demand_finite(self, rows: list[dict[str, float]], first: int) -> None:
        scaler = self.accelerator.scaler
        for i, row in enumerate(rows):
            # under fp16 a gradient that overflows is part of the search for the loss scale
            bad = [name for name, value in row.items() if not math.isfinite(value)]
            if bad and (scaler is None or bad != ["grad_norm"]):
                raise FloatingPointError(
                    f"{' and '.join(bad)} of step {first + i + 1} are not finite. The weights were not touched by it, "
                    f"and the last checkpoint in {self.output_dir / 'checkpoints'} is good. Lower optimizer.base_lr, "
                    "set optimizer.clip_grad, lengthen the warm-up, or compute in bf16 instead of fp16 or with "
                    "decoder_precision: fp32."
                )
        if scaler is not None and scaler.get_scale() < SMALLEST_LOSS_SCALE:
            raise FloatingPointError(
                f"The gradients overflow even at a loss scale of {scaler.get_scale()} (step {self.progress.step}): "
                "compute in bf16, or lower optimizer.base_lr."
            )

    def _epoch(self) -> float:
        return self.progress.step / self.plan.steps_per_epoch if self.plan.steps_per_epoch else 0.0

    def _speed(self, steps: int) -> dict[str, float]:
        now = time.perf_counter()
        seconds, self.started = now - self.started, now
        clips = steps * self.plan.total_batch_size / seconds
        left = (self.plan.max_steps - self.progress.step) * seconds / steps
        speed = {"clips_per_second": clips, "hours_left": left / 3600}
        if self.peak is not None:
            if self.flops_per_clip is None:
                self.flops_per_clip = training_flops(self.task)
            speed["mfu"] = clips * self.flops_per_clip / (self.peak * self.accelerator.num_processes)
        return speed

    def skip_time(self) -> None:
        """Do not count the time since the last report, or since the last call: a checkpoint was written."""
        self.started = time.perf_counter()

    def _write_lines(self, rows: list[dict[str, float]], first: int) -> None:
        self.output_dir.mkdir(parents=True, exist_ok=True)
        path = self.output_dir / METRICS
        with naming(path), open(path, "a", encoding="utf-8") as file:
            for i, row in enumerate(rows):
                file.write(json_line({"step": first + i + 1, **row, "lr": self.plan.learning_rate(first + i)}))

    def _show(self, values: dict[str, float]) -> None:
        shown = {name: f"{value:.4g}" for name, value in values.items() if name not in ("hours_left", "epoch")}
        self.bar.set_postfix(shown)
        if self.bar.disable:
            text = ", ".join(f"{name} {value}" for name, value in shown.items())
            left = duration(values["hours_left"])
            logger.info(f"step {self.progress.step}/{self.plan.max_steps}: {text}, {left} left")


def forget_lines(path: Path, step: int) -> None:
    """Take out of a file of JSON lines what a run that was cut off left behind the checkpoint that it goes on from.

    These are lines of later steps, which are going to be done again, and one that ends in its midst. A run that begins
    anew leaves the lines of an earlier one alone.

    Args:
        path: The file; it need not be there.
        step: That of the checkpoint; 0 without one.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    kept = [line for line in whole if not step or not _is_later(line, step)]
    if len(kept) < len(lines):
        with written_aside(path) as aside:
            aside.write_bytes(b"".join(kept))


def _is_later(line: bytes, step: int) -> bool:
    try:
        return json.loads(line)["step"] > step
    except (ValueError, LookupError, TypeError):  # not written here
        return False


def json_line(values: dict[str, float]) -> str:
    """Values as a line of JSON, which knows no NaN and no infinity: they become null."""
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return json.dumps(finite, allow_nan=False) + "\n"


def training_flops(task: Task) -> float:
    """Floating-point operations of one clip, forward and backward, counted on a model without memory.

    Activations that are recomputed do not count: utilisation is about what has to be done.
    """
    config, data = task.config, task.recipe.data
    with torch.device("meta"):
        model = task.model_class._from_config(config, attn_implementation="eager").train()
        task.freeze(model)
        clip = torch.empty(1, data.num_frames, config.num_channels, data.image_size, data.image_size)
        labels = {"labels": torch.empty(1, dtype=torch.long)} if hasattr(model, "classifier") else {}
        with FlopCounterMode(display=False) as counter:
            model(clip, **labels, return_dict=True).loss.backward()
    return float(counter.get_total_flops())


def peak_flops(device: torch.device, tflops: float | None) -> float | None:
    """What a device can do per second in half precision: as said, as known, or None."""
    if tflops is None and device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        known = (peak for key, peak in PEAK_TFLOPS.items() if re.search(rf"{key}(?!\d)", name))  # an A4000 is no A40
        tflops = next(known, None)
    return None if tflops is None else tflops * 1e12


def duration(hours: float) -> str:
    """Hours as `d:hh:mm` or `mm:ss`."""
    seconds = int(hours * 3600)
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600:02d}:{seconds % 3600 // 60:02d} h"


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """A nested dict as one level with dotted keys, its values as trackers take them."""
    return {key: value if isinstance(value, (int, float, str, bool)) else str(value)
            for key, value in leaves(values).items()}  # fmt: skip
