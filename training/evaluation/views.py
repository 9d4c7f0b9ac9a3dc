# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views of a video for testing. Every frame number, size and crop is that of `VideoMAEv2VideoProcessor`."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2VideoProcessor
from modeling_videomae_v2.inference.clips import refuse_too_many

from ..data.frames import read_frames
from ..data.sources import Video
from ..processors import find_processor
from ..recipe_parsing import RecipeError
from .recipe import EvaluationRecipe


logger = logging.getLogger(__name__)


def processor_of(recipe: EvaluationRecipe, config: VideoMAEv2Config) -> VideoMAEv2VideoProcessor:
    """The video processor of a checkpoint, changed as the recipe says; the default one where it has none.

    Args:
        recipe: Its `model` and `data`.
        config: Configuration of the model, for the frames and the size of the default.

    Raises:
        RecipeError: It cannot be had, its settings have no meaning, it makes clips of no fixed number of frames where
            the recipe says none, clips of that size do not fit the model, or their views the memory.
    """
    data = recipe.data
    given = {name: getattr(data, name) for name in ("num_frames", "sampling", "sampling_rate")}
    changes = {name: value for name, value in given.items() if value is not None}
    if data.image_size is not None:
        changes |= _square(data.image_size)
    try:
        processor = find_processor(recipe.model, **changes)
        if processor is None:
            own = {"num_frames": config.num_frames, **_square(config.image_size)}
            processor = VideoMAEv2VideoProcessor(**{**own, **changes})
            logger.warning(
                "%s has no video processor: frames and size are the model's, mean and deviation are ImageNet's.",
                recipe.model,
            )
    except OSError as error:
        raise RecipeError(str(error)) from error
    except ValueError as error:
        raise RecipeError(f"The video processor of {recipe.model} cannot be used: {error}") from error
    if data.num_frames is None:
        _demand_frames(processor, recipe.model)
    sides = (processor.crop_size.height, processor.crop_size.width) if processor.do_center_crop else ()
    for name, values, unit in (
        ("num_frames", (processor.num_frames,), "tubelet_size"),
        ("image_size", sides, "patch_size"),
    ):
        wrong = [value for value in values if value % getattr(config, unit)]
        if wrong:
            raise RecipeError(
                f"data.{name} (or what the video processor of {recipe.model} says) is {wrong[0]}; it must be a "
                f"multiple of the model's {unit}, {getattr(config, unit)}."
            )
    try:
        refuse_too_many(processor, recipe.num_clips, recipe.num_crops)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    return processor


def _demand_frames(processor: VideoMAEv2VideoProcessor, model: str) -> None:
    """Refuse a processor whose clips are as long as the video: views of `num_frames` would not be what it gives."""
    own = [f"fps: {processor.fps:g}"] if processor.fps else []
    own += ["do_sample_frames: false"] if not processor.do_sample_frames else []
    if own:
        raise RecipeError(
            f"The video processor of {model} has {' and '.join(own)}, so that its clips differ in length; those of an "
            "evaluation have one. Set data.num_frames, or save the processor without that with the model."
        )


def _square(side: int) -> dict[str, dict[str, int]]:
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}


@dataclass
class ViewMaker:
    """Decodes a video once and cuts the views of the test from it.

    The multi-view test has `num_clips` clips spread over the video and `num_crops` crops of each along its longer side
    (paper, Table 6 and 14: 5 x 3 for Kinetics). The single view, the centre crop of the centre clip, is what the
    processor gives where nothing else is asked for; with an odd number of clips it is near, but not, one of the others.

    Attributes:
        processor: Owner of the arithmetic.
        num_clips: Clips of the multi-view test.
        num_crops: Crops of each.
        multi_view: Whether those views are wanted.
        single_view: Whether the centre view is wanted; it comes last.
    """

    processor: VideoMAEv2VideoProcessor
    num_clips: int
    num_crops: int
    multi_view: bool = True
    single_view: bool = True

    @classmethod
    def of(cls, recipe: EvaluationRecipe, processor: VideoMAEv2VideoProcessor) -> "ViewMaker":
        """The views that a recipe asks for."""
        single = recipe.single_view or not recipe.multi_view
        return cls(processor, recipe.num_clips, recipe.num_crops, recipe.multi_view, single)

    @property
    def tests(self) -> list[tuple[int, int]]:
        """Clips and crops of each test, in the order of the views."""
        return [(self.num_clips, self.num_crops)] * self.multi_view + [(1, 1)] * self.single_view

    @property
    def names(self) -> list[str]:
        """Names of the tests, in the order of the views."""
        return ["multi_view"] * self.multi_view + ["single_view"] * self.single_view

    @property
    def num_views(self) -> int:
        """Views of a video, those of all tests."""
        return sum(clips * crops for clips, crops in self.tests)

    def __call__(self, video: Video, sampling_rate: int | None = None) -> torch.Tensor:
        """Decode and cut a video.

        Args:
            video: Where it is.
            sampling_rate: Distance between frames of a dense clip; default: the processor's.

        Returns:
            uint8 `(num_views, T, C, H, W)`, not yet normalised: all crops of clip 0, those of clip 1, ..., the single
            view.

        Raises:
            VideoDecodingError, OSError: It cannot be read.
        """
        plans: list[np.ndarray] = []

        def choose(total: int) -> np.ndarray:
            plans[:] = [self._frames(total, clips, sampling_rate) for clips, _ in self.tests]
            return np.unique(np.concatenate([plan.ravel() for plan in plans]))

        frames = read_frames(video, choose)
        wanted = np.unique(np.concatenate([plan.ravel() for plan in plans]))
        parts = [self._cut(frames, np.searchsorted(wanted, plan), crops) for plan, (_, crops) in zip(plans, self.tests)]
        return torch.cat(parts)

    def _frames(self, total: int, num_clips: int, sampling_rate: int | None) -> np.ndarray:
        """Frames of the clips of one test, `(num_clips, T)`."""
        indices = self.processor.sample_frames(
            VideoMetadata(total_num_frames=total), num_frames=self.processor.num_frames, num_clips=num_clips,
            sampling_rate=sampling_rate,
        )  # fmt: skip
        return np.asarray(indices).reshape(num_clips, -1)

    def _cut(self, frames: torch.Tensor, places: np.ndarray, num_crops: int) -> torch.Tensor:
        """Views `(clips * crops, T, C, H, W)` of one test; each frame is resized and cropped once."""
        needed, places = np.unique(places, return_inverse=True)
        cut = self.processor(
            frames[torch.from_numpy(needed)], do_sample_frames=False, num_crops=num_crops, do_rescale=False,
            do_normalize=False,
        )["pixel_values"][0]  # fmt: skip
        cut = cut if num_crops > 1 else cut[None]
        index = torch.from_numpy(places.reshape(-1, self.processor.num_frames))
        return cut[:, index].transpose(0, 1).flatten(0, 1)

    def normalise(self, views: torch.Tensor) -> torch.Tensor:
        """uint8 views on any device as the model takes them, float32, as the processor would have done it."""
        own = self.processor
        return own.rescale_and_normalize(
            views, own.do_rescale, own.rescale_factor, own.do_normalize, own.image_mean, own.image_std
        )
