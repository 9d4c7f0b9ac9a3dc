# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Tiny models as `save_pretrained` leaves them, ready to be published."""

import json
from pathlib import Path
from typing import Any

from tiny import LABELS, tiny_model
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor


CLASS_NAMES = [f"action number {i}" for i in range(LABELS)]


def save_model(
    folder: Path,
    model_class: type[PreTrainedModel] = VideoMAEv2ForVideoClassification,
    shards: bool = False,
    seed: int = 0,
) -> Path:
    """Model and video processor, the weights in several files if wanted."""
    names = {"id2label": dict(enumerate(CLASS_NAMES)), "label2id": {name: i for i, name in enumerate(CLASS_NAMES)}}
    model = tiny_model(model_class, seed=seed, **names)
    model.save_pretrained(folder, max_shard_size="50KB" if shards else "1GB")
    processor = VideoMAEv2VideoProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, num_frames=4, sampling_rate=2
    )
    processor.save_pretrained(folder)
    return folder


def change_json(path: Path, **values: Any) -> None:
    """Set values of a JSON file; `None` takes one out."""
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
