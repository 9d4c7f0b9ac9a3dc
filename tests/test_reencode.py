# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.reencode`: the same frames in files that decode fast."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from rich.filesize import decimal
from typer.testing import CliRunner, Result
from video_files import av, encode, encode_sound, read_numbers

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, VideoReader, read_video
from training.data.files import FolderSource, ListSource
from training.data.frames import read_frames
from training.list_lines import Layout, read_videos
from training.reencode.__main__ import main
from training.reencode.many import Videos
from training.reencode.pictures import SmallerPictures
from training.reencode.video import Stopped, reencode


OLD = int(av.__version__.split(".")[0]) < 14  # knows no BT.2020
app = typer.Typer()
app.command()(main)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output).strip()


def numbers_of(path: Path) -> list[int]:
    return read_numbers(read_video(path)[0])


def smooth(num_frames: int, width: int, height: int) -> np.ndarray:
    """Colours that change slowly over the picture, so that little is lost; corners differ."""
    row, column = np.mgrid[0:height, 0:width].astype(np.float32) / [[[height]], [[width]]]
    picture = np.stack([255 * row, 255 * column, 255 * (1 - row) * (1 - column)], axis=-1)
    return np.repeat(picture.astype(np.uint8)[None], num_frames, axis=0)


# one file


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "2"}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.avi", "mpeg4", {}),
        ("a.mkv", "libx265", {"x265-params": "log-level=none"}),
        ("a.mov", "mjpeg", {}),
    ],
)
def test_frames_stay_in_their_places(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encode(tmp_path / name, codec, num_frames=70, options=options, pix_fmt=pixels)
    reencode(str(tmp_path / name), tmp_path / "out" / name)
    assert numbers_of(tmp_path / "out" / name) == list(range(70))


def test_few_frames_are_needed_for_a_clip(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", num_frames=100, options={"g": "1000"})
    reencode(str(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        assert container.streams.video[0].codec_context.name == "h264"
    times = sorted(packet.pts for packet in packets)
    keys = [times.index(packet.pts) for packet in packets if packet.is_keyframe]
    assert keys == [0, 32, 64, 96]
    with av.open(str(tmp_path / "b.mp4")) as container:
        container.streams.video[0].codec_context.skip_frame = "NONREF"
        needed = [times.index(frame.pts) for frame in container.decode(video=0)]
    assert len(needed) <= 100 // 4 + len(keys)


def test_times_stay(tmp_path: Path) -> None:
    times = [0, 40, 80, 400, 410, 900, 1000, 3000]
    encode(tmp_path / "a.mp4", num_frames=len(times), times=times)
    reencode(str(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [1000 * frame.time for frame in container.decode(video=0)] == pytest.approx(times)


def test_frames_without_times_follow_each_other(tmp_path: Path) -> None:
    """A raw stream has none at all, and of two that were put together the second begins anew."""
    encode(tmp_path / "raw.h264", num_frames=50, container_format="h264")
    encode(tmp_path / "a.ts", num_frames=20)
    (tmp_path / "twice.ts").write_bytes(2 * (tmp_path / "a.ts").read_bytes())
    for name, count in (("raw.h264", 50), ("twice.ts", 40)):
        reencode(str(tmp_path / name), tmp_path / "b.mp4")
        with VideoReader(tmp_path / "b.mp4") as reader:
            assert reader.num_frames == count
            assert reader.fps == pytest.approx(25, rel=0.03)


def test_of_a_cut_recording_the_frames_are_written_that_it_still_has(tmp_path: Path) -> None:
    options = {"g": "10", "bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"}
    encode(tmp_path / "whole.h264", num_frames=60, options=options)
    path = tmp_path / "cut.h264"  # a bare stream, whose frames are counted when they are decoded
    with av.open(str(tmp_path / "whole.h264")) as whole:
        packets = [packet for packet in whole.demux(video=0) if packet.size]
        third = [i for i, packet in enumerate(packets) if packet.is_keyframe][2]
        path.write_bytes(b"".join(map(bytes, packets[third:])))
    with VideoReader(path) as reader:
        announced = reader.num_frames
    before = read_numbers(read_video(path)[0])
    assert len(before) < announced, "the first ones refer to frames that are gone"
    reencode(str(path), tmp_path / "b.mp4")
    assert numbers_of(tmp_path / "b.mp4") == before


def test_fields_are_not_scaled_apart(tmp_path: Path) -> None:
    """Of something that moves, the lines of an interlaced frame show two times in turn."""
    frames = np.full((4, 256, 256, 3), 40, dtype=np.uint8)
    for number, frame in enumerate(frames):
        for field in (0, 1):
            frame[field::2, 16 * (2 * number + field) :][:, :64] = 220
    options = {"x264-params": "tff=1:interlaced=1", "crf": "5"}
    encode(tmp_path / "a.mp4", frames=frames, width=256, height=256, options=options)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert next(container.decode(video=0)).interlaced_frame
    reencode(str(tmp_path / "a.mp4"), tmp_path / "b.mp4", size=128, crf=5)
    small = read_video(tmp_path / "b.mp4")[0].float()
    assert (small[:, :, 1:] - small[:, :, :-1]).abs().amax() < 60


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (640, 360, 256, (256, 456)),
        (360, 640, 256, (456, 256)),
        (100, 60, 256, (60, 100)),
        (640, 360, 360, (360, 640)),
        (322, 182, 91, (92, 160)),
        (400, 16, 16, (16, 400)),
    ],
)
def test_the_shorter_side_is_as_long_as_asked(
    tmp_path: Path, width: int, height: int, size: int, expected: tuple[int, int]
) -> None:
    encode(tmp_path / "a.mp4", num_frames=3, width=width, height=height)
    reencode(str(tmp_path / "a.mp4"), tmp_path / "b.mp4", size=size)
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert reader.coded_size == expected
        assert reader.num_frames == 3


def test_odd_sides_become_even(tmp_path: Path) -> None:
    encode(tmp_path / "a.mkv", "ffv1", num_frames=3, width=75, height=49, pix_fmt="yuv444p")
    reencode(str(tmp_path / "a.mkv"), tmp_path / "b.mp4")
    assert numbers_of(tmp_path / "b.mp4") == [0, 1, 2]


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write it")
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("flip", [False, True])
def test_turned_videos_become_upright(tmp_path: Path, degrees: int, flip: bool) -> None:
    frames, bt709 = smooth(3, 96, 64), (1, 1)
    encode(tmp_path / "a.mp4", frames=frames, width=96, height=64, display=(degrees, flip, False), colour=bt709)
    reencode(str(tmp_path / "a.mp4"), tmp_path / "b.mp4", crf=5)
    before, after = (read_video(tmp_path / name)[0].float() for name in ("a.mp4", "b.mp4"))
    assert before.shape == after.shape
    assert (before - after).abs().mean() < 3
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == tuple(after.shape[-2:]), "the pixels are upright, not the metadata"


@pytest.mark.parametrize(
    ("codec", "pixels", "colour"),
    [
        ("libx264", "yuv420p", None),
        ("libx264", "yuv420p", (1, 1)),
        ("libx264", "yuv420p", (5, 1)),
        ("libx264", "yuvj420p", None),
        ("libx264", "yuv420p", (1, 2)),
        pytest.param("libx264", "yuv420p", (9, 1), marks=pytest.mark.skipif(OLD, reason="PyAV cannot write it")),
        ("libx264", "yuv422p10le", (1, 1)),
        ("libx264rgb", "rgb24", None),
        ("ffv1", "gray", None),
    ],
)
def test_colours_stay(tmp_path: Path, codec: str, pixels: str, colour: tuple[int, int] | None) -> None:
    frames = smooth(4, 96, 64)
    encode(tmp_path / "a.mkv", codec, frames=frames, width=96, height=64, pix_fmt=pixels, colour=colour)
    reencode(str(tmp_path / "a.mkv"), tmp_path / "b.mp4", crf=5)
    before, after = (read_video(tmp_path / name)[0].float() for name in ("a.mkv", "b.mp4"))
    assert (before - after).abs().mean() < 2


def test_sound_is_left_out(tmp_path: Path) -> None:
    encode_sound(tmp_path / "sound.mp4")
    with pytest.raises(VideoDecodingError, match="no video stream"):
        reencode(str(tmp_path / "sound.mp4"), tmp_path / "b.mp4")


def test_a_truncated_video_is_not_written(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", num_frames=60, container_options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(VideoDecodingError, match=rf"{path}: .+ leave it out"):
        reencode(str(path), tmp_path / "out" / "a.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_what_h264_cannot_be_is_not_written(tmp_path: Path) -> None:
    encode(tmp_path / "a.mkv", "ffv1", num_frames=2, width=17_000, height=16)
    with pytest.raises(VideoDecodingError, match=r"become H\.264: they cannot be encoded \(.+\)\. Leave it out"):
        reencode(str(tmp_path / "a.mkv"), tmp_path / "out" / "a.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_it_gives_up_when_it_is_told_to(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4")
    answers = iter([False] * 5 + [True])
    with pytest.raises(Stopped):
        reencode(str(tmp_path / "a.mp4"), tmp_path / "out" / "a.mp4", stopped=lambda: next(answers))
    assert not list((tmp_path / "out").iterdir())


# many


def test_a_folder(tmp_path: Path) -> None:
    for name in ("cats/a b.mp4", "cats/deep/ü.webm", "dogs/c.MP4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        encode(tmp_path / "videos" / name, "libvpx-vp9" if name.endswith("webm") else "libx264", num_frames=9)
    (tmp_path / "videos" / "readme.txt").write_text("no video")
    result = run(tmp_path / "videos", tmp_path / "out", "--size", 32, "--workers", 2)
    assert result.exit_code == 0, result.output
    sizes = [
        decimal(sum(path.stat().st_size for path in (tmp_path / name).rglob("*.*") if path.suffix != ".txt"))
        for name in ("videos", "out")
    ]
    assert f"3 videos written ({sizes[0]} became {sizes[1]})." in said(result)
    before, after = (FolderSource(str(tmp_path / name), labelled=True) for name in ("videos", "out"))
    assert list(before.paths) == list(after.paths)
    assert all(numbers_of(after.get(i, 0).content) == list(range(9)) for i in range(3))
    assert read_video(after.get(0, 0).content)[0].shape[-2:] == (32, 54)


def test_a_list_stays_true(tmp_path: Path) -> None:
    (tmp_path / "data" / "b").mkdir(parents=True)
    encode(tmp_path / "data" / "a.mp4", num_frames=50)
    encode(tmp_path / "data" / "b" / "c.mp4", num_frames=8)
    lines = ["a.mp4 0 20", "a.mp4 20 30", f"{tmp_path}/data/b/c.mp4 -1 -1", "./b/../a.mp4 7 2"]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    result = run(tmp_path / "list.txt", tmp_path / "out", "--root", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "2 videos written" in said(result)
    assert f"1 paths are absolute, so training would go on reading the old files: take {tmp_path}/data/" in said(result)
    source = ListSource(str(tmp_path / "list.txt"), str(tmp_path / "out"))
    video = source.get(1, 0)
    assert video.content.startswith(str(tmp_path / "out"))
    assert read_numbers(read_frames(video, lambda total: np.array([0, total - 1]))) == [20, 49]
    assert (tmp_path / "out" / "b" / "c.mp4").exists()


@pytest.mark.parametrize("line", ["{} 0", "{} 20 0", "{} 0 10 3", "{} 0 10 -1", "{} 0 10", "{} 0 -1", "{}"])
def test_lists_with_and_without_classes(tmp_path: Path, line: str) -> None:
    encode(tmp_path / "a b.mp4", num_frames=20)
    (tmp_path / "list.txt").write_text(line.format("a b.mp4") + "\n")
    assert "1 videos written" in said(run(tmp_path / "list.txt", tmp_path / "out"))


@pytest.mark.parametrize("line", ["{} 0", "{} 20 0", "{} 0 10 3", "{} 0 -1", "{} -1", "{}"])
def test_a_list_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    readings = []

    def count(path: str, layout: Layout) -> Iterator:
        readings.append(path)
        return read_videos(path, layout)

    monkeypatch.setattr("training.data.files.read_videos", count)
    (tmp_path / "list.txt").write_text("".join(line.format(f"{i}.mp4") + "\n" for i in range(3)))
    assert list(Videos.of(str(tmp_path / "list.txt"), "").numbers) == ["0.mp4", "1.mp4", "2.mp4"]
    assert readings == [str(tmp_path / "list.txt")]


def test_one_bad_video_does_not_keep_the_others_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "videos").mkdir()
    for name in "abcde":
        encode(tmp_path / "videos" / f"{name}.mp4", num_frames=5)
    gap = {"container_format": "matroska", "times": [0, 10**10]}  # of four months, which mp4 does not hold
    encode(tmp_path / "videos" / "b.mp4", num_frames=2, **gap)
    convert, read = SmallerPictures.__call__, VideoReader.__init__

    def fails_on_c(self: SmallerPictures, picture: Any) -> Any:
        if picture.width == 82:
            raise KeyError(9)  # as an older PyAV does for a colour matrix that it does not know
        return convert(self, picture)

    def fails_on_d(self: VideoReader, source: str, **options: Any) -> None:
        if source.endswith("videos/d.mp4"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        read(self, source, **options)

    encode(tmp_path / "videos" / "c.mp4", num_frames=2, width=82)
    monkeypatch.setattr(SmallerPictures, "__call__", fails_on_c)
    monkeypatch.setattr(VideoReader, "__init__", fails_on_d)
    assert run(tmp_path / "videos", tmp_path / "out", "--workers", 2).exit_code == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["a.mp4", "e.mp4", "not_written.txt", "reencode.json"]
    reasons = dict(line.split("\t") for line in (tmp_path / "out" / "not_written.txt").read_text().splitlines())
    assert "cannot become H.264: they do not fit into mp4" in reasons["b.mp4"]
    assert "cannot become H.264: they cannot be encoded (9)" in reasons["c.mp4"]
    assert "it cannot be read (Input/output error)" in reasons["d.mp4"]


def test_names_may_be_long_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    long, odd = "a" * 251 + ".mp4", os.fsdecode(b"film-\xff.mp4")
    encode(tmp_path / "videos" / "a.mp4", num_frames=3)
    os.replace(tmp_path / "videos" / "a.mp4", tmp_path / "videos" / long)
    (tmp_path / "videos" / odd).write_bytes(b"no video")
    result = run(tmp_path / "videos", tmp_path / "out")
    assert result.exit_code == 1, result.output
    assert "film-?.mp4" in said(result)
    assert sorted(os.listdir(tmp_path / "out")) == [long, "not_written.txt", "reencode.json"]
    assert os.fsencode(odd) in (tmp_path / "out" / "not_written.txt").read_bytes()
    of_windows = CliRunner(charset="cp1252").invoke(app, [str(tmp_path / "videos"), str(tmp_path / "ф")])
    assert r"\u0444: 1 videos written" in of_windows.output


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / "videos").mkdir(exist_ok=True)
        encode(tmp_path / "videos" / f"{name}.mp4", num_frames=5)
    assert "2 videos written" in said(run(tmp_path / "videos", tmp_path / "out", "--part", "1/2"))
    assert sorted(os.listdir(tmp_path / "out")) == ["a.mp4", "c.mp4", "reencode.json"]
    (tmp_path / "out" / "a.mp4").write_bytes(b"mine")
    assert "2 videos written" in said(run(tmp_path / "videos", tmp_path / "out"))
    assert "0 videos written, 4 were there." in said(run(tmp_path / "videos", tmp_path / "out"))
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"mine"


def test_the_home_of_the_user_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    encode(tmp_path / "videos" / "a.mp4", num_frames=3)
    (tmp_path / "list.txt").write_text("a.mp4\n")
    assert run("~/list.txt", "~/out", "--root=~/videos").exit_code == 0
    assert (tmp_path / "out" / "a.mp4").exists()
    assert run("~/videos", "~/out").exit_code == 0
    assert not (tmp_path / "~").exists()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    encode(tmp_path / "videos" / "a.mp4", num_frames=3)
    assert run(tmp_path / "videos", tmp_path / "out", "--size", 32).exit_code == 0
    before = (tmp_path / "out" / "a.mp4").read_bytes()
    for options, changes in (
        (["--size", 64], "size: 32 there, 64 now"),
        (["--size", 32, "--crf", 30, "--part", "1/2"], "crf: 20 there, 30 now"),
    ):
        result = run(tmp_path / "videos", tmp_path / "out", *options)
        assert result.exit_code == 1
        assert f"out holds videos that were made otherwise ({changes}). Choose another folder for OUTPUT" in said(
            result
        )
    assert (tmp_path / "out" / "a.mp4").read_bytes() == before


def test_another_video_of_the_same_name_is_no_finished_one(tmp_path: Path) -> None:
    for folder, frames in (("A", 5), ("B", 9)):
        (tmp_path / folder).mkdir()
        encode(tmp_path / folder / "x.mp4", num_frames=frames)
    encode(tmp_path / "B" / "y.mp4", num_frames=4)
    assert run(tmp_path / "A", tmp_path / "out").exit_code == 0
    result = run(tmp_path / "B", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 videos written" in said(result)
    sizes = [f"{(tmp_path / folder / 'x.mp4').stat().st_size:,}" for folder in "AB"]
    reason = (tmp_path / "out" / "not_written.txt").read_text()
    assert f"was made of another video, of {sizes[0]} bytes; this one has {sizes[1]}. Name another OUTPUT" in reason
    assert numbers_of(tmp_path / "out" / "x.mp4") == list(range(5))
    os.rename(tmp_path / "A", tmp_path / "moved")
    assert "0 videos written, 1 were there." in said(run(tmp_path / "moved", tmp_path / "out"))


def test_a_file_of_another_program_is_left_alone_whatever_its_title(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "videos").mkdir(exist_ok=True)
        encode(tmp_path / "videos" / name, num_frames=3)
    (tmp_path / "out").mkdir()
    encode(tmp_path / "out" / "a.mp4", num_frames=5)
    with av.open(str(tmp_path / "out" / "a.mp4")) as old, av.open(str(tmp_path / "titled.mp4"), "w") as new:
        new.metadata["title"] = "XeXX"
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    content = (tmp_path / "titled.mp4").read_bytes()
    assert content.count(b"XeXX") == 1
    (tmp_path / "out" / "a.mp4").write_bytes(content.replace(b"XeXX", b"X\xe9XX"))  # Latin-1
    result = run(tmp_path / "videos", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 videos written" in said(result)
    assert numbers_of(tmp_path / "out" / "a.mp4") == list(range(5))


def test_a_folder_of_an_older_version_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        encode(tmp_path / "videos" / name, num_frames=3)
    monkeypatch.setattr("training.reencode.video.MADE_OF", "")
    assert run(tmp_path / "videos", tmp_path / "out", "--part", "1/2", "--size", 32).exit_code == 0
    monkeypatch.undo()
    (tmp_path / "out" / "reencode.json").unlink()
    encode(tmp_path / "videos" / "a.mp4", num_frames=9)
    assert "1 videos written" in said(run(tmp_path / "videos", tmp_path / "out", "--size", 48))
    assert run(tmp_path / "videos", tmp_path / "out", "--size", 32).exit_code == 1


def test_videos_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    encode(tmp_path / "good.mp4", num_frames=5)
    names = ["bad.mp4", "good.mp4", "gone.mp4", "pictures", "https://host/a.mp4"]
    (tmp_path / "list.txt").write_text("\n".join(names) + "\n")
    result = run(tmp_path / "list.txt", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 videos written" in said(result)
    assert "4 were not written" in said(result)
    reasons = dict(line.split("\t") for line in (tmp_path / "out" / "not_written.txt").read_text().splitlines())
    assert list(reasons) == ["bad.mp4", "gone.mp4", "pictures", "https://host/a.mp4"]
    assert "not a video file" in reasons["bad.mp4"]
    assert "does not exist" in reasons["gone.mp4"]
    assert "folder of pictures" in reasons["pictures"]
    assert "Download it first" in reasons["https://host/a.mp4"]
    (tmp_path / "list.txt").write_text("good.mp4\n")
    (tmp_path / "out" / "not_written-2-of-3.txt").write_text("bad.mp4\tits data is damaged\n")
    assert run(tmp_path / "list.txt", tmp_path / "out").exit_code == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["good.mp4", "reencode.json"]


def test_a_full_disk_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "videos").mkdir()
    for number in range(3):
        encode(tmp_path / "videos" / f"{number}.mp4", num_frames=3)
    assert run(tmp_path / "videos", tmp_path / "out", "--part", "1/3").exit_code == 0
    (tmp_path / "out" / "0.mp4").unlink()
    monkeypatch.setattr("os.fsync", full)
    result = run(tmp_path / "videos", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 1
    assert "out/0.mp4 cannot be written: No space left on device" in said(result).replace("\n", "")
    assert os.listdir(tmp_path / "out") == ["reencode.json"]


def test_pyav_without_an_encoder_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    encode(tmp_path / "videos" / "a.mp4", num_frames=3)
    monkeypatch.setattr("training.reencode.video.CODEC", "nocodec")
    result = run(tmp_path / "videos", tmp_path / "out")
    assert result.exit_code == 1
    assert "This build of PyAV has no nocodec" in said(result)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["videos", "videos"], "The videos lie in videos, and so would the new ones. Name a folder elsewhere."),
        (["videos", "videos/out"], "The videos lie in videos, and so would the new ones. Name a folder elsewhere."),
        (["list.txt", "videos", "--root", "videos"], "The videos lie in videos"),
        (["list.txt", ".", "--root", "videos"], "The videos lie in videos"),
        (["list.txt", "."], "The videos lie in ., and so would the new ones."),
        (["videos/../list.txt", "."], "The videos lie in videos/.., and so would the new ones."),
        (["videos", "s3://me/out"], "OUTPUT (s3:/me/out) is an address."),
        (["videos", "out", "--root", "videos"], "--root is for lists, and videos is a folder. Leave it out."),
        (["videos", "out", "--part", "3/2"], "`--part` must be a number and how many there are"),
        (["outside.txt", "out", "--root", "videos"], "../a.mp4 lies outside of videos. Set --root to the folder"),
        (["none.txt", "out"], "There is no list none.txt. Check the path."),
        (["empty", "out"], "empty holds no videos"),
    ],
)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "empty").mkdir()
    encode(tmp_path / "videos" / "a.mp4", num_frames=3)
    (tmp_path / "list.txt").write_text("a.mp4\n")
    (tmp_path / "outside.txt").write_text("../a.mp4\n")
    result = run(*arguments)
    assert result.exit_code == 1
    assert reason in said(result)
    assert os.listdir(tmp_path / "videos") == ["a.mp4"]
    assert not (tmp_path / "out").exists()
