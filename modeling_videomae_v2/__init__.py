# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""VideoMAE V2 for Transformers."""
from .configuration_videomae_v2 import VideoMAEv2Config
from .masking_videomae_v2 import frame_mask, random_mask, running_cell_mask, tube_mask
from .modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
)
