# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos written again such that training decodes them fast: `python -m training.reencode`."""
