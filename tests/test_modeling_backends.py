# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""One model, many ways to run it: attention implementations, `torch.compile`, `torch.export`."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tiny import (
    LABELS,
    MODEL_CLASSES,
    RECONSTRUCTED,
    TOKENS,
    TRAINED_CLASSES,
    VISIBLE,
    clips,
    compiles,
    inputs_for,
    masks,
    needs_compiler,
    tiny_model,
)
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.attention.flex_attention import flex_attention
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    modeling_videomae_v2,
)
from modeling_videomae_v2 import cpu_attention_videomae_v2 as cpu_attention


each_model = pytest.mark.parametrize("model_class", MODEL_CLASSES)
each_trained_model = pytest.mark.parametrize("model_class", TRAINED_CLASSES)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def with_dtype(inputs: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in inputs.items()}


def main_outputs(model: PreTrainedModel, **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs)["pooler_output" if type(model) is VideoMAEv2Model else "logits"]


# ---- attention implementations


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.06), ("float16", 0.01)])
@each_model
def test_eager_equals_sdpa(model_class: type[PreTrainedModel], dtype: str, tolerance: float):
    inputs = with_dtype(inputs_for(model_class, batch=7), getattr(torch, dtype))
    outputs = {}
    for name in ("eager", "sdpa"):
        model = tiny_model(model_class, attn_implementation=name).to(getattr(torch, dtype))
        assert model.config._attn_implementation == model.base_model.config._attn_implementation == name
        outputs[name] = main_outputs(model, **inputs).float()
    torch.testing.assert_close(outputs["eager"], outputs["sdpa"], atol=tolerance, rtol=tolerance)


@each_model
def test_sdpa_is_the_default_and_is_what_runs(model_class: type[PreTrainedModel], monkeypatch: pytest.MonkeyPatch):
    calls = []
    original = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: calls.append(k) or original(*a, **k)
    )
    model = tiny_model(model_class)
    main_outputs(model, **inputs_for(model_class))
    assert len(calls) == (4 if model_class is VideoMAEv2ForPreTraining else 2)
    assert not any(call.get("is_causal") for call in calls)
    calls.clear()
    model.set_attn_implementation("eager")
    main_outputs(model, **inputs_for(model_class))
    assert calls == []


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_function_of_ones_own_in_the_place_of_sdpa(training: bool, dtype: str, monkeypatch: pytest.MonkeyPatch):
    """Is what runs, where a CPU would have something faster as well."""
    calls = []
    original = ALL_ATTENTION_FUNCTIONS["sdpa"]
    monkeypatch.setitem(
        ALL_ATTENTION_FUNCTIONS._global_mapping, "sdpa", lambda *a, **k: calls.append(k) or original(*a, **k)
    )
    monkeypatch.setattr(cpu_attention, "FAST_HALF_TYPES", {torch.bfloat16})
    monkeypatch.setattr(cpu_attention, "HAS_AMX", False)
    model = tiny_model(VideoMAEv2Model).to(getattr(torch, dtype)).train(training)
    with torch.no_grad():
        model(**with_dtype(inputs_for(VideoMAEv2Model), getattr(torch, dtype)))
    assert len(calls) == 2


@each_model
def test_attention_implementation_can_be_set(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class, attn_implementation="eager")
    expected = main_outputs(model, **inputs_for(model_class))
    model.set_attn_implementation("sdpa")
    assert {m.config._attn_implementation for m in model.modules() if isinstance(m, PreTrainedModel)} == {"sdpa"}
    torch.testing.assert_close(main_outputs(model, **inputs_for(model_class)), expected)
    with pytest.raises(ValueError, match="foo"):
        model.set_attn_implementation("foo")
    assert model.config._attn_implementation == "sdpa"
    loaded = model_class._from_config(model.config, attn_implementation="eager")
    assert loaded.config._attn_implementation == "eager"


@each_model
def test_attention_implementations_that_are_claimed(model_class: type[PreTrainedModel]):
    assert model_class._supports_sdpa
    assert model_class._supports_flash_attn
    assert model_class._supports_flex_attn
    assert model_class._supports_attention_backend


