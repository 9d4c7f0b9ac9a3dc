# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The `Accelerator` of a run: one process or many, on GPUs or CPUs, plain, DDP, FSDP2 or DeepSpeed."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    FullyShardedDataParallelPlugin,
    GradientAccumulationPlugin,
    LoggerType,
    ProjectConfiguration,
)
from packaging.version import Version
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers.integrations import unset_hf_deepspeed_config

from modeling_videomae_v2.host_memory import keep_freed_memory

from .recipe import Recipe, RecipeError, launched_processes


if TYPE_CHECKING:
    from .evaluation.recipe import EvaluationRecipe

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def wants(engine: str) -> bool:
    """Whether `accelerate launch` was told to use an engine, "FSDP" or "DEEPSPEED"."""
    return os.environ.get(f"ACCELERATE_USE_{engine}", "false").lower() == "true"


def check_processes(recipe: "Recipe | EvaluationRecipe") -> None:
    """Find what no command can do with the processes that the launcher starts, before a process group is made.

    Raises:
        RecipeError: The launcher and the recipe ask for something that does not exist together.
    """
    if "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ and wants("CPU"):
        raise RecipeError(
            "`accelerate launch --cpu --num_processes N` starts one process only (it leaves the others to mpirun). Use "
            "`accelerate launch --config_file training/accelerate/cpu.yaml` or `torchrun --nproc_per_node N`."
        )
    precision = asked_precision(recipe)
    if precision not in ("no", *DTYPES):  # accelerate knows further ones
        raise RecipeError(f"mixed_precision must be no, bf16 or fp16, got {precision!r}.")
    if precision == "fp16" and on_cpu(recipe):
        raise RecipeError("mixed_precision: fp16 needs a GPU; on CPUs take bf16 or no.")


def asked_precision(recipe: "Recipe | EvaluationRecipe") -> str:
    """Number format of the products that the recipe or else the launcher asks for: "no", "bf16" or "fp16"."""
    return recipe.mixed_precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")


def check_launch(recipe: Recipe) -> None:
    """As `check_processes`, with what only training asks for.

    Raises:
        RecipeError: The launcher and the recipe ask for something that does not exist together.
    """
    check_processes(recipe)
    if getattr(recipe, "decoder_precision", "same") == "fp32" and wants("DEEPSPEED"):
        raise RecipeError(
            "decoder_precision: fp32 does not exist with DeepSpeed, which turns the whole model into one format: use "
            "DDP or FSDP2, or decoder_precision: same with bf16, whose range is that of fp32."
        )
    if recipe.compile == "model" and wants("FSDP"):
        raise RecipeError(
            "compile: model does not exist with FSDP2, which cuts the model by blocks: use compile: blocks."
        )
    if wants("FSDP") and on_cpu(recipe) and Version(torch.__version__) < Version("2.9"):
        raise RecipeError(
            f"FSDP2 on CPUs needs PyTorch 2.9 or later, this is {torch.__version__}: older ones fail, or add up the "
            "gradients of the processes instead of averaging them. Use training/accelerate/cpu.yaml."
        )
    if recipe.ema.decay is not None and wants("DEEPSPEED"):
        raise RecipeError(
            "ema.decay does not exist with DeepSpeed, which keeps the weights to itself: use DDP or FSDP2."
        )
    if wants("DEEPSPEED") and on_cpu(recipe):  # accelerate would take DDP without a word
        raise RecipeError(
            "DeepSpeed needs a GPU here: on CPUs use training/accelerate/fsdp2.yaml, which cuts weights as ZeRO-3 "
            "does, or cpu.yaml."
        )
    check_trackers(recipe.tracking.trackers)


def check_trackers(names: list[str]) -> None:
    """Find trackers that accelerate would leave out in silence.

    Raises:
        RecipeError: One does not exist, or is not installed.
    """
    known = {str(kind) for kind in (*LoggerType, *LOGGER_TYPE_TO_CLASS)}  # some may have been registered
    installed = {str(kind) for kind in get_available_trackers()} | (known - {str(kind) for kind in LoggerType})
    for name in names:
        if name not in known:
            raise RecipeError(
                f"tracking.trackers names {name!r}, which accelerate does not know; there are: "
                f"{', '.join(sorted(known))}."
            )
        if name not in {"all", *installed}:
            raise RecipeError(
                f"tracking.trackers names {name!r}, which is not installed: `pip install {name.replace('_', '-')}`, or "
                "take it out ([] for none)."
            )


