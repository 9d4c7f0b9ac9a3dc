# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Parameter-efficient fine-tuning: low-rank adapters (LoRA, by PEFT) on a frozen encoder, and a trained head."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from .recipe_parsing import RecipeError
from .recipe_stages import LoraRecipe


if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel

# Trained whole: the head, and the norm of the feature, which a pre-training checkpoint does not have.
TRAINED_WHOLE = ["classifier", "fc_norm"]
ADAPTER_FOLDER = "adapter"


def peft_config(recipe: LoraRecipe) -> "LoraConfig":
    """What PEFT takes."""
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.targets),
        modules_to_save=list(TRAINED_WHOLE),
    )


def add_lora(model: PreTrainedModel, recipe: LoraRecipe) -> "PeftModel":
    """Freeze a classifier and put adapters into it; head and norm of the feature go on being trained.

    Raises:
        RecipeError: PEFT does not take the configuration.
    """
    from peft import get_peft_model

    try:
        return get_peft_model(model, peft_config(recipe))
    except ValueError as error:
        raise RecipeError(f"lora: {error}") from error


def save_lora(
    clean: PreTrainedModel, recipe: LoraRecipe, weights: dict[str, torch.Tensor], folder: Path, base: str | None = None
) -> None:
    """Write the model with its adapters merged to `folder`, and the adapters alone to `folder/adapter`.

    Args:
        clean: A model of the same class, on the meta device; it is used up.
        recipe: The adapters.
        weights: State dict of what `add_lora` returned.
        folder: Where to.
        base: Checkpoint that the adapters are for.
    """
    from peft import get_peft_model

    clean.name_or_path = base or ""
    model = get_peft_model(clean, peft_config(recipe), low_cpu_mem_usage=True)
    # what is merged into is copied: in one process these are the weights that are being trained
    weights = {name: tensor.clone() if ".base_layer." in name else tensor for name, tensor in weights.items()}
    model.load_state_dict(weights, assign=True)
    model.save_pretrained(folder / ADAPTER_FOLDER)
    model.merge_and_unload().save_pretrained(folder)
