# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Small repositories of other VideoMAE origin, written as theirs are."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from naive_reference import Arch
from safetensors.torch import save_file
from transformers import VideoMAEConfig


ARCH = Arch()
MEAN, STD = [0.4, 0.45, 0.5], [0.21, 0.22, 0.23]


def stock_config(arch: Arch = ARCH, **overrides: Any) -> VideoMAEConfig:
    """transformers' configuration of an architecture."""
    fields = {name: value for name, value in asdict(arch).items() if name not in ("qkv_bias", "layer_scale_init_value")}
    return VideoMAEConfig(**{**fields, **overrides})


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Every parameter away from zero and one, so that none can be lost unseen."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".key.bias"):
                continue  # of some versions of transformers: it computes nothing, and ours has none
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def clips(arch: Arch = ARCH, batch_size: int = 2) -> torch.Tensor:
    """Pixel values `(batch_size, frames, channels, height, width)`."""
    shape = (batch_size, arch.num_frames, arch.num_channels, arch.image_size, arch.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def write_processor(folder: Path, **settings: Any) -> None:
    """`preprocessor_config.json` of transformers' VideoMAE."""
    content = {"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 40}, **settings}
    (folder / "preprocessor_config.json").write_text(json.dumps(content))


def write_opengvlab(
    folder: Path,
    official: Mapping[str, torch.Tensor],
    arch: Arch = ARCH,
    pickled: bool = False,
    sentinel: Path | None = None,
    **model_config: Any,
) -> None:
    """A repository as OpenGVLab's: nested configuration, keys under `model.`, code that leaves a trace when it runs."""
    nested = {
        "img_size": arch.image_size, "patch_size": arch.patch_size, "in_chans": arch.num_channels, "num_classes": 0,
        "embed_dim": arch.hidden_size, "depth": arch.num_hidden_layers, "num_heads": arch.num_attention_heads,
        "mlp_ratio": arch.intermediate_size / arch.hidden_size, "qkv_bias": arch.qkv_bias, "qk_scale": None,
        "drop_rate": 0.0, "attn_drop_rate": 0.0, "drop_path_rate": 0.0, "norm_layer": "nn.LayerNorm",
        "layer_norm_eps": arch.layer_norm_eps, "init_values": arch.layer_scale_init_value, "head_drop_rate": 0.0,
        "use_learnable_pos_emb": False, "tubelet_size": arch.tubelet_size, "use_mean_pooling": True,
        "num_frames": arch.num_frames, "with_cp": False, "cos_attn": False, **model_config,
    }  # fmt: skip
    config = {
        "architectures": ["VideoMAEv2_Base"],
        "auto_map": {
            "AutoConfig": "modeling_config.VideoMAEv2Config",
            "AutoModel": "modeling_videomaev2.VideoMAEv2",
            "AutoModelForVideoClassification": "modeling_videomaev2.VideoMAEv2",
        },
        "model_type": "VideoMAEv2_Base",
        "model_config": nested,
        "transformers_version": "4.38.0",
        "use_cache": False,
    }
    (folder / "config.json").write_text(json.dumps(config))
    weights = {f"model.{key}": tensor.clone() for key, tensor in official.items() if not key.startswith("head.")}
    if pickled:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    code = "raise RuntimeError\n" if sentinel is None else f"open({str(sentinel)!r}, 'w').close()\nraise RuntimeError\n"
    for name in ("modeling_config.py", "modeling_videomaev2.py", "image_processing.py"):
        (folder / name).write_text(code)
    auto_map = {"AutoImageProcessor": "image_processing.Processor", "AutoVideoProcessor": "image_processing.Processor"}
    write_processor(folder, image_mean=MEAN, image_std=STD, auto_map=auto_map if sentinel else {})


def with_old_bias_names(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keys of transformers' VideoMAE as they were before version 5."""
    names = {"attention.query.bias": "attention.q_bias", "attention.value.bias": "attention.v_bias"}
    renamed = {}
    for key, tensor in state_dict.items():
        for new, old in names.items():
            key = key.replace(new, old)
        renamed[key] = tensor.clone()
    return renamed


def write_transformers(folder: Path, model: torch.nn.Module, old: bool = False, pickled: bool = False) -> None:
    """A repository of transformers' own VideoMAE, in the layout before or since version 5."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    weights = with_old_bias_names(weights) if old else weights
    if pickled:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_processor(folder, image_mean=MEAN, image_std=STD)
