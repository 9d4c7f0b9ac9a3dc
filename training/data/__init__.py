# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos in, batches of uint8 clips out: `build_loader(recipe.data, batch_size=..., seed=...)`."""

from .clips import ClipDataset, FrameSampler
from .faults import DataError, TooManyBadVideosError
from .loading import ClipLoader, build_loader, collate
from .mixture import Mixture, open_source, open_sources
from .sampler import EpochSampler
from .sources import Source, Video


__all__ = [
    "ClipDataset",
    "ClipLoader",
    "DataError",
    "EpochSampler",
    "FrameSampler",
    "Mixture",
    "Source",
    "TooManyBadVideosError",
    "Video",
    "build_loader",
    "collate",
    "open_source",
    "open_sources",
]
