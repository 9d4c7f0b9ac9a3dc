# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From a folder of a model to a complete repository on the Hub. Nothing of it travels there."""
