# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips out of a formula, behind the interface of `training.data`, and a tiny recipe for them.

    python tests/fake_clips.py --output_dir OUT [--key value ...]

pre-trains on them; tests start this in processes of its own, which they may kill.
"""

import copy
import importlib
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler


sys.path.insert(0, str(Path(__file__).parents[1]))  # when it is run as a script

from training.cli import leave
from training.data.faults import FaultCounter
from training.data.mixture import Mixture
from training.loop import train
from training.recipe import DataRecipe
from training.recipe_parsing import assign, build, split_arguments
from training.tasks import PreTrainingRecipe, PreTrainingTask


NUM_VIDEOS = 24
TINY = {
    "output_dir": "unused",
    "batch_size": 2,
    "total_batch_size": 8,
    "model": {
        "config": {
            "patch_size": 4,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "decoder_hidden_size": 8,
            "decoder_num_hidden_layers": 1,
            "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 16,
            "mask_ratio": 0.75,
        }
    },
    "data": {"sources": [{"path": "fake"}], "num_frames": 4, "image_size": 16, "views": 2, "workers": 0},
    "optimizer": {"base_lr": 0.3, "clip_grad": 1.0},
    "schedule": {"max_steps": 6, "warmup_steps": 2},
    "checkpoint": {"every": 2, "keep": 2},
    "tracking": {"log_every": 1, "trackers": [], "progress_bar": False},
}


def tiny_recipe(recipe_class: type, output_dir: Path, **overrides: Any) -> Any:
    """The tiny recipe; `overrides` have dotted keys, with `__` for the dots."""
    return build(recipe_class, tiny_values(output_dir, {k.replace("__", "."): v for k, v in overrides.items()}))


def tiny_values(output_dir: Path | str, overrides: dict[str, Any]) -> dict[str, Any]:
    """The same as a nested dict."""
    values = copy.deepcopy(TINY)
    for key, value in {"output_dir": str(output_dir), **overrides}.items():
        assign(values, key, value)
    return values


class FakeSampler(Sampler):
    """Keys `(epoch, index)` of one process, from a position in the run onwards."""

    def __init__(self, length: int, seed: int, batch_size: int, num_processes: int, process_index: int) -> None:
        self.length, self.seed, self.batch_size = length, seed, batch_size
        self.num_processes, self.process_index, self.position = num_processes, process_index, 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        position = self.position
        while True:
            epoch, k = divmod(position, self.length)
            if position // self.batch_size % self.num_processes == self.process_index:
                order = torch.randperm(self.length, generator=torch.Generator().manual_seed(self.seed + epoch))
                yield epoch, int(order[k])
            position += 1


class FakeClips(Dataset):
    """Noise that depends on seed, epoch and index alone."""

    def __init__(self, recipe: DataRecipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed

    def __len__(self) -> int:
        return NUM_VIDEOS

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, index = key
        recipe = self.recipe
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch * 1009 + index)
        shape = (recipe.views, recipe.num_frames, 3, recipe.image_size, recipe.image_size)
        clip = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return {"pixel_values": clip, "labels": index % 3, "bad": 0}


def collate(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    clips = torch.cat([item["pixel_values"] for item in items])
    views = len(clips) // len(items)
    return {
        "pixel_values": clips,
        "labels": torch.tensor([item["labels"] for item in items]).repeat_interleave(views),
        "bad": torch.tensor([item["bad"] for item in items]),
    }


class FakeLoader(DataLoader):
    """The part of `ClipLoader` that the loop sees."""

    samples_per_epoch = NUM_VIDEOS
    mixture = Mixture([])

    def __init__(self, recipe: DataRecipe, batch_size: int, sampler: FakeSampler, seed: int) -> None:
        options: dict[str, Any] = {"num_workers": recipe.workers, "collate_fn": collate, "generator": torch.Generator()}
        if recipe.workers:
            options["multiprocessing_context"] = "fork"  # in a process of a fork server it would not be the default
        super().__init__(FakeClips(recipe, seed), batch_size, sampler=sampler, **options)
        self.faults = FaultCounter(0.5)

    def set_position(self, samples_seen: int) -> None:
        self.sampler.position = samples_seen

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for batch in super().__iter__():
            self.faults.count(len(batch["bad"]), 0, [])
            yield batch


def build_loader(
    recipe: DataRecipe, *, batch_size: int, seed: int, num_processes: int, process_index: int, **_: Any
) -> FakeLoader:
    """As `training.data.build_loader`."""
    sampler = FakeSampler(NUM_VIDEOS, seed, batch_size, num_processes, process_index)
    return FakeLoader(recipe, batch_size, sampler, seed)


def die_at(place: str, count: int) -> None:
    """Have this process killed when a function is called for the `count`-th time.

    Args:
        place: Module and attribute, `training.checkpoint:random_states`.
        count: From 1.
    """
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), []

    def dying(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return original(*args, **kwargs)

    setattr(owner, name, dying)


def pretrain(values: dict[str, Any], die: tuple[str, int] | None = None, log: Path | None = None) -> None:
    """Pre-train on the fake clips; `values` is a nested dict as in a recipe file."""
    torch.set_num_threads(1)
    if log is not None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
    logging.basicConfig(level=logging.INFO)
    if die is not None:
        die_at(*die)
    recipe = build(PreTrainingRecipe, values)
    recipe.validate()
    train(recipe, PoisonedTask(recipe), build_loader)


def start_process(values: dict[str, Any], log: Path, die: tuple[str, int] | None = None) -> Any:
    """`pretrain` in a process of its own, which starts quickly: a server that has imported everything forks it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fake_clips"])
    here = Path(__file__).parent
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here), str(here.parent)])  # the server knows no other way to us
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    process = context.Process(target=pretrain, args=(values, die, log))
    process.start()
    return process


class PoisonedTask(PreTrainingTask):
    """The loss of the pass that starts with clip `POISONED_CLIP` of the run is NaN."""

    def prepare(self, batch: dict[str, Any], first_clip: int, device: torch.device) -> dict[str, torch.Tensor]:
        inputs = super().prepare(batch, first_clip, device)
        if first_clip == int(os.environ.get("POISONED_CLIP", "-1")):
            inputs["weight"] = torch.tensor(torch.nan)
        return inputs


if __name__ == "__main__":
    arguments = dict(split_arguments(sys.argv[1:]))
    where, _, times = os.environ.get("DIE_AT", "").rpartition(" ")
    first = os.environ.get("RANK", "0") == "0"
    pretrain(tiny_values(arguments["output_dir"], arguments), (where, int(times)) if where and first else None)
    leave(0)
