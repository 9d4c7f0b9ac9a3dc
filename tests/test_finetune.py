# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning on video files: classes, augmentation, evaluation on the way, and what is refused before it starts."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from accelerate import Accelerator
from fake_clips import TINY, tiny_recipe
from processes import ENGINES, forget_processes, shards_on_cpu
from safetensors.torch import load_file
from tiny import tiny_model

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from training.checkpoint import complete_checkpoints
from training.cli import run_stage
from training.data import TooManyBadVideosError, build_loader, open_sources
from training.data.augment import ViewMaker
from training.data.loading import make_view_maker
from training.erasing import RandomErasing
from training.mixing import Mixing
from training.recipe import AugmentRecipe, DataRecipe, RecipeError, SourceRecipe
from training.recipe_stages import EvalRecipe, eval_data
from training.tasks import ClassificationTask, FineTuningRecipe
from training.validation import Validation


pytest.importorskip("av")
from video_files import encode


ROOT = Path(__file__).parents[1]
CLASSES = ["falls", "rises", "turns left"]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(-1, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)


pytestmark = pytest.mark.usefixtures("fresh_processes")


def write_videos(folder: Path, names: list[str], count: int) -> None:
    """`count` mp4 files of noise in a folder for each class."""
    for i in range(count):
        path = folder / names[i % len(names)] / f"{i}.mp4"
        path.parent.mkdir(exist_ok=True, parents=True)
        encode(
            path, frames=np.random.default_rng(i).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), width=32, height=32
        )


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six for training, seven for validation, three classes."""
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder / "train", CLASSES, 6)
    write_videos(folder / "val", CLASSES, 7)
    return folder


@pytest.fixture(scope="module")
def config_file(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    values = {
        **TINY,
        "data": {**TINY["data"], "sources": [{"path": str(videos / "train"), "kind": "folder"}], "sampling_rate": 1},
    }
    del values["output_dir"]
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def run_here(config_file: Path, *arguments: str) -> int:
    forget_processes()
    return run_stage(FineTuningRecipe, ClassificationTask, ["--config", str(config_file), *arguments])


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def task_of(folder: Path, **overrides: Any) -> ClassificationTask:
    recipe = tiny_recipe(FineTuningRecipe, folder, **{"num_labels": 3, **overrides})
    recipe.validate()
    return ClassificationTask(recipe)


# ---- the task


def batch_of(labels: list[int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, (len(labels), 4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return {"pixel_values": clips, "labels": torch.tensor(labels)}


MIXED = {"mixup": 0.8, "cutmix": 1.0, "label_smoothing": 0.1, "random_erasing": 0.5}


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, MIXED], ids=["ids", "smoothed", "mixed"])
def test_loss_against_float64(tmp_path: Path, options: dict[str, float]) -> None:
    task = task_of(tmp_path, **options)
    torch.manual_seed(0)
    model = task.build_model()
    torch.nn.init.normal_(model.classifier.weight)
    inputs = task.prepare(batch_of([0, 1, 2, 1]), 12, torch.device("cpu"))
    with torch.no_grad():
        parts = task.loss(model, inputs)
        logits = model(inputs["pixel_values"]).logits.double().numpy()
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = inputs["labels"].double().numpy()
    assert targets.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    assert parts["loss"].item() == pytest.approx(-(targets * log_shares).sum(axis=1).mean(), abs=1e-6)
    assert parts["accuracy"].item() == (logits.argmax(axis=1) == targets.argmax(axis=1)).mean()
    if not options:
        assert np.array_equal(targets, np.eye(3)[[0, 1, 2, 1]])


@pytest.mark.parametrize("start", [{"num_labels": 1}, {"num_labels": 3, "problem_type": "multi_label_classification"}])
def test_a_start_that_told_something_else_than_classes(tmp_path: Path, start: dict[str, Any]) -> None:
    """What it told, its configuration says; `labels` of the run's shape would fit that loss as well."""
    begun = tiny_model(VideoMAEv2ForVideoClassification, **start)
    begun.config.problem_type = begun.config.problem_type or "regression"  # as the first loss sets it
    begun.save_pretrained(tmp_path / "start")
    task = task_of(tmp_path, model={"init_from": str(tmp_path / "start")})
    model = task.build_model()
    assert model.config.problem_type is None
    inputs = task.prepare(batch_of([0, 2]), 0, torch.device("cpu"))
    with torch.no_grad():
        loss = task.loss(model, inputs)["loss"]
        logits = model(inputs["pixel_values"]).logits
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.tensor([0, 2])))


