# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The window that slides over a video: right frames, right times, every frame decoded once."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_files import encode, read_numbers

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.inference import windows
from modeling_videomae_v2.inference.clips import UNFINISHED, Sampling, choose_sampling, clips_of
from modeling_videomae_v2.inference.windows import Length, WindowReader, window_indices, window_starts
from modeling_videomae_v2.video_decoding_videomae_v2 import read_video
from modeling_videomae_v2.video_processing_videomae_v2 import dense_indices
from modeling_videomae_v2.video_sources_videomae_v2 import VideoDecodingError


SIDES = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}


def frames(count: int) -> Length:
    return Length(count, in_frames=True)


class Watched(WindowReader):
    """Counts how often the decoder has to start anew, and which frames are asked for."""

    def __init__(self, *args, **kwargs) -> None:
        self.starts, self.asked = 0, []
        super().__init__(*args, **kwargs)

    def _restart(self, *args, **kwargs) -> bool:
        self.starts += 1
        return super()._restart(*args, **kwargs)

    def get_frames(self, indices):
        self.asked += indices
        return super().get_frames(indices)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("b.mp4", "libx264", {"bf": "2"}),
        ("b.mkv", "libx264", {"bf": "2"}),
        ("b.ts", "libx264", {"bf": "2"}),  # whose times begin somewhere
        ("x.avi", "mpeg4", {}),
        ("x.mov", "mjpeg", {}),
    ],
)
@pytest.mark.parametrize(("span", "stride"), [(16, 16), (16, 3), (16, 1), (8, 25), (6, 4)])
def test_windows_hold_their_frames_and_each_is_decoded_once(tmp_path, name, codec, options, span, stride) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / name, codec, 70, options=options, pix_fmt=pix_fmt)
    with Watched(path, num_threads=1) as reader:
        windows = list(reader.windows(4, frames(span), frames(stride), lambda frames: frames))
        starts = window_starts(70, span, stride, 4)
        assert [window.number for window in windows] == list(range(len(starts)))
        for window, start in zip(windows, starts, strict=True):
            assert read_numbers(window.frames) == window_indices(start, span, 4, 70).tolist()
            assert window.start == pytest.approx(start / 25)
            assert window.end == pytest.approx(min(start + span, 70) / 25)
            assert window.count == len(starts)
        assert reader.asked == sorted(set(reader.asked))
        if name != "x.mov" and stride <= span:
            assert reader.starts == 1


def test_a_window_of_a_clip_holds_what_the_processor_takes(tmp_path: Path) -> None:
    assert window_indices(0, 64, 16, 300).tolist() == list(range(0, 64, 4))
    for total in (1, 7, 30, 59, 60):  # too short for a clip
        assert window_indices(0, 64, 16, total).tolist() == dense_indices(total, 16, 4)[0].tolist()


