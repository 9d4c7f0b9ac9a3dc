# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The video processor: which frames, which pixels, which views, and what it refuses."""

import functools
import http.server
import io
import json
import struct
import threading
import zipfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tvF
from PIL import Image, ImageSequence
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2.video_processing_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.video_views_videomae_v2 import crop_views, dense_indices, uniform_indices


PROTOCOL = json.loads((Path(__file__).parent / "fixtures" / "protocol.json").read_text())
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def lengths(name):
    return [[int(part.split("=")[1]) for part in key.split(",")] + [value] for key, value in PROTOCOL[name].items()]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(frames, kind="png", **options):
    """A file of one picture, or of an animation, as bytes."""
    file = io.BytesIO()
    first, *others = map(Image.fromarray, frames)
    more = {"save_all": True, "append_images": others} if others else {}
    first.save(file, kind, **more, **options)
    return file.getvalue()


def animation():
    """A picture of PIL with two frames."""
    return Image.open(io.BytesIO(encoded([noise(32, 32, 3, seed=seed) for seed in range(2)], "gif")))


@pytest.fixture
def small():
    """A processor that works on few pixels."""
    return VideoMAEv2VideoProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, num_frames=4)


@pytest.fixture
def picture_server(tmp_path):
    """Loopback server of the files in `tmp_path`."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


# --- which frames


@pytest.mark.parametrize(("total", "clips", "expected"), lengths("test_dense_clip16_stride4"))
def test_dense_clips_are_those_of_the_protocol(total, clips, expected):
    assert dense_indices(total, 16, 4, clips).tolist() == expected


@pytest.mark.parametrize(("total", "clips", "expected"), lengths("test_sparse_16_segments"))
def test_uniform_clips_are_those_of_the_protocol(total, clips, expected):
    assert uniform_indices(total, 16, clips).tolist() == expected


@pytest.mark.parametrize(("total", "official"), lengths("validation_centre_clip16_stride4"))
def test_the_centre_clip_has_the_official_centre_and_an_even_stride(total, official):
    [ours] = dense_indices(total, 16, 4).tolist()
    if total >= 61:
        assert set(np.diff(ours)) == {4}
        assert (ours[0] + ours[-1]) / 2 == pytest.approx((official[0] + official[-1]) / 2, abs=1)
        assert ours[0] + ours[-1] == pytest.approx(total - 1, abs=1)
    else:
        sampled = list(range(0, total, 4))
        assert ours == sampled + [sampled[-1]] * (16 - len(sampled))


@pytest.mark.parametrize("total", [1, 2, 15, 16, 17, 60, 61, 62, 1000])
@pytest.mark.parametrize(("num_frames", "rate", "clips"), [(16, 4, 1), (16, 4, 7), (8, 1, 3), (1, 5, 2), (16, 100, 2)])
def test_indices_are_inside_the_video(total, num_frames, rate, clips):
    for indices in (dense_indices(total, num_frames, rate, clips), uniform_indices(total, num_frames, clips)):
        assert indices.shape == (clips, num_frames)
        assert indices.min() >= 0
        assert indices.max() < total
        assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize("key", PROTOCOL["test_spatial_crops"])
def test_crops_are_those_of_the_protocol(key):
    shape, short, count = (part.split("=")[-1] for part in key.split(","))
    height, width = map(int, shape.split("x"))
    expected = PROTOCOL["test_spatial_crops"][key]
    rows, columns = torch.meshgrid(
        torch.arange(expected["resized"][0]), torch.arange(expected["resized"][1]), indexing="ij"
    )
    views = crop_views(torch.stack([rows, columns]), (int(short), int(short)), int(count))
    offsets = views[:, :, 0, 0].tolist()
    along = 0 if height >= width else 1
    assert [offset[along] for offset in offsets] == expected["offsets_on_long_side"]
    assert {offset[1 - along] for offset in offsets} == {0}
    smaller = crop_views(torch.stack([rows, columns]), (int(short) - 20, int(short) - 20), int(count))
    assert {offset[1 - along] for offset in smaller[:, :, 0, 0].tolist()} == {10}, "not in the middle of the short side"
    processor = VideoMAEv2VideoProcessor(do_center_crop=False, do_rescale=False, do_normalize=False, num_frames=1)
    resized = processor(np.zeros((1, height, width, 3), np.uint8), return_tensors="pt")["pixel_values"]
    assert list(resized.shape[-2:]) == expected["resized"]


@pytest.mark.parametrize(
    ("height", "width", "corners"),
    [(20, 40, [(4, 0), (4, 12), (4, 24)]), (40, 20, [(0, 2), (14, 2), (28, 2)])],
)
def test_crops_that_are_not_square(height, width, corners):
    frames = torch.arange(height * width).view(1, height, width)
    for crop, (top, left) in zip(crop_views(frames, (12, 16), 3), corners, strict=True):
        assert torch.equal(crop, frames[:, top : top + 12, left : left + 16])


# --- which pixels


def test_pixels_are_resized_cropped_and_normalised():
    video = noise(16, 100, 150, 3)
    got = VideoMAEv2VideoProcessor()(video, return_tensors="pt")["pixel_values"]
    frames = tvF.resize(torch.from_numpy(video).permute(0, 3, 1, 2), [224, 336], antialias=True)
    expected = (frames[..., 56:280] / 255 - MEAN) / STD
    assert got.shape == (1, 16, 3, 224, 224)
    assert got.dtype == torch.float32
    assert got.is_contiguous()
    torch.testing.assert_close(got[0], expected, rtol=0, atol=1e-5)


def test_views_are_clip_major(small):
    video = np.zeros((40, 32, 64, 3), dtype=np.uint8)
    video[..., 0], video[..., 1] = np.arange(40)[:, None, None], np.arange(64)
    options = {"do_normalize": False, "rescale_factor": 1.0, "sampling_rate": 2, "return_tensors": "pt"}
    got = small(video, num_clips=3, num_crops=2, **options)["pixel_values"]
    assert got.shape == (1, 6, 4, 3, 32, 32)
    starts = dense_indices(40, 4, 2, 3)
    for view in range(6):
        clip, crop = divmod(view, 2)
        assert got[0, view, :, 0, 0, 0].tolist() == starts[clip].tolist()
        assert got[0, view, 0, 1, 0, 0] == (0, 32)[crop]
    clips = small(video, num_clips=3, **options)["pixel_values"]
    assert clips.shape == (1, 3, 4, 3, 32, 32)
    assert (clips[..., 1, 0, 0] == 16).all()
    crops = small(video, num_crops=2, **options)["pixel_values"]
    assert crops.shape == (1, 2, 4, 3, 32, 32)


def test_crops_of_portrait_videos_run_along_the_height(small):
    video = np.zeros((4, 64, 32, 3), dtype=np.uint8)
    video[..., 0] = np.arange(64)[:, None]
    got = small(video, num_crops=3, do_normalize=False, rescale_factor=1.0, return_tensors="pt")["pixel_values"]
    assert got[0, :, 0, 0, 0, 0].tolist() == [0, 16, 32]


# --- what may be passed


def test_every_form_of_frames_gives_the_same_pixels(small):
    video = noise(4, 40, 48, 3)
    expected = small(video, return_tensors="pt")["pixel_values"]
    images = [Image.fromarray(frame) for frame in video]
    forms = {
        "channels first": video.transpose(0, 3, 1, 2),
        "tensor": torch.from_numpy(video),
        "tensor, channels first": torch.from_numpy(video).permute(0, 3, 1, 2),
        "images": images,
        "tuple": tuple(images),
        "list of arrays": list(video),
        "list of tensors": list(torch.from_numpy(video)),
        "list of arrays, channels first": list(video.transpose(0, 3, 1, 2)),
        "list of videos": [video],
        "nested": [[video]],
        "another sequence of frames": deque(images),
        "another sequence of videos": deque([video]),
        "batch": video[None],
        "int64": video.astype(np.int64),
        "uint16": video.astype(np.uint16),
        "float64": video.astype(np.float64),
        "read-only": np.frombuffer(video.tobytes(), np.uint8).reshape(video.shape),
        "reversed twice": video[::-1].copy()[::-1],
        "big-endian": video.astype(">i4"),
        "big-endian uint16": video.astype(">u2"),
    }
    for name, form in forms.items():
        got = small(form, return_tensors="pt")["pixel_values"]
        assert got.shape == expected.shape, name
        torch.testing.assert_close(got, expected, rtol=0, atol=0.03, msg=name)  # floats are not rounded when resized
    halves = small(video.astype(np.float32) / 255, do_rescale=False, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(halves, expected, rtol=0, atol=0.03)
    normalised = (torch.from_numpy(video).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    got = small(normalised, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(got, expected, rtol=0, atol=0.03)
    got = small(images, input_data_format="channels_first", return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(got, expected, msg="images have their channels last whatever is said of arrays")
    one = small(images[:1], return_tensors="pt")["pixel_values"]
    assert torch.equal(one, small(video[:1], return_tensors="pt")["pixel_values"])
    black = small(np.zeros((4, 40, 48, 3)), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(black, (-MEAN / STD).expand_as(black))


def test_pixels_of_another_scale_than_mean_and_deviation_are_refused(small, tmp_path):
    video = noise(4, 40, 48, 3)
    (tmp_path / "0.png").write_bytes(encoded(video[:1]))
    small.do_rescale = False
    for pixels in (video, video.astype(np.float32), [tmp_path / "0.png"] * 4, [Image.fromarray(f) for f in video]):
        with pytest.raises(ValueError, match=r"pixels go up to \d+ and `do_rescale` is False, but `image_mean`"):
            small(pixels)
    same = small(video, image_mean=0.0, image_std=1.0, return_tensors="pt")["pixel_values"]  # of no scale
    assert same.max() > 200
    own = {"image_mean": (MEAN * 255).flatten().tolist(), "image_std": (STD * 255).flatten().tolist()}
    expected = small(video, do_rescale=True, return_tensors="pt")["pixel_values"]
    for pixels in (video, video.astype(np.float32)):
        found = small(pixels, **own, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(found, expected, rtol=0, atol=0.03)
    raw = small(video, do_normalize=False, return_tensors="pt")["pixel_values"]
    assert raw.dtype == torch.uint8


@pytest.mark.parametrize("resample", [1, 3])
def test_pixels_from_zero_to_one_may_go_above_it_when_they_are_resized(small, resample):
    edges = np.repeat(np.repeat(noise(4, 12, 12, 3) // 128, 4, axis=1), 4, axis=2).astype(np.float32)
    found = small(edges, do_rescale=False, size={"shortest_edge": 40}, resample=resample, return_tensors="pt")
    assert (found["pixel_values"] * STD + MEAN).max() > 1.1


def test_grey_and_alpha(small):
    grey = noise(4, 40, 48, 1)
    expected = small(grey.repeat(3, axis=3), return_tensors="pt")["pixel_values"]
    assert torch.equal(small(grey, return_tensors="pt")["pixel_values"], expected)
    assert torch.equal(small([Image.fromarray(f[..., 0]) for f in grey], return_tensors="pt")["pixel_values"], expected)
    rgba = noise(4, 40, 48, 4)
    expected = small(rgba[..., :3], return_tensors="pt")["pixel_values"]
    assert torch.equal(small(rgba, return_tensors="pt")["pixel_values"], expected)
    assert torch.equal(small([Image.fromarray(f) for f in rgba], return_tensors="pt")["pixel_values"], expected)
    for video in (rgba, [Image.fromarray(frame) for frame in rgba]):
        kept = small(
            video, input_data_format="channels_last", do_convert_rgb=False, image_mean=[0.5] * 4,
            image_std=[0.5] * 4, return_tensors="pt",
        )  # fmt: skip
        assert kept["pixel_values"].shape == (1, 4, 4, 32, 32)


@pytest.mark.parametrize(("mode", "suffix"), [("P", ".png"), ("P", ".bmp"), ("CMYK", ".tif"), ("LA", ".png")])
def test_pictures_of_other_colour_modes(small, tmp_path, mode, suffix):
    frames = [Image.fromarray(frame).convert(mode) for frame in noise(4, 32, 40, 3)]
    expected = small([frame.convert("RGB") for frame in frames], return_tensors="pt")["pixel_values"]
    paths = [tmp_path / f"{i}{suffix}" for i in range(4)]
    for frame, path in zip(frames, paths, strict=True):
        frame.save(path)
    for video in (frames, paths):
        assert torch.equal(small(video, return_tensors="pt")["pixel_values"], expected)


def test_more_than_eight_bits_are_not_cut_off(small, tmp_path):
    """Pillow's own conversion to RGB makes white all that is above 255."""
    values = noise(4, 32, 32)
    expected = small(values[..., None], return_tensors="pt")["pixel_values"]
    deep = [Image.fromarray(frame.astype(np.uint16)) for frame in values]
    assert {picture.mode for picture in deep} == {"I;16"}
    assert torch.equal(small(deep, return_tensors="pt")["pixel_values"], expected)
    assert torch.equal(small([p.convert("I") for p in deep], return_tensors="pt")["pixel_values"], expected)
    as_tensor = torch.from_numpy(values[..., None]).to(torch.uint16)
    assert torch.equal(small(as_tensor, return_tensors="pt")["pixel_values"], expected)

    wide = [Image.fromarray(frame.astype(np.uint16) * 257) for frame in values]
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for picture, path in zip(wide, paths, strict=True):
        picture.save(path)
    for video in (wide, paths, as_tensor.int() * 257):
        with pytest.raises(ValueError, match=r"go from 0 to 65535\. Pass values from 0 to 255"):
            small(video)