def test_clips_are_mixed_by_their_number_alone(tmp_path: Path) -> None:
    task = task_of(tmp_path, **MIXED)
    whole = task.prepare(batch_of([0, 1, 2, 1]), 8, torch.device("cpu"))
    plain = task_of(tmp_path).prepare(batch_of([0, 1, 2, 1]), 8, torch.device("cpu"))
    batch = batch_of([0, 1, 2, 1])
    assert not torch.equal(whole["pixel_values"], plain["pixel_values"])
    for name in ("pixel_values", "labels"):
        assert torch.equal(whole[name], task_of(tmp_path, **MIXED).prepare(batch, 8, torch.device("cpu"))[name])
    other = task.prepare(batch, 12, torch.device("cpu"))
    assert not torch.equal(whole["labels"], other["labels"])


def test_clips_are_mixed_and_erased_as_the_recipe_says(tmp_path: Path) -> None:
    task = task_of(
        tmp_path, seed=5, data__views=3, total_batch_size=12, mixup=0.3, cutmix=0.7, mixup_prob=0.9,
        mixup_switch_prob=0.4, label_smoothing=0.2, random_erasing=0.6,
    )  # fmt: skip
    batch, device = batch_of([0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 1, 1] * 2), torch.device("cpu")
    mixing = Mixing(3, 0.3, 0.7, prob=0.9, switch_prob=0.4, label_smoothing=0.2, seed=5, views=3)
    clips = RandomErasing(0.6, seed=5)(task.normalise(batch["pixel_values"], device), 12)
    clips, targets = mixing(clips, batch["labels"], 12)
    found = task.prepare(batch, 12, device)
    assert torch.equal(found["pixel_values"], clips)
    assert torch.equal(found["labels"], targets)


def test_an_odd_batch_that_is_mixed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for batch_size, options in ((2, MIXED), (3, {})):
        task_of(tmp_path, batch_size=batch_size, total_batch_size=None, **options)
    assert "odd batch_size" not in caplog.text
    task_of(tmp_path, batch_size=3, total_batch_size=None, **MIXED)
    assert "of an odd batch_size (3), one is left over and takes another clip of its batch." in caplog.text


# ---- from the command line


def test_classes_come_from_the_folders(config_file: Path, tmp_path: Path) -> None:
    arguments = ["--output_dir", str(tmp_path), "--mixup", "0.8", "--cutmix", "1", "--label_smoothing", "0.1",
                 "--random_erasing", "0.25", "--model.config.drop_path_rate", "0.2",
                 "--model.config.classifier_dropout", "0.5", "--optimizer.layer_decay", "0.75"]  # fmt: skip
    assert run_here(config_file, *arguments) == 0
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "model")
    assert model.config.id2label == dict(enumerate(CLASSES))
    assert model.config.drop_path_rate == 0.2
    first = load_file(tmp_path / "model" / "model.safetensors")
    for path in complete_checkpoints(tmp_path / "checkpoints")[1:]:
        path.rename(path.with_name(f"gone-{path.name}"))
    assert run_here(config_file, *arguments) == 0  # on from step 4
    again = load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(again[name], first[name]) for name in first)


