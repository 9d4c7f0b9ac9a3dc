# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Cards of the authors' checkpoints, made from one table of facts (`facts.yaml`)."""
