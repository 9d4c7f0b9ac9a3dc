# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The recipes of pre-training, fine-tuning and distillation: what each adds to `Recipe`.

They stand apart from the tasks, which import PyTorch: `--help` and slips of the pen are answered without it.
"""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import importlib.util
import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .recipe import AugmentRecipe, DataRecipe, Recipe, SourceRecipe, unknown_attention
from .recipe_parsing import RecipeError, knob


if TYPE_CHECKING:
    from modeling_videomae_v2 import VideoMAEv2Config


@dataclass
class PreTrainingRecipe(Recipe):
    """A run of `training.pretrain`."""

    decoder_precision: Literal["same", "fp32"] = knob(
        "same", "fp32: decoder and loss in fp32 beside an encoder in half precision (paper, D.1)"
    )

    def contradictions(self, num_processes: int) -> list[str]:
        found = super().contradictions(num_processes)
        if not found:
            from .masks import MaskDrawer

            try:
                MaskDrawer(self.model_config(), self.seed)
            except ValueError as error:
                found.append(str(error).rstrip("."))
        return found


@dataclass
class LoraRecipe:
    """Low-rank adapters, with peft: lora."""

    rank: int = knob(16, "rank of the adapters")
    alpha: float = knob(32.0, "their scale: alpha / rank is multiplied in")
    dropout: float = knob(0.0, "dropout before the adapters")
    targets: list[str] = knob(
        lambda: ["q_proj", "v_proj"], "linear layers that get one: q_proj, k_proj, v_proj, o_proj, fc1, fc2"
    )

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if self.rank < 1:
            found.append(f"lora.rank must be at least 1, got {self.rank}")
        if not 0.0 < self.alpha < math.inf:
            found.append(f"lora.alpha must be above 0, got {self.alpha}")
        if not 0.0 <= self.dropout < 1.0:
            found.append(f"lora.dropout must lie in [0, 1), got {self.dropout}")
        known = {"q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"}
        if not self.targets or set(self.targets) - known:
            found.append(f"lora.targets must name some of {', '.join(sorted(known))}, got {self.targets}")
        if importlib.util.find_spec("peft") is None:
            found.append("peft: lora needs the package PEFT; run `pip install peft`")
        return found


@dataclass
class EvalRecipe:
    """Evaluation on data_eval during training."""

    every: int | None = knob(None, "steps between evaluations; default: at the end only")
    every_epochs: float | None = knob(None, "epochs between them, instead; rounded up to whole steps")
    batch_size: int | None = knob(None, "videos per process and forward pass; default: that of the training, views too")
    keep_best: bool = knob(True, "keep the model with the best top-1 so far in output_dir/best")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if self.every is not None and self.every < 1:
            found.append(f"eval.every must be at least 1, got {self.every}; null: at the end only")
        if self.every_epochs is not None and not 0 < self.every_epochs < math.inf:
            found.append(f"eval.every_epochs must be above 0, got {self.every_epochs}")
        if None not in (self.every, self.every_epochs):
            found.append("eval.every and eval.every_epochs contradict each other; leave one of them out")
        if self.batch_size is not None and self.batch_size < 1:
            found.append(f"eval.batch_size must be at least 1, got {self.batch_size}")
        return found

    def steps(self, steps_per_epoch: float) -> int | None:
        """Steps between two evaluations; None: only at the end.

        Raises:
            RecipeError: It is stated in epochs, whose length is not known.
        """
        if self.every_epochs is None:
            return self.every
        if not steps_per_epoch:
            raise RecipeError(
                f"The number of videos is not known, so that eval.every_epochs ({self.every_epochs:g}) has no meaning: "
                "set eval.every, in steps, or data.sources.N.num_videos."
            )
        return max(1, math.ceil(round(self.every_epochs * steps_per_epoch, 6)))  # or a tenth of 110 would be 12


def eval_data(data: DataRecipe, sources: list[SourceRecipe]) -> DataRecipe:
    """The clips of a validation set: cut as those of the training, from the middle, without augmentation.

    None stays decoded: workers begin anew at each evaluation, and would decode whole videos to read them once.
    """
    return replace(
        data, sources=sources, views=1, multi_scale_crop=False, flip=False, augment=AugmentRecipe(), cache_gib=0.0
    )


@dataclass
class FineTuningRecipe(Recipe):
    """A run of `training.finetune`: post-pre-training or specific fine-tuning."""

    num_labels: int | None = knob(None, "number of classes, where neither labels, labels_file nor the data name them")
    labels: list[str] | None = knob(None, "names of the classes, in the order of their numbers")
    labels_file: str | None = knob(
        None, "file with one name a line, or JSON; folders of the data are found in it by name", is_path=True
    )
    label_renames: str | None = knob(
        None, "JSON file of other names of the same classes, to find them in the head of model.init_from", is_path=True
    )
    label_smoothing: float = knob(0.0, "share of the target that is spread over all classes")
    mixup: float = knob(0.0, "parameter of the beta distribution of mixup; 0: none")
    cutmix: float = knob(0.0, "parameter of the beta distribution of cutmix; 0: none")
    mixup_prob: float = knob(1.0, "share of the clips that are mixed, where mixup or cutmix is on")
    mixup_switch_prob: float = knob(0.5, "share of cutmix among them, where both are on")
    random_erasing: float = knob(0.0, "share of the clips of which a box becomes noise")
    peft: Literal["none", "lora"] = knob("none", "lora: train low-rank adapters and the head, and nothing else")
    lora: LoraRecipe = knob(LoraRecipe, "the adapters")
    data_eval: list[SourceRecipe] = knob(list, "validation videos; they are cut as data says, from the middle")
    eval: EvalRecipe = knob(EvalRecipe, "evaluation on data_eval")

    def _mixing_problems(self) -> list[str]:
        found = [f"{name} must not be negative, got {value}; 0 turns it off"
                 for name, value in (("mixup", self.mixup), ("cutmix", self.cutmix))
                 if not 0.0 <= value < float("inf")]  # fmt: skip
        for name in ("mixup_prob", "mixup_switch_prob", "random_erasing"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                found.append(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if not 0.0 <= self.label_smoothing < 1.0:
            found.append(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        return found

    def problems(self) -> list[str]:
        found = super().problems()
        if self.num_labels is not None and self.num_labels < 2:
            found.append(f"num_labels must be at least 2, got {self.num_labels}")
        if self.labels is not None and self.num_labels not in (None, len(self.labels)):
            found.append(f"labels names {len(self.labels)} classes, num_labels says {self.num_labels}")
        twice = [name for place, name in enumerate(self.labels or ()) if name in self.labels[:place]]
        if twice:
            found.append(f"labels names the class {twice[0]!r} twice; each needs a name of its own")
        if self.labels is not None and self.labels_file is not None:
            found.append("labels and labels_file contradict each other; leave one of them out")
        found += self._mixing_problems()
        if self.peft == "lora":
            found += self.lora.problems()
        if self.data_eval:
            texts = eval_data(self.data, self.data_eval).problems()
            found += [text.replace("data.sources", "data_eval") for text in texts if text.startswith("data.sources")]
        elif self.eval.every or self.eval.every_epochs:
            found.append("eval says when to evaluate, but data_eval names no videos")
        return found + self.eval.problems()

    def knows_model(self) -> bool:
        start = self.model.init_from  # it need not be on the machine that checks the recipe
        return start is None or os.path.isdir(start)

    def model_config(self, **more: Any) -> "VideoMAEv2Config":
        """As `Recipe.model_config`; `names` are the names of the classes, by default as far as the recipe says them."""
        for name in ("num_labels", "id2label", "label2id"):
            if name in self.model.config:
                raise RecipeError(f"model.config.{name} is no key of a recipe: num_labels, labels or labels_file do it")
        if "problem_type" in self.model.config:
            raise RecipeError("model.config.problem_type is no key of a recipe: every clip has one class here")
        from modeling_videomae_v2.labels_videomae_v2 import placeholders

        names = more.pop("names", None) or self.labels or placeholders(self.num_labels or 2)
        labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        # a model that told several classes, or a number, would be trained on these with its own loss
        return super().model_config(**labels, problem_type=None, **more)


@dataclass
class TeacherRecipe:
    """The teacher, and how it is listened to (paper, Table 16)."""

    path: str = knob(
        "", "folder or Hub repository of the teacher, a classifier with the classes of the student", is_path=True
    )
    temperature: float = knob(3.0, "what the logits of both are divided by")
    label_weight: float = knob(0.0, "share of the loss that is cross entropy with the labels; the rest is distillation")
    attention: str | None = knob(None, "attention function of the teacher; default: model.attention")

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if not self.path:
            found.append("teacher.path is missing; name the folder or Hub repository of a trained classifier")
        if not 0.0 < self.temperature < float("inf"):
            found.append(f"teacher.temperature must be above 0, got {self.temperature}")
        if not 0.0 <= self.label_weight < 1.0:
            found.append(
                f"teacher.label_weight must lie in [0, 1), got {self.label_weight}; without a teacher, use "
                "training.finetune"
            )
        return found + unknown_attention("teacher.attention", self.attention)


@dataclass
class DistillationRecipe(FineTuningRecipe):
    """A run of `training.distill`."""

    teacher: TeacherRecipe = knob(TeacherRecipe, "the teacher")

    def problems(self) -> list[str]:
        return super().problems() + self.teacher.problems()
