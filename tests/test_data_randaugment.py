# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""RandAugment: strength against the published one, pixels against Pillow, all frames of a clip alike."""

import collections
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from training.data.augment import Crop, RandomResizedCrop, ViewMaker, resized_crop
from training.data.loading import make_view_maker
from training.data.randaugment import NAMES, OPERATIONS, RandAugment, Step
from training.recipe import AugmentRecipe, DataRecipe, SourceRecipe


# What `rand-m7-n4-mstd0.5-inc1` does without its noise, written out by hand: at magnitude 7 of 10, for both signs.
AT_7 = {
    "auto_contrast": (None, None),
    "equalize": (None, None),
    "invert": (None, None),
    "rotate": (21.0, -21.0),  # degrees, of 30
    "posterize": (2, 2),  # bits kept, 4 - int(0.7 * 4)
    "solarize": (77, 77),  # 256 - int(0.7 * 256)
    "solarize_add": (77, 77),  # of 110
    "color": (1.63, 0.37),  # 1 +- 0.7 * 0.9
    "contrast": (1.63, 0.37),
    "brightness": (1.63, 0.37),
    "sharpness": (1.63, 0.37),
    "shear_x": (0.21, -0.21),  # of 0.3
    "shear_y": (0.21, -0.21),
    "translate_x": (0.315, -0.315),  # share of the side, of 0.45
    "translate_y": (0.315, -0.315),
}


