# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 export`: the files compute what the model computes, for any batch, and say how to feed them."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from full_disk import full_disk
from systems import FILE_EXISTS
from tiny import LABELS, clips, tiny_model
from typer.testing import CliRunner

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
)
from modeling_videomae_v2.cli import app
from modeling_videomae_v2.inference import exporting
from modeling_videomae_v2.inference.loading import load_checkpoint


SIZES = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}, "num_frames": 4, "sampling_rate": 3}


def save(folder: Path, model_class: type, **settings) -> Path:
    tiny_model(model_class, num_hidden_layers=1, **settings).save_pretrained(folder)
    VideoMAEv2VideoProcessor(**SIZES, num_clips=2, image_mean=[0.5, 0.4, 0.3]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), VideoMAEv2ForVideoClassification)


def run(*arguments: object):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def run_file(path: Path, pixel_values: torch.Tensor) -> torch.Tensor:
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(pixel_values=pixel_values)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"pixel_values": pixel_values.numpy()})[0])


def need(suffix: str) -> None:
    if suffix == ".onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(name)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_classifier_for_any_batch(classifier: Path, tmp_path: Path, suffix: str) -> None:
    need(suffix)
    path = tmp_path / "new" / f"model{suffix}"
    result = run(classifier, path)
    assert result.exit_code == 0, result.output
    assert "Largest difference to PyTorch" in result.stderr
    assert result.stdout.split()[0] == str(path)
    model = VideoMAEv2ForVideoClassification.from_pretrained(classifier)
    for batch in (1, 2, 5):
        with torch.no_grad():
            expected = model(clips(batch)).logits
        torch.testing.assert_close(run_file(path, clips(batch)), expected, atol=1e-4, rtol=1e-4)

    about = json.loads((tmp_path / "new" / f"model{suffix}.json").read_text())
    assert about["input"]["shape"] == ["batch", 4, 3, 16, 16]
    assert about["output"]["shape"] == ["batch", LABELS]
    assert about["labels"] == [model.config.id2label[i] for i in range(LABELS)]
    assert about["preprocessing"]["mean"] == [0.5, 0.4, 0.3]
    assert about["preprocessing"]["resize"] == {
        "size": {"shortest_edge": 20}, "interpolation": "bilinear", "antialias": True,
    }  # fmt: skip
    assert about["sampling"] == {
        "num_frames": 4, "sampling": "dense", "sampling_rate": 3, "num_clips": 2, "num_crops": 1,
    }  # fmt: skip
    assert about["checked"]["largest_error"] < 1e-4
    assert sorted(file.name for file in path.parent.iterdir()) == [f"model{suffix}", f"model{suffix}.json"]


def test_a_class_whose_name_is_no_text(tmp_path: Path) -> None:
    """As after training on a folder of classes that an old system has named."""
    names = [f"class {i}" for i in range(LABELS - 1)] + ["caf\udce9"]
    model = save(tmp_path / "model", VideoMAEv2ForVideoClassification, id2label=dict(enumerate(names)))
    result = run(model, tmp_path / "m.pt2")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "m.pt2.json").read_text(encoding="utf-8"))["labels"] == names


@pytest.mark.parametrize(
    ("model_class", "suffix"),
    [
        (VideoMAEv2Model, ".pt2"),
        (VideoMAEv2ForPreTraining, ".pt2"),
        pytest.param(VideoMAEv2Model, ".onnx", marks=pytest.mark.slow),
        pytest.param(VideoMAEv2ForPreTraining, ".onnx", marks=pytest.mark.slow),
    ],
)
def test_features(tmp_path: Path, model_class: type, suffix: str) -> None:
    need(suffix)
    folder, path = save(tmp_path / "model", model_class), tmp_path / f"features{suffix}"
    assert run(folder, path).exit_code == 0
    with torch.no_grad():
        expected = VideoMAEv2Model.from_pretrained(folder)(clips(3)).pooler_output
    torch.testing.assert_close(run_file(path, clips(3)), expected, atol=1e-4, rtol=1e-4)
    about = json.loads((tmp_path / f"features{suffix}.json").read_text())
    assert (about["output"]["name"], about["output"]["shape"]) == ("features", ["batch", 32])
    assert "labels" not in about


