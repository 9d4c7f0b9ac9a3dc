# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.motion FOLDER [--seed 0 ...]`: write the synthetic motion dataset."""

import argparse
import logging
import os
from collections.abc import Sequence

from tqdm import tqdm

from ..disk import local_path
from ..interrupts import end_on_sigterm
from .dataset import MotionOptions, number_options, write_motion_dataset
from .scenes import CLASSES


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and write the dataset. A wrong value ends the program with a message."""
    parser = argparse.ArgumentParser(
        prog="python -m training.motion",
        description="Write a dataset of mp4 files whose classes only motion tells apart, or complete one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", type=local_path, help="where to write; new, empty, or begun with the same options")
    for option in number_options():
        flag = f"--{option.name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=option.default, help=option.metadata["help"])
    parser.add_argument("--classes", type=lambda names: tuple(names.split(",")), default=CLASSES,
                        help="some of the classes, separated by commas")  # fmt: skip
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 8), help="processes")
    values = vars(parser.parse_args(arguments))
    folder, workers = values.pop("folder"), values.pop("workers")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with tqdm(unit="clip", delay=1) as bar:  # none where nothing is to be written

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            write_motion_dataset(folder, MotionOptions(**values), workers, show)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "Stopped by Ctrl-C; the same command goes on from here.\n")
    logging.getLogger(__name__).info("%s is complete.", folder)


if __name__ == "__main__":
    end_on_sigterm()
    main()
