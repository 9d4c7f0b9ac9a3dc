# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`from_pretrained` of repositories that are not ours: OpenGVLab's, and those of transformers' own VideoMAE."""

import importlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_repositories import (
    ARCH,
    MEAN,
    STD,
    clips,
    randomised,
    stock_config,
    write_opengvlab,
    write_processor,
    write_transformers,
)
from naive_reference import Arch, finetune, random_finetune_state_dict
from reference_data import group, load_reference
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForVideoClassification,
    AutoVideoProcessor,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEModel,
    VideoMAEVideoProcessor,
)

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
    tube_mask,
)
from modeling_videomae_v2.convert_videomae_v2 import convert_state_dict
from modeling_videomae_v2.foreign_settings_videomae_v2 import translate_processor
from modeling_videomae_v2.loading_videomae_v2 import UnfitWeightsError, unfit_message


HEAD = {"classifier.weight", "classifier.bias"}
FEATURE_NORM = {"videomae_v2.fc_norm.weight", "videomae_v2.fc_norm.bias"}


@pytest.fixture
def official() -> dict[str, torch.Tensor]:
    return random_finetune_state_dict(ARCH, seed=0)


def features(model: VideoMAEv2Model) -> torch.Tensor:
    with torch.no_grad():
        return model(clips()).pooler_output


def expected_features(official: dict[str, torch.Tensor]) -> torch.Tensor:
    return finetune(official, ARCH, clips().transpose(1, 2))["features"]


def missing(model_class: Any, folder: Path, **kwargs: Any) -> set[str]:
    """What loading reports as new; nothing else may be wrong."""
    info = model_class.from_pretrained(folder, output_loading_info=True, **kwargs)[1]
    assert not info["mismatched_keys"]
    assert not info["unexpected_keys"]
    return set(info["missing_keys"])


# ---- OpenGVLab


