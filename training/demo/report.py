# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the demo leaves behind: the table of results and the picture of reconstructions."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from safetensors import safe_open

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2VideoProcessor

from ..masks import MaskDrawer
from ..pictures import reconstruction_picture, save_picture
from .plan import NUM_CLIPS, Plan


ENLARGED = 3  # screen pixels for a pixel of the clip
BOTH = ("finetuned_twice", "distilled")  # models that owe something to the labels of both data sets


@dataclass(frozen=True)
class Row:
    """A model in the table; accuracies from 0 to 1."""

    model: str
    parameters: int
    labelled_clips: int
    single_view: float
    multi_view: float
    one_frame: float | None = None

    def cells(self) -> list[str]:
        """As text, accuracies in per cent."""
        scores = (self.single_view, self.multi_view, self.one_frame)
        texts = ["" if score is None else f"{100 * score:.1f}" for score in scores]
        return [self.model, f"{self.parameters / 1e6:.2f} M", f"{self.labelled_clips:,}", *texts]


COLUMNS = ["model", "parameters", "labels", "1 clip", f"{NUM_CLIPS} clips", "still"]


def accuracy(folder: Path, test: str) -> float:
    """Top-1 of a finished evaluation; `test` is "single_view" or "multi_view"."""
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))[test]["top1"]


def make_rows(plan: Plan, models: Mapping[str, str]) -> list[Row]:
    """What the evaluations found; `models` names the folders, and what to call the models."""
    labelled = {folder: len(list((folder / "train").rglob("*.mp4"))) for folder in (plan.target, plan.other)}
    rows = []
    for name, title in models.items():
        with safe_open(Path(plan.model(name)) / "model.safetensors", "pt") as weights:
            parameters = sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
        stills = plan.tested(name, stills=True)
        rows.append(
            Row(
                model=title,
                parameters=parameters,
                labelled_clips=sum(labelled.values()) if name in BOTH else labelled[plan.target],
                single_view=accuracy(plan.tested(name), "single_view"),
                multi_view=accuracy(plan.tested(name), "multi_view"),
                one_frame=accuracy(stills, "single_view") if stills.exists() else None,
            )
        )
    return rows


def save_table(rows: Sequence[Row], stem: Path) -> None:
    """Write the table as Markdown (`.md`) and as numbers (`.json`)."""
    stem.with_suffix(".md").write_text(markdown(rows), encoding="utf-8")
    numbers = [dataclasses.asdict(row) for row in rows]
    stem.with_suffix(".json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def show(rows: Sequence[Row], title: str) -> None:
    """Print the table."""
    table = Table(title=title)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.cells())
    Console().print(table)


def markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = [COLUMNS, ["---", *["---:"] * 5], *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


@torch.no_grad()
def draw_reconstructions(model_folder: Path, videos: Sequence[Path], target: Path) -> None:
    """Held-out clips, what the encoder sees of them, and what the decoder makes of it: a PNG file."""
    model = VideoMAEv2ForPreTraining.from_pretrained(model_folder).eval()
    processor = VideoMAEv2VideoProcessor.from_pretrained(model_folder)
    clips = processor([str(video) for video in videos], return_tensors="pt")["pixel_values"]
    masks, _ = MaskDrawer(model.config, seed=0)(0, len(clips))
    logits = model(clips, bool_masked_pos=masks, decoder_bool_masked_pos=torch.zeros_like(masks)).logits
    std, mean = (torch.tensor(values).view(-1, 1, 1) for values in (processor.image_std, processor.image_mean))
    pictures = [
        reconstruction_picture(clip * std + mean, cubes, mask, model.config)
        for clip, cubes, mask in zip(clips, logits, masks)
    ]
    picture = torch.cat(pictures, dim=2)
    save_picture(picture.repeat_interleave(ENLARGED, 1).repeat_interleave(ENLARGED, 2), target)
