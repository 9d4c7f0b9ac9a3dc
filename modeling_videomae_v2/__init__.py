# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""VideoMAE V2 for Hugging Face Transformers.

Importing this package makes `AutoConfig`, `AutoModel`, `AutoModelForPreTraining`, `AutoModelForVideoClassification` and
`AutoVideoProcessor` know the model type `videomae_v2`, and that of the OpenGVLab repositories, whose own code then
never runs. What is saved with `save_pretrained` or `push_to_hub` carries the code with it, so that it also loads, with
`trust_remote_code=True`, where this package is not installed.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForVideoClassification,
    AutoVideoProcessor,
)

from .configuration_videomae_v2 import VideoMAEv2Config
from .foreign_checkpoints_videomae_v2 import register_foreign_checkpoints
from .masking_videomae_v2 import frame_mask, random_mask, running_cell_mask, tube_mask
from .modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2Model
from .version import __version__ as __version__
from .video_processing_videomae_v2 import VideoMAEv2VideoProcessor


def _register() -> None:
    VideoMAEv2Config.register_for_auto_class()
    AutoConfig.register(VideoMAEv2Config.model_type, VideoMAEv2Config, exist_ok=True)
    for auto_class, model_class in (
        (AutoModel, VideoMAEv2Model),
        (AutoModelForPreTraining, VideoMAEv2ForPreTraining),
        (AutoModelForVideoClassification, VideoMAEv2ForVideoClassification),
    ):
        model_class.register_for_auto_class(auto_class)
        auto_class.register(VideoMAEv2Config, model_class, exist_ok=True)
    VideoMAEv2VideoProcessor.register_for_auto_class()
    AutoVideoProcessor.register(VideoMAEv2Config, VideoMAEv2VideoProcessor, exist_ok=True)
    register_foreign_checkpoints()


_register()

__all__ = [
    "VideoMAEv2Config",
    "VideoMAEv2ForPreTraining",
    "VideoMAEv2ForVideoClassification",
    "VideoMAEv2Model",
    "VideoMAEv2VideoProcessor",
    "frame_mask",
    "random_mask",
    "running_cell_mask",
    "tube_mask",
]
