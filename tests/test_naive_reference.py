"""The naive implementation equals the public one: outputs, losses and the gradient of every parameter."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from naive_reference import (
    Arch,
    StateDict,
    finetune,
    pretrain,
    random_finetune_state_dict,
    random_pretrain_state_dict,
)
from reference_data import group, load_reference


def close(actual: torch.Tensor, expected: torch.Tensor, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Compare values; a reference file stores scalars as one-element vectors."""
    torch.testing.assert_close(actual.detach(), expected.reshape(actual.shape), rtol=rtol, atol=atol)


def load(name: str) -> tuple[StateDict, dict[str, torch.Tensor], Arch]:
    """Weights that want gradients, every tensor of the file, and the architecture."""
    tensors, config = load_reference(name)
    weights = {key: value.requires_grad_() for key, value in group(tensors, "sd").items()}
    return weights, tensors, Arch.from_reference(config)


def check_gradient_norms(weights: StateDict, tensors: dict[str, torch.Tensor]) -> None:
    """Every weight has the gradient norm of the reference."""
    expected = group(tensors, "gradnorm")
    assert expected.keys() == weights.keys()
    for key, norm in expected.items():
        gradient = weights[key].grad
        assert gradient is not None, key
        torch.testing.assert_close(gradient.norm(), norm[0], rtol=1e-4, atol=0.0, msg=lambda m, key=key: f"{key}: {m}")


@pytest.mark.parametrize("name", ["pretrain_tiny", "pretrain_tiny_patch14"])
def test_pretrain_with_dual_masking(name: str) -> None:
    """Latents, predictions, targets, both losses and gradients under two masks."""
    weights, tensors, arch = load(name)
    masks = tensors["in.encoder_mask"].bool(), tensors["in.decoder_mask"].bool()
    out = pretrain(weights, arch, tensors["in.pixel_values_bcthw"], *masks)
    close(out["encoder_latent"], tensors["out.encoder_latent"], atol=1e-5)
    close(out["decoder_prediction"], tensors["out.decoder_prediction"], atol=1e-5)
    close(out["targets"], tensors["out.targets_at_decoder_tokens"], atol=1e-5)
    close(out["loss"], tensors["out.loss"], rtol=1e-6)
    close(out["loss_over_all_decoder_tokens"], tensors["out.loss_over_all_decoder_tokens"], rtol=1e-6)
    out["loss"].backward()
    check_gradient_norms(weights, tensors)


@pytest.mark.parametrize("name", ["pretrain_tiny", "pretrain_tiny_patch14"])
def test_pretrain_with_encoder_masking_only(name: str) -> None:
    """Without a decoder mask the decoder reconstructs what the encoder did not see."""
    weights, tensors, arch = load(name)
    out = pretrain(weights, arch, tensors["in.pixel_values_bcthw"], tensors["in.encoder_mask"].bool(), None)
    close(out["decoder_prediction"], tensors["out.encoder_only_prediction"], atol=1e-5)
    close(out["loss"], tensors["out.encoder_only_loss"], rtol=1e-6)
    close(out["loss_over_all_decoder_tokens"], tensors["out.encoder_only_loss"], rtol=1e-6)


@pytest.mark.parametrize("name", ["finetune_tiny", "finetune_tiny_patch14"])
def test_finetune(name: str) -> None:
    """Features, logits, cross entropy and gradients."""
    weights, tensors, arch = load(name)
    out = finetune(weights, arch, tensors["in.pixel_values_bcthw"])
    loss = F.cross_entropy(out["logits"], tensors["in.labels"])
    close(out["features"], tensors["out.features"], atol=1e-5)
    close(out["logits"], tensors["out.logits"], atol=1e-5)
    close(loss, tensors["out.loss"], rtol=1e-6)
    loss.backward()
    check_gradient_norms(weights, tensors)


@pytest.mark.parametrize(
    ("name", "draw"), [("pretrain_tiny", random_pretrain_state_dict), ("finetune_tiny", random_finetune_state_dict)]
)
def test_random_weights_have_the_official_layout(name: str, draw: Callable[..., StateDict]) -> None:
    """Keys and shapes are those of the reference, and no parameter hides at a constant."""
    weights, _, arch = load(name)
    drawn = draw(arch, seed=0)
    assert {key: value.shape for key, value in drawn.items()} == {key: value.shape for key, value in weights.items()}
    assert all(value.std() > 0.01 for value in drawn.values())
