# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What every transformers model does: signatures, outputs, batching, training, checkpointing, problem types."""

import copy
import inspect
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import (
    CUBE_VALUES,
    LABELS,
    MODEL_CLASSES,
    TOKENS,
    TRAINED_CLASSES,
    VISIBLE,
    clips,
    inputs_for,
    masks,
    tiny_config,
    tiny_model,
)
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForVideoClassification,
    PreTrainedModel,
    VideoMAEConfig,
    VideoMAEModel,
)

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2Model


each_model = pytest.mark.parametrize("model_class", MODEL_CLASSES)
each_trained_model = pytest.mark.parametrize("model_class", TRAINED_CLASSES)
RECORDED = {"output_hidden_states": True, "output_attentions": True}


def encoder_tokens(model_class: type[PreTrainedModel]) -> int:
    """Tokens in the encoder of a model given `inputs_for`."""
    return VISIBLE if model_class is VideoMAEv2ForPreTraining else TOKENS


def flat(outputs: Any) -> list[torch.Tensor]:
    """All tensors of an output, however nested."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if hasattr(outputs, "values") else outputs
    return [tensor for value in values if value is not None for tensor in flat(value)]


def assert_same(first: Any, second: Any, tolerance: float = 0.0) -> None:
    pairs = list(zip(flat(first), flat(second), strict=True))
    assert pairs
    for one, other in pairs:
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


# ---- classes and signatures


def test_auto_classes_build_the_models():
    for auto_class, model_class in zip(
        (AutoModel, AutoModelForPreTraining, AutoModelForVideoClassification), MODEL_CLASSES, strict=True
    ):
        assert type(auto_class.from_config(tiny_config())) is model_class


@each_model
def test_class_attributes(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    assert model.main_input_name == "pixel_values"
    assert model_class.base_model_prefix == "videomae_v2"
    assert (model.base_model is model) == (model_class is VideoMAEv2Model)
    assert model.config_class is type(model.config)
    assert model._tied_weights_keys in (None, [], {})
    assert not model.can_generate()
    assert model.supports_gradient_checkpointing
    assert model.num_parameters() < 1_000_000
    blocks = {type(module).__name__ for module in model.modules()}
    assert "VideoMAEv2Layer" in model._no_split_modules
    assert set(model._no_split_modules) <= blocks


def test_forward_signatures():
    names = {
        model_class: [p.name for p in inspect.signature(model_class.forward).parameters.values()][1:-1]
        for model_class in MODEL_CLASSES
    }
    assert names == {
        VideoMAEv2Model: ["pixel_values", "bool_masked_pos"],
        VideoMAEv2ForPreTraining: ["pixel_values", "bool_masked_pos", "decoder_bool_masked_pos", "return_loss"],
        VideoMAEv2ForVideoClassification: ["pixel_values", "labels"],
    }


def test_submodule_names_follow_the_newest_vision_models():
    names = set(tiny_model(VideoMAEv2Model).state_dict())
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        assert f"layers.1.attention.{name}.weight" in names
    for name in ("mlp.fc1.bias", "mlp.fc2.bias", "layernorm_before.weight", "layernorm_after.weight"):
        assert f"layers.1.{name}" in names
    assert "embeddings.patch_embeddings.projection.weight" in names


@each_model
def test_input_and_output_embeddings(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    assert isinstance(model.get_input_embeddings(), nn.Module)
    assert model.get_output_embeddings() is None or isinstance(model.get_output_embeddings(), nn.Linear)
    replacement = copy.deepcopy(model.get_input_embeddings())
    model.set_input_embeddings(replacement)
    assert model.get_input_embeddings() is replacement


# ---- outputs


@each_model
def test_determinism(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    assert_same(model(**inputs_for(model_class)), model(**inputs_for(model_class)))


@each_model
def test_tuple_and_dict_outputs_are_equivalent(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class, attn_implementation="eager")
    for extra in ({}, {"output_hidden_states": True}, {"output_attentions": True}, RECORDED):
        for labels in (False, True):
            inputs = {**inputs_for(model_class, labels=labels), **extra}
            as_tuple, as_dict = model(**inputs, return_dict=False), model(**inputs)
            assert type(as_tuple) is tuple
            assert len(as_tuple) == len(as_dict.to_tuple())
            assert_same(as_tuple, as_dict)
    model.config.return_dict = False
    assert type(model(**inputs_for(model_class))) is tuple


@each_model
@pytest.mark.parametrize("by_config", [False, True])
def test_attentions(model_class: type[PreTrainedModel], by_config: bool):
    switches = {"output_attentions": True}
    model = tiny_model(model_class, attn_implementation="eager", **(switches if by_config else {}))
    outputs = model(**inputs_for(model_class), **({} if by_config else switches))
    tokens = encoder_tokens(model_class)
    assert [tuple(a.shape) for a in outputs.attentions] == [(2, 4, tokens, tokens)] * 2
    torch.testing.assert_close(outputs.attentions[0].sum(-1), torch.ones(2, 4, tokens))
    more = model(**inputs_for(model_class), output_attentions=True, output_hidden_states=True)
    assert len(more) == len(outputs) + 1
    assert list(more)[-1] == "attentions"
    assert tiny_model(model_class)(**inputs_for(model_class)).attentions is None


@each_model
@pytest.mark.parametrize("by_config", [False, True])
def test_hidden_states(model_class: type[PreTrainedModel], by_config: bool):
    switches = {"output_hidden_states": True}
    model = tiny_model(model_class, **(switches if by_config else {}))
    outputs = model(**inputs_for(model_class), **({} if by_config else switches))
    assert [tuple(h.shape) for h in outputs.hidden_states] == [(2, encoder_tokens(model_class), 32)] * 3
    if model_class is VideoMAEv2Model:
        assert torch.equal(outputs.hidden_states[-1], outputs.last_hidden_state)
        assert torch.equal(outputs.hidden_states[0], model.embeddings(clips()))
    assert tiny_model(model_class)(**inputs_for(model_class)).hidden_states is None


def test_hidden_states_of_the_pretraining_model_are_those_of_the_encoder_before_the_norm():
    model = tiny_model(VideoMAEv2ForPreTraining)
    seen = []
    model.videomae_v2.layers[-1].register_forward_hook(lambda module, args, output: seen.append(output))
    outputs = model(clips(), **masks(), output_hidden_states=True)
    assert torch.equal(outputs.hidden_states[-1], seen[0])


@each_model
def test_gradients_reach_hidden_states_and_attentions(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class, attn_implementation="eager")
    outputs = model(**inputs_for(model_class), **RECORDED)
    hidden_states, attentions = outputs.hidden_states[0], outputs.attentions[0]
    hidden_states.retain_grad()
    attentions.retain_grad()
    outputs[0].flatten()[0].backward(retain_graph=True)
    assert hidden_states.grad is not None
    assert attentions.grad is not None


@each_model
def test_a_clip_does_not_depend_on_its_batch(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    batch = inputs_for(model_class, batch=5)
    together = model(**batch, output_hidden_states=True)
    alone = model(**{key: value[:1] for key, value in batch.items()}, output_hidden_states=True)
    for key in together:
        for whole, single in zip(flat(together[key]), flat(alone[key]), strict=True):
            if whole.dim() and whole.is_floating_point():
                torch.testing.assert_close(whole[:1], single, atol=1e-5, rtol=1e-5)


def test_keywords_of_other_models_do_no_harm():
    """Transformers' tests and pipelines write such attributes into any configuration."""
    base = tiny_model(VideoMAEv2Model)(clips())
    model = tiny_model(VideoMAEv2Model)
    model.config.use_cache, model.config.chunk_size_feed_forward = False, 1
    assert_same(model(clips()), base)


