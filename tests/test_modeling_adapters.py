# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of adapters in the place of a model: the model that they name, checked like any other, with all of them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from systems import LOADS_HEADS_OF_ADAPTERS
from tiny import LABELS, clips, tiny_config, tiny_model
from transformers import AutoModel, AutoModelForVideoClassification, BitsAndBytesConfig, PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification, VideoMAEv2Model
from modeling_videomae_v2.loading_videomae_v2 import UnfitWeightsError


peft = pytest.importorskip("peft")

loads_heads = pytest.mark.skipif(not LOADS_HEADS_OF_ADAPTERS, reason="this transformers leaves out heads of adapters")

OTHERS = LABELS + 2  # classes of the head that the adapter holds


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An encoder that saw clips of another size than the default."""
    tiny_model(VideoMAEv2Model).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def write_adapter(base: Path, folder: Path, head: bool = True) -> torch.Tensor:
    """Save an adapter of a classifier for `OTHERS` classes with this encoder; returns its logits."""
    model = VideoMAEv2ForVideoClassification.from_pretrained(base, num_labels=OTHERS)
    settings = peft.LoraConfig(
        target_modules=["q_proj", "v_proj"], init_lora_weights=False, modules_to_save=["classifier"] if head else None
    )
    adapted = peft.get_peft_model(model, settings).eval()
    adapted.save_pretrained(folder)
    with torch.no_grad():
        return adapted(clips()).logits


@torch.no_grad()
def logits(model: PreTrainedModel) -> torch.Tensor:
    assert not model.training
    return model(clips()).logits


@loads_heads
def test_an_adapter_with_its_head(base: Path, tmp_path: Path):
    expected = write_adapter(base, tmp_path / "adapter")
    for model_class in (VideoMAEv2ForVideoClassification, AutoModelForVideoClassification):
        model, info = model_class.from_pretrained(tmp_path / "adapter", num_labels=OTHERS, output_loading_info=True)
        torch.testing.assert_close(logits(model), expected)
        assert model.config.position_grid is None  # positions of the clips that were trained
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    named = VideoMAEv2ForVideoClassification.from_pretrained(
        tmp_path / "adapter", num_labels=OTHERS, adapter_name="mine", dtype=torch.float64
    )
    assert list(named.peft_config) == ["mine"]
    assert {parameter.dtype for parameter in named.parameters()} == {torch.float64}
    for model_class in (VideoMAEv2Model, AutoModel):  # an encoder has no place for the head
        features = model_class.from_pretrained(tmp_path / "adapter")(clips()).pooler_output
        assert not torch.allclose(features, VideoMAEv2Model.from_pretrained(base)(clips()).pooler_output)


@loads_heads
def test_a_head_that_does_not_fit_is_refused(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter")
    for model_class in (VideoMAEv2ForVideoClassification, AutoModelForVideoClassification):
        for options in ({}, {"output_loading_info": True}, {"num_labels": 2}):
            with pytest.raises(
                UnfitWeightsError, match=rf"(?s)classifier.*\({OTHERS},.*in the checkpoint.*`num_labels`"
            ):
                model_class.from_pretrained(tmp_path / "adapter", **options)
    anew = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", ignore_mismatched_sizes=True)
    assert logits(anew).shape == (2, LABELS)


def test_a_head_that_nobody_has_is_told_to_be_new(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter", head=False)
    _, info = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", output_loading_info=True)
    assert info["missing_keys"] == {"classifier.weight", "classifier.bias"}
    assert info["unexpected_keys"] == info["mismatched_keys"] == set()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_hidden_layers": 3}, r"layers\.2\.mlp\.fc1\.bias: not in the checkpoint"),
        ({"intermediate_size": 48}, r"fc1\.weight: .* in the checkpoint, \(48, "),
        ({"num_attention_heads": 1}, r"`num_attention_heads` is 1, but the weights of .*base were trained with"),
    ],
)
def test_the_model_below_an_adapter_is_checked(base: Path, tmp_path: Path, changed: dict[str, Any], message: str):
    write_adapter(base, tmp_path / "adapter")
    with pytest.raises(UnfitWeightsError, match=message):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", num_labels=OTHERS, **changed)


@loads_heads
def test_clips_of_another_size_get_positions_of_the_trained_ones(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter")
    longer = 2 * tiny_config().num_frames
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", num_labels=OTHERS, num_frames=longer)
    expected = VideoMAEv2Model.from_pretrained(base, num_frames=longer).config.position_grid
    assert model.config.position_grid == expected is not None


def test_an_adapter_of_a_deeper_model_is_refused(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter")
    shallow = tiny_model(VideoMAEv2Model, num_hidden_layers=tiny_config().num_hidden_layers - 1)
    shutil.rmtree(base)
    shallow.save_pretrained(base)
    with pytest.raises(UnfitWeightsError, match=r"lora_A.*: not in the model"):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", num_labels=OTHERS)


@loads_heads
@pytest.mark.parametrize("embedded", [False, True])
def test_weights_that_the_adapter_lacks(base: Path, tmp_path: Path, embedded: bool):
    """Without them it would be a model that nobody trained; the adapter may lie beside the weights of its model."""
    folder = base if embedded else tmp_path / "adapter"
    expected = write_adapter(base, folder)
    model = VideoMAEv2ForVideoClassification.from_pretrained(folder, num_labels=OTHERS)
    torch.testing.assert_close(logits(model), expected)
    weights = load_file(folder / "adapter_model.safetensors")
    del weights[next(name for name in weights if "lora_B" in name)]
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(UnfitWeightsError, match=r"lora_B.*: not in the adapter"):
        VideoMAEv2ForVideoClassification.from_pretrained(folder, num_labels=OTHERS)


@pytest.mark.skipif(LOADS_HEADS_OF_ADAPTERS, reason="this transformers loads heads of adapters")
def test_a_head_that_this_transformers_leaves_out_is_refused(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter")
    with pytest.raises(UnfitWeightsError, match=r"leaves them out \(5\.17 whole layers.*`PeftModel"):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", num_labels=OTHERS)


def test_an_adapter_that_names_no_model(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter")
    file = tmp_path / "adapter/adapter_config.json"
    for named, said in ((None, "no model"), (str(tmp_path / "adapter"), "an adapter, .*adapter,")):
        file.write_text(json.dumps({**json.loads(file.read_text()), "base_model_name_or_path": named}))
        with pytest.raises(OSError, match=rf"adapter_config\.json names {said} .* `load_adapter`"):
            VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter")
    file.write_text("[]")
    with pytest.raises(OSError, match="names no model"):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter")


@loads_heads
def test_an_adapter_in_a_folder_within_another(base: Path, tmp_path: Path):
    expected = write_adapter(base, tmp_path / "runs" / "adapter")
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "runs", subfolder="adapter", num_labels=OTHERS)
    torch.testing.assert_close(logits(model), expected)


def test_weights_that_transformers_leaves_out_of_an_adapter(base: Path, tmp_path: Path):
    model = VideoMAEv2Model.from_pretrained(base)
    settings = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False, use_dora=True)
    expected = peft.get_peft_model(model, settings).eval()
    expected.save_pretrained(tmp_path / "adapter")
    try:
        loaded = VideoMAEv2Model.from_pretrained(tmp_path / "adapter")
    except UnfitWeightsError as error:
        assert "lora_magnitude_vector.default.weight: not in the adapter" in str(error)  # noqa: PT017
        assert "this version of transformers leaves them out" in str(error)  # noqa: PT017
    else:
        torch.testing.assert_close(loaded(clips()).pooler_output, expected(clips()).pooler_output)


def test_folders_without_a_configuration_have_no_default_one(base: Path, tmp_path: Path):
    write_adapter(base, tmp_path / "adapter")
    for folder in (tmp_path / "adapter", tmp_path):
        with pytest.raises(OSError, match=r"has no config\.json, or an empty one"):
            VideoMAEv2Config.from_pretrained(folder)
    with pytest.raises(OSError, match=rf"{re.escape(tmp_path.name)}/adapter has no config\.json"):
        VideoMAEv2Config.from_pretrained(tmp_path, subfolder="adapter")
    (base / "config.json").rename(tmp_path / "config.json")
    expected = tiny_model(VideoMAEv2Model)(clips()).pooler_output
    model = VideoMAEv2Model.from_pretrained(base, config=VideoMAEv2Config.from_pretrained(tmp_path))
    assert model.config.position_grid is None
    torch.testing.assert_close(model(clips()).pooler_output, expected)


@pytest.mark.slow  # bitsandbytes compiles
def test_an_adapter_on_weights_of_four_bits(base: Path, tmp_path: Path):
    pytest.importorskip("bitsandbytes")
    write_adapter(base, tmp_path / "adapter")
    options: dict[str, Any] = {
        "num_labels": OTHERS,
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32, llm_int8_skip_modules=["classifier"]
        ),
    }
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "adapter", **options)
    assert model.base_model.layers[0].mlp.fc1.weight.dtype == torch.uint8
    below = VideoMAEv2ForVideoClassification.from_pretrained(base, **options)
    expected = peft.PeftModel.from_pretrained(below, tmp_path / "adapter").eval()
    torch.testing.assert_close(logits(model), logits(expected))
