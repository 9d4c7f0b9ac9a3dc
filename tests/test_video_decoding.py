# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every frame that is asked for is the right one, whatever the container, the codec and the way to it."""

import io
import random
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms


av = pytest.importorskip("av")

from video_files import encode, numbered_frame, numbered_video, read_numbers  # noqa: E402

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, VideoReader, read_video  # noqa: E402
from modeling_videomae_v2.video_index_videomae_v2 import FrameIndex, index_from_sample_table  # noqa: E402


CLIPS = Path(__file__).parents[2] / "shared" / "clips"
B_FRAMES = {"bf": "3"}
LATE_PYRAMIDS = {"g": "40", "x264-params": "bframes=3:b-pyramid=normal:ref=4:b-adapt=0:scenecut=0:mvrange=128"}
OPEN_GROUPS = {"bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"}
# one thread, and not narrower than a coding block: x265 writes outside of its memory there
HEVC = {
    "options": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "width": 160,
    "height": 96,
}
# each key frame is followed by two that are shown before it, and need nothing else
LEADING = "open-gop=0:keyint=10:min-keyint=10:scenecut=0:bframes=4:b-adapt=0:radl=2"
HEVC_LEADING = {**HEVC, "options": {"x265-params": f"{HEVC['options']['x265-params']}:{LEADING}"}}