@pytest.mark.parametrize("pickled", [False, True], ids=["safetensors", "bin"])
@pytest.mark.parametrize("trust_remote_code", [None, False, True])
@pytest.mark.parametrize("model_class", [VideoMAEv2Model, AutoModel])
def test_opengvlab_features(official, model_class, trust_remote_code, pickled: bool, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    (tmp_path / "repo").mkdir()
    write_opengvlab(tmp_path / "repo", official, pickled=pickled, sentinel=sentinel)
    kwargs = {} if trust_remote_code is None else {"trust_remote_code": trust_remote_code}
    model = model_class.from_pretrained(tmp_path / "repo", **kwargs)
    assert type(model) is VideoMAEv2Model
    torch.testing.assert_close(features(model), expected_features(official), rtol=0, atol=1e-5)
    assert not sentinel.exists(), "code of the repository was run"


@pytest.mark.parametrize("trust_remote_code", [None, True])
def test_opengvlab_auto_classes_run_no_code(official, trust_remote_code, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    (tmp_path / "repo").mkdir()
    write_opengvlab(tmp_path / "repo", official, sentinel=sentinel)
    kwargs = {} if trust_remote_code is None else {"trust_remote_code": trust_remote_code}
    config = AutoConfig.from_pretrained(tmp_path / "repo", **kwargs)
    assert type(config) is VideoMAEv2Config
    assert (config.hidden_size, config.num_attention_heads, config.intermediate_size) == (48, 4, 192)
    model = AutoModelForVideoClassification.from_pretrained(tmp_path / "repo", num_labels=3, **kwargs)
    assert type(model) is VideoMAEv2ForVideoClassification
    processor = AutoVideoProcessor.from_pretrained(tmp_path / "repo", **kwargs)
    assert type(processor) is VideoMAEv2VideoProcessor
    assert list(processor.image_mean) == MEAN
    assert not sentinel.exists()


def test_auto_class_returns_what_is_no_setting(opengvlab: Path, tmp_path: Path) -> None:
    processor, unused = AutoVideoProcessor.from_pretrained(opengvlab, foo=1, num_clips=2, return_unused_kwargs=True)
    assert type(processor) is VideoMAEv2VideoProcessor
    assert (list(processor.image_mean), processor.num_clips, unused["foo"]) == (MEAN, 2, 1)
    VideoMAEVideoProcessor().save_pretrained(tmp_path)
    processor, unused = AutoVideoProcessor.from_pretrained(tmp_path, foo=1, return_unused_kwargs=True)
    assert (type(processor), unused["foo"]) == (VideoMAEVideoProcessor, 1)


def test_opengvlab_as_classifier_reports_the_head(official, tmp_path: Path) -> None:
    write_opengvlab(tmp_path, official)
    assert missing(VideoMAEv2ForVideoClassification, tmp_path, num_labels=5) == HEAD


def test_opengvlab_features_of_the_reference_implementation(tmp_path: Path) -> None:
    data, config = load_reference("finetune_tiny")
    arch = Arch.from_reference(config)
    write_opengvlab(tmp_path, group(data, "sd"), arch)
    model = VideoMAEv2Model.from_pretrained(tmp_path)
    with torch.no_grad():
        found = model(data["in.pixel_values_bcthw"].transpose(1, 2)).pooler_output
    torch.testing.assert_close(found, data["out.features"], rtol=0, atol=1e-5)


def test_opengvlab_with_layer_scale(tmp_path: Path) -> None:
    arch = Arch(layer_scale_init_value=0.1)
    official = random_finetune_state_dict(arch, seed=0)
    write_opengvlab(tmp_path, official, arch)
    expected = finetune(official, arch, clips().transpose(1, 2))["features"]
    torch.testing.assert_close(features(VideoMAEv2Model.from_pretrained(tmp_path)), expected, rtol=0, atol=1e-5)


def test_opengvlab_saved_again_is_ours(official, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    write_opengvlab(tmp_path / "theirs", official)
    model = VideoMAEv2Model.from_pretrained(tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours")
    assert load_file(tmp_path / "ours/model.safetensors").keys() == model.state_dict().keys()
    config = json.loads((tmp_path / "ours/config.json").read_text())
    assert config["model_type"] == "videomae_v2"
    assert "model_config" not in config
    assert not list((tmp_path / "ours").glob("*videomaev2*"))
    assert torch.equal(features(VideoMAEv2Model.from_pretrained(tmp_path / "ours")), features(model))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"cos_attn": True}, "cos_attn"),
        ({"use_learnable_pos_emb": True}, "use_learnable_pos_emb"),
        ({"qk_scale": 0.5}, "qk_scale"),
        ({"norm_layer": "nn.BatchNorm1d"}, "norm_layer"),
        ({"num_heads": 5}, "num_attention_heads"),
        ({"img_size": [224, 112]}, "image_size"),
        ({"img_size": []}, "image_size"),
        ({"img_size": [[32]]}, r"`image_size` is \[\[32\]\]"),
        ({"img_size": {"height": 32}}, "`image_size` is {'height': 32}"),
        ({"embed_dim": None}, "embed_dim"),
        ({"embed_dim": 0}, "`embed_dim` = 0; expected a number above 0"),
        ({"mlp_ratio": "4"}, "mlp_ratio"),
        ({"mlp_ratio": float("inf")}, "`mlp_ratio` = inf"),
        ({"mlp_ratio": float("nan")}, "`mlp_ratio` = nan"),
        ({"num_heads": -4, "qk_scale": 0.5}, "`num_heads` = -4"),
        ({"num_heads": 1000, "qk_scale": 0.5}, "qk_scale"),
    ],
)
def test_opengvlab_that_computes_something_else_is_refused(official, settings, named: str, tmp_path: Path) -> None:
    write_opengvlab(tmp_path, official, **settings)
    with pytest.raises(ValueError, match=named):
        AutoModel.from_pretrained(tmp_path)


def test_opengvlab_mlp_ratio_of_giant_is_read_as_meant() -> None:
    nested = {"embed_dim": 1408, "depth": 40, "num_heads": 16, "patch_size": 14, "qkv_bias": True}
    for ratio in (48 / 11, 4.3636363636, 4.363636):
        config = VideoMAEv2Config.from_dict({"model_config": {**nested, "mlp_ratio": ratio}})
        assert config.intermediate_size == 6144


