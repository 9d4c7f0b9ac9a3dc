# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of every other VideoMAE checkpoint layout, to ours and back.

A layout is a table of names. The official one (research code, OpenGVLab repositories) is special in one thing: its
query, key and value matrices are one. Names are written with `{i}` for the number of the block, and without the prefix
that stands before the encoder's keys wherever a model holds more than the encoder.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any

import torch

from .wording_videomae_v2 import shortened


StateDict = dict[str, torch.Tensor]
Weights = Mapping[str, torch.Tensor]
Names = dict[str, str]
# Functions that make a weight out of those of another layout, by its name: names are known before a weight is read.
Recipes = dict[str, Callable[[Weights], torch.Tensor]]


def _with_weight_and_bias(modules: Names) -> Names:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in modules.items() for kind in ("weight", "bias")}


def _in_blocks(names: Names, encoder_blocks: str, decoder_blocks: str) -> Names:
    """The names of one block's parameters, for the blocks of encoder and decoder."""
    places = {"layers.{i}": encoder_blocks, "decoder.layers.{i}": decoder_blocks}
    return {f"{a}.{ours}": f"{b}.{theirs}" for a, b in places.items() for ours, theirs in names.items()}


# Our names -> theirs.
_PRETRAINING: Names = {
    "encoder_to_decoder.weight": "encoder_to_decoder.weight",
    "decoder.mask_token": "mask_token",
    **_with_weight_and_bias({"decoder.norm": "decoder.norm", "decoder.head": "decoder.head"}),
}
_OFFICIAL: Names = {
    **_in_blocks(
        {
            **_with_weight_and_bias(
                {
                    "layernorm_before": "norm1",
                    "attention.o_proj": "attn.proj",
                    "layernorm_after": "norm2",
                    "mlp.fc1": "mlp.fc1",
                    "mlp.fc2": "mlp.fc2",
                }
            ),
            "attention.qkv.weight": "attn.qkv.weight",  # no parameter of ours: three of them in one
            "attention.q_proj.bias": "attn.q_bias",
            "attention.v_proj.bias": "attn.v_bias",
            "layer_scale1.lambda1": "gamma_1",
            "layer_scale2.lambda1": "gamma_2",
        },
        encoder_blocks="blocks.{i}",
        decoder_blocks="decoder.blocks.{i}",
    ),
    **_with_weight_and_bias(
        {
            "embeddings.patch_embeddings.projection": "patch_embed.proj",
            "layernorm": "norm",
            "fc_norm": "fc_norm",
            "classifier": "head",
        }
    ),
    **_PRETRAINING,
}
_TRANSFORMERS: Names = {
    **_in_blocks(
        {
            **_with_weight_and_bias(
                {
                    "layernorm_before": "layernorm_before",
                    "attention.q_proj": "attention.attention.query",
                    "attention.v_proj": "attention.attention.value",
                    "attention.o_proj": "attention.output.dense",
                    "layernorm_after": "layernorm_after",
                    "mlp.fc1": "intermediate.dense",
                    "mlp.fc2": "output.dense",
                }
            ),
            "attention.k_proj.weight": "attention.attention.key.weight",
        },
        encoder_blocks="encoder.layer.{i}",
        decoder_blocks="decoder.decoder_layers.{i}",
    ),
    **_with_weight_and_bias(
        {
            "embeddings.patch_embeddings.projection": "embeddings.patch_embeddings.projection",
            "layernorm": "layernorm",
            "fc_norm": "fc_norm",
            "classifier": "classifier",
        }
    ),
    **_PRETRAINING,
}
_OLD_TRANSFORMERS: Names = _in_blocks(  # where it differs: biases before transformers 5
    {
        "attention.q_proj.bias": "attention.attention.q_bias",
        "attention.v_proj.bias": "attention.attention.v_bias",
    },
    encoder_blocks="encoder.layer.{i}",
    decoder_blocks="decoder.decoder_layers.{i}",
)
_OURS: Names = {ours: ours for ours in (*_OFFICIAL, *_TRANSFORMERS) if "attention.qkv." not in ours}

