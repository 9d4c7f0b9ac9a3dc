"""Crops and views: sizes and places of the multi-scale crop, pixels against Pillow, the same for all frames."""

import collections

import numpy as np
import pytest
import torch
from PIL import Image

from training.data.augment import PLACES, SCALES, Crop, ViewMaker, centre_crop, multi_scale_crop, resized_crop


def frames_of(count: int = 3, height: int = 48, width: int = 80, channels_last: bool = True) -> torch.Tensor:
    """Smooth random frames `(count, 3, height, width)`."""
    small = torch.rand(count, 3, 6, 10, generator=torch.Generator().manual_seed(0))
    frames = (torch.nn.functional.interpolate(small, (height, width), mode="bilinear") * 255).to(torch.uint8)
    return frames.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(256, 340, 224), (340, 256, 224), (100, 100, 64), (1080, 1920, 224)]
)
def test_multi_scale_crops_are_those_of_the_paper(height: int, width: int, size: int) -> None:
    rng = np.random.default_rng(0)
    crops = [multi_scale_crop(height, width, size, rng) for _ in range(4000)]
    sides = [int(min(height, width) * scale) for scale in SCALES]
    sides = [size if abs(side - size) < 3 else side for side in sides]
    pairs = collections.Counter((sides.index(crop.height), sides.index(crop.width)) for crop in crops)
    assert set(pairs) == {(i, j) for i in range(4) for j in range(4) if abs(i - j) <= 1}
    assert min(pairs.values()) > 4000 / len(pairs) * 0.75
    places = collections.Counter()
    for crop in crops:
        assert 0 <= crop.top <= height - crop.height
        assert 0 <= crop.left <= width - crop.width
        room = (height - crop.height) // 4, (width - crop.width) // 4
        if min(room):
            places[crop.top / room[0], crop.left / room[1]] += 1
    assert set(places) == {(float(a), float(b)) for a, b in PLACES}
    assert len(set(PLACES)) == 13
    assert min(places.values()) > sum(places.values()) / 13 * 0.6


def test_crop_of_nearly_the_wanted_size_is_not_scaled() -> None:
    rng = np.random.default_rng(0)
    found = {multi_scale_crop(256, 340, 226, rng).height for _ in range(200)}
    assert found == {256, 226, 192, 168}  # 224 is two pixels from 226


def test_frames_smaller_than_a_pixel_of_crop() -> None:
    rng = np.random.default_rng(0)
    assert all(multi_scale_crop(1, 2, 224, rng).height == 1 for _ in range(50))
    assert ViewMaker(size=16)(frames_of(2, 1, 2), rng).shape == (1, 2, 3, 16, 16)


@pytest.mark.parametrize("crop", [Crop(3, 7, 31, 40), Crop(0, 0, 48, 48), Crop(10, 20, 16, 20)])
@pytest.mark.parametrize("channels_last", [True, False])
def test_pixels_equal_those_of_pillow(crop: Crop, channels_last: bool) -> None:
    frames = frames_of(channels_last=channels_last)
    ours = resized_crop(frames, crop, 32)
    box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    for frame, cut in zip(frames, ours):
        picture = Image.fromarray(frame.permute(1, 2, 0).numpy()).crop(box)
        theirs = np.array(picture.resize((32, 32), Image.Resampling.BILINEAR))
        assert (torch.from_numpy(theirs).permute(2, 0, 1).int() - cut.int()).abs().max() <= 1


def test_unscaled_crop_is_a_cut() -> None:
    frames = frames_of()
    assert torch.equal(resized_crop(frames, Crop(5, 6, 32, 32), 32), frames[:, :, 5:37, 6:38])


def test_views_share_frames_and_differ_in_crop() -> None:
    frames = frames_of()
    views = ViewMaker(size=32, views=4)(frames, np.random.default_rng(0))
    assert (views.shape, views.dtype) == ((4, 3, 3, 32, 32), torch.uint8)
    assert views.permute(0, 1, 3, 4, 2).is_contiguous()
    assert all(not torch.equal(views[i], views[j]) for i in range(4) for j in range(i))
    rng = np.random.default_rng(0)
    for view in views:
        assert torch.equal(view, resized_crop(frames, multi_scale_crop(48, 80, 32, rng), 32))


def test_all_frames_of_a_view_are_cut_alike() -> None:
    still = frames_of(1).expand(5, -1, -1, -1)
    for flip in (False, True):
        for seed in range(8):
            view = ViewMaker(size=32, flip=flip)(still, np.random.default_rng(seed))[0]
            assert all(torch.equal(view[0], frame) for frame in view)


def test_flip() -> None:
    frames, mirrored = frames_of(), 0
    for seed in range(40):
        plain = ViewMaker(size=32, multi_scale=False)(frames, np.random.default_rng(seed))
        view = ViewMaker(size=32, multi_scale=False, flip=True)(frames, np.random.default_rng(seed))
        assert torch.equal(view, plain) or torch.equal(view, plain.flip(-1))
        mirrored += not torch.equal(view, plain)
    assert 10 < mirrored < 30


def test_centre_crop_equals_the_processor() -> None:
    from modeling_videomae_v2 import VideoMAEv2VideoProcessor

    assert centre_crop(48, 81) == Crop(0, 16, 48, 48)
    frames = frames_of(4, 48, 80)
    processor = VideoMAEv2VideoProcessor(
        num_frames=4, size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, do_normalize=False,
        do_rescale=False,
    )  # fmt: skip
    theirs = processor(frames, return_tensors="pt").pixel_values[0]
    ours = ViewMaker(size=48, multi_scale=False)(frames, np.random.default_rng(0))[0]
    assert torch.equal(ours.float(), theirs.float())
