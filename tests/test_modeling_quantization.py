# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`quantization_config`, as with the models of transformers; of its back ends bitsandbytes runs on a CPU, too."""

from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_repositories import clips as stock_clips
from foreign_repositories import randomised, stock_config, write_transformers
from tiny import clips, tiny_model
from transformers import BitsAndBytesConfig, VideoMAEForVideoClassification

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2Model
from modeling_videomae_v2.loading_videomae_v2 import UnfitWeightsError
from modeling_videomae_v2.quantizing import quantize_linear_layers


pytest.importorskip("bitsandbytes")
peft = pytest.importorskip("peft")

INT8 = BitsAndBytesConfig(load_in_8bit=True)
INT8_ERROR = (1e-4, 0.03)  # relative, least and most: one that is not there would mean that nothing was quantised


def loaded(model_class: type, folder: Path, **kwargs: Any) -> Any:
    return model_class.from_pretrained(folder, dtype=torch.float32, **kwargs).eval()


def assert_off_as_in_int8(values: torch.Tensor, expected: torch.Tensor) -> None:
    least, most = INT8_ERROR
    assert least < float((values - expected).norm() / expected.norm()) < most


@torch.no_grad()
def test_weights_are_quantised_on_loading_and_saved_so(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model.save_pretrained(tmp_path / "model")
    quantised = loaded(VideoMAEv2ForVideoClassification, tmp_path / "model", quantization_config=INT8)
    assert quantised.base_model.layers[0].mlp.fc1.weight.dtype == torch.int8
    logits = quantised(clips()).logits
    assert_off_as_in_int8(logits, model(clips()).logits)

    quantised.save_pretrained(tmp_path / "quantised")
    again = loaded(VideoMAEv2ForVideoClassification, tmp_path / "quantised")
    assert torch.equal(again(clips()).logits, logits)
    feature = loaded(VideoMAEv2Model, tmp_path / "quantised")(clips()).pooler_output
    assert_off_as_in_int8(feature, model.base_model(clips()).pooler_output)
    with pytest.raises(ValueError, match="or quantised"):  # once is enough
        quantize_linear_layers(again)
    wrong = r"Correct the configuration \(width|size of tensor"  # transformers before 5.21 leaves it to the first call
    with pytest.raises((UnfitWeightsError, RuntimeError), match=wrong):
        loaded(VideoMAEv2ForVideoClassification, tmp_path / "quantised", hidden_size=64)(clips())


@torch.no_grad()
def test_pretraining_model_is_quantised(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForPreTraining)
    model.save_pretrained(tmp_path)
    expected = model(clips())
    masks = {name: expected[name] for name in ("bool_masked_pos", "decoder_bool_masked_pos")}
    quantised = loaded(VideoMAEv2ForPreTraining, tmp_path, quantization_config=INT8)
    assert_off_as_in_int8(quantised(clips(), **masks).logits, expected.logits)


@torch.no_grad()
def test_weights_of_transformers_are_quantised_on_loading_and_not_renamed_afterwards(tmp_path: Path):
    model = randomised(VideoMAEForVideoClassification(stock_config()))
    write_transformers(tmp_path / "theirs", model)
    quantised = loaded(VideoMAEv2ForVideoClassification, tmp_path / "theirs", quantization_config=INT8)
    assert_off_as_in_int8(quantised(stock_clips()).logits, model(stock_clips()).logits)

    theirs = loaded(VideoMAEForVideoClassification, tmp_path / "theirs", quantization_config=INT8)
    theirs.save_pretrained(tmp_path / "saved")
    with pytest.raises(UnfitWeightsError, match=r"saved quantised, by another model: load the checkpoint that"):
        loaded(VideoMAEv2ForVideoClassification, tmp_path / "saved")


@pytest.mark.slow  # bitsandbytes compiles
def test_adapters_are_trained_on_weights_of_four_bits(tmp_path: Path):
    tiny_model(VideoMAEv2ForVideoClassification).save_pretrained(tmp_path)
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=["classifier"],
    )
    quantised = loaded(VideoMAEv2ForVideoClassification, tmp_path, quantization_config=settings)
    assert quantised.base_model.layers[0].mlp.fc1.weight.dtype == torch.uint8
    before = quantised.base_model.layers[0].mlp.fc1.weight.clone()
    base = peft.prepare_model_for_kbit_training(quantised, gradient_checkpointing_kwargs={"use_reentrant": False})
    model = peft.get_peft_model(
        base, peft.LoraConfig(target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    losses = []
    for _ in range(4):
        loss = model.train()(clips(), labels=torch.tensor([1, 2])).loss
        loss.backward()
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(quantised.base_model.layers[0].mlp.fc1.weight, before)
