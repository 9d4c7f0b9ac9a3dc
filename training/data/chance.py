# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where all chance of the data comes from: a seed, a purpose and numbers, never the state of a process."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a random number is for; different purposes are independent."""

    ORDER = 1
    ROUND = 2
    CLIP = 3
    REPLACEMENT = 4
    STREAM = 5
    MIX = 6
    ERASE = 7


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """Generator that depends on its arguments alone; none of them is negative."""
    return np.random.default_rng([seed, int(purpose), *numbers])
