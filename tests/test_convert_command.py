# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 convert`: files and folders of every origin, to ours and back, by numbers."""

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from crafted_pickles import EXECUTING
from foreign_repositories import (
    ARCH,
    MEAN,
    clips,
    randomised,
    stock_config,
    write_opengvlab,
    write_transformers,
)
from full_disk import full_disk
from naive_reference import Arch, random_finetune_state_dict, random_pretrain_state_dict
from safetensors.torch import save_file
from transformers import (
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEImageProcessor,
    VideoMAEVideoProcessor,
    pipeline,
)
from typer.testing import CliRunner

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
    tube_mask,
)
from modeling_videomae_v2.cli import app
from modeling_videomae_v2.conversion.architecture import UnseenSettings
from modeling_videomae_v2.conversion.converting import convert_checkpoint
from modeling_videomae_v2.convert_videomae_v2 import convert_state_dict
from modeling_videomae_v2.writing import file_for_torch, naming, written_aside


TINY = ["--num-attention-heads", "4", "--image-size", "32"]
TINY_PRETRAINING = [*TINY, "--decoder-num-attention-heads", "2"]


def run(*args: Any) -> str:
    """Output of a conversion that ends well."""
    result = CliRunner().invoke(app, ["convert", *map(str, args)])
    assert result.exit_code == 0, result.output
    return result.output


def refusal(*args: Any) -> str:
    """What a conversion that must fail says; never a traceback."""
    result = CliRunner().invoke(app, ["convert", *map(str, args)])
    assert result.exit_code in (1, 2), result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def save(path: Path, weights: dict[str, torch.Tensor], **kwargs: Any) -> Path:
    torch.save({"model": weights, "epoch": 3, "args": argparse.Namespace(lr=1e-3, model="vit")}, path, **kwargs)
    return path


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["model"]


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []


@pytest.fixture
def finetuned() -> dict[str, torch.Tensor]:
    return random_finetune_state_dict(ARCH, seed=0)


# ---- official


