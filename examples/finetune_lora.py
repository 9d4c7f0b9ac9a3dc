# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune low-rank adapters (LoRA, by PEFT) of a frozen model on a folder of videos: ViT-g fits a GPU of 24 GB.

The folder holds `train/CLASS/*.mp4` and `test/CLASS/*.mp4`. To try it out on a CPU, with the model that
`finetune_with_trainer.py` has left:

    python -m training.motion data/motion --classes appears,vanishes,approaches,recedes --size 48
    python examples/finetune_lora.py --data data/motion --model runs/trainer --output_dir runs/lora
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import EvalPrediction, HfArgumentParser, Trainer, TrainingArguments

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor


VIDEOS = "[!.]*.mp4"  # what begins with a dot was left by notebooks and file managers, and is no video and no class


@dataclass
class Options:
    """What to train, and on what."""

    data: Path = field(metadata={"help": "folder with train/CLASS/*.mp4 and test/CLASS/*.mp4"})
    model: str = field(metadata={"help": "checkpoint to start from: folder or name on the Hub"})
    rank: int = field(default=16, metadata={"help": "rank of the adapters"})
    sampling: Literal["uniform", "dense"] | None = field(
        default=None,
        metadata={"help": "frames over the whole video, or near each other; default: the model's"},
    )


class VideoFolder(Dataset):
    """Clips of `folder/CLASS/*.mp4`, as the model takes them."""

    def __init__(self, folder: Path, classes: Sequence[str], processor: VideoMAEv2VideoProcessor) -> None:
        self.processor = processor
        self.videos = [(path, i) for i, name in enumerate(classes) for path in sorted((folder / name).glob(VIDEOS))]

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict:
        path, label = self.videos[index]
        return {"pixel_values": self.processor(path, return_tensors="pt")["pixel_values"][0], "labels": label}


def top1(prediction: EvalPrediction) -> dict[str, float]:
    """Share of right answers."""
    return {"top1": float(np.mean(prediction.predictions.argmax(axis=-1) == prediction.label_ids))}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Train, evaluate, save the adapters and the merged model; returns what was measured."""
    parser = HfArgumentParser((Options, TrainingArguments))
    new_name = hasattr(TrainingArguments, "activation_checkpointing")  # older versions of transformers lack it
    parser.set_defaults(
        output_dir="runs/lora", num_train_epochs=3, per_device_train_batch_size=16, learning_rate=1e-3,
        warmup_steps=10, lr_scheduler_type="cosine", eval_strategy="epoch", logging_steps=10, save_strategy="no",
        report_to="none", label_names=["labels"],
        **{"activation_checkpointing" if new_name else "gradient_checkpointing": True},
    )  # fmt: skip
    options, training = parser.parse_args_into_dataclasses(arguments)
    for part in ("train", "test"):
        if not any((options.data / part).glob(f"[!.]*/{VIDEOS}")):
            sys.exit(f"--data {options.data} must be a folder with {part}/CLASS/*.mp4, and holds none.")
    classes = sorted({path.parent.name for path in (options.data / "train").glob(f"[!.]*/{VIDEOS}")})

    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    try:
        base = VideoMAEv2ForVideoClassification.from_pretrained(options.model, ignore_mismatched_sizes=True, **labels)
        processor = VideoMAEv2VideoProcessor.from_pretrained(options.model)
    except (OSError, ValueError) as error:
        sys.exit(f"--model {options.model} must be a folder or a name on the Hub, and cannot be loaded: {error}")
    if options.sampling is not None:
        processor.sampling = options.sampling
    # Adapters on queries and values; the head, and the norm before it, are trained whole.
    lora = LoraConfig(
        r=options.rank, lora_alpha=2 * options.rank, target_modules=["q_proj", "v_proj"],
        modules_to_save=["classifier", "fc_norm"],
    )  # fmt: skip
    model = get_peft_model(base, lora)
    model.print_trainable_parameters()
    trainer = Trainer(
        model,
        training,
        train_dataset=VideoFolder(options.data / "train", classes, processor),
        eval_dataset=VideoFolder(options.data / "test", classes, processor),
        compute_metrics=top1,
    )
    trainer.train()
    metrics = trainer.evaluate()
    if trainer.is_world_process_zero():
        output = Path(training.output_dir)
        model.save_pretrained(output / "adapter")  # for `PeftModel.from_pretrained(base, ...)`
        model.merge_and_unload().save_pretrained(output / "model")  # for `from_pretrained` and `pipeline`
        processor.save_pretrained(output / "model")
        print(metrics)
    return metrics


if __name__ == "__main__":
    main(sys.argv[1:])
