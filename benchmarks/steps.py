# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""One training step or one inference call of one model, ready to be repeated on rotating inputs."""

import gc
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import create_selective_checkpoint_contexts

from benchmarks.backends import RecordBackends
from benchmarks.competitors import THEIR_BLOCKS, Competitor, Task
from benchmarks.flops import NUM_LABELS
from benchmarks.recorded import Recording
from benchmarks.settings import Settings, stored_dtype
from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.compiling import REGIONS, compile_model
from training.activation_memory import kept_bytes


SPARE_CLIPS = 3  # the inputs of a round are a window that moves over a few clips more than the batch has
LEARNING_RATE = 1e-4


class Inputs:
    """Random clips and labels on the device; every round gets other ones than the round before.

    Args:
        config: Size of the clips.
        batch_size: Clips of a round.
        device: Where they lie.
        dtype: Of the clips.
        in_place: Give the same tensors in every round, one clip of them drawn anew: what a recorded step reads.
    """

    def __init__(
        self,
        config: VideoMAEv2Config,
        batch_size: int,
        device: torch.device,
        dtype: torch.dtype,
        in_place: bool = False,
    ) -> None:
        shape = (batch_size + SPARE_CLIPS, config.num_frames, config.num_channels, *[config.image_size] * 2)
        self.batch_size, self.in_place = batch_size, in_place
        self.clips = torch.randn(shape, device=device, dtype=dtype)
        self.labels = torch.randint(min(config.num_labels, NUM_LABELS), (len(self.clips),), device=device)

    def __call__(self, round_number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Clips `(B, frames, channels, height, width)` and class ids `(B,)`."""
        first = round_number % (SPARE_CLIPS + 1)
        if self.in_place:
            first = 0
            self.clips[round_number % self.batch_size].normal_()
        window = slice(first, first + self.batch_size)
        return self.clips[window], self.labels[window]


class Step:
    """A competitor with weights, compiled or not, and with its optimizer.

    Args:
        competitor: What to build.
        task: "inference" runs without gradients, all else is a forward and a backward pass and the optimizer.
        dtype: One of `DTYPE_NAMES`.
        compiled: One of `COMPILED`.
        settings: The rest.
    """

    def __init__(self, competitor: Competitor, task: Task, dtype: str, compiled: str, settings: Settings) -> None:
        self.competitor, self.task, self.dtype, self.settings = competitor, task, dtype, settings
        self.training = task != "inference"
        self.compiled, self.stored_dtype = compiled, stored_dtype(dtype)
        with settings.device:
            model = competitor.build()
        self.model = model.to(settings.device, self.stored_dtype).train(self.training)
        if settings.checkpointing != "none" and self.training:
            self._checkpoint()
        self.optimizer = self._make_optimizer()
        self.recording: Recording | None = None
        self._compile()

    def _checkpoint(self) -> None:
        if not hasattr(self.model, "gradient_checkpointing_enable"):
            raise NotImplementedError(f"{self.competitor.name} has no checkpointing")
        options: dict[str, Any] = {"use_reentrant": False}
        if self.settings.checkpointing == "selective":
            options["context_fn"] = partial(create_selective_checkpoint_contexts, kept_operators())
        enable = (
            getattr(self.model, "activation_checkpointing_enable", None) or self.model.gradient_checkpointing_enable
        )
        enable(options)

    def _make_optimizer(self) -> torch.optim.Optimizer | None:
        kind = self.settings.optimizer
        if kind == "none" or not self.training:
            return None
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        return torch.optim.AdamW(parameters, lr=LEARNING_RATE, **{kind: True})

    @property
    def graphs_of_inductor(self) -> bool:
        """Whether Inductor records CUDA graphs of the model."""
        return self.compiled == "model" and self.settings.records_graphs

    def _compile(self) -> None:
        torch._dynamo.reset()
        self.compiled_parts = "all" if self.compiled == "model" else ""
        if self.compiled != "off":
            regions = (*REGIONS, *THEIR_BLOCKS)
            if self.compiled == "blocks":
                found = {type(module).__name__ for module in self.model.modules() if isinstance(module, regions)}
                self.compiled_parts = " ".join(sorted(found))
            compile_model(self.model, self.compiled, regions, dynamic=False, **self.settings.compile_options())

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss `()`, or logits in inference."""
        with self.settings.precision(self.dtype), self.settings.backend():
            return self.competitor.run(self.model, pixel_values, labels if self.task == "finetuning" else None)

    def passes(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """As `forward`; in training the backward pass follows."""
        with nullcontext() if self.training else torch.inference_mode():
            result = self.forward(pixel_values, labels)
        if self.training:
            result.backward()
        return result

    def __call__(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> None:
        if self.graphs_of_inductor:
            torch.compiler.cudagraph_mark_step_begin()
        if self.settings.cuda_graph and self.recording is None:
            self.recording = Recording(self.passes, self.model, pixel_values, labels)
        (self.recording or self.passes)(pixel_values, labels)
        if self.optimizer is not None:
            self.optimizer.step()
        if self.training and self.recording is None:
            self.model.zero_grad(set_to_none=True)

    def release(self) -> None:
        """Give the memory back."""
        self.model = self.optimizer = self.recording = None
        torch._dynamo.reset()
        gc.collect()
        if self.settings.device.type == "cuda":
            torch.cuda.empty_cache()


def kept_operators() -> list[Any]:
    """What selective checkpointing does not compute again: products and attention."""
    aten = torch.ops.aten
    names = ["mm", "addmm", "bmm", "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
             "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"]  # fmt: skip
    return [overload.default for overload in (getattr(aten, name, None) for name in names) if overload]


def kept_for_backward(step: Step, pixel_values: torch.Tensor, labels: torch.Tensor) -> float:
    """MiB of feature maps that a forward pass keeps for the backward pass (parameters and casts of them left out)."""
    return kept_bytes(step.model, lambda: step.forward(pixel_values, labels)) / 2**20


def backends_taken(step: Step, pixel_values: torch.Tensor, labels: torch.Tensor) -> str:
    """Back ends that SDPA takes in a forward pass, not compiled, of the first two clips; nothing where none asks it."""
    with (
        RecordBackends() as recorded,
        torch.compiler.set_stance("force_eager"),
        torch.set_grad_enabled(step.training),
    ):
        step.forward(pixel_values[:2], labels[:2])
    return " ".join(sorted(recorded.names))


def peak_of_call(step: Step, pixel_values: torch.Tensor, labels: torch.Tensor) -> float:
    """MiB that a call takes on a GPU over what lies there between calls; of a recorded one, what its recording took."""
    if step.recording is not None:
        return step.recording.peak_mib
    gc.collect()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step(pixel_values, labels)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20
