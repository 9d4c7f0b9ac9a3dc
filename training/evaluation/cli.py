# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The command: arguments to a recipe, a recipe to an evaluation, errors to one line."""

import logging
import os
import sys

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
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "huggingface_hub", "datasets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    escape_foreign_letters()
    try:
        return _evaluate(sys.argv[1:] if argv is None else argv, first)
    except KeyboardInterrupt:
        return _fail(InterruptedError("Stopped by Ctrl-C; the same command goes on from here."), 130, first)


def _evaluate(argv: list[str], first: bool) -> int:
    """As `main`, but for Ctrl-C; `first` of several processes says what all of them find."""
    try:
        recipe = load_recipe(argv, EvaluationRecipe, EVALUATION_NAMES)
    except RecipeError as error:
        return _fail(error, 2, first)

    import torch

    from ..data.faults import DataError  # after the arguments: `--help` and a slip of the pen need not wait for PyTorch
    from .errors import EvaluationError, FailedElsewhereError
    from .run import evaluate

    try:
        evaluate(recipe)
    except RecipeError as error:
        return _fail(error, 2, first)  # the same on all processes
    except FailedElsewhereError as error:
        return _fail(error, 1, first)
    except (DataError, EvaluationError, FloatingPointError, ImportError, OSError) as error:
        return _fail(error, 1, True)
    except torch.OutOfMemoryError as error:
        reason = f"The memory is too small for {recipe.batch_size} clips at once: lower batch_size."
        return _fail(MemoryError(f"{str(error).splitlines()[0]}\n{reason}"), 1, True)
    return 0


def _fail(error: Exception, status: int, speaks: bool) -> int:
    if speaks:
        sys.stderr.write(f"{error}\n")
    return status