def test_batches_of_different_videos(small):
    videos = [noise(4, 40, 48, 3), noise(30, 64, 33, 3), noise(2, 32, 32, 3)]
    got = small(videos, return_tensors="pt")["pixel_values"]
    assert got.shape == (3, 4, 3, 32, 32)
    for video, pixels in zip(videos, got, strict=True):
        assert torch.equal(small(video, return_tensors="pt")["pixel_values"][0], pixels)
    assert isinstance(small(videos, return_tensors="np")["pixel_values"], np.ndarray)
    assert [tuple(pixels.shape) for pixels in small(videos)["pixel_values"]] == [(4, 3, 32, 32)] * 3


def test_short_videos_repeat_their_last_sampled_frame(small):
    video = noise(6, 32, 32, 3)
    got = small(video, return_tensors="pt", return_metadata=True)
    assert got["video_metadata"][0].frames_indices == [0, 4, 4, 4]
    assert torch.equal(got["pixel_values"][0, 1], got["pixel_values"][0, 3])


def test_frames_that_are_one_clip_are_not_sampled(small):
    video = noise(4, 32, 32, 3)
    got = small(video, return_tensors="pt", return_metadata=True)
    assert got["video_metadata"][0].frames_indices == [0, 1, 2, 3]
    several = small(video, num_clips=2, return_tensors="pt", return_metadata=True)
    assert several["video_metadata"][0].frames_indices == [0, 0, 0, 0] * 2