@each_model
def test_copies(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    expected = model(**inputs_for(model_class))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same(twin(**inputs_for(model_class)), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_model
def test_half_precision(model_class: type[PreTrainedModel], dtype: torch.dtype):
    exact = tiny_model(model_class)(**inputs_for(model_class))
    model = tiny_model(model_class).to(dtype)
    inputs = inputs_for(model_class)
    outputs = model(**{**inputs, "pixel_values": inputs["pixel_values"].to(dtype)})
    main = {VideoMAEv2Model: "pooler_output"}.get(model_class, "logits")
    assert outputs[main].dtype == dtype
    torch.testing.assert_close(outputs[main].float(), exact[main], atol=0.1, rtol=0.1)
    assert_same(model(**inputs)[main], outputs[main], 0.1)  # float32 clips are taken as well


@each_model
def test_autocast(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(**inputs_for(model_class, labels=True))
    outputs[0].float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for name, p in model.named_parameters() if "fc_norm" not in name)


# ---- training


def gradients(model: PreTrainedModel, **inputs: Any) -> dict[str, torch.Tensor]:
    """Gradients of the loss; the parameters and no others have one."""
    torch.manual_seed(0)
    model.zero_grad()
    model(**inputs).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@each_trained_model
def test_training(model_class: type[PreTrainedModel]):
    torch.manual_seed(0)
    model = model_class(tiny_config(num_labels=2)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    inputs = inputs_for(model_class, batch=4, labels=True)
    inputs.update({"labels": torch.tensor([0, 1, 0, 1])} if "labels" in inputs else {})
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@each_trained_model
@pytest.mark.parametrize("use_reentrant", [None, True, False])
def test_gradient_checkpointing_changes_nothing(model_class: type[PreTrainedModel], use_reentrant: bool | None):
    """Dropouts included: the second run of a block has to repeat the first."""
    rates = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2, "drop_path_rate": 0.5}
    model = tiny_model(model_class, **rates).train()
    inputs = inputs_for(model_class, batch=4, labels=True)
    expected = gradients(model, **inputs)
    kwargs = None if use_reentrant is None else {"use_reentrant": use_reentrant}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)
    runs = []
    model.base_model.layers[0].mlp.register_forward_hook(lambda *_: runs.append(1))
    assert_same(gradients(model, **inputs), expected)
    assert len(runs) == 2, "the block was not computed again"


@each_model
def test_gradient_checkpointing_switch(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    assert not model.is_gradient_checkpointing
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    layers = [m for m in model.modules() if type(m).__name__ == "VideoMAEv2Layer"]
    assert len(layers) == (4 if model_class is VideoMAEv2ForPreTraining else 2)
    assert all(layer.gradient_checkpointing for layer in layers)
    model.gradient_checkpointing_disable()
    assert not any(layer.gradient_checkpointing for layer in layers)


@each_trained_model
def test_frozen_model_with_gradient_checkpointing_trains_its_adapters(model_class: type[PreTrainedModel]):
    """What PEFT relies on: gradients flow although no parameter before the adapter wants one."""
    model = tiny_model(model_class).train().requires_grad_(False)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
    model.enable_input_require_grads()
    weight = model.base_model.layers[0].attention.q_proj.weight.requires_grad_(True)
    model(**inputs_for(model_class, labels=True)).loss.backward()
    assert weight.grad.abs().sum() > 0
    model.disable_input_require_grads()


@pytest.mark.parametrize(
    ("problem_type", "num_labels", "labels"),
    [
        ("multi_label_classification", 2, torch.tensor([[1.0, 0.0], [1.0, 1.0]])),
        ("single_label_classification", 2, torch.tensor([1, 0])),
        ("regression", 1, torch.tensor([0.5, -0.5])),
        ("regression", 3, torch.tensor([[0.5, 0.0, 1.0], [-0.5, 0.0, 1.0]])),
    ],
)
def test_problem_types(problem_type: str, num_labels: int, labels: torch.Tensor):
    model = tiny_model(VideoMAEv2ForVideoClassification, problem_type=problem_type, num_labels=num_labels).train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = model(clips(), labels=labels)
    expected = {
        "multi_label_classification": lambda: nn.BCEWithLogitsLoss()(outputs.logits, labels),
        "single_label_classification": lambda: nn.CrossEntropyLoss()(outputs.logits, labels),
        "regression": lambda: nn.MSELoss()(outputs.logits.squeeze(), labels),
    }[problem_type]()
    torch.testing.assert_close(outputs.loss, expected)
    outputs.loss.backward()
    assert model.config.problem_type == problem_type, "the configuration was changed by a forward pass"


def test_configurations_of_other_models_are_refused(tmp_path: Path):
    message = "`config` must be a `VideoMAEv2Config`, got a `VideoMAEConfig`"
    with pytest.raises(ValueError, match=message):
        VideoMAEv2ForPreTraining(VideoMAEConfig())
    tiny_model(VideoMAEv2ForVideoClassification).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path, config=VideoMAEConfig())


def test_problem_type_is_not_guessed_into_the_configuration():
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model(clips(), labels=torch.tensor([0, 1]))
    assert model.config.problem_type is None


# ---- what transformers' own VideoMAE takes, ours takes


def test_mask_shared_by_all_clips_of_a_batch():
    """Transformers' tests of VideoMAE expand one mask over the batch."""
    mask = torch.cat([torch.ones(24), torch.zeros(8)]).expand(3, -1).bool()
    model = tiny_model(VideoMAEv2ForPreTraining, decoder_mask_type=None)
    assert model(clips(3), mask).logits.shape == (3, 24, CUBE_VALUES)
    assert model(clips(3), bool_masked_pos=mask).logits.shape == (3, 24, CUBE_VALUES)


def test_field_names_are_those_of_videomae():
    ours, theirs = set(tiny_config().to_dict()), set(VideoMAEConfig().to_dict())
    assert theirs - ours <= {"qv_bias"}  # called `qkv_bias` in some versions


def test_output_names_are_those_of_videomae():
    sizes = {"image_size": 16, "patch_size": 4, "num_frames": 4, "hidden_size": 24, "num_hidden_layers": 1}
    theirs = VideoMAEModel(VideoMAEConfig(**sizes))
    assert {"last_hidden_state"} == set(theirs(clips())) <= set(tiny_model(VideoMAEv2Model)(clips()))
    outputs = tiny_model(VideoMAEv2ForVideoClassification)(clips(), labels=torch.tensor([0, LABELS - 1]))
    assert list(outputs) == ["loss", "logits"]
