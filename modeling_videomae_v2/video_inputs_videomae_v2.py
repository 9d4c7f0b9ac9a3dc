# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever may be passed as `videos`, as a flat list; frames in memory as `(frames, channels, height, width)`."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import ImageSequence
from PIL.Image import Image
from transformers.image_utils import ChannelDimension
from transformers.video_utils import VideoMetadata

from .indexed_videos_videomae_v2 import Pictures, are_pictures, is_decoder, to_rgb
from .video_sources_videomae_v2 import is_video_source


ACCEPTED = (
    "Pass a path, a URL, bytes, a (frames, height, width, channels) or (frames, channels, height, width) array or "
    "tensor, a list of PIL images or of encoded pictures, a decoder, or a list of these."
)
LISTED = " If it holds videos, or the frames of one, pass `list(...)` of it."  # a series, a generator
COLOUR_CHANNELS = (1, 3, 4)
PIPELINE_SETTINGS = {"num_frames", "do_sample_frames", "return_tensors"}  # all that transformers' pipeline ever passes
UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, torch.Tensor))


def _is_frame(value: Any) -> bool:
    return isinstance(value, Image) or (_is_array(value) and value.ndim == 3)


def flatten_videos(videos: Any) -> list[Any]:
    """List of single videos: sources to decode, decoders, arrays or tensors, lists of frames, or `Pictures`.

    A list whose items are all pictures is one video, however they are given: as frames, or encoded, in files or bytes.

    Args:
        videos: One video or any nesting of lists of them, or of other sequences, as the columns of `datasets`, whose
            rows are all read; a five-dimensional array is a batch. What `datasets` gives for a video or picture that is
            not decoded, a dict with `bytes` or `path`, is a source.

    Raises:
        ValueError: It is empty, a single picture, or of a type that no video has.
    """
    if isinstance(videos, Mapping):
        return [_source_of(videos)]
    if is_video_source(videos) or is_decoder(videos):
        return [videos]
    if _is_array(videos):
        return list(videos) if videos.ndim == 5 else [videos]
    if not isinstance(videos, Sequence):
        raise ValueError(f"A `{type(videos).__name__}` is not a video.{_way_out(videos)} {ACCEPTED}")
    videos = list(videos)  # once: a column of `datasets` reads and decodes a row whenever it is asked for it
    if not videos:
        raise ValueError(f"`videos` holds an empty list: there is no video or no frame in it. {ACCEPTED}")
    if _is_frame(videos[0]):
        return [videos]
    items = [_source_of(item) if isinstance(item, Mapping) else item for item in videos]
    if are_pictures(items):
        return [Pictures(items)]
    return [video for item in items for video in flatten_videos(item)]


def _way_out(value: Any) -> str:
    """What may be done about something that is no video and no list."""
    # of an animation, `list` would give the last frame again and again
    if getattr(value, "is_animated", False) or isinstance(value, ImageSequence.Iterator):
        return " Pass the path of an animation, or `[frame.copy() for frame in ImageSequence.Iterator(image)]`."
    if isinstance(value, Image):
        return (
            " A pipeline takes a list for several videos: pass it `[frames]` where `frames` are one video. For a video "
            "of one frame pass `[image]`."
        )
    return LISTED if isinstance(value, Iterable) and getattr(value, "ndim", 1) == 1 else ""


def _source_of(video: Mapping[str, Any]) -> Any:
    """What is to be decoded of `{"bytes": ..., "path": ...}`; the path may be a name inside of an archive."""
    for key in ("bytes", "path"):
        if video.get(key) is not None:
            return video[key]
    if video.keys() & {"bytes", "path"}:
        raise ValueError("A dict must hold the `bytes` or `path` of a video, got None: leave out rows without a video.")
    raise ValueError(f"A dict must hold the `bytes` or `path` of a video, got {sorted(map(str, video))}. {ACCEPTED}")


