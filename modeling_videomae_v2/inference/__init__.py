# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Many and long videos through a model: what `videomae-v2 predict` and `features` share. Nothing of it travels."""
