# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Video processor of VideoMAE V2: the one owner of frame sampling, resizing, cropping, mean and standard deviation."""

import os
from typing import Any, TypeVar

import numpy as np
import torch
from huggingface_hub.dataclasses import validate_typed_dict
from huggingface_hub.errors import StrictDataclassFieldValidationError
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    ChannelDimension,
    PILImageResampling,
)
from transformers.processing_utils import VideosKwargs
from transformers.utils import CONFIG_NAME, cached_file, logging
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoMetadata

from .configuration_videomae_v2 import VideoMAEv2Config, where_from
from .foreign_settings_videomae_v2 import PROCESSOR_TYPES, is_foreign_processor, translate_processor
from .indexed_videos_videomae_v2 import Pictures, is_decoder, read_decoder
from .processor_settings_videomae_v2 import (
    LOADING,
    check_pixels,
    check_sampling,
    check_scale,
    plain_numbers,
    refuse_unknown,
)
from .video_decoding_videomae_v2 import read_video
from .video_inputs_videomae_v2 import (
    flatten_metadata,
    flatten_videos,
    frames_to_tensor,
    is_call_of_pipeline,
    refuse_for_pipeline,
)
from .video_sources_videomae_v2 import is_video_source
from .video_views_videomae_v2 import crop_views, dense_indices, uniform_indices


logger = logging.get_logger(__name__)

PIPELINE_WITHOUT_RATE = (
    "`fps` ({fps}) of the video processor is not used, since the call has `num_frames` ({num_frames}): a pipeline "
    "passes that of the model. For frames by `fps`, call processor and model yourself."
)
BOTH_RATES = "`num_frames` ({num_frames}) and `fps` ({fps}) exclude each other. Pass one of them."


class VideoMAEv2VideoProcessorKwargs(VideosKwargs, total=False):
    """Settings of `VideoMAEv2VideoProcessor` beyond those of every video processor.

    Attributes:
        sampling (`str`, defaults to `"dense"`):
            `"dense"`: frames `sampling_rate` apart. `"uniform"`: one frame of each of `num_frames` equal segments, as
            for Something-Something.
        sampling_rate (`int`, defaults to 4):
            Distance between the frames of a dense clip, in frames of the video.
        num_clips (`int`, defaults to 1):
            Clips taken from each video, spread over its length.
        num_crops (`int`, defaults to 1):
            Square crops taken from each clip, spread along the longer side; 1 is the centre.
    """

    sampling: str | None
    sampling_rate: int | None
    num_clips: int | None
    num_crops: int | None


ProcessorType = TypeVar("ProcessorType", bound="VideoMAEv2VideoProcessor")

OWN_SETTINGS = ("num_frames", "sampling", "sampling_rate", "num_clips", "num_crops")


