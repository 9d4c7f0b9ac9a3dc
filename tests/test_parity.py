"""Our models compute what the public implementation computes: outputs, losses and gradients.

Two witnesses: the stored results of the public implementation, and the naive implementation for configurations of
which nothing is stored.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from naive_reference import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Arch,
    StateDict,
    finetune,
    pretrain,
    random_finetune_state_dict,
    random_pretrain_state_dict,
)
from reference_data import group, load_reference
from torch import nn

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
)
from modeling_videomae_v2.convert_videomae_v2 import convert_state_dict


Model = TypeVar("Model", bound=nn.Module)

BASE = Arch(image_size=32, patch_size=8, num_frames=8)
ARCHS = {
    "base": BASE,
    "one_narrow_layer": replace(
        BASE, num_hidden_layers=1, hidden_size=8, num_attention_heads=1, intermediate_size=8, num_labels=2
    ),
    "deep": replace(
        BASE, num_hidden_layers=8, decoder_num_hidden_layers=4, decoder_hidden_size=32, decoder_num_attention_heads=8
    ),
    "wide": replace(BASE, hidden_size=160, num_attention_heads=10, intermediate_size=330, num_labels=710),
    "odd_width": replace(
        BASE, hidden_size=45, num_attention_heads=3, decoder_hidden_size=21, decoder_num_attention_heads=7
    ),
    "decoder_wider_than_encoder": replace(BASE, decoder_hidden_size=64, decoder_intermediate_size=50),
    "patch14": replace(BASE, image_size=56, patch_size=14),
    "patch16": replace(BASE, image_size=64, patch_size=16),
    "patch16_2x2_grid": replace(BASE, image_size=32, patch_size=16, num_frames=16),
    "frames2": replace(BASE, num_frames=2),
    "frames16": replace(BASE, num_frames=16),
    "frames2_tubelet1": replace(BASE, num_frames=2, tubelet_size=1),
    "frames8_tubelet1": replace(BASE, num_frames=8, tubelet_size=1),
    "frames8_tubelet4": replace(BASE, num_frames=8, tubelet_size=4),
    "frames16_tubelet4_patch14": replace(BASE, num_frames=16, tubelet_size=4, image_size=56, patch_size=14),
    "layer_scale": replace(BASE, layer_scale_init_value=0.1),
    "no_qkv_bias": replace(BASE, qkv_bias=False),
    "large_eps": replace(BASE, layer_norm_eps=1e-2),
    "plain_pixels": replace(BASE, norm_pix_loss=False),
    "plain_pixels_tubelet4": replace(BASE, norm_pix_loss=False, tubelet_size=4),
    "first_token": replace(BASE, use_mean_pooling=False),
    "first_token_layer_scale": replace(BASE, use_mean_pooling=False, layer_scale_init_value=0.1),
}
ENCODER_MASKS = [(kind, ratio) for kind in ("tube", "random", "frame") for ratio in (0.5, 0.75, 0.9, 0.95)]
ENCODER_MASKS += [("running_cell", ratio) for ratio in (0.25, 0.5, 0.75)]
DECODER_MASKS = [("running_cell", ratio) for ratio in (0.25, 0.5, 0.75)]
DECODER_MASKS += [("random", 0.0), ("random", 0.25), ("random", 0.9), ("tube", 0.5), ("frame", 0.5), (None, 0.5)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small only lose time to a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_model(model_class: type[Model], weights: StateDict, arch: Arch, **fields: object) -> Model:
    """A model in evaluation mode with official weights; any key missing or left over fails."""
    model = model_class(VideoMAEv2Config(**asdict(arch), **fields))
    model.load_state_dict(convert_state_dict(weights), strict=True)
    return model.eval()


def make_clips(arch: Arch, batch_size: int = 4, seed: int = 0) -> torch.Tensor:
    """Random colours in [0, 1] after ImageNet normalisation: `(B, C, T, H, W)`."""
    shape = (batch_size, arch.num_channels, arch.num_frames, arch.image_size, arch.image_size)
    colours = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    mean, std = (torch.tensor(values).view(-1, 1, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (colours - mean) / std


def to_ours(pixels_BCTHW: torch.Tensor) -> torch.Tensor:
    """Frames before channels, as our models take them."""
    return pixels_BCTHW.transpose(1, 2)


def close(actual: torch.Tensor, expected: torch.Tensor, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Compare values; a reference file stores scalars as one-element vectors."""
    torch.testing.assert_close(actual.detach(), expected.detach().reshape(actual.shape), rtol=rtol, atol=atol)