# No name means different things in two layouts, so one table reads them all.
_TO_OURS: Names = {
    theirs: ours for names in (_OFFICIAL, _TRANSFORMERS, _OLD_TRANSFORMERS, _OURS) for ours, theirs in names.items()
}

_CONTAINERS = ("model", "module", "state_dict")
_MOST_CONTAINERS = 4  # inside each other
_WRAPPERS = re.compile(r"^(module\.|model\.|backbone\.)+")
_PREFIX = "videomae_v2."
_ENCODER_PREFIXES = ("", "encoder.", "videomae.", _PREFIX)
_BLOCK_NUMBER = re.compile(r"\.(\d+)\.")
# What a layer scale multiplies the output of, by the end of its name -> the scale's.
_LAYER_SCALES = {"attention.o_proj": "layer_scale1.lambda1", "mlp.fc2": "layer_scale2.lambda1"}
# Some versions of transformers have a bias of keys, which cancels in the softmax.
_KEY_BIAS = re.compile(r"attention\.attention\.key\.bias$")
_QKV = re.compile(r"attention\.qkv\.weight$")


def convert_state_dict(state_dict: Mapping[str, Any]) -> StateDict:
    """Turn the weights of any VideoMAE checkpoint into those of our models.

    Args:
        state_dict: Weights in the layout of the research code (pre-training or fine-tuning, with or without prefixes
            `module.`, `model.`, `backbone.`, `encoder.`, `_orig_mod.`), of the OpenGVLab repositories, of transformers'
            own VideoMAE (old or new names of the biases) or of ours; or a checkpoint that holds them under `"model"`,
            `"module"` or `"state_dict"`.

    Returns:
        New dict for `load_state_dict(strict=True)` on the model of the same kind: `VideoMAEv2ForPreTraining` if there
        is a decoder, `VideoMAEv2ForVideoClassification` if there is a head, else `VideoMAEv2Model`. Tensors are shared
        with the input, but for the fused query-key-value matrices, which are copied. A key bias, which some versions of
        transformers have and which changes nothing, is left out. Models of transformers without a head have no norm
        where their `use_mean_pooling` is True (its default, but not so in published checkpoints): `fc_norm` is missing.

    Raises:
        ValueError: There are no weights in it, a key is not known, or two keys mean the same parameter.
    """
    weights = find_weights(state_dict)
    return {name: take(weights) for name, take in recipes_to_ours(weights).items()}


def recipes_to_ours(keys: Iterable[str]) -> Recipes:
    """How to make each weight of ours out of those of a checkpoint; arguments and errors as `convert_state_dict`."""
    recipes: Recipes = {}
    unknown = []
    for key in keys:
        name = our_name(key)
        if name is None and _KEY_BIAS.search(key):
            continue
        if name is None:
            unknown.append(key)
            continue
        for part_name, take in _split_qkv(name, key).items():
            if part_name in recipes:
                raise ValueError(f"The state dict holds `{part_name}` twice; the second time as {key!r}.")
            recipes[part_name] = take
    if unknown:
        raise ValueError(
            f"{len(unknown)} of {len(unknown) + len(recipes)} keys belong to no known VideoMAE layout: "
            f"{_listed(unknown)}. Remove them from the state dict if they are no weights of the model."
        )
    if not any(map(_is_outside_encoder, recipes)):
        return recipes
    return {name if _is_outside_encoder(name) else _PREFIX + name: take for name, take in recipes.items()}


