# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What `from_pretrained` must not pass over: weights that do not fit the model."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from torch import nn
from transformers import PreTrainedModel


ModelType = TypeVar("ModelType", bound=PreTrainedModel)

# Parts that a checkpoint of another kind may lack or have on its own, each as a whole.
PARTS = {
    "classifier": ("classifier.",),
    "decoder": ("decoder.", "encoder_to_decoder."),
    "norm of the pooled feature": ("fc_norm.",),
    "norm of the tokens": ("layernorm.",),
}
ENCODER = ("embeddings.", "layers.")  # what no checkpoint may lack


ADVICE = (
    "Correct the configuration (width, depth, patch size, layer scale, number of classes). For a head of another "
    "shape, as for other classes, pass `ignore_mismatched_sizes=True`; `output_loading_info=True` returns the lists of "
    "what is missing or left over, instead of raising."
)
# transformers does not rename weights that were saved quantised
QUANTISED = (
    "They were saved quantised, by another model: load the checkpoint that they were made from, and pass "
    "`quantization_config`."
)
ADVICE_ON_ADAPTERS = (
    "The adapter was trained on another model than its adapter_config.json names (`base_model_name_or_path`), or with "
    "a head for other classes: pass as many (`num_labels`), or load the model that it was merged into."
)
LEFT_OUT = (
    "They are in the adapter, and this version of transformers leaves them out (5.17 whole layers, `modules_to_save`; "
    "others what DoRA adds). Load the model, and then the adapter with `PeftModel.from_pretrained`."
)
# to those who only use a checkpoint
TAKE_ITS_OWN = (
    "Take the config.json that was saved with the weights, with nothing in it changed; if it is that one, the weights "
    "are not whole: copy or save them again."
)


