# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Why an evaluation ends early, other than by a wrong recipe or too many unreadable videos."""


class EvaluationError(RuntimeError):
    """What was found while evaluating makes it impossible to go on; the message says what to do."""


class FailedElsewhereError(RuntimeError):
    """Another process has failed, and says why."""
