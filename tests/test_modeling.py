# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Public behaviour of the models: shapes, masks, refusals, losses, multi-view, other sizes, initialisation."""

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import (
    CUBE_VALUES,
    GRID,
    LABELS,
    MODEL_CLASSES,
    TOKENS,
    VISIBLE,
    clips,
    inputs_for,
    masks,
    tiny_config,
    tiny_model,
)
from transformers import PreTrainedModel

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    tube_mask,
)
from modeling_videomae_v2.embeddings_videomae_v2 import sin_cos_table


each_model = pytest.mark.parametrize("model_class", MODEL_CLASSES)


# ---- shapes


def test_encoder_outputs():
    model = tiny_model(VideoMAEv2Model)
    outputs = model(clips(3))
    assert outputs.last_hidden_state.shape == (3, TOKENS, 32)
    expected = F.layer_norm(outputs.last_hidden_state.mean(1), (32,), model.fc_norm.weight, model.fc_norm.bias, 1e-6)
    torch.testing.assert_close(outputs.pooler_output, expected)


def test_encoder_without_mean_pooling_norms_tokens_and_takes_the_first():
    with_norm, pooling = tiny_model(VideoMAEv2Model, use_mean_pooling=False), tiny_model(VideoMAEv2Model)
    pooling.load_state_dict(with_norm.state_dict(), strict=False)  # all but the norm
    raw = pooling(clips()).last_hidden_state
    outputs = with_norm(clips())
    expected = F.layer_norm(raw, (32,), with_norm.layernorm.weight, with_norm.layernorm.bias, 1e-6)
    torch.testing.assert_close(outputs.last_hidden_state, expected)
    assert torch.equal(outputs.pooler_output, outputs.last_hidden_state[:, 0])


def test_encoder_sees_only_what_the_mask_keeps():
    model, mask = tiny_model(VideoMAEv2Model), masks()["bool_masked_pos"]
    visible = model(clips(), bool_masked_pos=mask).last_hidden_state
    assert visible.shape == (2, VISIBLE, 32)
    poisoned = cubes_replaced(clips(), mask, float("nan"))
    assert torch.equal(model(poisoned, mask).last_hidden_state, visible), "a dropped cube reached the encoder"
    kept_tokens = model.embeddings(clips())[~mask].view(2, VISIBLE, 32)
    torch.testing.assert_close(model.embeddings(clips(), mask), kept_tokens, msg="wrong positions")
    nothing_dropped = torch.zeros(2, TOKENS, dtype=torch.bool)
    torch.testing.assert_close(model(clips(), nothing_dropped).last_hidden_state, model(clips()).last_hidden_state)


def cubes_replaced(pixel_values: torch.Tensor, mask: torch.Tensor, value: float) -> torch.Tensor:
    """The clips with the cubes that `mask` drops filled with `value`."""
    pixels = mask.view(-1, *GRID).repeat_interleave(2, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return pixel_values.masked_fill(pixels.unsqueeze(2), value)


def test_classification_outputs():
    model = tiny_model(VideoMAEv2ForVideoClassification)
    assert model(clips(3)).logits.shape == (3, LABELS)
    assert model(clips(3)).loss is None
    features = model.videomae_v2(clips(3)).pooler_output
    torch.testing.assert_close(model(clips(3)).logits, features @ model.classifier.weight.T + model.classifier.bias)


# ---- refusals


@each_model
def test_channels_in_the_wrong_place_are_refused_with_the_way_out(model_class: type[PreTrainedModel]):
    model = tiny_model(model_class)
    with pytest.raises(ValueError, match=r"pixel_values\.transpose\(1, 2\)"):
        model(clips().transpose(1, 2))
    with pytest.raises(ValueError, match=r"pixel_values\.permute\(0, 1, 4, 2, 3\)"):
        model(clips().permute(0, 1, 3, 4, 2))


def test_advice_for_views_with_channels_in_the_wrong_place_is_right():
    model = tiny_model(VideoMAEv2ForVideoClassification)
    good = clips(4).view(2, 2, 4, 3, 16, 16)
    with pytest.raises(ValueError, match=r"\(2, 2, 3, 4, 16, 16\).*pixel_values\.transpose\(2, 3\)"):
        model(good.transpose(2, 3))
    with pytest.raises(ValueError, match=r"\(2, 2, 4, 16, 16, 3\).*pixel_values\.permute\(0, 1, 2, 5, 3, 4\)"):
        model(good.permute(0, 1, 2, 4, 5, 3))


@each_model
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 3, 16, 16), r"5 dimensions.*\(4, 3, 16, 16\)"),
        ((2, 4, 5, 16, 16), r"3 channels.*\(2, 4, 5, 16, 16\)"),
        ((2, 5, 3, 16, 16), r"frames.*multiple of 2.*5"),
        ((2, 4, 3, 17, 16), r"height.*multiple of 4.*17"),
        ((2, 4, 3, 16, 18), r"width.*multiple of 4.*18"),
        ((2, 0, 3, 16, 16), r"frames.*0"),
    ],
)
def test_shape_that_is_no_clip_is_refused(model_class: type[PreTrainedModel], shape: tuple[int, ...], words: str):
    with pytest.raises(ValueError, match=words):
        tiny_model(model_class)(torch.randn(shape))


