# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune on a data set of `datasets` with a video column, in a training loop of `accelerate`.

Any data set with a column of type `Video` and one of type `ClassLabel` will do: one of the Hub, Parquet files, or a
folder `train/CLASS/*.mp4`, `test/CLASS/*.mp4` as here. To try it out on a CPU (`accelerate launch`: on GPUs):

    python -m training.motion data/motion --classes appears,vanishes,approaches,recedes --size 48
    python examples/finetune_datasets.py --data data/motion --output runs/datasets
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import ClassLabel, Video, load_dataset
from torch.utils.data import DataLoader, default_collate
from transformers import get_cosine_schedule_with_warmup

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor


# A model that learns on a CPU: 8 frames of 48 x 48 pixels, cubes of 4 x 8 x 8.
SMALL = {
    "num_frames": 8, "image_size": 48, "tubelet_size": 4, "patch_size": 8,
    "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512,
}  # fmt: skip
CLIPS = {
    "num_frames": 8, "sampling": "uniform", "size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48},
}  # fmt: skip


def to_clips(processor: VideoMAEv2VideoProcessor, video: str, label: str, rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Rows as the model takes them; not within `main`, for workers that are not forked have to find it."""
    films = [row["bytes"] or row["path"] for row in rows[video]]  # decoded are the frames needed
    return {"pixel_values": list(processor(films, return_tensors="pt")["pixel_values"]), "labels": rows[label]}


def evaluate(accelerator: Accelerator, model: torch.nn.Module, loader: DataLoader) -> float:
    """Share of right answers, each video counted once."""
    model.eval()
    right = []
    for batch in loader:
        with torch.inference_mode():
            answers = model(pixel_values=batch["pixel_values"]).logits.argmax(dim=-1)
        right.append(accelerator.gather_for_metrics(answers == batch["labels"]))
    return torch.cat(right).float().mean().item()


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, evaluate, save; returns the top-1 accuracy."""
    parser = argparse.ArgumentParser(description="Fine-tune on a data set with a video column.")
    parser.add_argument("--data", required=True, help="folder, or name of a data set on the Hub")
    parser.add_argument("--model", help="checkpoint to start from; default: a small new model")
    parser.add_argument("--output", default="runs/datasets", help="where the model is saved")
    parser.add_argument("--video_column", default="video")
    parser.add_argument("--label_column", default="label")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch_size", type=int, default=16, help="videos per process")
    parser.add_argument("--learning_rate", type=float, default=5e-4)
    parser.add_argument("--workers", type=int, default=0, help="processes that decode")
    parser.add_argument("--seed", type=int, default=0)
    options, accelerator = parser.parse_args(arguments), Accelerator()
    set_seed(options.seed)
    try:
        videos = load_dataset(options.data)
    except (OSError, ValueError) as error:
        sys.exit(f"--data {options.data} must be a folder or a name on the Hub, and cannot be loaded: {error}")
    if not {"train", "test"} <= set(videos):
        sys.exit(f"--data {options.data} must have the splits train and test, and has {', '.join(videos)}.")
    columns = videos["train"].features
    if options.video_column not in columns or not isinstance(columns.get(options.label_column), ClassLabel):
        sys.exit(f"--video_column, and --label_column (a ClassLabel), must name columns of the data set: {columns}")
    classes = columns[options.label_column].names
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
    transform = partial(to_clips, processor, options.video_column, options.label_column)
    videos = videos.cast_column(options.video_column, Video(decode=False)).with_transform(transform)
    loading = {"batch_size": options.batch_size, "num_workers": options.workers, "collate_fn": default_collate}
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.05)
    model, optimizer, train_loader, test_loader = accelerator.prepare(
        model, optimizer, DataLoader(videos["train"], shuffle=True, **loading), DataLoader(videos["test"], **loading)
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, 20, options.epochs * len(train_loader))
    for epoch in range(options.epochs):
        model.train()
        for batch in train_loader:
            loss = model(**batch).loss
            accelerator.backward(loss)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        accuracy = evaluate(accelerator, model, test_loader)
        accelerator.print(f"epoch {epoch + 1}: loss {loss.item():.3f}, top-1 {accuracy:.3f}")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        accelerator.unwrap_model(model).save_pretrained(options.output)
        processor.save_pretrained(options.output)
    return accuracy


if __name__ == "__main__":
    main()