class UnfitWeightsError(ValueError, RuntimeError):
    """Weights and model do not fit. A `RuntimeError` too, as torch and transformers raise it.

    Args:
        problem: What does not fit, and of what.
        advice: The way out, unless `problem` says it.
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(f"{problem}\n{advice}" if advice else problem)
        self.problem, self.advice = problem, advice


@contextlib.contextmanager
def advising(advice: str) -> Iterator[None]:
    """Within it, the way out of weights that do not fit is not an argument of Python but, say, a field of a recipe."""
    try:
        yield
    except UnfitWeightsError as error:
        raise UnfitWeightsError(error.problem, advice if error.advice else "") from error


def part_of(key: str, prefix: str) -> str | None:
    """The part of a model, of those in `PARTS`, that a parameter belongs to; None for the encoder's.

    What a subclass adds is a part under its own name.
    """
    bare = key.removeprefix(f"{prefix}.")
    own = None if bare.startswith(ENCODER) else bare.partition(".")[0]
    return next((part for part, starts in PARTS.items() if bare.startswith(starts)), own)


def refuse_unfit_weights(model: nn.Module, info: Mapping[str, Any], source: str, allow_mismatch: bool) -> None:
    """Raise if loading left a weight to chance, or threw one away, other than a whole head or decoder.

    A whole classifier, decoder or final norm may be missing (a pre-training checkpoint in a classifier: transformers
    reports it as new), or be left over where the model has no such part. What a subclass adds may be missing, too.
    Anything else is a checkpoint of another architecture. A model that was loaded with an adapter is left alone, since
    transformers then tells of the adapter's weights only. (Where the adapter has a folder of its own, the model was
    checked before it got it. Where the adapter lies in the model's folder, only the adapter is checked.)

    Args:
        model: A model of this package, loaded.
        info: What `from_pretrained(..., output_loading_info=True)` gives.
        source: Name of the checkpoint, for the message.
        allow_mismatch: Whether the caller asked for weights of another shape to be drawn anew; so is then a head, or
            another part, of which the checkpoint has one with other names (a subclass with an MLP for a head).

    Raises:
        UnfitWeightsError: With the list of the weights.
    """
    if is_of_adapter(model):
        return
    mismatched = {entry[0]: entry for entry in info.get("mismatched_keys", ())}
    problems = [] if allow_mismatch else _other_shapes(mismatched.values())
    prefix = model.base_model_prefix
    owned = _by_part(model.state_dict(), prefix)
    missing = _by_part((key for key in info.get("missing_keys", ()) if key not in mismatched), prefix)
    unexpected = _by_part(info.get("unexpected_keys", ()), prefix)
    new = {part for part, keys in missing.items() if part is not None and set(keys) == set(owned[part])}
    for part, keys in missing.items():
        if part not in new:
            problems += [f"{key}: not in the checkpoint" for key in sorted(keys)]
    for part, keys in unexpected.items():
        if part not in PARTS or (part in owned and not (allow_mismatch and part in new)):
            problems += [f"{key}: not in the model" for key in sorted(keys)]
    if problems:
        quantised = getattr(getattr(model, "hf_quantizer", None), "pre_quantized", False)
        other_names = any(part is not None and part not in PARTS for part in unexpected)
        problem = unfit_message(source, type(model).__name__, problems)
        raise UnfitWeightsError(problem, QUANTISED if quantised and other_names else ADVICE)


def load_reporting_missing(model_class: type[ModelType], source: str, **options: Any) -> tuple[ModelType, list[str]]:
    """Load a model of this package, and tell which weights its checkpoint lacks.

    Args:
        model_class: The class.
        source: Folder or Hub name.
        **options: Further options of `from_pretrained`.

    Returns:
        The model, and the sorted names of the weights that were not in the checkpoint: none, or those of whole parts,
        as `refuse_unfit_weights` lets pass.

    Raises:
        UnfitWeightsError: Other weights are missing, left over or of another shape.
        OSError, ValueError: The checkpoint cannot be loaded.
    """
    model, info = model_class.from_pretrained(source, output_loading_info=True, **options)
    refuse_unfit_weights(model, info, source, allow_mismatch=False)
    return model, sorted(info["missing_keys"])


def refuse_unfit_adapter(model: nn.Module, info: Mapping[str, Any], source: str, allow_mismatch: bool) -> None:
    """Raise if weights of an adapter are missing, left over, or of another shape than in the model.

    A head of the adapter may be left over where the model has none.

    Args:
        model: A model of this package with the adapter.
        info: What loading the adapter gives: lists of its own weights alone.
        source: Name of the adapter, for the message.
        allow_mismatch: Whether the caller asked for weights of another shape to be drawn anew.

    Raises:
        UnfitWeightsError: With the list of the weights.
    """
    mismatched = {entry[0]: entry for entry in info.get("mismatched_keys", ())}
    problems = [] if allow_mismatch else _other_shapes(mismatched.values())
    missing = set(info.get("missing_keys", ())) - mismatched.keys()
    left_over = set(info.get("unexpected_keys", ()))
    problems += [f"{key}: not in the adapter" for key in sorted(missing)]
    parts = {part_of(key, model.base_model_prefix) for key in model.state_dict()}
    for key in sorted(left_over):
        part = part_of(key, model.base_model_prefix)
        if part not in PARTS or part in parts:
            problems.append(f"{key}: not in the model")
    if problems:
        # under the names that they have in the file
        bare = {key: re.sub(r"\.modules_to_save\.[^.]+\.", ".", key) for key in missing}
        left_out = any({bare[key], bare[key].rpartition(".")[0]} & left_over for key in missing)
        advice = LEFT_OUT if left_out else ADVICE_ON_ADAPTERS
        raise UnfitWeightsError(f"{unfit_message(source, type(model).__name__, problems)}\n{advice}")


def _other_shapes(mismatched: Iterable[tuple[str, Any, Any]]) -> list[str]:
    """Lines about weights of another shape."""
    return [
        f"{key}: {tuple(there)} in the checkpoint, {tuple(here)} in the model"
        for key, there, here in sorted(mismatched)
    ]


def unfit_message(source: str, model_name: str, problems: list[str], most: int = 12) -> str:
    """The list of what does not fit."""
    shown = "\n  ".join(problems[:most])
    more = f"\n  and {len(problems) - most} more" if len(problems) > most else ""
    return f"The weights of {source} do not fit {model_name} as it is configured:\n  {shown}{more}"


def refuse_other_heads(model: nn.Module, info: Mapping[str, Any], trained: Any, source: str) -> None:
    """Raise if a model splits the width of a checkpoint into other heads than were trained; the weights do not show it.

    Args:
        model: A model of this package, loaded.
        info: What `from_pretrained(..., output_loading_info=True)` gives.
        trained: The checkpoint's own configuration; None where there is no other than the model's.
        source: Name of the checkpoint, for the message.

    Raises:
        UnfitWeightsError: The numbers of heads differ.
    """
    if trained is None or is_of_adapter(model):
        return
    new = set(info.get("missing_keys", ()))
    has_decoder = "encoder_to_decoder.weight" in model.state_dict().keys() - new  # and not one of its own
    for name in ("num_attention_heads", *(["decoder_num_attention_heads"] if has_decoder else [])):
        here, there = getattr(model.config, name), getattr(trained, name)
        if here != there:
            raise UnfitWeightsError(
                f"`{name}` is {here}, but the weights of {source} were trained with {there}: they load, and compute "
                f"something else. Leave `{name}` as it is in the checkpoint."
            )


def is_of_adapter(model: nn.Module) -> bool:
    """Whether the model was loaded with an adapter; the loading report then lists only the adapter's keys."""
    return getattr(model, "_hf_peft_config_loaded", False)


def _by_part(keys: Iterable[str], prefix: str) -> dict[str | None, list[str]]:
    parts: dict[str | None, list[str]] = {}
    for key in keys:
        parts.setdefault(part_of(key, prefix), []).append(key)
    return parts
