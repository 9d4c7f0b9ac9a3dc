# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the entry scripts share: arguments to a recipe, a recipe to a run, errors to one line."""

import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .recipe import Recipe, RecipeError, RecipeT, launched_processes, load_recipe


if TYPE_CHECKING:
    from .data import ClipLoader
    from .tasks import Task


SECONDS_TO_SPEAK = 3.0  # that the first process has to say what is wrong


def run_stage(
    recipe_class: type[RecipeT], make_task: Callable[[RecipeT], "Task"], argv: list[str] | None = None
) -> int:
    """Run one stage of training from command-line arguments.

    Args:
        recipe_class: What the arguments are read as.
        make_task: Makes what is trained for; a class of `training.tasks`, or what imports it only then.
        argv: Arguments; default: those of the process.

    Returns:
        Exit status: 0, 2 if the recipe cannot be run, 1 if the data, the numbers or the disk ended the training, or 130
        if Ctrl-C did that.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    try:
        return _run(recipe_class, make_task, sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        said = "Stopped by Ctrl-C, which writes nothing; the same command goes on from the newest checkpoint, if any."
        return fail(InterruptedError(said), 130)


def _run(recipe_class: type[RecipeT], make_task: Callable[[RecipeT], "Task"], argv: list[str]) -> int:
    """As `run_stage`, but for Ctrl-C, which is mostly pressed while something is imported."""
    try:
        recipe = load_recipe(argv, recipe_class)
    except RecipeError as error:
        return fail(error, 2)
    except OSError as error:  # the Hub, where `model.init_from` lies, has gone away
        return fail(error, 1, alone=True)

    import torch

    from .data.faults import DataError  # after the arguments: `--help` and a slip of the pen need not wait for PyTorch
    from .launch import check_launch
    from .loop import train

    try:
        check_launch(recipe)
        train(recipe, make_task(recipe), build_loader)
    except RecipeError as error:
        return fail(error, 2)
    except FloatingPointError as error:
        return fail(error, 1)
    except (DataError, OSError) as error:
        return fail(error, 1, alone=True)
    except torch.OutOfMemoryError as error:
        return fail(MemoryError(_too_small(recipe, error)), 1, alone=True)
    return 0


def _too_small(recipe: Recipe, error: Exception) -> str:
    """What to do where a GPU's memory does not hold a step."""
    return (
        f"{str(error).splitlines()[0]}\nThe memory is too small for a pass of {recipe.batch_size} videos x "
        f"{recipe.data.views} views. Lower batch_size (with total_batch_size, more passes make up for it), set "
        "gradient_checkpointing: true, or start from `python -m training.memory`, which sums up what a recipe takes."
    )


def fail(error: Exception, status: int, alone: bool = False) -> int:
    """Say what is wrong, by the first process of a machine unless this one is `alone` with it."""
    if alone or int(os.environ.get("LOCAL_RANK", "0")) == 0:
        sys.stderr.write(f"{error}\n")
    else:
        time.sleep(SECONDS_TO_SPEAK)  # the launcher ends all processes as soon as one of them ends
    return status


def build_loader(*args: Any, **kwargs: Any) -> "ClipLoader":
    """As `training.data.build_loader`, with an error of the recipe where a source cannot be opened.

    Raises:
        RecipeError: A source is not there, or does not hold what the recipe says.
    """
    from . import data

    try:
        return data.build_loader(*args, **kwargs)
    except (OSError, ValueError, ImportError) as error:
        raise RecipeError(f"The data cannot be opened. {error}") from error


def leave(status: int) -> NoReturn:
    """End the process with an exit status.

    One of several processes skips the teardown of the interpreter: threads of the collectives may outlive their process
    group, and one that asks for the interpreter then would abort a process whose work is done and saved.
    """
    gc.collect()  # ends the workers that decode
    if launched_processes() > 1:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
