# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is faster than the plain computation may not be further from fp32 than the precision explains."""

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import clips, compiles, inputs_for, needs_avx2, needs_compiler, tiny_config, tiny_model
from torch import nn

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2Model
from modeling_videomae_v2 import blocks_videomae_v2 as blocks
from modeling_videomae_v2 import cpu_attention_videomae_v2 as cpu_attention
from modeling_videomae_v2 import cpu_precision_videomae_v2 as cpu_precision
from modeling_videomae_v2.compiling import CompileMode, compile_model
from modeling_videomae_v2.cpu_attention_videomae_v2 import (
    QUERIES_AT_ONCE,
    head_by_head_attention,
    suits_head_by_head,
    trains_with_plain_products,
)
from modeling_videomae_v2.float8_gpu import Float8Linear, Float8MLP, can_multiply_float8, to_float8
from modeling_videomae_v2.int8_cpu import Int8Linear, can_multiply_int8, to_int8
from modeling_videomae_v2.quantized_attention import QuantizedAttention
from modeling_videomae_v2.quantizing import quantize_linear_layers


@pytest.fixture
def multiplies_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the CPU of the test can do, the model takes it for one with products in bf16, without AMX."""
    monkeypatch.setattr(cpu_attention, "FAST_HALF_TYPES", {torch.bfloat16})
    monkeypatch.setattr(cpu_attention, "HAS_AMX", False)


def error(result: torch.Tensor, exact: torch.Tensor) -> float:
    """Distance as a share of the norm of what is exact."""
    return ((result.float() - exact).norm() / exact.norm()).item()


def heads_of(tokens: int, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """bf16 query, key and value `(2, 3, tokens, 16)`; a spread above 1 makes attention sharp."""
    draw = torch.Generator().manual_seed(tokens)
    query, key, value = (torch.randn(2, tokens, 3, 16, generator=draw).bfloat16().transpose(1, 2) for _ in range(3))
    return query * spread, key, value


@pytest.mark.parametrize("tokens", [1, 40, QUERIES_AT_ONCE, QUERIES_AT_ONCE + 1])
@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_head_by_head_is_as_exact_as_eager(tokens: int, spread: float) -> None:
    qkv = heads_of(tokens, spread)
    exact = nn.functional.scaled_dot_product_attention(*(x.float() for x in qkv)).transpose(1, 2)
    module = nn.Module().eval()
    plain, _ = blocks.eager_attention_forward(module, *qkv, None, scaling=0.25)
    result, weights = head_by_head_attention(module, *qkv, None, scaling=0.25)
    assert weights is None
    assert result.shape == plain.shape
    assert error(result, exact) <= max(1.2 * error(plain, exact), 0.005)
    assert error(result, exact) < 0.01 * spread


@pytest.mark.usefixtures("multiplies_bf16")
@pytest.mark.parametrize("model_class", [VideoMAEv2Model, VideoMAEv2ForVideoClassification])
def test_bf16_inference_is_near_fp32(model_class: type, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(model_class)
    half, taken = copy.deepcopy(model).bfloat16(), []

    def spy(*args: object, **kwargs: object) -> object:
        taken.append(True)
        return head_by_head_attention(*args, **kwargs)

    monkeypatch.setattr(blocks, "head_by_head_attention", spy)
    with torch.no_grad():
        exact, result = model(clips())[0], half(clips().bfloat16())[0]
    assert len(taken) == model.config.num_hidden_layers
    assert error(result, exact) < 0.02


@pytest.mark.usefixtures("multiplies_bf16")
def test_autocast_inference_takes_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model, taken = tiny_model(VideoMAEv2Model), []
    monkeypatch.setattr(
        blocks, "head_by_head_attention", lambda *a, **k: taken.append(1) or head_by_head_attention(*a, **k)
    )
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        model(clips())
    assert taken


@pytest.mark.usefixtures("multiplies_bf16")
def test_it_is_left_alone_where_it_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("must not be called")

    monkeypatch.setattr(blocks, "head_by_head_attention", refuse)
    half = tiny_model(VideoMAEv2Model).bfloat16()
    half(clips().bfloat16()).pooler_output.sum().backward()  # gradients
    with torch.no_grad():
        tiny_model(VideoMAEv2Model)(clips())  # fp32
        eager = tiny_model(VideoMAEv2Model, attn_implementation="eager").bfloat16()
        eager(clips().bfloat16())  # asked for something else
        tiny_model(VideoMAEv2ForPreTraining).bfloat16().train()(clips().bfloat16())  # training
        with monkeypatch.context() as patched:
            patched.setattr(cpu_attention, "HAS_AMX", True)
            half(clips().bfloat16())  # a CPU for which torch has kernels of its own
        monkeypatch.setattr(cpu_attention, "FAST_HALF_TYPES", frozenset())
        half(clips().bfloat16())  # a CPU that only pretends to have bf16


@pytest.mark.parametrize(
    ("dtype", "fast", "takes_plain"),
    [(torch.float32, True, False), (torch.bfloat16, True, True), (torch.bfloat16, False, False)],
)
def test_training_takes_plain_products_where_bf16_is_fast(
    dtype: torch.dtype, fast: bool, takes_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_attention, "FAST_HALF_TYPES", {torch.bfloat16} if fast else frozenset())
    taken = []
    plain = blocks.eager_attention_forward
    monkeypatch.setattr(blocks, "eager_attention_forward", lambda *a, **k: taken.append(True) or plain(*a, **k))
    model = tiny_model(VideoMAEv2ForPreTraining, attn_implementation="sdpa").train()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        model(**inputs_for(VideoMAEv2ForPreTraining)).loss.backward()
    assert bool(taken) == takes_plain


@pytest.mark.usefixtures("multiplies_bf16")
@pytest.mark.parametrize(("has_amx", "longest"), [(False, 1024), (True, 384)])
def test_long_sequences_train_with_sdpa(has_amx: bool, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_attention, "HAS_AMX", has_amx)
    taken = [
        trains_with_plain_products(torch.zeros(1, 1, tokens, 1, dtype=torch.bfloat16))
        for tokens in (160, longest, longest + 1)
    ]
    assert taken == [True, True, False]


@pytest.mark.usefixtures("multiplies_bf16")
def test_plain_products_in_bf16_train_no_less_exactly_than_sdpa(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients(half: bool, limit: int) -> torch.Tensor:
        monkeypatch.setattr(cpu_attention, "MAX_TOKENS_OF_PLAIN_TRAINING", limit)
        model = tiny_model(VideoMAEv2ForPreTraining, attn_implementation="sdpa").train()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            model(**inputs_for(VideoMAEv2ForPreTraining)).loss.backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    exact, through_sdpa, plain = gradients(False, 0), gradients(True, 0), gradients(True, 1024)
    assert not torch.equal(through_sdpa, plain)
    assert error(plain, exact) < max(1.2 * error(through_sdpa, exact), 0.01)


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_norms_under_autocast_are_within_rounding(offset: float) -> None:
    torch.manual_seed(0)
    norm = blocks.VideoMAEv2LayerNorm(64, eps=1e-6)
    nn.init.normal_(norm.weight, 1.0, 0.3)
    nn.init.normal_(norm.bias)
    tokens, grad = (10 * torch.randn(8, 40, 64) + offset).bfloat16(), torch.randn(8, 40, 64).bfloat16()

    def outcomes(half: bool) -> list[torch.Tensor]:
        norm.zero_grad()
        inputs = tokens.to(torch.bfloat16 if half else torch.float32).detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = norm(inputs)
        output.backward(grad.to(output.dtype))
        return [output.detach(), inputs.grad, norm.weight.grad.clone(), norm.bias.grad.clone()]

    results, exact = outcomes(True), outcomes(False)
    assert [result.dtype for result in results] == [torch.bfloat16] * 2 + [torch.float32] * 2
    for result, expected in zip(results, exact):
        assert error(result, expected) < 0.005


def test_norms_whose_weights_are_cast_train_under_autocast() -> None:
    """As FSDP2 does it in mixed precision."""
    norm = blocks.VideoMAEv2LayerNorm(8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        output = norm(torch.randn(2, 3, 8).bfloat16())
    output.sum().backward()
    assert output.dtype == norm.weight.grad.dtype == torch.bfloat16


def test_more_channels_change_nothing() -> None:
    torch.manual_seed(0)
    mlp = blocks.VideoMAEv2MLP(tiny_config(hidden_act="sigmoid"), 16, 37).double()  # not 0 for what is added
    tokens = torch.randn(2, 7, 16, dtype=torch.float64)
    results = []
    for forward in (mlp, lambda x: mlp.forward_with_more_channels(x, 3)):
        mlp.zero_grad()
        output = forward(tokens)
        output.square().sum().backward()
        results.append([output.detach(), *(parameter.grad.clone() for parameter in mlp.parameters())])
    torch.testing.assert_close(*results)


def test_hooks_on_linear_layers_run() -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification)
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    seen: list[nn.Module] = []
    for module in linear.values():
        module.register_full_backward_hook(lambda module, *_: seen.append(module))
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    try:
        model(clips()).logits.sum().backward()
    finally:
        handle.remove()
    assert {name: seen.count(module) for name, module in linear.items()} == dict.fromkeys(linear, 2)


@pytest.mark.usefixtures("multiplies_bf16")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_export_and_tracing_see_sdpa() -> None:
    query = heads_of(4)[0]
    with torch.no_grad():
        assert suits_head_by_head(query)
        seen = []

        class Probe(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                seen.append(suits_head_by_head(x))
                return x + 1

        torch.export.export(Probe(), (query,))
        torch.jit.trace(Probe(), query, check_trace=False)
    assert seen
    assert not any(seen)


@needs_avx2
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
def test_int8_linear_is_within_rounding(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 40, bias=bias).to(dtype)
    inputs = torch.randn(2, 5, 48).to(dtype) * torch.tensor([1e-3, 1.0, 30.0, 1e3, 0.0])[:, None].to(dtype)
    with torch.no_grad():
        result, exact = Int8Linear(linear)(inputs), copy.deepcopy(linear).float()(inputs.float())
    assert result.dtype == dtype
    assert result.shape == exact.shape
    for token in range(4):  # every token has a scale of its own: small ones lose nothing beside large ones
        assert error(result[:, token], exact[:, token]) < 0.02
    torch.testing.assert_close(result[:, 4].float(), exact[:, 4])


@needs_avx2
def test_int8_rounds_activations_without_bias() -> None:
    linear = nn.Linear(4096, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([1.0, 0.0])[:, None])  # exact; and an output of which no weight is left
        inputs = torch.rand(64, 4096, generator=torch.Generator().manual_seed(0)) - 0.5
        sums, nothing = Int8Linear(linear)(inputs).unbind(1)
    steps = (sums - inputs.sum(dim=1)) / (inputs.abs().amax(dim=1) / 127) / 4096
    assert steps.mean().abs() < 0.01
    assert (nothing == 0).all()


@needs_avx2
@pytest.mark.parametrize("vnni", [True, False])
def test_int8_never_overflows(vnni: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest weights and activations that there are; without VNNI two products share 16 bits."""
    if vnni and not torch.cpu._is_vnni_supported():
        pytest.skip("needs a CPU with VNNI")
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: vnni)
    linear = nn.Linear(64, 64, bias=False)
    nn.init.constant_(linear.weight, 1.0)
    with torch.no_grad():
        torch.testing.assert_close(Int8Linear(linear)(torch.ones(3, 64)), torch.full((3, 64), 64.0))


