# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The architecture that weights were made for, read from their names and shapes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..configuration_videomae_v2 import PRESETS, VideoMAEv2Config
from ..loading_videomae_v2 import UnfitWeightsError, unfit_message
from ..modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2PreTrainedModel,
)


# Weights do not show into how many heads their width is split; that of a published width is known.
HEADS = {preset["hidden_size"]: preset["num_attention_heads"] for preset in PRESETS.values()}
DECODER_HEADS = {preset["decoder_hidden_size"]: preset["decoder_num_attention_heads"] for preset in PRESETS.values()}
# Only the start of training looks at it; weights show that there is a scale, not what it began with.
LAYER_SCALE_START = 0.1

PREFIX = "videomae_v2."
PROJECTION = "embeddings.patch_embeddings.projection.weight"


@dataclass(frozen=True)
class UnseenSettings:
    """What weights do not show.

    Attributes:
        num_attention_heads: Heads of the encoder; None for those of the published model of that width.
        decoder_num_attention_heads: Heads of the decoder; None likewise.
        num_frames: Frames of the clips; None for 16.
        image_size: Side of the frames in pixels; None for 224.
    """

    num_attention_heads: int | None = None
    decoder_num_attention_heads: int | None = None
    num_frames: int | None = None
    image_size: int | None = None

    def given(self) -> dict[str, int]:
        """Those that are not None."""
        return {name: value for name, value in vars(self).items() if value is not None}


def model_class_of(names: Iterable[str]) -> type[VideoMAEv2PreTrainedModel]:
    """The class of ours whose weights have these names: with a decoder, with a head, or the bare encoder."""
    names = list(names)
    if any(name.startswith(("decoder.", "encoder_to_decoder.")) for name in names):
        return VideoMAEv2ForPreTraining
    return VideoMAEv2ForVideoClassification if any(n.startswith("classifier.") for n in names) else VideoMAEv2Model


def read_architecture(shapes: Mapping[str, torch.Tensor], unseen: UnseenSettings, source: str) -> VideoMAEv2Config:
    """Configuration of the model that weights belong to.

    Args:
        shapes: Weights under our names, on any device.
        unseen: What they do not show.
        source: What the user calls the checkpoint, for messages.

    Returns:
        The configuration. Rates of dropout, masking and the like are the defaults.

    Raises:
        ValueError: The weights are no VideoMAE, or their width is of no published model and no heads are given.
    """
    bare = {name.removeprefix(PREFIX): tuple(tensor.shape) for name, tensor in shapes.items()}
    projection = _shape(bare, PROJECTION, 5, source)
    hidden_size, channels, tubelet_size, patch_size, width_of_patch = projection
    if patch_size != width_of_patch:
        raise ValueError(
            f"{source}: the patches are {patch_size} x {width_of_patch} pixels; only square ones are known."
        )
    fields: dict[str, Any] = {
        "num_channels": channels,
        "tubelet_size": tubelet_size,
        "patch_size": patch_size,
        "hidden_size": hidden_size,
        "num_hidden_layers": _depth(bare, "layers", source),
        "num_attention_heads": _heads("num_attention_heads", hidden_size, HEADS, unseen, source),
        "intermediate_size": _shape(bare, "layers.0.mlp.fc1.weight", 2, source)[0],
        "qkv_bias": "layers.0.attention.q_proj.bias" in bare,
        "layer_scale_init_value": LAYER_SCALE_START if "layers.0.layer_scale1.lambda1" in bare else 0.0,
        "num_frames": unseen.num_frames or 16,
        "image_size": unseen.image_size or 224,
    }
    kind = model_class_of(bare)
    if kind is VideoMAEv2ForPreTraining:
        fields |= _decoder_fields(bare, unseen, source)
    else:
        fields["use_mean_pooling"] = "layernorm.weight" not in bare
        if unseen.decoder_num_attention_heads is not None:
            raise ValueError(f"`decoder_num_attention_heads` is given, but {source} has no decoder. Leave it out.")
    if kind is VideoMAEv2ForVideoClassification:
        fields["num_labels"] = _shape(bare, "classifier.weight", 2, source)[0]
    return VideoMAEv2Config(**fields)


def empty_model(model_class: type, config: Any) -> torch.nn.Module:
    """A model without memory for its weights."""
    with torch.device("meta"):
        return model_class(config)


def check_fit(shapes: Mapping[str, tuple[int, ...]], model: torch.nn.Module, source: str) -> None:
    """Refuse weights that are not exactly those of a model.

    Args:
        shapes: Shape of every weight, by name.
        model: The model, on any device.
        source: What the user calls the checkpoint.

    Raises:
        UnfitWeightsError: With the list of what is missing, left over or of another shape.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    problems = [f"{key}: not in the checkpoint" for key in expected if key not in shapes]
    problems += [f"{key}: not in the model" for key in shapes if key not in expected]
    problems += [
        f"{key}: {tuple(shapes[key])} in the checkpoint, {shape} in the model"
        for key, shape in expected.items()
        if shapes.get(key, shape) != shape
    ]
    if problems:
        raise UnfitWeightsError(
            unfit_message(source, type(model).__name__, problems),
            "The checkpoint is not complete, or of a kind that is not known.",
        )


def _decoder_fields(bare: Mapping[str, tuple[int, ...]], unseen: UnseenSettings, source: str) -> dict[str, Any]:
    width = _shape(bare, "encoder_to_decoder.weight", 2, source)[0]
    depth = _depth(bare, "decoder.layers", source)
    fields: dict[str, Any] = {
        "decoder_hidden_size": width,
        "decoder_num_hidden_layers": depth,
        "decoder_num_attention_heads": _heads("decoder_num_attention_heads", width, DECODER_HEADS, unseen, source),
    }
    if depth:
        fields["decoder_intermediate_size"] = _shape(bare, "decoder.layers.0.mlp.fc1.weight", 2, source)[0]
    return fields


def _heads(name: str, width: int, known: Mapping[int, int], unseen: UnseenSettings, source: str) -> int:
    given = getattr(unseen, name)
    if given is None and width not in known:
        raise ValueError(
            f"{source} has the width {width}, which is of no published model ({', '.join(map(str, sorted(known)))}), "
            f"and weights do not show their heads. Say how many there are: --{name.replace('_', '-')}."
        )
    return known[width] if given is None else given


def _depth(bare: Iterable[str], blocks: str, source: str) -> int:
    """Number of blocks, which must be numbered 0, 1, 2, ..."""
    matches = (re.match(rf"{re.escape(blocks)}\.(\d+)\.", name) for name in bare)
    numbers = {int(match.group(1)) for match in matches if match}
    if numbers and max(numbers) >= len(numbers):
        raise ValueError(f"{source}: `{blocks}` has {len(numbers)} blocks, but the last has the number {max(numbers)}.")
    return len(numbers)


def _shape(bare: Mapping[str, tuple[int, ...]], name: str, dimensions: int, source: str) -> tuple[int, ...]:
    shape = bare.get(name)
    if shape is None or len(shape) != dimensions:
        found = "is missing" if shape is None else f"has the shape {shape}, not {dimensions} dimensions"
        raise ValueError(f"{source} is no VideoMAE checkpoint: `{name}` (in our names) {found}.")
    return shape