def test_two_label_sets_are_united_by_a_file(videos: Path, tmp_path: Path) -> None:
    """Folders in an order of their own, names spelt otherwise, and a list that goes by numbers."""
    write_videos(tmp_path / "other", ["Turns_Left", "falls"], 2)
    (tmp_path / "classes.txt").write_text("turns left\nrises\nfalls\n")
    (tmp_path / "list.txt").write_text(f"{videos}/train/falls/0.mp4 2\n")
    sources = [SourceRecipe(path=str(videos / "train"), kind="folder"),
               SourceRecipe(path=str(tmp_path / "other"), kind="folder"),
               SourceRecipe(path=str(tmp_path / "list.txt"))]  # fmt: skip
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, labels_file=str(tmp_path / "classes.txt"))
    recipe.data.sources = sources
    task = ClassificationTask(recipe)
    assert task.classes == ["turns left", "rises", "falls"]
    mixture = open_sources(recipe.data, labelled=True, seed=0, classes=task.classes)
    found = {}
    for i in range(len(mixture)):
        source, number = mixture.locate(i)
        video = source.get(number, 0)
        found.setdefault(Path(video.name).parent.name.lower().replace("_", " "), set()).add(video.label)
    assert found == {"falls": {2}, "rises": {1}, "turns left": {0}}
    with pytest.raises(ValueError, match="name different classes"):
        open_sources(recipe.data, labelled=True, seed=0)
    recipe.labels_file, recipe.labels = None, ["rises", "falls"]
    with pytest.raises(ValueError, match=r"do not fit the list of classes .*'turns left'"):
        open_sources(recipe.data, labelled=True, seed=0, classes=recipe.labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.sources", "[{path: LIST}]"], "The largest label in the data is 4, so there are 5 or more"),
        (["--data.sources", "[{path: LIST}]", "--num_labels", "4"], "LIST go up to 4, but there are 4 classes, 0 to 3"),
        (["--num_labels", "2"], "the data names 3 classes, num_labels says 2: correct one of them, or leave num_labels "
         "out (`--num_labels null`"),
        (["--labels", "[falls, rises]"], "do not fit the list of classes"),
        (["--labels_file", "NOWHERE"], "labels_file: There is no label file"),
        (["--labels", "[a, b]", "--labels_file", "LIST"], "contradict each other"),
        (["--labels", "[a]"], "names 1 class; there must be at least 2"),
        (["--labels", "[a, b, a]"], "labels names the class 'a' twice"),
        (["--num_labels", "1"], "num_labels must be at least 2"),
        (["--model.config.num_labels", "4"], "model.config.num_labels is no key of a recipe: num_labels, labels or "),
        (["--model.config.problem_type", "regression"], "model.config.problem_type is no key of a recipe: every clip "),
        (["--data.sources.0.path", "NOWHERE"], "The data cannot be opened"),
        (["--model.init_from", "NOWHERE"], "model.init_from (NOWHERE) cannot be loaded: There is no checkpoint"),
        (["--model.init_from", "LIST"], "LIST is a file. Name the folder that holds it"),
        (["--mixup", "-0.1"], "mixup must not be negative, got -0.1"),
        (["--cutmix", ".nan"], "cutmix must not be negative"),
        (["--mixup_prob", "1.5"], "mixup_prob must lie in [0, 1], got 1.5"),
        (["--mixup_switch_prob", "-1"], "mixup_switch_prob must lie in [0, 1]"),
        (["--label_smoothing", "1.0"], "label_smoothing must lie in [0, 1), got 1.0"),
        (["--random_erasing", "2"], "random_erasing must lie in [0, 1]"),
        (["--peft", "adapters"], "`peft` must be one of 'none', 'lora'"),
        (["--eval.every", "1"], "data_eval names no videos"),
        (["--eval.every_epochs", "1"], "data_eval names no videos"),
        (["--data_eval", "[{path: ''}]"], "data_eval.0.path is missing"),
        (["--data_eval", "[{path: NOWHERE}]"], "The data cannot be opened"),
        (["--data_eval", "[{path: LIST}]"], "LIST go up to 4, but there are 3 classes"),
        (["--data_eval", "[{path: LIST}]", "--eval.every", "0"], "eval.every must be at least 1, got 0"),
        (["--data_eval", "[{path: LIST}]", "--eval.batch_size", "0"], "eval.batch_size must be at least 1, got 0"),
        (["--data_eval", "[{path: LIST}]", "--eval.every", "1", "--eval.every_epochs", "1"], "contradict each other"),
    ],
)  # fmt: skip
def test_refused_before_the_first_step(
    config_file: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    (tmp_path / "list.txt").write_text(f"{videos}/train/falls/0.mp4 4\n")
    places = {"LIST": str(tmp_path / "list.txt"), "NOWHERE": str(tmp_path / "nowhere")}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
        message = message.replace(word, place)
    assert run_here(config_file, "--output_dir", str(tmp_path / "run"), *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.sources", "[{path: BROKEN, kind: folder}]"], r"16 videos of .*BROKEN were tried for one sample"),
        (["--optimizer.base_lr", "1e30"], r"loss and grad_norm of step \d are not finite"),
    ],
)
def test_what_ends_the_training_is_said_without_a_traceback(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    for name in CLASSES:
        (tmp_path / "BROKEN" / name).mkdir(parents=True)
        (tmp_path / "BROKEN" / name / "a.mp4").write_bytes(b"nothing")
    arguments = [argument.replace("BROKEN", str(tmp_path / "BROKEN")) for argument in arguments]
    assert run_here(config_file, "--output_dir", str(tmp_path / "run"), *arguments) == 1
    assert re.search(f"^{message}", capsys.readouterr().err, re.MULTILINE)


# ---- evaluation on the way


def evaluated(config_file: Path, videos: Path, folder: Path, *arguments: str) -> list[dict[str, float]]:
    source = f"[{{path: {videos / 'val'}, kind: folder}}]"
    assert run_here(config_file, "--output_dir", str(folder), "--data_eval", source, *arguments) == 0
    return lines(folder / "evaluation.jsonl")


def test_the_best_model_is_kept(config_file: Path, videos: Path, tmp_path: Path) -> None:
    found = evaluated(config_file, videos, tmp_path, "--eval.every", "2", "--eval.batch_size", "3")
    assert [line["step"] for line in found] == [2, 4, 6]
    assert {line["eval_videos"] for line in found} == {7}
    best = max(line["eval_top1"] for line in found)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "best")
    assert accuracy(model, videos) == best == pytest.approx(round(7 * best) / 7)
    assert all(line["eval_top5"] == 1.0 for line in found)  # of three classes
    assert lines(tmp_path / "metrics.jsonl")[-1]["step"] == 6