def test_without_sampling_all_frames_are_used(small):
    options = {"do_sample_frames": False, "num_frames": 2, "return_tensors": "pt", "return_metadata": True}
    got = small(noise(9, 32, 32, 3), **options)
    assert got["pixel_values"].shape == (1, 9, 3, 32, 32)
    assert got["video_metadata"][0].frames_indices == list(range(9))
    # frames that somebody else has sampled: where they lie in the video stays what it is
    about = {"total_num_frames": 100, "fps": 25, "frames_indices": [0, 30, 60, 90]}
    [found] = small(noise(4, 32, 32, 3), video_metadata=about, **options)["video_metadata"]
    assert (found.total_num_frames, found.frames_indices) == (100, [0, 30, 60, 90])


def test_sampling_by_fps(small):
    video = noise(8, 32, 32, 3)
    with pytest.raises(ValueError, match="needs the frame rate of the video"):
        small(video, fps=3, return_tensors="pt")
    metadata = {"total_num_frames": 8, "fps": 4, "duration": 2.0}
    got = small([video] * 2, fps=3, video_metadata=[[metadata]] * 2, return_tensors="pt", return_metadata=True)
    assert got["pixel_values"].shape == (2, 6, 3, 32, 32)
    assert got["video_metadata"][1].frames_indices == [0, 1, 2, 4, 5, 6]
    assert "frames_indices" not in metadata
    with pytest.raises(ValueError, match="exclude each other"):
        small(video, fps=3, num_frames=4, video_metadata=metadata)
    with pytest.raises(ValueError, match="asks for 18 frames of a video with 8 at 4 fps"):
        small(video, fps=9, video_metadata=metadata)
    by_default = VideoMAEv2VideoProcessor(fps=2)
    assert by_default(video, video_metadata=metadata, return_tensors="pt")["pixel_values"].shape[1] == 4
    assert by_default(video, num_frames=3, return_tensors="pt")["pixel_values"].shape[1] == 3


