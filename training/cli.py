# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the entry scripts share: arguments to a recipe, a recipe to a run, errors to one line."""

import gc
import logging
import os
import sys
from typing import NoReturn

from .recipe import Recipe, RecipeError, load_recipe
from .tasks import Task


def run_stage(recipe_class: type[Recipe], task_class: type[Task], argv: list[str] | None = None) -> int:
    """Run one stage of training from command-line arguments.

    Args:
        recipe_class: What the arguments are read as.
        task_class: What is trained for.
        argv: Arguments; default: those of the process.

    Returns:
        Exit status: 0, or 2 if the recipe cannot be run.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    try:
        recipe = load_recipe(sys.argv[1:] if argv is None else argv, recipe_class)
        from .launch import check_launch  # after the arguments: `--help` need not wait for it

        check_launch(recipe)
    except RecipeError as error:
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            sys.stderr.write(f"{error}\n")
        return 2

    from .data import build_loader
    from .loop import train

    train(recipe, task_class(recipe), build_loader)
    return 0


def leave(status: int) -> NoReturn:
    """End the process with an exit status.

    One of several processes skips the teardown of the interpreter: threads of the collectives may outlive their process
    group, and one that asks for the interpreter then would abort a process whose work is done and saved.
    """
    gc.collect()  # ends the workers that decode
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