@pytest.mark.parametrize("keep_best", [True, False])
def test_the_best_is_what_no_evaluation_before_has_reached(tmp_path: Path, keep_best: bool) -> None:
    validation = Validation(Accelerator(cpu=True), task_of(tmp_path), None, EvalRecipe(keep_best=keep_best))
    shares = (0.0, 0.5, 0.5, 0.25, 0.375, 0.75)
    found = [validation.is_best({"eval_top1": share}) for share in shares]
    assert found == [keep_best and better for better in (True, True, False, False, False, True)]


def test_evaluation_may_be_asked_for_later(config_file: Path, videos: Path, tmp_path: Path) -> None:
    assert run_here(config_file, "--output_dir", str(tmp_path), "--schedule.max_steps", "2") == 0
    found = evaluated(config_file, videos, tmp_path, "--eval.every", "2")
    assert [line["step"] for line in found] == [4, 6]


def said(model: VideoMAEv2ForVideoClassification, path: Path) -> torch.Tensor:
    """Logits of one video, cut as in an evaluation on the way."""
    data = DataRecipe(num_frames=4, sampling_rate=1, image_size=16, multi_scale_crop=False, workers=0)
    data.sources = [SourceRecipe(path=str(path.parent.parent), kind="folder", path_pattern=f"/{path.name}$")]
    (batch,) = build_loader(data, batch_size=1, training=False)
    return model((batch["pixel_values"] / 255 - MEAN) / STD).logits[0].detach()


