# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands of `videomae-v2`, one file each; `cli.py` puts them together."""