@functools.cache
def torchs_flex_attention_is_right() -> bool:
    """Whether torch's own function, without any model, gives attention of the sizes of the small models.

    Where it does not, it reads memory that nobody has written; so that is filled first, and it is asked repeatedly.
    """
    for heads, tokens in itertools.product((4, 2), (VISIBLE, VISIBLE + RECONSTRUCTED)):
        torch._dynamo.reset()
        compiled = torch.compile(flex_attention)
        for _ in range(16):
            query, key, value = (torch.randn(2, heads, tokens, 16) for _ in range(3))
            for power in range(8, 19):
                torch.full((2**power,), torch.nan)
            with torch.no_grad():
                found = compiled(query, key, value)
            expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
            if not torch.allclose(found, expected, atol=1e-4, rtol=1e-4):
                return False
    return True


@needs_compiler
@pytest.mark.slow
@each_model
def test_flex_attention_in_inference(model_class: type[PreTrainedModel]):
    if not torchs_flex_attention_is_right():
        pytest.skip("this build of torch computes something else (2.14.1 does so on CPUs with AVX2)")
    sizes = {"hidden_size": 64, "decoder_hidden_size": 32}  # 16 channels per head, the least it takes
    expected = main_outputs(tiny_model(model_class, **sizes), **inputs_for(model_class))
    model = tiny_model(model_class, attn_implementation="flex_attention", **sizes)
    torch.testing.assert_close(main_outputs(model, **inputs_for(model_class)), expected, atol=1e-4, rtol=1e-4)


def test_missing_attention_weights_are_told(monkeypatch: pytest.MonkeyPatch):
    """Only the eager implementation keeps them; transformers returns an empty tuple for the others and says nothing."""
    said: list[str] = []
    monkeypatch.setattr(modeling_videomae_v2.logger, "warning_once", said.append)
    model = tiny_model(VideoMAEv2Model, attn_implementation="sdpa")
    model(clips())
    assert not said
    assert model(clips(), output_attentions=True).attentions == ()
    assert ['"sdpa"' in said[0], 'set_attn_implementation("eager")' in said[0]] == [True, True]

    model.set_attn_implementation("eager")
    assert len(model(clips(), output_attentions=True).attentions) == 2
    assert len(said) == 1


def test_sums_of_weights_are_no_attention_weights(monkeypatch: pytest.MonkeyPatch):
    """On a GPU, transformers' flex attention returns them in that place, `(clips, heads, tokens)`."""

    def with_sums(module: torch.nn.Module, query: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        return query.transpose(1, 2).contiguous(), query.new_zeros(query.shape[:3])

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "flex_attention", with_sums)
    model = tiny_model(VideoMAEv2Model, attn_implementation="flex_attention")
    assert model(clips(), output_attentions=True).attentions == ()


# ---- torch.compile


SHALLOW = {"num_hidden_layers": 1, "decoder_num_hidden_layers": 1}  # compiling takes long


def loss_and_gradient(model: Any, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    parameter = next(p for name, p in model.named_parameters() if name.endswith("layers.0.mlp.fc1.weight"))
    parameter.grad = None
    loss = model(**inputs).loss
    loss.backward()
    return loss.detach(), parameter.grad.clone()


@compiles
@each_trained_model
def test_one_graph_serves_all_masks(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class, **SHALLOW).train()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for seed in range(4):
        inputs = inputs_for(model_class, seed=seed, labels=True)
        torch.testing.assert_close(loss_and_gradient(compiled, **inputs), loss_and_gradient(model, **inputs))
    assert counter.frame_count == 1


@compiles
def test_one_graph_serves_all_draws():
    model = tiny_model(VideoMAEv2ForPreTraining, **SHALLOW).train()
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    drawn = set()
    for _ in range(6):
        outputs = compiled(clips(1))
        drawn.add(outputs.bool_masked_pos.numpy().tobytes())
        again = model(clips(1), outputs.bool_masked_pos, outputs.decoder_bool_masked_pos)
        torch.testing.assert_close(outputs.loss, again.loss)
    assert counter.frame_count == 1
    assert len(drawn) > 2


@compiles
@pytest.mark.slow
def test_a_second_graph_serves_all_batch_sizes():
    """The last batch of an epoch is smaller; it must not cost a compilation each time."""
    model = tiny_model(VideoMAEv2ForPreTraining, **SHALLOW).train()
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for batch in (4, 3, 5, 2):
        inputs = inputs_for(VideoMAEv2ForPreTraining, batch=batch)
        torch.testing.assert_close(compiled(**inputs).loss, model(**inputs).loss)
    assert counter.frame_count == 2


@compiles
@pytest.mark.slow
def test_stochastic_parts_compile():
    rates = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "drop_path_rate": 0.5}
    model = tiny_model(VideoMAEv2ForVideoClassification, **SHALLOW, classifier_dropout=0.1, **rates).train()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    losses = {compiled(clips(), labels=torch.tensor([0, 1])).loss.item() for _ in range(4)}
    assert len(losses) == 4


