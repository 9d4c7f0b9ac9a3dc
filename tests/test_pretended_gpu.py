"""What a GPU would be asked to do, without one: on tensors that have a CUDA device, and no memory.

Whatever would have to wait for the device, to learn a value or a shape, raises there, as do operands on two devices.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from tiny import LABELS, RECONSTRUCTED, TOKENS, TRAINED_CLASSES, VISIBLE, clips, compiles, tiny_config
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel, VideoMAEConfig, VideoMAEForPreTraining

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    running_cell_mask,
    tube_mask,
)
from modeling_videomae_v2.blocks_videomae_v2 import VideoMAEv2Layer, VideoMAEv2MLP


GPU = torch.device("cuda", 0)

pytestmark = [
    compiles,  # and on torch 2.6, pretended tensors end the process
    pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="a build of PyTorch without CUDA pretends none"),
]


@pytest.fixture
def gpu() -> Iterator[None]:
    """Within it all tensors are pretended."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


@pytest.fixture
def half(gpu: None) -> Iterator[None]:
    """As `gpu`, under autocast to bf16. `torch.autocast` would turn itself off for want of a driver."""
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    torch.set_autocast_enabled("cuda", True)
    torch.autocast_increment_nesting()
    yield
    torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()
    torch.set_autocast_enabled("cuda", False)


def on_gpu(build: Callable[[], nn.Module]) -> nn.Module:
    """A module in training, weights unknown."""
    with unset_fake_temporarily(), torch.device("meta"):
        module = build()
    return module.to_empty(device=GPU).train()


def tiny_on_gpu(model_class: type[PreTrainedModel], **overrides: Any) -> PreTrainedModel:
    return on_gpu(lambda: model_class(tiny_config(**overrides)))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("decoder_mask", ["running_cell", "random", None])
@pytest.mark.parametrize("masks_given", [False, True])
def test_pre_training_never_waits(masks_given: bool, decoder_mask: str | None, attention: str, half: None) -> None:
    model = tiny_on_gpu(VideoMAEv2ForPreTraining, decoder_mask_type=decoder_mask, attn_implementation=attention)
    grid, given = model.config.grid_size, {}
    if masks_given:
        given["bool_masked_pos"] = tube_mask(2, grid, model.config.mask_ratio, device=GPU)
        if decoder_mask == "running_cell":
            given["decoder_bool_masked_pos"] = running_cell_mask(2, grid, 0.5, device=GPU)
    outputs = model(clips().to(GPU), **given)
    assert outputs.logits.shape[1] == (TOKENS - VISIBLE if decoder_mask is None else RECONSTRUCTED)
    assert outputs.loss.device == GPU
    assert outputs.loss.dtype == torch.float32
    assert outputs.logits.dtype == torch.bfloat16


@pytest.mark.parametrize("views", [None, 3])
@pytest.mark.parametrize("soft", [False, True])
def test_fine_tuning_never_waits(soft: bool, views: int | None, half: None) -> None:
    model = tiny_on_gpu(VideoMAEv2ForVideoClassification, drop_path_rate=0.2, hidden_dropout_prob=0.1)
    labels = torch.rand(2, LABELS, device=GPU) if soft else torch.zeros(2, dtype=torch.long, device=GPU)
    pixels = clips().to(GPU)
    pixels = pixels if views is None else pixels.unsqueeze(1).expand(-1, views, -1, -1, -1, -1)
    assert model(pixels, labels=labels).loss.device == GPU


def test_a_larger_clip_never_waits(gpu: None) -> None:
    model = tiny_on_gpu(VideoMAEv2ForVideoClassification)
    assert model(torch.rand(1, 8, 3, 24, 24, device=GPU)).logits.shape == (1, LABELS)


@pytest.mark.parametrize("model_class", TRAINED_CLASSES)
def test_inputs_on_another_device_are_refused(model_class: type[PreTrainedModel], gpu: None) -> None:
    with pytest.raises(RuntimeError, match="device"):
        tiny_on_gpu(model_class)(clips())


def test_what_waits_is_found(gpu: None) -> None:
    """The control: transformers' VideoMAE learns from the device how many tokens a mask keeps."""
    config = VideoMAEConfig(image_size=16, patch_size=4, num_frames=4, hidden_size=32, num_hidden_layers=1,
                            num_attention_heads=4, intermediate_size=37)  # fmt: skip
    model = on_gpu(lambda: VideoMAEForPreTraining(config))
    mask = tube_mask(2, (2, 4, 4), 0.75, device=GPU)
    with pytest.raises((DataDependentOutputException, DynamicOutputShapeException)):
        model(clips().to(GPU), bool_masked_pos=mask)


