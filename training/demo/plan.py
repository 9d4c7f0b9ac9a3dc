# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The stages of the demo, as commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..motion import CLASSES, MotionOptions
from .stages import RECIPES, Stage


VIDEO = {"size": 64, "min_frames": 16, "max_frames": 28}
OTHER_CLASSES = tuple(name for name in CLASSES if not name.startswith("moves"))
NUM_CLIPS = 3  # clips per video in the multi-view test
STUDENT_STEPS, DISTILLATION_STEPS = 500, 300
SHORTEST = 4  # steps


@dataclass(frozen=True)
class Plan:
    """Where everything lies, and how long each stage takes.

    Attributes:
        output: Folder of the demo.
        seed: Seed of data, weights and order.
        scale: Factor on numbers of clips and steps; 1 is the demo, less is for trying out the machinery.
        precision: `mixed_precision` of all stages, "no" or "bf16".
    """

    output: Path
    seed: int = 0
    scale: float = 1.0
    precision: str = "no"

    @property
    def target(self) -> Path:
        """The data set whose held-out clips count: all classes."""
        return self.output / "data" / "target"

    @property
    def other(self) -> Path:
        """Another labelled data set: other clips, of some of the classes."""
        return self.output / "data" / "other"

    @property
    def stills(self) -> Path:
        """The held-out clips, each with its middle frame repeated."""
        return self.output / "data" / "stills"

    def datasets(self) -> dict[Path, MotionOptions]:
        """What is written."""
        train, test = max(1, round(100 * self.scale)), max(1, round(40 * self.scale))
        return {
            self.target: MotionOptions(train, test, seed=2 * self.seed, **VIDEO),
            self.other: MotionOptions(train, 0, seed=2 * self.seed + 1, classes=OTHER_CLASSES, **VIDEO),
        }

    def model(self, name: str) -> str:
        """Folder of the model that a stage makes."""
        return str(self.output / name / "model")

    def pretraining(self) -> Stage:
        """Without labels, on all training clips."""
        return self._stage("pretrain", "demo_pretrain", "pretrained", [self.target, self.other], 800)

    def finetuning(self, name: str, start: str | None) -> Stage:
        """On the labels of the target."""
        return self._stage("finetune", "demo_finetune", name, [self.target], 300, start)

    def post_pretraining(self) -> Stage:
        """On the labels of both data sets, united by name."""
        folders = [self.target, self.other]
        return self._stage("finetune", "demo_finetune", "post_pretrained", folders, 1200, "pretrained")

    def specific_finetuning(self) -> Stage:
        """Shorter, with a smaller learning rate: the labels are known to the model."""
        more = ["--optimizer.base_lr", "4.0e-3"]
        return self._stage("finetune", "demo_finetune", "finetuned_twice", [self.target], 100, "post_pretrained", more)

    def distillation(self, teacher: str) -> Stage:
        """A smaller model learns what the teacher says of all clips (section E of the paper).

        It begins with the first blocks of the post-pre-trained one.

        Args:
            teacher: Model that it learns from.
        """
        more, folders = ["--teacher.path", self.model(teacher)], [self.target, self.other]
        return self._stage("distill", "demo_distill", "distilled", folders, DISTILLATION_STEPS, "post_pretrained", more)

    def student(self) -> Stage:
        """The student from nothing but the labels of the target."""
        return self._stage("finetune", "demo_student", "student", [self.target], STUDENT_STEPS)

    def evaluation(self, name: str, stills: bool = False) -> Stage:
        """On the held-out clips."""
        folder = self.stills if stills else self.target / "test"
        arguments = [
            "--model", self.model(name), "--output_dir", str(self.tested(name, stills)),
            "--data.sources", sources([folder]), "--num_clips", "1" if stills else str(NUM_CLIPS), "--num_crops", "1",
            "--data.workers", "0", "--batch_size", "32", "--mixed_precision", self.precision,
        ]  # fmt: skip
        return Stage("training.evaluate", arguments)

    def tested(self, name: str, stills: bool = False) -> Path:
        """Where the evaluation of a model writes."""
        return self.output / name / ("stills" if stills else "test")

    def _stage(
        self, module: str, recipe: str, name: str, folders: list[Path], steps: int, start: str | None = None,
        more: Sequence[str] = (),
    ) -> Stage:  # fmt: skip
        steps = max(SHORTEST, round(steps * self.scale))
        arguments = [
            "--config", str(RECIPES / f"{recipe}.yaml"), "--output_dir", str(self.output / name),
            "--data.sources", sources([folder / "train" for folder in folders]),
            "--schedule.max_steps", str(steps), "--schedule.warmup_steps", str(min(60, steps // 2)),
            "--seed", str(self.seed), "--mixed_precision", self.precision,
        ]  # fmt: skip
        if start is not None:
            arguments += ["--model.init_from", self.model(start)]
        if module != "pretrain":  # the folders of both data sets are found among these names
            arguments += ["--labels_file", str(self.target / "classes.txt")]
        return Stage(f"training.{module}", [*arguments, *more])


def sources(folders: list[Path]) -> str:
    """Folders with a folder per class, as `--data.sources` takes them."""
    return "[" + ", ".join(f"{{kind: folder, path: {folder}}}" for folder in folders) + "]"
