# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which output of the model stands for which class of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.labels_videomae_v2 import are_names, select_classes

from ..class_names import names_of, read_names, read_other_names
from ..data.relabel import misplaced_number
from ..recipe_parsing import RecipeError
from .recipe import EvaluationRecipe


WAYS_OUT = "Name the classes (data.classes, model_classes, renames), or set `match` to id to compare their numbers."


@dataclass(frozen=True)
class ClassMap:
    """Classes of the results, and how outputs and labels become them.

    Attributes:
        names: Names of the classes.
        columns: Outputs of the model that are kept, one for each class; None: all.
        targets: Class of each label of the data; None: they are the same.
        num_labels: Labels that the data may have.
        how: How they were matched, in words.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...] | None
    targets: tuple[int, ...] | None
    num_labels: int
    how: str

    def target(self, label: int | None) -> int:
        """Class of a label of the data.

        Raises:
            ValueError: It is no class id.
        """
        if label is None or not 0 <= label < self.num_labels:
            raise ValueError(f"the label {label} is none of the {self.num_labels} class ids, which count from 0")
        return label if self.targets is None else self.targets[label]


def names_of_model(config: VideoMAEv2Config) -> tuple[str, ...] | None:
    """Names of a model's outputs, None where the configuration only numbers them."""
    names = names_of(config)
    return tuple(names) if are_names(names) else None


def match_classes(
    recipe: EvaluationRecipe, config: VideoMAEv2Config, data_names: Sequence[str] | None, num_data: int
) -> ClassMap:
    """Match the classes of the data with those of a model, as the recipe says.

    Args:
        recipe: Its `match`, `restrict` and files of names.
        config: Configuration of the model.
        data_names: Names that the data has for its classes, if any.
        num_data: Largest label + 1.

    Raises:
        RecipeError: They cannot be matched; the message says what to do.
    """
    outputs = config.num_labels
    known = read_names(recipe.model_classes, "model_classes") or names_of_model(config)
    given = tuple(data_names) if data_names else None
    if known is not None and len(known) != outputs:
        raise RecipeError(f"{recipe.model_classes} names {len(known)} classes, the model has {outputs} outputs.")
    if given is not None and num_data > len(given):
        raise RecipeError(f"The data has the label {num_data - 1}, but only {len(given)} names of classes.")
    if recipe.match == "name" and (known is None or given is None):
        side, key = ("model", "model_classes") if known is None else ("data", "data.classes")
        raise RecipeError(f"match: name needs names, and the {side} has none; set {key} to a file of names.")
    if recipe.match == "auto":
        problem = None
        if given is None and recipe.model_classes is None:  # whoever lists names knows what they mean
            problem = misplaced_number(known or (), "The model", "the data")
        elif known is None and recipe.data.classes is None:
            problem = misplaced_number(given or (), "The data", "the model")
        if problem:
            raise RecipeError(f"{problem} {WAYS_OUT}")
    if recipe.match == "id" or known is None or given is None:
        return _match_ids(recipe.match, outputs, num_data, known, given)
    return _match_names(known, given, read_other_names(recipe.renames, "renames"), recipe.restrict)


def _match_ids(
    match: str, outputs: int, num_data: int, known: tuple[str, ...] | None, given: tuple[str, ...] | None
) -> ClassMap:
    count = len(given) if given else num_data
    if num_data > outputs:
        raise RecipeError(
            f"The data has the label {num_data - 1}, the model has only {outputs} classes (0 to {outputs - 1}). It was "
            f"trained for other classes, or the labels count from 1. {WAYS_OUT}"
        )
    if match == "auto" and given and count != outputs:
        raise RecipeError(
            f"The data names {count} classes, the model numbers {outputs} without names, so their numbers may mean "
            f"different things. {WAYS_OUT}"
        )
    fits = given is not None and count == outputs
    names = given if fits else known or tuple(f"class {i}" for i in range(outputs))
    return ClassMap(names, None, None, outputs, f"by number: {outputs} classes")


def _match_names(
    known: tuple[str, ...], given: tuple[str, ...], renames: Mapping[str, str], restrict: bool
) -> ClassMap:
    try:
        indices = tuple(select_classes(known, given, renames))
    except ValueError as error:
        raise RecipeError(f"The classes of the data are not those of the model: {error} {WAYS_OUT}") from error
    if indices == tuple(range(len(known))):
        return ClassMap(given, None, None, len(given), f"by name: the same {len(given)} classes")
    if len(given) == len(known):
        return ClassMap(given, indices, None, len(given), f"by name: the same {len(given)} classes in another order")
    how = f"by name: {len(given)} of the model's {len(known)} classes"
    if restrict:
        return ClassMap(given, indices, None, len(given), f"{how}, the others left out")
    return ClassMap(known, None, indices, len(given), f"{how}, all of them competing")
