# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of every other VideoMAE checkpoint layout, to ours and back.

A layout is a table of names. The official one (research code, OpenGVLab repositories) is special in one thing: its
query, key and value matrices are one. Names are written with `{i}` for the number of the block, and without the prefix
that stands before the encoder's keys wherever a model holds more than the encoder.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch


StateDict = dict[str, torch.Tensor]
Names = dict[str, str]


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
_OURS: Names = {ours: ours for ours in (*_OFFICIAL, *_TRANSFORMERS)}

# No name means different things in two layouts, so one table reads them all.
_TO_OURS: Names = {
    theirs: ours for names in (_OFFICIAL, _TRANSFORMERS, _OLD_TRANSFORMERS, _OURS) for ours, theirs in names.items()
}

_CONTAINERS = ("model", "module", "state_dict")
_WRAPPERS = re.compile(r"^(module\.|model\.|backbone\.)+")
_ENCODER_PREFIXES = ("", "encoder.", "videomae.", "videomae_v2.")
_PREFIX = "videomae_v2."
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
        with the input, but for the fused query-key-value matrices, which are copied. Models of transformers without
        a head hold no norm when their `use_mean_pooling` is True (its default; not so in published checkpoints): they
        lack the one of ours.

    Raises:
        ValueError: There are no weights in it, a key is not known, or two keys mean the same parameter.
    """
    converted: StateDict = {}
    unknown = []
    for key, tensor in _find_weights(state_dict).items():
        name = _our_name(key)
        if name is None:
            unknown.append(key)
            continue
        for part_name, part in _split_qkv(name, tensor).items():
            if part_name in converted:
                raise ValueError(f"The state dict holds `{part_name}` twice; the second time as {key!r}.")
            converted[part_name] = part
    if unknown:
        raise ValueError(
            f"{len(unknown)} of {len(unknown) + len(converted)} keys belong to no known VideoMAE layout: "
            f"{_listed(unknown)}. Remove them from the state dict if they are no weights of the model."
        )
    return _prefix_encoder(converted, _PREFIX)


def convert_to_transformers(state_dict: Mapping[str, torch.Tensor]) -> StateDict:
    """Turn our weights into those of transformers' own VideoMAE (`videomae`), which then computes the same.

    Layer scale, which it does not have, is multiplied into the linear layers that it follows.

    Args:
        state_dict: State dict of one of our models, with the head, with the decoder, or of the bare encoder with
            `use_mean_pooling=False`.

    Returns:
        New dict for `VideoMAEForVideoClassification`, `VideoMAEForPreTraining` or `VideoMAEModel`.

    Raises:
        ValueError: A key is not one of ours, or the other model has no place for it.
    """
    ours = _fold_layer_scale(_strip_encoder_prefix(state_dict))
    is_encoder = not any(_is_outside_encoder(key) for key in ours)
    lost = [key for key in ours if is_encoder and key.startswith("fc_norm.")]
    if lost:
        raise ValueError(f"`VideoMAEModel` of transformers pools nothing and has no place for {_listed(lost)}.")
    renamed = _rename(ours, _TRANSFORMERS)
    if is_encoder:
        return renamed
    outside = ("fc_norm.", "classifier.", "decoder.", "encoder_to_decoder.", "mask_token")
    return {key if key.startswith(outside) else f"videomae.{key}": tensor for key, tensor in renamed.items()}


def convert_to_official(state_dict: Mapping[str, torch.Tensor]) -> StateDict:
    """Turn our weights into those of the research code: keys as in its pre-training or fine-tuning checkpoints.

    Args:
        state_dict: State dict of one of our models.

    Returns:
        New dict. Query, key and value matrices are fused, everything else is shared with the input.

    Raises:
        ValueError: A key is not one of ours.
    """
    ours = _strip_encoder_prefix(state_dict)
    fused: StateDict = {}
    for key, tensor in ours.items():
        stem, _, projection = key.rpartition("_proj.weight")[0].rpartition(".")
        if key.endswith("_proj.weight") and projection in ("q", "k", "v"):
            if projection == "q":
                parts = [ours[f"{stem}.{name}_proj.weight"] for name in ("q", "k", "v")]
                fused[f"{stem}.qkv.weight"] = torch.cat(parts)
        else:
            fused[key] = tensor
    renamed = _rename(fused, _OFFICIAL)
    if not any(key.startswith("decoder.") for key in renamed):
        return renamed
    outside = ("decoder.", "encoder_to_decoder.", "mask_token")
    return {key if key.startswith(outside) else f"encoder.{key}": tensor for key, tensor in renamed.items()}


def _find_weights(checkpoint: Mapping[str, Any]) -> Mapping[str, torch.Tensor]:
    """The dict of tensors itself, or the one in a checkpoint."""
    for name in _CONTAINERS:
        if isinstance(checkpoint.get(name), Mapping):
            return _find_weights(checkpoint[name])
    others = [key for key, value in checkpoint.items() if not isinstance(value, torch.Tensor)]
    if others or not checkpoint:
        found = f"values that are no tensors: {_listed(others)}" if others else "nothing"
        raise ValueError(
            f"No weights found: expected a dict of tensors, bare or under one of {', '.join(map(repr, _CONTAINERS))}, "
            f"got {found}."
        )
    return checkpoint


def _our_name(key: str) -> str | None:
    """Our name of a parameter, without the prefix of the encoder; None if the key is not known."""
    bare = _WRAPPERS.sub("", key.replace("_orig_mod.", ""))
    number = re.search(r"\.(\d+)\.", bare)
    if number:
        bare = bare.replace(number.group(), ".{i}.", 1)
    for prefix in _ENCODER_PREFIXES:
        if bare.startswith(prefix) and bare.removeprefix(prefix) in _TO_OURS:
            name = _TO_OURS[bare.removeprefix(prefix)]
            return name.replace(".{i}.", number.group()) if number else name
    return None


def _split_qkv(name: str, tensor: torch.Tensor) -> StateDict:
    if not _QKV.search(name):
        return {name: tensor}
    names = [_QKV.sub(f"attention.{projection}_proj.weight", name) for projection in ("q", "k", "v")]
    return {part_name: part.clone() for part_name, part in zip(names, tensor.chunk(3))}


def _rename(state_dict: StateDict, names: Names) -> StateDict:
    renamed: StateDict = {}
    for key, tensor in state_dict.items():
        number = re.search(r"\.(\d+)\.", key)
        name = names.get(key.replace(number.group(), ".{i}.", 1) if number else key)
        if name is None:
            raise ValueError(
                f"{key!r} has no counterpart in that layout; expected the state dict of one of our models."
            )
        renamed[name.replace(".{i}.", number.group()) if number else name] = tensor
    return renamed


def _is_outside_encoder(key: str) -> bool:
    return key.startswith(("classifier.", "decoder.", "encoder_to_decoder."))


def _prefix_encoder(state_dict: StateDict, prefix: str) -> StateDict:
    """Put the prefix before the encoder's keys, if there is more than the encoder."""
    if not any(map(_is_outside_encoder, state_dict)):
        return state_dict
    return {key if _is_outside_encoder(key) else prefix + key: tensor for key, tensor in state_dict.items()}


def _strip_encoder_prefix(state_dict: Mapping[str, torch.Tensor]) -> StateDict:
    return {key.removeprefix(_PREFIX): tensor for key, tensor in state_dict.items()}


def _fold_layer_scale(state_dict: StateDict) -> StateDict:
    folded = {key: tensor for key, tensor in state_dict.items() if "layer_scale" not in key}
    for scale, linear in (("layer_scale1", "attention.o_proj"), ("layer_scale2", "mlp.fc2")):
        for key in state_dict:
            if not key.endswith(f"{scale}.lambda1"):
                continue
            stem = key.removesuffix(f"{scale}.lambda1") + linear
            folded[f"{stem}.weight"] = folded[f"{stem}.weight"] * state_dict[key][:, None]
            folded[f"{stem}.bias"] = folded[f"{stem}.bias"] * state_dict[key]
    return folded


def _listed(keys: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(key) for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"


__all__ = ["convert_state_dict", "convert_to_official", "convert_to_transformers"]
