# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind in its process."""

from accelerate.state import AcceleratorState, GradientState


def forget_processes() -> None:
    """Make accelerate forget the run before, so that another one can begin."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