# name: (file name, codec, arguments of `encode`)
FILES = {
    "h264": ("a.mp4", "libx264", {"options": B_FRAMES}),
    "h264, open groups": ("a.mp4", "libx264", {"options": {**B_FRAMES, "x264-params": "open-gop=1"}}),
    "h264, one group": ("a.mp4", "libx264", {"options": {"g": "100"}}),
    "h264, fragmented": ("a.mp4", "libx264", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "h264, 10 bits": ("a.mp4", "libx264", {"pix_fmt": "yuv420p10le"}),
    "h264, grey": ("a.mp4", "libx264", {"pix_fmt": "gray"}),
    "h264, odd size": ("a.mp4", "libx264", {"pix_fmt": "yuv444p", "width": 81, "height": 47}),
    "h264 in mkv": ("a.mkv", "libx264", {"options": B_FRAMES}),
    "h264 in ts": ("a.ts", "libx264", {"options": B_FRAMES}),
    "h264 in flv": ("a.flv", "libx264", {"options": B_FRAMES}),
    "h264 in avi": ("a.avi", "libx264", {"options": B_FRAMES}),
    "h264, bare": ("a.h264", "libx264", {"options": B_FRAMES}),
    "hevc, open groups": ("a.mp4", "libx265", HEVC),
    "hevc, 10 bits": ("a.mp4", "libx265", {**HEVC, "pix_fmt": "yuv420p10le"}),
    "vp8": ("a.webm", "libvpx", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
    "vp9": ("a.webm", "libvpx-vp9", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
    "mpeg4": ("a.avi", "mpeg4", {}),
    "mpeg4, reordered": ("a.avi", "mpeg4", {"options": {"bf": "2"}}),
    "mpeg2": ("a.mpg", "mpeg2video", {"options": {"bf": "2"}}),
    "mjpeg": ("a.avi", "mjpeg", {"pix_fmt": "yuvj420p"}),
    "prores, 10 bits": ("a.mov", "prores_ks", {"pix_fmt": "yuv422p10le"}),
    "qtrle with alpha": ("a.mov", "qtrle", {"pix_fmt": "argb"}),
    "ffv1, 16 bit grey": ("a.mkv", "ffv1", {"pix_fmt": "gray16le"}),
    "gif": ("a.gif", "gif", {"pix_fmt": "rgb8"}),
    "late start": ("a.mkv", "libx264", {"times": [5000 + 40 * i for i in range(30)]}),
    "one frame": ("a.mp4", "libx264", {"num_frames": 1}),
    "one frame in webm": ("a.webm", "libvpx-vp9", {"num_frames": 1}),
}


@pytest.fixture(scope="module")
def make_file(tmp_path_factory):
    """Encode each of `FILES` once."""
    made = {}

    def make(name):
        if name not in made:
            file_name, codec, arguments = FILES[name]
            made[name] = encode(tmp_path_factory.mktemp("video") / file_name, codec, **arguments)
        return made[name]

    return make


def copy_packets(source: Path, target: Path, which: slice, options: dict[str, str] | None = None) -> Path:
    """Copy some packets of a video, in the order in which they are decoded, to another file."""
    with av.open(source) as reading, av.open(target, "w", options=options or {}) as writing:
        packets = [packet for packet in reading.demux(video=0) if packet.size]
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for packet in packets[which]:
            packet.stream = stream
            writing.mux(packet)
    return target


@pytest.mark.parametrize("name", FILES)
def test_frames_are_the_ones_asked_for(make_file, name):
    path = make_file(name)
    count = FILES[name][2].get("num_frames", 30)
    frames, metadata = read_video(path)
    assert read_numbers(frames) == list(range(count))
    assert frames.dtype == torch.uint8
    size = FILES[name][2].get("height", 48), FILES[name][2].get("width", 80)
    assert tuple(frames.shape) == (count, 3, *size)
    assert (metadata.total_num_frames, metadata.height, metadata.width) == (count, *size)
    assert metadata.fps == pytest.approx(25, rel=0.01)
    assert metadata.duration == pytest.approx(count / 25, rel=0.01)
    draw = random.Random(name)
    for wanted in ([count - 1], [count // 2], sorted(draw.choices(range(count), k=3)), draw.choices(range(count), k=5)):
        assert read_numbers(read_video(path, lambda _, wanted=wanted: wanted)[0]) == wanted


@pytest.mark.parametrize("name", ["h264", "h264 in ts", "h264 in avi", "vp9", "gif"])
def test_a_reader_goes_back_and_forth(make_file, name):
    with VideoReader(make_file(name)) as reader:
        for wanted in ([20, 25], [3], [29, 0, 0], [4, 5], [12]):
            assert read_numbers(reader.get_frames(wanted)) == wanted


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_beside_the_pictures_is_passed_over(tmp_path, suffix):
    path = encode(tmp_path / f"a{suffix}", options=B_FRAMES, sound=True)
    with VideoReader(path) as reader:
        assert reader.num_frames == 30
        assert read_numbers(reader.get_frames([29, 3, 17])) == [29, 3, 17]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_one_frame_has_the_announced_rate(tmp_path, suffix):
    with VideoReader(encode(tmp_path / f"a{suffix}", num_frames=1, rate=50)) as reader:
        assert (reader.fps, reader.duration) == pytest.approx((50, 1 / 50))


@pytest.mark.parametrize("kind", [np.array, torch.tensor, tuple])
def test_indices_of_every_kind(make_file, kind):
    frames, metadata = read_video(make_file("h264"), lambda _: kind([3, 20, 3]))
    assert read_numbers(frames) == [3, 20, 3]
    assert [type(i) for i in metadata.frames_indices] == [int] * 3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate(tmp_path, suffix):
    times = np.cumsum([0] + [20 + 13 * (i % 5) for i in range(39)]).tolist()
    path = encode(tmp_path / f"a{suffix}", num_frames=40, times=times, options=B_FRAMES)
    frames, metadata = read_video(path)
    assert read_numbers(frames) == list(range(40))
    assert metadata.fps == pytest.approx(39 / times[-1] * 1000, rel=0.05)
    for wanted in ([0], [17], [25, 39]):
        assert read_numbers(read_video(path, lambda _, wanted=wanted: wanted)[0]) == wanted


def hide_depth(path: Path) -> None:
    """Have an H.264 video no longer say how far it reorders its frames, in as many bytes."""
    sample = encode(io.BytesIO(), container_format="matroska", options=LATE_PYRAMIDS)
    sample.seek(0)
    with av.open(sample) as container:
        header = container.streams.video[0].codec_context.extradata
    said = header[8 : 8 + int.from_bytes(header[6:8], "big")]  # the sequence parameter set
    bits = "".join(f"{byte:08b}" for byte in said)
    # flag, three values that are 1, motion vectors of 2 ** 9, depth 2, 4 pictures in memory, end
    place = bits.rindex("1" + "111" + "0001010" * 2 + "011" + "00101" + "1")
    bits = (bits[:place] + "01").ljust(len(bits), "0")
    hidden = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    data = path.read_bytes()
    assert said in data
    path.write_bytes(data.replace(said, hidden))


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi", "a.flv", "a.h264", "fragmented.mp4", "a.mp4"])
def test_reordering_that_is_not_announced_and_begins_late(tmp_path, name):
    """FFmpeg drops frames where it finds out; they are there in whichever way, and numbers mean the same frames."""
    fragments = {"movflags": "frag_keyframe+empty_moov"} if name == "fragmented.mp4" else {}
    path = encode(
        tmp_path / name, num_frames=100, reordered_from=65, options=LATE_PYRAMIDS, container_options=fragments
    )
    hide_depth(path)
    for wanted in ([70], [99], [97, 98, 99], list(range(60, 90, 2))):
        assert read_numbers(read_video(path, lambda _, wanted=wanted: wanted)[0]) == wanted
    with VideoReader(path) as reader:
        for wanted in (range(100), [68, 3], [66, 67]):
            assert read_numbers(reader.get_frames(wanted)) == list(wanted)
        assert reader.num_frames == 100


@pytest.mark.skipif(
    not hasattr(av.container.OutputContainer, "add_stream_from_template"), reason="this PyAV cannot copy streams"
)
def test_edit_list_hides_the_first_frames(tmp_path):
    whole = encode(tmp_path / "whole.mp4", options=B_FRAMES)
    options = {"use_editlist": "1"}
    with av.open(whole) as source, av.open(tmp_path / "cut.mp4", "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                shift = int(8 / 25 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                target.mux(packet)
    with av.open(tmp_path / "cut.mp4") as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    expected = read_numbers(torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2))
    assert expected == list(range(8, 30))
    assert read_numbers(read_video(tmp_path / "cut.mp4")[0]) == expected
    assert read_numbers(read_video(tmp_path / "cut.mp4", lambda m: [0, 12, m.total_num_frames - 1])[0]) == [8, 20, 29]


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write it")
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_rotation_metadata_is_applied(tmp_path, degrees, flip):
    upright = numbered_video(4, 80, 48)
    stored = upright[:, :, ::-1] if flip else upright
    stored = np.rot90(stored, -degrees // 90, axes=(1, 2))
    height, width = stored.shape[1:3]
    path = encode(tmp_path / "a.mp4", frames=stored, width=width, height=height, display=(degrees, flip, False))
    frames, metadata = read_video(path)
    assert tuple(frames.shape) == (4, 3, 48, 80)
    assert (metadata.height, metadata.width) == (48, 80)
    assert read_numbers(frames) == [0, 1, 2, 3]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_picture_with_a_named_colour_profile_that_is_turned(tmp_path, degrees):
    """In a process of its own, which PyAV would end as soon as the name is freed for the second time."""
    read = (
        "import gc, sys\n"
        "from modeling_videomae_v2.video_decoding_videomae_v2 import read_video\n"
        "for _ in range(3):\n"
        "    frames = read_video(sys.argv[1])[0]\n"
        "    gc.collect()\n"
        "print(*frames[0, 0, :, :].flatten().tolist())\n"
    )
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[0x0112] = {0: 1, 90: 6, 180: 3, 270: 8}[degrees]  # how the stored picture is to be turned, clockwise
    stored = Image.fromarray(np.rot90(upright, degrees // 90).copy()).convert("RGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stored.save(tmp_path / "a.png", exif=exif, icc_profile=profile)
    result = subprocess.run(
        [sys.executable, "-c", read, str(tmp_path / "a.png")], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    found = [int(word) for word in result.stdout.split()]
    reads_turns = av.library_versions["libavcodec"] >= (62, 28)  # of PNG, as FFmpeg 8.1 does
    shown = upright if reads_turns else np.asarray(stored)[..., 0]
    assert found == shown.flatten().tolist()


@pytest.mark.parametrize("kind", ["jpeg", "webp", "tiff"])
def test_pictures_with_exif(kind):
    """Of which PyAV may know no name; the turn that it holds is told by FFmpeg 8.1."""
    stored = np.zeros((32, 48), np.uint8)
    stored[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    file = io.BytesIO()
    Image.fromarray(stored).convert("RGB").save(file, kind, exif=exif)
    frames, _ = read_video(file.getvalue())
    reads_turns = av.library_versions["libavcodec"] >= (62, 28)
    shown = np.rot90(stored, -1) if reads_turns or kind == "jpeg" else stored
    assert frames.shape[-2:] == shown.shape
    assert np.abs(frames[0, 0].numpy().astype(int) - shown).max() < 32


def test_titles_need_not_be_utf8(tmp_path):
    path = encode(tmp_path / "a.flv", num_frames=6)
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"L\xe4vf"))  # the tag of the writer, in Latin-1
    assert read_numbers(read_video(path, lambda reader: [0, 5])[0]) == [0, 5]


def test_alpha_is_dropped(tmp_path):
    frames = np.zeros((3, 48, 80, 4), dtype=np.uint8)
    frames[..., 0], frames[..., 3] = 200, np.array([0, 128, 255])[:, None, None]
    decoded = read_video(encode(tmp_path / "a.mov", "qtrle", pix_fmt="argb", frames=frames))[0]
    assert decoded[:, 0].unique().tolist() == [200]
    assert decoded[:, 1:].unique().tolist() == [0]


@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_colour_matrix_and_range_of_the_stream_are_used(tmp_path, matrix, colour_range):
    """The same YUV values mean other colours under BT.709 or BT.601, limited or full range."""
    y, u, v = 120, 90, 200
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, colour_range
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.colorspace, frame.color_range, frame.pts = matrix, colour_range, 0
        for plane, value in zip(frame.planes, (y, u, v), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    red_weight, blue_weight = {1: (0.2126, 0.0722), 5: (0.299, 0.114)}[matrix]
    luma, scale = ((y - 16) / 219, 224) if colour_range == 1 else (y / 255, 255)
    red = luma + 2 * (1 - red_weight) * (v - 128) / scale
    blue = luma + 2 * (1 - blue_weight) * (u - 128) / scale
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    got = read_video(path)[0].float().mean((0, 2, 3))
    assert got.tolist() == pytest.approx([255 * red, 255 * green, 255 * blue], abs=2)


def test_only_the_neighbourhood_of_the_wanted_frames_is_decoded(tmp_path, monkeypatch):
    decoded = []
    decode = VideoReader._decode

    def spy(self, packets):
        for position, frame in decode(self, packets):
            decoded.append(position)
            yield position, frame

    monkeypatch.setattr(VideoReader, "_decode", spy)
    for suffix in (".mp4", ".mkv", ".ts", ".avi"):
        codec, options = ("mpeg4", {"g": "50"}) if suffix == ".avi" else ("libx264", {"g": "50", **B_FRAMES})
        path = encode(tmp_path / f"a{suffix}", codec, num_frames=600, options=options)
        for wanted in (list(range(280, 341, 4)), [599], [10, 590]):
            decoded.clear()
            assert read_numbers(read_video(path, lambda _, wanted=wanted: wanted)[0]) == wanted
            assert len(decoded) <= 110, (suffix, wanted)
        if hasattr(av.VideoStream, "index_entries"):
            # the sample table of mp4 says where the frames are; nothing is read for it
            with VideoReader(path) as reader:
                assert reader._has_table == (suffix == ".mp4")
    times = np.cumsum([20 + 13 * (i % 5) for i in range(40)]).tolist()  # as phones record
    path = encode(tmp_path / "b.mp4", num_frames=40, times=times, options={"bf": "0"})
    assert read_numbers(read_video(path, lambda _: [0, 25, 39])[0]) == [0, 25, 39]
    with VideoReader(path) as reader:
        assert reader._has_table == hasattr(av.VideoStream, "index_entries")


def test_frames_of_an_intra_codec_are_decoded_alone(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mov", "prores_ks", pix_fmt="yuv422p10le")
    decoded = []
    decode = VideoReader._decode
    monkeypatch.setattr(
        VideoReader, "_decode", lambda self, packets: (decoded.append(p) or (p, f) for p, f in decode(self, packets))
    )
    assert read_numbers(read_video(path, lambda _: [3, 7, 11, 15])[0]) == [3, 7, 11, 15]
    assert decoded == [3, 7, 11, 15]


@pytest.mark.parametrize(
    ("name", "codec", "arguments"),
    [
        ("a.mpg", "mpeg2video", {"options": {"bf": "2"}}),
        ("a.h263", "h263", {"width": 176, "height": 144}),
        ("a.png", "png", {"pix_fmt": "rgb24", "container_format": "image2pipe", "width": 160, "height": 96}),
    ],
)
def test_frames_that_share_packets_or_have_none(tmp_path, name, codec, arguments):
    """FFmpeg gives them other times, or puts them together of other pieces, after a seek than on the way there."""
    path = encode(tmp_path / name, codec, num_frames=60, **arguments)
    for i in range(60):
        assert read_numbers(read_video(path, lambda _, i=i: [i])[0]) == [i]


@pytest.mark.skipif(
    not hasattr(av.container.OutputContainer, "add_stream_from_template"), reason="this PyAV cannot copy streams"
)
@pytest.mark.parametrize(
    ("suffix", "codec", "encoding", "first_packet", "muxing", "first"),
    [
        (".ts", "mpeg2video", {"options": {"bf": "2"}}, 1, {}, 12),
        (".mp4", "libx264", {"options": B_FRAMES}, 1, {}, 10),
        (".mp4", "libx264", {"options": OPEN_GROUPS}, 10, {}, 20),
        (".mp4", "libx264", {"options": OPEN_GROUPS}, 10, {"movflags": "frag_keyframe+empty_moov"}, 20),
        (".mp4", "libx264", {"options": OPEN_GROUPS}, 7, {}, 10),
        (".mp4", "libx265", HEVC_LEADING, 8, {"use_editlist": "0"}, 8),
    ],
    ids=["ts", "closed groups", "open groups", "fragmented", "no key frame first", "frames before the key frame"],
)
def test_a_recording_that_begins_in_the_middle(
    tmp_path, monkeypatch, suffix, codec, encoding, first_packet, muxing, first
):
    """What is stored or shown before the first key frame cannot be decoded: it is no frame, and nothing is missing."""
    whole = encode(tmp_path / "whole.mkv", codec, num_frames=60, **encoding)
    path = copy_packets(whole, tmp_path / f"cut{suffix}", slice(first_packet, None), muxing)
    every = read_numbers(read_video(path)[0])
    assert every == list(range(first, 60))
    for i in (0, 1, 23, len(every) - 1):
        assert read_numbers(read_video(path, lambda _, i=i: [i])[0]) == [every[i]]
    with VideoReader(path) as reader:
        assert reader.num_frames == len(every)
    decoded = []
    decode = VideoReader._decode
    monkeypatch.setattr(
        VideoReader, "_decode", lambda self, packets: (decoded.append(p) or (p, f) for p, f in decode(self, packets))
    )
    frames, metadata = read_video(path, lambda _: [0, 30])
    assert read_numbers(frames) == [every[0], every[30]]
    assert metadata.total_num_frames == len(every)
    assert len(decoded) < 30  # it still seeks


@pytest.mark.skipif(
    not hasattr(av.container.OutputContainer, "add_stream_from_template"), reason="this PyAV cannot copy streams"
)
def test_a_recording_that_ends_in_the_middle(tmp_path):
    """Of the last frames some are gone, as where a video was cut without decoding it."""
    options = {**B_FRAMES, "g": "50", "x264-params": "b-adapt=0:scenecut=0"}
    whole = encode(tmp_path / "whole.mp4", num_frames=40, options=options)
    path = copy_packets(whole, tmp_path / "cut.mp4", slice(35))
    every = read_numbers(read_video(path)[0])
    assert every[:30] == list(range(30))
    assert every[-1] - every[0] > len(every) - 1
    for i in range(30, len(every)):
        assert read_numbers(read_video(path, lambda _, i=i: [i])[0]) == [every[i]]


def test_a_bare_stream_that_begins_in_the_middle(tmp_path):
    """Pictures that refer to what is gone do not come out, and how many others there are is known at the end."""
    path = encode(tmp_path / "a.h264", num_frames=40, options={**B_FRAMES, "x264-params": "open-gop=1"})
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        second = [i for i, packet in enumerate(packets) if packet.is_keyframe][1]
        data = b"".join(map(bytes, packets[second:]))
    with VideoReader(data) as reader:
        assert reader.num_frames == len(packets) - second > 30
    frames, metadata = read_video(data)
    assert read_numbers(frames) == list(range(10, 40))
    assert metadata.total_num_frames == 30
    assert read_numbers(read_video(data, lambda video: [0, video.total_num_frames - 1])[0]) == [10, 39]


def test_a_file_that_shrinks_while_it_is_open():
    file = encode(io.BytesIO(), "mpeg4", options={"bf": "2"}, container_format="avi")
    with VideoReader(file) as reader:
        file.truncate(file.getvalue().index(b"movi") + 4)
        with pytest.raises(VideoDecodingError, match="none of its frames can be decoded"):
            reader.get_frames([0])


def test_equal_times_in_a_sample_table(tmp_path):
    """Some recorders leave all durations at zero: the pictures can only be counted."""
    data = bytearray(encode(tmp_path / "a.mp4", options={"bf": "0"}).read_bytes())
    place = data.index(b"stts") + 16  # behind version, number of entries and number of samples
    assert struct.unpack_from(">I", data, place)[0] > 0
    struct.pack_into(">I", data, place, 0)
    assert read_numbers(read_video(bytes(data))[0]) == list(range(30))
    assert read_numbers(read_video(bytes(data), lambda _: [7, 21])[0]) == [7, 21]


def test_two_recordings_in_one_file(tmp_path):
    """Where the clock of the second one goes back, frames come in the order of the file, from whichever way."""
    pictures = numbered_video(60)
    parts = [
        encode(tmp_path / f"{start}.ts", frames=pictures[first : first + 30], times=[start + 40 * i for i in range(30)])
        for first, start in ((0, 9000), (30, 0))
    ]
    data = b"".join(part.read_bytes() for part in parts)
    assert read_numbers(read_video(data)[0]) == list(range(60))
    for i in (3, 31, 58):
        assert read_numbers(read_video(data, lambda _, i=i: [i])[0]) == [i]


@pytest.mark.parametrize("suffix", ["asf", "mxf"])
def test_containers_that_tell_when_to_decode_but_not_when_to_show(tmp_path, suffix):
    path = encode(tmp_path / f"a.{suffix}", width=160, height=96, options={**B_FRAMES, "x264-params": "scenecut=0"})
    assert read_numbers(read_video(path)[0]) == list(range(30))
    for i in range(30):
        assert read_numbers(read_video(path, lambda _, i=i: [i])[0]) == [i]


@pytest.mark.parametrize("suffix", ["avi", "mov"])
def test_a_palette_that_comes_with_the_first_packet(tmp_path, suffix):
    """Microscopes record uncompressed pictures of 8 bits with one table of colours."""
    levels = np.arange(256, dtype=np.uint8)
    palette = np.stack([np.full_like(levels, 255), levels, 255 - levels, np.full_like(levels, 100)], axis=1)
    pictures = numbered_video(12)
    path = tmp_path / f"a.{suffix}"
    with av.open(path, "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "pal8"
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray((np.ascontiguousarray(picture[..., 0]), palette), "pal8")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    expected = torch.from_numpy(palette[pictures[..., 0]][..., 1:]).permute(0, 3, 1, 2)
    for i in (11, 0, 5):
        assert torch.equal(read_video(path, lambda _, i=i: [i])[0], expected[[i]])
    with VideoReader(path) as reader:
        for wanted in ([7, 8], [2]):
            assert torch.equal(reader.get_frames(wanted), expected[wanted])


def test_pictures_that_stand_still_in_avi_are_not_missing(tmp_path):
    times = np.cumsum([0] + [20 + 130 * (i % 5) for i in range(39)]).tolist()
    path = encode(tmp_path / "a.avi", "mpeg4", num_frames=40, times=times)
    assert read_numbers(read_video(path)[0]) == list(range(40))


@pytest.mark.parametrize(("count", "more"), [(40, 2), (40, -2), (12, 4), (100, 8)])
def test_a_header_that_is_wrong_by_a_few_frames(tmp_path, count, more):
    data = encode(tmp_path / "a.mkv", num_frames=count).read_bytes()
    place = data.index(b"\x44\x89\x88") + 3  # the duration, a number of eight bytes
    (duration,) = struct.unpack_from(">d", data, place)
    data = data[:place] + struct.pack(">d", duration * (count + more) / count) + data[place + 8 :]
    frames, metadata = read_video(data)
    assert read_numbers(frames) == list(range(count))
    assert metadata.total_num_frames == count
    with VideoReader(data) as reader:
        assert reader.num_frames == count


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_a_header_that_announces_more_frames_than_a_video_has(tmp_path, name):
    """As in an avi file that was written to a pipe, or where the header is damaged: what is there counts."""
    data = bytearray(encode(tmp_path / name, "mpeg4").read_bytes())
    if name == "a.avi":
        struct.pack_into("<I", data, data.index(b"strh") + 40, 0x40000000)
    else:
        struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, 1e15)
    with VideoReader(bytes(data)) as reader:
        assert reader.num_frames == 30
    assert read_numbers(read_video(bytes(data))[0]) == list(range(30))


def test_a_stream_that_begins_late(tmp_path):
    path = encode(tmp_path / "a.ts", options=B_FRAMES)
    data = path.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    # one more packet that begins a picture, of a stream with another number
    late = bytearray(next(packet for packet in reversed(packets) if packet[1] == 0x41 and packet[2] == 0))
    late[2] ^= 0x20
    assert read_numbers(read_video(data + bytes(late))[0]) == list(range(30))


def test_a_picture_that_comes_before_the_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as container:  # as the file of an AVIF animation
        streams = [container.add_stream("mpeg4", rate=25, width=80, height=48) for _ in range(2)]
        for stream, numbers in zip(streams, ([99], range(10)), strict=True):
            for number in numbers:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), "rgb24")))
            container.mux(stream.encode(None))
    assert read_numbers(read_video(path, lambda found: range(found.total_num_frames))[0]) == list(range(10))


def test_frames_and_key_frames_are_found_in_an_index():
    index = FrameIndex([5, 45, 85, 125], keys=[1, 3], key_times=[45, 125], declared=6)
    assert [index.position(time) for time in (5, 125, None, 4, 46, 126)] == [0, 3, None, None, None, None]
    assert [index.key_before(position) for position in range(4)] == [0, 0, 0, 1]
    assert index.without_leading() == FrameIndex([45, 85, 125], keys=[0, 2], key_times=[45, 125], declared=5)


@pytest.mark.parametrize(
    ("times", "announced", "rate"),
    [
        ([0, 40, 80], 25, 25),
        ([0, 40, 81], 25, 25),  # times are rounded in many files
        ([0, 40, 80], 60, 25),
        ([0, 40, 80], None, 25),
        ([0, 20], 25, 50),
        ([0], 30, 30),
        ([0], None, 25),
    ],
)
def test_the_frame_rate_is_measured_where_the_announced_one_is_wrong(times, announced, rate):
    assert FrameIndex(times).frame_rate(Fraction(1, 1000), announced and Fraction(announced)) == rate


def stream_with_table(times: list[int], **changes: Any) -> SimpleNamespace:
    """What a stream of an mp4 file says: frames of 100 bytes each, two to a group."""
    entries = [
        SimpleNamespace(timestamp=time, is_keyframe=i % 2 == 0, is_discard=False, pos=100 * i, size=100)
        for i, time in enumerate(times)
    ]
    values = {"index_entries": entries, "start_time": times[0], "frames": len(times), "has_b_frames": False, **changes}
    return SimpleNamespace(codec_context=SimpleNamespace(has_b_frames=values.pop("has_b_frames")), **values)


@pytest.mark.parametrize(
    ("stream", "times"),
    [
        (stream_with_table([0, 40, 80, 120]), [0, 40, 80, 120]),
        (stream_with_table([0, 40, 80, 120], start_time=80, has_b_frames=True), [80, 120, 160, 200]),
        (stream_with_table([0, 40, 81, 120]), [0, 40, 81, 120]),
    ],
    ids=["constant", "reordered", "uneven"],
)
def test_sample_tables_that_tell_when_frames_are_shown(stream, times):
    index = index_from_sample_table(stream, 400)
    assert (list(index.timestamps), index.keys, index.key_times) == (
        times,
        [0, 2],
        [0, stream.index_entries[2].timestamp],
    )
    assert (index.declared, index.ordered) == (4, True)
    for size, present in ((399, 3), (200, 2), (0, 4)):  # 0 where it is not known
        index = index_from_sample_table(stream, size)
        assert (list(index.timestamps), index.declared) == (times[:present], 4)
        assert index.keys == [key for key in (0, 2) if key < present]


@pytest.mark.parametrize(
    "stream",
    [
        stream_with_table([0, 40, 80], start_time=None),
        stream_with_table([0, 40, 80], index_entries=[], frames=0),
        stream_with_table([0, 40, 80], frames=4),
        stream_with_table([0, 40, 80], start_time=-40),
        stream_with_table([0, 40, 80], start_time=50),
        stream_with_table([0, 40, 81], start_time=40),
        stream_with_table([0, 40, 81], has_b_frames=True),
        stream_with_table([0, 40, 40]),
        stream_with_table([80, 40, 0]),
    ],
    ids=["no start", "empty", "too short", "early", "between", "uneven, late", "reordered", "equal", "backwards"],
)
def test_sample_tables_that_do_not_tell_when_frames_are_shown(stream):
    assert index_from_sample_table(stream, 400) is None


def test_a_sample_table_with_hidden_frames_is_not_trusted():
    stream = stream_with_table([0, 40, 80])
    stream.index_entries[0].is_discard = True
    assert index_from_sample_table(stream, 400) is None


def test_a_sample_table_that_is_wrong_about_a_frame(tmp_path):
    """The table alone says that times are even; one frame is shown a little later."""
    data = bytearray(encode(tmp_path / "a.mp4", options=B_FRAMES).read_bytes())
    place = data.index(b"ctts") + 8  # behind the version
    (entries,) = struct.unpack_from(">I", data, place)
    last = place + 4 + 8 * entries - 4
    struct.pack_into(">I", data, last, struct.unpack_from(">I", data, last)[0] + 7)
    with VideoReader(bytes(data)) as reader:
        assert reader._has_table == hasattr(av.VideoStream, "index_entries")
        assert read_numbers(reader.get_frames(range(30))) == list(range(30))
    assert read_numbers(read_video(bytes(data), lambda _: [29])[0]) == [29]


@pytest.mark.parametrize(
    ("width", "in_worker", "given"), [(640, False, None), (80, False, None), (640, True, None), (640, False, 3)]
)
def test_threads_are_for_large_frames_outside_of_workers(tmp_path, monkeypatch, width, in_worker, given):
    path = encode(tmp_path / "a.mp4", num_frames=2, width=width, height=360, options={"preset": "ultrafast"})
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("torch.utils.data.get_worker_info", lambda: in_worker or None)
    with VideoReader(path, num_threads=given) as reader:
        context = reader._stream.codec_context
        assert context.thread_count == (given or (8 if width == 640 and not in_worker else 1))
        assert reader._stream.thread_type.name == ("NONE" if context.thread_count == 1 else "AUTO")
        assert reader.coded_size == (360, width)
        assert read_numbers(reader.get_frames([1])) == [1]


def test_threads_do_not_change_frames(make_file):
    one, _ = read_video(make_file("h264"), num_threads=1)
    two, _ = read_video(make_file("h264"), num_threads=2)
    assert torch.equal(one, two)


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    small, large = (
        encode(tmp_path / "a.h264", num_frames=5),
        encode(tmp_path / "b.h264", num_frames=5, width=160, height=96),
    )
    (tmp_path / "both.h264").write_bytes(small.read_bytes() + large.read_bytes())
    frames, metadata = read_video(tmp_path / "both.h264")
    assert tuple(frames.shape) == (10, 3, 48, 80)
    assert metadata.total_num_frames == 10
    assert read_numbers(frames) == [0, 1, 2, 3, 4] * 2


def test_numbered_frames_tell_their_number():
    assert read_numbers(torch.from_numpy(numbered_frame(733)).permute(2, 0, 1)[None]) == [733]


@pytest.mark.parametrize("path", sorted(CLIPS.glob("*.[ma][pv][4i]")), ids=lambda path: path.name)
def test_real_clips(path):
    with av.open(path) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    expected = torch.from_numpy(np.stack(every)).permute(0, 3, 1, 2)
    with VideoReader(path) as reader:
        assert reader.num_frames == len(expected)
        wanted = list(range(0, len(expected), 7))
        assert torch.equal(reader.get_frames(wanted), expected[wanted])
    draw = random.Random(0)
    for _ in range(4):
        wanted = sorted(draw.choices(range(len(expected)), k=2))
        assert torch.equal(read_video(path, lambda _, wanted=wanted: wanted)[0], expected[wanted])