@each_model
def test_integer_pixels_are_refused(model_class: type[PreTrainedModel]):
    with pytest.raises(ValueError, match=r"torch\.uint8.*VideoMAEv2VideoProcessor"):
        tiny_model(model_class)(torch.zeros(2, 4, 3, 16, 16, dtype=torch.uint8))


@pytest.mark.parametrize("name", ["bool_masked_pos", "decoder_bool_masked_pos"])
def test_masks_that_do_not_fit_are_refused(name: str):
    model, good = tiny_model(VideoMAEv2ForPreTraining), masks()
    ragged = good[name].clone()
    ragged[0] = False
    for bad, words in [
        (good[name].int(), r"bool.*torch\.int32"),
        (good[name][:1], r"\(2, 32\).*\(1, 32\)"),
        (good[name][:, :16], r"\(2, 32\).*\(2, 16\)"),
        (ragged, "same number"),
        (torch.ones_like(good[name]), "at least one"),
    ]:
        with pytest.raises(ValueError, match=rf"`{name}`.*{words}"):
            model(clips(), **{**good, name: bad})


def test_grid_that_running_cells_do_not_tile_is_refused_where_the_mask_is_drawn():
    model = tiny_model(VideoMAEv2ForPreTraining, image_size=20)
    with pytest.raises(ValueError, match="5 x 5"):
        model(clips(size=20))
    assert model.videomae_v2(clips(size=20)).last_hidden_state.shape == (2, 50, 32)


def test_labels_that_do_not_fit_are_refused():
    model = tiny_model(VideoMAEv2ForVideoClassification)
    for labels in (torch.zeros(3).long(), torch.zeros(2), torch.zeros(2, 4), torch.zeros(2, LABELS).long()):
        with pytest.raises(ValueError, match=r"labels.*\(2,\).*\(2, 5\)"):
            model(clips(), labels=labels)


# ---- losses of the classifier


def test_class_ids_and_soft_targets_equal_a_float64_reference():
    model = tiny_model(VideoMAEv2ForVideoClassification)
    log_probabilities = model(clips(4)).logits.double().log_softmax(-1)
    soft = torch.rand(4, LABELS, generator=torch.Generator().manual_seed(0)).softmax(-1)
    expected = -(soft.double() * log_probabilities).sum(-1).mean()
    assert model(clips(4), labels=soft).loss.item() == pytest.approx(expected.item(), abs=1e-6)
    ids = torch.tensor([0, 4, 2, 2])
    expected = -log_probabilities[range(4), ids].mean()
    assert model(clips(4), labels=ids).loss.item() == pytest.approx(expected.item(), abs=1e-6)
    one_hot = F.one_hot(ids, LABELS).float()
    torch.testing.assert_close(model(clips(4), labels=one_hot).loss, model(clips(4), labels=ids).loss)


def test_a_loss_of_the_users_own_is_taken():
    def weighted(labels: torch.Tensor, logits: torch.Tensor, config: VideoMAEv2Config, **_: object) -> torch.Tensor:
        return F.cross_entropy(logits, labels, weight=torch.arange(1.0, 1 + config.num_labels))

    model, ids = tiny_model(VideoMAEv2ForVideoClassification), torch.tensor([0, 4])
    plain = model(clips(), labels=ids)
    model.loss_function = weighted
    outputs = model(clips(), labels=ids)
    assert outputs.loss == weighted(ids, outputs.logits, model.config) != plain.loss