class Conversions(TorchDispatchMode):
    """Counts conversions to another type by the shape of what is converted."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[torch.Size] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default and (kwargs or {}).get("dtype", args[0].dtype) != args[0].dtype:
            self.shapes[args[0].shape] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("layer_scale", [0.0, 0.1])
def test_autocast_leaves_the_tokens_of_blocks_as_they_are(layer_scale: float, half: None) -> None:
    """Norms of torch take fp32 on a GPU: a conversion before, and one or more after."""
    config = tiny_config(attn_implementation="sdpa", layer_scale_init_value=layer_scale)
    block = on_gpu(lambda: VideoMAEv2Layer(config, 32, 4, 37, drop_path_rate=0.1))
    tokens = torch.rand(2, 7, 32, device=GPU, dtype=torch.bfloat16)
    with Conversions() as conversions:
        assert block(tokens).dtype is torch.bfloat16
    assert conversions.shapes
    assert tokens.shape not in conversions.shapes


def test_the_decoder_follows_the_encoder_in_precision(half: None) -> None:
    model = tiny_on_gpu(VideoMAEv2ForPreTraining)
    types = []
    for block in (*model.videomae_v2.layers, *model.decoder.layers):
        block.register_forward_hook(lambda _, inputs, output: types.extend((inputs[0].dtype, output.dtype)))
    model(clips().to(GPU))
    assert len(types) == 8
    assert set(types) == {torch.bfloat16}


class ProductSizes(TorchDispatchMode):
    """Notes the sizes of all matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.sizes.update(size for matrix in args[-2:] for size in matrix.shape)
        return func(*args, **(kwargs or {}))


def test_products_of_odd_width_are_aligned(half: None) -> None:
    """The decoder of ViT-g has 2234 channels in its MLP, whose rows fast products of a GPU cannot read."""
    mlp = on_gpu(lambda: VideoMAEv2MLP(tiny_config(), 16, 2234))
    tokens = torch.rand(2, 8, 16, device=GPU)
    with ProductSizes() as products:
        assert mlp(tokens).shape == tokens.shape
    assert products.sizes == {16, 2240}


@pytest.mark.parametrize("layer", ["fc1", "fc2"])
@pytest.mark.parametrize("way", ["hook", "offloaded", "adapter", "quantised"])
def test_layers_that_are_no_plain_ones_are_called(way: str, layer: str, half: None) -> None:
    """A hook may bring their weights just before; what else stands there does more than to multiply with them."""
    mlp = on_gpu(lambda: VideoMAEv2MLP(tiny_config(), 16, 2234))
    linear, called = getattr(mlp, layer), []
    if way == "hook":
        linear.register_forward_pre_hook(lambda *_: called.append(True))
    else:
        forward = linear.forward
        linear.forward = lambda tokens: called.append(True) or forward(tokens)
    if way == "offloaded":  # by accelerate
        linear._hf_hook = None
    elif way == "adapter":
        linear.__class__ = type("Adapter", (nn.Linear,), {})
    elif way == "quantised":
        linear.weight.__tensor_flatten__ = None  # which tensors of torchao have
    mlp(torch.rand(2, 8, 16, device=GPU))
    assert called


@pytest.fixture
def kernels() -> ModuleType:
    """What needs Triton."""
    return pytest.importorskip("modeling_videomae_v2.training_kernels", exc_type=ImportError)


def calls_of(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of all calls from now on."""
    calls, function = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *inputs: calls.append(inputs) or function(*inputs))
    return calls


def adapt(model: PreTrainedModel) -> None:
    """As adapters do: what a projection gives is changed afterwards."""
    model.videomae_v2.layers[0].attention.q_proj.register_forward_hook(lambda module, inputs, output: output + 1)


@pytest.mark.parametrize(
    ("overrides", "change", "calls"),
    [
        ({}, lambda model: None, 3),  # the last block of the decoder asks for some of its tokens alone
        ({"qkv_bias": False}, lambda model: None, 3),
        ({}, adapt, 2),
        ({}, lambda model: model.eval(), 0),
        ({"attn_implementation": "eager"}, lambda model: None, 0),
        ({"attention_probs_dropout_prob": 0.1}, lambda model: None, 0),
        ({"num_attention_heads": 1, "hidden_size": 96}, lambda model: None, 1),  # wide heads
        ({"image_size": 64}, lambda model: None, 2),  # many tokens in the decoder
    ],
)
def test_short_attention_is_taken_where_it_suits(
    overrides: dict[str, Any],
    change: Callable[[PreTrainedModel], object],
    calls: int,
    half: None,
    kernels: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_on_gpu(VideoMAEv2ForPreTraining, **overrides)
    kernels.use_training_kernels(model)
    change(model)
    taken = calls_of(kernels, "short_attention", monkeypatch)
    model(clips(size=model.config.image_size).to(GPU))
    assert len(taken) == calls


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_short_attention_is_for_half_precision(
    dtype: torch.dtype, gpu: None, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = on_gpu(lambda: VideoMAEv2ForPreTraining(tiny_config()).to(dtype))
    kernels.use_training_kernels(model)
    taken = calls_of(kernels, "short_attention", monkeypatch)
    model(clips().to(GPU, dtype))
    assert len(taken) == (0 if dtype == torch.float32 else 3)


@pytest.mark.parametrize(
    ("overrides", "compiling", "calls"),
    [({}, True, 4), ({}, False, 0), ({"hidden_act": "relu"}, True, 0)],
)
def test_gelu_adds_the_bias_in_compiled_training(
    overrides: dict[str, Any],
    compiling: bool,
    calls: int,
    half: None,
    kernels: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not compiled, it would take more passes than the two operators."""
    model = tiny_on_gpu(VideoMAEv2ForPreTraining, **overrides)
    kernels.use_training_kernels(model)
    taken = calls_of(kernels.BiasGELU, "apply", monkeypatch)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    assert model(clips().to(GPU)).loss.device == GPU
    assert len(taken) == calls