def is_call_of_pipeline(settings: Mapping[str, Any]) -> bool:
    """Whether the settings of a call of the processor are those that transformers' pipeline passes."""
    return settings.keys() == PIPELINE_SETTINGS and bool(settings["do_sample_frames"])


def refuse_for_pipeline(videos: Any, count: int, settings: Mapping[str, Any]) -> None:
    """Refuse several videos for which a pipeline would show the answer for the first one alone.

    It goes through a list by itself, and hands on whatever else there is as if it were one video: a column of
    `datasets`, an array of several clips.

    Args:
        videos: What was passed.
        count: Videos in it.
        settings: Those of the call, by which a pipeline is known.

    Raises:
        ValueError: There are several in something that is no list, in a call as a pipeline makes it.
    """
    taken_for_one = _is_array(videos) or (isinstance(videos, Sequence) and not isinstance(videos, list))
    if count > 1 and taken_for_one and is_call_of_pipeline(settings):
        name = type(videos).__name__
        raise ValueError(
            f"A pipeline, which calls like this, takes a `{name}` for one video, and would answer for the first of "
            f"{count} alone. Pass `list(...)` of it."
        )


def flatten_metadata(metadata: Any, count: int) -> list[VideoMetadata | None]:
    """New `VideoMetadata` (or None) for each of `count` videos, from one object, a dict or any nesting of lists."""
    if metadata is None:
        return [None] * count
    flat, rest = [], [metadata]
    while rest:
        item = rest.pop(0)
        if isinstance(item, (list, tuple)):
            rest = [*item, *rest]
        else:
            flat.append(_copy_metadata(item))  # it is going to be filled in
    if len(flat) != count:
        raise ValueError(f"`video_metadata` has {len(flat)} entries for {count} videos. Pass one for each video.")
    return flat


def _copy_metadata(item: Mapping[str, Any]) -> VideoMetadata:
    known = [field.name for field in dataclasses.fields(VideoMetadata)]
    unknown = sorted(set(item) - set(known))
    if unknown:
        raise ValueError(f"`video_metadata` has {', '.join(map(str, unknown))}. It may hold {', '.join(known)}.")
    return VideoMetadata(**{"total_num_frames": None, **item})


def _stack_frames(frames: list[Any], do_convert_rgb: bool) -> np.ndarray | torch.Tensor:
    """One array from a list of PIL images (channels last) or of three-dimensional arrays."""
    if any(isinstance(frame, Image) for frame in frames):
        wrong = next((type(frame).__name__ for frame in frames if not isinstance(frame, Image)), None)
        if wrong:
            raise ValueError(f"The frames of one video are PIL images and a `{wrong}`. Use one type.")
        arrays = [np.asarray(to_rgb(frame) if do_convert_rgb else frame) for frame in frames]
        frames = [array[..., None] if array.ndim == 2 else array for array in arrays]
    shapes = {tuple(np.shape(frame)) for frame in frames}
    if len(shapes) != 1:
        raise ValueError(f"The frames of one video have different shapes: {sorted(shapes)}. Make them equal.")
    if all(isinstance(frame, torch.Tensor) for frame in frames):
        return torch.stack(frames)
    return np.stack([np.asarray(frame) for frame in frames])


def _channels_axis(shape: tuple[int, ...], input_data_format: Any) -> int:
    """Axis of the channels, 1 or 3; a shape that fits both is taken as (frames, channels, height, width)."""
    if input_data_format is not None:
        return 1 if ChannelDimension(input_data_format) == ChannelDimension.FIRST else 3
    if shape[1] in COLOUR_CHANNELS and not (shape[3] == 3 and shape[1] != 3):
        return 1
    if shape[3] in COLOUR_CHANNELS:
        return 3
    transposed = shape[0] in COLOUR_CHANNELS
    hint = " It looks like (channels, frames, height, width): apply `transpose(0, 1)` first." if transposed else ""
    raise ValueError(
        f"No axis of a video of shape {shape} can be its channels (1, 3 or 4).{hint} Pass (frames, channels, height, "
        "width) or (frames, height, width, channels), or say which with `input_data_format`."
    )