def convert_to_transformers(state_dict: Mapping[str, torch.Tensor]) -> StateDict:
    """Turn our weights into those of transformers' own VideoMAE (`videomae`), which then computes the same.

    Layer scale, which it does not have, is multiplied into the linear layers that it follows.

    Args:
        state_dict: State dict of one of our models, with the head, with the decoder, or of the bare encoder with
            `use_mean_pooling=False`.

    Returns:
        New dict for `VideoMAEForVideoClassification`, `VideoMAEForPreTraining` or `VideoMAEModel` of the version of
        transformers that is installed.

    Raises:
        ValueError: A key is not one of ours, or the other model has no place for it.
    """
    return {name: take(state_dict) for name, take in recipes_to_transformers(state_dict).items()}


def recipes_to_transformers(keys: Iterable[str]) -> Recipes:
    """How to make each weight of transformers' VideoMAE out of ours; arguments and errors as above."""
    ours = {key.removeprefix(_PREFIX): key for key in keys}
    is_encoder = not any(map(_is_outside_encoder, ours))
    lost = [key for key in ours if is_encoder and key.startswith("fc_norm.")]
    if lost:
        raise ValueError(f"`VideoMAEModel` of transformers pools nothing and has no place for {_listed(lost)}.")
    recipes: Recipes = {}
    for bare, key in ours.items():
        if ".layer_scale" in bare:
            continue
        stem, _, kind = bare.rpartition(".")
        scale = next((stem.removesuffix(a) + b for a, b in _LAYER_SCALES.items() if stem.endswith(a)), None)
        theirs = _renamed(bare, _TRANSFORMERS)
        outside = ("fc_norm.", "classifier.", "decoder.", "encoder_to_decoder.", "mask_token")
        theirs = theirs if is_encoder or theirs.startswith(outside) else f"videomae.{theirs}"
        if theirs.endswith(".query.bias") and _has_key_biases():
            recipes[theirs.replace(".query.bias", ".key.bias")] = partial(_zeros_like, key=key)
        recipes[theirs] = partial(_scaled, key=key, scale=ours.get(scale), is_matrix=kind == "weight")
    return recipes


