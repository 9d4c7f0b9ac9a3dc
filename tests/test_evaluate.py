# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluation in one process: views, averages, sources, unreadable videos, going on, wrong input."""

import csv
import gc
import io
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import PartialState
from full_disk import full_disk
from processes import ask_to_stop
from tiny import tiny_config, tiny_model


pytest.importorskip("av")
pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq
from tiny_evaluation import (
    CLASSES,
    FOLDERS,
    NUM_VIDEOS,
    arguments,
    metrics,
    rows,
    save_model,
    write_a_small_one,
    write_videos,
)
from video_files import encode

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor
from modeling_videomae_v2.writing import written_aside
from training.data.faults import Fault, TooManyBadVideosError
from training.data.mixture import Mixture
from training.data.shards import TarSource
from training.data.sources import Video
from training.data.workers import started
from training.evaluation import run, views
from training.evaluation.classes import ClassMap
from training.evaluation.cli import main
from training.evaluation.errors import EvaluationError, FailedElsewhereError
from training.evaluation.inference import Classifier, load_model
from training.evaluation.loading import Sample, ViewDataset, make_loader
from training.evaluation.processes import joined, leaving_on_sigterm
from training.evaluation.recipe import EvaluationDataRecipe, EvaluationRecipe
from training.evaluation.store import PartWriter, Prediction, open_store
from training.evaluation.views import ViewMaker, processor_of
from training.recipe import load_recipe
from training.recipe_parsing import RecipeError, describe


