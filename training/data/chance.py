# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where all chance of data and masks comes from: a seed, a purpose and numbers, never the state of a process."""

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


def seed_from(*numbers: int) -> int:
    """Seed of 32 bits for a generator of PyTorch: several numbers, spread evenly (the finaliser of splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state & 0xFFFFFFFF