def test_the_frame_rate_alone_is_enough_for_frames_in_memory(small):
    got = small(noise(20, 32, 32, 3), fps=2, video_metadata={"fps": 10}, return_tensors="pt", return_metadata=True)
    assert got["video_metadata"][0].frames_indices == [0, 5, 10, 15]
    assert got["video_metadata"][0].total_num_frames == 20
    for wrong, words in (({"frame_rate": 10}, "`video_metadata` has frame_rate. It may .*fps"), (10, "video_metadata")):
        with pytest.raises(ValueError, match=words):
            small(noise(20, 32, 32, 3), fps=2, video_metadata=wrong)


def test_frames_can_be_chosen_without_a_video(small):
    metadata = VideoMetadata(total_num_frames=100, fps=25)
    assert small.sample_frames(metadata).tolist() == [43, 47, 51, 55]
    assert small.sample_frames(metadata, sampling="uniform", num_frames=2, num_clips=2).tolist() == [0, 50, 25, 75]
    assert small.sample_frames(metadata, fps=0.5).tolist() == [0, 50]
    with pytest.raises(ValueError, match=r"`num_frames` \(8\) and `fps` \(2\) exclude each other"):
        small.sample_frames(metadata, num_frames=8, fps=2)
    with pytest.raises(ValueError, match="`sampling_rate` must be"):
        small.sample_frames(metadata, sampling_rate=0)


class Decoder:
    """As torchcodec's `VideoDecoder`: frames by number, and metadata that names things otherwise."""

    def __init__(self, frames, num_frames=None):
        self.frames, self.asked = torch.from_numpy(frames).permute(0, 3, 1, 2), []
        count = len(frames) if num_frames is None else num_frames
        self.metadata = SimpleNamespace(num_frames=count, average_fps=10.0, duration_seconds=2.0, height=32, width=40)

    def get_frames_at(self, indices):
        self.asked += indices
        return SimpleNamespace(data=self.frames[indices])


def test_decoders_give_only_the_frames_that_are_needed(small):
    video = noise(20, 32, 40, 3)
    decoder = Decoder(video)
    got = small(decoder, return_tensors="pt", return_metadata=True)
    assert decoder.asked == got["video_metadata"][0].frames_indices == [3, 7, 11, 15]
    assert torch.equal(got["pixel_values"], small(video, return_tensors="pt")["pixel_values"])
    by_rate = small([Decoder(video), Decoder(video)], fps=2, return_tensors="pt", return_metadata=True)
    assert by_rate["video_metadata"][1].frames_indices == [0, 5, 10, 15]
    with pytest.raises(ValueError, match="does not say how many frames"):
        small(Decoder(video, num_frames=0))


class SequenceDecoder(Decoder, Sequence):
    """A decoder that gives single frames, too, as torchcodec's does."""

    def __len__(self):
        return self.metadata.num_frames

    def __getitem__(self, index):
        pytest.fail("the frames were read one by one")


def test_a_decoder_that_is_a_sequence_is_a_video(small):
    video = noise(20, 32, 40, 3)
    expected = small(video, return_tensors="pt")["pixel_values"]
    assert torch.equal(small(SequenceDecoder(video), return_tensors="pt")["pixel_values"], expected)
    both = small([SequenceDecoder(video)] * 2, return_tensors="pt")["pixel_values"]
    assert torch.equal(both, expected.expand(2, -1, -1, -1, -1))