def on_cpu(recipe: "Recipe | EvaluationRecipe") -> bool:
    """Whether the run takes place on CPUs."""
    return recipe.device == "cpu" or wants("CPU") or not torch.accelerator.is_available()


def set_up_torch(recipe: "Recipe | EvaluationRecipe") -> None:
    """What a process sets once: TF32 as the recipe says, whatever was before; on CPUs, freed memory is kept."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = recipe.tf32
    if on_cpu(recipe):
        keep_freed_memory()


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Join the other processes, if there are any.

    Raises:
        RecipeError: As `check_launch`.
    """
    check_launch(recipe)
    set_up_torch(recipe)
    folder = Path(recipe.output_dir)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision,
        cpu=on_cpu(recipe),
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1, sync_with_dataloader=False),
        log_with=recipe.tracking.trackers or None,
        project_config=ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "logs")),
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
    expected = launched_processes()
    if accelerator.num_processes != expected:
        raise RuntimeError(f"The launcher started {expected} processes, accelerate joined {accelerator.num_processes}.")
    # said here and not above: an environment variable of the launcher would win over the argument
    accelerator.gradient_accumulation_steps = recipe.accumulation_for(accelerator.num_processes)
    _setup_fsdp2(accelerator, keep_fp32=getattr(recipe, "decoder_precision", "same") == "fp32")
    _setup_deepspeed(accelerator, recipe)
    return accelerator


@contextmanager
def whole_weights(accelerator: Accelerator) -> Iterator[None]:
    """Within it, models are made with whole weights.

    With ZeRO-3, transformers would cut them as soon as they exist: other numbers would be drawn for them, and the
    optimizer, which goes by their shapes, would take every one for a vector. `accelerator.prepare` cuts them in time.
    """
    if accelerator.distributed_type != DistributedType.DEEPSPEED:
        yield
        return
    plugin = accelerator.state.deepspeed_plugin
    plugin.dschf = None
    unset_hf_deepspeed_config()
    try:
        yield
    finally:
        plugin.set_deepspeed_weakref()


def _setup_fsdp2(accelerator: Accelerator, keep_fp32: bool) -> None:
    """FSDP2 on CPUs too, which accelerate leaves out, and with gradients that are summed in fp32."""
    state = accelerator.state
    if wants("FSDP") and state.distributed_type == DistributedType.MULTI_CPU:
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        state.distributed_type = DistributedType.FSDP
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    if state.distributed_type != DistributedType.FSDP:
        return
    # logits are such a view; the loss is computed from them within the model, and nobody writes into them
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    plugin = state.fsdp_plugin
    if plugin.fsdp_version != 2:
        raise RecipeError("Only FSDP2 is supported: set `fsdp_version: 2` in the accelerate configuration.")
    dtype = None if keep_fp32 else DTYPES.get(accelerator.mixed_precision)
    # Inputs are not cast, for the targets are computed from them; autocast takes care of the rest.
    plugin.mixed_precision_policy = MixedPrecisionPolicy(
        param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
    )


def _setup_deepspeed(accelerator: Accelerator, recipe: Recipe) -> None:
    """Tell DeepSpeed what it would otherwise learn from a data loader or guess."""
    if accelerator.distributed_type != DistributedType.DEEPSPEED:
        return
    config = accelerator.state.deepspeed_plugin.deepspeed_config
    accumulation = accelerator.gradient_accumulation_steps
    clips = recipe.batch_size * recipe.data.views
    config["train_micro_batch_size_per_gpu"] = clips
    config["gradient_accumulation_steps"] = accumulation
    config["train_batch_size"] = clips * accumulation * accelerator.num_processes
    config["gradient_clipping"] = recipe.optimizer.clip_grad or 0.0
