# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A share of the work, for one of several processes that know nothing of each other."""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar


T = TypeVar("T")


class Part(NamedTuple):
    """One of several parts.

    Attributes:
        number: 1 to `of`.
        of: How many parts there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """The part that a user names, such as `2/8`.

        Raises:
            ValueError: It is none.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        part = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= part.number <= part.of:
            raise ValueError(
                f"`--part` must be a number and how many there are, 1/8 to 8/8 of eight, got {text!r}: write it as K/N "
                "with 1 <= K <= N, such as 2/8."
            )
        return part

    def take(self, items: Sequence[T]) -> list[T]:
        """Every `of`-th item: neighbours, which are often alike in length, go to different parts."""
        return list(items[self.number - 1 :: self.of])


__all__ = ["Part"]
