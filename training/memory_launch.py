# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""How processes share a training, as far as memory depends on it: what `accelerate launch` would be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from .recipe_parsing import RecipeError, convert, parse_yaml


FSDP2_AS_COUNTED = {
    "fsdp_version": 2, "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_transformer_layer_cls_to_wrap": "VideoMAEv2Layer", "fsdp_offload_params": False,
    "fsdp_activation_checkpointing": False,
}  # fmt: skip


@dataclass(frozen=True)
class Launch:
    """The processes of a training.

    Attributes:
        num_processes: How many there are.
        sharded: FSDP2 cuts the model over them; otherwise each has all of it (one process, or DDP).
        reshard: With FSDP2, blocks are let go after the forward pass and gathered again for the backward pass.
        mixed_precision: "no", "bf16" or "fp16", where the recipe says nothing; None: nobody has said it yet.
    """

    num_processes: int = 1
    sharded: bool = False
    reshard: bool = True
    mixed_precision: str | None = None


ALONE = Launch()


def read_launch(config_file: str | None, num_processes: str | None) -> Launch:
    """What two options of `accelerate launch` say.

    Args:
        config_file: Configuration of accelerate, as in `training/accelerate/`; None: there is none.
        num_processes: Counts before what the file says; None: the file's, else 1.

    Raises:
        RecipeError: The file cannot be read, or says what cannot be summed up.
    """
    values = {} if config_file is None else _read(config_file)
    engine = values.get("distributed_type") or "NO"
    if num_processes is not None:
        processes = int(num_processes) if num_processes.isdecimal() else 0
    elif engine == "FSDP" and values.get("num_processes") is None:
        raise RecipeError(f"{config_file} does not say how many processes there are: add `--num_processes N`.")
    else:
        processes = convert(values.get("num_processes", 1), int, "num_processes")
    if processes < 1:
        raise RecipeError(f"num_processes must be a whole number of at least 1, got {num_processes or processes}.")
    if engine == "DEEPSPEED":
        raise RecipeError(
            f"DeepSpeed ({config_file}) is not summed up: how much its buckets take, and how many weights it keeps "
            "gathered, is up to settings and versions of its own. training/accelerate/fsdp2.yaml is summed up."
        )
    if engine not in ("NO", "MULTI_CPU", "MULTI_GPU", "FSDP"):
        raise RecipeError(f"distributed_type ({engine}) in {config_file} is not summed up; MULTI_GPU and FSDP are.")
    fsdp = values.get("fsdp_config") or {}
    if not isinstance(fsdp, dict):
        raise RecipeError(f"fsdp_config ({fsdp!r}) in {config_file} must be a mapping.")
    for key, counted in FSDP2_AS_COUNTED.items():
        if engine == "FSDP" and (fsdp.get(key) or False) != counted:
            raise RecipeError(
                f"{key} ({fsdp.get(key)}) of fsdp_config in {config_file} is not summed up: set it to {counted}, as "
                "training/accelerate/fsdp2.yaml does."
            )
    formats = Literal["no", "bf16", "fp16"]
    return Launch(
        num_processes=processes,
        sharded=engine == "FSDP",
        reshard=convert(fsdp.get("fsdp_reshard_after_forward", True), bool, "fsdp_reshard_after_forward"),
        mixed_precision=convert(values.get("mixed_precision") or "no", formats, "mixed_precision") if values else None,
    )


def _read(config_file: str) -> dict[str, Any]:
    try:
        values = parse_yaml(Path(config_file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"config_file ({config_file}) cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"config_file ({config_file}) must be a configuration of accelerate, a mapping.")
    return values
