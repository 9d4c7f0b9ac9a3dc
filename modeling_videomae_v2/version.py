# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The version, by itself: the command line tells it without importing the library."""

__version__ = "0.1.0"  # as in pyproject.toml