@compiles
@pytest.mark.slow
def test_views_and_recorded_outputs_compile():
    model = tiny_model(VideoMAEv2ForVideoClassification, **SHALLOW)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    views = clips(6).view(2, 3, 4, 3, 16, 16)
    torch.testing.assert_close(main_outputs(compiled._orig_mod, pixel_values=views), compiled(views).logits)
    expected = model(clips(), output_hidden_states=True).hidden_states  # transformers sets its hooks in eager mode
    torch.testing.assert_close(compiled(clips(), output_hidden_states=True).hidden_states, expected)


@compiles
@pytest.mark.slow
def test_checkpointed_training_compiles():
    model = tiny_model(VideoMAEv2ForPreTraining, **SHALLOW).train()
    expected = loss_and_gradient(model, **inputs_for(VideoMAEv2ForPreTraining))
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(loss_and_gradient(compiled, **inputs_for(VideoMAEv2ForPreTraining)), expected)


@compiles
def test_mask_of_another_count_is_refused_in_a_compiled_model():
    """The count cannot be seen there; a silently truncated mask would be the alternative."""
    compiled = torch.compile(tiny_model(VideoMAEv2Model, **SHALLOW), fullgraph=True, backend="aot_eager")
    with torch.no_grad(), pytest.raises(RuntimeError, match="bool_masked_pos"):
        compiled(clips(), bool_masked_pos=torch.zeros(2, TOKENS, dtype=torch.bool))


@compiles
@needs_compiler
@pytest.mark.slow
@each_trained_model
def test_inductor(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class, **SHALLOW).train()
    compiled = torch.compile(model, fullgraph=True)
    inputs = inputs_for(model_class, labels=True)
    actual, expected = loss_and_gradient(compiled, **inputs), loss_and_gradient(model, **inputs)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


# ---- torch.export


@compiles
@pytest.mark.parametrize("strict", [True, False])
@each_model
def test_export(model_class: type[PreTrainedModel], strict: bool):
    model = tiny_model(model_class, **SHALLOW)
    inputs = inputs_for(model_class)
    program = torch.export.export(model, args=(), kwargs=inputs, strict=strict)
    for seed in (0, 1):
        inputs = inputs_for(model_class, seed=seed)
        exported, expected = program.module()(**inputs), model(**inputs)
        assert list(exported) == list(expected)
        for key in expected:
            torch.testing.assert_close(exported[key], expected[key], atol=1e-5, rtol=1e-5)


@compiles
def test_export_with_any_number_of_clips():
    model = tiny_model(VideoMAEv2ForVideoClassification, **SHALLOW)
    dynamic = {"pixel_values": {0: torch.export.Dim("batch", min=1, max=64)}}
    program = torch.export.export(model, args=(), kwargs={"pixel_values": clips(2)}, dynamic_shapes=dynamic)
    for batch in (1, 5):
        logits = program.module()(pixel_values=clips(batch)).logits
        assert logits.shape == (batch, LABELS)
        torch.testing.assert_close(logits, model(clips(batch)).logits, atol=1e-5, rtol=1e-5)


@compiles
def test_export_of_the_encoder_with_a_mask():
    model, mask = tiny_model(VideoMAEv2Model, **SHALLOW), masks()["bool_masked_pos"]
    program = torch.export.export(model, args=(), kwargs={"pixel_values": clips(), "bool_masked_pos": mask})
    other = masks(seed=3)["bool_masked_pos"]
    exported = program.module()(pixel_values=clips(), bool_masked_pos=other).last_hidden_state
    torch.testing.assert_close(exported, model(clips(), other).last_hidden_state, atol=1e-5, rtol=1e-5)

    more = other.clone()
    more[1] = True  # one clip of the batch is enough
    with pytest.raises(RuntimeError, match=f"`bool_masked_pos` does not keep the {VISIBLE} of {TOKENS} tokens"):
        program.module()(pixel_values=clips(), bool_masked_pos=more)