@pytest.mark.parametrize("layer_scale", [0.0, 0.1])
@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize("kind", ["classification", "pretraining", "encoder"])
def test_official_to_ours_and_back(kind: str, qkv_bias: bool, layer_scale: float, tmp_path: Path) -> None:
    arch = Arch(qkv_bias=qkv_bias, layer_scale_init_value=layer_scale)
    official = (random_pretrain_state_dict if kind == "pretraining" else random_finetune_state_dict)(arch, seed=0)
    if kind == "encoder":
        official = {key: tensor for key, tensor in official.items() if not key.startswith("head.")}
    classes = {
        "classification": VideoMAEv2ForVideoClassification,
        "pretraining": VideoMAEv2ForPreTraining,
        "encoder": VideoMAEv2Model,
    }
    save(tmp_path / "theirs.pth", official)
    output = run(tmp_path / "theirs.pth", tmp_path / "ours", *(TINY_PRETRAINING if kind == "pretraining" else TINY))
    assert classes[kind].__name__ in output

    model = classes[kind].from_pretrained(tmp_path / "ours")
    assert_same(dict(model.state_dict()), convert_state_dict(official))
    fields = {name: value for name, value in asdict(arch).items() if name not in ("layer_scale_init_value",)}
    if kind != "classification":
        fields.pop("num_labels")
    if kind != "pretraining":
        fields = {name: value for name, value in fields.items() if not name.startswith("decoder_")}
    assert {name: getattr(model.config, name) for name in fields} == fields
    assert bool(model.config.layer_scale_init_value) == bool(layer_scale)

    run(tmp_path / "ours", tmp_path / "back.pth", "--to", "official")
    assert_same(weights_of(tmp_path / "back.pth"), official)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda sd: sd,
        lambda sd: {"module": sd, "ds_version": "0.8", "buffer_names": []},
        lambda sd: {"model": {f"module._orig_mod.{k}": v for k, v in sd.items()}},
        lambda sd: {"state_dict": {f"backbone.{k}": v for k, v in sd.items()}},
    ],
    ids=["bare", "DeepSpeed", "compiled", "backbone"],
)
@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_containers_and_formats(finetuned, wrap, new: bool, tmp_path: Path) -> None:
    torch.save(wrap(finetuned), tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    run(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours")
    assert_same(dict(model.state_dict()), convert_state_dict(finetuned))


def test_deepspeed_folder(finetuned, tmp_path: Path) -> None:
    step = tmp_path / "run/checkpoint-9"
    step.mkdir(parents=True)
    torch.save({"module": finetuned}, step / "mp_rank_00_model_states.pt")
    (tmp_path / "run/latest").write_text("checkpoint-9\n")
    run(step, tmp_path / "a", *TINY)
    run(tmp_path / "run", tmp_path / "b", *TINY)
    shutil.copy(step / "mp_rank_00_model_states.pt", step / "mp_rank_01_model_states.pt")
    assert "2 parts" in refusal(step, tmp_path / "c", *TINY)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/latest").write_text("../run/checkpoint-9")
    assert "holds no weights" in refusal(tmp_path / "other", tmp_path / "c", *TINY)


def test_safetensors_file(finetuned, tmp_path: Path) -> None:
    save_file({key: tensor.clone() for key, tensor in finetuned.items()}, tmp_path / "a.safetensors")
    run(tmp_path / "a.safetensors", tmp_path / "ours", *TINY)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours")
    assert_same(dict(model.state_dict()), convert_state_dict(finetuned))


def test_a_folder_without_configuration(finetuned, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    save_file({key: tensor.clone() for key, tensor in finetuned.items()}, tmp_path / "theirs/model.safetensors")
    run(tmp_path / "theirs", tmp_path / "ours", *TINY)
    assert VideoMAEv2Config.from_pretrained(tmp_path / "ours").num_attention_heads == 4


def test_half_precision_stays(finetuned, tmp_path: Path) -> None:
    halves = {key: tensor if "norm" in key else tensor.half() for key, tensor in finetuned.items()}
    save(tmp_path / "a.pth", halves)  # most of them decide
    assert "float16" in run(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_integers_are_no_weights(finetuned, name: str, tmp_path: Path) -> None:
    whole = {key: tensor.to(torch.int8) for key, tensor in finetuned.items()}
    (save_file if name.endswith("safetensors") else torch.save)(whole, tmp_path / name)
    said = refusal(tmp_path / name, tmp_path / "ours", *TINY)
    assert f"{name}: '" in said
    assert "weights are expected" in said
    assert not (tmp_path / "ours").exists()


def test_many_shards(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    run(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--shard-size", "50KB")
    shards = list((tmp_path / "ours").glob("model-*.safetensors"))
    assert len(shards) > 3
    index = json.loads((tmp_path / "ours/model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {path.name for path in shards}
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in finetuned.values())
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours")
    assert_same(dict(model.state_dict()), convert_state_dict(finetuned))
    run(tmp_path / "ours", tmp_path / "back.pt", "--to", "official")
    assert_same(weights_of(tmp_path / "back.pt"), finetuned)


def test_the_folder_is_complete(finetuned, tmp_path: Path) -> None:
    """As `save_pretrained` writes it: weights, configuration, code, processor."""
    save(tmp_path / "a.pth", finetuned)
    run(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--sampling", "uniform", "--num-frames", "16")
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours")
    processor = VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "ours")
    assert (processor.sampling, processor.num_frames, processor.size.shortest_edge) == ("uniform", 16, 32)
    model.save_pretrained(tmp_path / "saved")
    processor.save_pretrained(tmp_path / "saved")
    names = [{path.name for path in (tmp_path / folder).iterdir()} for folder in ("ours", "saved")]
    assert names[0] == names[1]
    configs = [json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("ours", "saved")]
    assert configs[0] == configs[1]
    assert not list(tmp_path.glob(".*")), "nothing is left over"
    modes = {path.stat().st_mode for path in (tmp_path / "ours").iterdir()}
    assert len(modes) == 1


def test_patch_and_tubelet_are_read(tmp_path: Path) -> None:
    arch = Arch(patch_size=4, tubelet_size=4, num_frames=8, num_channels=1)
    save(tmp_path / "a.pth", random_finetune_state_dict(arch, seed=0))
    run(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--num-frames", 8)
    config = VideoMAEv2Config.from_pretrained(tmp_path / "ours")
    assert (config.patch_size, config.tubelet_size, config.num_channels, config.num_frames) == (4, 4, 1, 8)
    processor = VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "ours")
    assert (processor.num_frames, processor.crop_size.height, processor.crop_size.width) == (8, 32, 32)


def test_the_place_of_the_norm_is_read(tmp_path: Path) -> None:
    arch = Arch(use_mean_pooling=False)
    save(tmp_path / "a.pth", random_finetune_state_dict(arch, seed=0))
    run(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    assert VideoMAEv2Config.from_pretrained(tmp_path / "ours").use_mean_pooling is False


def test_known_widths_need_no_heads(tmp_path: Path) -> None:
    """Width 384 is ViT-S, its decoder 192; whatever the depth."""
    arch = Arch(
        hidden_size=384, num_attention_heads=6, intermediate_size=32, num_hidden_layers=1, decoder_hidden_size=192,
        decoder_num_attention_heads=3, decoder_num_hidden_layers=1, decoder_intermediate_size=16,
    )  # fmt: skip
    save(tmp_path / "a.pth", random_pretrain_state_dict(arch, seed=0))
    run(tmp_path / "a.pth", tmp_path / "ours")
    config = VideoMAEv2Config.from_pretrained(tmp_path / "ours")
    assert (config.num_attention_heads, config.decoder_num_attention_heads) == (6, 3)
    assert (config.num_frames, config.image_size) == (16, 224)
    run(tmp_path / "a.pth", tmp_path / "others", "--num-attention-heads", 12)
    assert VideoMAEv2Config.from_pretrained(tmp_path / "others").num_attention_heads == 12


# ---- repositories


@pytest.mark.parametrize("pickled", [False, True])
def test_opengvlab_folder(finetuned, pickled: bool, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    write_opengvlab(tmp_path / "theirs", finetuned, pickled=pickled, sentinel=tmp_path / "sentinel")
    run(tmp_path / "theirs", tmp_path / "ours")
    model = VideoMAEv2Model.from_pretrained(tmp_path / "ours")
    with torch.no_grad():
        expected = VideoMAEv2Model.from_pretrained(tmp_path / "theirs")(clips()).pooler_output
        assert torch.equal(model(clips()).pooler_output, expected)
    assert list(VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "ours").image_mean) == MEAN
    assert not (tmp_path / "sentinel").exists()


@pytest.mark.parametrize("old", [False, True])
def test_transformers_folder(old: bool, tmp_path: Path) -> None:
    names = {i: f"class {i}" for i in range(7)}
    config = stock_config(id2label=names, label2id={name: i for i, name in names.items()}, layer_norm_eps=1e-6)
    stock = randomised(VideoMAEForVideoClassification(config))
    write_transformers(tmp_path / "theirs", stock, old)
    run(tmp_path / "theirs", tmp_path / "ours")
    run(tmp_path / "ours", tmp_path / "back", "--to", "transformers")
    again = VideoMAEForVideoClassification.from_pretrained(tmp_path / "back")
    assert_same(dict(again.state_dict()), dict(stock.state_dict()))
    assert again.config.id2label == names
    assert again.config.layer_norm_eps == 1e-6
    assert list(VideoMAEVideoProcessor.from_pretrained(tmp_path / "back").image_mean) == MEAN


def test_clips_are_as_long_as_the_processor_of_the_folder_says(tmp_path: Path) -> None:
    """Where it says it: a model interpolates the positions of longer clips than it was made for."""
    config = VideoMAEv2Config(**asdict(Arch(num_frames=4)))
    VideoMAEv2ForVideoClassification(config).save_pretrained(tmp_path / "own")
    VideoMAEv2VideoProcessor(num_frames=8).save_pretrained(tmp_path / "own")
    write_transformers(tmp_path / "foreign", VideoMAEForVideoClassification(stock_config(num_frames=4)))
    for source, expected in (("own", 8), ("foreign", 4)):
        run(tmp_path / source, tmp_path / f"{source} here")
        assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path / f"{source} here").num_frames == expected
    convert_checkpoint(tmp_path / "own", tmp_path / "changed", processing={"num_frames": 6})
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "changed").num_frames == 6


def test_hub_repository_that_was_downloaded(finetuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "hub/models--OpenGVLab--VideoMAEv2-Base"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0123456789abcdef0123456789abcdef01234567")
    snapshot = repository / "snapshots/0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    write_opengvlab(snapshot, finetuned)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    run("OpenGVLab/VideoMAEv2-Base", tmp_path / "ours")
    assert VideoMAEv2Config.from_pretrained(tmp_path / "ours").hidden_size == ARCH.hidden_size
    assert "repository of the Hub" in refusal("OpenGVLab/VideoMAEv2-Large", tmp_path / "b")


# ---- going back


@pytest.mark.parametrize("layer_scale", [0.0, 0.3])
@pytest.mark.parametrize("pools", [True, False])
def test_classifier_in_transformers(layer_scale: float, pools: bool, tmp_path: Path) -> None:
    config = VideoMAEv2Config(**asdict(Arch(layer_scale_init_value=layer_scale, use_mean_pooling=pools)))
    model = randomised(VideoMAEv2ForVideoClassification(config))
    model.save_pretrained(tmp_path / "ours")
    VideoMAEv2VideoProcessor(size={"shortest_edge": 40}, crop_size=32, image_mean=MEAN).save_pretrained(
        tmp_path / "ours"
    )
    output = run(tmp_path / "ours", tmp_path / "theirs", "--to", "transformers")
    assert "VideoMAEForVideoClassification" in output
    stock, info = VideoMAEForVideoClassification.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(info.values())
    with torch.no_grad():
        torch.testing.assert_close(stock(clips()).logits, model(clips()).logits, rtol=0, atol=1e-4)
    assert not list((tmp_path / "theirs").glob("*.py"))
    assert "auto_map" not in json.loads((tmp_path / "theirs/config.json").read_text())

    frames = torch.randint(0, 256, (16, 3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "ours")(frames, return_tensors="pt").pixel_values
    for processor_class in (VideoMAEVideoProcessor, VideoMAEImageProcessor):
        processor = processor_class.from_pretrained(tmp_path / "theirs")
        videos = frames if processor_class is VideoMAEVideoProcessor else list(frames)
        found = processor(videos, return_tensors="pt").pixel_values
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_autoencoder_in_transformers(tmp_path: Path) -> None:
    model = randomised(VideoMAEv2ForPreTraining(VideoMAEv2Config(**asdict(ARCH), decoder_mask_type=None)))
    model.save_pretrained(tmp_path / "ours")
    run(tmp_path / "ours", tmp_path / "theirs", "--to", "transformers")
    stock, info = VideoMAEForPreTraining.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(info.values())
    mask = tube_mask(2, model.config.grid_size, 0.75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = model(clips(), mask), stock(clips(), mask)
    torch.testing.assert_close(theirs.logits, ours.logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(theirs.loss, ours.loss, rtol=1e-4, atol=0)


def test_pipeline_of_transformers_takes_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("av")
    config = VideoMAEv2Config(**asdict(ARCH), id2label={i: f"class {i}" for i in range(7)})
    randomised(VideoMAEv2ForVideoClassification(config)).save_pretrained(tmp_path / "ours")
    run(tmp_path / "ours", tmp_path / "theirs", "--to", "transformers")
    classify = pipeline("video-classification", model=str(tmp_path / "theirs"))
    assert type(classify.model) is VideoMAEForVideoClassification


def test_pooled_features_have_no_place_in_transformers(tmp_path: Path) -> None:
    VideoMAEv2Model(VideoMAEv2Config(**asdict(ARCH))).save_pretrained(tmp_path / "ours")
    assert "pools nothing" in refusal(tmp_path / "ours", tmp_path / "theirs", "--to", "transformers")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.slow
def test_vit_s_of_real_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = randomised(VideoMAEv2ForVideoClassification(VideoMAEv2Config.from_preset("small", num_labels=710)))
    model.save_pretrained(tmp_path / "ours")
    run(tmp_path / "ours", tmp_path / "official.pth", "--to", "official")
    assert "small, 22,153,286 weights" in run(tmp_path / "official.pth", tmp_path / "again")
    run(tmp_path / "again", tmp_path / "official2.pth", "--to", "official")
    assert_same(weights_of(tmp_path / "official.pth"), weights_of(tmp_path / "official2.pth"))
    run(tmp_path / "again", tmp_path / "theirs", "--to", "transformers")
    stock = VideoMAEForVideoClassification.from_pretrained(tmp_path / "theirs")
    clip = torch.randn(1, 16, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(stock(clip).logits, model(clip).logits, rtol=0, atol=1e-4)


# ---- classes


def test_classes_are_named(finetuned, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join("abcdefg"))
    save(tmp_path / "a.pth", finetuned)
    run(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--labels", tmp_path / "labels.txt")
    config = VideoMAEv2Config.from_pretrained(tmp_path / "ours")
    assert config.id2label == dict(enumerate("abcdefg"))
    assert config.label2id["g"] == 6


def test_classes_of_a_folder_have_names_already(tmp_path: Path) -> None:
    config = VideoMAEv2Config(**{**asdict(ARCH), "num_labels": 3}, id2label=dict(enumerate("abc")))
    VideoMAEv2ForVideoClassification(config).save_pretrained(tmp_path / "named")
    VideoMAEv2ForVideoClassification(VideoMAEv2Config(**asdict(ARCH))).save_pretrained(tmp_path / "unnamed")
    for name, content in (("ids", [2, 0]), ("names", ["C", "A"])):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        run(tmp_path / "named", tmp_path / name, "--label-map", tmp_path / f"{name}.json")
        names = VideoMAEv2Config.from_pretrained(tmp_path / name).id2label.values()
        assert [label.lower() for label in names] == ["c", "a"]
    said = refusal(tmp_path / "unnamed", tmp_path / "a", "--label-map", tmp_path / "names.json")
    assert "are not known" in said


def test_names_of_a_folder_go_by_their_ids_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    """A program that sorts the keys writes 0, 1, 10, 11, 2, ..."""
    model = randomised(VideoMAEv2ForVideoClassification(VideoMAEv2Config(**{**asdict(ARCH), "num_labels": 12})))
    model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    settings = json.loads(path.read_text()) | {"label2id": None}
    (tmp_path / "map.json").write_text(json.dumps(["class 10", "class 2"]))
    for name, label in (("named", "class {}"), ("unnamed", "LABEL_{}")):
        names = {str(i): label.format(i) for i in sorted(range(12), key=str)}
        path.write_text(json.dumps({**settings, "id2label": names}))
        arguments = (tmp_path / "model", tmp_path / name, "--label-map", tmp_path / "map.json")
        if name == "unnamed":
            assert "are not known" in refusal(*arguments)
        else:
            run(*arguments)
            kept = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / name)
            assert torch.equal(kept.classifier.weight, model.classifier.weight[[10, 2]])


@pytest.mark.parametrize("wanted", [[5, 0, 2], ["F", "a", "C"]], ids=["ids", "names"])
def test_some_classes_are_kept(finetuned, wanted: list, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join("abcdefg"))
    (tmp_path / "map.json").write_text(json.dumps(wanted))
    save(tmp_path / "a.pth", finetuned)
    options = ["--labels", tmp_path / "labels.txt", "--label-map", tmp_path / "map.json"]
    assert "3 classes" in run(tmp_path / "a.pth", tmp_path / "ours", *TINY, *options)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "ours")
    assert [name.lower() for name in model.config.id2label.values()] == ["f", "a", "c"]
    assert torch.equal(model.classifier.weight, finetuned["head.weight"][[5, 0, 2]])
    assert torch.equal(model.classifier.bias, finetuned["head.bias"][[5, 0, 2]])
    run(tmp_path / "ours", tmp_path / "theirs", "--to", "transformers")
    stock = VideoMAEForVideoClassification.from_pretrained(tmp_path / "theirs")
    assert torch.equal(stock.classifier.weight, model.classifier.weight)


def test_classes_of_a_model_without_a_head(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join("abcdefg"))
    save(tmp_path / "a.pth", random_pretrain_state_dict(ARCH, seed=0))
    options = [*TINY_PRETRAINING, "--labels", tmp_path / "labels.txt"]
    assert "no classifier" in refusal(tmp_path / "a.pth", tmp_path / "ours", *options)


# ---- what is wrong


def test_unknown_width(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    said = refusal(tmp_path / "a.pth", tmp_path / "ours")
    assert "width 48" in said
    assert "--num-attention-heads" in said
    save(tmp_path / "b.pth", random_pretrain_state_dict(ARCH, seed=0))
    assert "--decoder-num-attention-heads" in refusal(tmp_path / "b.pth", tmp_path / "ours", *TINY)
    assert "decoder_num_attention_heads" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY_PRETRAINING)
    assert "hidden_size" in refusal(tmp_path / "a.pth", tmp_path / "ours", "--num-attention-heads", 5)
    assert "num_frames" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--num-frames", 3)


def test_destination_in_use(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/precious").write_text("x")
    assert "not empty" in refusal(tmp_path / "a.pth", tmp_path / "full", *TINY)
    assert "is a file" in refusal(tmp_path / "a.pth", tmp_path / "a.pth", *TINY)
    assert "exists" in refusal(tmp_path / "a.pth", tmp_path / "a.pth", *TINY, "--to", "official")
    assert ".pth" in refusal(tmp_path / "a.pth", tmp_path / "new", *TINY, "--to", "official")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["precious"]
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert "is a broken link" in refusal(tmp_path / "a.pth", tmp_path / "broken", *TINY)
    assert "(s3:/me/model) is an address" in refusal(tmp_path / "a.pth", "s3://me/model", *TINY)
    assert not Path("s3:").exists()


def test_an_empty_folder_is_filled(finetuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays the same folder: it may be a link, a mounted disk or where the user is."""
    save(tmp_path / "a.pth", finetuned)
    for name in ("linked", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "linked")
    monkeypatch.chdir(tmp_path / "here")
    before = [(tmp_path / name).stat().st_ino for name in ("linked", "here")]
    run(tmp_path / "a.pth", tmp_path / "new", *TINY)
    for destination in (tmp_path / "link", "."):
        run(tmp_path / "a.pth", destination, *TINY)
    assert before == [(tmp_path / name).stat().st_ino for name in ("linked", "here")]
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("new", "linked", "here")]
    assert names[0] == names[1] == names[2]


def test_an_empty_folder_is_empty_again_after_a_failure(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    (tmp_path / "ours").mkdir()
    with full_disk(100):
        assert "ours cannot be written: File too large" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    assert not list((tmp_path / "ours").iterdir())


def test_settings_that_a_folder_says_itself(finetuned, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    write_opengvlab(tmp_path / "theirs", finetuned)
    assert "num_attention_heads" in refusal(tmp_path / "theirs", tmp_path / "ours", "--num-attention-heads", 6)


@pytest.mark.parametrize("key", ["blocks.1.mlp.fc1.weight", "head.bias", "patch_embed.proj.bias"])
def test_missing_weight(finetuned, key: str, tmp_path: Path) -> None:
    finetuned.pop(key)
    save(tmp_path / "a.pth", finetuned)
    assert "not in the checkpoint" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sd: {**sd, "pos_embed": torch.zeros(1, 2, 48)}, "pos_embed"),
        (lambda sd: {**sd, "blocks.999999999.norm1.weight": torch.zeros(48)}, "999999999"),
        (lambda sd: {**sd, "blocks.0.attn.qkv.weight": torch.zeros(145, 48)}, "queries, keys and values"),
        (lambda sd: {**sd, "blocks.0.mlp.fc1.weight": torch.zeros(0, 48)}, "is empty"),
        (lambda sd: {**sd, "patch_embed.proj.weight": torch.zeros(48, 3, 8, 8)}, "5 dimensions"),
        (lambda sd: {**sd, "patch_embed.proj.weight": torch.zeros(48, 3, 2, 8, 8, 1)}, "8, 1), not 5 dimensions"),
        (lambda sd: {**sd, "patch_embed.proj.weight": torch.zeros(48, 3, 2, 8, 4)}, "square"),
        (lambda sd: {**sd, "head.bias": torch.zeros(6)}, "bias: (6,) in the checkpoint, (7,) in the model"),
        (lambda sd: {"head.weight": sd["head.weight"]}, "no VideoMAE checkpoint"),
        (lambda sd: {"epoch": 3}, "'epoch'"),
        (lambda sd: {**sd, "head.bias": sd["head.bias"].to_sparse()}, "asks for `torch._utils._rebuild_sparse_tensor`"),
    ],
)
def test_checkpoints_that_are_none(finetuned, change, said: str, tmp_path: Path) -> None:
    torch.save(change(finetuned), tmp_path / "a.pth")
    message = refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    assert said in message
    assert "a.pth" in message
    assert not (tmp_path / "ours").exists()


def test_malicious_files_and_folders(finetuned, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    EXECUTING["os.system"](tmp_path / "a.pth", sentinel)
    assert "nothing of it was run" in refusal(tmp_path / "a.pth", tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    write_opengvlab(tmp_path / "theirs", finetuned, pickled=True)
    EXECUTING["builtins.eval"](tmp_path / "theirs/pytorch_model.bin", sentinel)
    assert "nothing of it was run" in refusal(tmp_path / "theirs", tmp_path / "ours")
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"weight_map": {"a": "../secret.safetensors"}}, "own folder"),
        ({"weight_map": {"a": "part.safetensors"}}, "lacks part.safetensors"),
        ({"weight_map": {}}, "or none"),
        ({}, "no valid index"),
        ("nonsense", "must hold a JSON object, not str"),
        (b"{", "is not valid JSON: "),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_wrong_index(name: str, index: object, said: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / name
    path.write_bytes(index if isinstance(index, bytes) else json.dumps(index).encode())
    words = refusal(tmp_path / "theirs", tmp_path / "ours")
    assert said in words
    assert name in words


def test_an_index_without_metadata_is_enough_to_convert(finetuned, tmp_path: Path) -> None:
    """transformers does not load such a folder; what convert needs of an index is all there."""
    (tmp_path / "theirs").mkdir()
    write_opengvlab(tmp_path / "theirs", finetuned)
    weights = tmp_path / "theirs/model.safetensors"
    weights.rename(tmp_path / "theirs/part.safetensors")
    index = {"weight_map": dict.fromkeys(finetuned, "part.safetensors")}
    (tmp_path / "theirs/model.safetensors.index.json").write_text(json.dumps(index))
    assert convert_checkpoint(tmp_path / "theirs", tmp_path / "ours").files == ["model.safetensors"]


def test_nothing_there(tmp_path: Path) -> None:
    assert "no file or folder" in refusal(tmp_path / "nothing.pth", tmp_path / "ours")
    assert "Hub" not in refusal("nothing.pth", tmp_path / "ours")  # which is not asked for what must be a file
    assert "no file or folder" in refusal("nothing/at/all", tmp_path / "ours")
    assert "no weights" in refusal(tmp_path, tmp_path / "ours")
    (tmp_path / "a.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    assert "a.safetensors" in refusal(tmp_path / "a.safetensors", tmp_path / "ours")
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    assert "damaged" in refusal(tmp_path / "a.safetensors", tmp_path / "ours")


def test_a_failure_leaves_nothing_behind(finetuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    save(tmp_path / "a.pth", finetuned)
    monkeypatch.setattr("modeling_videomae_v2.conversion.folder_writing.save_file", no_space)
    assert "No space left" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modeling_videomae_v2.conversion.folder_writing.save_file", stop)
    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "ours", unseen=UnseenSettings(4, image_size=32))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_full_disk_is_said_and_leaves_nothing_behind(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    with full_disk():
        said = refusal(tmp_path / "a.pth", tmp_path / "theirs.pth", "--to", "official", *TINY)
    assert "theirs.pth cannot be written: File too large" in said
    with full_disk(100):  # config.json comes first
        assert "ours cannot be written: File too large" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_file_that_is_written_at_once_is_whole_or_an_error(tmp_path: Path) -> None:
    """The system writes what there is room for, and fails only when it is asked for the rest."""
    with full_disk(100), pytest.raises(OSError, match="File too large"), file_for_torch(tmp_path / "x") as file:
        assert file.write(b"x" * 200) == 200


def test_an_error_of_safetensors_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with (
        full_disk(100),
        pytest.raises(OSError, match=r"w\.safetensors cannot be written: .*File too large"),
        naming(path),
    ):
        save_file({"weight": torch.zeros(1000)}, path)


@pytest.mark.parametrize("name", ["n" * 255, "\u6f22" * 80])  # letters, or bytes of fewer letters
def test_a_name_may_be_as_long_as_the_file_system_takes(name: str, tmp_path: Path) -> None:
    with written_aside(tmp_path / name) as aside:
        aside.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_that_write_a_file_at_once_both_succeed(tmp_path: Path) -> None:
    """In containers, both may have the same number."""
    with written_aside(tmp_path / "file") as one:
        one.write_text("of the last")
        with written_aside(tmp_path / "file") as two:
            two.write_text("of the first")
        assert (tmp_path / "file").read_text() == "of the first"
    assert (tmp_path / "file").read_text() == "of the last"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_options_that_mean_nothing(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    assert "`--revision` 'v2'" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--revision", "v2")
    assert "`--shard-size` must be" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--shard-size", "much")
    for size in ("-1GB", "infGB", "1e999GB"):
        assert "`--shard-size` must be" in refusal(tmp_path / "a.pth", tmp_path / "ours", *TINY, "--shard-size", size)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "[]", "config.json must hold a JSON object, not list"),
        ("config.json", '{"model_type": "videomae_v2", "hidden_size": "32"}', "source: `hidden_size` has a value of"),
        ("video_preprocessor_config.json", "{", "video_preprocessor_config.json is not valid JSON"),
        ("video_preprocessor_config.json", '{"sampling": "x"}', "source cannot be used: `sampling`"),
    ],
)
def test_a_damaged_file_of_a_folder_is_named(finetuned, tmp_path: Path, name: str, content: str, said: str) -> None:
    save(tmp_path / "a.pth", finetuned)
    run(tmp_path / "a.pth", tmp_path / "source", *TINY)
    (tmp_path / "source" / name).write_text(content)
    assert said in refusal(tmp_path / "source", tmp_path / "ours")


def test_from_python(finetuned, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", finetuned)
    with pytest.raises(ValueError, match="'onnx'"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "ours", to="onnx")
    (tmp_path / "theirs").mkdir()
    write_opengvlab(tmp_path / "theirs", finetuned)
    done = convert_checkpoint(tmp_path / "theirs", tmp_path / "ours")
    assert (done.kind, done.size, done.num_labels, done.dtype) == ("VideoMAEv2Model", None, None, "float32")
    assert done.files == ["model.safetensors"]