class VideoMAEv2VideoProcessor(BaseVideoProcessor):
    """Turns videos into `pixel_values` for VideoMAE V2.

    Videos are paths, `file://`, http(s) and fsspec addresses (`hf://`, `s3://`), bytes, binary file objects, arrays,
    tensors, lists of frames or of encoded pictures (given as files are: PNG, JPEG, WebP, BMP, TIFF, PPM), what
    `datasets` gives (decoders, dicts of bytes or path, whole columns), or lists of these. Frames are sampled, the
    shorter side is resized to `size["shortest_edge"]` (bilinear, antialiased), the centre or several places are
    cropped, and ImageNet mean and standard deviation are applied. Every setting can be given here, to `from_pretrained`
    or in a call, and is saved with `save_pretrained`.

    Frames in memory and encoded pictures that are exactly one clip (`num_frames` of them, `num_clips` 1) are used as
    they are; otherwise they are sampled like a video file. With `do_sample_frames=False` all frames of every video are
    used as one clip. `fps` samples that many frames a second, instead of `num_frames`; frames in memory need
    `video_metadata={"fps": ...}` for it. Colours are RGB, which those of OpenCV are not; an alpha channel is dropped.
    Floating-point pixels go from 0 to 255, or from 0 to 1 with `do_rescale=False`; with that and pixels from 0 to 255,
    as files have them, mean and deviation must be those of such pixels.

    Raises:
        ValueError: A setting or a video is not valid; the message names it and says what would be.
        FileNotFoundError: A video file does not exist.
    """

    resample = PILImageResampling.BILINEAR
    image_mean = IMAGENET_DEFAULT_MEAN
    image_std = IMAGENET_DEFAULT_STD
    size = {"shortest_edge": 224}
    default_to_square = False
    crop_size = {"height": 224, "width": 224}
    do_resize = True
    do_center_crop = True
    do_rescale = True
    rescale_factor = 1 / 255
    do_normalize = True
    do_convert_rgb = True
    do_sample_frames = True
    num_frames = 16
    fps: float | int | None  # declared nowhere in transformers
    sampling = "dense"
    sampling_rate = 4
    num_clips = 1
    num_crops = 1
    model_input_names = ["pixel_values"]
    valid_kwargs = VideoMAEv2VideoProcessorKwargs

    def __init__(self, **kwargs: Any) -> None:
        is_saved = any(name in kwargs for name in PROCESSOR_TYPES)  # other versions and tools may have written more
        refuse_unknown(type(self).__name__, kwargs, self._known_settings(), only_near=is_saved)
        given = {k: v for k, v in kwargs.items() if not (k in OWN_SETTINGS and v is None)}
        super().__init__(**plain_numbers(given))
        settings = {name: getattr(self, name, None) for name in self.valid_kwargs.__annotations__}
        check_sampling(settings)
        check_pixels(settings)

    @classmethod
    def from_dict(cls: type[ProcessorType], video_processor_dict: dict[str, Any], **kwargs: Any) -> ProcessorType:
        """As in `BaseVideoProcessor`; takes over the statistics and sizes of transformers' VideoMAE processors."""
        settings = translate_processor(video_processor_dict, cls.__name__)
        return super().from_dict({PROCESSOR_TYPES[0]: cls.__name__, **settings}, **kwargs)

    @classmethod
    def from_pretrained(
        cls: type[ProcessorType], pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any
    ) -> ProcessorType:
        """As in `BaseVideoProcessor`; a keyword that is no setting is refused, but for `return_unused_kwargs`."""
        # `pipeline` passes the arguments of the model, too
        tolerant = kwargs.get("return_unused_kwargs") or "_from_pipeline" in kwargs
        refuse_unknown(cls.__name__, kwargs.keys() - LOADING, cls._known_settings(), only_near=bool(tolerant))
        return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    @classmethod
    def get_video_processor_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As in `BaseVideoProcessor`. Of transformers' VideoMAE, the model's settings say how long a clip is."""
        place = where_from(kwargs)
        settings, kwargs = super().get_video_processor_dict(pretrained_model_name_or_path, **kwargs)
        known = settings.get("num_frames") is not None or kwargs.get("num_frames") is not None
        if is_foreign_processor(settings, cls.__name__) and not known:
            settings["num_frames"] = cls._frames_of_model(str(pretrained_model_name_or_path), place)
        return settings, kwargs

    @staticmethod
    def _frames_of_model(source: str, place: dict[str, Any]) -> int | None:
        """Frames of a clip of the model that the processor lies beside; None where there is none, or another kind."""
        if os.path.isfile(source):
            source = os.path.dirname(source) or os.curdir
        file = cached_file(
            source, CONFIG_NAME, _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False, **place,
        )  # fmt: skip
        if file is None:
            logger.warning(f"{source} has no {CONFIG_NAME} to be read, so clips of 16 frames are taken (`num_frames`).")
            return None
        try:
            return VideoMAEv2Config.from_pretrained(file).num_frames
        except ValueError:  # which loading the model says
            return None

    @classmethod
    def _known_settings(cls) -> set[str]:
        return {*cls.valid_kwargs.__annotations__, "return_tensors"}

    def sample_frames(
        self,
        metadata: VideoMetadata,
        num_frames: int | None = None,
        fps: int | float | None = None,
        sampling: str | None = None,
        sampling_rate: int | None = None,
        num_clips: int | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Frames to take from a video.

        Args:
            metadata: Its `total_num_frames` is read, and its `fps` where `fps` is asked for.
            num_frames: Frames in a clip. Default: the processor's, as for all settings.
            fps: Frames to take for each second, over the whole video, instead of `num_frames`.
            sampling: "dense" or "uniform".
            sampling_rate: Distance between frames of a dense clip.
            num_clips: Number of clips.

        Returns:
            int64 array `(num_clips * num_frames,)`: the frames of clip 0, then those of clip 1, and so on.

        Raises:
            ValueError: Both `fps` and `num_frames` are given, the frame rate of the video is not known or too low, or
                a setting is not valid.
        """
        if fps is not None and num_frames is not None:
            raise ValueError(BOTH_RATES.format(num_frames=num_frames, fps=fps))
        given = {"sampling": sampling, "sampling_rate": sampling_rate, "num_clips": num_clips, "num_frames": num_frames}
        settings = {name: getattr(self, name) if value is None else value for name, value in given.items()}
        fps = self.fps if fps is None and num_frames is None else fps
        check_sampling(settings | {"num_crops": 1, "do_center_crop": True, "fps": fps})
        total = metadata.total_num_frames
        if fps is not None:
            if not metadata.fps:
                raise ValueError(
                    f"`fps` = {fps} needs the frame rate of the video, which is not known. Pass `video_metadata` with "
                    "`fps`, or use `num_frames`."
                )
            count = max(1, int(total / metadata.fps * fps))
            if count > total:
                raise ValueError(
                    f"`fps` = {fps} asks for {count} frames of a video with {total} at {metadata.fps:g} fps. Lower it."
                )
            return np.arange(count) * total // count
        if settings["sampling"] == "uniform":
            return uniform_indices(total, settings["num_frames"], settings["num_clips"]).ravel()
        return dense_indices(total, settings["num_frames"], settings["sampling_rate"], settings["num_clips"]).ravel()

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        """Sample, resize, crop and normalise videos.

        Args:
            videos: One video or a list of them, see the class.
            **kwargs: Settings for this call, see `VideoMAEv2VideoProcessorKwargs` and transformers' `VideosKwargs`.
                `return_tensors` ("pt" or "np") stacks the videos. `return_metadata=True` adds `video_metadata`.

        Returns:
            `pixel_values`: float32 `(batch, num_frames, channels, height, width)`, or `(batch, views, num_frames,
            channels, height, width)` where `num_clips * num_crops` > 1, with all crops of clip 0 before those of
            clip 1. A list of the videos' tensors where `return_tensors` is not given.
        """
        settings = self._settings_of_call(kwargs)
        items = flatten_videos(videos)
        refuse_for_pipeline(videos, len(items), kwargs)
        given_metadata = flatten_metadata(settings["video_metadata"], len(items))
        outputs, metadata = [], []
        for i, (item, known) in enumerate(zip(items, given_metadata, strict=True)):
            try:
                frames, places, about = self._load(item, known, settings)
                outputs.append(self._transform(frames, places, settings))
            except ValueError as error:
                if len(items) > 1 and not is_video_source(item):
                    raise ValueError(f"Video {i} of {len(items)}: {error}") from error
                raise
            metadata.append(about)
        data: dict[str, Any] = {"pixel_values": outputs}
        return_tensors = settings["return_tensors"]
        if return_tensors is not None:
            shapes = sorted({tuple(output.shape) for output in outputs})
            if len(shapes) > 1:
                raise ValueError(
                    f"The videos of the batch give tensors of different shapes, {shapes}, which cannot be stacked. "
                    "Sample and crop them alike, or leave out `return_tensors` to get a list."
                )
            data["pixel_values"] = torch.stack(outputs) if len(outputs) > 1 else outputs[0].unsqueeze(0)
        batch = BatchFeature(data=data, tensor_type=return_tensors)
        if settings["return_metadata"]:
            batch["video_metadata"] = metadata
        return batch

    def _settings_of_call(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Settings of one call: what it gives, else the processor's own, validated."""
        refuse_unknown(type(self).__name__, kwargs, self._known_settings())
        kwargs = plain_numbers({k: v for k, v in kwargs.items() if not (v is None and k in (*OWN_SETTINGS, "fps"))})
        names = list(self.valid_kwargs.__annotations__)
        settings = {name: kwargs.get(name, getattr(self, name, None)) for name in names}
        if "num_frames" in kwargs and "fps" in kwargs:
            raise ValueError(BOTH_RATES.format(**kwargs))
        if "num_frames" in kwargs:
            if self.fps is not None and is_call_of_pipeline(kwargs):
                logger.warning_once(PIPELINE_WITHOUT_RATE.format(fps=self.fps, num_frames=kwargs["num_frames"]))
            settings["fps"] = None
        check_sampling(settings)
        try:
            validate_typed_dict(self.valid_kwargs, kwargs)
        except StrictDataclassFieldValidationError as error:
            raise ValueError(f"A setting has a value of a wrong type: {error.__cause__}.") from error
        if settings["data_format"] not in (None, ChannelDimension.FIRST):
            raise ValueError(
                f'`data_format` must be "channels_first", got {settings["data_format"]!r}: the models take '
                "(batch, frames, channels, height, width)."
            )
        settings = self._standardize_kwargs(**settings)
        check_pixels(settings)
        self._validate_preprocess_kwargs(**settings)
        return settings

    def _plan(self, metadata: VideoMetadata, settings: dict[str, Any]) -> np.ndarray:
        """Frames to take, `(num_clips, num_frames)`."""
        if not settings["do_sample_frames"]:
            return np.arange(metadata.total_num_frames)[None]
        names = ("sampling", "sampling_rate", "num_clips", "fps" if settings["fps"] else "num_frames")
        indices = self.sample_frames(metadata, **{name: settings[name] for name in names})
        return np.asarray(indices).reshape(settings["num_clips"], -1)

    def _load(
        self, video: Any, metadata: VideoMetadata | None, settings: dict[str, Any]
    ) -> tuple[torch.Tensor, np.ndarray, VideoMetadata]:
        """Frames that are needed `(n, channels, height, width)`, where they go `(num_clips, num_frames)`, metadata."""
        plan = np.empty((0, 0), dtype=np.int64)

        def choose(found: VideoMetadata, count: int | None = None) -> list[int]:
            """Frames that are needed; `count` of them are there already, or lie in pictures."""
            nonlocal plan
            is_clip = count == settings["num_frames"] and settings["num_clips"] == 1 and not settings["fps"]
            as_it_is = count is not None and (is_clip or not settings["do_sample_frames"])
            plan = np.arange(count)[None] if as_it_is else self._plan(found, settings)
            return np.unique(plan).tolist()

        options = {name: settings[name] for name in ("input_data_format", "do_convert_rgb", "do_rescale")}
        if is_video_source(video):
            frames, metadata = read_video(video, choose)
        elif is_decoder(video):
            frames, metadata = read_decoder(video, choose)
            frames = frames_to_tensor(frames, **options)
        elif isinstance(video, Pictures):
            metadata = self._complete(metadata, len(video), settings)
            frames = frames_to_tensor(video.open(choose(metadata, len(video))), **options)
            metadata.height, metadata.width = frames.shape[-2:]
        else:
            frames = frames_to_tensor(video, **options)
            metadata = self._complete(metadata, len(frames), settings)
            metadata.height, metadata.width = frames.shape[-2:]
            wanted = choose(metadata, len(frames))
            frames = frames if len(wanted) == len(frames) else frames[wanted]
        if settings["do_sample_frames"] or metadata.frames_indices is None:
            metadata.frames_indices = plan.ravel().tolist()
        return frames, np.unique(plan, return_inverse=True)[1].reshape(plan.shape), metadata

    @staticmethod
    def _complete(metadata: VideoMetadata | None, count: int, settings: dict[str, Any]) -> VideoMetadata:
        """What is known of frames that are there, `count` of them."""
        metadata = metadata or VideoMetadata(total_num_frames=count)
        if settings["do_sample_frames"] and metadata.total_num_frames not in (None, count):
            raise ValueError(
                f"`video_metadata` says {metadata.total_num_frames} frames, the video has {count}. Correct it, or pass "
                "`do_sample_frames=False`."
            )
        metadata.total_num_frames = metadata.total_num_frames or count
        return metadata

    def _transform(self, frames: torch.Tensor, places: np.ndarray, settings: dict[str, Any]) -> torch.Tensor:
        """Resize, crop and normalise frames `(n, ...)` once each, then lay them out as the views in `places`."""
        if settings["device"] is not None:
            frames = frames.to(settings["device"])
        if settings["do_resize"]:
            frames = self.resize(frames, size=settings["size"], resample=settings["resample"])
        num_crops = settings["num_crops"]
        if settings["do_center_crop"]:
            size = settings["crop_size"]
            if num_crops == 1:
                if settings["do_resize"] and (frames.shape[-2] < size.height or frames.shape[-1] < size.width):
                    raise ValueError(  # the crop would be filled up with black
                        f"`crop_size` {dict(size)} is larger than the frames that `size` {dict(settings['size'])} "
                        f"makes, {tuple(frames.shape[-2:])}. Raise `size` or lower `crop_size`."
                    )
                frames = self.center_crop(frames, size)[None]
            else:
                frames = crop_views(frames, (size.height, size.width), num_crops)
        else:
            frames = frames[None]
        normalise = [settings[k] for k in ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")]
        frames = self.rescale_and_normalize(frames, *normalise)
        if places.shape[0] == 1 and np.array_equal(places[0], np.arange(frames.shape[1])):
            views = frames
        else:
            index = torch.from_numpy(places).to(frames.device)
            views = frames[:, index].transpose(0, 1).flatten(0, 1)
        return (views if len(views) > 1 else views[0]).contiguous()

    def rescale_and_normalize(
        self,
        images: torch.Tensor,
        do_rescale: bool | None,
        rescale_factor: float,
        do_normalize: bool | None,
        image_mean: float | list[float],
        image_std: float | list[float],
    ) -> torch.Tensor:
        """As in `BaseVideoProcessor`; pixels of another scale than mean and deviation are refused (`ValueError`)."""
        check_scale(images, do_rescale, do_normalize, image_mean, image_std)
        return super().rescale_and_normalize(images, do_rescale, rescale_factor, do_normalize, image_mean, image_std)


__all__ = ["VideoMAEv2VideoProcessor", "VideoMAEv2VideoProcessorKwargs"]
