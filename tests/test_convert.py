"""Conversion of checkpoint keys, proved by numbers: every layout computes the same as ours after it."""

from dataclasses import asdict
from typing import Any

import pytest
import torch
from foreign_repositories import clips, randomised, stock_config, with_old_bias_names
from naive_reference import Arch, finetune, random_finetune_state_dict, random_pretrain_state_dict
from transformers import VideoMAEForPreTraining, VideoMAEForVideoClassification, VideoMAEModel

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    tube_mask,
)
from modeling_videomae_v2.convert_videomae_v2 import (
    convert_state_dict,
    convert_to_official,
    convert_to_transformers,
)


ARCH = Arch()


def our_config(arch: Arch, **overrides) -> VideoMAEv2Config:
    return VideoMAEv2Config(**{**asdict(arch), **overrides})


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=0, atol=0, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("layer_scale", [0.0, 0.1])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_official_to_ours_and_back_is_bit_equal(qkv_bias: bool, layer_scale: float) -> None:
    arch = Arch(qkv_bias=qkv_bias, layer_scale_init_value=layer_scale)
    for official, model_class in (
        (random_pretrain_state_dict(arch, seed=0), VideoMAEv2ForPreTraining),
        (random_finetune_state_dict(arch, seed=0), VideoMAEv2ForVideoClassification),
    ):
        model = model_class(our_config(arch))
        model.load_state_dict(convert_state_dict(official), strict=True)
        assert_same(convert_to_official(model.state_dict()), official)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda sd: {f"module.{k}": v for k, v in sd.items()},
        lambda sd: {f"_orig_mod.{k}": v for k, v in sd.items()},
        lambda sd: {f"module._orig_mod.{k}": v for k, v in sd.items()},
        lambda sd: {f"encoder.{k}": v for k, v in sd.items()},
        lambda sd: {f"backbone.{k}": v for k, v in sd.items()},
        lambda sd: {f"model.{k}": v for k, v in sd.items()},
        lambda sd: {"model": sd, "args": object(), "epoch": 3},
        lambda sd: {"module": sd, "optimizer": {"state": {}}},
        lambda sd: {"state_dict": {"module": sd}},
        lambda sd: {"state_dict": {"module": {"model": {"module": sd}}}},
        lambda sd: {f"module.backbone.{k}": v for k, v in sd.items()},
        lambda sd: {"model": "vit_base", "state_dict": sd},
    ],
    ids=[
        "module",
        "compiled",
        "both",
        "encoder",
        "backbone",
        "hub",
        "in model",
        "in module",
        "nested",
        "nested deep",
        "two wrappers",
        "name in model",
    ],
)
def test_prefixes_and_containers_are_taken_off(wrap) -> None:
    official = random_finetune_state_dict(ARCH, seed=0)
    assert_same(convert_state_dict(wrap(official)), convert_state_dict(official))


def test_hub_repository_without_head_is_the_feature_model() -> None:
    official = random_finetune_state_dict(ARCH, seed=0)
    headless = {f"model.{key}": value for key, value in official.items() if not key.startswith("head.")}
    model = VideoMAEv2Model(our_config(ARCH)).eval()
    model.load_state_dict(convert_state_dict(headless), strict=True)
    with torch.no_grad():
        features = model(clips(ARCH)).pooler_output
    expected = finetune(official, ARCH, clips(ARCH).transpose(1, 2))["features"]
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)


def test_our_own_layout_passes_unchanged() -> None:
    state_dict = VideoMAEv2ForPreTraining(our_config(ARCH, layer_scale_init_value=0.1)).state_dict()
    assert_same(convert_state_dict(state_dict), dict(state_dict))