def test_float_label_of_a_single_output_is_regression_as_everywhere():
    """The cross entropy of one class is always zero: such a model would not train, without a word."""
    model = tiny_model(VideoMAEv2ForVideoClassification, num_labels=1)
    for labels in (torch.tensor([0.3, 1.0]), torch.tensor([[0.3], [1.0]])):
        outputs = model(clips(), labels=labels)
        torch.testing.assert_close(outputs.loss, F.mse_loss(outputs.logits.view(-1), labels.view(-1)))


def test_losses_in_half_precision_are_computed_in_float32():
    model = tiny_model(VideoMAEv2ForVideoClassification).to(torch.bfloat16)
    for labels in (torch.tensor([0, 1]), torch.rand(2, LABELS).softmax(-1).bfloat16()):
        assert model(clips().bfloat16(), labels=labels).loss.dtype == torch.float32
    pretrain = tiny_model(VideoMAEv2ForPreTraining).to(torch.bfloat16)
    assert pretrain(clips().bfloat16()).loss.dtype == torch.float32


def test_losses_in_float64_keep_it():
    """Finite differences of a loss in float32 are noise."""
    soft = torch.rand(2, LABELS).softmax(-1)
    for problem_type, labels in (
        (None, torch.tensor([0, 1])),
        (None, soft),
        ("regression", soft),
        ("multi_label_classification", soft.round().int()),
    ):
        model = tiny_model(VideoMAEv2ForVideoClassification, problem_type=problem_type).double()
        assert model(clips().double(), labels=labels).loss.dtype == torch.float64
    for norm_pix_loss in (True, False):
        model = tiny_model(VideoMAEv2ForPreTraining, norm_pix_loss=norm_pix_loss).double()
        loss = model(clips().double(), **masks()).loss
        assert loss.dtype == torch.float64
        assert loss != loss.float()
        assert model.float()(clips().double()).loss.dtype == torch.float32


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("views", [1, 4])
def test_views_are_averaged_as_probabilities(batch: int, views: int):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    pixel_values = clips(batch * views).view(batch, views, 4, 3, 16, 16)
    logits = model(pixel_values).logits
    probabilities = torch.stack([model(pixel_values[:, v]).logits.double().softmax(-1) for v in range(views)])
    torch.testing.assert_close(logits.double(), probabilities.mean(0).log(), atol=1e-5, rtol=1e-5)
    assert logits.softmax(-1).sum().item() == pytest.approx(batch, abs=1e-5)


def test_views_train_and_stay_finite_where_probabilities_vanish():
    model = tiny_model(VideoMAEv2ForVideoClassification)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([500.0, 0, 0, 0, 0]))
    outputs = model(clips(6).view(2, 3, 4, 3, 16, 16), labels=torch.tensor([1, 2]))
    outputs.loss.backward()
    assert torch.isfinite(outputs.logits).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


# ---- other sizes


