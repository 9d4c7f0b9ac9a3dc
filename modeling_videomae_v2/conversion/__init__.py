# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files and folders of any origin to folders of this package, and back. Nothing of it travels to the Hub."""
