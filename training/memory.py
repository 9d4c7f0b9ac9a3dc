# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory that fine-tuning takes on one GPU, summed up before there is one.

    python -m training.memory --preset giant --clips 8 --peft lora --checkpointing

Weights, gradients and AdamW are fp32, products bf16 under autocast. What forward passes keep for the backward pass is
counted on tensors without memory, for one block and for two; nothing is guessed but what CUDA takes for itself.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import Module

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification

from .activation_memory import as_on_a_gpu, kept_bytes
from .adapters import add_lora
from .recipe_stages import LoraRecipe


GIB = 2**30
CUDA_BYTES = GIB  # context, libraries and their work space: about so much


@dataclass(frozen=True)
class MemorySum:
    """Bytes on one GPU.

    Attributes:
        weights: All parameters, fp32.
        gradients: Of those that are trained, fp32.
        optimizer: Two moments of AdamW for each of them, fp32.
        average: Averaged weights, if there are any, fp32.
        casts: bf16 copies of what is trained, which autocast keeps during a pass.
        activations: What the forward pass keeps for the backward pass, copies of frozen weights included.
        cuda: What CUDA takes for itself; an estimate.
    """

    weights: int
    gradients: int
    optimizer: int
    average: int
    casts: int
    activations: int
    cuda: int = CUDA_BYTES

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))

    def table(self) -> str:
        """One line for each part, in GiB."""
        rows = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return "\n".join(f"{name:12s} {size / GIB:7.2f} GiB" for name, size in [*rows, ("total", self.total)])


def memory_of_fine_tuning(
    config: VideoMAEv2Config,
    clips: int,
    *,
    lora: LoraRecipe | None = None,
    checkpointing: bool = False,
    averaged: bool = False,
) -> MemorySum:
    """Memory of one process that fine-tunes.

    Args:
        config: The model.
        clips: Clips in one forward pass: `batch_size * data.views`.
        lora: Adapters; None: everything is trained.
        checkpointing: Whether activations of blocks are computed anew in the backward pass.
        averaged: Whether weights are averaged (`ema.decay`).
    """
    with torch.device("meta"):
        model = _model(config, lora)
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    return MemorySum(
        weights=4 * sum(size for size, _ in sizes),
        gradients=4 * trained,
        optimizer=8 * trained,
        average=4 * trained * averaged,
        casts=2 * trained,
        activations=activation_bytes(config, clips, lora, checkpointing),
    )


def activation_bytes(
    config: VideoMAEv2Config, clips: int, lora: LoraRecipe | None = None, checkpointing: bool = False
) -> int:
    """Bytes that a forward pass under bf16 autocast keeps for the backward pass.

    With checkpointing, each block keeps its input, and one block at a time all that it needs.
    """
    one, two = (_kept_with_layers(config, layers, clips, lora) for layers in (1, 2))
    block, rest = two - one, 2 * one - two
    layers = config.num_hidden_layers
    tokens = clips * torch.Size(config.grid_size).numel() * config.hidden_size
    return rest + (2 * tokens * layers + block if checkpointing else block * layers)


def _kept_with_layers(config: VideoMAEv2Config, layers: int, clips: int, lora: LoraRecipe | None) -> int:
    """The same for a model of so many blocks, without memory."""
    fields_ = {**config.to_diff_dict(), "num_hidden_layers": layers}
    shape = (clips, config.num_frames, config.num_channels, config.image_size, config.image_size)
    with torch.device("meta"):
        model = _model(VideoMAEv2Config.from_dict(fields_), lora).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = model.to_empty(device="cpu")
        pixel_values, labels = torch.empty(shape), torch.zeros(clips, dtype=torch.long)
        with as_on_a_gpu(), torch.autocast("cpu", torch.bfloat16):
            return kept_bytes(model, lambda: model(pixel_values=pixel_values, labels=labels))


def _model(config: VideoMAEv2Config, lora: LoraRecipe | None) -> Module:
    model = VideoMAEv2ForVideoClassification._from_config(config)
    return model if lora is None else add_lora(model, lora)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the sum for a published size."""
    parser = argparse.ArgumentParser(prog="python -m training.memory", description="Memory of fine-tuning on one GPU.")
    parser.add_argument("--preset", default="giant", help="small, base, large, huge or giant")
    parser.add_argument("--clips", type=int, default=8, help="clips in one forward pass, views counted")
    parser.add_argument("--num-labels", type=int, default=400)
    parser.add_argument("--num-frames", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--peft", choices=["none", "lora"], default="none")
    parser.add_argument("--rank", type=int, default=LoraRecipe().rank, help="rank of the adapters")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--ema", action="store_true", help="averaged weights")
    options = parser.parse_args(arguments)
    try:
        config = VideoMAEv2Config.from_preset(
            options.preset,
            num_labels=options.num_labels,
            num_frames=options.num_frames,
            image_size=options.image_size,
        )
    except ValueError as error:
        parser.error(str(error))
    lora = LoraRecipe(rank=options.rank) if options.peft == "lora" else None
    found = memory_of_fine_tuning(
        config, options.clips, lora=lora, checkpointing=options.checkpointing, averaged=options.ema
    )
    sys.stdout.write(found.table() + "\n")


if __name__ == "__main__":
    main()
