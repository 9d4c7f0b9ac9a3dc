# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Parameter-efficient fine-tuning: low-rank adapters (LoRA, by PEFT) on a frozen encoder, and a trained head."""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from .recipe_parsing import RecipeError, knob


if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel

# Trained whole: the head, and the norm of the feature, which a pre-training checkpoint does not have.
TRAINED_WHOLE = ["classifier", "fc_norm"]
ADAPTER_FOLDER = "adapter"


@dataclass
class LoraRecipe:
    """Low-rank adapters, with peft: lora."""

    rank: int = knob(16, "rank of the adapters")
    alpha: float = knob(32.0, "their scale: alpha / rank is multiplied in")
    dropout: float = knob(0.0, "dropout before the adapters")
    targets: list[str] = knob(
        lambda: ["q_proj", "v_proj"], "linear layers that get one: q_proj, k_proj, v_proj, o_proj, fc1, fc2"
    )

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        found = []
        if self.rank < 1:
            found.append(f"lora.rank must be at least 1, got {self.rank}")
        if not self.alpha > 0:
            found.append(f"lora.alpha must be above 0, got {self.alpha}")
        if not 0.0 <= self.dropout < 1.0:
            found.append(f"lora.dropout must lie in [0, 1), got {self.dropout}")
        known = {"q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"}
        if not self.targets or set(self.targets) - known:
            found.append(f"lora.targets must name some of {', '.join(sorted(known))}, got {self.targets}")
        if importlib.util.find_spec("peft") is None:
            found.append("peft: lora needs the package PEFT; run `pip install peft`")
        return found

    def config(self) -> "LoraConfig":
        """What PEFT takes."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=list(self.targets),
            modules_to_save=list(TRAINED_WHOLE),
        )


def add_lora(model: PreTrainedModel, recipe: LoraRecipe) -> "PeftModel":
    """Freeze a classifier and put adapters into it; head and norm of the feature go on being trained.

    Raises:
        RecipeError: PEFT does not take the configuration.
    """
    from peft import get_peft_model

    try:
        return get_peft_model(model, recipe.config())
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
    with torch.random.fork_rng(devices=[]):
        model = get_peft_model(clean, recipe.config(), low_cpu_mem_usage=True)
    # what is merged into is copied: in one process these are the weights that are being trained
    weights = {name: tensor.clone() if ".base_layer." in name else tensor for name, tensor in weights.items()}
    model.load_state_dict(weights, assign=True)
    model.save_pretrained(folder / ADAPTER_FOLDER)
    model.merge_and_unload().save_pretrained(folder)