def check_gradient_norms(model: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Norm per official parameter, gathered from the parameters of ours that it became."""
    norms = group(tensors, "gradnorm")
    # Conversion only moves numbers: tensors filled with a running number come out saying which one they were.
    numbered = {key: torch.full_like(tensors[f"sd.{key}"], index) for index, key in enumerate(norms)}
    squares = torch.zeros(len(norms), dtype=torch.float64)
    for key, number in convert_state_dict(numbered).items():
        gradient = model.get_parameter(key).grad
        assert gradient is not None, key
        squares[int(number.flatten()[0])] += gradient.double().square().sum()
    for key, actual, expected in zip(norms, squares.sqrt().tolist(), norms.values(), strict=True):
        assert actual == pytest.approx(expected.item(), rel=1e-4), key


def check_gradients(model: nn.Module, weights: StateDict) -> None:
    """Every parameter has the converted gradient of the official weights."""
    expected = convert_state_dict({key: value.grad for key, value in weights.items()})
    parameters = dict(model.named_parameters())
    assert parameters.keys() == expected.keys()
    for key, parameter in parameters.items():
        assert parameter.grad is not None, key
        distance = (parameter.grad - expected[key]).norm()
        assert distance <= 1e-4 * expected[key].norm(), f"{key}: {distance} of {expected[key].norm()}"


def check_pretraining(arch: Arch, **masking: object) -> None:
    """One step with masks that the model draws itself, against the naive implementation under the same masks."""
    weights = {key: value.requires_grad_() for key, value in random_pretrain_state_dict(arch, seed=1).items()}
    model = make_model(VideoMAEv2ForPreTraining, weights, arch, **masking)
    clips = make_clips(arch)
    torch.manual_seed(2)
    out = model(to_ours(clips))
    naive = pretrain(weights, arch, clips, out.bool_masked_pos, out.decoder_bool_masked_pos)
    over_all = masking.get("decoder_loss_on") == "all"
    naive_loss = naive["loss_over_all_decoder_tokens" if over_all else "loss"]
    close(out.logits, naive["decoder_prediction"], atol=1e-5)
    close(out.loss, naive_loss, rtol=1e-6)
    out.loss.backward()
    naive_loss.backward()
    check_gradients(model, weights)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["pretrain_tiny", "pretrain_tiny_patch14"])
def test_pretraining_equals_stored_results(name: str, attention: str) -> None:
    """Prediction, loss and gradient norms under the stored masks."""
    tensors, config = load_reference(name)
    arch = Arch.from_reference(config)
    model = make_model(VideoMAEv2ForPreTraining, group(tensors, "sd"), arch, attn_implementation=attention)
    pixel_values = to_ours(tensors["in.pixel_values_bcthw"])
    out = model(pixel_values, tensors["in.encoder_mask"].bool(), tensors["in.decoder_mask"].bool())
    close(out.logits, tensors["out.decoder_prediction"], atol=1e-5)
    close(out.loss, tensors["out.loss"], rtol=1e-6)
    out.loss.backward()
    check_gradient_norms(model, tensors)


@pytest.mark.parametrize("name", ["pretrain_tiny", "pretrain_tiny_patch14"])
def test_latents_equal_stored_results(name: str) -> None:
    """The encoder of the pre-training model norms its visible tokens."""
    tensors, config = load_reference(name)
    model = make_model(VideoMAEv2ForPreTraining, group(tensors, "sd"), Arch.from_reference(config))
    out = model.base_model(to_ours(tensors["in.pixel_values_bcthw"]), tensors["in.encoder_mask"].bool())
    close(out.last_hidden_state, tensors["out.encoder_latent"], atol=1e-5)


@pytest.mark.parametrize("name", ["pretrain_tiny", "pretrain_tiny_patch14"])
def test_loss_over_all_tokens_equals_stored_results(name: str) -> None:
    """`decoder_loss_on="all"` counts what the encoder saw, too, and leaves the prediction alone."""
    tensors, config = load_reference(name)
    arch = Arch.from_reference(config)
    model = make_model(VideoMAEv2ForPreTraining, group(tensors, "sd"), arch, decoder_loss_on="all")
    pixel_values = to_ours(tensors["in.pixel_values_bcthw"])
    out = model(pixel_values, tensors["in.encoder_mask"].bool(), tensors["in.decoder_mask"].bool())
    close(out.logits, tensors["out.decoder_prediction"], atol=1e-5)
    close(out.loss, tensors["out.loss_over_all_decoder_tokens"], rtol=1e-6)


@pytest.mark.parametrize("decoder_loss_on", ["invisible", "all"])
@pytest.mark.parametrize("name", ["pretrain_tiny", "pretrain_tiny_patch14"])
def test_encoder_only_masking_equals_stored_results(name: str, decoder_loss_on: str) -> None:
    """`decoder_mask_type=None` is VideoMAE V1, where the two losses are one."""
    tensors, config = load_reference(name)
    fields = {"decoder_mask_type": None, "decoder_loss_on": decoder_loss_on}
    model = make_model(VideoMAEv2ForPreTraining, group(tensors, "sd"), Arch.from_reference(config), **fields)
    out = model(to_ours(tensors["in.pixel_values_bcthw"]), tensors["in.encoder_mask"].bool())
    close(out.logits, tensors["out.encoder_only_prediction"], atol=1e-5)
    close(out.loss, tensors["out.encoder_only_loss"], rtol=1e-6)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["finetune_tiny", "finetune_tiny_patch14"])
def test_classification_equals_stored_results(name: str, attention: str) -> None:
    """Logits, cross entropy and gradient norms."""
    tensors, config = load_reference(name)
    weights, arch = group(tensors, "sd"), Arch.from_reference(config)
    model = make_model(VideoMAEv2ForVideoClassification, weights, arch, attn_implementation=attention)
    out = model(to_ours(tensors["in.pixel_values_bcthw"]), labels=tensors["in.labels"])
    close(out.logits, tensors["out.logits"], atol=1e-5)
    close(out.loss, tensors["out.loss"], rtol=1e-6)
    out.loss.backward()
    check_gradient_norms(model, tensors)


@pytest.mark.parametrize("name", ["finetune_tiny", "finetune_tiny_patch14"])
def test_clip_feature_equals_stored_results(name: str) -> None:
    """`pooler_output` of the bare encoder is the official feature of a clip."""
    tensors, config = load_reference(name)
    weights = {key: value for key, value in group(tensors, "sd").items() if not key.startswith("head.")}
    model = make_model(VideoMAEv2Model, weights, Arch.from_reference(config))
    out = model(to_ours(tensors["in.pixel_values_bcthw"]))
    close(out.pooler_output, tensors["out.features"], atol=1e-5)


@pytest.mark.parametrize("name", ARCHS)
def test_pretraining_equals_naive_for_architectures(name: str) -> None:
    """Depths, widths, heads, patch and tubelet sizes, frames and switches of which nothing is stored."""
    check_pretraining(ARCHS[name], mask_ratio=0.75)


@pytest.mark.parametrize("decoder_mask_type", [None, "running_cell", "random"])
@pytest.mark.parametrize(("mask_type", "mask_ratio"), ENCODER_MASKS)
def test_pretraining_equals_naive_for_encoder_masks(
    mask_type: str, mask_ratio: float, decoder_mask_type: str | None
) -> None:
    """Every encoder mask at every ratio."""
    arch = replace(BASE, num_frames=16)
    check_pretraining(arch, mask_type=mask_type, mask_ratio=mask_ratio, decoder_mask_type=decoder_mask_type)


@pytest.mark.parametrize("norm_pix_loss", [True, False])
@pytest.mark.parametrize("decoder_loss_on", ["invisible", "all"])
@pytest.mark.parametrize(("decoder_mask_type", "decoder_mask_ratio"), DECODER_MASKS)
def test_pretraining_equals_naive_for_decoder_masks(
    decoder_mask_type: str | None, decoder_mask_ratio: float, decoder_loss_on: str, norm_pix_loss: bool
) -> None:
    """Every decoder mask under either loss and either target."""
    check_pretraining(
        replace(BASE, norm_pix_loss=norm_pix_loss),
        decoder_mask_type=decoder_mask_type,
        decoder_mask_ratio=decoder_mask_ratio,
        decoder_loss_on=decoder_loss_on,
    )


@pytest.mark.parametrize("name", ARCHS)
def test_classification_equals_naive_for_architectures(name: str) -> None:
    """Logits, cross entropy and every gradient."""
    arch = ARCHS[name]
    weights = {key: value.requires_grad_() for key, value in random_finetune_state_dict(arch, seed=3).items()}
    model = make_model(VideoMAEv2ForVideoClassification, weights, arch)
    clips = make_clips(arch)
    labels = torch.arange(len(clips)) % arch.num_labels
    out = model(to_ours(clips), labels=labels)
    naive = finetune(weights, arch, clips)
    naive_loss = F.cross_entropy(naive["logits"], labels)
    close(out.logits, naive["logits"], atol=1e-5)
    close(out.loss, naive_loss, rtol=1e-6)
    out.loss.backward()
    naive_loss.backward()
    check_gradients(model, weights)


@pytest.mark.parametrize("name", ARCHS)
def test_clip_feature_equals_naive_for_architectures(name: str) -> None:
    """Tokens and `pooler_output` of the bare encoder."""
    arch = ARCHS[name]
    weights = random_finetune_state_dict(arch, seed=4)
    bare = {key: value for key, value in weights.items() if not key.startswith("head.")}
    clips = make_clips(arch)
    with torch.no_grad():
        out = make_model(VideoMAEv2Model, bare, arch)(to_ours(clips))
    naive = finetune(weights, arch, clips)
    # With mean pooling nothing norms the tokens: rounding grows with them.
    close(out.last_hidden_state, naive["tokens"], atol=1e-5 * naive["tokens"].abs().max().clamp(min=1.0).item())
    close(out.pooler_output, naive["features"], atol=1e-5)