def test_a_list_of_pictures_is_one_video(small, tmp_path):
    video = noise(20, 32, 40, 3)
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for path, frame in zip(paths, video, strict=True):
        Image.fromarray(frame).save(path)
    expected = small(video, return_tensors="pt")["pixel_values"]
    assert torch.equal(small(paths, return_tensors="pt")["pixel_values"], expected)
    assert small([paths[:9], list(map(str, paths[9:]))], return_tensors="pt")["pixel_values"].shape[:2] == (2, 4)
    one_clip = small(paths[:4], return_tensors="pt", return_metadata=True)
    assert one_clip["video_metadata"][0].frames_indices == [0, 1, 2, 3]
    paths[3].write_bytes(b"nothing")
    paths[7].unlink()
    with pytest.raises(ValueError, match=r"3\.png, frame 3 of 4, cannot be read"):
        small(paths[:4])
    with pytest.raises(FileNotFoundError, match=r"no picture .*7\.png"):
        small(paths[7:8])
    data = bytearray(paths[8].read_bytes())
    data[33:37] = (99).to_bytes(4, "big")  # length of the pixels: a SyntaxError of Pillow
    paths[8].write_bytes(data)
    with pytest.raises(ValueError, match=r"8\.png, frame 0 of 1, cannot be read"):
        small(paths[8:9])


def test_a_list_of_encoded_pictures_is_one_video(small, tmp_path):
    video = noise(4, 32, 40, 3)
    expected = small(video, return_tensors="pt")["pixel_values"]
    content = [encoded([frame]) for frame in video]
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for path, data in zip(paths, content, strict=True):
        Path(path).write_bytes(data)
    forms = {
        "bytes": content,
        "tuple": tuple(content),
        "other kinds of bytes": [content[0], bytearray(content[1]), memoryview(content[2]), content[3]],
        # what `datasets` gives of `List(Image(decode=False))`
        "dicts of bytes": [{"bytes": data, "path": None} for data in content],
        "dicts of paths": [{"bytes": None, "path": path} for path in paths],
        "dicts of bytes with a name": [{"bytes": data, "path": "inside/of/an.archive"} for data in content],
        "mixed": [content[0], paths[1], Path(paths[2]), {"bytes": content[3]}],
    }
    for name, form in forms.items():
        for videos, count in ((form, 1), ([form, form, form], 3)):
            got = small(videos, return_tensors="pt")["pixel_values"]
            assert torch.equal(got, expected.expand(count, -1, -1, -1, -1)), name
    longer = small(content * 5, return_tensors="pt", return_metadata=True)["video_metadata"]
    assert [about.frames_indices for about in longer] == [[3, 7, 11, 15]]
    # one picture that is no list stays a video of its own, and so does an animation
    assert small(content[0], return_tensors="pt")["pixel_values"].shape[:2] == (1, 4)
    gif = encoded(video[:1], "gif")
    assert small([gif, gif], return_tensors="pt")["pixel_values"].shape[:2] == (2, 4)
    assert small([gif, content[0]], return_tensors="pt")["pixel_values"].shape[:2] == (2, 4)