SMALL = {"embed_dim": 48, "num_heads": 4}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"intermediate_size": 192, "qkv_bias": False, "num_hidden_layers": 12}),
        ({"mlp_ratio": None, "qkv_bias": None, "depth": None}, {"intermediate_size": 192, "num_hidden_layers": 12}),
        ({"mlp_ratio": 2.6}, {"intermediate_size": 124}),  # rounded down
        ({"all_frames": 32}, {"num_frames": 32}),
        ({"head_drop_rate": 0.5}, {"classifier_dropout": 0.5, "hidden_dropout_prob": 0.0}),
        ({"qk_scale": 0.28867513}, {"num_attention_heads": 4}),  # what it is anyway
    ],
)
def test_opengvlab_settings_are_read_as_meant(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    config = VideoMAEv2Config.from_dict({"model_config": {**SMALL, **settings}})
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(("settings", "count"), [({}, 5), ({"num_labels": None}, 5), ({"num_labels": 3}, 3)])
def test_opengvlab_number_of_classes(settings: dict[str, Any], count: int) -> None:
    config = VideoMAEv2Config.from_dict({"model_config": {**SMALL, "num_classes": 5}, **settings})
    assert config.num_labels == count


def test_opengvlab_settings_that_are_not_known_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("modeling_videomae_v2.foreign_settings_videomae_v2.logger.warning", said.append)
    known = dict.fromkeys(("norm_layer", "qk_scale", "cos_attn", "init_scale", "with_cp"))
    for settings in (known, {"register_tokens": 4, "rope": True}):
        VideoMAEv2Config.from_dict({"model_config": {**SMALL, **settings}})
    assert [line.partition(": ")[2] for line in said] == ["register_tokens, rope."]


@pytest.mark.parametrize("settings", [{}, {"model_config": {}}])
def test_opengvlab_without_its_settings_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "VideoMAEv2_Base", **settings}))
    with pytest.raises(ValueError, match="no `model_config` with `embed_dim`"):
        AutoConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"video_processor_type": None},
        {"image_processor_type": "CLIPImageProcessor"},
        {"video_processor_type": "VideoMAEv2VideoProcessor", "sampling": "uniform"},
    ],
)
def test_a_processor_that_is_ours_or_no_videomae_is_not_translated(settings: dict[str, Any]) -> None:
    assert translate_processor(settings, "VideoMAEv2VideoProcessor") is settings


def test_a_processor_of_transformers_has_its_own_mean_where_it_names_none() -> None:
    settings = {"image_processor_type": "VideoMAEImageProcessor", "image_mean": None, "image_std": STD}
    translated = translate_processor(settings, "VideoMAEv2VideoProcessor")
    assert translated == {"image_mean": [0.5, 0.5, 0.5], "image_std": STD}


@pytest.mark.parametrize(("count", "end"), [(12, "w11\nCorrect it."), (14, "w11\n  and 2 more\nCorrect it.")])
def test_of_many_weights_that_do_not_fit_some_are_named(count: int, end: str) -> None:
    problem = unfit_message("me/model", "Model", [f"w{i}" for i in range(count)])
    message = str(UnfitWeightsError(problem, "Correct it."))
    assert message.startswith("The weights of me/model do not fit Model as it is configured:\n  w0\n  w1\n")
    assert message.endswith(end)


# ---- transformers


def test_transformers_epsilon_is_its_own_where_it_names_none() -> None:
    assert VideoMAEv2Config.from_dict({"model_type": "videomae"}).layer_norm_eps == 1e-12