@needs_avx2
def test_int8_model_is_near_fp32() -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification)
    with torch.no_grad():
        exact = model(clips()).logits
        quantized = quantize_linear_layers(copy.deepcopy(model).bfloat16().train())
    assert not quantized.training
    assert not any(parameter.requires_grad for parameter in quantized.parameters())
    with torch.no_grad():
        quantized.to(torch.bfloat16)  # changes nothing of what is int8
        result = quantized(clips().bfloat16()).logits
    assert sum(isinstance(module, Int8Linear) for module in quantized.modules()) == 4 * model.config.num_hidden_layers
    assert type(quantized.classifier) is nn.Linear
    assert error(result, exact) < 0.03


@needs_avx2
@needs_compiler
@compiles
@pytest.mark.parametrize("parts", ["blocks", "model"])
def test_int8_model_may_be_compiled(parts: CompileMode) -> None:
    model = quantize_linear_layers(tiny_model(VideoMAEv2ForVideoClassification))
    with torch.no_grad():
        expected = model(clips()).logits
        compile_model(model, parts, dynamic=False, fullgraph=True)  # or rounding is not merged with what is around it
        torch.testing.assert_close(model(clips()).logits, expected, rtol=1e-4, atol=1e-4)


@needs_avx2
@needs_compiler
@compiles
def test_compiled_int8_layers_take_batches_of_any_size() -> None:
    layer = Int8Linear(nn.Linear(16, 8))
    compiled = torch.compile(layer, fullgraph=True)
    with torch.no_grad():
        for size in (2, 3):  # the second makes the size a variable
            compiled(torch.randn(size, 16))
        inputs = torch.randn(5, 16)
        with torch.compiler.set_stance("fail_on_recompile"):
            torch.testing.assert_close(compiled(inputs), layer(inputs), rtol=1e-4, atol=1e-4)


