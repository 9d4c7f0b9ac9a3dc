# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory of a training step on one GPU, part by part.

Weights, gradients and AdamW are fp32. What forward passes keep for the backward pass is counted on tensors without
memory, for stacks of one block and of two; nothing is guessed but what CUDA takes for itself.
"""

from contextlib import nullcontext
from dataclasses import dataclass, fields, replace

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification

from .activation_memory import as_on_a_gpu, by_block, kept_bytes
from .adapters import add_lora
from .heads import say
from .recipe import Recipe, RecipeError
from .recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe
from .tasks.base import checkpoint_activations
from .tasks.pretraining import keep_decoder_in_fp32
from .tasks.teacher import convert_matrices, teacher_config


GIB = 2**30
CUDA_BYTES = GIB  # context, libraries and their work space: about so much


@dataclass(frozen=True)
class MemorySum:
    """Bytes on one GPU.

    Attributes:
        clips: Clips of one pass, views counted; no bytes.
        weights: All parameters, fp32.
        gradients: Of those that are trained, fp32.
        optimizer: Two moments of AdamW for each of them, fp32.
        average: Averaged weights, if there are any, fp32.
        teacher: Weights of the teacher, if there is one: matrices in the format of the products, fp32 else.
        casts: Copies of what is trained in half precision, which autocast keeps during a pass.
        activations: What the forward pass keeps for the backward pass, copies of frozen weights included.
        cuda: What CUDA takes for itself; an estimate.
    """

    clips: int
    weights: int
    gradients: int
    optimizer: int
    average: int
    teacher: int
    casts: int
    activations: int
    cuda: int = CUDA_BYTES

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self._parts().values())

    def table(self) -> str:
        """One line for each part that is there, in GiB."""
        rows = [(f"{name} ({self.clips} clips)" if name == "activations" else name, size)
                for name, size in self._parts().items() if size]  # fmt: skip
        return "\n".join(f"{name:24s} {size / GIB:7.2f} GiB" for name, size in [*rows, ("total", self.total)])

    def _parts(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "clips"}


def memory_of(recipe: Recipe) -> MemorySum:
    """Memory of one process that trains.

    Where neither the recipe nor accelerate has a number format yet, products are taken to be in half precision.

    Args:
        recipe: The recipe of a stage. The data need not be there.

    Raises:
        RecipeError: The model cannot be made.
    """
    config, half = _config(recipe), recipe.mixed_precision != "no"
    model = _on_meta(recipe, config)
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    return MemorySum(
        clips=recipe.batch_size * recipe.data.views,
        weights=4 * sum(size for size, _ in sizes),
        gradients=4 * trained,
        optimizer=8 * trained,
        average=4 * trained * (recipe.ema.decay is not None),
        teacher=_teacher_bytes(recipe, half) if isinstance(recipe, DistillationRecipe) else 0,
        casts=2 * trained * half,
        activations=activation_bytes(recipe, config, half),
    )


def activation_bytes(recipe: Recipe, config: VideoMAEv2Config, half: bool = True) -> int:
    """Bytes that a forward pass of a recipe keeps for the backward pass.

    With gradient checkpointing, each block keeps its input, and one block at a time all that it needs.

    Args:
        recipe: Batch, adapters, number formats.
        config: The model.
        half: Under autocast to half precision, else in fp32.
    """
    depths = {"num_hidden_layers": config.num_hidden_layers}
    if isinstance(recipe, PreTrainingRecipe):
        depths["decoder_num_hidden_layers"] = config.decoder_num_hidden_layers

    def kept(checkpointing: bool) -> tuple[int, dict[str, int]]:
        shallow = replace(recipe, gradient_checkpointing=checkpointing)
        return by_block(lambda layers: _kept(shallow, _with(config, layers), half), list(depths))

    rest, blocks = kept(recipe.gradient_checkpointing)
    total = rest + sum(size * depths[name] for name, size in blocks.items())
    return total + max(kept(False)[1].values()) if recipe.gradient_checkpointing else total


def _kept(recipe: Recipe, config: VideoMAEv2Config, half: bool) -> int:
    """The same for a shallow model, without memory."""
    clips = recipe.batch_size * recipe.data.views
    model = _on_meta(recipe, config).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = model.to_empty(device="cpu")
        inputs = {"pixel_values": torch.empty(clips, config.num_frames, 3, config.image_size, config.image_size)}
        if isinstance(recipe, FineTuningRecipe):
            inputs["labels"] = torch.zeros(clips, dtype=torch.long)
        with as_on_a_gpu(), torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            return kept_bytes(model, lambda: model(**inputs))


def _with(config: VideoMAEv2Config, layers: dict[str, int]) -> VideoMAEv2Config:
    return VideoMAEv2Config.from_dict({**config.to_diff_dict(), **layers})


def _config(recipe: Recipe) -> VideoMAEv2Config:
    """That of the run; of a checkpoint that is not there yet, that of the preset."""
    try:
        return recipe.model_config()
    except RecipeError:
        if recipe.model.init_from is None:
            raise
        preset = recipe.model.preset
        say(f"model.init_from ({recipe.model.init_from}) cannot be loaded: model.preset ({preset}) is counted instead.")
        recipe = replace(recipe, model=replace(recipe.model, init_from=None))
        recipe.validate()
        return recipe.model_config()
    except ValueError as error:  # nobody has tried the values on a model of the Hub before
        raise RecipeError(str(error)) from error


def _on_meta(recipe: Recipe, config: VideoMAEv2Config) -> nn.Module:
    """The model of a recipe, as its task makes it."""
    attention = {"attn_implementation": recipe.model.attention} if recipe.model.attention else {}
    with torch.device("meta"):
        if isinstance(recipe, PreTrainingRecipe):
            model = VideoMAEv2ForPreTraining._from_config(config, **attention)
            if recipe.decoder_precision == "fp32":
                keep_decoder_in_fp32(model)
        else:
            model = VideoMAEv2ForVideoClassification._from_config(config, **attention)
        if recipe.gradient_checkpointing:
            checkpoint_activations(model)
        return add_lora(model, recipe.lora) if getattr(recipe, "peft", "none") == "lora" else model


def _teacher_bytes(recipe: DistillationRecipe, half: bool) -> int:
    """Weights of the teacher as `tasks.teacher` keeps them; 0, and a word, where it is not there yet."""
    try:
        config = teacher_config(recipe.teacher.path)
    except RecipeError:
        say(f"teacher.path ({recipe.teacher.path}) cannot be loaded: the teacher is not counted.")
        return 0
    with torch.device("meta"):
        model = VideoMAEv2ForVideoClassification._from_config(config)
    convert_matrices(model, torch.bfloat16 if half else None)
    return sum(weight.nbytes for weight in model.parameters())
