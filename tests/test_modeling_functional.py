# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The transforms of `torch.func`: gradients, one per clip too, derivatives in a direction, checks of arguments."""

from collections.abc import Callable

import pytest
import torch
from tiny import LABELS, TRAINED_CLASSES, clips, inputs_for, masks, tiny_model
from torch.func import functional_call, grad, jvp, vmap
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification


Parameters = dict[str, torch.Tensor]
each_trained_model = pytest.mark.parametrize("model_class", TRAINED_CLASSES)


def loss_of(model: PreTrainedModel) -> tuple[Parameters, Callable[[Parameters, dict[str, torch.Tensor]], torch.Tensor]]:
    """Parameters of a model, and its loss as a function of them and of the arguments."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return parameters, lambda values, inputs: functional_call(model, values, (), inputs).loss


@each_trained_model
def test_functional_gradients_are_those_of_backward(model_class: type[PreTrainedModel]) -> None:
    model, inputs = tiny_model(model_class), inputs_for(model_class, labels=True)
    parameters, loss = loss_of(model)
    gradients = grad(loss)(parameters, inputs)
    model(**inputs).loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)


@each_trained_model
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_gradients_of_every_clip(model_class: type[PreTrainedModel]) -> None:
    inputs = inputs_for(model_class, batch=3, labels=True)
    parameters, loss = loss_of(tiny_model(model_class))

    def one(values: Parameters, clip: dict[str, torch.Tensor]) -> torch.Tensor:
        return loss(values, {name: value.unsqueeze(0) for name, value in clip.items()})

    together = vmap(grad(one), in_dims=(None, 0))(parameters, inputs)
    for i in range(3):
        alone = grad(one)(parameters, {name: value[i] for name, value in inputs.items()})
        torch.testing.assert_close({name: value[i] for name, value in together.items()}, alone)


@each_trained_model
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_derivative_in_a_direction(model_class: type[PreTrainedModel]) -> None:
    model = tiny_model(model_class, attn_implementation="eager").double()  # fused attention has no forward derivative
    inputs = {**inputs_for(model_class, labels=True), "pixel_values": clips().double()}
    parameters, loss = loss_of(model)
    direction = {name: torch.randn_like(parameter) for name, parameter in parameters.items()}
    _, derivative = jvp(lambda values: loss(values, inputs), (parameters,), (direction,))

    def moved(step: float) -> torch.Tensor:
        return loss({name: parameter + step * direction[name] for name, parameter in parameters.items()}, inputs)

    torch.testing.assert_close(derivative, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-5, atol=1e-8)


def test_a_mask_drawn_inside() -> None:
    model = tiny_model(VideoMAEv2ForPreTraining)
    assert grad(lambda x: model(x).loss)(clips()).shape == clips().shape


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("transform", [vmap, grad])
def test_arguments_are_checked_all_the_same(transform: Callable) -> None:
    classifier, autoencoder = tiny_model(VideoMAEv2ForVideoClassification), tiny_model(VideoMAEv2ForPreTraining)
    groups = clips(4).unflatten(0, (2, 2))  # `vmap` takes them apart
    labels = torch.tensor([[0, 1], [2, LABELS]])
    mask = masks(4)["bool_masked_pos"].unflatten(0, (2, 2))
    mask[1, 1] = False

    def flat(x: torch.Tensor) -> torch.Tensor:
        return x if transform is vmap else x.flatten(0, 1)

    with pytest.raises(ValueError, match=r"from 0 to 4, got \[5\]"):
        transform(lambda x, y: classifier(flat(x), labels=flat(y)).loss)(groups, labels)
    with pytest.raises(ValueError, match="it keeps 8 to 32 of 32"):
        transform(lambda x, m: autoencoder.videomae_v2(flat(x), flat(m)).pooler_output.sum())(groups, mask)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_masks_are_counted_in_nested_transforms() -> None:
    """Whatever dimension each transform takes."""
    model = tiny_model(VideoMAEv2ForPreTraining).videomae_v2
    many, mask = clips(4), masks(4)["bool_masked_pos"]

    def features(x: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        return model(x.unsqueeze(0), m.unsqueeze(0)).pooler_output[0]

    nested = vmap(vmap(features, in_dims=(0, 1)), in_dims=(0, 2))
    groups = mask.unflatten(0, (2, 2)).permute(2, 1, 0)  # tokens, clips of a group, groups
    result = nested(many.unflatten(0, (2, 2)), groups)
    torch.testing.assert_close(result.flatten(0, 1), model(many, mask).pooler_output)
    groups[:, 1, 0] = False
    with pytest.raises(ValueError, match="it keeps 8 to 32 of 32"):
        nested(many.unflatten(0, (2, 2)), groups)
