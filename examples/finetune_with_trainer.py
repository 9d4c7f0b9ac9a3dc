# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a classifier with `transformers.Trainer` on a folder of videos.

The folder holds `train/CLASS/*.mp4` and `test/CLASS/*.mp4`. To try it out on a CPU, with a small model and films that
are drawn on the spot:

    python -m training.motion data/motion --classes appears,vanishes,approaches,recedes --size 48
    python examples/finetune_with_trainer.py --data data/motion --output_dir runs/trainer

It then tells about half of the test videos, of four classes. With `--model FOLDER_OR_HUB_NAME` it starts from a
checkpoint. All arguments of `TrainingArguments` are there, too.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import EvalPrediction, HfArgumentParser, Trainer, TrainingArguments, pipeline

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor


VIDEOS = "[!.]*.mp4"  # what begins with a dot was left by notebooks and file managers, and is no video and no class
# A model that learns on a CPU: 8 frames of 48 x 48 pixels, cubes of 4 x 8 x 8.
SMALL = {
    "num_frames": 8, "image_size": 48, "tubelet_size": 4, "patch_size": 8,
    "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512,
}  # fmt: skip
CLIPS = {
    "num_frames": 8, "sampling": "uniform", "size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48},
}  # fmt: skip


@dataclass
class Options:
    """What to train, and on what."""

    data: Path = field(metadata={"help": "folder with train/CLASS/*.mp4 and test/CLASS/*.mp4"})
    model: str | None = field(default=None, metadata={"help": "checkpoint to start from; default: a small new model"})
    sampling: Literal["uniform", "dense"] | None = field(
        default=None, metadata={"help": "frames over the whole video, or near each other; default: the model's"}
    )


class VideoFolder(Dataset):
    """Clips of `folder/CLASS/*.mp4`, as the model takes them."""

    def __init__(self, folder: Path, classes: Sequence[str], processor: VideoMAEv2VideoProcessor) -> None:
        self.processor = processor
        self.videos = [(path, i) for i, name in enumerate(classes) for path in sorted((folder / name).glob(VIDEOS))]

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict[str, Any]:
        path, label = self.videos[index]
        clip = self.processor(path, return_tensors="pt")["pixel_values"][0]  # frames, channels, height, width
        return {"pixel_values": clip, "labels": label}


def top1(prediction: EvalPrediction) -> dict[str, float]:
    """Share of right answers."""
    return {"top1": float(np.mean(prediction.predictions.argmax(axis=-1) == prediction.label_ids))}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Train, evaluate, save; returns what was measured."""
    parser = HfArgumentParser((Options, TrainingArguments))
    parser.set_defaults(
        output_dir="runs/trainer", num_train_epochs=12, per_device_train_batch_size=16, learning_rate=5e-4,
        weight_decay=0.05, warmup_steps=20, lr_scheduler_type="cosine", eval_strategy="epoch", logging_steps=10,
        save_strategy="no", report_to="none",
    )  # fmt: skip
    options, training = parser.parse_args_into_dataclasses(arguments)
    for part in ("train", "test"):
        if not any((options.data / part).glob(f"[!.]*/{VIDEOS}")):
            sys.exit(f"--data {options.data} must be a folder with {part}/CLASS/*.mp4, and holds none.")
    classes = sorted({path.parent.name for path in (options.data / "train").glob(f"[!.]*/{VIDEOS}")})

    torch.manual_seed(training.seed)
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    if options.model is None:
        model = VideoMAEv2ForVideoClassification(VideoMAEv2Config(**SMALL, **labels))
        processor = VideoMAEv2VideoProcessor(**CLIPS)
    else:  # a head for other classes is replaced by a new one
        new_head = {"ignore_mismatched_sizes": True, **labels}
        try:
            model = VideoMAEv2ForVideoClassification.from_pretrained(options.model, **new_head)
            processor = VideoMAEv2VideoProcessor.from_pretrained(options.model)
        except (OSError, ValueError) as error:
            sys.exit(f"--model {options.model} must be a folder or a name on the Hub, and cannot be loaded: {error}")
    if options.sampling is not None:
        processor.sampling = options.sampling
    trainer = Trainer(
        model,
        training,
        train_dataset=VideoFolder(options.data / "train", classes, processor),
        eval_dataset=VideoFolder(options.data / "test", classes, processor),
        compute_metrics=top1,
        processing_class=processor,  # is saved with the model
    )
    trainer.train()
    metrics = trainer.evaluate()
    trainer.save_model()
    if trainer.is_world_process_zero():  # the one that has written the files
        film = next((options.data / "test").glob(f"[!.]*/{VIDEOS}"))
        guesses = pipeline("video-classification", model=training.output_dir)(str(film), top_k=min(3, len(classes)))
        print(f"{film}: " + ", ".join(f"{guess['label']} {guess['score']:.2f}" for guess in guesses), metrics, sep="\n")
    return metrics


if __name__ == "__main__":
    main(sys.argv[1:])