def frames_of(count: int = 4, height: int = 40, width: int = 48, seed: int = 0, grain: int = 4) -> torch.Tensor:
    """Smooth random frames uint8 `(count, 3, height, width)`, channels last in memory as the pipeline has them."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, height // grain, width // grain, generator=generator)
    frames = torch.nn.functional.interpolate(small, (height, width), mode="bilinear") * 255
    return frames.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def apply(name: str, frames: torch.Tensor, argument: float | None) -> torch.Tensor:
    return OPERATIONS[name].apply(frames, argument)


@pytest.mark.parametrize("name", NAMES)
def test_strength_is_the_published_one(name: str) -> None:
    for sign, expected in zip((1, -1), AT_7[name]):
        step = RandAugment.step(name, 7.0, sign)
        assert step.argument == (None if expected is None else pytest.approx(expected))
        assert type(step.argument) is type(expected)


def test_the_operations_are_the_published_ones() -> None:
    assert set(NAMES) == set(AT_7)
    assert RandAugment() == RandAugment(num_ops=4, magnitude=7.0, noise_std=0.5, prob=0.5)


def test_strength_grows_with_the_magnitude() -> None:
    neutral = {"rotate": 0.0, "posterize": 4, "solarize": 256, "solarize_add": 0, "shear_x": 0.0, "translate_y": 0.0}
    neutral |= dict.fromkeys(("color", "contrast", "brightness", "sharpness"), 1.0)
    for name, nothing in neutral.items():
        away = [abs(RandAugment.step(name, level).argument - nothing) for level in range(11)]
        assert away[0] == 0
        assert away == sorted(away)
        assert away[10] > away[5] > 0


def test_draws() -> None:
    rng, draw = np.random.default_rng(0), RandAugment().draw
    drawn = [draw(rng) for _ in range(3000)]
    counts = collections.Counter(len(steps) for steps in drawn)
    for count in range(5):  # binomial, 4 with probability 1/2
        assert counts[count] / 3000 == pytest.approx(math.comb(4, count) / 16, abs=0.03)
    steps = [step for steps in drawn for step in steps]
    names = collections.Counter(step.name for step in steps)
    assert set(names) == set(NAMES)
    assert min(names.values()) > 0.75 * len(steps) / 15
    degrees = np.array([step.argument for step in steps if step.name == "rotate"])
    assert (degrees > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert np.abs(degrees).mean() == pytest.approx(21.0, abs=0.3)
    assert np.abs(degrees).std() == pytest.approx(0.5 * 3, abs=0.3)  # noise of 0.5 on a magnitude that is worth 3 each
    assert np.abs([s.argument for s in RandAugment(40, 10.0, 3.0, 1.0).draw(rng) if s.name == "rotate"]).max() <= 30.0
    assert {s.argument for s in RandAugment(200, 0.0, 3.0, 1.0).draw(rng) if s.name == "posterize"} <= {2, 3, 4}


def test_draws_take_as_much_from_the_generator_whatever_happens() -> None:
    states = []
    for prob in (0.0, 0.5, 1.0):
        rng = np.random.default_rng(5)
        steps = RandAugment(prob=prob).draw(rng)
        states.append(rng.random())
        assert len(steps) == {0.0: 0, 1.0: 4}.get(prob, len(steps))
    assert len(set(states)) == 1


def enhance(kind: type) -> Callable[[Image.Image, float], Image.Image]:
    return lambda picture, factor: kind(picture).enhance(factor)


PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "auto_contrast": lambda picture, _: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "posterize": ImageOps.posterize,
    "solarize": ImageOps.solarize,
    "solarize_add": lambda picture, amount: picture.point(
        [min(i + amount, 255) if i < 128 else i for i in range(256)] * 3
    ),
    "color": enhance(ImageEnhance.Color),
    "contrast": enhance(ImageEnhance.Contrast),
    "brightness": enhance(ImageEnhance.Brightness),
    "sharpness": enhance(ImageEnhance.Sharpness),
}


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("sign", [1, -1])
def test_values_equal_those_of_pillow(name: str, sign: int) -> None:
    frames = frames_of()
    argument = RandAugment.step(name, 7.0, sign).argument
    ours = apply(name, frames, argument)
    for frame, result in zip(frames, ours):
        theirs = np.array(PILLOW[name](Image.fromarray(frame.permute(1, 2, 0).numpy()), argument))
        assert (torch.from_numpy(theirs).permute(2, 0, 1).int() - result.int()).abs().max() <= 2


def shift_rows(frames: np.ndarray, slope: float) -> np.ndarray:
    """Each row `y` of `(H, W)` float frames moved by `slope` times `y + 1/2`, linear between pixels, 128 outside."""
    height, width = frames.shape
    places = np.arange(-1, width + 1)
    padded = np.pad(frames, ((0, 0), (1, 1)), constant_values=128.0)
    rows = [np.interp(np.arange(width) - slope * (y + 0.5), places, padded[y], 128.0, 128.0) for y in range(height)]
    return np.stack(rows)


@pytest.mark.parametrize("sign", [1, -1])
def test_shears(sign: int) -> None:
    frames, slope = frames_of(2), 0.21 * sign
    candidates = [np.stack([shift_rows(f.numpy(), s) for f in frames.flatten(0, 1).double()]) for s in (slope, -slope)]
    ours = apply("shear_x", frames, slope).flatten(0, 1).double().numpy()
    assert min(np.abs(ours - theirs).max() for theirs in candidates) <= 1.0  # which way is up to chance anyway
    turned = apply("shear_y", frames.transpose(2, 3), slope).transpose(2, 3)
    assert np.abs(turned.flatten(0, 1).double().numpy() - ours).max() <= 1.0


def test_rotation_equals_that_of_pillow_inside() -> None:
    frames = frames_of(2, grain=8)
    ours = apply("rotate", frames, 21.0)
    for frame, result in zip(frames, ours):
        picture = Image.fromarray(frame.permute(1, 2, 0).numpy())
        theirs = np.array(picture.rotate(21.0, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)))
        difference = (torch.from_numpy(theirs).permute(2, 0, 1).int() - result.int()).abs()
        assert difference[:, 12:28, 14:34].max() <= 2
        assert difference.float().mean() < 3  # along the edge, Pillow does not blend with the grey around
    white = torch.full((1, 3, 40, 48), 255, dtype=torch.uint8)
    assert set(apply("rotate", white, 21.0)[0, :, 0, 0].tolist()) == {128}
    assert apply("rotate", white, 21.0).min() == 128  # no dark edge between white and grey


@pytest.mark.parametrize(("name", "dim"), [("translate_x", 3), ("translate_y", 2)])
@pytest.mark.parametrize("share", [0.315, -0.315, 0.0])
def test_translation(name: str, dim: int, share: float) -> None:
    frames = frames_of()
    length = frames.shape[dim]
    shift = round(share * length)
    expected = np.full(frames.shape, 128, dtype=np.uint8)
    ours, kept = np.moveaxis(expected, dim, 0), np.moveaxis(frames.numpy(), dim, 0)
    for place in range(length):
        if 0 <= place - shift < length:
            ours[place] = kept[place - shift]
    assert np.array_equal(apply(name, frames, share).numpy(), expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_memory_layout_changes_nothing(name: str) -> None:
    frames, argument = frames_of(), RandAugment.step(name, 7.0).argument
    other = frames.contiguous()
    assert other.stride() != frames.stride()
    assert torch.equal(apply(name, frames, argument), apply(name, other, argument))


@pytest.mark.parametrize("level", [0.0, 10.0])
def test_ends_of_the_scale(level: float) -> None:
    frames = frames_of()
    for name in NAMES:
        for sign in (1, -1):
            result = apply(name, frames, RandAugment.step(name, level, sign).argument)
            assert (result.shape, result.dtype) == (frames.shape, torch.uint8)
    assert torch.equal(apply("solarize", frames, RandAugment.step("solarize", 0.0).argument), frames)
    assert apply("solarize", torch.full_like(frames, 255), 255).max() == 0  # the weakest that does anything
    assert apply("posterize", frames, RandAugment.step("posterize", 10.0).argument).max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_all_frames_of_a_clip_are_treated_alike(name: str) -> None:
    still = frames_of(1).expand(5, -1, -1, -1)
    result = apply(name, still, RandAugment.step(name, 7.0).argument)
    assert all(torch.equal(result[0], frame) for frame in result)
    assert name == "auto_contrast" or not torch.equal(result, still)
    moving = frames_of(5)
    result = apply(name, moving, RandAugment.step(name, 7.0).argument)
    for i in range(5):  # and none depends on the others
        assert torch.equal(result[i], apply(name, moving[i : i + 1], RandAugment.step(name, 7.0).argument)[0])


def test_a_chain_is_its_steps_and_leaves_the_input() -> None:
    frames = frames_of()
    before = frames.clone()
    for seed in range(20):
        result = RandAugment()(frames, np.random.default_rng(seed))
        expected = frames
        for name, argument in RandAugment().draw(np.random.default_rng(seed)):
            expected = apply(name, expected, argument)
        assert torch.equal(result, expected)
        assert torch.equal(frames, before)
    assert RandAugment(prob=0.0)(frames, np.random.default_rng(0)) is frames
    assert RandAugment().step("rotate", 7.0) == Step("rotate", 21.0)


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (100, 100), (20, 400)])
def test_random_resized_crop(height: int, width: int) -> None:
    rng, draw = np.random.default_rng(0), RandomResizedCrop()
    crops = [draw(height, width, rng) for _ in range(1000)]
    for crop in crops:
        assert 0 <= crop.top <= height - crop.height
        assert 0 <= crop.left <= width - crop.width
        assert 0.7 < crop.width / crop.height < 1.4
    if height != 20:  # where large crops do not fit, only small ones are left
        shares = np.array([crop.height * crop.width / (height * width) for crop in crops])
        assert shares.min() < 0.12
        assert shares.max() > 0.85
        assert len({(crop.top, crop.left) for crop in crops}) > 700


def test_random_resized_crop_of_a_frame_that_none_fits() -> None:
    rng = np.random.default_rng(0)
    assert RandomResizedCrop((0.9, 1.0), (1.0, 1.0))(10, 100, rng) == Crop(0, 45, 10, 10)
    assert RandomResizedCrop((0.9, 1.0), (1.0, 1.0))(100, 10, rng) == Crop(45, 0, 10, 10)
    assert RandomResizedCrop((0.9, 1.0), (2.0, 2.0))(10, 100, rng) == Crop(0, 40, 10, 20)
    assert RandomResizedCrop((0.9, 1.0), (2.0, 2.0))(100, 10, rng) == Crop(47, 0, 5, 10)
    assert RandomResizedCrop()(1, 1, rng) == Crop(0, 0, 1, 1)


def test_views_are_augmented_after_crop_and_flip_each_in_its_own_way() -> None:
    frames = frames_of(3, 48, 80)
    augment, resized = RandAugment(), RandomResizedCrop()
    views = ViewMaker(32, 3, random_resized=resized, flip=True, rand_augment=augment)(frames, np.random.default_rng(3))
    assert (views.shape, views.dtype) == ((3, 3, 3, 32, 32), torch.uint8)
    assert views.permute(0, 1, 3, 4, 2).is_contiguous()
    rng = np.random.default_rng(3)
    for view in views:
        cut = resized_crop(frames, resized(48, 80, rng), 32)
        cut = cut.flip(-1) if rng.random() < 0.5 else cut
        assert torch.equal(view, augment(cut, rng))
    still = frames_of(1, 48, 80).expand(4, -1, -1, -1)
    for seed in range(10):
        view = ViewMaker(32, flip=True, rand_augment=augment)(still, np.random.default_rng(seed))[0]
        assert all(torch.equal(view[0], frame) for frame in view)


def data(**values: object) -> DataRecipe:
    return DataRecipe(sources=[SourceRecipe(path="x")], **values)


def test_from_the_recipe_to_views() -> None:
    assert make_view_maker(data()) == ViewMaker(224, 1, True, False)
    assert make_view_maker(data(multi_scale_crop=False, flip=True)) == ViewMaker(224, 1, False, True)
    augment = AugmentRecipe(
        crop="random_resized", crop_area=[0.5, 0.9], crop_aspect=[0.6, 1.5], rand_augment=True, num_ops=3,
        magnitude=9.0, noise_std=0.25, op_prob=0.75,
    )  # fmt: skip
    made = make_view_maker(data(augment=augment, views=2))
    resized = RandomResizedCrop((0.5, 0.9), (0.6, 1.5))
    assert made == ViewMaker(224, 2, False, False, resized, RandAugment(3, 9.0, 0.25, 0.75))
    assert make_view_maker(data(augment=augment), training=False) == ViewMaker(224, 1, False, False)
    assert make_view_maker(data(augment=AugmentRecipe(crop="centre"))) == ViewMaker(224, 1, False, False)
    assert make_view_maker(data(augment=AugmentRecipe(crop="multi_scale"))) == ViewMaker(224, 1, True, False)
    assert data(augment=augment).problems() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop_area": [0.5]}, r"data.augment.crop_area must be two numbers in \(0, 1\], the smaller one first"),
        ({"crop_area": [0.0, 1.0]}, "crop_area"),
        ({"crop_area": [0.5, 1.5]}, "crop_area"),
        ({"crop_aspect": [1.5, 0.5]}, "crop_aspect must be two numbers above 0"),
        ({"crop_aspect": [0.5, math.inf]}, "crop_aspect"),
        ({"num_ops": 0}, "num_ops must be at least 1, got 0; rand_augment: false"),
        ({"magnitude": 11.0}, r"magnitude must lie in \[0, 10\], got 11.0"),
        ({"magnitude": math.nan}, "magnitude"),
        ({"noise_std": -1.0}, "noise_std must not be negative"),
        ({"op_prob": 1.2}, "op_prob"),
    ],
)
def test_wrong_values(wrong: dict[str, object], message: str) -> None:
    found = data(augment=AugmentRecipe(**wrong)).problems()
    assert len(found) == 1
    assert re.search(message, found[0])


def test_contradicting_crops() -> None:
    found = data(multi_scale_crop=False, augment=AugmentRecipe(crop="random_resized")).problems()
    assert found == ["data.augment.crop (random_resized) contradicts data.multi_scale_crop (false); leave one out"]
