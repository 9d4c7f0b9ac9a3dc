# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The frozen teacher of distillation: a classifier that gets the student's clips the way it is used to them."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2VideoProcessor
from modeling_videomae_v2.labels_videomae_v2 import RENAMES_ADVICE, are_names, select_classes
from modeling_videomae_v2.loading_videomae_v2 import UnfitWeightsError
from modeling_videomae_v2.places import check_place

from ..class_names import names_of
from ..heads import load_trained
from ..processors import pixel_statistics
from ..recipe_parsing import RecipeError
from ..recipe_stages import TeacherRecipe
from .base import statistics_of


_SHOWN = 8


def teacher_config(path: str) -> VideoMAEv2Config:
    """Configuration of the teacher in a folder or Hub repository.

    Raises:
        RecipeError: There is none.
    """
    try:
        check_place(path)
        return VideoMAEv2Config.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise unusable(path, error) from error


def unusable(path: str, error: Exception) -> RecipeError:
    """What to say of a teacher that cannot be loaded."""
    return RecipeError(
        f"teacher.path ({path}) is neither a folder with a VideoMAE V2 classifier nor a Hub repository with one that "
        f"can be reached: {str(error).splitlines()[0]}"
    )


def same_classes(teacher: VideoMAEv2Config, student: VideoMAEv2Config, path: str) -> list[int] | None:
    """Where the classes of the student stand among those of the teacher.

    Args:
        teacher: Configuration of the teacher.
        student: Configuration of the student.
        path: Where the teacher comes from, for messages.

    Returns:
        For each class of the student, the teacher's; None: they are the same ones in the same order. By name, where
        both have names; the teacher may then know further classes. Otherwise by number.

    Raises:
        RecipeError: They have other classes.
    """
    theirs, ours = names_of(teacher), names_of(student)
    if not are_names(theirs) or not are_names(ours):
        if teacher.num_labels != student.num_labels:
            raise RecipeError(
                f"The teacher {path} has {teacher.num_labels} classes, the student {student.num_labels}: correct "
                "num_labels, labels or labels_file, or take a teacher of the same data set."
            )
        return None
    if theirs == ours:
        return None
    try:
        return select_classes(theirs, ours)
    except ValueError as error:
        raise RecipeError(
            f"The {len(theirs)} classes of the teacher {path} ({_shown(theirs)}) are not those of the student, which "
            f"has {len(ours)} ({_shown(ours)}): {str(error).removesuffix(RENAMES_ADVICE)}"
        ) from error


def _shown(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


class Teacher:
    """A frozen classifier, in evaluation mode, that answers clips of a student.

    It is no part of the model that is trained: no engine wraps it, no checkpoint holds it. Each process has all of it.

    Args:
        recipe: Where it comes from.
        student: Configuration of the student.
        processor: How the student's clips are normalised.
        device: Where it computes.
        dtype: Format of its products, that of the run; None: fp32. Its matrices are kept in it, and all else in fp32,
            so that it computes as under autocast from fp32 weights, without converting them each time.
        attention: Attention function.
        compiled: Compile it.
    """

    def __init__(
        self, recipe: TeacherRecipe, student: VideoMAEv2Config, processor: VideoMAEv2VideoProcessor,
        device: torch.device, dtype: torch.dtype | None = None, attention: str | None = None, compiled: bool = False,
    ) -> None:  # fmt: skip
        config = teacher_config(recipe.path)
        self.device, self.dtype = device, dtype
        self.frames, self.size = config.num_frames, config.image_size
        order = same_classes(config, student, recipe.path)
        self.order = None if order is None else torch.tensor(order, device=device)
        factors = renormalisation(recipe.path, processor)
        self.factors = None if factors is None else tuple(values.to(device) for values in factors)
        self.model = self._load(recipe.path, attention, compiled)

    def _load(self, path: str, attention: str | None, compiled: bool) -> PreTrainedModel:
        try:
            model, missing = load_trained(path, attention)
        except UnfitWeightsError as error:
            raise RecipeError(f"teacher.path ({path}): {error}") from error
        except OSError as error:
            raise unusable(path, error) from error
        except ValueError as error:
            raise RecipeError(f"teacher.path ({path}) cannot be loaded: {error}") from error
        except ImportError as error:
            raise RecipeError(f"teacher.attention ({attention}) cannot be used here: {error}") from error
        if missing:
            raise RecipeError(
                f"The teacher {path} is no trained classifier, it lacks {', '.join(missing[:4])}: fine-tune it first."
            )
        model.eval().requires_grad_(False)
        convert_matrices(model, self.dtype)
        model.to(self.device)
        if compiled:
            model.compile()
        return model

    @torch.no_grad()
    def __call__(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits of clips.

        Args:
            pixel_values: Clips of the student `(B, T, 3, H, W)`, augmented and mixed, on the device.

        Returns:
            fp32 `(B, classes of the student)`.
        """
        clips = resampled(pixel_values, self.frames, self.size)
        if self.factors is not None:
            scale, shift = self.factors
            clips = torch.addcmul(shift, clips, scale)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            logits = self.model(clips, return_dict=True).logits.float()
        return logits if self.order is None else logits.index_select(1, self.order)


def convert_matrices(model: nn.Module, dtype: torch.dtype | None) -> None:
    """Keep the layers with matrices in the format of their products; None: as they are."""
    for module in model.modules():
        if dtype is not None and isinstance(module, (nn.Linear, nn.Conv3d)):
            module.to(dtype)


def renormalisation(path: str, processor: VideoMAEv2VideoProcessor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What turns the student's pixel values into the teacher's.

    Args:
        path: Folder or Hub repository of the teacher. Without a video processor there, it is used to the student's.
        processor: How the student's clips are rescaled and normalised.

    Returns:
        Factors and summands, each fp32 `(3, 1, 1)`; None: nothing need be done.

    Raises:
        RecipeError: The teacher has a video processor that cannot be used.
    """
    theirs = statistics_of(path, "teacher.path")
    ours = pixel_statistics(processor)
    if theirs in ({}, ours):
        return None
    values = (*ours.values(), *theirs.values())
    mean, std, their_mean, their_std = (torch.tensor(value, dtype=torch.float64).view(-1, 1, 1) for value in values)
    return (std / their_std).float(), ((mean - their_mean) / their_std).float()


def resampled(pixel_values: torch.Tensor, num_frames: int, size: int) -> torch.Tensor:
    """Clips with another number of frames and another resolution; as they are if these are theirs.

    Of more frames, the one in the middle of each of `num_frames` equal segments is taken; of fewer, some repeat. Frames
    are scaled bilinearly with antialiasing.

    Args:
        pixel_values: `(B, T, C, H, W)`.
        num_frames: Frames of the result.
        size: Height and width of the result.

    Returns:
        `(B, num_frames, C, size, size)`.
    """
    batch, frames = pixel_values.shape[:2]
    if frames != num_frames:
        steps = torch.arange(num_frames, device=pixel_values.device)
        pixel_values = pixel_values.index_select(1, (2 * steps + 1) * frames // (2 * num_frames))
    if pixel_values.shape[-2:] == (size, size):
        return pixel_values
    flat = pixel_values.flatten(0, 1)
    return F.interpolate(flat, size=(size, size), mode="bilinear", antialias=True).unflatten(0, (batch, num_frames))
