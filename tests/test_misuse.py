"""What a user may get wrong around a call: it is refused with a hint, or does the right thing."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import MODEL_CLASSES, clips, tiny_model

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
)


@pytest.mark.parametrize(
    ("model_class", "keyword", "meant"),
    [
        (VideoMAEv2ForPreTraining, "bool_mask_pos", "bool_masked_pos"),
        (VideoMAEv2ForPreTraining, "decoder_bool_mask_pos", "decoder_bool_masked_pos"),
        (VideoMAEv2ForVideoClassification, "label", "labels"),
        (VideoMAEv2Model, "bool_masked_position", "bool_masked_pos"),
    ],
)
def test_misspelt_argument_of_a_model_is_refused(model_class: type, keyword: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"`{keyword}`.*`{meant}`"):
        tiny_model(model_class)(clips(), **{keyword: None})


def test_misspelt_setting_of_the_processor_is_refused(tmp_path: Path) -> None:
    VideoMAEv2VideoProcessor().save_pretrained(tmp_path)
    frames = np.zeros((16, 32, 32, 3), dtype=np.uint8)
    for misuse in (
        lambda: VideoMAEv2VideoProcessor(num_clip=3),
        lambda: VideoMAEv2VideoProcessor()(frames, num_clip=3),
    ):
        with pytest.raises(ValueError, match=r"`num_clip`.*`num_clips`"):
            misuse()


@pytest.mark.parametrize("problem_type", ["regression", "multi_label_classification"])
def test_views_are_averaged_as_logits_where_classes_do_not_exclude_each_other(problem_type: str) -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, problem_type=problem_type)
    views = torch.stack([clips(), clips().flip(1), 2 * clips()], dim=1)
    expected = torch.stack([model(view).logits for view in views.unbind(1)]).mean(0)
    torch.testing.assert_close(model(views).logits, expected)


def test_views_of_a_single_output_are_averaged() -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, num_labels=1)
    views = torch.stack([clips(), 2 * clips()], dim=1)
    labels = torch.tensor([0.3, 1.0])
    outputs = model(views, labels=labels)
    torch.testing.assert_close(outputs.logits, (model(clips()).logits + model(2 * clips()).logits) / 2)
    torch.testing.assert_close(outputs.loss, F.mse_loss(outputs.logits.squeeze(1), labels))


@pytest.mark.parametrize(("count", "labels"), [(2, [[0], [1]]), (1, [[1]]), (1, 1)], ids=str)
def test_class_ids_that_are_tensors_of_one_number(count: int, labels: object) -> None:
    """As the default collator of `Trainer` makes them of labels that are arrays of one number."""
    model = tiny_model(VideoMAEv2ForVideoClassification)
    ids = torch.tensor(labels)
    outputs = model(clips()[:count], labels=ids)
    torch.testing.assert_close(outputs.loss, F.cross_entropy(outputs.logits, ids.flatten().expand(count)))


def test_a_configuration_that_was_changed_is_checked_before_a_model_is_built() -> None:
    config = tiny_model(VideoMAEv2Model).config
    config.num_attention_heads = 5
    with pytest.raises(ValueError, match=r"`hidden_size` \(\d+\) must be a multiple of `num_attention_heads` \(5\)"):
        VideoMAEv2Model(config)


class NumbersOfActions(VideoMAEv2ForVideoClassification):
    """A name that says nothing of its kind of loss."""


def test_a_subclass_has_the_losses_of_its_problem_type() -> None:
    outputs = tiny_model(NumbersOfActions, num_labels=1)(clips(), labels=torch.tensor([0.3, 1.0]))
    torch.testing.assert_close(outputs.loss, F.mse_loss(outputs.logits.squeeze(1), torch.tensor([0.3, 1.0])))


@pytest.mark.parametrize(
    ("pixel_values", "words"),
    [(None, "NoneType"), (np.zeros((2, 4, 3, 16, 16)), "ndarray"), (clips()[:0], "at least one clip")],
    ids=["nothing", "array", "empty batch"],
)
def test_pixel_values_that_are_no_clips_are_refused(pixel_values: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tiny_model(VideoMAEv2Model)(pixel_values)


@pytest.mark.parametrize("decoder_mask_type", ["running_cell", None])
@pytest.mark.parametrize(
    "mask", [[[True]], np.zeros((2, 32), dtype=bool), torch.zeros(2, 32)], ids=["list", "array", "numbers"]
)
def test_mask_that_is_no_bool_tensor_is_refused(mask: object, decoder_mask_type: str | None) -> None:
    with pytest.raises(ValueError, match=r"`bool_masked_pos` must be a bool tensor"):
        tiny_model(VideoMAEv2ForPreTraining, decoder_mask_type=decoder_mask_type)(clips(), bool_masked_pos=mask)


def test_wrong_decoder_mask_is_refused_before_the_encoder_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(VideoMAEv2ForPreTraining)
    monkeypatch.setattr(model.videomae_v2, "forward", lambda *args, **kwargs: pytest.fail("the encoder ran"))
    with pytest.raises(ValueError, match="decoder_bool_masked_pos"):
        model(clips(), decoder_bool_masked_pos=torch.zeros(2, 7, dtype=torch.bool))


def test_save_pretrained_takes_positional_arguments(tmp_path: Path) -> None:
    tiny_model(VideoMAEv2Model).save_pretrained(tmp_path, True)
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("model_class", [VideoMAEv2ForVideoClassification, VideoMAEv2Model, VideoMAEv2ForPreTraining])
def test_a_list_of_pixel_values_names_what_the_processor_needs(model_class: type) -> None:
    processor = VideoMAEv2VideoProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, num_frames=4
    )
    with pytest.raises(ValueError, match=r'`pixel_values`.*return_tensors="pt"'):
        tiny_model(model_class)(**processor(np.zeros((4, 16, 16, 3), dtype=np.uint8)))


@pytest.mark.parametrize("model_class", MODEL_CLASSES)
def test_what_the_processor_gives_as_one_argument_names_the_way_out(model_class: type) -> None:
    processor = VideoMAEv2VideoProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, num_frames=4
    )
    inputs = processor(np.zeros((4, 16, 16, 3), dtype=np.uint8), return_tensors="np")
    with pytest.raises(ValueError, match=r"got BatchFeature. Pass `model\(\*\*inputs\)`"):
        tiny_model(model_class)(inputs)
    with pytest.raises(ValueError, match=r"got ndarray. Pass `torch.from_numpy\(pixel_values\)`"):
        tiny_model(model_class)(**inputs)


def test_labels_of_several_classes_at_once_may_be_whole_numbers() -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, problem_type="multi_label_classification")
    labels = torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 0, 0]])
    outputs = model(clips(), labels=labels)
    torch.testing.assert_close(outputs.loss, F.binary_cross_entropy_with_logits(outputs.logits, labels.float()))
    outputs.loss.backward()
    with pytest.raises(ValueError, match=r"shape \(2, 5\).*multi_label_classification.*got \(2,\)"):
        model(clips(), labels=torch.tensor([0, 1]))


def test_regression_takes_a_number_for_each_output() -> None:
    single = tiny_model(VideoMAEv2ForVideoClassification, num_labels=1)
    for labels in (torch.tensor([1, 2]), torch.tensor([[1.0], [2.0]])):
        outputs = single(clips(), labels=labels)
        torch.testing.assert_close(outputs.loss, F.mse_loss(outputs.logits.flatten(), labels.float().flatten()))
    with pytest.raises(ValueError, match=r"shape \(2, 1\).*regression.*got \(2, 3\)"):
        single(clips(), labels=torch.zeros(2, 3))


@pytest.mark.parametrize("counted", ["model", "config"])
def test_a_head_of_one_output_that_the_user_put_in_is_no_class_of_one(counted: str) -> None:
    """Its cross entropy would be zero whatever it says."""
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model.classifier = torch.nn.Linear(model.config.hidden_size, 1)
    owner = model if counted == "model" else model.config
    owner.num_labels = 1
    labels = torch.tensor([[2.0], [5.0]])
    assert model(clips(), labels=labels).loss.abs() > 0.1
    assert model(clips(), labels=labels.flatten()).loss.abs() > 0.1
    views = torch.stack([clips(), clips() + 1], dim=1)
    assert model(views).logits.shape == (2, 1)
    assert model(views).logits.abs().min() > 1e-4


def test_labels_that_the_model_has_no_output_for_are_named() -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification)
    with pytest.raises(ValueError, match=r"from 0 to 4, got \[5\]"):
        model(clips(), labels=torch.tensor([1, 5]))
    with pytest.raises(ValueError, match=r"from 0 to 4, got \[-1\]"):
        model(clips(), labels=torch.tensor([-1, 0]))
    with pytest.raises(ValueError, match="`labels` must be a tensor, got list"):
        model(clips(), labels=[1, 0])
    ignored = model(clips(), labels=torch.tensor([-100, 0])).loss
    torch.testing.assert_close(ignored, model(clips()[1:], labels=torch.tensor([0])).loss)