def test_a_list_of_addresses_of_pictures_is_one_video(small, tmp_path, picture_server):
    video = noise(4, 32, 40, 3)
    expected = small(video, return_tensors="pt")["pixel_values"]
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for i, frame in enumerate(video):
            (tmp_path / f"{i}.png").write_bytes(encoded([frame]))
            archive.write(tmp_path / f"{i}.png", f"inside/{i}.png")
    for start, end in (
        (picture_server, "?size=large"),
        (tmp_path.as_uri(), ""),
        ("zip://inside", f"::{tmp_path / 'pictures.zip'}"),
    ):
        addresses = [f"{start}/{i}.png{end}" for i in range(4)]
        assert torch.equal(small(addresses, return_tensors="pt")["pixel_values"], expected), start
        both = small([addresses, addresses], return_tensors="pt")["pixel_values"]
        assert torch.equal(both, expected.expand(2, -1, -1, -1, -1)), start
    with pytest.raises(ValueError, match=r"4\.png: the server answered 404"):
        small([f"{picture_server}/4.png"] * 4)
    with pytest.raises(FileNotFoundError, match=r"4\.png: the file does not exist"):
        small([tmp_path.as_uri() + "/4.png"] * 4)
    (tmp_path / "4.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"The picture http://.*/4\.png, frame 0 of 4, cannot be read: ") as error:
        small([f"{picture_server}/4.png"] * 4)
    assert "BytesIO" not in str(error.value)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp", "tiff", "ppm"])
def test_bytes_of_pictures_are_read_like_their_files(small, tmp_path, kind):
    content = [encoded([frame], kind) for frame in noise(4, 32, 40, 3)]
    paths = [tmp_path / f"{i}.{kind}" for i in range(4)]
    for path, data in zip(paths, content, strict=True):
        path.write_bytes(data)
    from_files = small(paths, return_tensors="pt")["pixel_values"]
    assert from_files.shape == (1, 4, 3, 32, 32)
    assert torch.equal(small(content, return_tensors="pt")["pixel_values"], from_files)


def test_bytes_of_animated_png_stay_videos_of_their_own(small):
    content = encoded(noise(9, 32, 40, 3), dpi=(72, 72))  # which stands before the frames
    for videos in ([content] * 2, [memoryview(content)] * 2, [{"bytes": content, "path": None}] * 2):
        got = small(videos, return_tensors="pt", return_metadata=True)
        assert [about.total_num_frames for about in got["video_metadata"]] == [9, 9]


def test_animated_webp_is_no_picture(small, tmp_path):
    content = encoded(noise(9, 32, 40, 3), "webp")
    for videos in (content, [content] * 2, [memoryview(content)] * 2):
        with pytest.raises(ValueError, match=r"does not decode animated WebP\. .* animated GIF"):
            small(videos)
    still = [encoded([frame], "webp", icc_profile=b"x" * 20) for frame in noise(4, 32, 40, 3)]  # in the same container
    assert small(still, return_tensors="pt")["pixel_values"].shape[:2] == (1, 4)
    for kind, way_out in (("webp", "as GIF or mp4"), ("png", r"it \.apng")):
        (tmp_path / f"a.{kind}").write_bytes(encoded(noise(9, 32, 40, 3), kind))
        with pytest.raises(ValueError, match=rf"a\.{kind}, frame 0 of 2, .* an animation of 9 frames.* {way_out}"):
            small([tmp_path / f"a.{kind}"] * 2)
    (tmp_path / "a.png").rename(tmp_path / "a.apng")
    got = small([tmp_path / "a.apng"] * 2, return_tensors="pt", return_metadata=True)
    assert [about.total_num_frames for about in got["video_metadata"]] == [9, 9]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_pictures_with_damaged_exif_are_read(small, kind):
    options = {"exif": b"Exif\0\0XX*\0\x08\0\0\0", "dpi": (72, 72)}
    content = [encoded([frame], kind, **options) for frame in noise(4, 32, 40, 3)]
    assert small(content, return_tensors="pt")["pixel_values"].shape[:2] == (1, 4)


def test_exif_that_cannot_be_written_again_tells_the_turn(small):
    upright = np.zeros((40, 32, 3), np.uint8)
    upright[:16] = 255
    entries = struct.pack("<HHHIHHHHIHH", 2, 0x0112, 3, 1, 6, 0, 0x0128, 2, 2, 0x0032, 0)  # a unit in ASCII
    exif = b"Exif\0\0II*\0\x08\0\0\0" + entries + b"\0\0\0\0"
    content = [encoded([np.rot90(upright).copy()], "jpeg", exif=exif)] * 4
    expected = small(np.stack([upright] * 4), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(small(content, return_tensors="pt")["pixel_values"], expected, atol=0.1, rtol=0)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_pictures_are_turned_as_their_exif_says(small, tmp_path, kind):
    upright = noise(4, 1, 1, 1).repeat(64, axis=1).repeat(32, axis=2).repeat(3, axis=3)
    upright[:, :32] = 255 - upright[:, :32]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    options = {"exif": exif, **({"lossless": True} if kind == "webp" else {})}
    stored = [encoded([np.rot90(frame).copy()], kind, **options) for frame in upright]
    expected = small(upright, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(small(stored, return_tensors="pt")["pixel_values"], expected, atol=0.1, rtol=0)
    for i, content in enumerate(stored):
        (tmp_path / f"{i}.{kind}").write_bytes(content)
    from_files = small(sorted(tmp_path.iterdir()), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(from_files, expected, atol=0.1, rtol=0)


@pytest.mark.parametrize("start", [b"II+\0", b"MM\0*", b"MM\0+", b"P2\n", b"P3 ", b"P5\t", b"\xff\xd8\xff\xe1"])
def test_damaged_bytes_of_pictures_are_named_by_their_size(small, start):
    content = [encoded([frame]) for frame in noise(4, 32, 32, 3)]
    content[1] = start.ljust(10, b"\0")
    with pytest.raises(ValueError, match=r"The picture <10 bytes>, frame 1 of 4, cannot be read") as error:
        small(content)
    assert "BytesIO" not in str(error.value)


@pytest.mark.parametrize(
    "start", [b"", b"P", b"P6", b"P4\n", b"RIFF", b"RIFF\0\0\0\0AVI ", b"II*", b"\x89PNG", b"\xff\xd8"]
)
def test_bytes_that_begin_like_no_picture_are_videos(small, start):
    with pytest.raises(ValueError, match=rf"Cannot decode <{len(start)} bytes>"):
        small([start, start])


# --- what is refused


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        (np.zeros((4, 32, 32), np.uint8), r"got an array of shape \(4, 32, 32\). Grey frames need an axis"),
        (np.zeros((32, 32, 3), np.uint8), r"got an array of shape \(32, 32, 3\). A picture is a .* `\[picture\]`"),
        (np.zeros((3, 32, 32), np.uint8), r"got an array of shape \(3, 32, 32\). A picture is a .* `\[picture\]`"),
        (np.zeros((1, 1, 4, 32, 32, 3), np.uint8), r"4 dimensions, got an array of shape \(1, 1, 4, 32, 32, 3\)"),
        ([np.zeros((32, 32), np.uint8)], r"got an array of shape \(32, 32\). Grey frames need an axis"),
        (np.zeros((3, 16, 32, 32), np.uint8), r"looks like \(channels, frames, height, width\): apply `transpose"),
        (np.zeros((5, 16, 32, 32), np.uint8), r"No axis of a video of shape \(5, 16, 32, 32\)"),
        (np.zeros((0, 32, 32, 3), np.uint8), r"shape \(0, 32, 32, 3\) is empty"),
        (np.zeros((4, 0, 32, 3), np.uint8), "is empty"),
        (np.zeros((4, 32, 32, 3), bool), "cannot be torch.bool"),
        (np.zeros((4, 32, 32, 3), np.complex64), "cannot be torch.complex64"),
        (np.full((4, 32, 32, 3), "a"), "Pixels cannot be"),
        (np.full((4, 32, 32, 3), None), "Pixels cannot be `object`"),
        (np.full((4, 32, 32, 3), 256), "go from 256 to 256"),
        (np.full((4, 32, 32, 3), 256, np.uint16), "torch.uint16 pixels go from 256 to 256"),
        (np.full((4, 32, 32, 3), -1, np.int8), "go from -1 to -1"),
        (np.full((4, 32, 32, 3), 2**63, np.uint64), "Pass values from 0 to 255"),
        (np.full((4, 32, 32, 3), 0.5), "scaled to .0, 1. already"),
        (np.linspace(0, 1, 4 * 32 * 32 * 3).reshape(4, 32, 32, 3), "go from 0 to 1: they seem to be scaled"),
        (np.full((4, 32, 32, 3), -0.5), "go from -0.5 to -0.5"),
        (np.full((4, 32, 32, 3), np.nan), "NaN or infinite"),
        (torch.full((4, 3, 32, 32), torch.inf), "NaN or infinite"),
        (torch.full((4, 3, 32, 32), -torch.inf), "NaN or infinite"),
        (Image.new("RGB", (32, 32)), r"pass `\[image\]`"),
        ([Image.new("RGB", (32, 32)), Image.new("RGB", (16, 32))], "different shapes"),
        ([Image.new("RGB", (32, 32)), np.zeros((32, 32, 3), np.uint8)], "PIL images and a `ndarray`"),
        ([], "empty list"),
        ([[]], "empty list"),
        (None, "A `NoneType` is not a video"),
        (7, "A `int` is not a video"),
        (Image.new("RGB", (32, 32)), r"A pipeline .*: pass it `\[frames\]`"),
        (animation(), r"A `GifImageFile` is not a video\. Pass the path of an animation, or `\[frame\.copy"),
        ({"bytes": None, "path": None}, r"must hold the `bytes` or `path` of a video, got None: leave out rows"),
        ({"video": "a.mp4"}, r"must hold the `bytes` or `path` of a video, got \['video'\]"),
        (["a.png", {"bytes": None, "path": None}], r"must hold the `bytes` or `path` of a video, got None: leave out"),
        ([7], "A `int` is not a video"),
        (deque(), "empty list"),
        (range(3), "A `int` is not a video"),
        ((path for path in ["a.mp4"]), r"A `generator` is not a video\. If it holds .*, pass `list\(\.\.\.\)` of it\."),
        (map(str, [1]), r"A `map` is not a video\. If it holds videos, or the frames of one, pass `list\(\.\.\.\)`"),
        (np.array(["a.mp4", "b.mp4"]), r"an array of shape \(2,\)\. If it holds videos, .*, pass `list\(\.\.\.\)`"),
        (np.array(["a.mp4", Path("b")], object), r"an array of shape \(2,\)\. If it holds .*, pass `list\(\.\.\.\)`"),
        (ImageSequence.Iterator(animation()), r"A `Iterator` is not a video\. Pass the path .*, or `\[frame\.copy"),
    ],
)
def test_what_is_not_a_video_is_refused(small, videos, message):
    with pytest.raises(ValueError, match=message):
        small(videos, return_tensors="pt")


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_that_are_no_colours_need_to_be_kept_as_they_are(small, channels):
    with pytest.raises(ValueError, match=rf"{channels} channels is not grey, RGB or RGBA. Pass `do_convert_rgb=False`"):
        small(noise(4, 32, 40, channels), input_data_format="channels_last", return_tensors="pt")


def test_the_video_of_a_batch_is_named(small):
    with pytest.raises(ValueError, match=r"Video 1 of 2: .*NaN"):
        small([noise(4, 32, 32, 3), np.full((4, 32, 32, 3), np.nan)], return_tensors="pt")


BAD_SETTINGS = [
    ({"sampling": "random"}, '`sampling` must be "dense" or "uniform", got \'random\''),
    ({"sampling_rate": 0}, "`sampling_rate` must be a whole number of at least 1, got 0"),
    ({"num_clips": "5"}, "`num_clips` must be a whole number of at least 1, got '5'"),
    ({"num_clips": True}, "`num_clips` must be"),
    ({"num_crops": 1.5}, "`num_crops` must be"),
    ({"num_frames": -1}, "`num_frames` must be"),
    ({"fps": -1}, "`fps` must be a number above 0, got -1"),
    ({"fps": 2, "num_clips": 2}, "`num_clips` must be 1"),
    ({"num_crops": 3, "do_center_crop": False}, "`num_crops` = 3 needs `do_center_crop` = True"),
    ({"clips": 3}, "no setting `clips`; did you mean `num_clips`"),
    ({"crops": 3}, "no setting `crops`; did you mean `num_crops`"),
    ({"frames": 8}, "no setting `frames`; did you mean `num_frames`"),
    ({"mean": 0.5}, "no setting `mean`; did you mean `image_mean`"),
    ({"colour": "blue"}, "no setting `colour`; its settings are .*image_mean"),
    ({"image_mean": [0.5, 0.5]}, r"`image_mean` must have 3 numbers, .*got .0.5, 0.5."),
    ({"image_std": [0.5] * 4}, "`image_std` must have 3 numbers"),
    ({"image_std": [0.5, 0.5, 0.0]}, "`image_std` must be a number other than 0, or one for each channel"),
    ({"image_std": 0.0}, "`image_std` must be a number other than 0"),
    ({"image_mean": float("nan")}, "`image_mean` must be a number"),
    ({"rescale_factor": 0.0}, "`rescale_factor` must be a number other than 0"),
    ({"size": {"shortest_edge": -32}}, "`size` must hold whole numbers of at least 1, got {'shortest_edge': -32}"),
    ({"crop_size": {"height": 0, "width": 32}}, "`crop_size` must hold whole numbers of at least 1"),
    ({"crop_size": {"shortest_edge": 32}}, "`crop_size` must be a number, or have `height` and `width`"),
    ({"resample": 7}, r"`resample` must be 0 \(nearest\), 1 .*, got 7"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_bad_settings_are_refused_everywhere(small, settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        VideoMAEv2VideoProcessor(**settings)
    small.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        VideoMAEv2VideoProcessor.from_pretrained(tmp_path, **settings)
    with pytest.raises(ValueError, match=message):
        small(noise(4, 32, 32, 3), **settings)


@pytest.mark.parametrize(
    ("shape", "given", "axis"),
    [
        ((2, 3, 8, 3), None, 1), ((2, 3, 8, 3), "channels_last", 3), ((2, 3, 8, 1), None, 1), ((2, 3, 8, 4), None, 1),
        ((2, 4, 8, 3), None, 3), ((2, 4, 8, 3), "channels_first", 1), ((2, 1, 8, 3), None, 3), ((2, 4, 8, 4), None, 1),
        ((2, 1, 8, 4), None, 1), ((2, 8, 3, 4), None, 3), ((2, 8, 8, 1), None, 3), ((2, 1, 8, 8), None, 1),
    ],
)  # fmt: skip
def test_which_axis_is_the_colours(small, shape, given, axis):
    """Where two could be, three channels behind go before one or four in front."""
    found = small(
        noise(*shape), num_frames=2, do_resize=False, do_center_crop=False, do_convert_rgb=False, do_normalize=False,
        input_data_format=given, return_tensors="pt",
    ).pixel_values[0]  # fmt: skip
    assert found.shape == (2, shape[axis], *(side for i, side in enumerate(shape) if i not in (0, axis)))


def test_bad_calls_are_refused(small):
    video = noise(4, 32, 32, 3)
    for height, width in ((64, 64), (64, 16), (16, 64)):
        with pytest.raises(ValueError, match="`num_crops` = 2 needs frames of at least"):
            small(video, num_crops=2, crop_size={"height": height, "width": width})
    with pytest.raises(ValueError, match="`data_format` must be"):
        small(video, data_format="channels_last")
    with pytest.raises(ValueError, match="says 9 frames, the video has 4"):
        small(video, video_metadata={"total_num_frames": 9}, num_frames=2)
    with pytest.raises(ValueError, match="2 entries for 1 videos"):
        small(video, video_metadata=[{"total_num_frames": 4}] * 2)
    with pytest.raises(ValueError, match=r"`video_metadata` has rate\. It may hold total_num_frames, fps"):
        small(video, video_metadata={"rate": 25})
    with pytest.raises(ValueError, match="cannot be stacked"):
        small([video, noise(5, 32, 32, 3)], do_sample_frames=False, return_tensors="pt")
    small.num_clips = 0
    with pytest.raises(ValueError, match="`num_clips` must be"):
        small(video)


def test_settings_may_be_numbers_of_numpy_and_whole_numbers(small, tmp_path):
    settings = {"num_frames": np.int64(3), "image_mean": np.zeros(3), "image_std": [1, 1, 1]}
    video = noise(9, 32, 32, 3)
    expected = small(video, num_frames=3, image_mean=[0.0] * 3, image_std=[1.0] * 3, return_tensors="pt")
    assert torch.equal(small(video, **settings, return_tensors="pt")["pixel_values"], expected["pixel_values"])
    made = VideoMAEv2VideoProcessor(**{**small.to_dict(), **settings})
    made.save_pretrained(tmp_path)
    for processor in (made, VideoMAEv2VideoProcessor.from_pretrained(tmp_path)):
        assert torch.equal(processor(video, return_tensors="pt")["pixel_values"], expected["pixel_values"])


def test_a_crop_is_never_filled_up_with_black(small):
    for size in ({"height": 20, "width": 40}, {"shortest_edge": 31}):
        with pytest.raises(ValueError, match=r"`crop_size` .* is larger than the frames that `size` "):
            small(noise(4, 32, 32, 3), size=size)
    assert small(noise(4, 20, 20, 3), do_resize=False, return_tensors="pt")["pixel_values"].shape[-1] == 32


def test_a_file_of_another_version_may_hold_more(small, tmp_path):
    small.save_pretrained(tmp_path)
    path = tmp_path / "video_preprocessor_config.json"
    for left_out in ({}, {"video_processor_type": None}):
        values = json.loads(path.read_text()) | {"colour": "blue"} | left_out
        path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
        assert VideoMAEv2VideoProcessor.from_pretrained(tmp_path).num_frames == 4
