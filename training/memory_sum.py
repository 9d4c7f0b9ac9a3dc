# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory of a training step on one GPU, part by part.

Weights, gradients and AdamW are fp32. What forward passes keep for the backward pass is counted on tensors without
memory, for stacks of one block and of two; nothing is guessed but what CUDA takes for itself. Each process of DDP takes
what one takes alone: its buckets are the gradients (`gradient_as_bucket_view`).
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.blocks_videomae_v2 import VideoMAEv2Layer

from .activation_memory import as_on_a_gpu, by_block, kept_bytes
from .adapters import add_lora
from .heads import say
from .memory_launch import ALONE, Launch
from .recipe import Recipe, RecipeError
from .recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe
from .tasks.base import checkpoint_activations
from .tasks.pretraining import keep_decoder_in_fp32
from .tasks.teacher import convert_matrices, teacher_config


GIB = 2**30
CUDA_BYTES = GIB  # context, libraries and their work space: about so much


@dataclass(frozen=True)
class MemorySum:
    """Bytes on one GPU; with FSDP2, on the first one, which has the largest share.

    Attributes:
        clips: Clips of one pass, views counted; no bytes.
        weights: All parameters, fp32, or a share of each.
        gradients: Of those that are trained, fp32; FSDP2 cuts them in the last pass of a step, whole until then.
        optimizer: Two moments of AdamW for each of them, fp32.
        average: Averaged weights, if there are any, fp32.
        teacher: Weights of the teacher, if there is one: matrices in the format of the products, fp32 else.
        gathered: What FSDP2 has whole for a while, weights and gradients of a few blocks.
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
    gathered: int
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


def memory_of(recipe: Recipe, launch: Launch = ALONE) -> MemorySum:
    """Memory of one process that trains.

    Where neither the recipe nor accelerate has a number format yet, products are taken to be in half precision.

    Args:
        recipe: The recipe of a stage. The data need not be there.
        launch: The processes; default: one.

    Raises:
        RecipeError: The model cannot be made, or the batch not be shared by so many processes.
    """
    config, half = _config(recipe, launch.num_processes), (recipe.mixed_precision or launch.mixed_precision) != "no"
    model = _on_meta(recipe, config)
    cut = launch.num_processes if launch.sharded else 1
    cast = half and launch.sharded and getattr(recipe, "decoder_precision", "same") == "same"  # by FSDP2, as it gathers
    trained, share = _elements(model, trained=True), _elements(model, trained=True, cut=cut)
    return MemorySum(
        clips=recipe.batch_size * recipe.data.views,
        weights=4 * _elements(model, cut=cut),
        gradients=4 * (share if recipe.accumulation_for(launch.num_processes) == 1 else trained),
        optimizer=8 * share,
        average=4 * share * (recipe.ema.decay is not None),
        teacher=_teacher_bytes(recipe, half) if isinstance(recipe, DistillationRecipe) else 0,
        gathered=_gathered_bytes(model, 2 if cast else 4, launch.reshard) if launch.sharded else 0,
        casts=2 * trained * (half and not cast),
        activations=activation_bytes(recipe, config, half, cast),
    )


def _elements(model: nn.Module, trained: bool = False, cut: int = 1) -> int:
    """Elements of parameters: of all or the trained ones, whole or the first process's share of rows."""
    weights = [weight for weight in model.parameters() if weight.requires_grad or not trained]
    return sum(math.ceil(len(weight) / cut) * weight[0].numel() for weight in weights)


def _gathered_bytes(model: nn.Module, width: int, reshard: bool) -> int:
    """What FSDP2 has whole in the backward pass of its largest block.

    That is the block and its gradients, the block that it gathers meanwhile, in fp32 the gradients of the one before,
    whose sum is under way, and all that belongs to no block.

    Args:
        model: The model.
        width: Bytes of an element of what is gathered.
        reshard: Blocks are let go after the forward pass; otherwise all are there.
    """
    blocks = [module for module in model.modules() if isinstance(module, VideoMAEv2Layer)]
    largest = max(blocks, key=_elements)
    weights = _elements(model)
    if reshard:
        weights += 2 * _elements(largest) - sum(map(_elements, blocks))
    trained = _elements(largest, trained=True)
    return width * (weights + trained) + 4 * trained


def activation_bytes(recipe: Recipe, config: VideoMAEv2Config, half: bool = True, cast: bool = False) -> int:
    """Bytes that a forward pass of a recipe keeps for the backward pass.

    With gradient checkpointing, each block keeps its input, and one block at a time all that it needs.

    Args:
        recipe: Batch, adapters, number formats.
        config: The model.
        half: Under autocast to half precision, else in fp32.
        cast: Of weights that are in half precision themselves, as FSDP2 gathers them.
    """
    depths = {"num_hidden_layers": config.num_hidden_layers}
    if isinstance(recipe, PreTrainingRecipe):
        depths["decoder_num_hidden_layers"] = config.decoder_num_hidden_layers

    def kept(checkpointing: bool) -> tuple[float, dict[str, float]]:
        shallow = replace(recipe, gradient_checkpointing=checkpointing)
        return by_block(lambda layers: _kept(shallow, _with(config, layers), half, cast), list(depths))

    rest, blocks = kept(recipe.gradient_checkpointing)
    total = rest + sum(size * depths[name] for name, size in blocks.items())
    return total + max(kept(False)[1].values()) if recipe.gradient_checkpointing else total


def _kept(recipe: Recipe, config: VideoMAEv2Config, half: bool, cast: bool) -> int:
    """The same for a shallow model, without memory."""
    clips = recipe.batch_size * recipe.data.views
    model = _on_meta(recipe, config).train()
    for weight in model.parameters() if cast else ():  # and no buffers
        weight.data = weight.data.bfloat16()
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = model.to_empty(device="cpu")
        inputs = {"pixel_values": torch.empty(clips, config.num_frames, 3, config.image_size, config.image_size)}
        if isinstance(recipe, FineTuningRecipe):
            inputs["labels"] = torch.zeros(clips, dtype=torch.long)
        with as_on_a_gpu(), torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            return kept_bytes(model, lambda: model(**inputs))


def _with(config: VideoMAEv2Config, layers: dict[str, int]) -> VideoMAEv2Config:
    return VideoMAEv2Config.from_dict({**config.to_diff_dict(), **layers})


def _config(recipe: Recipe, num_processes: int) -> VideoMAEv2Config:
    """That of the run; of a checkpoint that is not there yet, that of the preset."""
    try:
        return recipe.model_config()
    except RecipeError:
        if recipe.model.init_from is None:
            raise
        preset = recipe.model.preset
        say(f"model.init_from ({recipe.model.init_from}) cannot be loaded: model.preset ({preset}) is counted instead.")
        recipe = replace(recipe, model=replace(recipe.model, init_from=None))
        recipe.validate(num_processes)
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
