# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings of other VideoMAE repositories in ours: `config.json` and `preprocessor_config.json` as plain dicts."""

import math
import re
from collections.abc import Mapping
from typing import Any

from transformers.utils import logging
from transformers.utils.constants import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD


logger = logging.get_logger(__name__)

# `model_type` of the OpenGVLab repositories: the first in all of them, as far as is known; the others are a guess.
OPENGVLAB_MODEL_TYPES = tuple(f"VideoMAEv2_{size}" for size in ("Base", "Small", "Large", "Huge", "Giant", "giant"))
TRANSFORMERS_MODEL_TYPE = "videomae"

# What every configuration may hold, whatever the model.
_COMMON = (
    "id2label", "label2id", "num_labels", "problem_type", "dtype", "torch_dtype", "quantization_config",
    "output_attentions", "output_hidden_states", "return_dict", "attn_implementation",
)  # fmt: skip

# transformers' `VideoMAEConfig` -> ours. `layer_norm_eps` holds for all norms here; there it does not for the last one.
_TRANSFORMERS_FIELDS = {
    "qkv_bias": "qkv_bias",  # older files
    "qv_bias": "qkv_bias",
    **{
        name: name
        for name in (
            "image_size", "patch_size", "num_channels", "num_frames", "tubelet_size", "hidden_size",
            "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
            "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps", "use_mean_pooling",
            "decoder_num_attention_heads", "decoder_hidden_size", "decoder_num_hidden_layers",
            "decoder_intermediate_size", "norm_pix_loss",
        )
    },
}  # fmt: skip
_TRANSFORMERS_DEFAULTS = {"layer_norm_eps": 1e-12}  # where leaving it out means something else than with us
NO_NORM = (
    "The checkpoint is a `VideoMAEForPreTraining` with `use_mean_pooling`, which has no norm after its encoder. An "
    "autoencoder of this package always has one, which starts new: what it reconstructs differs from transformers' "
    "until it has been trained. Fine-tuning is not concerned."
)

# OpenGVLab's `model_config` -> ours.
_OPENGVLAB_FIELDS = {
    "img_size": "image_size",
    "patch_size": "patch_size",
    "in_chans": "num_channels",
    "num_frames": "num_frames",
    "all_frames": "num_frames",
    "tubelet_size": "tubelet_size",
    "embed_dim": "hidden_size",
    "depth": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "qkv_bias": "qkv_bias",
    "drop_rate": "hidden_dropout_prob",
    "attn_drop_rate": "attention_probs_dropout_prob",
    "drop_path_rate": "drop_path_rate",
    "head_drop_rate": "classifier_dropout",
    "layer_norm_eps": "layer_norm_eps",
    "init_values": "layer_scale_init_value",
    "use_mean_pooling": "use_mean_pooling",
}
# Read in another way, or without meaning for weights that are loaded.
_OPENGVLAB_OTHERS = {
    "num_classes", "mlp_ratio", "cos_attn", "use_learnable_pos_emb", "qk_scale", "norm_layer", "init_scale", "with_cp",
}  # fmt: skip

# Settings of transformers' VideoMAE processors that mean the same with us. They do not sample, ours does.
_PROCESSOR_FIELDS = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std", "num_frames",
)  # fmt: skip
# Keys by which a saved file names the class of its processor.
PROCESSOR_TYPES = ("video_processor_type", "image_processor_type", "feature_extractor_type")
# Those of transformers; ours, and others' subclasses of it, may begin in the same way.
FOREIGN_PROCESSORS = re.compile("VideoMAE(FeatureExtractor|ImageProcessor(Fast|Pil)?|VideoProcessor)")
_PROCESSOR_DEFAULTS = {"image_mean": list(IMAGENET_STANDARD_MEAN), "image_std": list(IMAGENET_STANDARD_STD)}


def is_opengvlab(config_dict: Mapping[str, Any]) -> bool:
    """Whether the content of a `config.json` is that of an OpenGVLab VideoMAE V2 repository."""
    nested = config_dict.get("model_config")
    return isinstance(nested, Mapping) and "embed_dim" in nested


def translate_config(config_dict: dict[str, Any], own_type: str) -> dict[str, Any]:
    """Content of a `config.json` in the fields of `VideoMAEv2Config`.

    Args:
        config_dict: As read from our own repository (returned as it is), from an OpenGVLab repository, or from one of
            transformers' own VideoMAE. Remote code that it names is not taken over.
        own_type: `model_type` of our own repositories.

    Returns:
        Fields for `VideoMAEv2Config`.

    Raises:
        ValueError: It belongs to another kind of model, or asks for something that this model has not.
    """
    model_type = config_dict.get("model_type")
    if is_opengvlab(config_dict):
        fields = _translate_opengvlab(config_dict["model_config"])
    elif model_type == TRANSFORMERS_MODEL_TYPE:
        fields = _translate_transformers(config_dict)
    elif model_type in OPENGVLAB_MODEL_TYPES:
        raise ValueError(
            f"The configuration has `model_type` {model_type!r} but no `model_config` with `embed_dim`, as the "
            "OpenGVLab repositories have it: the repository is damaged, or of a kind that is not known."
        )
    elif model_type not in (None, own_type):
        raise ValueError(
            f"The configuration has `model_type` {model_type!r}, which is no VideoMAE; expected {own_type!r}, "
            f"{TRANSFORMERS_MODEL_TYPE!r} (transformers) or {OPENGVLAB_MODEL_TYPES[0]!r} (OpenGVLab)."
        )
    else:
        return config_dict
    common = {name: config_dict[name] for name in _COMMON if config_dict.get(name) is not None}
    return {**fields, **common, "model_type": own_type}