pytestmark = pytest.mark.usefixtures("fresh_processes")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"), classifier_dropout=0.5, drop_path_rate=0.5)  # for training only


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def plain(model: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation with nothing special about it."""
    output = tmp_path_factory.mktemp("plain")
    assert main(arguments(model, videos, output, "--keep_views", "true")) == 0
    return output


def listed(folder: Path, lines: list[str]) -> Path:
    path = folder / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def labelled(videos: Path) -> list[str]:
    """`path label` for each video, in the order in which a folder has them."""
    folders = sorted(path for path in videos.iterdir() if path.is_dir())
    return [f"{video} {i}" for i, folder in enumerate(folders) for video in sorted(folder.iterdir())]


@pytest.mark.parametrize("sampling", ["dense", "uniform"])
@pytest.mark.parametrize(("num_clips", "num_crops"), [(5, 3), (2, 3), (7, 3), (1, 3), (4, 1)])
def test_views_are_those_of_the_processor(sampling: str, num_clips: int, num_crops: int, tmp_path: Path) -> None:
    processor = VideoMAEv2VideoProcessor(
        num_frames=4, sampling=sampling, sampling_rate=3, size={"shortest_edge": 16},
        crop_size={"height": 16, "width": 16},
    )  # fmt: skip
    make_views = ViewMaker(processor, num_clips, num_crops)
    for frames, width, height in ((2, 40, 20), (30, 20, 40), (31, 24, 24)):
        path = str(encode(tmp_path / "video.mp4", num_frames=frames, width=width, height=height))
        found = make_views.normalise(make_views(Video(path, path)))
        many = processor(path, num_clips=num_clips, num_crops=num_crops, return_tensors="pt").pixel_values[0]
        single = processor(path, return_tensors="pt").pixel_values[0]
        torch.testing.assert_close(found, torch.cat([many, single[None]]), rtol=0, atol=0)


@pytest.mark.parametrize(
    "own",
    [
        {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [60.0] * 3}, {"rescale_factor": 1 / 128},
        {"do_normalize": False},
    ],
)  # fmt: skip
def test_values_are_those_of_the_processor(own: dict[str, float], tmp_path: Path) -> None:
    processor = VideoMAEv2VideoProcessor(num_frames=4, crop_size={"height": 16, "width": 16}, **own)
    path = str(encode(tmp_path / "video.mp4", num_frames=20, width=32, height=24))
    make_views = ViewMaker(processor, 1, 1, multi_view=False)
    expected = processor(path, return_tensors="pt").pixel_values[0][None]
    torch.testing.assert_close(make_views.normalise(make_views(Video(path, path))), expected, rtol=0, atol=0)


def test_views_of_another_scale_than_mean_and_deviation_are_refused(tmp_path: Path) -> None:
    processor = VideoMAEv2VideoProcessor(num_frames=4, crop_size={"height": 16, "width": 16}, do_rescale=False)
    path = str(encode(tmp_path / "video.mp4", num_frames=20, width=32, height=24))
    make_views = ViewMaker(processor, 1, 1, multi_view=False)
    with pytest.raises(ValueError, match="The pixels go up to 255 and `do_rescale` is False"):
        make_views.normalise(make_views(Video(path, path)))


@pytest.mark.parametrize("own", [{"fps": 5.0}, {"do_sample_frames": False}, {"num_clips": 2, "num_crops": 3}])
def test_the_recipe_says_how_many_views_and_not_the_processor(tmp_path: Path, own: dict[str, float]) -> None:
    sizes = {"num_frames": 4, "size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    VideoMAEv2VideoProcessor(**sizes, **own).save_pretrained(tmp_path)
    data = EvaluationDataRecipe(num_frames=4, sampling_rate=3)
    recipe = EvaluationRecipe(model=str(tmp_path), data=data, num_clips=3, num_crops=1)
    make_views = ViewMaker.of(recipe, processor_of(recipe, tiny_config()))
    path = str(encode(tmp_path / "video.mp4", num_frames=40))
    expected = ViewMaker(VideoMAEv2VideoProcessor(**sizes, sampling_rate=3), 3, 1)(Video(path, path))
    assert torch.equal(make_views(Video(path, path)), expected)


def test_a_size_that_nothing_is_cut_to_need_not_fit_the_model(tmp_path: Path) -> None:
    side = {"height": 18, "width": 18}
    VideoMAEv2VideoProcessor(num_frames=4, crop_size=side, do_center_crop=False).save_pretrained(tmp_path)
    assert not processor_of(EvaluationRecipe(model=str(tmp_path)), tiny_config()).do_center_crop


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_size": {"height": 18, "width": 16}}, "is 18; it must be a multiple of the model's patch_size, 4"),
        ({"crop_size": {"height": 16, "width": 18}}, "is 18; it must be a multiple of the model's patch_size, 4"),
        ({"fps": 5.0}, r"has fps: 5, so that its clips differ in length; .* Set data.num_frames, or"),
        ({"do_sample_frames": False}, "has do_sample_frames: false, so that its clips differ in length"),
        ({"sampling": "sideways"}, r"^The video processor of .* cannot be used: `sampling` must be"),
    ],
)
def test_a_processor_that_does_not_fit(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    sizes = {"num_frames": 4, "size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps({**sizes, **settings}))
    with pytest.raises(RecipeError, match=message):
        processor_of(EvaluationRecipe(model=str(tmp_path)), tiny_config())


def test_a_part_of_a_video_and_its_own_rate(tmp_path: Path) -> None:
    """Frames 10 to 29 of a longer video, with the distance that their source says."""
    processor = VideoMAEv2VideoProcessor(
        num_frames=4, size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    whole, part = str(encode(tmp_path / "whole.mkv", "ffv1", 40)), str(tmp_path / "part.mkv")
    from video_files import numbered_video

    encode(part, "ffv1", frames=numbered_video(40)[10:30])
    make_views = ViewMaker(processor, 3, 2)
    found = make_views.normalise(make_views(Video(whole, whole, start=10, total=20), 2))
    expected = processor(part, num_clips=3, num_crops=2, sampling_rate=2, return_tensors="pt").pixel_values[0]
    torch.testing.assert_close(found[:-1], expected, rtol=0, atol=0)


def test_probabilities_are_averaged_over_views(model: Path, plain: Path) -> None:
    """Against one view after the other by hand, the classes in the order of the folders."""
    classifier = VideoMAEv2ForVideoClassification.from_pretrained(model).eval()
    processor = VideoMAEv2VideoProcessor.from_pretrained(model)
    found = rows(plain)
    assert len(found) == NUM_VIDEOS
    for row in (found[0], found[-1]):
        views = processor(row["path"], num_clips=2, num_crops=3, return_tensors="pt").pixel_values
        with torch.no_grad():
            by_hand = [classifier(view[None]).logits.softmax(-1)[0] for view in views[0]]
            single = classifier(**processor(row["path"], return_tensors="pt")).logits.softmax(-1)[0]
            together = classifier(views).logits.exp()[0]
        mean = torch.stack(by_hand).mean(0)
        torch.testing.assert_close(torch.tensor(row["probabilities"]), mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(torch.tensor(row["probabilities"]), together, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(torch.tensor(row["single_view_probabilities"]), single, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(torch.tensor(row["view_probabilities"]), torch.stack([*by_hand, single]))


def test_numbers_and_files_agree(plain: Path) -> None:
    found, summary = rows(plain), metrics(plain)
    right = [row["predicted"] == row["label"] for row in found]
    assert summary["multi_view"]["top1"] == pytest.approx(np.mean(right))
    single = [int(np.argmax(row["single_view_probabilities"])) == row["label"] for row in found]
    assert summary["single_view"]["top1"] == pytest.approx(np.mean(single))
    by_class = [np.mean([r for r, row in zip(right, found) if row["label"] == c]) for c in range(3)]
    assert summary["multi_view"]["mean_class_accuracy"] == pytest.approx(np.mean(by_class))
    assert summary["matched"] == "by name: the same 3 classes"
    table = list(csv.DictReader((plain / "classes.csv").open()))
    assert [float(line["multi_view_top1"]) for line in table] == pytest.approx(by_class, abs=1e-6)
    assert [row["path"] for row in found] == sorted(row["path"] for row in found)
    assert (plain / "confusion.png").stat().st_size > 1000
    assert not (plain / "parts").exists()
    assert not (plain / "unreadable.csv").exists()


def test_one_view_alone(model: Path, videos: Path, plain: Path, tmp_path: Path) -> None:
    """Computed in groups of another size, so equal but for the last bits."""
    one = ("--num_clips", "1", "--num_crops", "1", "--single_view", "false")  # or there would be none
    assert main(arguments(model, videos, tmp_path, *one)) == 0
    assert "multi_view" not in metrics(tmp_path)
    assert metrics(tmp_path)["single_view"] == metrics(plain)["single_view"]
    for row, expected in zip(rows(tmp_path), rows(plain)):
        assert row["single_view_probabilities"] == pytest.approx(expected["single_view_probabilities"], rel=1e-5)
        assert row["probabilities"] is None
        assert row["view_probabilities"] is None  # nobody asked for them


@pytest.mark.parametrize(("test", "num_clips", "size"), [("multi_view", "2", 7), ("single_view", "1", 11)])
def test_progress_in_the_log(
    model: Path, videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    test: str, num_clips: str, size: int,
) -> None:  # fmt: skip
    """After each group of videos where there is no bar; what is right so far is what the end says at the end."""
    monkeypatch.setattr(run, "LOG_EVERY", 0.0)
    caplog.set_level(logging.INFO)
    more = ["--batch_size", "21", "--num_clips", num_clips, "--num_crops", "1"]
    assert main(arguments(model, videos, tmp_path, *more)) == 0
    pattern = re.compile(r"(\d+) of 11 videos, (\d+\.\d+) videos/s, top-1 so far (\d+\.\d) %")
    lines = [found.groups() for found in map(pattern.fullmatch, caplog.messages) if found]
    assert [int(done) for done, _, _ in lines] == [*range(size, NUM_VIDEOS, size), NUM_VIDEOS]
    assert all(float(speed) > 0 for _, speed, _ in lines)
    assert float(lines[-1][-1]) == pytest.approx(100 * metrics(tmp_path)[test]["top1"], abs=0.05)


def test_many_views_alone(model: Path, videos: Path, plain: Path, tmp_path: Path) -> None:
    assert main(arguments(model, videos, tmp_path, "--single_view", "false", "--batch_size", "4")) == 0
    assert "single_view" not in metrics(tmp_path)
    assert metrics(tmp_path)["multi_view"] == metrics(plain)["multi_view"]
    assert all(row["single_view_probabilities"] is None for row in rows(tmp_path))


def test_every_kind_of_source(model: Path, videos: Path, plain: Path, tmp_path: Path) -> None:
    import datasets

    lines = labelled(videos)
    paths, labels = zip(*((Path(line.split()[0]), int(line.split()[1])) for line in lines))
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for path, label in zip(paths, labels):
            for suffix, data in ((".mp4", path.read_bytes()), (".cls", str(label).encode())):
                (tmp_path / "part").write_bytes(data)
                tar.add(tmp_path / "part", path.stem + suffix)
    features = datasets.Features({"video": datasets.Value("binary"), "label": datasets.ClassLabel(names=list(CLASSES))})
    columns = {"video": [path.read_bytes() for path in paths], "label": list(labels)}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "clips.parquet")
    for source in (
        f"kind: list, path: {listed(tmp_path, lines)}",
        f"kind: tar, path: {tmp_path / 'shard.tar'}",
        f"kind: datasets, path: {tmp_path / 'clips.parquet'}",
    ):
        more = ["--data.sources", f"[{{{source}}}]", "--data.classes", str(tmp_path / "classes.txt")]
        assert main(arguments(model, videos, tmp_path / "output", *more, "--overwrite", "true")) == 0
        found = rows(tmp_path / "output")
        assert [row["probabilities"] for row in found] == [row["probabilities"] for row in rows(plain)]
        assert [row["label"] for row in found] == list(labels)


def test_more_frames_and_a_larger_picture(model: Path, videos: Path, tmp_path: Path) -> None:
    """The position table is interpolated; here 4 x 16 becomes 8 x 20."""
    more = ["--data.num_frames", "8", "--data.image_size", "20", "--data.sampling", "uniform"]
    assert main(arguments(model, videos, tmp_path, *more)) == 0
    test = metrics(tmp_path)["test"]
    assert (test["num_frames"], test["image_size"], test["sampling"]) == (8, 20, "uniform")


def test_fewer_classes_in_the_data(videos: Path, tmp_path: Path) -> None:
    """A model of four classes, in another order: its logits are those of the cut head."""
    names = ("jumping", "rising", "turning round", "falling")
    model = save_model(tmp_path / "model", names)
    assert main(arguments(model, videos, tmp_path / "cut")) == 0
    assert main(arguments(model, videos, tmp_path / "all", "--restrict", "false")) == 0
    classifier = VideoMAEv2ForVideoClassification.from_pretrained(model).eval()
    row = rows(tmp_path / "cut")[4]
    inputs = VideoMAEv2VideoProcessor.from_pretrained(model)(row["path"], return_tensors="pt")
    with torch.no_grad():
        logits = classifier(**inputs).logits[0]
    expected = logits[[3, 1, 2]].softmax(-1)
    torch.testing.assert_close(torch.tensor(row["single_view_probabilities"]), expected, rtol=1e-5, atol=1e-6)
    free = rows(tmp_path / "all")[4]
    torch.testing.assert_close(torch.tensor(free["single_view_probabilities"]), logits.softmax(-1))
    assert (row["label_name"], free["label_name"]) == (row["label_name"], names[free["label"]])
    assert metrics(tmp_path / "cut")["classes"] == 3
    assert metrics(tmp_path / "all")["classes"] == 4


def test_a_list_of_numbers_and_a_model_without_names(videos: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", None)
    path = listed(tmp_path, labelled(videos))
    assert main(arguments(model, path, tmp_path / "output")) == 0
    assert metrics(tmp_path / "output")["matched"] == "by number: 3 classes"


def test_no_video_processor_beside_the_weights(
    model: Path, videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = shutil.copytree(model, tmp_path / "model")
    for name in ("video_preprocessor_config.json", "preprocessor_config.json"):
        (copy / name).unlink(missing_ok=True)
    assert main(arguments(copy, videos, tmp_path / "output")) == 0
    test = metrics(tmp_path / "output")["test"]
    assert (test["num_frames"], test["image_size"]) == (4, 16)
    assert f"{copy} has no video processor: frames and size are the model's, mean and deviation" in caplog.text
    changed = EvaluationRecipe(model=str(copy), data=EvaluationDataRecipe(num_frames=8, sampling="uniform"))
    processor = processor_of(changed, tiny_config())
    sides = processor.size.shortest_edge, processor.crop_size.height, processor.crop_size.width
    assert (processor.num_frames, processor.sampling, *sides) == (8, "uniform", 16, 16, 16)


def test_a_video_processor_that_cannot_be_had(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Other settings than the model's own would give other numbers."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("The Hub does not answer.")

    monkeypatch.setattr(views, "find_processor", fail)
    assert main(arguments(model, videos, tmp_path)) == 2
    assert capsys.readouterr().err.endswith("The Hub does not answer.\n")


def test_a_single_video(model: Path, tmp_path: Path) -> None:
    videos, output = write_videos(tmp_path / "videos", 1), tmp_path / "runs" / "output"  # neither folder is there
    assert main(arguments(model, videos, output, "--data.workers", "2")) == 0
    summary = metrics(output)
    assert summary["videos"] == 1
    assert summary["multi_view"]["top1"] == summary["multi_view"]["mean_class_accuracy"]


def test_names_that_are_no_text(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a class, of a damaged picture in it, and, for the encoding of the output, that of the output folder."""
    name = os.fsdecode(b"rising\xff")
    model = save_model(tmp_path / "model", classes=(CLASSES[0], name, CLASSES[2]))
    copy = shutil.copytree(videos, tmp_path / "videos")
    pictures = (copy / "rising").rename(copy / name) / "00"
    pictures.mkdir()
    (pictures / "img_00001.jpg").write_bytes(b"no picture")
    output = io.BytesIO()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="cp1252"))
    folder = Path("run:1", "фильм")  # with a colon, pyarrow would take it for an address
    assert main(arguments(model, copy, folder, "--data.max_bad_share", "0.2")) == 0
    sys.stdout.flush()
    assert r"Files are in run:1/\u0444\u0438" in output.getvalue().decode("ascii")
    found = rows(folder.resolve())
    assert {row["label_name"] for row in found} == {CLASSES[0].title(), r"rising\xff", "turning_round"}
    assert r"rising\xff/00" in next(row["error"] for row in found if row["error"])
    table = list(csv.DictReader((folder / "classes.csv").open(encoding="utf-8")))
    assert table[1]["name"] == r"rising\xff"