def test_a_classifier_gives_features_too(classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / ("f" * 240 + ".pt2")  # as long as a name may be with what is added to it
    assert run(classifier, path, "--task", "features").exit_code == 0
    with torch.no_grad():
        expected = VideoMAEv2Model.from_pretrained(classifier)(clips(2)).pooler_output
    torch.testing.assert_close(run_file(path, clips(2)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("suffix", [pytest.param(".onnx", marks=pytest.mark.slow), ".pt2"])
def test_views_are_averaged_in_the_file(classifier: Path, tmp_path: Path, suffix: str) -> None:
    need(suffix)
    path = tmp_path / f"views{suffix}"
    assert run(classifier, path, "--views", 3).exit_code == 0
    views = clips(6).unflatten(0, (2, 3))
    with torch.no_grad():
        expected = VideoMAEv2ForVideoClassification.from_pretrained(classifier)(views).logits
    torch.testing.assert_close(run_file(path, views), expected, atol=1e-4, rtol=1e-4)
    about = json.loads((tmp_path / f"views{suffix}.json").read_text())
    assert about["input"]["axes"][1] == "views"
    assert about["sampling"] == {"num_frames": 4, "sampling": "dense", "sampling_rate": 3}  # not two clips, for 3 views


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "dtype"), [(".onnx", "float16"), (".pt2", "float16"), (".pt2", "bfloat16")])
def test_half_precision(classifier: Path, tmp_path: Path, suffix: str, dtype: str) -> None:
    need(suffix)
    path = tmp_path / f"half{suffix}"
    result = run(classifier, path, "--dtype", dtype)
    assert result.exit_code == 0, result.output
    model = VideoMAEv2ForVideoClassification.from_pretrained(classifier)
    with torch.no_grad():
        expected = model(clips(2)).logits
    found = run_file(path, clips(2).to(getattr(torch, dtype)))
    assert found.dtype == getattr(torch, dtype)
    torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=0.1)


@pytest.mark.parametrize(
    ("settings", "views", "meaning"),
    [
        ({}, 1, "logits: softmax gives the scores"),
        ({}, 2, "log of the mean of the views' softmax"),
        ({"problem_type": "multi_label_classification"}, 2, "logits (multi_label_classification)"),
        ({"num_labels": 1}, 1, "logits (regression)"),
    ],
)
def test_a_description_says_what_the_numbers_are(
    tmp_path: Path, settings: dict[str, object], views: int, meaning: str
) -> None:
    folder = save(tmp_path, VideoMAEv2ForVideoClassification, **settings)
    checkpoint = load_checkpoint(str(folder), "classification", device="cpu")
    assert exporting.describe(checkpoint, "torch", "float32", "classification", views)["output"]["meaning"] == meaning


def test_a_description_leaves_out_what_is_not_done(classifier: Path, tmp_path: Path) -> None:
    off = dict.fromkeys(("do_resize", "do_rescale", "do_normalize", "do_center_crop"), False)
    VideoMAEv2VideoProcessor(num_frames=4, **off).save_pretrained(tmp_path)
    checkpoint = load_checkpoint(str(classifier), "classification", device="cpu", processor=str(tmp_path))
    about = exporting.describe(checkpoint, "torch", "float32", "classification", 1)
    assert about["input"]["shape"] == ["batch", 4, 3, 16, 16]
    named = ("rescale_factor", "mean", "std", "resize", "centre_crop")
    assert [about["preprocessing"][name] for name in named] == [1.0, [0.0] * 3, [1.0] * 3, None, None]


