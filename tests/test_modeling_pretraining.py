# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The dual-masked autoencoder: its masks, its targets, its loss, and that no operator waits for the device."""

import inspect
from typing import Any

import pytest
import torch
from tiny import CUBE_VALUES, GRID, RECONSTRUCTED, TOKENS, VISIBLE, clips, compiles, masks, needs_compiler, tiny_model
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2Model, random_mask
from modeling_videomae_v2.compiling import CompileMode, compile_model


def test_pretraining_outputs():
    outputs = tiny_model(VideoMAEv2ForPreTraining)(clips(), **masks())
    assert outputs.loss.shape == ()
    assert outputs.logits.shape == (2, RECONSTRUCTED, CUBE_VALUES)
    for name, mask in masks().items():
        assert torch.equal(outputs[name], mask)


def test_masks_are_drawn_as_configured_for_every_clip():
    model = tiny_model(VideoMAEv2ForPreTraining)
    torch.manual_seed(0)
    outputs = model(clips(16))
    assert outputs.bool_masked_pos.dtype == outputs.decoder_bool_masked_pos.dtype == torch.bool
    encoder = outputs.bool_masked_pos.view(16, 2, 16)
    assert (encoder.sum(-1) == 12).all()
    assert torch.equal(encoder[:, 0], encoder[:, 1]), "not a tube"
    assert (outputs.decoder_bool_masked_pos.sum(-1) == TOKENS - RECONSTRUCTED).all()
    assert len(encoder.unique(dim=0)) > 8
    assert len(outputs.decoder_bool_masked_pos.unique(dim=0)) == 4
    assert not torch.equal(model(clips(16)).bool_masked_pos, outputs.bool_masked_pos)
    again = model(clips(16), outputs.bool_masked_pos, outputs.decoder_bool_masked_pos)
    torch.testing.assert_close(again.loss, outputs.loss)


@pytest.mark.parametrize("kind", ["tube", "random", "frame", "running_cell", None])
def test_every_kind_of_mask_trains(kind: str | None):
    model = tiny_model(VideoMAEv2ForPreTraining, mask_type=kind or "tube", mask_ratio=0.5, decoder_mask_type=kind)
    outputs = model(clips())
    outputs.loss.backward()
    assert torch.isfinite(outputs.loss)
    assert outputs.logits.shape == (2, 16, CUBE_VALUES)


def test_without_decoder_mask_all_that_was_hidden_is_reconstructed():
    model = tiny_model(VideoMAEv2ForPreTraining, decoder_mask_type=None)
    outputs = model(clips())
    assert outputs.logits.shape == (2, TOKENS - VISIBLE, CUBE_VALUES)
    assert torch.equal(outputs.decoder_bool_masked_pos, ~outputs.bool_masked_pos)


def test_masks_of_other_counts_than_configured_are_taken():
    model = tiny_model(VideoMAEv2ForPreTraining)
    outputs = model(clips(), random_mask(2, GRID, 0.5), random_mask(2, GRID, 0.25))
    assert outputs.logits.shape == (2, 24, CUBE_VALUES)


class OnAppleGPU(torch.Tensor):
    """A mask that says that it lies there."""

    device = torch.device("mps")
    __torch_function__ = torch._C._disabled_torch_function_impl  # what is made of it lies elsewhere

    def cpu(self) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_masks_on_an_apple_gpu_are_counted(monkeypatch: pytest.MonkeyPatch):
    """Of PyTorch before 2.12, these have no `_assert_async`."""

    def refuse(*_: object) -> None:
        raise NotImplementedError("aten::_assert_async.msg")

    monkeypatch.setattr(torch, "_assert_async", refuse)
    model = tiny_model(VideoMAEv2ForPreTraining)
    outputs = model(clips(), *(random_mask(2, GRID, ratio).as_subclass(OnAppleGPU) for ratio in (0.5, 0.25)))
    assert outputs.logits.shape == (2, 24, CUBE_VALUES)


def test_a_mask_that_hides_nothing_has_no_loss_over_what_is_hidden():
    model = tiny_model(VideoMAEv2ForPreTraining, mask_type="frame", mask_ratio=0.4)  # of 2 steps in time: none
    with pytest.raises(ValueError, match=r"hides nothing of the 32 tokens.*`mask_ratio` \(0.4 of `mask_type` 'frame'"):
        model(clips())
    assert model(clips(), return_loss=False).logits.shape == (2, RECONSTRUCTED, CUBE_VALUES)
    everything = tiny_model(VideoMAEv2ForPreTraining, mask_type="frame", mask_ratio=0.4, decoder_loss_on="all")
    assert everything(clips()).loss > 0


