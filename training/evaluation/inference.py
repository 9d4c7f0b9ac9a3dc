# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From views to probabilities of classes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from modeling_videomae_v2.places import check_place

from ..heads import load_trained
from ..launch import DTYPES
from ..recipe_parsing import RecipeError
from ..transfer import move
from .loading import Sample
from .recipe import EvaluationRecipe
from .store import Prediction
from .views import ViewMaker


def load_model(recipe: EvaluationRecipe) -> VideoMAEv2ForVideoClassification:
    """The classifier of a checkpoint, fp32, in evaluation mode, on the CPU.

    Raises:
        RecipeError: There is no such checkpoint, it is of another kind, it has no head, or its weights do not fit its
            configuration.
    """
    try:
        check_place(recipe.model)
        model, missing = load_trained(recipe.model, recipe.attention)
    except ImportError as error:
        raise RecipeError(f"attention ({recipe.attention}) cannot be used here: {error}") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"The model {recipe.model} cannot be loaded: {error}") from error
    if missing:
        shown = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        raise RecipeError(
            f"{recipe.model} is no classifier, it has no {shown}. Fine-tune it first (training.finetune), or name the "
            "folder of the fine-tuned model."
        )
    return model.eval()


@dataclass
class Classifier:
    """Computes the probabilities of a group of videos.

    The probabilities of a view are the softmax over the classes of the results, in fp32; those of a video are their
    mean over the views, in double precision and in a fixed order.

    Attributes:
        model: The model, on its device.
        views: What the views are, and how they are normalised.
        columns: Outputs of the model that are kept; None: all.
        batch_size: Clips in a forward pass.
        device: Where the model is.
        precision: "no", "bf16" or "fp16".
        keep_views: Whether the probabilities of every view are wanted.
    """

    model: nn.Module
    views: ViewMaker
    columns: tuple[int, ...] | None
    batch_size: int
    device: torch.device
    precision: str = "no"
    keep_views: bool = False

    def __call__(self, samples: Sequence[Sample]) -> list[Prediction]:
        """Predictions of the videos, those that cannot be read included.

        Raises:
            FloatingPointError: The model's outputs are not finite.
        """
        readable = [sample for sample in samples if sample.views is not None]
        found = dict(zip((s.number for s in readable), self._probabilities(readable))) if readable else {}
        return [self._prediction(sample, found.get(sample.number)) for sample in samples]

    @torch.inference_mode()
    def _probabilities(self, samples: Sequence[Sample]) -> torch.Tensor:
        """`(videos, views, classes)`, float32, on the CPU."""
        clips = [clip for sample in samples for clip in sample.views]
        outputs = []
        for first in range(0, len(clips), self.batch_size):
            batch = torch.stack([move(clip, self.device) for clip in clips[first : first + self.batch_size]])
            with self._autocast():
                logits = self.model(pixel_values=self.views.normalise(batch), return_dict=True).logits
            outputs.append(logits.float())
        logits = torch.cat(outputs)
        if self.columns is not None:
            logits = logits[:, torch.tensor(self.columns, device=logits.device)]
        probabilities = logits.softmax(dim=-1).unflatten(0, (len(samples), -1)).cpu()
        for sample, values in zip(samples, probabilities):
            if not values.isfinite().all():
                raise FloatingPointError(
                    f"The model's outputs for {sample.name} are not finite. Evaluate with mixed_precision no or bf16; "
                    "if they stay so, the weights are damaged."
                )
        return probabilities

    def _prediction(self, sample: Sample, views: torch.Tensor | None) -> Prediction:
        if views is None:
            return Prediction(sample.number, sample.name, sample.label, error=sample.error)
        multi = views[: len(views) - self.views.single_view]
        return Prediction(
            number=sample.number,
            path=sample.name,
            label=sample.label,
            multi_view=multi.double().mean(dim=0).float().numpy() if len(multi) else None,
            single_view=views[-1].numpy() if self.views.single_view else None,
            views=views.numpy() if self.keep_views else None,
        )

    def _autocast(self) -> AbstractContextManager:
        if self.precision not in DTYPES:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])
