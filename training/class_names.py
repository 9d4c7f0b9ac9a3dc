# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Names and number of the classes of a run: said by the recipe, or known to the data."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.labels_videomae_v2 import read_labels, read_renames

from .data import Mixture, open_sources
from .data.relabel import NAME_IN_ORDER, misplaced_number
from .recipe_parsing import RecipeError


if TYPE_CHECKING:
    from .recipe_stages import FineTuningRecipe

Content = TypeVar("Content")
NAMING = ("folder", "datasets")  # kinds of sources that may name their classes


def find_class_names(recipe: "FineTuningRecipe", default: list[str] | None = None) -> list[str] | None:
    """Names of the classes: of `labels`, else of `labels_file`, else of the data (folders, `ClassLabel` columns).

    Args:
        recipe: The run.
        default: Names where neither names nor their number are known.

    Returns:
        The names in the order of the labels; None where nobody knows any, and `num_labels` is all there is.

    Raises:
        RecipeError: The names cannot be read, are another number than `num_labels`, or neither is known.
    """
    names, origin = recipe.labels, "labels"
    if names is None and recipe.labels_file is not None:
        names, origin = list(read_names(recipe.labels_file, "labels_file")), f"labels_file ({recipe.labels_file})"
    if names is None and (recipe.num_labels is None or any(source.kind in NAMING for source in recipe.data.sources)):
        mixture = open_data(recipe)
        names, origin = (list(mixture.classes), "the data") if mixture.classes else (None, "")
        if names is None and recipe.num_labels is None:
            if default is None:
                raise RecipeError(_unknown(mixture))
            return default
    if names is not None and recipe.num_labels not in (None, len(names)):
        raise RecipeError(
            f"{origin} names {len(names)} classes, num_labels says {recipe.num_labels}: correct one of them, or leave "
            "num_labels out (`--num_labels null`, where a recipe file says it)."
        )
    if names is not None and len(names) < 2:
        raise RecipeError(f"{origin} names {len(names)} class; there must be at least 2.")
    return names


def read_names(path: str | None, key: str) -> tuple[str, ...] | None:
    """Names of the classes in a file; None without a file.

    Args:
        path: The file, see `read_labels`.
        key: What the recipe calls it.

    Raises:
        RecipeError: It cannot be read.
    """
    return None if path is None else tuple(_read(read_labels, path, key))


def read_other_names(path: str | None, key: str) -> dict[str, str]:
    """Other names of classes in a file; empty without a file.

    Args:
        path: The file, see `read_renames`.
        key: What the recipe calls it.

    Raises:
        RecipeError: It cannot be read.
    """
    return {} if path is None else _read(read_renames, path, key)


def open_data(recipe: "FineTuningRecipe") -> Mixture:
    """The labelled sources of a recipe, to look at.

    Raises:
        RecipeError: They cannot be opened.
    """
    try:
        return open_sources(recipe.data, labelled=True, seed=recipe.seed, shuffle=False)
    except (OSError, ValueError, ImportError) as error:
        raise RecipeError(f"The data cannot be opened. {error}") from error


def check_labels(mixture: Mixture, num_labels: int) -> None:
    """Refuse data whose labels are no classes of the model; sources that do not know their labels are taken on trust.

    Raises:
        RecipeError: The largest label is too large.
    """
    for source in mixture.sources:
        count = source.num_classes()
        if count is not None and count > num_labels:
            raise RecipeError(
                f"The labels of {source.name} go up to {count - 1}, but there are {num_labels} classes, 0 to "
                f"{num_labels - 1}: correct the labels, or num_labels, labels or labels_file."
            )


def check_numbers(names: Sequence[str], whose: str, others: str) -> None:
    """Refuse classes that data has called by numbers, where others have labels that would mean others of them.

    Args:
        names: Names of the classes, by label.
        whose: Who names them, for the message.
        others: Who does not, likewise.

    Raises:
        RecipeError: They are.
    """
    if problem := misplaced_number(names, whose, others):
        raise RecipeError(f"{problem} {NAME_IN_ORDER}")


def compared_by_number(names: Sequence[str], num_labels: int) -> str:
    """What to say of validation videos whose classes have names, which those of the run have not.

    Raises:
        RecipeError: They are another number, or called by numbers, so that the same number means another class.
    """
    way_out = "name the classes of the run in labels or labels_file, and they are found by name."
    check_numbers(names, "data_eval", "the run")
    if len(names) != num_labels:
        raise RecipeError(
            f"data_eval names {len(names)} classes, the run numbers {num_labels} without names, so their numbers may "
            f"mean different things: {way_out}"
        )
    return (
        f"data_eval names its classes and the run only numbers them: 0 is taken for {names[0]!r}, {num_labels - 1} for "
        f"{names[-1]!r}. If that is wrong, {way_out}"
    )


def names_of(config: VideoMAEv2Config) -> list[str]:
    """Names of the classes of a model, in the order of its outputs."""
    return [str(config.id2label[i]) for i in range(config.num_labels)]


def _read(reader: Callable[[str], Content], path: str, key: str) -> Content:
    try:
        return reader(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{key}: {error}") from error


def _unknown(mixture: Mixture) -> str:
    count = mixture.num_classes()
    hint = "" if count is None else f" The largest label in the data is {count - 1}, so there are {count} or more."
    return (
        "The classes are not known: the data give them numbers and no names. Set labels_file (a file with one name a "
        f"line) or num_labels.{hint}"
    )