@pytest.mark.parametrize("pickled", [False, True], ids=["safetensors", "bin"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_transformers_classifier(old: bool, pickled: bool, tmp_path: Path) -> None:
    names = {i: f"class {i}" for i in range(7)}
    config = stock_config(id2label=names, label2id={name: i for i, name in names.items()})
    stock = randomised(VideoMAEForVideoClassification(config))
    write_transformers(tmp_path, stock, old, pickled)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    assert model.config.id2label == names
    with torch.no_grad():  # their last norm has the epsilon 1e-5, whatever the configuration says
        torch.testing.assert_close(model(clips()).logits, stock(clips()).logits, rtol=0, atol=1e-4)


def test_transformers_classifier_without_pooling(tmp_path: Path) -> None:
    """As everyone gets it who fine-tunes MCG-NJU's pre-trained repositories with transformers' own class."""
    stock = randomised(VideoMAEForVideoClassification(stock_config(use_mean_pooling=False)))
    write_transformers(tmp_path, stock)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(model(clips()).logits, stock(clips()).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_transformers_autoencoder(old: bool, tmp_path: Path) -> None:
    stock = randomised(VideoMAEForPreTraining(stock_config(use_mean_pooling=False)))
    write_transformers(tmp_path, stock, old)
    model = VideoMAEv2ForPreTraining.from_pretrained(tmp_path)
    assert model.config.decoder_mask_type is None
    mask = tube_mask(2, model.config.grid_size, 0.75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = model(clips(), mask), stock(clips(), mask)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("stock_class", "settings", "expected"),
    [
        (VideoMAEForPreTraining, {}, True),  # as no published repository is
        (VideoMAEForPreTraining, {"use_mean_pooling": False}, False),
        (VideoMAEForVideoClassification, {}, False),
    ],
)
def test_transformers_autoencoder_without_a_norm_is_told(
    stock_class: Any, settings: dict[str, bool], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("modeling_videomae_v2.foreign_settings_videomae_v2.logger.warning_once", said.append)
    write_transformers(tmp_path, stock_class(stock_config(**settings)))
    VideoMAEv2Config.from_pretrained(tmp_path)
    assert any("no norm after its encoder" in line for line in said) == expected
    if expected:
        norm = {"videomae_v2.layernorm.weight", "videomae_v2.layernorm.bias"}
        assert missing(VideoMAEv2ForPreTraining, tmp_path) == norm


def test_transformers_autoencoder_as_classifier_reports_head_and_norm(tmp_path: Path) -> None:
    stock = randomised(VideoMAEForPreTraining(stock_config(use_mean_pooling=False)))
    write_transformers(tmp_path, stock, old=True)
    assert missing(VideoMAEv2ForVideoClassification, tmp_path) == HEAD | FEATURE_NORM
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        tokens = model.videomae_v2(clips()).last_hidden_state
        expected = stock.videomae(clips()).last_hidden_state
    torch.testing.assert_close(stock.videomae.layernorm(tokens), expected, rtol=0, atol=1e-4)


def test_transformers_encoder(tmp_path: Path) -> None:
    stock = randomised(VideoMAEModel(stock_config(use_mean_pooling=False)))
    write_transformers(tmp_path, stock)
    model = VideoMAEv2Model.from_pretrained(tmp_path)
    with torch.no_grad():
        ours, theirs = model(clips()).last_hidden_state, stock(clips()).last_hidden_state
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_transformers_key_bias_changes_nothing(tmp_path: Path) -> None:
    """transformers 5.17 writes one."""
    stock = randomised(VideoMAEForVideoClassification(stock_config()))
    write_transformers(tmp_path, stock)
    expected = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    for i in range(2):
        weights[f"videomae.encoder.layer.{i}.attention.attention.key.bias"] = torch.randn(48)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert missing(VideoMAEv2ForVideoClassification, tmp_path) == set()
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    converted = convert_state_dict(weights)
    assert converted.keys() == model.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(model(clips()).logits, expected(clips()).logits)


@pytest.mark.parametrize("name", ["qkv_bias", "qv_bias"])
def test_transformers_without_biases(name: str, tmp_path: Path) -> None:
    config = {"model_type": "videomae", name: False}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert not VideoMAEv2Config.from_pretrained(tmp_path).qkv_bias


def test_transformers_keeps_its_own_model_type(tmp_path: Path) -> None:
    stock = randomised(VideoMAEForVideoClassification(stock_config()))
    write_transformers(tmp_path, stock)
    assert type(AutoModelForVideoClassification.from_pretrained(tmp_path)) is VideoMAEForVideoClassification
    assert type(AutoVideoProcessor.from_pretrained(tmp_path)) is VideoMAEVideoProcessor
    assert type(AutoConfig.from_pretrained(tmp_path)) is type(stock.config)


def test_sizes_in_lists_and_other_rectangles(tmp_path: Path) -> None:
    config = {"model_type": "videomae", "image_size": [224, 224], "patch_size": [16, 16]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert VideoMAEv2Config.from_pretrained(tmp_path).grid_size == (8, 14, 14)
    (tmp_path / "config.json").write_text(json.dumps({**config, "image_size": [224, 112]}))
    with pytest.raises(ValueError, match=r"image_size.*\[224, 112\]"):
        VideoMAEv2Config.from_pretrained(tmp_path)


def test_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "timesformer"}')
    with pytest.raises(ValueError, match="timesformer"):
        VideoMAEv2Model.from_pretrained(tmp_path)


# ---- preprocessing


def test_statistics_and_size_of_the_repository_are_kept(tmp_path: Path) -> None:
    write_processor(tmp_path, image_mean=MEAN, image_std=STD, crop_size={"height": 32, "width": 32})
    processor = VideoMAEv2VideoProcessor.from_pretrained(tmp_path)
    assert (list(processor.image_mean), list(processor.image_std)) == (MEAN, STD)
    assert (processor.size.shortest_edge, processor.crop_size.height) == (40, 32)
    assert (processor.do_sample_frames, processor.sampling, processor.num_frames) == (True, "dense", 16)
    grey = torch.full((16, 3, 40, 40), 128, dtype=torch.uint8)
    pixels = processor(grey, return_tensors="pt").pixel_values[0, 0, :, 0, 0]
    expected = (128 / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "videomae", "num_frames": 8}, 8),
        ({"model_type": "videomae"}, 16),
        ({"model_type": "VideoMAEv2_Base", "model_config": {"embed_dim": 384, "all_frames": 32}}, 32),
        ({"model_type": "timesformer", "num_frames": 8}, 16),  # its repositories have a processor of VideoMAE
    ],
)
def test_clips_are_as_long_as_those_of_the_model(tmp_path: Path, config: dict[str, Any], expected: int) -> None:
    """Processors of transformers take what they are given, and say nothing of it."""
    write_processor(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path).num_frames == expected
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "preprocessor_config.json").num_frames == expected
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path, num_frames=4).num_frames == 4
    write_processor(tmp_path, num_frames=6)
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path).num_frames == 6


