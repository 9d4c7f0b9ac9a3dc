# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Training of VideoMAE V2, run from a checkout: `accelerate launch -m training.pretrain --config FILE.yaml`."""
