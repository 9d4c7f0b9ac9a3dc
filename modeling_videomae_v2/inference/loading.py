# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as the commands use them: complete, on the right device, in the right precision, with their processor."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from .. import VideoMAEv2ForVideoClassification, VideoMAEv2Model, VideoMAEv2VideoProcessor
from ..loading_videomae_v2 import TAKE_ITS_OWN, advising, load_reporting_missing
from ..modeling_videomae_v2 import VideoMAEv2PreTrainedModel
from ..places import check_place, check_settings, errors_in_words, refuse_missing_path


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# The norm of the pooled feature, which a pre-training checkpoint does not have. New, it only centres and scales.
POOLING_NORM = frozenset({"fc_norm.weight", "fc_norm.bias"})


@dataclass
class Checkpoint:
    """A model in evaluation mode with its processor.

    Attributes:
        model: The model.
        processor: Its video processor.
        name: Folder or Hub name that it was loaded from.
        notes: What a user should know about how it was loaded, in sentences.
    """

    model: VideoMAEv2PreTrainedModel
    processor: VideoMAEv2VideoProcessor
    name: str
    notes: list[str]

    def fingerprint(self) -> str:
        """SHA-256 over names and values of the weights: the same for the same weights, wherever they lie."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()


def load_checkpoint(
    name: str,
    task: str,
    *,
    revision: str | None = None,
    processor: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    processor_settings: dict[str, Any] | None = None,
) -> Checkpoint:
    """Load a model with its processor.

    Args:
        name: Folder or Hub name; any layout that `from_pretrained` of our classes takes.
        task: "classification", which needs a classifier, or "features", for which any checkpoint will do.
        revision: Branch, tag or commit of a model on the Hub.
        processor: Folder or Hub name of the processor, if it does not lie with the model.
        device: "auto" (a GPU if there is one), or what PyTorch calls it: "cpu", "cuda", "cuda:1", "mps".
        dtype: "float32", "bfloat16" or "float16".
        processor_settings: Settings of the processor that the user changes.

    Raises:
        ValueError: An argument is not valid, the checkpoint is damaged, or it holds no classifier where one is needed.
        OSError: There is no such folder or repository, or it is not complete.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`--dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    check_place(name, revision)
    if processor is not None:
        refuse_missing_path(processor)
    place = choose_device(device)
    model_class = VideoMAEv2ForVideoClassification if task == "classification" else VideoMAEv2Model
    version = {} if revision is None else {"revision": revision}
    with _quiet(), errors_in_words(name), advising(TAKE_ITS_OWN):
        model, missing = load_reporting_missing(model_class, name, dtype=DTYPES[dtype], **version)
    notes = _check_complete(name, task, missing)
    settings = {**(processor_settings or {}), **({} if processor else version)}
    return Checkpoint(model.eval().to(place), load_processor(processor or name, settings), str(name), notes)


def load_processor(name: str, settings: dict[str, Any]) -> VideoMAEv2VideoProcessor:
    """Load a video processor and change some of its settings."""
    check_settings(Path(name))
    try:
        with _quiet():
            return VideoMAEv2VideoProcessor.from_pretrained(name, **settings)
    except OSError as error:
        raise OSError(
            f"{name} holds no video processor, so that mean, standard deviation and frame sampling are not known. Save "
            "one there with `VideoMAEv2VideoProcessor(...).save_pretrained(...)`, or name one with --processor. "
            f"({str(error).splitlines()[0]})"
        ) from error
    except ValueError as error:
        raise ValueError(f"The video processor of {name} cannot be used: {error}") from error


def choose_device(device: str) -> torch.device:
    """The device that a user names.

    Raises:
        ValueError: PyTorch does not know it, or this machine does not have it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"`--device` {device!r} cannot be used here ({reason}). Use cpu, or leave it out.") from error
    if place.type == "meta":
        raise ValueError("`--device` 'meta' holds no numbers. Use cpu or cuda.")
    return place


def _check_complete(name: str, task: str, missing: list[str]) -> list[str]:
    """Refuse parts that were not in the checkpoint, but for `POOLING_NORM`; returns what is worth telling."""
    unfit = [key for key in missing if key not in POOLING_NORM]
    if not missing:
        return []
    if task == "classification":
        what = "no classifier" if any(key.startswith("classifier.") for key in missing) else "not all weights"
        raise ValueError(
            f"{name} holds {what} ({', '.join(missing[:4])} {'are' if len(missing) > 1 else 'is'} missing), so "
            "its answers would be random. Fine-tune it first, or use `videomae-v2 features`."
        )
    if unfit:
        raise ValueError(f"{name} does not hold all weights of the encoder: {', '.join(unfit[:4])} missing.")
    return [
        f"{name} has no norm of the pooled feature (a pre-training checkpoint): the feature is the mean over tokens, "
        "centred and scaled to variance 1."
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own warnings and progress bars, which the commands put in their own words."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


__all__ = ["DTYPES", "Checkpoint", "choose_device", "load_checkpoint", "load_processor"]
