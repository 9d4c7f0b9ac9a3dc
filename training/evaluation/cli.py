# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command: arguments to a recipe, a recipe to an evaluation, errors to one line."""

import logging
import sys

from ..cli import fail
from ..console import escape_foreign_letters
from ..other_names import EVALUATION_NAMES
from ..recipe import load_recipe
from ..recipe_parsing import RecipeError
from .recipe import EvaluationRecipe


def main(argv: list[str] | None = None) -> int:
    """Evaluate as the command line says.

    Args:
        argv: Arguments; default: those of the process.

    Returns:
        Exit status: 0, 2 if the recipe cannot be run, 1 if the evaluation ended early, 130 if Ctrl-C did that.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "huggingface_hub", "datasets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    escape_foreign_letters()
    try:
        return _evaluate(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return fail(InterruptedError("Stopped by Ctrl-C; the same command goes on from here."), 130)


def _evaluate(argv: list[str]) -> int:
    """As `main`, but for Ctrl-C."""
    try:
        recipe = load_recipe(argv, EvaluationRecipe, EVALUATION_NAMES)
    except RecipeError as error:
        return fail(error, 2)

    import torch

    from ..data.faults import DataError  # after the arguments: `--help` and a slip of the pen need not wait for PyTorch
    from .errors import EvaluationError, FailedElsewhereError
    from .run import evaluate

    try:
        evaluate(recipe)
    except RecipeError as error:
        return fail(error, 2)  # the same on all processes
    except FailedElsewhereError as error:
        return fail(error, 1)
    except (DataError, EvaluationError, FloatingPointError, ImportError, OSError) as error:
        return fail(error, 1, alone=True)
    except torch.OutOfMemoryError as error:
        reason = f"The memory is too small for {recipe.batch_size} clips at once: lower batch_size."
        return fail(MemoryError(f"{str(error).splitlines()[0]}\n{reason}"), 1, alone=True)
    return 0