@pytest.mark.parametrize("total", [1, 5, 16, 17, 31, 32, 33, 100, 101])
@pytest.mark.parametrize(("span", "stride"), [(16, 16), (16, 5), (16, 40), (1, 1), (7, 7)])
def test_starts_cover_the_video_and_stay_inside(total: int, span: int, stride: int) -> None:
    num_frames = min(4, span)
    starts = window_starts(total, span, stride, num_frames)
    fit = [start for start in range(0, total, stride) if start + (num_frames - 1) * span // num_frames < total]
    assert starts[: len(fit) or 1] == (fit or [0])
    assert starts == sorted(set(starts))
    if len(starts) > 1:
        assert all(
            window_indices(s, span, num_frames, total)[-1] == s + (num_frames - 1) * span // num_frames for s in starts
        )
    if len(starts) > len(fit):  # one more is only for what the next regular one would have begun
        assert not fit or (fit[-1] + span < total and fit[-1] + stride < total)
    uncovered = total - (starts[-1] + span)
    assert uncovered <= 0 or starts[-1] + stride >= total


def test_a_video_shorter_than_the_window_repeats_its_last_frame(tmp_path: Path) -> None:
    with WindowReader(encode(tmp_path / "short.mp4", num_frames=3)) as reader:
        (window,) = reader.windows(4, Length(10.0), Length(1.0), lambda frames: frames)
    assert read_numbers(window.frames) == [0, 0, 0, 0]
    with WindowReader(tmp_path / "short.mp4") as reader:
        (window,) = reader.windows(4, frames(8), frames(8), lambda frames: frames)
    assert read_numbers(window.frames) == [0, 2, 2, 2]
    assert window.end == pytest.approx(3 / 25)


def test_times_are_those_of_the_frames_where_the_rate_varies(tmp_path: Path) -> None:
    times = [100 * i if i < 10 else 1000 + 20 * (i - 10) for i in range(40)]  # 10 and then 50 frames a second
    path = encode(tmp_path / "vfr.mkv", num_frames=40, times=times)
    with WindowReader(path) as reader:
        windows = list(reader.windows(2, frames(10), frames(10), lambda frames: frames))
    assert [window.start for window in windows] == pytest.approx([0.0, 1.0, 1.2, 1.4], abs=2e-3)
    assert [window.end for window in windows] == pytest.approx([1.0, 1.2, 1.4, 1.62], abs=2e-3)
    processor = VideoMAEv2VideoProcessor(num_clips=4, num_frames=4, sampling_rate=3, **SIDES)
    clips = list(clips_of(path, processor, Sampling(by_clip=True)))  # from the frames 0, 9, 18 and 30
    assert [clip.start for clip in clips] == pytest.approx([0.0, 0.9, 1.16, 1.4], abs=2e-3)
    assert [clip.end for clip in clips][:3] == pytest.approx([1.0, 1.18, 1.36], abs=2e-3)


def test_seconds_become_frames_of_the_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", num_frames=60, rate=30)
    with WindowReader(path) as reader:
        windows = list(reader.windows(4, Length(0.4), Length(0.5), lambda frames: frames))
    assert read_numbers(windows[1].frames) == [15, 18, 21, 24]


def test_what_is_kept_of_a_frame_is_made_once(tmp_path: Path) -> None:
    seen: list[int] = []

    def prepare(frames: torch.Tensor) -> torch.Tensor:
        seen.extend(read_numbers(frames))
        return frames.float().mean(dim=(1, 2, 3))

    with WindowReader(encode(tmp_path / "x.mp4", num_frames=40)) as reader:
        windows = list(reader.windows(8, frames(16), frames(3), prepare))
    assert seen == sorted(set(seen))
    assert windows[0].frames.shape == (8,)


def test_windows_before_the_end_of_a_truncated_file_are_given(tmp_path: Path) -> None:
    path = encode(tmp_path / "cut.mkv", num_frames=100)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with WindowReader(path) as reader:
        iterator = reader.windows(4, frames(8), frames(8), lambda frames: frames)
        assert [next(iterator).number for _ in range(3)] == [0, 1, 2]
        with pytest.raises(VideoDecodingError, match=r"truncated|cannot be read"):
            list(iterator)


def test_a_container_that_announces_too_many_frames_ends_where_its_frames_end(tmp_path: Path) -> None:
    path = encode(tmp_path / "whole.avi", "mpeg4", num_frames=40)
    data = bytearray(path.read_bytes())
    at = data.find(b"avih") + 8 + 16
    data[at : at + 4] = (44).to_bytes(4, "little")  # total frames in the main header
    path.write_bytes(data)
    with WindowReader(path) as reader:
        windows = list(reader.windows(4, frames(8), frames(8), lambda frames: frames))
    assert [read_numbers(window.frames)[0] for window in windows] == [0, 8, 16, 24, 32]


def test_no_window_is_given_twice_where_a_video_ends_early(tmp_path: Path) -> None:
    """A stream without times, whose last packet holds no picture: that shows when the frame of it is wanted."""
    path = encode(tmp_path / "x.h264", num_frames=40, options={"bf": "2"})
    path.write_bytes(path.read_bytes() + b"\0\0\0\1\x09\x10" + b"\0\0\0\1\x0a")  # delimiter, end of sequence
    with WindowReader(path) as reader:
        assert reader.num_frames == 41
        windows = list(reader.windows(5, frames(5), frames(5), lambda frames: frames))
        assert reader.num_frames == 40
    assert [read_numbers(window.frames) for window in windows] == [list(range(i, i + 5)) for i in range(0, 40, 5)]
    assert [window.number for window in windows] == list(range(8))
    assert [(window.start, window.end) for window in windows] == [
        pytest.approx((i / 25, (i + 5) / 25)) for i in range(0, 40, 5)
    ]
    with WindowReader(path) as reader:
        positions, kept = reader.chosen(lambda total: np.array([0, total - 1]), lambda frames: frames)
        assert positions.tolist() == list(kept) == [0, 39]


MEANINGLESS = ["", "0", "-1", "x", "2.5f", "0f", "4m", "1e3", "nan", "inf", "9" * 20 + "f", "9" * 400]


@pytest.mark.parametrize("text", MEANINGLESS)
def test_lengths_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--window"):
        Length.parse(text, "--window")


def test_lengths_are_read_as_written() -> None:
    assert [Length.parse(text, "x") for text in ("4", "2.5S", "64f", " .5 ")] == [
        Length(4.0),
        Length(2.5),
        Length(64.0, in_frames=True),
        Length(0.5),
    ]
    lengths = ("2.5s", "64f", "4s", "1234567f", "0.53386667s", "1000000000f")
    assert tuple(str(Length.parse(text, "x")) for text in lengths) == lengths, "none is taken for another"
    assert Length(0.001).frames(25) == 1
    assert Length(0.59).frames(10) == 6


@pytest.mark.parametrize("sampling", ["dense", "uniform"])
@pytest.mark.parametrize(("num_clips", "num_crops"), [(1, 1), (1, 3), (3, 1), (3, 2), (40, 1)])
def test_clips_spread_over_a_film_are_those_of_the_processor(
    sampling: str, num_clips: int, num_crops: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whole frames, which may be large, only a few are in memory at a time."""
    monkeypatch.setattr(windows, "MAX_CHUNK_BYTES", 1)
    film = encode(tmp_path / "film.mp4", num_frames=30)
    processor = VideoMAEv2VideoProcessor(
        num_clips=num_clips, num_crops=num_crops, sampling=sampling, num_frames=4, sampling_rate=3, **SIDES
    )
    expected = processor(film, return_metadata=True, **UNFINISHED)
    views = expected["pixel_values"].view(num_clips, num_crops, 4, 3, 16, 16)
    times = [i / 25 for i in expected["video_metadata"][0].frames_indices]

    at_once, decode = [], WindowReader.get_frames
    monkeypatch.setattr(WindowReader, "get_frames", lambda self, some: at_once.append(len(some)) or decode(self, some))
    (whole,) = clips_of(film, processor, Sampling())
    assert torch.equal(whole.views, views.flatten(0, 1))
    assert (whole.start, whole.end) == (min(times), pytest.approx(max(times) + 1 / 25))
    clips = list(clips_of(film, processor, Sampling(by_clip=True)))
    assert [(clip.number, clip.count) for clip in clips] == [(i, num_clips) for i in range(num_clips)]
    assert torch.equal(torch.stack([clip.views for clip in clips]), views)
    assert [clip.start for clip in clips] == [min(times[i : i + 4]) for i in range(0, len(times), 4)]
    assert max(at_once) <= 4


def test_a_processor_that_takes_all_frames_takes_those_of_films(tmp_path: Path) -> None:
    film = encode(tmp_path / "film.mp4", num_frames=30)
    processor = VideoMAEv2VideoProcessor(do_sample_frames=False, **SIDES)
    (clip,) = clips_of(film, processor, Sampling())
    assert torch.equal(clip.views, processor(film, **UNFINISHED)["pixel_values"])
    assert clip.views.shape == (1, 30, 3, 16, 16)


def write_changing(path: Path) -> Path:
    """A stream of 30 pictures of 80 x 48 pixels, and 30 of 48 x 80."""
    with open(path, "wb") as file:
        for start, (width, height) in ((0, (80, 48)), (30, (48, 80))):
            part = io.BytesIO()
            with av.open(part, "w", format="mpegts") as container:
                stream = container.add_stream("mpeg2video", rate=25, width=width, height=height, pix_fmt="yuv420p")
                for i in range(30):
                    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 4 * (start + i), np.uint8))
                    frame.pts, frame.time_base = start + i, Fraction(1, 25)
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
            file.write(part.getvalue())
    return path


@pytest.mark.parametrize("num_crops", [1, 3])
def test_pictures_that_change_their_shape_on_the_way(tmp_path: Path, num_crops: int, monkeypatch) -> None:
    """Windows share frames, which are decoded at several times."""
    monkeypatch.setattr(windows, "MAX_CHUNK_BYTES", 1)
    path = write_changing(tmp_path / "x.ts")
    processor = VideoMAEv2VideoProcessor(num_frames=4, num_crops=num_crops, **SIDES)
    clips = list(clips_of(path, processor, Sampling(frames(16), frames(5))))
    assert len(clips) > 5
    assert {clip.views.shape for clip in clips} == {(num_crops, 4, 3, 16, 16)}


def test_a_window_is_one_clip_whatever_the_processor_takes_of_a_video(tmp_path: Path) -> None:
    film = encode(tmp_path / "film.mp4", num_frames=30)
    processor = VideoMAEv2VideoProcessor(num_clips=3, num_crops=2, num_frames=4, **SIDES)
    for number, clip in enumerate(clips_of(film, processor, Sampling(frames(10), frames(10)))):
        chosen = read_video(film, lambda _, first=10 * number: [first + i for i in (0, 2, 5, 7)])[0]
        assert torch.equal(clip.views, processor(chosen, num_clips=1, **UNFINISHED)["pixel_values"][0])


def test_clips_on_their_own_may_be_many() -> None:
    many, options = VideoMAEv2VideoProcessor(num_clips=10_000), {"window": None, "stride": None, "slides": False}
    assert choose_sampling(many, clips=10_000, by_clip=True, **options) == Sampling(by_clip=True)
    with pytest.raises(ValueError, match="Ask for at most 1783 views"):
        choose_sampling(many, clips=10_000, by_clip=False, **options)
