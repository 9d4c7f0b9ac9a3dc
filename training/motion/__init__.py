# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A small labelled dataset of real video files whose classes only motion tells apart.

From the shell: `python -m training.motion FOLDER --train-clips-per-class 100 --test-clips-per-class 20 --seed 0`.
"""

from .dataset import Clip, MotionOptions, encode_mp4, list_clips, render_clip, write_motion_dataset
from .scenes import CLASSES


__all__ = ["CLASSES", "Clip", "MotionOptions", "encode_mp4", "list_clips", "render_clip", "write_motion_dataset"]
