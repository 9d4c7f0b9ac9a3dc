# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Classifiers of checkpoints: as they were trained, or with a head for a run, found by class name or a new one."""

import copy
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.labels_videomae_v2 import ClassFinder, are_names
from modeling_videomae_v2.loading_videomae_v2 import TAKE_ITS_OWN, advising, load_reporting_missing
from modeling_videomae_v2.places import errors_in_words

from .class_names import names_of


logger = logging.getLogger(__name__)

LISTED = 10


def load_classifier(
    model_class: type[PreTrainedModel],
    folder: str,
    config: VideoMAEv2Config,
    renames: Mapping[str, str] | None = None,
    **options: Any,
) -> PreTrainedModel:
    """Load a classifier for the classes of `config` from any checkpoint, in fp32.

    A pre-training checkpoint has no head, so that it starts anew; a head for the same classes is kept; of a head for
    other classes, what belongs to classes of the same name is kept (a Kinetics-710 head becomes one of Kinetics-400).
    A model of fewer blocks takes the first ones of the checkpoint. What happens is logged.

    Args:
        model_class: `VideoMAEv2ForVideoClassification`.
        folder: Folder or Hub repository.
        config: Configuration with the classes that are wanted.
        renames: Other names of the same classes, as `select_classes` takes them.
        **options: Further options of `from_pretrained`.

    Raises:
        OSError, ValueError: The checkpoint cannot be loaded, or its weights do not fit.
    """
    old = VideoMAEv2Config.from_pretrained(folder)
    loading = copy.deepcopy(config)
    loading.id2label, loading.label2id = old.id2label, old.label2id
    with first_blocks(model_class, config.num_hidden_layers, old.num_hidden_layers, folder):
        model, missing = load_reporting_missing(model_class, folder, config=loading, dtype=torch.float32, **options)
    if "classifier.weight" in missing:
        say(f"{folder} has no classification head: it starts anew, for {config.num_labels} classes.")
        rows: list[int | None] = [None] * config.num_labels
    elif names_of(old) == names_of(config):
        say(f"The head of {folder} is kept, with its {config.num_labels} classes.")
        return model
    else:
        rows = match_classes(names_of(old), names_of(config), renames)
        say(describe_match(folder, names_of(old), names_of(config), rows))
    replace_head(model, config, rows)
    return model


def load_trained(path: str, attention: str | None = None) -> tuple[VideoMAEv2ForVideoClassification, list[str]]:
    """A classifier to be used as it was trained, in fp32, and the names of the weights that it lacks: none, or a head.

    Args:
        path: Folder or Hub repository.
        attention: Attention function; None: the default.

    Raises:
        OSError, ValueError: The checkpoint cannot be loaded, its weights do not fit its configuration, or it does not
            tell one class of a clip.
        ImportError: The attention function is not installed.
    """
    options = {"attn_implementation": attention} if attention else {}
    with errors_in_words(path), advising(TAKE_ITS_OWN):
        model, missing = load_reporting_missing(VideoMAEv2ForVideoClassification, path, dtype=torch.float32, **options)
    if not missing:
        refuse_other_problems(model.config)
    return model, missing


def refuse_other_problems(config: VideoMAEv2Config) -> None:
    """Refuse a model that tells several classes at once, or a number (`ValueError`): its outputs are no softmax."""
    if config.num_labels == 1:
        raise ValueError("it has one output (`num_labels` 1), a number; here, models tell one class of several.")
    if config.problem_type not in (None, "single_label_classification"):
        raise ValueError(
            f"its `problem_type` is {config.problem_type!r}; here, models tell one class of several. If its classes "
            "exclude each other, set `problem_type` to 'single_label_classification' in its config.json."
        )


@contextmanager
def first_blocks(model_class: type[PreTrainedModel], wanted: int, there: int, folder: str) -> Iterator[None]:
    """Within it, a model of `wanted` blocks takes the first of the `there` ones of a checkpoint and leaves the rest."""
    if wanted >= there:  # too few are an error: some would be left to chance
        yield
        return
    say(f"The first {wanted} of the {there} blocks of {folder} are taken.")
    known = model_class._keys_to_ignore_on_load_unexpected or []
    left = "|".join(map(str, range(wanted, there)))
    model_class._keys_to_ignore_on_load_unexpected = [*known, rf"^(videomae_v2\.)?layers\.({left})\."]
    try:
        yield
    finally:
        model_class._keys_to_ignore_on_load_unexpected = known


def say(text: str) -> None:
    """Log a line, once for all processes."""
    logger.log(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.DEBUG, text)


def match_classes(
    old: Sequence[str], new: Sequence[str], renames: Mapping[str, str] | None = None
) -> list[int | None]:  # fmt: skip
    """For each name of `new` its place in `old`, None where it is not there.

    Placeholders such as `LABEL_3` match nothing: they say nothing about what the class is.
    """
    if not (are_names(old) and are_names(new)):
        return [None] * len(new)
    try:
        finder = ClassFinder(old, renames or {})
    except ValueError:  # two of the old ones are called the same
        return [None] * len(new)
    return [_find(finder, name) for name in new]


def _find(finder: ClassFinder, name: str) -> int | None:
    try:
        return finder.find(name)
    except ValueError:  # it is not clear which
        return None


def describe_match(folder: str, old: Sequence[str], new: Sequence[str], rows: Sequence[int | None]) -> str:
    """What becomes of the head of a checkpoint, in words."""
    fresh = [name for name, row in zip(new, rows) if row is None]
    if not fresh:
        return f"The head of {folder} for {len(old)} classes becomes one for {len(new)} of them, by name."
    if len(fresh) < len(new):
        listed = ", ".join(map(repr, fresh[:LISTED])) + (f" and {len(fresh) - LISTED} more" if fresh[LISTED:] else "")
        return (
            f"Of the head of {folder} for {len(old)} classes, {len(new) - len(fresh)} of {len(new)} wanted ones are "
            f"kept by name. {len(fresh)} start anew: {listed}."
        )
    if are_names(old) and are_names(new):
        reason = f"none of the {len(new)} classes is among its {len(old)}"
    else:
        whose = "the recipe names" if are_names(old) else "it names"
        reason = f"{whose} no classes, so that those of the two cannot be compared (labels, labels_file)"
    return f"The head of {folder} is not used, for {reason}: a new one starts, for {len(new)} classes."


@torch.no_grad()
def replace_head(model: PreTrainedModel, config: VideoMAEv2Config, rows: Sequence[int | None]) -> None:
    """Give a classifier a head for other classes, in place.

    Args:
        model: `VideoMAEv2ForVideoClassification`.
        config: Names the classes.
        rows: For each of them, which output of the old head it takes over; None: it starts anew, as all heads do
            (truncated normal, scaled by 0.001).
    """
    old = model.classifier
    model.config.id2label = dict(config.id2label)
    model.config.label2id = {name: number for number, name in config.id2label.items()}
    model.num_labels = config.num_labels
    model.classifier = nn.Linear(old.in_features, config.num_labels, device=old.weight.device, dtype=old.weight.dtype)
    model._init_weights(model.classifier)
    kept = [(row, place) for place, row in enumerate(rows) if row is not None]
    if kept:
        sources, places = (list(part) for part in zip(*kept))
        model.classifier.weight[places] = old.weight[sources]
        model.classifier.bias[places] = old.bias[sources]
