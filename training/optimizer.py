# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""AdamW with layer-wise learning rates, and the guard that keeps bad gradients out of the weights."""

import re
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm

from .recipe import OptimizerRecipe, RecipeError


_ENCODER_LAYER = re.compile(r"(?:^|\.)videomae_v2\.layers\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)videomae_v2\.embeddings\.")
_NEVER_DECAYED = ("mask_token",)


def layer_scale_and_decay(
    name: str, parameter: nn.Parameter, num_layers: int, recipe: OptimizerRecipe
) -> tuple[float, float]:
    """How one parameter is treated: the factor on its learning rate, and its weight decay.

    The embedding is layer 0, encoder block `i` is layer `i + 1`, all the rest (final norm, head, decoder) is the last;
    each layer learns `layer_decay` times as fast as the one above it. Biases and vectors do not decay.

    Args:
        name: Name in the model, wrapped or not.
        parameter: The parameter.
        num_layers: Blocks of the encoder.
        recipe: Where `layer_decay` and `weight_decay` come from.
    """
    block = _ENCODER_LAYER.search(name)
    layer = int(block.group(1)) + 1 if block else 0 if _EMBEDDING.search(name) else num_layers + 1
    is_vector = parameter.dim() <= 1 or name.endswith(_NEVER_DECAYED)
    return recipe.layer_decay ** (num_layers + 1 - layer), 0.0 if is_vector else recipe.weight_decay


def parameter_groups(model: nn.Module, num_layers: int, recipe: OptimizerRecipe) -> list[dict[str, Any]]:
    """Groups for AdamW, one per pair of learning-rate factor (`lr_scale`) and `weight_decay`; frozen ones are left out.

    Raises:
        ValueError: Nothing can be trained.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = layer_scale_and_decay(name, parameter, num_layers, recipe)
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise ValueError("All parameters of the model are frozen: there is nothing to train.")
    return [
        {"params": parameters, "lr_scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def make_optimizer(model: nn.Module, num_layers: int, recipe: OptimizerRecipe) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; its learning rate is set at each step by `set_learning_rate`.

    The fused kernels are taken on every device that has them, CPUs included: they are the fast ones, and they can skip
    an update on the device's own word (`guard_step`).
    """
    groups = parameter_groups(model, num_layers, recipe)
    beta1, beta2 = recipe.betas
    return torch.optim.AdamW(groups, lr=recipe.base_lr, betas=(beta1, beta2), eps=recipe.eps, fused=True)


def optimizer_changes(old: dict[str, Any], recipe: OptimizerRecipe) -> list[str]:
    """In words, what is different when a run goes on with another optimizer; its learning rate is a matter of the plan.

    Args:
        old: The recipe of the optimizer that the checkpoint was written with, as a dict.
        recipe: That from here on.

    Returns:
        Lines for the log; none if nothing changed.

    Raises:
        RecipeError: The parameters now fall into other groups, so that the state of the optimizer does not fit.
    """
    lines = []
    for name, neutral in (("weight_decay", 0.0), ("layer_decay", 1.0), ("betas", None), ("eps", None)):
        before, now = old.get(name), getattr(recipe, name)
        if before is None or before == now:
            continue
        if neutral in (before, now):  # with it, parameters of different groups are treated alike and are one group
            raise RecipeError(
                f"optimizer.{name} ({now}) was {before} when the checkpoint was written, and sorts the parameters into "
                f"other groups: set it to {before}, or start anew in another output_dir with model.init_from."
            )
        lines.append(f"optimizer.{name}: {before} -> {now}.")
    return lines


def group_options(optimizer: Any) -> list[dict[str, Any]]:
    """What the optimizer does with each group of parameters, but for the learning rate."""
    return [{key: value for key, value in group.items() if key not in ("params", "lr")}
            for group in optimizer.param_groups]  # fmt: skip


def set_learning_rate(optimizer: Any, learning_rate: float) -> None:
    """Set the learning rate of every group, times its `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("lr_scale", 1.0)


def poison_unless_finite(loss: torch.Tensor) -> torch.Tensor:
    """The loss, with gradients that are NaN where it is not finite.

    So a bad loss on any process shows in the norm of the gradient, which all processes see alike. Does not wait for the
    device, and changes no bit of a good loss.
    """
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


def clip_gradients(accelerator: Accelerator, model: nn.Module, max_norm: float | None) -> torch.Tensor:
    """Scale the gradients down to `max_norm` (None: leave them); returns their norm before that, on the device."""
    if max_norm is None and accelerator.distributed_type != DistributedType.DEEPSPEED:
        accelerator.unscale_gradients()
        norm = get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None])
    else:  # DeepSpeed clips by itself, and is asked for the norm
        norm = accelerator.clip_grad_norm_(model.parameters(), float("inf") if max_norm is None else max_norm)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    return torch.as_tensor(0.0 if norm is None else norm, device=accelerator.device)


def guard_step(accelerator: Accelerator, optimizer: Any, norm: torch.Tensor) -> None:
    """Make the next `optimizer.step()` do nothing if the norm of the gradient is not finite.

    The decision stays on the device: fused kernels read it there, as they do for loss scaling, which therefore needs no
    second guard. DeepSpeed has its own.
    """
    if accelerator.scaler is None and accelerator.distributed_type != DistributedType.DEEPSPEED:
        optimizer.optimizer.found_inf = (~norm.isfinite()).float()
