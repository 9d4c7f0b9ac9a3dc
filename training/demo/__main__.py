# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.demo [--output-dir runs/demo]`: the progressive training of the paper on synthetic videos.

Writes videos, pre-trains with dual masking, fine-tunes, post-pre-trains on two data sets, fine-tunes again, distils,
and compares all of it on held-out clips. Every stage is a command of its own, which is shown.
"""

import argparse
import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..console import escape_foreign_letters
from ..disk import local_path
from ..interrupts import end_on_sigterm
from ..motion import write_motion_dataset
from .plan import Plan
from .stages import Stage, StageError, run


LARGEST_SEED = 2**31  # that of a recipe, whose module takes seconds to import in every worker

console = Console(highlight=False)


class Clock:
    """Numbers the stages and tells how long they took."""

    def __init__(self) -> None:
        self.started, self.count = time.perf_counter(), 0

    def announce(self, title: str) -> None:
        """Begin a stage."""
        self.count += 1
        minutes, seconds = divmod(int(time.perf_counter() - self.started), 60)
        console.rule(f"[bold]{self.count}. {escape(title)}[/bold] ({minutes}:{seconds:02} gone)", align="left")

    def run(self, title: str, stage: Stage) -> None:
        """Announce, show and run a command."""
        self.announce(title)
        console.print(escape(stage.command), soft_wrap=True, style="dim")
        run(stage)


def write_data(plan: Plan) -> None:
    """Write both data sets, and the held-out clips as stills."""
    for folder, options in plan.datasets().items():
        write_motion_dataset(folder, options, workers=min(os.cpu_count() or 1, 8))
    from ..motion.stills import write_stills  # after the workers, which import what this module imports

    write_stills(plan.target / "test", plan.stills)


def train_all(plan: Plan, clock: Clock) -> None:
    """Every training of the demo, in the order of the paper."""
    clock.run("Pre-training with dual masking, no labels", plan.pretraining())
    clock.run("Fine-tuning of the pre-trained model", plan.finetuning("finetuned", "pretrained"))
    clock.run("The same from scratch, to compare", plan.finetuning("scratch", None))
    clock.run("Post-pre-training on the labels of both data sets", plan.post_pretraining())
    clock.run("Specific fine-tuning", plan.specific_finetuning())
    clock.run("Distillation into a smaller student", plan.distillation(BEST))
    clock.run("A student from scratch, to compare", plan.student())


def evaluate_all(plan: Plan, clock: Clock) -> None:
    """All models on the held-out clips, the best one on stills too."""
    for name in MODELS:
        clock.run(f"Evaluation: {MODELS[name]}", plan.evaluation(name))
    clock.run(f"Evaluation on one frame repeated: {MODELS[BEST]}", plan.evaluation(BEST, stills=True))


MODELS = {
    "scratch": "from scratch",
    "finetuned": "pre-trained",
    "finetuned_twice": "+ post-pre-trained",
    "student": "student from scratch",
    "distilled": "distilled student",
}
BEST = "finetuned_twice"  # of the large ones; it teaches the student


def report(plan: Plan, clock: Clock) -> None:
    """The table, the picture, and one file through the pipeline."""
    from transformers import pipeline
    from transformers.utils.logging import disable_progress_bar

    import modeling_videomae_v2  # noqa: F401 (makes the Auto classes know the model)

    from .report import draw_reconstructions, make_rows, save_table, show

    clock.announce("Results")
    disable_progress_bar()  # of reading weights
    videos = sorted((plan.target / "test").glob("*/00000.mp4"))
    picture = plan.output / "reconstruction.png"
    draw_reconstructions(Path(plan.model("pretrained")), videos[:: max(1, len(videos) // 3)][:3], picture)
    best = plan.model(BEST)
    answers = pipeline("video-classification", model=best, top_k=3)(str(videos[-1]))
    console.print(f'pipeline("video-classification", model="{best}")("{videos[-1]}"):', soft_wrap=True, markup=False)
    for answer in answers:
        console.print(f"    {answer['score']:.3f}  {answer['label']}", markup=False)
    rows = make_rows(plan, MODELS)
    classes = len(list((plan.target / "test").iterdir()))
    show(rows, f"Held-out top-1 (%), {classes} classes, chance {100 / classes:.1f}")
    console.print("still: all frames of the clip are its middle one")
    save_table(rows, plan.output / "results")
    console.print(f"Table:       {plan.output / 'results.md'}", f"Picture:     {picture}", sep="\n", soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.demo", description=__doc__.split("\n\n")[1])
    parser.add_argument("--output-dir", type=local_path, default=Path("runs/demo"), help="where everything is written")
    parser.add_argument("--seed", type=int, default=0, help="of data, weights and order")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor on clips and steps; less than 1 is only for tests"
    )
    parser.add_argument(
        "--mixed-precision", choices=("no", "bf16"), help="of all stages; default: what this machine is faster in"
    )
    options = parser.parse_args(arguments)
    if not 0 < options.scale < math.inf:
        parser.error(f"--scale must be above 0, got {options.scale}")
    if not 0 <= options.seed < LARGEST_SEED:
        parser.error(f"--seed must lie in [0, {LARGEST_SEED}), got {options.seed}")
    output = options.output_dir.resolve()
    if output.exists() and not (output / "data" / "target" / "dataset.json").exists():
        parser.error(f"{output} exists and holds no demo; choose another --output-dir, or delete it")
    end_on_sigterm()
    escape_foreign_letters()
    try:
        from .precision import fastest_precision  # imports PyTorch: after the arguments

        precision = options.mixed_precision or fastest_precision()
        plan, clock = Plan(output, options.seed, options.scale, precision), Clock()
        clock.announce("Writing videos")
        write_data(plan)
        for name in ("pretrained", "post_pretrained", *MODELS):  # stages would go on from the checkpoints there
            shutil.rmtree(plan.output / name, ignore_errors=True)
        train_all(plan, clock)
        evaluate_all(plan, clock)
        report(plan, clock)
    except (StageError, OSError, ImportError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped by Ctrl-C; the same command keeps the videos, and trains anew.", soft_wrap=True)
        return 130
    clock.announce("Done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