def test_unreadable_videos(
    model: Path, videos: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One is damaged and one is missing: named, counted in both ways, tried again when they are there."""
    copy = shutil.copytree(videos, tmp_path / "videos")
    lines = labelled(copy)
    damaged, missing = (Path(lines[i].split()[0]) for i in (1, 6))
    damaged.write_bytes(damaged.read_bytes()[:300])
    missing.unlink()
    argv = arguments(model, listed(tmp_path, lines), tmp_path / "output")
    assert main(argv) == 1
    message = capsys.readouterr().err
    assert "At least 1 of 11 videos cannot be read, more than data.max_bad_share = 0.01" in message
    assert str(damaged) in message
    assert not (tmp_path / "output" / "metrics.json").exists()

    assert main([*argv, "--data.max_bad_share", "0.2"]) == 0
    found, summary = rows(tmp_path / "output"), metrics(tmp_path / "output")
    assert [row["video"] for row in found if row["error"]] == [1, 6]
    assert (summary["videos"], summary["unreadable"]) == (11, 2)
    right = sum(row["predicted"] == row["label"] for row in found)
    assert summary["multi_view"]["top1"] == pytest.approx(right / 11)
    assert summary["otherwise"]["multi_view"]["top1"] == pytest.approx(right / 9)
    named = list(csv.DictReader((tmp_path / "output" / "unreadable.csv").open()))
    assert [row["path"] for row in named] == [str(damaged), str(missing)]
    assert [row["error"] for row in named] == [row["error"] for row in found if row["error"]]
    assert named[1]["error"] == "the file does not exist. Check the path."
    assert "2 videos could not be read and count as wrong answers" in capsys.readouterr().out

    assert main([*argv, "--data.max_bad_share", "0.2", "--data.unreadable", "exclude"]) == 0
    assert metrics(tmp_path / "output")["multi_view"] == summary["otherwise"]["multi_view"]

    for path in (damaged, missing):
        shutil.copy(videos / path.relative_to(copy), path)
    computed: list[int] = []
    classify = Classifier.__call__
    monkeypatch.setattr(
        run.Classifier,
        "__call__",
        lambda self, group: computed.extend(s.number for s in group) or classify(self, group),
    )
    assert main(argv) == 0
    assert computed == [1, 6]
    assert metrics(tmp_path / "output")["unreadable"] == 0
    assert not (tmp_path / "output" / "unreadable.csv").exists()
    for row, expected in zip(rows(tmp_path / "output"), rows(plain)):
        assert row["probabilities"] == pytest.approx(expected["probabilities"], rel=1e-5)


def test_no_video_that_can_be_read(model: Path, tmp_path: Path) -> None:
    """There are no numbers then, and no mistakes."""
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    path, output = listed(tmp_path, [f"{tmp_path / 'a.mp4'} 0"]), tmp_path / "output"
    more = ["--data.max_bad_share", "1", "--data.unreadable", "exclude"]
    assert main(arguments(model, path, output, *more)) == 0
    assert metrics(output)["multi_view"]["top1"] is None
    assert (output / "confusions.csv").read_text() == "true,predicted,videos,share\n"


def test_as_many_unreadable_videos_as_are_allowed() -> None:
    faults = [Fault(f"{i}.mp4", "it is empty") for i in range(3)]
    run.check_share(faults[:2], 200, 0.01)
    with pytest.raises(TooManyBadVideosError, match="At least 3 of 200 videos"):
        run.check_share(faults, 200, 0.01)


def test_nothing_is_computed_twice(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = arguments(model, videos, tmp_path / "output")
    assert main(argv) == 0
    before = rows(tmp_path / "output")
    monkeypatch.setattr(run.Classifier, "__call__", None)
    assert main([*argv, "--batch_size", "3", "--data.workers", "1"]) == 0
    assert rows(tmp_path / "output") == before
    other = save_model(tmp_path / "other", seed=1, classifier_dropout=0.5, drop_path_rate=0.5)  # other weights alone
    capsys.readouterr()
    assert main(arguments(other, videos, tmp_path / "output")) == 2
    assert "predictions of another evaluation (other model)" in capsys.readouterr().err
    moved = shutil.copytree(model, tmp_path / "moved")
    assert main(arguments(moved, videos, tmp_path / "output")) == 0
    monkeypatch.setattr("training.evaluation.provenance.FORMAT", 2)
    assert main(argv) == 2
    assert "predictions of another evaluation (other format)" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(arguments(other, videos, tmp_path / "output", "--overwrite", "true")) == 0
    assert rows(tmp_path / "output") != before


def test_the_same_weights_in_another_model_are_another_evaluation(
    model: Path, videos: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    copy = shutil.copytree(model, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text()) | {"hidden_act": "relu"}
    (copy / "config.json").write_text(json.dumps(config))
    assert main(arguments(copy, videos, plain, "--keep_views", "true")) == 2
    assert "predictions of another evaluation (other model)" in capsys.readouterr().err


def write_source(kind: str, folder: Path, lines: list[str]) -> str:
    """The same videos as a list, as a tar shard and as a data set; what names the source in a recipe."""
    pairs = [line.rsplit(maxsplit=1) for line in lines]
    if kind == "list":
        return str(listed(folder, lines))
    if kind == "tar":
        with tarfile.open(folder / "a.tar", "w") as tar:
            for i, (path, label) in enumerate(pairs):
                tar.add(path, f"{i}.mp4")
                (folder / "label.cls").write_text(label)
                tar.add(folder / "label.cls", f"{i}.cls")
        return str(folder / "a.tar")
    import datasets

    columns = {"video": [path for path, _ in pairs], "label": [int(label) for _, label in pairs]}
    datasets.Dataset.from_dict(columns).to_parquet(folder / "a.parquet")
    return str(folder / "a.parquet")


def test_a_video_of_a_shard_that_has_gone_keeps_its_label(videos: Path, tmp_path: Path) -> None:
    """It is an unreadable one, which counts as a wrong answer."""
    source = TarSource(write_source("tar", tmp_path, labelled(videos)[-3:]), labelled=True)
    (tmp_path / "a.tar").unlink()
    views = ViewMaker(VideoMAEv2VideoProcessor(), 1, 1)
    sample = ViewDataset(Mixture([source]), views, ClassMap(CLASSES, None, None, 3, ""))[1]
    assert (sample.name, sample.label, sample.views) == ("1.mp4", 2, None)
    assert "No such file" in sample.error


def test_another_video_of_a_shard_is_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """By its name, which is bytes and need not be text."""
    (tmp_path / "label").write_text("0")
    sources = f"[{{kind: tar, path: {tmp_path / 'a.tar'}}}]"
    for status, name in ((0, "\udcf6"), (2, "\udcf7")):
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            tar.add(next(videos.rglob("*.mp4")), f"{name}.mp4")
            tar.add(tmp_path / "label", f"{name}.cls")
        assert main(arguments(model, videos, tmp_path / "output", "--data.sources", sources)) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "other_keys", "other_first"),
    [
        ("", "", 3), (", video_column: bytes", ", video_column: bytes", 3),
        (", video_column: parts", ", video_column: parts", 3), ("", ", split: test", 0),
        ("", ", video_column: bytes", 0), (", path_pattern: '/0[0-2]'", ", path_pattern: '/0[3-5]'", 0),
        ("", ", pattern: '{}.jpg'", 0),
    ],
)  # fmt: skip
def test_other_rows_of_a_data_set_are_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, keys: str, other_keys: str,
    other_first: int,
) -> None:  # fmt: skip
    """With the same labels, so that nothing but the videos tells them apart."""
    import datasets

    paths = sorted(videos.rglob("*.mp4"), key=lambda path: path.name)[:9]
    argv = arguments(model, videos, tmp_path / "output")
    for status, first, more in ((0, 0, keys), (0, 0, keys), (2, other_first, other_keys)):
        chosen = [*paths[first:], *paths[:first]]
        contents = [path.read_bytes() for path in chosen]
        columns = {
            "video": list(map(str, chosen)), "bytes": contents, "label": [0, 1, 2] * 3,
            "parts": [{"path": None, "bytes": content} for content in contents],
        }  # fmt: skip
        rows_of_split = datasets.Dataset.from_dict(columns)
        folder = tmp_path / f"written-{len(list(tmp_path.iterdir()))}"
        datasets.DatasetDict({"train": rows_of_split, "test": rows_of_split}).save_to_disk(folder)
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        folder.rename(tmp_path / "data")
        sources = f"[{{kind: datasets, path: {tmp_path / 'data'}{more}}}]"
        assert main([*argv, "--data.sources", sources]) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


def test_a_data_set_whose_files_have_moved_is_the_same_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """As they do where `datasets` keeps them in a cache; but other files in the same places are not the same."""
    lines = labelled(videos)
    moved = [line.replace(str(videos), str(tmp_path / "moved" / "twice")) for line in lines]
    others = [lines[3], *lines[1:3], lines[0], *lines[4:]]  # with the same labels
    for status, content in ((0, lines), (0, moved), (2, others)):
        source = f"[{{kind: datasets, path: {write_source('datasets', tmp_path, content)}}}]"
        assert main(arguments(model, videos, tmp_path / "output", "--data.sources", source)) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


def test_other_parts_of_the_videos_of_a_data_set_are_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    import datasets

    path, source = str(next(videos.rglob("*.mp4"))), f"[{{kind: datasets, path: {tmp_path / 'a.parquet'}}}]"
    for status, start in ((0, 0), (2, 2)):
        columns = {"video": [path], "label": [0], "start": [start], "total": [2]}
        datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "a.parquet")
        assert main(arguments(model, videos, tmp_path / "output", "--data.sources", source)) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["list", "tar", "datasets"])
def test_corrected_labels_are_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, kind: str
) -> None:
    lines = labelled(videos)
    corrected = [lines[0][:-1] + "1", *lines[1:]]
    for status, content in ((0, lines), (0, lines), (2, corrected)):
        sources = f"[{{kind: {kind}, path: {write_source(kind, tmp_path, content)}}}]"
        assert main(arguments(model, videos, tmp_path / "output", "--data.sources", sources)) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


def test_classes_in_another_order_are_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Two of the model's three, matched by number, so that the names of the results stay those of the model."""
    for name in FOLDERS[:2]:
        shutil.copytree(videos / name, tmp_path / "videos" / name)
    for status, names in ((0, CLASSES[:2]), (0, CLASSES[:2]), (2, CLASSES[1::-1])):
        (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in names))
        more = ["--match", "id", "--data.classes", str(tmp_path / "classes.txt")]
        assert main(arguments(model, tmp_path / "videos", tmp_path / "output", *more)) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "key", "contents", "more"),
    [
        (CLASSES, "data.classes", ("\n".join(CLASSES), "one\ntwo\nthree"), "--match id"),
        (CLASSES, "model_classes", ("\n".join(CLASSES), "rising\nfalling\nturning round"), ""),
        (("up", "rising"), "renames", ('{"up": "falling"}', '{"up": "turning round"}'), "--restrict false"),
    ],
    ids=["names", "outputs", "labels"],
)
def test_classes_of_another_meaning_are_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, classes: tuple[str, ...], key: str,
    contents: tuple[str, str], more: str,
) -> None:  # fmt: skip
    path = listed(tmp_path, [line for line in labelled(videos) if line.endswith(("0", "1"))])
    data, changed = tmp_path / "data.txt", tmp_path / ("names.json" if key == "renames" else "names.txt")
    data.write_text("\n".join(classes))
    options = {"data.classes": data} | {key: changed}
    argv = arguments(model, path, tmp_path / "output", *more.split())
    for name, file in options.items():
        argv += [f"--{name}", str(file)]
    for status, content in zip((0, 2), contents):
        changed.write_text(content)
        assert main(argv) == status
    assert "predictions of another evaluation (other classes)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("--num_clips 1", "views"), ("--num_crops 1", "views"), ("--single_view false", "views"),
        ("--keep_views false", "views"), ("--data.num_frames 8", "views"), ("--data.image_size 20", "views"),
        ("--mixed_precision bf16", "precision"), ("--tf32 {not_tf32}", "precision"),
        ("--data.sources.0.sampling_rate 3", "videos"),
    ],
)  # fmt: skip
def test_other_settings_are_another_evaluation(
    model: Path, videos: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str, what: str
) -> None:
    output = shutil.copytree(plain, tmp_path / "output")
    changed = more.format(not_tf32=str(not EvaluationRecipe.tf32).lower()).split()
    assert main(arguments(model, videos, output, "--keep_views", "true", *changed)) == 2
    assert f"predictions of another evaluation (other {what})" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [
        {"sampling": "uniform"}, {"sampling_rate": 3}, {"do_resize": False}, {"size": {"shortest_edge": 17}},
        {"resample": 3}, {"do_center_crop": False}, {"crop_size": {"height": 16, "width": 20}}, {"do_rescale": False},
        {"rescale_factor": 0.5}, {"do_normalize": False}, {"image_mean": [0.4] * 3}, {"image_std": [0.4] * 3},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_another_video_processor_is_another_evaluation(
    model: Path, videos: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture, changed: dict[str, Any]
) -> None:
    output, copy = shutil.copytree(plain, tmp_path / "output"), shutil.copytree(model, tmp_path / "model")
    VideoMAEv2VideoProcessor.from_pretrained(model, **changed).save_pretrained(copy)
    assert main(arguments(copy, videos, output, "--keep_views", "true")) == 2
    assert "predictions of another evaluation (other views)" in capsys.readouterr().err


def test_other_parts_of_the_same_videos_are_another_evaluation(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """And a list that was moved is the same one, for its videos are where they were."""
    paths = [line.split()[0] for line in labelled(videos)][:3]
    for status, folder, start in ((0, "a", 0), (0, "b", 0), (2, "a", 1)):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = listed(tmp_path / folder, [f"{path} {start} 4 {i}" for i, path in enumerate(paths)])
        assert main(arguments(model, path, tmp_path / "output")) == status
    assert "predictions of another evaluation (other videos)" in capsys.readouterr().err


def test_ctrl_c_before_anything_has_begun(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.evaluation.cli.load_recipe", interrupted)
    assert main([]) == 130
    assert capsys.readouterr().err == "Stopped by Ctrl-C; the same command goes on from here.\n"


@pytest.mark.parametrize(
    ("stop", "said"), [(SystemExit(143), ""), (KeyboardInterrupt(), "Stopped by Ctrl-C; the same")]
)
def test_a_stop_in_the_middle_keeps_what_is_there(
    model: Path, videos: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture, stop: BaseException, said: str,
) -> None:  # fmt: skip
    """By SIGTERM or Ctrl-C: an exception leaves the loop, and nothing was saved on the way so far."""
    classify, calls = Classifier.__call__, []

    def stopping(self: Classifier, group: list) -> list:
        calls.append(1)
        if len(calls) == 3:
            raise stop
        return classify(self, group)

    argv = arguments(model, videos, tmp_path, "--keep_views", "true")
    monkeypatch.setattr(run.Classifier, "__call__", stopping)
    with nullcontext() if said else pytest.raises(SystemExit):
        assert main(argv) == 130
    assert said in capsys.readouterr().err
    (part,) = (tmp_path / "parts").glob("*.parquet")
    for finished in (tmp_path / "parts" / "half.parquet", tmp_path / "metrics.json"):
        with written_aside(finished) as half:
            half.touch()
        finished.rename(half)  # as if the process had been killed
    (tmp_path / "parts" / ".writing-half.parquet").touch()  # of an older version
    own = [tmp_path / name for name in (".metrics.json.swp", ".notes.20261128")]
    for path in own:
        path.touch()
    (tmp_path / ".cache.writing").mkdir()
    assert main(argv) == 0
    assert sorted(path for path in tmp_path.rglob(".*.*") if path.is_file()) == own
    assert len(calls) == 3 + 4  # of 6 groups, 2 were done
    assert rows(tmp_path) == rows(plain)
    assert not part.exists()


def test_predictions_are_saved_on_the_way(tmp_path: Path) -> None:
    """After each group, or at the end where that comes before the time to save."""
    for every, on_the_way in ((0.0, 1), (1e6, 0)):
        (tmp_path / "metrics.json").touch()
        open_store(tmp_path, {"model": "a"}, overwrite=True)
        assert not (tmp_path / "metrics.json").exists()  # they would be those of other predictions
        with PartWriter(tmp_path, every) as writer:
            writer.add([Prediction(3, "a.mp4", 0, np.ones(2)), Prediction(4, "\udcf6.mp4", 1, error="damaged")])
            assert len(list((tmp_path / "parts").iterdir())) == on_the_way
        assert open_store(tmp_path, {"model": "a"}, overwrite=False) == {3}
        (part,) = (tmp_path / "parts").iterdir()
        assert pq.read_table(part)["path"].to_pylist() == [
            "a.mp4",
            "\\xf6.mp4",
        ]  # a name is bytes, and need not be text


def test_time_between_two_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from the last one, so that a long evaluation does not leave a file for each group."""
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("training.evaluation.store.time", clock)
    open_store(tmp_path, {}, overwrite=False)
    writer, files = PartWriter(tmp_path, every=10.0), []
    for now in (9.0, 10.0, 11.0, 19.0, 20.0):
        clock.monotonic = lambda now=now: now
        writer.add([Prediction(len(files), "a.mp4", 0)])
        files.append(len(list((tmp_path / "parts").iterdir())))
    assert files == [0, 1, 1, 1, 2]
    assert sorted(pq.read_metadata(path).num_rows for path in (tmp_path / "parts").iterdir()) == [2, 3]


@pytest.mark.parametrize(("asked", "expected"), [(None, "sdpa"), ("eager", "eager")])
def test_attention_function(model: Path, asked: str | None, expected: str) -> None:
    assert load_model(EvaluationRecipe(model=str(model), attention=asked)).config._attn_implementation == expected


def test_weights_in_half_precision_compute_in_fp32(model: Path, tmp_path: Path) -> None:
    """As the recipe says, that is; autocast makes the products others."""
    VideoMAEv2ForVideoClassification.from_pretrained(model).to(torch.bfloat16).save_pretrained(tmp_path)
    weights = load_model(EvaluationRecipe(model=str(tmp_path))).parameters()
    assert {weight.dtype for weight in weights} == {torch.float32}


@pytest.mark.multiprocess
def test_workers_leave_a_request_to_stop_to_the_evaluation() -> None:
    loader = make_loader(range(8), [[i] for i in range(8)], EvaluationDataRecipe(workers=1, prefetch=1), False)
    batches = started(loader)
    assert next(batches) == [0]
    (worker,) = multiprocessing.active_children()
    ask_to_stop(worker.pid)
    assert list(batches) == [[i] for i in range(1, 8)]


def test_a_second_request_to_stop_does_not_disturb_the_first() -> None:
    before, saved = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            saved.append(1)

    with pytest.raises(SystemExit), leaving_on_sigterm():
        work()
    assert saved
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("columns", [None, {"a": [1]}, {"video": [[1]], "error": ["a"]}])
def test_damaged_part(tmp_path: Path, columns: dict[str, list] | None) -> None:
    """Cut short, of something else, or of other types."""
    path = tmp_path / "predictions.parquet"
    path.write_bytes(b"PAR1 no")
    if columns is not None:
        pq.write_table(pa.table(columns), path)
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"predictions\.parquet is damaged: .* Remove it; its videos are then"):
        open_store(tmp_path, {}, overwrite=False)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_predictions_of_which_nobody_knows_what_they_are_of(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    assert open_store(tmp_path, {"model": "a"}, overwrite=False) == set()
    (tmp_path / "evaluation.json").write_text(content)
    (tmp_path / "predictions.parquet").touch()
    with pytest.raises(RecipeError, match=r"predictions of another evaluation \(other model\)"):
        open_store(tmp_path, {"model": "a"}, overwrite=False)


def test_a_part_that_another_evaluation_takes_away(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError

    assert main(arguments(model, videos, tmp_path)) == 0
    monkeypatch.setattr("training.evaluation.store.pq.read_table", gone)
    assert main(arguments(model, videos, tmp_path)) == 2
    assert f"has gone meanwhile: another evaluation writes to {tmp_path}" in capsys.readouterr().err


ROOT = Path(__file__).parents[1]
HOLDING = """
import sys
import time
from pathlib import Path
from training.disk import FolderInUse, claim
try:
    held = claim(Path(sys.argv[1]), "a training")
    print("free", flush=True)
    sys.stdin.read()
except FolderInUse as error:
    print(error)
"""


def other_process(folder: Path) -> subprocess.Popen:
    """One that claims a folder, says how it went, and keeps it until its input ends."""
    command = [sys.executable, "-c", HOLDING, folder]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_a_folder_that_another_run_writes_to_is_refused_until_that_is_killed(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Two at once would remove each other's parts."""
    argv = arguments(model, videos, tmp_path, "--overwrite", "true")
    (tmp_path / "metrics.json").touch()
    with other_process(tmp_path) as other:
        assert other.stdout.readline() == "free\n"
        assert main(argv) == 2
        other.kill()
    message = capsys.readouterr().err
    assert re.search(
        rf"output_dir \({re.escape(str(tmp_path))}\) belongs to a training that still runs \(process {other.pid} "
        r"on .+\): wait until it has ended, or choose another output_dir\. If its machine has gone, remove "
        rf"{re.escape(str(tmp_path / '.in-use'))}\.\n",
        message,
    )
    assert (tmp_path / "metrics.json").exists()
    assert main(argv) == 0


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_an_evaluation_keeps_others_out_of_its_folder_until_it_ends(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried() -> str:
        with other_process(tmp_path) as other:
            return other.communicate()[0]

    classify, told = Classifier.__call__, []
    monkeypatch.setattr(run.Classifier, "__call__", lambda *a: told.append(tried()) or classify(*a))
    assert main(arguments(model, videos, tmp_path, "--batch_size", "100")) == 0
    gc.collect()
    assert re.match(rf"belongs to an evaluation that still runs \(process {os.getpid()} on ", *told)
    assert tried() == "free\n"


def test_an_output_dir_that_cannot_be_written_to(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").touch()
    assert main(arguments(model, videos, tmp_path / "file" / "output")) == 2
    assert f"output_dir ({tmp_path / 'file' / 'output'}) cannot be written to: " in capsys.readouterr().err


def test_bf16(model: Path, videos: Path, plain: Path, tmp_path: Path) -> None:
    assert main(arguments(model, videos, tmp_path, "--mixed_precision", "bf16")) == 0
    for row, expected in zip(rows(tmp_path), rows(plain)):
        assert row["probabilities"] == pytest.approx(expected["probabilities"], abs=0.05)
        assert row["probabilities"] != expected["probabilities"]


def test_outputs_that_are_not_finite(model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    classifier = VideoMAEv2ForVideoClassification.from_pretrained(model)
    with torch.no_grad():
        classifier.classifier.weight.fill_(torch.inf)
    copy = shutil.copytree(model, tmp_path / "model")
    classifier.save_pretrained(copy)
    assert main(arguments(copy, videos, tmp_path / "output")) == 1
    assert "are not finite" in capsys.readouterr().err


def test_too_little_memory_is_said_in_words(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")

    monkeypatch.setattr(Classifier, "__call__", too_large)
    assert main(arguments(model, videos, tmp_path, "--batch_size", "3")) == 1
    error = capsys.readouterr().err
    assert "Tried to allocate 2.00 GiB.\nThe memory is too small for 3 clips at once: lower batch_size." in error
    assert "Traceback" not in error


def test_a_single_view_that_is_not_finite(model: Path) -> None:
    """As half precision can do it; it would make the mean of the views no number, and count as a wrong answer."""
    network = VideoMAEv2ForVideoClassification.from_pretrained(model).eval()
    spoilt = torch.tensor([1.0, torch.nan, 1.0])[:, None]
    network.classifier.register_forward_hook(lambda module, inputs, outputs: outputs * spoilt)
    views = ViewMaker(VideoMAEv2VideoProcessor.from_pretrained(model), 2, 1)
    classifier = Classifier(network, views, None, batch_size=8, device=torch.device("cpu"))
    clips = torch.zeros(views.num_views, 4, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(FloatingPointError, match=r"outputs for film\.mp4 are not finite"):
        classifier([Sample(0, "film.mp4", 0, clips)])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{0} 0", "{1} 7"], "The data has the label 7"),
        (["{0} 1", "{1} -1"], "labels start from 0"),
        (["{0}"], "a line must be one of"),
    ],
)
def test_wrong_labels(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, lines: list[str], message: str
) -> None:
    paths = [line.split()[0] for line in labelled(videos)]
    path = listed(tmp_path, [line.format(*paths) for line in lines])
    assert main(arguments(model, path, tmp_path / "output")) == 2
    assert message in capsys.readouterr().err


def test_a_test_set_without_labels(model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """They are -1 then."""
    import datasets

    paths = [line.split()[0] for line in labelled(videos)][:3]
    columns = {"video": paths, "label": [0, 1, -1]}
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "clips.parquet")
    more = ["--data.sources", f"[{{kind: datasets, path: {tmp_path / 'clips.parquet'}}}]"]
    assert main(arguments(model, videos, tmp_path / "output", *more)) == 2
    assert f"{paths[2]} has the label -1 in the column `label`" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 1}, {"num_hidden_layers": 3}, {"intermediate_size": 64}])
def test_weights_that_do_not_fit_the_configuration(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, changes: dict[str, int]
) -> None:
    """Blocks that are left over, are missing, or have another width: it would be another model."""
    copy = shutil.copytree(model, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text()) | changes
    (copy / "config.json").write_text(json.dumps(config))
    assert main(arguments(copy, videos, tmp_path / "output")) == 2
    message = capsys.readouterr().err
    assert f"{copy} cannot be loaded: The weights of {copy} do not fit" in message
    assert "videomae_v2.layers." in message
    assert message.endswith(
        "\nTake the config.json that was saved with the weights, with nothing in it changed; if it is that one, the "
        "weights are not whole: copy or save them again.\n"
    )


@pytest.mark.parametrize("name", ["model.safetensors", "video_preprocessor_config.json"])
def test_a_damaged_file_of_the_model_is_named(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    copy = shutil.copytree(model, tmp_path / "model")
    (copy / name).write_bytes((copy / name).read_bytes()[:100])
    assert main(arguments(copy, videos, tmp_path / "output")) == 2
    assert f"cannot be loaded: {copy / name} is no" in capsys.readouterr().err


def test_a_full_disk_is_said(model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "output"
    with full_disk(100):
        assert main(arguments(model, videos, output)) == 1
    assert f"{output / 'evaluation.json'} cannot be written: File too large." in capsys.readouterr().err
    assert [path for path in output.rglob("*") if path.is_file()] == [output / ".in-use"]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_video_that_no_view_fits_into(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, workers: int
) -> None:
    """It can be read, so that it is no unreadable video that may be counted as a wrong answer."""
    unresized, lines = write_a_small_one(model, videos, tmp_path)
    argv = arguments(unresized, lines, tmp_path / "output", "--data.max_bad_share", "1")
    assert main([*argv, "--data.workers", str(workers)]) == 1
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "small.mp4" in line)
    assert line.startswith(f"{tmp_path / 'small.mp4'} cannot be evaluated: `num_crops` = 3 needs frames of at least")


def test_no_classifier(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tiny_model(VideoMAEv2ForPreTraining).save_pretrained(tmp_path / "model")
    assert main(arguments(tmp_path / "model", videos, tmp_path / "output")) == 2
    assert "is no classifier, it has no classifier.bias" in capsys.readouterr().err
    tiny_model(
        VideoMAEv2ForVideoClassification, num_labels=3, problem_type="multi_label_classification"
    ).save_pretrained(tmp_path / "several")
    assert main(arguments(tmp_path / "several", videos, tmp_path / "output")) == 2
    assert "`problem_type` is 'multi_label_classification'" in capsys.readouterr().err
    assert main(arguments(tmp_path / "nothing", videos, tmp_path / "output")) == 2
    assert f"{tmp_path / 'nothing'} cannot be loaded: There is no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num_clips", "0"], "num_clips must be at least 1, got 0"),
        (["--num_clips", "1000000"], "`num_clips` (1000000) x `num_crops` (3) views of 4 frames would take 8.6 GiB"),
        (["--data.image_size", "400000"], "for each video. Ask for fewer frames or a smaller picture."),
        (["--num_crop", "3"], "did you mean `num_crops`"),
        (["--finetune", "runs/tuned/model"], "`finetune` is no key of a recipe; did you mean `model`?"),
        (["--test_num_segment", "5"], "did you mean `num_clips`?"),
        (["--short_side_size", "224"], "did you mean `data.image_size`?"),
        (["--data.sources", "[]"], "data.sources is empty"),
        (["--data.sources", "[{kind: folder, path: nowhere}]"], "nowhere"),
        (["--data.sources", "[{kind: datasets, path: x, streaming: true}]"], "streaming must be false"),
        (["--data.sources.0.path_pattern", "("], "data.sources.0.path_pattern (() is no regular expression"),
        (["--data.sources.0.pattern", "x.jpg"], "data.sources.0.pattern (x.jpg) must hold the place of a number"),
        (["--match", "id", "--renames", "x.json"], "renames has no effect"),
        (["--mixed_precision", "fp16"], "fp16 needs a GPU"),
        (["--data.classes", "nowhere.txt"], "data.classes: There is no label file nowhere.txt"),
        (["--data.max_bad_share", "2"], "must lie in [0, 1]"),
        (["--data.num_frames", "3"], "data.num_frames (or what the video processor of"),
        (["--data.image_size", "18"], "is 18; it must be a multiple of the model's patch_size, 4"),
        (["--attention", "flsh"], "attention (flsh) is no attention function; there are: eager, "),
        (["--output_dir", "''"], "output_dir is missing"),
        (["--output_dir", "s3://me/test"], "output_dir (s3://me/test) is an address; name a folder"),
    ],
)
def test_wrong_recipes(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], message: str
) -> None:
    assert main(arguments(model, videos, tmp_path / "output", *more)) == 2
    assert message in capsys.readouterr().err


