# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Phrases that several messages share."""

from collections.abc import Sequence


def shortened(items: Sequence[object], most: int = 6) -> str:
    """The first `most` items, joined by commas, and how many more there are: `"a, b and 3 more"`."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more