@pytest.mark.parametrize("rename", [dict, with_old_bias_names], ids=["new names", "old names"])
def test_transformers_classifier_computes_the_same_here(rename) -> None:
    stock = randomised(VideoMAEForVideoClassification(stock_config(ARCH, layer_norm_eps=1e-6)))
    stock.fc_norm.eps = 1e-6  # it ignores the configured epsilon there
    model = VideoMAEv2ForVideoClassification(our_config(ARCH)).eval()
    model.load_state_dict(convert_state_dict(rename(stock.state_dict())), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(model(clips(ARCH)).logits, stock(clips(ARCH)).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rename", [dict, with_old_bias_names], ids=["new names", "old names"])
def test_transformers_autoencoder_computes_the_same_here(rename) -> None:
    stock = randomised(
        VideoMAEForPreTraining(stock_config(ARCH, layer_norm_eps=1e-6, use_mean_pooling=False)),
    )
    stock.decoder.norm.eps = 1e-6
    model = VideoMAEv2ForPreTraining(our_config(ARCH, decoder_mask_type=None)).eval()
    model.load_state_dict(convert_state_dict(rename(stock.state_dict())), strict=True)
    mask = tube_mask(2, model.config.grid_size, 0.75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = model(clips(ARCH), mask), stock(clips(ARCH), mask)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-6, atol=0)


def test_transformers_encoder_computes_the_same_here() -> None:
    stock = randomised(VideoMAEModel(stock_config(ARCH, layer_norm_eps=1e-6, use_mean_pooling=False)))
    model = VideoMAEv2Model(our_config(ARCH, use_mean_pooling=False)).eval()
    model.load_state_dict(convert_state_dict(stock.state_dict()), strict=True)
    with torch.no_grad():
        ours, theirs = model(clips(ARCH)).last_hidden_state, stock(clips(ARCH)).last_hidden_state
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer_scale", [0.0, 0.3])
def test_our_classifier_computes_the_same_in_transformers(layer_scale: float) -> None:
    arch = Arch(layer_scale_init_value=layer_scale)
    model = randomised(VideoMAEv2ForVideoClassification(our_config(arch)))
    stock = VideoMAEForVideoClassification(stock_config(arch, layer_norm_eps=1e-6)).eval()
    stock.load_state_dict(convert_to_transformers(model.state_dict()), strict=True)
    with torch.no_grad():  # their last norm has another epsilon: 1e-5
        torch.testing.assert_close(stock(clips(arch)).logits, model(clips(arch)).logits, rtol=0, atol=1e-4)


def test_our_autoencoder_goes_to_transformers_and_back() -> None:
    model = randomised(VideoMAEv2ForPreTraining(our_config(ARCH)))
    stock = VideoMAEForPreTraining(stock_config(ARCH, use_mean_pooling=False))
    stock.load_state_dict(convert_to_transformers(model.state_dict()), strict=True)
    assert_same(convert_state_dict(stock.state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize(
    "key",
    [
        "blocks.0.attn.k_norm.weight",
        "encoder.blocks.0.attn.logit_scale",
        "pos_embed",
        "blocks.0.attn.key.bias",
        "layers.0.attention.qkv.weight",  # no layout has it, ours neither
    ],
)
def test_unknown_key_is_named(key: str) -> None:
    official = random_finetune_state_dict(ARCH, seed=0)
    count = len(convert_state_dict(official))
    with pytest.raises(ValueError, match=f"^1 of {count + 1} keys .*: '{key}'"):
        convert_state_dict({**official, key: torch.zeros(1)})


def test_of_many_unknown_keys_some_are_named() -> None:
    unknown = {f"a{i}": torch.zeros(1) for i in range(7)}
    with pytest.raises(ValueError, match="'a4' and 2 more"):
        convert_state_dict(unknown)
    with pytest.raises(ValueError, match=r"'a4'\. Remove"):
        convert_state_dict(dict(list(unknown.items())[:5]))


@pytest.mark.parametrize("shape", [(145, 48), (144,)])
def test_fused_matrix_that_cannot_be_cut_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"'blocks\.0\.attn\.qkv\.weight' of shape .* cannot be cut"):
        convert_state_dict({"blocks.0.attn.qkv.weight": torch.zeros(shape)})


@pytest.mark.parametrize("convert", [convert_to_official, convert_to_transformers])
def test_what_is_not_ours_is_named(convert) -> None:
    with pytest.raises(ValueError, match=r"'blocks\.0\.norm1\.weight' has no counterpart"):
        convert({"blocks.0.norm1.weight": torch.zeros(1)})


def test_a_part_of_a_fused_matrix_is_no_matrix() -> None:
    with pytest.raises(ValueError, match=r"q_proj\.weight' has to be fused with two others"):
        convert_to_official({"layers.0.attention.q_proj.weight": torch.zeros(8, 8)})


def test_same_parameter_twice_is_refused() -> None:
    official = random_finetune_state_dict(ARCH, seed=0)
    with pytest.raises(ValueError, match=r"classifier\.bias.*module\.head\.bias"):
        convert_state_dict({**official, "module.head.bias": official["head.bias"]})


@pytest.mark.parametrize(
    ("checkpoint", "found"),
    [
        ({}, "nothing"),
        ({"epoch": 3, "args": None}, "'epoch', 'args'"),
        (torch.zeros(2, 2), "a Tensor"),
        ([torch.zeros(2)], "a list"),
        ({3: torch.zeros(2)}, "no tensors: 3"),
    ],
)
def test_checkpoint_without_weights_is_refused(checkpoint: Any, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        convert_state_dict(checkpoint)


def test_checkpoint_that_holds_itself_is_refused() -> None:
    checkpoint: dict[str, Any] = {}
    checkpoint["model"] = checkpoint
    with pytest.raises(ValueError, match="'model'"):
        convert_state_dict(checkpoint)


def test_our_encoder_goes_to_transformers_and_back() -> None:
    model = randomised(VideoMAEv2Model(our_config(ARCH, use_mean_pooling=False)))
    stock = VideoMAEModel(stock_config(ARCH, use_mean_pooling=False))
    stock.load_state_dict(convert_to_transformers(model.state_dict()), strict=True)
    assert_same(convert_state_dict(stock.state_dict()), dict(model.state_dict()))


def test_transformers_with_biases_of_keys_gets_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeling_videomae_v2.convert_videomae_v2._has_key_biases", lambda: True)
    ours = randomised(VideoMAEv2ForVideoClassification(our_config(ARCH))).state_dict()
    theirs = convert_to_transformers(ours)
    biases = {key: tensor for key, tensor in theirs.items() if key.endswith(".key.bias")}
    assert len(biases) == ARCH.num_hidden_layers
    assert all(torch.equal(bias, torch.zeros(ARCH.hidden_size)) for bias in biases.values())
    assert_same(convert_state_dict(theirs), dict(ours))


def test_pooled_norm_has_no_place_in_the_transformers_encoder() -> None:
    with pytest.raises(ValueError, match=r"fc_norm\.weight"):
        convert_to_transformers(VideoMAEv2Model(our_config(ARCH)).state_dict())


def test_converted_tensors_can_be_saved(tmp_path) -> None:
    from safetensors.torch import save_file

    converted = convert_state_dict(random_finetune_state_dict(ARCH, seed=0))
    save_file(converted, tmp_path / "model.safetensors")  # refuses tensors that share memory
    queries = converted["videomae_v2.layers.0.attention.q_proj.weight"]
    assert queries.untyped_storage().nbytes() == queries.nbytes  # does not hold the fused matrix in memory