def test_loss_is_over_the_reconstructed_tokens_that_were_hidden():
    mask = masks()
    outputs = {
        where: tiny_model(VideoMAEv2ForPreTraining, decoder_loss_on=where)(clips(), **mask)
        for where in ("invisible", "all")
    }
    kept = ~mask["decoder_bool_masked_pos"]
    cubes = normalised_cubes(clips())[kept].view(2, RECONSTRUCTED, CUBE_VALUES)
    error = (outputs["all"].logits - cubes).square().mean(-1)
    hidden = mask["bool_masked_pos"][kept].view(2, RECONSTRUCTED)
    torch.testing.assert_close(outputs["all"].loss, error.mean())
    torch.testing.assert_close(outputs["invisible"].loss, error[hidden].mean())
    assert not torch.equal(hidden.sum(1)[0], hidden.sum(1)[1]), "the clips must differ, or a mean per clip would pass"


def normalised_cubes(pixel_values: torch.Tensor) -> torch.Tensor:
    """Targets of all tokens, `(B, N, P)`, in float64 and by another way than the model."""
    std, mean = torch.tensor([0.229, 0.224, 0.225]), torch.tensor([0.485, 0.456, 0.406])
    pixels = pixel_values.double() * std.view(3, 1, 1) + mean.view(3, 1, 1)
    cubes = pixels.unfold(1, 2, 2).unfold(3, 4, 4).unfold(4, 4, 4)  # B, T, C, H, W, frame, row, column
    cubes = cubes.permute(0, 1, 3, 4, 5, 6, 7, 2).reshape(len(pixel_values), TOKENS, 32, 3)
    return ((cubes - cubes.mean(2, keepdim=True)) / (cubes.std(2, keepdim=True) + 1e-6)).flatten(2).float()


BLACK = (-torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])).view(3, 1, 1)


def predicting_zero(**settings: Any) -> VideoMAEv2ForPreTraining:
    """A model whose loss is the mean square of the targets."""
    model = tiny_model(VideoMAEv2ForPreTraining, **settings)
    with torch.no_grad():
        model.decoder.head.weight.zero_()
        model.decoder.head.bias.zero_()
    return model


def test_raw_pixels_are_the_targets_without_norm_pix_loss():
    model = predicting_zero(norm_pix_loss=False)
    assert model(BLACK.expand(2, 4, 3, 16, 16)).loss.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("mode", ["no", pytest.param("blocks", marks=[pytest.mark.slow, compiles, needs_compiler])])
def test_cubes_of_one_colour_are_zero(mode: CompileMode) -> None:
    """Black bars: a sum that is rounded otherwise must not become another target, compiled or not."""
    model = predicting_zero(image_size=32, patch_size=16, num_frames=8, tubelet_size=4)
    compile_model(model.train(), mode)
    assert model(BLACK.expand(2, 8, 3, 32, 32).contiguous()).loss.item() == 0.0


@pytest.mark.parametrize("normalised", [True, False])
def test_channels_of_unknown_statistics_are_the_targets_as_they_are(normalised: bool):
    model = predicting_zero(num_channels=2, norm_pix_loss=normalised)
    wanted = 31 / 32 if normalised else 4.0  # of 32 values, with their unbiased deviation
    values = torch.tensor([2.0, -2.0]).repeat(8).view(16, 1).expand(2, 4, 2, 16, 16)
    assert model(values).loss.item() == pytest.approx(wanted, rel=1e-5)


def test_targets_of_clips_in_half_precision_are_made_in_full():
    model, mask = tiny_model(VideoMAEv2ForPreTraining).bfloat16(), masks()
    outputs = model(clips().bfloat16(), **mask)
    kept = ~mask["decoder_bool_masked_pos"]
    cubes = normalised_cubes(clips().bfloat16().float())[kept].view(2, RECONSTRUCTED, CUBE_VALUES)
    error = (outputs.logits.float() - cubes).square().mean(-1)
    hidden = mask["bool_masked_pos"][kept].view(2, RECONSTRUCTED)
    assert outputs.loss.dtype == torch.float32
    torch.testing.assert_close(outputs.loss, error[hidden].mean(), rtol=1e-5, atol=0)


# ---- nothing waits for the device


class OperatorLog(TorchDispatchMode):
    """Names of all operators that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        kinds = [a.dtype for a in args[1] if a is not None] if "aten.index" in str(func) else []
        if torch.bool in kinds or torch.uint8 in kinds:
            self.names.add("aten.index with a mask")
        return func(*args, **(kwargs or {}))


WAITS = ("nonzero", "_local_scalar_dense", "masked_select", "with a mask", "aten.item", "aten.equal", "unique")


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("model_class", [VideoMAEv2Model, VideoMAEv2ForPreTraining])
def test_no_operator_waits_for_the_device(model_class: type[PreTrainedModel], given: bool):
    model = tiny_model(model_class).train()
    names = inspect.signature(model.forward).parameters
    arguments = {name: mask for name, mask in masks().items() if given and name in names}
    with OperatorLog() as log:
        outputs = model(clips(), **arguments)
        outputs[0].sum().backward()
    assert "aten.mm.default" in log.names or "aten.addmm.default" in log.names
    assert [name for name in log.names if any(word in name for word in WAITS)] == []