def test_large_weights_go_into_a_file_beside(classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(".onnx")
    monkeypatch.setattr(exporting, "MAX_EMBEDDED_BYTES", 1000)
    path = tmp_path / "m.onnx"
    result = run(classifier, path)
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data", "m.onnx.json"]
    weights = sum(p.numel() * 4 for p in VideoMAEv2ForVideoClassification.from_pretrained(classifier).parameters())
    assert (tmp_path / "m.onnx.data").stat().st_size > 0.8 * weights
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("m.onnx", "m.onnx.data"):  # the graph finds its weights beside itself
        (tmp_path / name).rename(moved / name)
    with torch.no_grad():
        expected = VideoMAEv2ForVideoClassification.from_pretrained(classifier)(clips(2)).logits
    torch.testing.assert_close(run_file(moved / "m.onnx", clips(2)), expected, atol=1e-4, rtol=1e-4)

    (tmp_path / "m.onnx.data").write_text("mine")
    result = run(classifier, path)
    assert "There is already" in result.stderr
    assert (tmp_path / "m.onnx.data").read_text() == "mine"
    monkeypatch.undo()
    assert run(classifier, path, "--overwrite").exit_code == 0
    assert not (tmp_path / "m.onnx.data").exists()  # that of an older file, which this one does not need


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda outputs: outputs * 1.001, "differs from PyTorch"),
        (lambda outputs: outputs * torch.nan, "differs from PyTorch by nan"),
        (lambda outputs: outputs[:, :1], f"gives shape (1, 1) for a batch of 1, PyTorch (1, {LABELS})"),
    ],
)
def test_a_file_that_is_wrong_is_not_kept(
    spoil: Callable[[torch.Tensor], torch.Tensor],
    words: str,
    classifier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong(exporting.Graph):
        def forward(self, pixel_values):
            outputs = super().forward(pixel_values)
            return spoil(outputs) if torch.compiler.is_compiling() else outputs

    monkeypatch.setattr(exporting, "Graph", Wrong)
    result = run(classifier, tmp_path / "m.pt2")
    assert result.exit_code == 1
    assert words in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [pytest.param(".onnx", marks=pytest.mark.slow), ".pt2"])
def test_a_full_disk_is_said(classifier: Path, tmp_path: Path, suffix: str) -> None:
    need(suffix)
    with full_disk():
        result = run(classifier, tmp_path / f"model{suffix}")
    assert result.exit_code == 1
    assert f"model{suffix} cannot be written: File too large" in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays_unless_asked(classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_text("mine")
    result = run(classifier, path)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert path.read_text() == "mine"
    assert run(classifier, path, "--overwrite").exit_code == 0
    assert path.stat().st_size > 1000
    device = tmp_path / "device.pt2"
    device.symlink_to("/dev/null")
    assert "is no file that can be replaced" in " ".join(run(classifier, device, "--overwrite").stderr.split())
    assert device.is_symlink()


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_extra_names_itself(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    need(".onnx")
    monkeypatch.setitem(sys.modules, name, None)
    result = run(classifier, tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert 'pip install "modeling-videomae-v2[export]"' in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("m.bin",), "does not tell the format"),
        (("",), "is a folder. Name the file in it, such as"),
        (("m.bin", "--format", "tflite"), "must be one of"),
        (("m.onnx", "--dtype", "bfloat16"), "--format torch"),
        (("m.pt2", "--dtype", "int8"), "must be one of"),
        (("m.pt2", "--task", "detection"), "must be one of"),
        (("m.pt2", "--task", "features", "--views", "3"), "Leave it out"),
    ],
)
def test_wrong_wishes_are_refused(classifier: Path, tmp_path: Path, arguments: tuple, words: str) -> None:
    result = run(classifier, tmp_path / arguments[0], *arguments[1:])
    assert result.exit_code == 1
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_none_is_said(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "(s3:/me/m.pt2) is an address" in run(classifier, "s3://me/m.pt2").stderr
    assert not Path("s3:").exists()
    result = run(classifier, tmp_path / "file" / "m.pt2")
    assert result.exit_code == 1
    folder = re.escape(str(tmp_path / "file"))
    assert re.search(rf"The folder {folder} cannot be made: {FILE_EXISTS}\. Name another place", result.stderr)


def test_clips_of_all_lengths_are_none_for_a_file(classifier: Path, tmp_path: Path) -> None:
    VideoMAEv2VideoProcessor(fps=4.0).save_pretrained(tmp_path / "processor")
    result = run(classifier, tmp_path / "m.pt2", "--processor", tmp_path / "processor")
    assert result.exit_code == 1
    assert "takes 4 frames a second, so that clips differ in length" in " ".join(result.stderr.split())
    assert not (tmp_path / "m.pt2").exists()


def test_a_model_without_a_classifier_is_none(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", VideoMAEv2ForPreTraining)
    result = run(folder, tmp_path / "m.pt2", "--task", "classification")
    assert result.exit_code == 1
    assert "no classifier" in result.stderr