@cache
def _has_key_biases() -> bool:
    """Whether the installed transformers has biases of keys, as 5.17 does; they cancel in the softmax."""
    from transformers import VideoMAEConfig, VideoMAEModel

    with torch.device("meta"):
        model = VideoMAEModel(VideoMAEConfig(image_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    return any(name.endswith(".key.bias") for name in model.state_dict())


def convert_to_official(state_dict: Mapping[str, torch.Tensor]) -> StateDict:
    """Turn our weights into those of the research code: keys as in its pre-training or fine-tuning checkpoints.

    Args:
        state_dict: State dict of one of our models.

    Returns:
        New dict. Query, key and value matrices are fused, everything else is shared with the input.

    Raises:
        ValueError: A key is not one of ours.
    """
    return {name: take(state_dict) for name, take in recipes_to_official(state_dict).items()}


def recipes_to_official(keys: Iterable[str]) -> Recipes:
    """How to make each weight of the research code out of ours; arguments and errors as above."""
    ours = {key.removeprefix(_PREFIX): key for key in keys}
    recipes: Recipes = {}
    for bare, key in ours.items():
        stem, _, projection = bare.rpartition("_proj.weight")[0].rpartition(".")
        if bare.endswith("_proj.weight") and projection in ("q", "k", "v"):
            parts = [ours.get(f"{stem}.{name}_proj.weight") for name in ("q", "k", "v")]
            if None in parts:
                raise ValueError(f"{key!r} has to be fused with two others, and they are not all there.")
            recipes[_renamed(f"{stem}.qkv.weight", _OFFICIAL)] = partial(_fused, keys=parts)
        else:
            recipes[_renamed(bare, _OFFICIAL)] = partial(_taken, key=key)
    if not any(name.startswith("decoder.") for name in recipes):
        return recipes
    outside = ("decoder.", "encoder_to_decoder.", "mask_token")
    return {name if name.startswith(outside) else f"encoder.{name}": take for name, take in recipes.items()}


def _taken(weights: Weights, key: str) -> torch.Tensor:
    return weights[key]


def _part(weights: Weights, key: str, number: int) -> torch.Tensor:
    matrix = weights[key]
    if matrix.dim() != 2 or matrix.shape[0] % 3:
        raise ValueError(f"{key!r} of shape {tuple(matrix.shape)} cannot be cut into queries, keys and values.")
    return matrix.chunk(3)[number].clone()


def _fused(weights: Weights, keys: list[str]) -> torch.Tensor:
    return torch.cat([weights[key] for key in keys])


def _scaled(weights: Weights, key: str, scale: str | None, is_matrix: bool) -> torch.Tensor:
    if scale is None:
        return weights[key]
    factor = weights[scale]
    return weights[key] * (factor[:, None] if is_matrix else factor)


def _zeros_like(weights: Weights, key: str) -> torch.Tensor:
    return torch.zeros_like(weights[key])


def find_weights(checkpoint: Any) -> Mapping[str, torch.Tensor]:
    """The dict of tensors itself, or the one in a checkpoint, under the names that research code gives it.

    Raises:
        ValueError: There is none.
    """
    found = checkpoint if isinstance(checkpoint, Mapping) else {}
    for _ in range(_MOST_CONTAINERS):
        found = next((found[name] for name in _CONTAINERS if isinstance(found.get(name), Mapping)), found)
    others = [key for key, value in found.items() if not _is_weight(key, value)]
    if others or not found:
        what = "nothing" if isinstance(checkpoint, Mapping) else f"a {type(checkpoint).__name__}"
        what = f"values that are no tensors: {_listed(others)}" if others else what
        raise ValueError(
            f"No weights found: expected a dict of tensors, bare or under one of {', '.join(map(repr, _CONTAINERS))}, "
            f"got {what}."
        )
    return found


def _is_weight(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, torch.Tensor)


def our_name(key: str) -> str | None:
    """Our name of a parameter in any layout, without the prefix of the encoder; None if the key is not known.

    The fused matrix of queries, keys and values is `...attention.qkv.weight`, which is no parameter of ours.
    """
    bare, number = _as_in_tables(_WRAPPERS.sub("", key.replace("_orig_mod.", "")))
    for prefix in _ENCODER_PREFIXES:
        name = _TO_OURS.get(bare.removeprefix(prefix))
        if name is not None:
            return name.replace("{i}", number)
    return None


def is_our_key(key: str) -> bool:
    """Whether a key is one of our models', with or without the prefix of the encoder."""
    return _as_in_tables(key.removeprefix(_PREFIX))[0] in _OURS


def _as_in_tables(key: str) -> tuple[str, str]:
    """A key with `{i}` in place of the number of its block, and what stood there."""
    number = _BLOCK_NUMBER.search(key)
    return (_BLOCK_NUMBER.sub(".{i}.", key, count=1), number[1]) if number else (key, "{i}")


def _split_qkv(name: str, key: str) -> Recipes:
    """The weights of ours that come from one of theirs: one, or three from a fused matrix."""
    if not _QKV.search(name):
        return {name: partial(_taken, key=key)}
    names = [_QKV.sub(f"attention.{projection}_proj.weight", name) for projection in ("q", "k", "v")]
    return {part_name: partial(_part, key=key, number=i) for i, part_name in enumerate(names)}


def _renamed(bare: str, names: Names) -> str:
    key, number = _as_in_tables(bare)
    if key not in names:
        raise ValueError(f"{bare!r} has no counterpart in that layout; expected the state dict of one of our models.")
    return names[key].replace("{i}", number)


def _is_outside_encoder(key: str) -> bool:
    return key.startswith(("classifier.", "decoder.", "encoder_to_decoder."))


def _listed(keys: list[Any]) -> str:
    return shortened(list(map(repr, keys)), 5)


__all__ = [
    "convert_state_dict",
    "convert_to_official",
    "convert_to_transformers",
    "find_weights",
    "recipes_to_official",
    "recipes_to_ours",
    "recipes_to_transformers",
]