def test_a_processor_without_a_model_says_that_it_guesses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_processor(tmp_path)
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path, num_frames=4).num_frames == 4
    assert caplog.text == ""
    assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path).num_frames == 16
    assert f"{tmp_path} has no config.json to be read, so clips of 16 frames are taken" in caplog.text
    monkeypatch.chdir(tmp_path)
    assert VideoMAEv2VideoProcessor.from_pretrained("preprocessor_config.json").num_frames == 16


def test_statistics_that_are_not_written_are_those_of_transformers(tmp_path: Path) -> None:
    write_processor(tmp_path)
    assert list(VideoMAEv2VideoProcessor.from_pretrained(tmp_path).image_mean) == [0.5, 0.5, 0.5]


def test_oldest_form_of_a_processor_file(tmp_path: Path) -> None:
    content = {"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 40, "crop_size": 32, "image_mean": MEAN}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    processor = VideoMAEv2VideoProcessor.from_pretrained(tmp_path)
    assert (processor.size.shortest_edge, processor.crop_size.width) == (40, 32)


def test_settings_given_go_before_those_of_the_file(tmp_path: Path) -> None:
    VideoMAEVideoProcessor(image_mean=MEAN, image_std=STD).save_pretrained(tmp_path)
    processor = VideoMAEv2VideoProcessor.from_pretrained(tmp_path, sampling="uniform", num_clips=2, image_std=[1, 1, 1])
    assert (processor.sampling, processor.num_clips, list(processor.image_std)) == ("uniform", 2, [1, 1, 1])
    assert (list(processor.image_mean), processor.do_sample_frames) == (MEAN, True)


# ---- transformers' ways of loading


@pytest.fixture
def opengvlab(official, tmp_path: Path) -> Path:
    folder = tmp_path / "opengvlab"
    folder.mkdir()
    write_opengvlab(folder, official)
    return folder


def test_shards(official, opengvlab: Path) -> None:
    weights = load_file(opengvlab / "model.safetensors")
    parts = {"model-1.safetensors": list(weights)[::2], "model-2.safetensors": list(weights)[1::2]}
    for name, keys in parts.items():
        save_file({key: weights[key] for key in keys}, opengvlab / name, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: name for name, keys in parts.items() for key in keys}}
    (opengvlab / "model.safetensors.index.json").write_text(json.dumps(index))
    (opengvlab / "model.safetensors").unlink()
    torch.testing.assert_close(
        features(VideoMAEv2Model.from_pretrained(opengvlab)), expected_features(official), rtol=0, atol=1e-5
    )


