# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Memory that a recipe takes on each GPU, summed up before there is one.

    python -m training.memory STAGE [--config_file FILE] [--num_processes N] --config FILE.yaml [--key value ...]

STAGE is pretrain, finetune or distill; the keys are those of `python -m training.STAGE`. Neither data nor output_dir
need be there; where model.init_from is not there either, model.preset counts. Of several GPUs, each takes so much:
--config_file and --num_processes are those of `accelerate launch` (training/accelerate/fsdp2.yaml, 64).
"""

import argparse
import logging
import os
import sys

from .memory_launch import read_launch
from .recipe import Recipe, load_recipe
from .recipe_parsing import RecipeError, split_arguments
from .recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe


STAGES: dict[str, type[Recipe]] = {
    "pretrain": PreTrainingRecipe, "finetune": FineTuningRecipe, "distill": DistillationRecipe,
}  # fmt: skip
UNUSED = ["--output_dir", ".", "--data.sources", "[{path: .}]"]
UNUSED_OF_FINE_TUNING = ["--data_eval", "[]", "--eval", "{}"]


def main(argv: list[str] | None = None) -> int:
    """Print the sum for a recipe.

    Args:
        argv: Arguments; default: those of the process.

    Returns:
        Exit status: 0, 2 if the recipe cannot be run, or 130 after Ctrl-C.
    """
    stage, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if stage in ("--help", "-h"):
        sys.stdout.write(__doc__)
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if stage not in STAGES:
            raise RecipeError(f"The first argument must be one of {', '.join(STAGES)}, got {stage!r}.")
        unused = UNUSED + UNUSED_OF_FINE_TUNING * issubclass(STAGES[stage], FineTuningRecipe)
        if not {"--help", "-h"} & set(arguments):
            split_arguments(arguments)  # by themselves, or a last key without a value would take what follows for it
        launcher = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        launcher.add_argument("--config_file", type=os.path.expanduser)
        launcher.add_argument("--num_processes")
        options, arguments = launcher.parse_known_args(arguments)
        launch = read_launch(options.config_file, options.num_processes)
        recipe = load_recipe([*arguments, *unused], STAGES[stage], num_processes=launch.num_processes)

        from .memory_sum import memory_of  # after the arguments: a slip of the pen need not wait for PyTorch

        found = memory_of(recipe, launch)
    except (RecipeError, OSError) as error:  # the Hub, where `model.init_from` lies, may go away
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Stopped by Ctrl-C.\n")
        return 130
    sys.stdout.write(found.table() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