def test_a_finished_run_is_measured_on_videos_that_it_has_not_seen(
    config_file: Path, videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And what was best on others before does not count: the second ones are all wrong."""
    run, best, known = tmp_path / "run", tmp_path / "run" / "best", ["--schedule.max_steps", "2"]
    assert run_here(config_file, "--output_dir", str(run), *known) == 0
    model = VideoMAEv2ForVideoClassification.from_pretrained(run / "model").eval()
    paths = sorted((videos / "val").rglob("*.mp4"))
    for path in paths:
        labels = f"{path} {int(said(model, path).argmax())}\n"
        with open(tmp_path / "right.txt", "a") as right, open(tmp_path / "wrong.txt", "a") as wrong:
            right.write(labels)
            wrong.write(f"{path} {(int(labels.split()[-1]) + 1) % 3}\n")

    def shares(name: str) -> list[float]:
        caplog.clear()
        shutil.rmtree(best, ignore_errors=True)
        source = f"[{{path: {tmp_path / name}}}]"
        assert run_here(config_file, "--output_dir", str(run), *known, "--data_eval", source) == 0
        return [line["eval_top1"] for line in lines(run / "evaluation.jsonl")]

    assert shares("right.txt") == [1.0]
    assert best.exists()
    assert "data_eval: [] -> [" in caplog.text
    assert shares("right.txt") == [1.0]  # once is enough
    assert not best.exists()
    assert "counts no more" not in caplog.text
    assert shares("wrong.txt") == [1.0, 0.0]
    assert best.exists()
    assert "The videos of data_eval, or their places, are others than before" in caplog.text
    (checkpoint,) = complete_checkpoints(run / "checkpoints")
    state = json.loads((checkpoint / "state.json").read_text())
    del state["progress"]["evaluated_step"], state["progress"]["evaluated_on"]  # as older code wrote it
    (checkpoint / "state.json").write_text(json.dumps(state))
    assert shares("wrong.txt") == [1.0, 0.0, 0.0]
    assert not best.exists()


def test_validation_videos_are_not_augmented() -> None:
    strong = AugmentRecipe(crop="random_resized", rand_augment=True)
    data = DataRecipe(sources=[SourceRecipe(path="x")], image_size=32, views=2, flip=True, augment=strong)
    plain = eval_data(data, [SourceRecipe(path="y")])
    assert make_view_maker(plain, training=False) == ViewMaker(32, multi_scale=False)
    assert plain.problems() == []
    assert [source.path for source in plain.sources] == ["y"]
    assert eval_data(replace(data, cache_gib=1.0), plain.sources).cache_gib == 0.0  # nothing is read twice


def accuracy(model: VideoMAEv2ForVideoClassification, videos: Path) -> float:
    """Counted anew, one clip at a time."""
    data = DataRecipe(
        sources=[SourceRecipe(path=str(videos / "val"), kind="folder")], num_frames=4, sampling_rate=1, image_size=16,
        multi_scale_crop=False, workers=0,
    )  # fmt: skip
    right = 0
    for batch in build_loader(data, batch_size=1, labelled=True, training=False):
        logits = model.eval()((batch["pixel_values"] / 255 - MEAN) / STD).logits
        right += int(logits.argmax() == batch["labels"][0])
    return right / 7


def test_evaluation_changes_nothing_and_survives_interruptions(config_file: Path, videos: Path, tmp_path: Path) -> None:
    options = ["--model.config.drop_path_rate", "0.2", "--ema.decay", "0.5"]
    found = evaluated(config_file, videos, tmp_path / "a", "--eval.every_epochs", "1", *options)
    assert [line["step"] for line in found] == [1, 2, 3, 4, 5, 6]  # an epoch is 6 / 8 of a step
    assert run_here(config_file, "--output_dir", str(tmp_path / "b"), *options) == 0
    ours, theirs = (load_file(tmp_path / name / "model" / "model.safetensors") for name in "ab")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    best = load_file(tmp_path / "a" / "best" / "model.safetensors")
    for path in complete_checkpoints(tmp_path / "a" / "checkpoints")[1:]:
        path.rename(path.with_name(f"gone-{path.name}"))
    assert evaluated(config_file, videos, tmp_path / "a", "--eval.every_epochs", "1", *options)[-1] == found[-1]
    again = load_file(tmp_path / "a" / "best" / "model.safetensors")
    assert all(torch.equal(again[name], best[name]) for name in best)


@pytest.mark.parametrize("step", [2, 6])  # of 6
def test_asked_to_stop_it_saves_first_and_evaluates_when_it_goes_on(
    config_file: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    options = ["--eval.every", "2", "--ema.decay", "0.5", "--tracking.log_every", "5"]
    found = evaluated(config_file, videos, tmp_path / "straight", *options)
    prepare = ClassificationTask.prepare

    def asked(task: ClassificationTask, batch: dict, first_clip: int, device: torch.device) -> dict[str, torch.Tensor]:
        if first_clip == (step - 1) * 8:
            signal.raise_signal(signal.SIGTERM)
        return prepare(task, batch, first_clip, device)

    with monkeypatch.context() as patch:
        patch.setattr(ClassificationTask, "prepare", asked)
        with pytest.raises(SystemExit):
            evaluated(config_file, videos, tmp_path / "stopped", *options)
    checkpoint = complete_checkpoints(tmp_path / "stopped" / "checkpoints")[-1]
    assert checkpoint.name == f"step-{step:08d}"
    evaluations = tmp_path / "stopped" / "evaluation.jsonl"
    assert [line["step"] for line in (lines(evaluations) if evaluations.exists() else [])] == list(range(2, step, 2))
    assert evaluated(config_file, videos, tmp_path / "stopped", *options) == found
    for name in ("best", "model"):
        ours, theirs = (load_file(tmp_path / run / name / "model.safetensors") for run in ("stopped", "straight"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("again", [False, True])
def test_asked_to_stop_within_an_evaluation(
    config_file: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """It ends before the next batch, if these take their time, and is done from the start when the run goes on."""
    monkeypatch.setattr("training.stopping.PATIENCE", 0.0)
    options = ["--eval.every", "2", "--ema.decay", "0.5", "--eval.batch_size", "1", "--checkpoint.every", "4"]
    found = evaluated(config_file, videos, tmp_path / "straight", *options)
    batches, seen = Validation._batches, []

    def asked(validation: Validation) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for batch in batches(validation):
            seen.append(batch)
            if len(seen) == 3:
                signal.raise_signal(signal.SIGTERM)
            yield batch

    for _ in range(1 + again):  # again: asked in the evaluation that the run before has left
        seen.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Validation, "_batches", asked)
            with pytest.raises(SystemExit):
                evaluated(config_file, videos, tmp_path / "stopped", *options)
        assert len(seen) == 3  # of 7
        assert not (tmp_path / "stopped" / "evaluation.jsonl").exists()
        (checkpoint,) = complete_checkpoints(tmp_path / "stopped" / "checkpoints")
        assert checkpoint.name == "step-00000002"
    assert evaluated(config_file, videos, tmp_path / "stopped", *options) == found
    for name in ("best", "model"):
        ours, theirs = (load_file(tmp_path / run / name / "model.safetensors") for run in ("stopped", "straight"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    ("recipe", "steps_per_epoch", "expected"),
    [
        (EvalRecipe(), 10.0, None),
        (EvalRecipe(every=20), 10.0, 20),
        (EvalRecipe(every_epochs=0.5), 12.5, 7),
        (EvalRecipe(every_epochs=0.01), 12.0, 1),
        (EvalRecipe(every_epochs=0.1), 110.0, 11),  # 11.000000000000002 as a product
        (EvalRecipe(every=20), 0.0, 20),
    ],
)
def test_when_to_evaluate(recipe: EvalRecipe, steps_per_epoch: float, expected: int | None) -> None:
    assert recipe.steps(steps_per_epoch) == expected


def test_too_little_memory_is_said_in_words(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def too_large(*_: object) -> dict[str, torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")

    monkeypatch.setattr(ClassificationTask, "loss", too_large)
    assert run_here(config_file, "--output_dir", str(tmp_path / "run")) == 1
    error = capsys.readouterr().err
    assert "Tried to allocate 2.00 GiB.\nThe memory is too small for a pass of 2 videos x 2 views. Lower batch" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.multiprocess)])
@pytest.mark.parametrize("where", ["data.sources", "data_eval"])
def test_a_label_in_a_stream_that_is_no_class(
    config_file: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, where: str, workers: int
) -> None:
    datasets = pytest.importorskip("datasets")
    paths = sorted(str(path) for path in (videos / "train").rglob("*.mp4"))
    rows = datasets.Dataset.from_dict({"video": paths, "label": [0, 1, 2, 3, 0, 1]})
    rows.save_to_disk(tmp_path / "clips")
    stream = {"kind": "datasets", "path": str(tmp_path / "clips"), "streaming": True, "num_videos": 6}
    arguments = ["--output_dir", str(tmp_path / "run"), "--num_labels", "3", "--data.workers", str(workers)]
    assert run_here(config_file, *arguments, f"--{where}", json.dumps([stream])) == 1
    error = capsys.readouterr().err
    assert f"{paths[3]} has the label 3, but there are 3 classes, 0 to 2. Correct the label" in error
    assert "Traceback" not in error


def test_epochs_of_a_stream_of_unknown_length_are_none(
    config_file: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    datasets = pytest.importorskip("datasets")
    paths = sorted(str(path) for path in videos.rglob("*.mp4"))
    datasets.Dataset.from_dict({"video": paths, "label": [0] * len(paths)}).to_parquet(tmp_path / "clips.parquet")
    arguments = ["--output_dir", str(tmp_path / "run"), "--num_labels", "3", "--eval.every_epochs", "1",
                 "--data.sources", f"[{{kind: datasets, path: {tmp_path / 'clips.parquet'}, streaming: true}}]",
                 "--data_eval", f"[{{path: {videos / 'val'}, kind: folder}}]"]  # fmt: skip
    assert run_here(config_file, *arguments) == 2
    assert "eval.every_epochs (1) has no meaning: set eval.every, in steps" in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_five_guesses(videos: Path, tmp_path: Path) -> None:
    """A video under each of seven labels: one of them is the best guess, and five are among the best five."""
    (tmp_path / "val.txt").write_text("".join(f"{videos}/val/falls/0.mp4 {label}\n" for label in range(7)))
    task = task_of(tmp_path, num_labels=7, data_eval=[{"path": str(tmp_path / "val.txt")}], data__sampling_rate=1)
    model = task.build_model().train()
    values = task.make_validation(Accelerator(cpu=True), build_loader).measure(model)
    assert values == {"eval_top1": 1 / 7, "eval_top5": 5 / 7, "eval_videos": 7}
    assert not model.training


def test_labels_of_validation_videos_number_the_classes_of_the_run(videos: Path, tmp_path: Path) -> None:
    """Not the folders in their alphabetical order."""
    task = task_of(
        tmp_path, num_labels=None, labels=CLASSES[::-1], data_eval=[{"path": str(videos / "val"), "kind": "folder"}],
        data__sampling_rate=1,
    )  # fmt: skip
    loader = task.make_validation(Accelerator(cpu=True), build_loader).loader
    assert torch.cat([batch["labels"] for batch in loader]).tolist() == [2, 2, 2, 1, 1, 0, 0]


def test_classes_that_only_the_validation_videos_name(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who knows whether the run numbers them as the folders do."""
    caplog.set_level(logging.INFO)

    def validation_of(**classes: Any) -> Validation:
        caplog.clear()
        data_eval = [{"path": str(videos / "val"), "kind": "folder"}]
        return task_of(tmp_path, data_eval=data_eval, **classes).make_validation(Accelerator(cpu=True), build_loader)

    validation_of(num_labels=3)
    assert "the run only numbers them: 0 is taken for 'falls', 2 for 'turns left'." in caplog.text
    with pytest.raises(
        RecipeError, match=r"data_eval names 3 classes, the run numbers 4 without names, .* labels_file"
    ):
        validation_of(num_labels=4)
    validation_of(num_labels=None, labels=["rests", *CLASSES])
    assert "only numbers them" not in caplog.text


def test_validation_videos_with_numbers_beside_folders_that_are_called_by_numbers(videos: Path, tmp_path: Path) -> None:
    films = sorted((videos / "val").rglob("*.mp4"))
    (tmp_path / "list.txt").write_text("".join(f"{film} {number}\n" for number, film in enumerate(films[:3])))
    for name in ("0", "10", "2"):
        (tmp_path / "folders" / name).mkdir(parents=True)
        shutil.copy(films[0], tmp_path / "folders" / name)

    def validation_of(**options: Any) -> Validation:
        train = [{"path": str(tmp_path / "folders"), "kind": "folder"}]
        options = {
            "num_labels": None,
            "data__sources": train,
            "data_eval": [{"path": str(tmp_path / "list.txt")}],
            **options,
        }
        return task_of(tmp_path, **options).make_validation(Accelerator(cpu=True), build_loader)

    with pytest.raises(
        RecipeError, match=r"^the run has classes .* '10' has the label 1; data_eval has numbers alone\."
    ):
        validation_of()
    assert validation_of(labels=["0", "10", "2"]).loader.samples_per_epoch == 3


def test_videos_that_cannot_be_read_do_not_count(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    (tmp_path / "val.txt").write_text(f"{videos}/val/falls/0.mp4 0\n{broken} 0\n{videos}/val/rises/1.mp4 1\n")
    task = task_of(
        tmp_path, data_eval=[{"path": str(tmp_path / "val.txt")}], data__max_bad_share=0.5, data__sampling_rate=1
    )
    torch.manual_seed(0)
    model = task.build_model()
    values = task.make_validation(Accelerator(cpu=True), build_loader).measure(model)
    assert (values["eval_videos"], values["eval_top5"]) == (2, 1.0)  # of three classes
    task.recipe.data.max_bad_share = 0.34  # the broken one comes when two were seen: all of them count, at the end
    validation = task.make_validation(Accelerator(cpu=True), build_loader)
    assert [validation.measure(model)["eval_videos"] for _ in range(3)] == [2, 2, 2]
    task.recipe.data.max_bad_share = 0.33
    with pytest.raises(TooManyBadVideosError, match="1 of 3 videos of data_eval cannot be read"):
        task.make_validation(Accelerator(cpu=True), build_loader).measure(model)
    (tmp_path / "val.txt").write_text(f"{videos}/val/falls/0.mp4 0\n{broken} 0\n")
    task.recipe.data.max_bad_share = 0.5  # which is not more than half
    assert task.make_validation(Accelerator(cpu=True), build_loader).measure(model)["eval_videos"] == 1
    assert caplog.messages[-1].endswith("1 videos of data_eval cannot be read and do not count.")
    guesses = [f"{videos}/val/falls/0.mp4 {label}\n" for label in range(3)]  # one of which is right
    for unreadable in (0, 1):
        caplog.clear()
        (tmp_path / "val.txt").write_text("".join([*guesses, f"{broken} 0\n"][: 3 + unreadable]))
        values = task.make_validation(Accelerator(cpu=True), build_loader).measure(model)
        assert values == {"eval_top1": 1 / 3, "eval_top5": 1.0, "eval_videos": 3}
        assert caplog.text.count("do not count") == unreadable
    task.recipe.data_eval[0].path = str(tmp_path / "none.txt")
    (tmp_path / "none.txt").write_text(f"{videos}/val/falls/0.mp4 7\n")
    with pytest.raises(RecipeError, match="go up to 7"):
        task.make_validation(Accelerator(cpu=True), build_loader)


def evaluated_by_two(
    engine: str, config_file: Path, videos: Path, folder: Path, *arguments: str
) -> list[dict[str, float]]:
    """As `evaluated`, in two processes."""
    name = {"ddp": "cpu", "fsdp2": "fsdp2"}[engine]
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", "--config_file",
        f"training/accelerate/{name}.yaml", "--num_processes", "2", "-m", "training.finetune", "--config",
        str(config_file), "--output_dir", str(folder), *arguments, "--mixed_precision", "no",
        "--data_eval", f"[{{path: {videos / 'val'}, kind: folder}}]",
    ]  # fmt: skip
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ACCELERATE_", "FSDP_"))}
    environment = {**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return lines(folder / "evaluation.jsonl")


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_count_alike(config_file: Path, videos: Path, tmp_path: Path, engine: str) -> None:
    """Seven videos in batches of one or two, with adapters in the sharded run."""
    options = ["--eval.every", "3", "--batch_size", "2", "--eval.batch_size", "1", "--mixed_precision", "no"]
    options += ["--peft", "lora", "--lora.rank", "2", "--optimizer.eps", "1e-4"] if engine == "fsdp2" else []
    found = evaluated(config_file, videos, tmp_path / "one", *options)
    assert evaluated_by_two(engine, config_file, videos, tmp_path / "two", *options) == found
    losses = [[line["loss"] for line in lines(tmp_path / run / "metrics.jsonl")] for run in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    ours, theirs = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("one", "two"))
    assert ours.keys() == theirs.keys()


@shards_on_cpu
@pytest.mark.slow
@pytest.mark.multiprocess
def test_averaged_weights_do_not_stay_in_a_sharded_model(config_file: Path, videos: Path, tmp_path: Path) -> None:
    """No evaluation but by the averaged weights gathers or cuts them: none is kept as the best."""
    options = [
        "--eval.every",
        "1",
        "--eval.keep_best",
        "false",
        "--ema.decay",
        "0.9",
        "--model.config.initializer_range",
        "0.2",
    ]
    runs = {}
    for engine in ("ddp", "fsdp2"):
        evaluated_by_two(engine, config_file, videos, tmp_path / engine, *options, "--batch_size", "2")
        runs[engine] = [line["loss"] for line in lines(tmp_path / engine / "metrics.jsonl")]
    assert runs["fsdp2"] == pytest.approx(runs["ddp"], rel=1e-4)