def test_subfolder_and_dtype(official, opengvlab: Path) -> None:
    model = AutoModel.from_pretrained(opengvlab.parent, subfolder=opengvlab.name, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    found = VideoMAEv2VideoProcessor.from_pretrained(opengvlab.parent, subfolder=opengvlab.name)
    assert list(found.image_mean) == MEAN
    assert type(AutoVideoProcessor.from_pretrained(opengvlab.parent, subfolder=opengvlab.name)) is type(found)


@pytest.mark.parametrize("place", ["cpu", "disk"])
def test_device_map(official, opengvlab: Path, place: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    places = {"embeddings": "cpu", "layers.0": "cpu", "layers.1": place, "fc_norm": "cpu"}
    model = VideoMAEv2Model.from_pretrained(opengvlab, device_map=places, offload_folder=tmp_path / "offload")
    assert model.layers[1].attention.q_proj.weight.is_meta == (place == "disk")
    torch.testing.assert_close(features(model), expected_features(official), rtol=0, atol=1e-5)


def test_hub_name_with_revision(official, opengvlab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository in the cache of the Hub, where it lies after a download."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache/models--OpenGVLab--VideoMAEv2-Base"
    shutil.copytree(opengvlab, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs/v1").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    kwargs = {"revision": "v1", "cache_dir": tmp_path / "cache"}
    for model_class in (VideoMAEv2Model, AutoModel):
        model = model_class.from_pretrained("OpenGVLab/VideoMAEv2-Base", **kwargs)
        torch.testing.assert_close(features(model), expected_features(official), rtol=0, atol=1e-5)
    assert type(AutoVideoProcessor.from_pretrained("OpenGVLab/VideoMAEv2-Base", **kwargs)) is VideoMAEv2VideoProcessor


def test_lora_on_a_foreign_repository(official, opengvlab: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = VideoMAEv2Model.from_pretrained(opengvlab)
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    expected = features(adapted.eval())
    adapted.save_pretrained(tmp_path / "adapter")
    again = peft.PeftModel.from_pretrained(VideoMAEv2Model.from_pretrained(opengvlab), tmp_path / "adapter").eval()
    assert torch.equal(features(again), expected)
    base = VideoMAEv2Model.from_pretrained(opengvlab)
    base.load_adapter(str(tmp_path / "adapter"))
    assert torch.equal(features(base), expected)


def test_registering_again_changes_nothing(opengvlab: Path) -> None:
    wrapped = AutoVideoProcessor.from_pretrained
    importlib.import_module("modeling_videomae_v2.foreign_checkpoints_videomae_v2").register_foreign_checkpoints()
    assert AutoVideoProcessor.from_pretrained is wrapped
    assert type(AutoModel.from_pretrained(opengvlab)) is VideoMAEv2Model


# ---- weights that do not fit


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_hidden_layers": 1}, r"layers\.1\.attention\.q_proj\.bias: not in the model"),
        ({"num_hidden_layers": 3}, r"layers\.2\.attention\.q_proj\.bias: not in the checkpoint"),
        ({"hidden_size": 24}, r"fc_norm\.weight: \(48,\) in the checkpoint, \(24,\) in the model"),
        ({"patch_size": 4}, r"projection\.weight: \(48, 3, 2, 8, 8\) in the checkpoint"),
        ({"layer_scale_init_value": 0.1}, r"layers\.0\.layer_scale1\.lambda1: not in the checkpoint"),
        ({"qkv_bias": False}, r"layers\.0\.attention\.q_proj\.bias: not in the model"),
        ({"num_attention_heads": 6}, r"`num_attention_heads` is 6, .* trained with 4"),
    ],
)
@pytest.mark.parametrize("as_object", [False, True], ids=["keywords", "config"])
def test_unfit_weights_are_listed(opengvlab: Path, settings, named: str, as_object: bool) -> None:
    config = VideoMAEv2Config.from_pretrained(opengvlab, **settings)
    with pytest.raises(UnfitWeightsError, match=named):
        VideoMAEv2Model.from_pretrained(opengvlab, **({"config": config} if as_object else settings))
    with pytest.raises((ValueError, RuntimeError)):  # both, for those who expect what torch or transformers raise
        VideoMAEv2ForVideoClassification.from_pretrained(opengvlab, **settings)


@pytest.mark.parametrize("key", ["blocks.1.mlp.fc1.weight", "fc_norm.bias", "patch_embed.proj.bias"])
def test_a_missing_weight_is_an_error(official, key: str, tmp_path: Path) -> None:
    official.pop(key)
    write_opengvlab(tmp_path, official)
    with pytest.raises(UnfitWeightsError, match=r"(fc1\.weight|fc_norm\.bias|projection\.bias): not in the checkpoint"):
        VideoMAEv2Model.from_pretrained(tmp_path)


def test_an_unknown_weight_is_an_error(official, tmp_path: Path) -> None:
    official["blocks.0.attn.k_norm.weight"] = torch.zeros(12)
    write_opengvlab(tmp_path, official)
    with pytest.raises(UnfitWeightsError, match=r"blocks\.0\.attn\.k_norm\.weight: not in the model"):
        AutoModel.from_pretrained(tmp_path)


def test_weights_that_do_not_fit_can_be_asked_for(opengvlab: Path) -> None:
    _, info = VideoMAEv2Model.from_pretrained(opengvlab, num_hidden_layers=1, output_loading_info=True)
    assert "layers.1.mlp.fc1.weight" in info["unexpected_keys"]


def test_a_new_decoder_may_have_any_heads(opengvlab: Path) -> None:
    """They have no decoder; what the configuration says of one is nobody's training."""
    settings = {"decoder_hidden_size": 32, "decoder_num_attention_heads": 4, "decoder_num_hidden_layers": 1}
    model = VideoMAEv2ForPreTraining.from_pretrained(opengvlab, **settings)
    assert model.config.decoder_num_attention_heads == 4


def test_a_trained_decoder_keeps_its_heads(tmp_path: Path) -> None:
    stock = randomised(VideoMAEForPreTraining(stock_config(use_mean_pooling=False)))
    write_transformers(tmp_path, stock)
    with pytest.raises(UnfitWeightsError, match=r"`decoder_num_attention_heads` is 4, .* trained with 2"):
        VideoMAEv2ForPreTraining.from_pretrained(tmp_path, decoder_num_attention_heads=4)


def test_half_a_decoder_is_an_error(tmp_path: Path) -> None:
    stock = randomised(VideoMAEForPreTraining(stock_config(use_mean_pooling=False)))
    write_transformers(tmp_path, stock)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("encoder_to_decoder.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnfitWeightsError, match=r"encoder_to_decoder\.weight: not in the checkpoint"):
        VideoMAEv2ForPreTraining.from_pretrained(tmp_path)


def test_files_that_travel_ask_for_no_others(opengvlab: Path, tmp_path: Path) -> None:
    VideoMAEv2Model.from_pretrained(opengvlab).save_pretrained(tmp_path)
    files = {path.stem: path.read_text() for path in tmp_path.glob("*.py")}
    asked = {name for text in files.values() for name in re.findall(r"^from \.(\w+) import", text, re.MULTILINE)}
    assert asked <= files.keys()
    assert "convert_videomae_v2" not in files
