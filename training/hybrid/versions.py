# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The versions of Kinetics and their splits, and how their video files are named."""

VERSIONS = (400, 600, 700)
PREFERENCE = (700, 600, 400)
TRAINING, VALIDATION = 0, 1
SPLITS = ("training", "validation")
FILE_NAME = "{id}_{start:06}_{end:06}.mp4"
