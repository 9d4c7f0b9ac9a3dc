# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Measurements of cost and speed: run each as `python -m benchmarks.<name>` from a checkout."""

import time


STARTED = time.monotonic()  # before torch is imported, which takes seconds
