# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The whole method of the paper on small videos, in minutes on two CPU cores: `python -m training.demo`."""