def test_an_engine_that_does_not_evaluate(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert main(arguments(model, videos, tmp_path)) == 2
    assert capsys.readouterr().err.startswith("Evaluation does not run with DeepSpeed; use training/accelerate/ddp")


def test_processes_part_where_they_have_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not within an evaluation around; after an error, without a wait for the others."""
    recipe, parted = EvaluationRecipe(device="cpu"), []
    monkeypatch.setattr(PartialState, "destroy_process_group", lambda *_: parted.append("group"))
    with joined(recipe) as state:
        with joined(recipe):
            pass
        assert state.initialized
        assert not parted
    assert not state.initialized
    with pytest.raises(FloatingPointError), joined(recipe):
        raise FloatingPointError("No.")
    assert parted == ["group"]

    def fail(recipe: EvaluationRecipe) -> None:
        assert state.initialized
        raise RuntimeError("No.")

    monkeypatch.setattr("training.evaluation.processes.set_up_torch", fail)
    with pytest.raises(RuntimeError, match=r"^No\.$"), joined(recipe):
        pass
    assert not state.initialized
    assert parted == ["group"]


@pytest.mark.parametrize(
    ("error", "status", "spoken_by"),
    [
        (RecipeError("reason"), 2, [0]),  # the same on all processes
        (FailedElsewhereError("reason"), 1, [0]),
        (TooManyBadVideosError("reason"), 1, [0, 1]),
        (EvaluationError("reason"), 1, [0, 1]),
        (FloatingPointError("reason"), 1, [0, 1]),
        (ImportError("reason"), 1, [0, 1]),
        (OSError("reason"), 1, [0, 1]),
        (KeyboardInterrupt("reason"), 130, [0]),
    ],
)
def test_which_process_says_how_an_evaluation_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, error: BaseException, status: int,
    spoken_by: list[int],
) -> None:  # fmt: skip
    def fail(recipe: EvaluationRecipe) -> None:
        raise error

    waited: list[float] = []
    monkeypatch.setattr(run, "evaluate", fail)
    monkeypatch.setattr(time, "sleep", waited.append)
    for rank in (0, 1):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert main(arguments(Path("model"), Path("videos"), Path("output"))) == status
        said = capsys.readouterr().err
        assert (said.endswith("reason\n") or said.startswith("Stopped by Ctrl-C")) == (rank in spoken_by)
        assert bool(waited) == (rank not in spoken_by)  # or the launcher would end the first one before it has spoken


def test_a_request_to_stop_ends_with_the_status_of_the_signal() -> None:
    """And outside of the main thread, where nobody sends signals, nothing is changed."""
    with pytest.raises(SystemExit) as stop, leaving_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM

    def work() -> str:
        with leaving_on_sigterm():
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "done"


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("kinetics", (5, 3, 16, "dense", 4, 224)),
        ("kinetics_64x266", (2, 3, 64, "dense", 2, 266)),
        ("ssv2", (2, 3, 16, "uniform", None, 224)),
    ],
)
def test_published_protocols(name: str, test: tuple) -> None:
    """Views and inputs of Tables 3, 4, 6, 14 and 15."""
    path = Path(__file__).parents[1] / "training" / "recipes" / f"evaluate_{name}.yaml"
    recipe = load_recipe(["--config", str(path), "--model", "x", "--output_dir", "y"], EvaluationRecipe)
    data = recipe.data
    found = (recipe.num_clips, recipe.num_crops, data.num_frames, data.sampling, data.sampling_rate, data.image_size)
    assert found == test
    assert not any(Path(source.path).is_absolute() for source in data.sources)


def test_every_knob_is_documented(capsys: pytest.CaptureFixture) -> None:
    assert all(len(line.split(": ", 1)[1]) > 5 for line in describe(EvaluationRecipe))
    with pytest.raises(SystemExit):
        load_recipe(["--help"], EvaluationRecipe)
    assert "--data.max_bad_share" in capsys.readouterr().out
