# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The values of `videomae-v2 features`: what of the model's outputs is kept, and what decides it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..configuration_videomae_v2 import VideoMAEv2Config
from .clips import Clip, Sampling
from .engine import Result
from .loading import Checkpoint
from .sources import Source
from .store import MADE_FROM, VideoFeatures


# What decides the values besides the weights, of the model and of its processor.
MODEL_SETTINGS = ("hidden_act", "layer_norm_eps", "num_attention_heads", "table_grid")
PIXEL_SETTINGS = {
    "do_resize": ("size", "resample"),
    "do_center_crop": ("crop_size",),
    "do_rescale": ("rescale_factor",),
    "do_normalize": ("image_mean", "image_std"),
}
# The features of a video stay in memory until it is finished; one with more than this is refused.
MAX_BYTES = 4 * 1024**3


def features_of(model: torch.nn.Module, pixel_values: torch.Tensor, tokens: str) -> torch.Tensor:
    """`(n, D)`, `(n, T, D)` or `(n, N, D)` for `tokens` "clip", "tubelet" or "all"."""
    outputs = model(pixel_values, return_dict=True)
    if tokens == "clip":
        return outputs.pooler_output
    if tokens == "all":
        return outputs.last_hidden_state
    steps = pixel_values.shape[1] // model.config.tubelet_size
    return outputs.last_hidden_state.unflatten(1, (steps, -1)).mean(dim=2)


def check_size(source: Source, clip: Clip, config: VideoMAEv2Config, tokens: str) -> None:
    """`ValueError` if the features of the video that this is a clip of are too many for the memory."""
    frames, _, height, width = clip.views.shape[1:]
    steps = frames // config.tubelet_size
    vectors = {"clip": 1, "tubelet": steps, "all": steps * (height // config.patch_size) * (width // config.patch_size)}
    size = clip.count * vectors[tokens] * config.hidden_size * torch.float32.itemsize
    if size > MAX_BYTES:
        raise ValueError(
            f"The features of {source.address} would take {size / 1024**3:.1f} GiB of memory. Use --tokens clip or "
            "tubelet, or a longer --stride."
        )


def join(results: Sequence[Result]) -> VideoFeatures:
    """The features of a video out of those of its clips."""
    return VideoFeatures(
        torch.cat([result.outputs for result in results]),
        [result.clip.start for result in results],
        [result.clip.end for result in results],
        results[0].clip.duration,
        results[0].clip.fps,
    )


def describe_settings(checkpoint: Checkpoint, sampling: Sampling, tokens: str, dtype: str) -> dict[str, Any]:
    """What decides the values of the features; the same for the same weights, wherever they lie."""
    about, config = checkpoint.processor.to_dict(), checkpoint.model.config
    own = [*_frame_settings(about, slides=sampling.window is not None)]
    for switch, settings in PIXEL_SETTINGS.items():
        own += [switch, *(settings if about[switch] else ())]
    return {
        MADE_FROM: checkpoint.name,
        "model": checkpoint.fingerprint(),
        **{f"model.{name}": getattr(config, name) for name in MODEL_SETTINGS},
        "dtype": dtype,
        "tokens": tokens,
        **sampling.describe(),
        **{f"processor.{name}": about.get(name) for name in own},
    }


def _frame_settings(about: Mapping[str, Any], slides: bool) -> tuple[str, ...]:
    """Names of the settings of a processor that decide which frames are taken, by a sliding window or by itself."""
    if slides:
        return ("num_frames", "num_clips")
    if not about["do_sample_frames"]:
        return ("do_sample_frames",)
    if about.get("fps"):
        return ("do_sample_frames", "fps")
    dense = ("sampling_rate",) if about["sampling"] == "dense" else ()
    return ("do_sample_frames", "num_frames", "num_clips", "sampling", *dense)


__all__ = ["check_size", "describe_settings", "features_of", "join"]