def is_foreign_processor(settings: Mapping[str, Any], own_type: str) -> bool:
    """Whether the content of a processor's file is that of one of transformers' VideoMAE processors."""
    kinds = [settings[name] for name in PROCESSOR_TYPES if isinstance(settings.get(name), str)]
    return own_type not in kinds and any(FOREIGN_PROCESSORS.fullmatch(kind) for kind in kinds)


def translate_processor(settings: dict[str, Any], own_type: str) -> dict[str, Any]:
    """Content of a processor's file in the settings of `VideoMAEv2VideoProcessor`.

    Args:
        settings: Content of a `preprocessor_config.json` or `video_preprocessor_config.json`: ours (returned as it is),
            or one of transformers' VideoMAE processors, as OpenGVLab and MCG-NJU have it. Those take mean and standard
            deviation 0.5 where the file names none.
        own_type: Name of our class.

    Returns:
        Settings for `VideoMAEv2VideoProcessor`.
    """
    if not is_foreign_processor(settings, own_type):
        return settings
    taken = {name: settings[name] for name in _PROCESSOR_FIELDS if settings.get(name) is not None}
    return {**_PROCESSOR_DEFAULTS, **taken}


def _translate_transformers(config_dict: Mapping[str, Any]) -> dict[str, Any]:
    known = {ours: config_dict[name] for name, ours in _TRANSFORMERS_FIELDS.items() if name in config_dict}
    fields = {**_TRANSFORMERS_DEFAULTS, **known, "decoder_mask_type": None}
    if config_dict.get("architectures") == ["VideoMAEForPreTraining"]:
        if config_dict.get("use_mean_pooling", True):
            logger.warning_once(NO_NORM)
        # its False only says that the autoencoder norms its tokens: ours does, always
        fields["use_mean_pooling"] = True
    for name in ("image_size", "patch_size"):
        if name in fields:
            fields[name] = _one_side(name, fields[name])
    return fields


def _translate_opengvlab(nested: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("embed_dim", "num_heads", "mlp_ratio", "qk_scale"):  # what is computed with here
        value = nested.get(name)
        is_number = isinstance(value, (int, float)) and 0 < value < math.inf
        if not is_number and (value is not None or name == "embed_dim"):
            raise ValueError(f"`model_config` has `{name}` = {value!r}; expected a number above 0.")
    _refuse_other_mathematics(nested)
    unknown = [key for key in nested if key not in _OPENGVLAB_FIELDS and key not in _OPENGVLAB_OTHERS]
    if unknown:
        logger.warning(f"`model_config` has entries that are not known and not used: {', '.join(unknown)}.")
    fields = {ours: nested[name] for name, ours in _OPENGVLAB_FIELDS.items() if nested.get(name) is not None}
    fields.setdefault("qkv_bias", False)  # what the research code takes where it is not told
    for name in ("image_size", "patch_size"):
        if name in fields:
            fields[name] = _one_side(name, fields[name])
    ratio = nested.get("mlp_ratio")
    width = fields["hidden_size"] * (4.0 if ratio is None else ratio)
    # 48/11 is written with so many digits as the writer liked; the research code rounds down
    fields["intermediate_size"] = round(width) if math.isclose(width, round(width), abs_tol=0.01) else int(width)
    if nested.get("num_classes"):
        fields["num_labels"] = nested["num_classes"]
    return fields


def _refuse_other_mathematics(nested: Mapping[str, Any]) -> None:
    """Refuse what changes the function that the weights compute, and that this model does not have."""
    for name, without in (("cos_attn", "cosine attention"), ("use_learnable_pos_emb", "learned positions")):
        if nested.get(name):
            raise ValueError(f"`model_config` has `{name}` = {nested[name]!r}; this model has no {without}.")
    scale, heads = nested.get("qk_scale"), nested.get("num_heads")
    if scale and heads and not math.isclose(scale, (heads / nested["embed_dim"]) ** 0.5, rel_tol=1e-6):
        raise ValueError(f"`model_config` has `qk_scale` = {scale!r}; this model scales by 1/sqrt(width of a head).")
    if nested.get("norm_layer") is not None and "LayerNorm" not in str(nested["norm_layer"]):
        raise ValueError(f"`model_config` has `norm_layer` = {nested['norm_layer']!r}; this model has LayerNorm only.")


def _one_side(name: str, value: int | list[int] | tuple[int, ...]) -> int:
    sides = value if isinstance(value, (list, tuple)) else [value]
    if not sides or any(side != sides[0] for side in sides) or not isinstance(sides[0], int):
        raise ValueError(f"`{name}` is {value!r}; this model takes square frames and patches only, one number a side.")
    return sides[0]