@each_model
@pytest.mark.parametrize(("frames", "size"), [(8, 16), (4, 24), (2, 8), (16, 32)])
def test_other_sizes_run(model_class: type[PreTrainedModel], frames: int, size: int):
    outputs = tiny_model(model_class, mask_ratio=0.5)(clips(1, frames=frames, size=size))
    tokens = frames // 2 * (size // 4) ** 2
    expected = [(1, tokens, 32), (1, tokens // 2, CUBE_VALUES), (1, LABELS)][MODEL_CLASSES.index(model_class)]
    assert outputs["last_hidden_state" if model_class is VideoMAEv2Model else "logits"].shape == expected


def test_sides_may_differ():
    model = tiny_model(VideoMAEv2Model)
    assert model(torch.randn(1, 4, 3, 8, 24)).last_hidden_state.shape == (1, 2 * 2 * 6, 32)


def test_position_table_is_exact_at_the_size_of_a_published_model():
    """The angles grow up to 1567 radians, of which fp32 keeps no more than four decimals."""
    positions, columns = np.arange(math.prod(VideoMAEv2Config().grid_size)), np.arange(768)
    angle = positions[:, None] / 10000.0 ** (2 * (columns // 2) / 768)
    expected = np.where(columns % 2 == 0, np.sin(angle), np.cos(angle))
    assert np.abs(sin_cos_table(len(positions), 768).double().numpy() - expected).max() < 1e-7


def test_table_of_another_grid_is_bicubic_in_space_then_linear_in_time():
    embeddings = tiny_model(VideoMAEv2Model).embeddings.position_embeddings
    table = embeddings.table.view(*GRID, 32)
    space = F.interpolate(table.permute(0, 3, 1, 2), (6, 5), mode="bicubic", align_corners=False)
    both = F.interpolate(space.permute(2, 3, 1, 0).reshape(30, 32, 2), 5, mode="linear", align_corners=False)
    expected = both.view(6, 5, 32, 5).permute(3, 0, 1, 2).reshape(150, 32)
    torch.testing.assert_close(embeddings((5, 6, 5)), expected, atol=1e-6, rtol=0)


# ---- initialisation (section 4)


def linear_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: m.weight for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}


def test_pretraining_starts_xavier_uniform():
    torch.manual_seed(0)
    model = VideoMAEv2ForPreTraining(VideoMAEv2Config(hidden_size=192, intermediate_size=384, num_hidden_layers=2))
    for name, weight in linear_weights(model).items():
        bound = math.sqrt(6 / sum(weight.shape))
        assert 0.98 * bound < weight.abs().max() <= bound, name
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03), name
    cubes = model.videomae_v2.embeddings.patch_embeddings.projection.weight
    bound = 1 / math.sqrt(cubes[0].numel())  # what PyTorch gives a convolution, which the reference leaves alone
    assert 0.98 * bound < cubes.abs().max() <= bound
    assert model.decoder.mask_token.std().item() == pytest.approx(0.02, rel=0.15)
    assert all((p == 0).all() for name, p in model.named_parameters() if name.endswith("bias"))


def test_finetuning_starts_truncated_normal_with_a_small_head():
    torch.manual_seed(0)
    model = VideoMAEv2ForVideoClassification(VideoMAEv2Config(hidden_size=192, num_hidden_layers=2, num_labels=99))
    for name, weight in linear_weights(model).items():
        std = 0.02 * 0.001 if name == "classifier" else 0.02
        assert weight.std().item() == pytest.approx(std, rel=0.03), name
        assert weight.abs().max() < 6 * std, name
    assert all((p == 0).all() for name, p in model.named_parameters() if name.endswith("bias"))


def test_layer_scale_starts_at_its_value_or_is_left_out():
    model = VideoMAEv2Model(tiny_config(layer_scale_init_value=0.1))
    scales = {name: value for name, value in model.named_parameters() if "scale" in name}
    assert len(scales) == 4
    assert all((value == 0.1).all() for value in scales.values())
    assert not [name for name, _ in VideoMAEv2Model(tiny_config()).named_parameters() if "scale" in name]


def test_biases():
    def biased(qkv_bias: bool) -> set[str]:
        names = VideoMAEv2Model(tiny_config(qkv_bias=qkv_bias)).state_dict()
        return {k.split(".")[-2] for k in names if k.startswith("layers.0.attention") and k.endswith("bias")}

    assert biased(True) == {"q_proj", "v_proj", "o_proj"}
    assert biased(False) == {"o_proj"}


# ---- training only


def test_stochastic_depth_drops_whole_clips_and_rises_linearly():
    model = tiny_model(VideoMAEv2Model, num_hidden_layers=5, drop_path_rate=0.4)
    rates = [getattr(layer.drop_path, "rate", 0.0) for layer in model.layers]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    drop_path, ones = model.layers[4].drop_path, torch.ones(4000, 2, 3)
    assert torch.equal(drop_path(ones), ones)
    dropped = drop_path.train()(ones)
    assert ((dropped == 0) | (dropped == 1 / 0.6)).all()
    assert (dropped == dropped[:, :1, :1]).all()
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


def test_dropouts_act_in_training_only():
    rates = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "classifier_dropout": 0.5}
    for name, rate in rates.items():
        model = tiny_model(VideoMAEv2ForVideoClassification, **{name: rate})
        assert torch.equal(model(clips()).logits, model(clips()).logits)
        model.train()
        assert not torch.equal(model(clips()).logits, model(clips()).logits), name


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model_class in MODEL_CLASSES:
            tiny_model(model_class)(**inputs_for(model_class, labels=True))
        tiny_model(VideoMAEv2Model)(clips(), tube_mask(2, GRID, 0.75))
