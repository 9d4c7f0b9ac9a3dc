# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Distillation of a large classifier into a small one: its teacher and its loss (paper, section E and Table 16)."""

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.labels_videomae_v2 import are_names

from ..class_names import names_of
from ..heads import refuse_other_problems
from ..launch import DTYPES, whole_weights
from ..recipe_parsing import RecipeError
from ..recipe_stages import DistillationRecipe
from .base import Batch
from .classification import ClassificationTask
from .teacher import Teacher, same_classes, teacher_config


class DistillationTask(ClassificationTask):
    """Training of a classifier to say what a frozen, larger one says of the same clips.

    Both get the same pixels: cropped, augmented, erased and mixed alike.

    Raises:
        RecipeError: The teacher has other classes, or is not there.
    """

    recipe: DistillationRecipe
    teacher: Teacher | None = None  # from `start` on

    def __init__(self, recipe: DistillationRecipe) -> None:
        self.teacher_config = teacher_config(recipe.teacher.path)
        try:
            refuse_other_problems(self.teacher_config)
        except ValueError as error:
            raise RecipeError(f"The teacher {recipe.teacher.path} cannot teach classes: {error}") from error
        self.default_names = names_of(self.teacher_config)
        super().__init__(recipe)
        same_classes(self.teacher_config, self.config, recipe.teacher.path)

    def make_config(self) -> VideoMAEv2Config:
        """That of the recipe; classes of which neither it nor the data say names are the teacher's."""
        config, names = super().make_config(), self.default_names
        if not are_names(names_of(config)) and config.num_labels == len(names):
            return self.recipe.model_config(names=names)
        return config

    def start(self, accelerator: Accelerator) -> None:
        """Load the teacher; it does not go through `accelerator.prepare`, so no engine touches it."""
        with whole_weights(accelerator):
            self.teacher = Teacher(
                self.recipe.teacher,
                self.config,
                self.processor,
                device=accelerator.device,
                dtype=DTYPES.get(accelerator.mixed_precision),
                attention=self.recipe.teacher.attention or self.recipe.model.attention,
                compiled=self.recipe.compile != "no",
            )

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        if self.teacher is None:
            raise RuntimeError("The teacher is not loaded: call `start` before `loss`.")
        recipe, clips, labels = self.recipe.teacher, inputs["pixel_values"], inputs["labels"]
        taught = self.teacher(clips)
        logits = model(pixel_values=clips, return_dict=True).logits.float()
        distillation = distillation_loss(logits, taught, recipe.temperature)
        said = logits.detach().argmax(dim=-1)
        parts = {
            "loss": distillation,
            "agreement": (said == taught.argmax(dim=-1)).float().mean(),
            "accuracy": (said == labels.argmax(dim=-1)).float().mean(),
        }
        if recipe.label_weight:
            cross_entropy = F.cross_entropy(logits, labels)
            parts["loss"] = torch.lerp(distillation, cross_entropy, recipe.label_weight)
            parts |= {"distillation": distillation.detach(), "cross_entropy": cross_entropy.detach()}
        return parts


def distillation_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of the student from the teacher, `temperature**2 * KL(teacher || student)`.

    Logits are divided by the temperature before the softmax. That divides the gradient by about its square, which the
    factor makes good, as Hinton et al. (Distilling the Knowledge in a Neural Network, section 2) do it. So the gradient
    keeps the size that it has at temperature 1: the limit of its norm in Table 16, and the weight of a cross entropy
    beside it, mean the same at every temperature. The paper names the divergence and the temperature, and no factor.
    AdamW takes the same steps with and without it, except where the gradient is clipped.

    Args:
        student: Logits `(B, classes)`.
        teacher: Logits `(B, classes)`.
        temperature: Above 0.

    Returns:
        Mean over the batch `()`, in fp32.
    """
    said = F.log_softmax(student.float() / temperature, dim=-1)
    taught = F.log_softmax(teacher.float() / temperature, dim=-1)
    return F.kl_div(said, taught, reduction="batchmean", log_target=True) * temperature**2