def _missing_axis(shape: tuple[int, ...]) -> str:
    """What may be done about an array that has too few axes."""
    if len(shape) == 3 and (shape[0] == 3 or shape[2] in COLOUR_CHANNELS):
        return " A picture is a video of one frame as `[picture]`."
    if len(shape) == 1:
        return LISTED
    return " Grey frames need an axis for their channel: `frames[..., None]`." if len(shape) in (2, 3) else ""


def _numbers(video: torch.Tensor, do_rescale: bool) -> torch.Tensor:
    """Pixels as uint8 or float32; refuses what cannot be pixels."""
    if video.dtype == torch.uint8:
        return video
    if video.dtype == torch.bool or video.is_complex():
        raise ValueError(f"Pixels cannot be {video.dtype}. Pass uint8 from 0 to 255, or floating point.")
    dtype = video.dtype
    if dtype in UNSIGNED:  # torch has no minimum of these
        video = video.long()
    low, high = video.min().item(), video.max().item()
    if not video.is_floating_point():
        if low < 0 or high > 255:
            raise ValueError(f"{dtype} pixels go from {low} to {high}. Pass values from 0 to 255.")
        return video.to(torch.uint8)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("The video has pixels that are NaN or infinite. Pass finite values.")
    if do_rescale and low >= 0 and 0 < high <= 1:
        raise ValueError(
            f"Floating-point pixels go from {low:.3g} to {high:.3g}: they seem to be scaled to [0, 1] already, and "
            "would be scaled again. Pass `do_rescale=False`, or values from 0 to 255."
        )
    if do_rescale and (low < 0 or high > 255):
        raise ValueError(
            f"Floating-point pixels go from {low:.3g} to {high:.3g}. Pass values from 0 to 255, or `do_rescale=False` "
            "with values from 0 to 1."
        )
    return video.float()


def frames_to_tensor(
    video: Any, input_data_format: Any = None, do_convert_rgb: bool | None = True, do_rescale: bool | None = True
) -> torch.Tensor:
    """Frames in memory as `(frames, channels, height, width)`, uint8 or float32.

    Args:
        video: Four-dimensional array or tensor, or list of frames (PIL images or three-dimensional arrays).
        input_data_format: "channels_first" or "channels_last"; found from the shape where it is None.
        do_convert_rgb: Repeat one grey channel, drop an alpha channel.
        do_rescale: Whether the pixels are going to be multiplied by 1/255, so that they must go from 0 to 255.

    Raises:
        ValueError: The shape or the numbers are not those of a video.
    """
    if isinstance(video, list):
        if isinstance(video[0], Image):
            input_data_format = ChannelDimension.LAST
        video = _stack_frames(video, bool(do_convert_rgb))
    shape = tuple(video.shape)
    if len(shape) != 4:
        raise ValueError(f"A video has 4 dimensions, got an array of shape {shape}.{_missing_axis(shape)} {ACCEPTED}")
    if 0 in shape:
        raise ValueError(f"A video of shape {shape} is empty. Pass at least one frame and one pixel.")
    if isinstance(video, np.ndarray):
        if video.dtype.kind not in "uifbc":
            raise ValueError(f"Pixels cannot be `{video.dtype}`. Pass uint8 from 0 to 255, or floating point.")
        video = np.ascontiguousarray(video, dtype=video.dtype.newbyteorder("="))
        video = torch.from_numpy(video if video.flags.writeable else video.copy())
    if _channels_axis(shape, input_data_format) == 3:
        video = video.permute(0, 3, 1, 2)
    video = _numbers(video, bool(do_rescale))
    channels = video.shape[1]
    if not do_convert_rgb or channels == 3:
        return video
    if channels not in COLOUR_CHANNELS:
        raise ValueError(f"A video with {channels} channels is not grey, RGB or RGBA. Pass `do_convert_rgb=False`.")
    return video.expand(-1, 3, -1, -1) if channels == 1 else video[:, :3]
