# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mixup, cutmix, label smoothing and random erasing, against references in float64, and what they may depend on."""

import logging

import numpy as np
import pytest
import torch
from tiny import tiny_model
from torch.utils._python_dispatch import TorchDispatchMode

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification
from training.erasing import RandomErasing
from training.mixing import Mixing, smoothed_one_hot


CLASSES = 7


def batch(count: int = 6, first: int = 0, size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips `(count, 3, 2, size, size)` and labels that depend on their numbers alone."""
    clips = [
        torch.randn(3, 2, size, size, generator=torch.Generator().manual_seed(n)) for n in range(first, first + count)
    ]
    return torch.stack(clips), (torch.arange(first, first + count) * 5 + 1) % CLASSES


def reference(mixing: Mixing, clips: torch.Tensor, labels: torch.Tensor, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The mixed batch in float64, clip by clip, from what was drawn."""
    size, smoothing = clips.shape[-1], mixing.label_smoothing
    mix = mixing.draw(first, len(clips), size, size)
    hard = np.full((len(clips), CLASSES), smoothing / CLASSES)
    hard[np.arange(len(clips)), labels.numpy()] += 1.0 - smoothing
    pixels, targets = clips.numpy().astype(np.float64), []
    mixed = pixels.copy()
    for i in range(len(clips)):
        other, share = int(mix.partner[i]), float(mix.share[i])
        top, left, bottom, right = mix.box[i].tolist()
        if bottom > top and right > left:
            mixed[i, :, :, top:bottom, left:right] = pixels[other, :, :, top:bottom, left:right]
            assert share == pytest.approx(1.0 - (bottom - top) * (right - left) / size**2)
        else:
            mixed[i] = share * pixels[i] + (1.0 - share) * pixels[other]
        targets.append(share * hard[i] + (1.0 - share) * hard[other])
    return mixed, np.stack(targets)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 1.0), (0.8, 0.0), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_mixing_equals_float64(count: int, mixup: float, cutmix: float, smoothing: float) -> None:
    mixing = Mixing(CLASSES, mixup, cutmix, label_smoothing=smoothing, seed=3)
    clips, labels = batch(count)
    before = clips.clone()
    mixed, targets = mixing(clips, labels, 32)
    assert torch.equal(clips, before)
    assert (mixed.dtype, targets.dtype, targets.shape) == (torch.float32, torch.float32, (count, CLASSES))
    if mixup == cutmix == 0.0:
        assert mixed is clips
        assert torch.equal(targets, smoothed_one_hot(labels, CLASSES, smoothing))
        return
    expected, expected_targets = reference(mixing, clips, labels, 32)
    assert np.abs(mixed.double().numpy() - expected).max() < 1e-6
    assert np.abs(targets.double().numpy() - expected_targets).max() < 1e-6
    assert targets.sum(dim=1).numpy() == pytest.approx(1.0, abs=1e-6)


def test_all_frames_and_channels_are_mixed_alike() -> None:
    clips = torch.arange(16.0).view(16, 1, 1, 1, 1).expand(-1, 3, 2, 12, 12).contiguous()
    mixed, _ = Mixing(CLASSES, 0.8, 1.0, seed=1)(clips, torch.zeros(16, dtype=torch.long), 0)
    assert torch.equal(mixed, mixed[:, :1, :1].expand_as(mixed))
    assert not torch.equal(mixed, clips)


def test_the_loss_on_mixed_and_smoothed_targets_equals_float64() -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, num_labels=CLASSES)
    _, targets = Mixing(CLASSES, 0.8, 1.0, label_smoothing=0.1, seed=3)(*batch(8), 0)
    logits = torch.randn(8, CLASSES, generator=torch.Generator().manual_seed(0)) * 4
    exact = logits.double().numpy()
    logarithm = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    _, soft = reference(Mixing(CLASSES, 0.8, 1.0, label_smoothing=0.1, seed=3), *batch(8), 0)
    expected = -(soft * logarithm).sum(axis=1).mean()
    assert abs(float(model.classification_loss(logits, targets)) - expected) < 1e-6