def test_int8_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="no blocks"):
        quantize_linear_layers(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"float16.*call `model.to"):
        quantize_linear_layers(tiny_model(VideoMAEv2Model).half())


def test_int8_refuses_a_processor_without_avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability in ("AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda name=capability: name)
        assert can_multiply_int8()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with pytest.raises(ValueError, match="AVX2"):
        quantize_linear_layers(tiny_model(VideoMAEv2Model))


@needs_avx2
@pytest.mark.parametrize("part", ["videomae_v2", ""])
def test_an_int8_model_is_not_saved_without_its_weights(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything else written, or a repository made."""
    asked: list[object] = []
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *args, **kwargs: asked.append(args))
    quantized = tiny_model(VideoMAEv2ForVideoClassification)
    quantize_linear_layers(quantized.get_submodule(part))
    for save in (
        lambda: quantized.save_pretrained(tmp_path / "model"),
        lambda: quantized.save_pretrained(tmp_path / "model", push_to_hub=True),
        lambda: quantized.push_to_hub("someone/some-model"),
        lambda: torch.save(quantized.state_dict(), tmp_path / "model.pt"),
    ):
        with pytest.raises(RuntimeError, match=r"cannot be saved\. Use the original model"):
            save()
    assert not list(tmp_path.iterdir())
    assert not asked
    for copy_of in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match="cannot be copied or pickled"):
            copy_of(quantized)


@needs_avx2
def test_8_bit_layers_stay_on_their_device() -> None:
    quantized = quantize_linear_layers(tiny_model(VideoMAEv2ForVideoClassification))
    with pytest.raises(RuntimeError, match="cannot be moved to another device"):
        quantized.to("meta")
    with torch.no_grad():
        layer = Int8Linear(nn.Linear(8, 8)).to("cpu", torch.bfloat16)
        assert layer.bias.dtype == torch.bfloat16
        assert layer(torch.randn(2, 8).bfloat16()).shape == (2, 8)


@needs_avx2
def test_int8_leaves_adapters_and_what_is_offloaded() -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["q_proj", "fc2"], r=2, init_lora_weights=False)
    model = peft.get_peft_model(tiny_model(VideoMAEv2ForVideoClassification), config).eval()
    with torch.no_grad():
        exact = model(clips()).logits
        result = quantize_linear_layers(model)(clips()).logits
    assert 1e-4 < error(result, exact) < 0.03

    model = tiny_model(VideoMAEv2Model)
    model.layers[0].mlp.fc1.to("meta")
    mlp = quantize_linear_layers(model).layers[0].mlp
    assert [type(mlp.fc1), type(mlp.fc2)] == [nn.Linear, Int8Linear]


@needs_avx2
def test_8_bit_layers_do_not_take_the_place_of_layers_with_hooks() -> None:
    model = tiny_model(VideoMAEv2Model, intermediate_size=48)
    first, second = model.layers
    called: list[nn.Module] = []
    first.mlp.fc2.register_forward_hook(lambda layer, *_: called.append(layer))
    first.attention.q_proj.register_forward_pre_hook(lambda layer, *_: called.append(layer))
    hooked = [first.attention.q_proj, first.mlp.fc2]
    quantize_linear_layers(model)
    model(clips())
    assert called == hooked
    assert isinstance(first.mlp.fc1, Int8Linear)
    assert isinstance(second.attention.qkv_proj, Int8Linear)


@needs_avx2
def test_a_model_none_of_whose_layers_can_be_8_bit_is_refused() -> None:
    model = tiny_model(VideoMAEv2Model)
    for block in model.layers:
        for part in (block.attention, block.mlp):
            for name, child in list(part.named_children()):
                setattr(part, name, nn.Sequential(child))
    with pytest.raises(ValueError, match="merge them first"):
        quantize_linear_layers(model)


@pytest.mark.parametrize("bias", [True, False])
def test_float8_linear_is_within_rounding(bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 32, bias=bias).bfloat16()
    inputs = torch.randn(2, 5, 48).bfloat16() * torch.tensor([1e-3, 1.0, 30.0, 1e3, 0.0])[:, None].bfloat16()
    with torch.no_grad():
        result, exact = Float8Linear(linear)(inputs), copy.deepcopy(linear).float()(inputs.float())
    assert result.dtype == torch.bfloat16
    assert result.shape == exact.shape
    for token in range(4):  # every token has a scale of its own
        assert error(result[:, token], exact[:, token]) < 0.06
    torch.testing.assert_close(result[:, 4].float(), exact[:, 4])


def test_a_bound_that_is_too_high_costs_nothing() -> None:
    torch.manual_seed(0)
    linear, inputs = nn.Linear(256, 64).bfloat16(), torch.randn(7, 256).bfloat16()
    layer, exact = Float8Linear(linear), linear.float()(inputs.float())
    largest = inputs.abs().amax(dim=1, keepdim=True).float()
    close, far = (error(layer(inputs, factor * largest), exact) for factor in (1, 4))
    assert far < 1.2 * close


def float8_model(**changes: Any) -> VideoMAEv2ForVideoClassification:
    """In bf16, of sizes that float8 products take, with float8 blocks."""
    model = tiny_model(VideoMAEv2ForVideoClassification, **{"intermediate_size": 48, **changes}).bfloat16()
    for block in model.videomae_v2.layers:
        to_float8(block)
    return model


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_float8_model_is_near_fp32(hidden_act: str, qkv_bias: bool) -> None:
    changes = {"hidden_act": hidden_act, "qkv_bias": qkv_bias, "intermediate_size": 48}
    model = float8_model(**changes)
    assert all(type(block.attention) is QuantizedAttention for block in model.videomae_v2.layers)
    assert all(type(block.mlp) is Float8MLP for block in model.videomae_v2.layers)
    with torch.no_grad():
        result = model(clips().bfloat16()).logits
        exact = tiny_model(VideoMAEv2ForVideoClassification, **changes)(clips()).logits
    assert 1e-4 < error(result, exact) < 0.1


def test_float8_leaves_what_does_not_fit() -> None:
    block = float8_model(intermediate_size=72).videomae_v2.layers[0]
    assert type(block.attention) is QuantizedAttention
    assert type(block.mlp.fc1) is nn.Linear
    block = tiny_model(VideoMAEv2ForVideoClassification, intermediate_size=48).videomae_v2.layers[0]
    block.attention.o_proj = nn.Sequential(block.attention.o_proj)  # as an adapter would
    to_float8(block)
    assert type(block.attention.q_proj) is nn.Linear
    assert type(block.mlp) is Float8MLP


def test_attention_of_another_class_keeps_its_projections() -> None:
    """It may look at their weights, or have none of these names."""

    class OwnAttention(blocks.VideoMAEv2Attention):
        pass

    block = tiny_model(VideoMAEv2ForVideoClassification, intermediate_size=48).videomae_v2.layers[0]
    block.attention.__class__ = OwnAttention
    to_float8(block)
    assert {type(layer) for layer in block.attention.children()} == {nn.Linear}
    if can_multiply_int8():
        to_int8(block)
        assert {type(layer) for layer in block.attention.children()} == {Int8Linear}
    assert type(block.attention) is OwnAttention


def test_attention_weights_are_seen_before_and_after_float8() -> None:
    model = tiny_model(VideoMAEv2Model, attn_implementation="eager")
    before = model(clips(), output_attentions=True).attentions  # hooks are put on blocks by the first such call
    for block in model.layers:
        to_float8(block)
    after = model(clips(), output_attentions=True).attentions
    assert len(before) == len(after) == len(model.layers)


def test_float8_after_compiling_takes_the_place_of_training_kernels() -> None:
    kernels = pytest.importorskip("modeling_videomae_v2.training_kernels", exc_type=ImportError)
    block = tiny_model(VideoMAEv2Model, intermediate_size=48).bfloat16().layers[0]
    kernels.use_training_kernels(block)
    assert type(block.mlp) is kernels.BiasGELUMLP
    to_float8(block)
    assert (type(block.attention), type(block.mlp)) == (QuantizedAttention, Float8MLP)


def test_float8_is_not_for_a_cpu() -> None:
    assert not can_multiply_float8(torch.device("cpu"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_emulated_precision_is_told(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(cpu_precision.logger, "warning_once", said.append)
    model = tiny_model(VideoMAEv2Model)
    with torch.no_grad():
        for fast in ({dtype}, frozenset()):
            monkeypatch.setattr(cpu_precision, "FAST_HALF_TYPES", fast)
            model.float()(clips())
            model.to(dtype)(clips().to(dtype))
    assert len(said) == torch.backends.mkldnn.is_available()
    assert all("dtype=torch.float32" in line for line in said)
    assert all(f"instructions for {str(dtype).removeprefix('torch.')}:" in line for line in said)


@pytest.mark.parametrize(
    ("checks", "fast"),
    [
        ({}, set()),  # torch without them
        ({"_is_mkldnn_bf16_supported": lambda: True, "_is_mkldnn_fp16_supported": lambda: False}, {torch.bfloat16}),
        ({"_is_mkldnn_bf16_supported": lambda: False, "_is_mkldnn_fp16_supported": lambda: True}, {torch.float16}),
    ],
)
def test_torch_is_asked_for_each_half_precision(
    checks: dict[str, Any], fast: set[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**checks))
    assert cpu_precision.multiplied_at_speed() == fast
