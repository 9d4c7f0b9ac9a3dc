# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes transformers' loading understand other VideoMAE repositories. Does not travel to the Hub: it need not.

transformers converts weights while it loads them: whatever the file, shard, device or precision. The conversions of a
model type are looked up in a table, which gets an entry for ours here. Keys in our own layout pass unchanged, and
saving writes our layout, wherever the weights came from.
"""

import functools
from typing import Any

from transformers import AutoConfig, AutoVideoProcessor, VideoMAEVideoProcessor
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Chunk, WeightConverter, WeightRenaming
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .configuration_videomae_v2 import VideoMAEv2Config, where_from
from .convert_videomae_v2 import is_our_key, our_name
from .foreign_settings_videomae_v2 import OPENGVLAB_MODEL_TYPES
from .video_processing_videomae_v2 import VideoMAEv2VideoProcessor


NEVER = r"^(?!)"  # a pattern that matches no key


class ToOurNames(WeightRenaming):
    """Renames the keys of every known layout to ours, without the encoder's prefix, which transformers sets right."""

    __slots__ = ()

    def __init__(
        self, source_patterns: str | list[str] = NEVER, target_patterns: str | list[str] = "videomae_v2"
    ) -> None:
        super().__init__(source_patterns, target_patterns)

    def rename_source_key(self, source_key: str) -> tuple[str, str | None]:
        """Our name of a key, or the key itself where it is ours or not known; never a pattern that matched."""
        if is_our_key(source_key):
            return source_key, None
        return our_name(source_key) or source_key, None

    def reverse_transform(self) -> WeightRenaming:
        """For saving: our keys, which this leaves as they are."""
        return ToOurNames()


class SplitQKV(WeightConverter):
    """Cuts the fused matrix of the research code into those of queries, keys and values."""

    __slots__ = ()

    def was_used(self) -> bool:
        """Never: transformers would fuse the matrices again when it saves."""
        return False

    def reverse_transform(self) -> WeightRenaming:
        """For saving: nothing."""
        return ToOurNames()


def loading_conversions() -> list[WeightRenaming | WeightConverter]:
    """What transformers has to do with the weights of other repositories."""
    names = [f"attention.{projection}_proj.weight" for projection in ("q", "k", "v")]
    return [ToOurNames(), SplitQKV("attention.qkv.weight", names, operations=[Chunk(dim=0)])]


def register_foreign_checkpoints() -> None:
    """Tell transformers of the other weight layouts, and the Auto classes of OpenGVLab's repositories.

    transformers' own model type `videomae` stays its own in the Auto classes; our classes take it.
    """
    register_checkpoint_conversion_mapping(VideoMAEv2Config.model_type, loading_conversions(), overwrite=True)
    for model_type in OPENGVLAB_MODEL_TYPES:
        # past `AutoConfig.register`, which allows a class one name only
        CONFIG_MAPPING.register(model_type, VideoMAEv2Config, exist_ok=True)
    if not getattr(AutoVideoProcessor.from_pretrained, "knows_opengvlab", False):
        AutoVideoProcessor.from_pretrained = staticmethod(_with_our_processor(AutoVideoProcessor.from_pretrained))


def _with_our_processor(from_pretrained: Any) -> Any:
    """`AutoVideoProcessor.from_pretrained` that gives our processor for OpenGVLab's repositories.

    Their files name transformers' `VideoMAEImageProcessor`, and a name in the file goes before the model type. So there
    is no table to enter: where the result is transformers' VideoMAE processor, and nowhere else, the model type is
    asked after all.
    """

    @functools.wraps(from_pretrained)
    def wrapper(pretrained_model_name_or_path: Any, *inputs: Any, **kwargs: Any) -> Any:
        found = from_pretrained(pretrained_model_name_or_path, *inputs, **kwargs)
        processor = found[0] if kwargs.get("return_unused_kwargs") else found
        if type(processor) is not VideoMAEVideoProcessor:
            return found
        try:
            config = AutoConfig.from_pretrained(pretrained_model_name_or_path, **where_from(kwargs))
        except (OSError, ValueError):  # a processor without a model
            return found
        if not isinstance(config, VideoMAEv2Config):
            return found
        kwargs = {name: value for name, value in kwargs.items() if name not in ("trust_remote_code", "backend")}
        return VideoMAEv2VideoProcessor.from_pretrained(pretrained_model_name_or_path, *inputs, **kwargs)

    wrapper.knows_opengvlab = True  # importing again, as `importlib.reload` does, must not wrap twice
    return wrapper