def test_what_is_drawn() -> None:
    mix = Mixing(CLASSES, mixup=0.8, cutmix=1.0, switch_prob=0.5, seed=0).draw(0, 4000, 224, 224)
    boxed = mix.box.sum(dim=1) > 0
    assert boxed.float().mean() == pytest.approx(0.5, abs=0.03)
    for alpha, share in ((0.8, mix.share[~boxed]), (1.0, None)):
        if share is not None:  # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1))
            assert share.mean() == pytest.approx(0.5, abs=0.02)
            assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.01)
    top, left, bottom, right = mix.box[boxed].T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= 224).all()
    assert (right <= 224).all()
    assert ((top == 0) | (left == 0) | (bottom == 224) | (right == 224)).float().mean() > 0.5  # cut at the border
    # side s = sqrt(u), u uniform; the border leaves s - s^2 / 4 of it on average
    for low, high in ((top, bottom), (left, right)):
        assert ((low + high) / 448).mean() == pytest.approx(0.5, abs=0.02)
        assert ((high - low) / 224.0).mean() == pytest.approx(2 / 3 - 1 / 8, abs=0.02)
    assert abs(np.corrcoef(top + bottom, left + right)[0, 1]) < 0.1
    assert mix.share[boxed].mean() == pytest.approx(1 - (1 / 2 - 1 / 5 + 1 / 48), abs=0.02)
    top, left, bottom, right = Mixing(CLASSES, 0.0, 1.0, seed=0).draw(0, 500, 48, 96).box.T
    assert (bottom.max(), right.max()) == (48, 96)
    assert 2 * float((bottom - top).sum()) == pytest.approx(float((right - left).sum()), rel=0.05)
    half = Mixing(CLASSES, 0.8, 1.0, prob=0.5, seed=0).draw(0, 2000, 64, 64)
    assert (half.share == 1.0).float().mean() == pytest.approx(0.5, abs=0.04)
    erased = torch.tensor([RandomErasing(0.5, seed=0).box(clip, 64, 64) is not None for clip in range(2000)])
    assert ((half.share < 1.0) == erased).float().mean() == pytest.approx(0.5, abs=0.04)  # the one without the other
    rare = Mixing(CLASSES, 0.8, 1.0, switch_prob=0.2, seed=0).draw(0, 2000, 64, 64).box.sum(dim=1) > 0
    assert rare.float().mean() == pytest.approx(0.2, abs=0.04)
    assert [Mixing(CLASSES, 0.8, 1.0, prob=prob).active for prob in (0.0, 0.5)] == [False, True]
    assert (Mixing(CLASSES, 0.8, 0.0).draw(0, 500, 64, 64).box == 0).all()
    assert (Mixing(CLASSES, 0.0, 1.0).draw(0, 500, 64, 64).box.sum(dim=1) > 0).float().mean() > 0.95


@pytest.mark.parametrize("views", [1, 2])
def test_a_clip_is_mixed_alike_however_the_batch_is_spread(views: int) -> None:
    mixing = Mixing(CLASSES, 0.8, 1.0, seed=5, views=views)
    clips, labels = batch(8 * views)
    whole = mixing(clips, labels, 0)
    for size in (2 * views, 4 * views):
        parts = [mixing(clips[i : i + size], labels[i : i + size], i) for i in range(0, 8 * views, size)]
        for name in range(2):
            assert torch.equal(torch.cat([part[name] for part in parts]), whole[name])
    again = Mixing(CLASSES, 0.8, 1.0, seed=5, views=views)(clips, labels, 0)
    assert torch.equal(again[0], whole[0])
    assert not torch.equal(Mixing(CLASSES, 0.8, 1.0, seed=6, views=views)(clips, labels, 0)[0], whole[0])


@pytest.mark.parametrize(
    ("first", "count", "views", "partners"),
    [
        (0, 4, 1, [1, 0, 3, 2]),
        (8, 4, 2, [2, 3, 0, 1]),  # view by view with the neighbouring video
        (4, 3, 1, [1, 0, 0]),  # the third one has no neighbour here
        (3, 3, 1, [1, 2, 1]),
        (6, 1, 1, [0]),
        (0, 6, 2, [2, 3, 0, 1, 1, 2]),  # the third one takes views of the others, not its own
        (4, 2, 2, [1, 0]),  # a video alone: its own other view
    ],
)
def test_partners(first: int, count: int, views: int, partners: list[int]) -> None:
    assert Mixing(CLASSES, 0.8, 1.0, views=views).draw(first, count, 8, 8).partner.tolist() == partners


@pytest.mark.parametrize("views", [1, 2])
def test_a_lonely_video_is_reported_once(views: int, caplog: pytest.LogCaptureFixture) -> None:
    mixing = Mixing(CLASSES, 0.8, 1.0, views=views)
    with caplog.at_level(logging.WARNING):
        mixing(*batch(2 * views), 0)
        assert not caplog.records
        for first in range(3):
            mixing(*batch(views), first * views)
    assert [record.message for record in caplog.records] == [
        "A batch holds a single video: mixup and cutmix need a batch_size of at least 2."
    ]


def test_erasing_fills_the_same_box_of_all_frames_with_noise() -> None:
    clips = torch.full((40, 8, 3, 32, 48), 100.0)
    erase = RandomErasing(0.25, seed=1)
    assert erase(clips, 7) is clips
    noise, boxes = [], 0
    for i, clip in enumerate(clips):
        box = erase.box(7 + i, 32, 48)
        changed = clip != 100.0
        if box is None:
            assert not changed.any()
            continue
        boxes += 1
        top, left, bottom, right = box
        inside = torch.zeros(32, 48, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        assert torch.equal(changed, inside.expand_as(changed))
        noise.append(clip[:, :, top:bottom, left:right].flatten())
        assert len(noise[-1].unique()) > 0.99 * noise[-1].numel()  # its own noise for each pixel of each frame
    assert 4 <= boxes <= 17
    values = torch.cat(noise)
    assert values.mean() == pytest.approx(0.0, abs=0.02)
    assert values.std() == pytest.approx(1.0, abs=0.02)


def test_boxes_have_the_published_sizes() -> None:
    erase = RandomErasing(1.0)
    boxes = np.array([erase.box(clip, 224, 224) for clip in range(1000)])
    tall, wide = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shares, aspects = tall * wide / 224**2, tall / wide
    assert shares.min() == pytest.approx(0.02, abs=0.005)
    assert shares.max() == pytest.approx(1 / 3, abs=0.005)
    assert aspects.min() == pytest.approx(0.3, rel=0.05)
    assert aspects.max() == pytest.approx(1 / 0.3, rel=0.05)
    assert np.median(aspects) == pytest.approx(1.0, abs=0.1)
    assert boxes.min(axis=0).tolist()[:2] == [0, 0]
    assert boxes.max(axis=0).tolist()[2:] == [224, 224]
    for side in (3, 4):  # where many a box does not fit at first
        small = np.array([erase.box(clip, side, side) for clip in range(200)])
        for low, high in ((0, 2), (1, 3)):
            assert np.unique(small[:, high] - small[:, low]).tolist() == list(range(1, side))
    assert sum(RandomErasing(0.25).box(clip, 224, 224) is not None for clip in range(2000)) / 2000 == pytest.approx(
        0.25, abs=0.03
    )


class WholePicture(RandomErasing):
    def box(self, clip: int, height: int, width: int) -> tuple[int, int, int, int]:
        return 0, 0, height, width


def test_erasing_depends_on_seed_and_number_alone() -> None:
    clips, _ = batch(16, size=24)
    whole = RandomErasing(0.5, seed=2)(clips.clone(), 100)
    erase = RandomErasing(0.5, seed=2)
    parts = [erase(clips[i : i + 4].clone(), 100 + i) for i in (12, 0, 4, 8)]
    assert torch.equal(torch.cat([parts[1], parts[2], parts[3], parts[0]]), whole)
    assert not torch.equal(RandomErasing(0.5, seed=3)(clips.clone(), 100), whole)
    boxes = [[RandomErasing(0.5, seed=seed).box(100 + i, 24, 24) for i in range(16)] for seed in (2, 3)]
    assert boxes[0] != boxes[1]
    noise = torch.cat([WholePicture(1.0, seed)(clips[:2].clone(), 100) for seed in (2, 3)])
    assert len({float(clip.mean()) for clip in noise}) == 4
    assert torch.equal(RandomErasing(0.0)(clips.clone(), 0), clips)
    assert RandomErasing(1.0).box(0, 1, 1) is None  # no box fits


class Forbid(TorchDispatchMode):
    """Operators after which a host would have to wait for a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().partition(".")[0]
        assert name not in ("aten::nonzero", "aten::_local_scalar_dense", "aten::masked_select", "aten::item"), name
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_a_device() -> None:
    clips, labels = batch(8)
    mixing, erase = Mixing(CLASSES, 0.8, 1.0, label_smoothing=0.1), RandomErasing(1.0)
    with Forbid():
        mixing(erase(clips, 0), labels, 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_mixes_as_the_cpu_does_and_nothing_waits_for_it() -> None:
    clips, labels = batch(8)
    mixing, erase = Mixing(CLASSES, 0.8, 1.0, label_smoothing=0.1), RandomErasing(0.5)
    expected, expected_targets = mixing(clips, labels, 0)
    on_gpu, labels = clips.cuda(), labels.cuda()
    erase(on_gpu.clone(), 0)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        mixed, targets = mixing(on_gpu, labels, 0)
        erased = erase(on_gpu.clone(), 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(mixed.cpu(), expected)
    torch.testing.assert_close(targets.cpu(), expected_targets)
    same_places = (erased.cpu() != clips) == (erase(clips.clone(), 0) != clips)
    assert same_places.float().mean() > 0.999
