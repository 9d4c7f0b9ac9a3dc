# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever cannot be decoded gives one error that names it and says why; whatever can be opened may be passed."""

import builtins
import contextlib
import http.server
import io
import itertools
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


av = pytest.importorskip("av")

from video_files import encode, encode_sound, read_numbers  # noqa: E402

from modeling_videomae_v2.video_decoding_videomae_v2 import (  # noqa: E402
    VideoDecodingError,
    VideoReader,
    read_video,
)
from modeling_videomae_v2.video_sources_videomae_v2 import download, fetch  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A good video, `good.mp4` with its index at the start, and bad ones made from it."""
    folder = tmp_path_factory.mktemp("bad")
    frames = np.random.default_rng(0).integers(0, 255, (60, 48, 80, 3), dtype=np.uint8)
    good = encode(folder / "good.mp4", frames=frames, container_options={"movflags": "faststart"}).read_bytes()
    late = encode(folder / "late.mp4", frames=frames).read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a video\n" * 100)
    (folder / "text.txt").write_text("not a video\n" * 100)
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ngood.mp4\n#EXT-X-ENDLIST\n")
    (folder / "list.ffconcat").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "half.mp4").write_bytes(good[: len(good) // 2])
    (folder / "no_index.mp4").write_bytes(late[: len(late) // 2])
    (folder / "only_head.mp4").write_bytes(good[: good.index(b"mdat") + 4])
    (folder / "few.mp4").write_bytes(good[: good.index(b"mdat") + len(good) // 10])
    damaged = bytearray(good)
    with av.open(folder / "good.mp4") as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][33]
        damaged[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    (folder / "damaged.mp4").write_bytes(damaged)
    damaged[packet.pos : packet.pos + packet.size // 2] = good[packet.pos : packet.pos + packet.size // 2]
    (folder / "half_damaged.mp4").write_bytes(damaged)
    for name in ("half.mkv", "half.flv"):
        whole = encode(folder / f"whole_{name}", frames=frames).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    avi = encode(folder / "whole.avi", "mpeg4", frames=frames).read_bytes()
    (folder / "half.avi").write_bytes(avi[: len(avi) // 2])
    encode(folder / "no_frames.mp4", num_frames=0)
    encode(folder / "no_frames.avi", "mpeg4", num_frames=0)
    encode_sound(folder / "sound.m4a")
    encode_sound(folder / "sound.mp4")
    return folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.mp4", "the file is empty"),
        ("text.mp4", "not a video"),
        ("text.txt", "not a video"),
        ("list.m3u8", "not a video"),
        ("list.ffconcat", r"not a video \(but concat\)"),
        ("noise.mp4", "not a video"),
        ("no_index.mp4", "without a readable index"),
        ("sound.m4a", "no video stream"),
        ("sound.mp4", r"no video stream \(it holds audio\)"),
        ("no_frames.mp4", "no video"),
        ("no_frames.avi", "no video"),
        ("half.mp4", r"frame 59 of 60 cannot be read: the file is truncated, only \d+ frames"),
        ("few.mp4", r"frame 59 of 60 cannot be read: the file is truncated, only \d frames"),
        ("half.mkv", r"frame \d+ of \d+ cannot be read: the file is truncated, only \d+ frames"),
        ("half.flv", r"frame \d+ of \d+ cannot be read: the file is truncated, only \d+ frames"),
        ("half.avi", r"frame 59 of 60 cannot be read: the file is truncated, only \d+ frames"),
        ("only_head.mp4", "no video frames"),
        ("damaged.mp4", r"frame \d+ of 60 cannot be read"),
        (".", "not a file"),
    ],
)
def test_bad_files_say_what_is_wrong(folder, name, reason):
    path = folder / name
    with pytest.raises(VideoDecodingError, match=reason) as caught:
        read_video(path)
    assert str(caught.value).startswith(f"Cannot decode {path}: ")


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write covers")
def test_the_cover_of_a_sound_file_is_not_a_video(tmp_path):
    path = encode_sound(tmp_path / "cover.mp3", "libmp3lame", cover=True)
    with pytest.raises(VideoDecodingError, match="it has no video stream"):
        read_video(path)


def test_missing_file(folder):
    with pytest.raises(FileNotFoundError, match=r"Cannot decode .*nowhere\.mp4: the file does not exist"):
        read_video(folder / "nowhere.mp4")


@pytest.mark.parametrize("name", ["half.mp4", "half.mkv", "half.avi", "damaged.mp4"])
def test_frames_before_the_damage_can_be_read(folder, name):
    frames, metadata = read_video(folder / name, lambda _: [0, 3, 6])
    assert tuple(frames.shape) == (3, 3, 48, 80)
    assert metadata.total_num_frames == pytest.approx(60, abs=3)


@pytest.mark.parametrize("name", ["half.mp4", "half.mkv"])
def test_every_frame_behind_the_cut_is_missing(folder, name):
    failed = []
    with VideoReader(folder / name) as reader:
        for i in range(reader.num_frames):
            try:
                reader.get_frames([i])
            except VideoDecodingError:
                failed.append(i)
        assert failed == list(range(failed[0], reader.num_frames))
        assert 10 < len(failed) < 50


@pytest.mark.parametrize("error", [ValueError, av.error.FFmpegError])
def test_pixels_that_cannot_become_rgb_are_said(folder, monkeypatch, error):
    def fail(*_):
        raise error(22, "Conversion is not supported")

    monkeypatch.setattr("modeling_videomae_v2.video_decoding_videomae_v2.to_rgb", fail)
    with pytest.raises(VideoDecodingError, match=r"frame 7 of 60 cannot be read: .* RGB .*not supported"):
        read_video(folder / "good.mp4", lambda _: [7])


def test_a_refused_file_is_closed(folder, monkeypatch):
    closed = []
    close = VideoReader.close
    monkeypatch.setattr(VideoReader, "close", lambda self: closed.append(self._container) or close(self))
    with pytest.raises(VideoDecodingError, match="no video frames"):
        VideoReader(folder / "no_frames.avi")
    assert closed[-1] is not None


@pytest.mark.parametrize("name", ["damaged.mp4", "half_damaged.mp4"])
def test_a_wrong_frame_is_never_returned(folder, name):
    """Around data that the decoder cannot read a frame is either that of the undamaged file or an error."""
    whole, _ = read_video(folder / "good.mp4")
    failed = []
    for i in range(60):
        try:
            frame, _ = read_video(folder / name, lambda _, i=i: [i])
        except VideoDecodingError:
            failed.append(i)
        else:
            assert (frame == whole[i]).all(), i
    assert 33 in failed
    assert len(failed) < 40


def test_damage_where_frames_can_only_be_counted(tmp_path):
    """As in an avi file with reordered frames, which has no times that tell them apart."""
    path = encode(tmp_path / "a.avi", num_frames=60, options={"bf": "2"})
    with av.open(path) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][33]
    data = bytearray(path.read_bytes())
    data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    frames, _ = read_video(bytes(data), lambda _: [0, 9, 20, 28])
    assert read_numbers(frames) == [0, 9, 20, 28]
    with pytest.raises(VideoDecodingError, match="frame 59 of 60 cannot be read: Invalid data"):
        read_video(bytes(data), lambda _: [59])


def test_frames_too_large_for_the_memory_are_refused(tmp_path):
    data = bytearray(encode(tmp_path / "a.gif", "gif", num_frames=3, pix_fmt="rgb8").read_bytes())
    data[6:10] = struct.pack("<HH", 9000, 9000)
    with pytest.raises(VideoDecodingError, match="frames of 9000 x 9000 pixels"):
        read_video(bytes(data), lambda _: [0])


LOGGING_THREADS = """
import sys, av
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoReader
av.logging.set_level(av.logging.ERROR)
for _ in range(30):
    with VideoReader(sys.argv[1], num_threads=4) as reader:
        reader.get_frames([0])
"""


@pytest.mark.slow
def test_closing_does_not_wait_for_threads_that_log(tmp_path):
    """Old torchvision turns on PyAV's logging, for which the decoding threads need the interpreter."""
    frames = np.random.default_rng(0).integers(0, 255, (12, 480, 640, 3), dtype=np.uint8)
    options = {"bf": "0", "slices": "15", "preset": "ultrafast", "g": "100"}
    path = encode(tmp_path / "a.mp4", frames=frames, width=640, height=480, options=options)
    damaged = bytearray(path.read_bytes())
    with av.open(path) as container:
        for packet in container.demux(video=0):
            if packet.size and not packet.is_keyframe:
                for start in range(packet.pos + 300, packet.pos + packet.size - 10, 3000):
                    damaged[start : start + 8] = b"\xff" * 8
    path.write_bytes(damaged)
    command = [sys.executable, "-c", LOGGING_THREADS, str(path)]
    subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, timeout=120, check=True)


def test_indices_are_checked(folder):
    with VideoReader(folder / "good.mp4") as reader:
        with pytest.raises(IndexError, match=r"frames 0 to 59; index 60 is outside"):
            reader.get_frames([0, 60])
        with pytest.raises(IndexError, match="index -1 is outside"):
            reader.get_frames([-1, 5])
        with pytest.raises(ValueError, match="`indices` is empty"):
            reader.get_frames([])


def test_every_kind_of_source(tmp_path, monkeypatch):
    path = encode(tmp_path / "a name, with späces & ünicode #1.mp4")
    data = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    Path("take:1.mp4").write_bytes(data)  # FFmpeg would take it for an address

    class Pipe(io.RawIOBase):  # can be read, but has no positions
        name = "a pipe"
        rest = io.BytesIO(data)

        def read(self, size=-1):
            return bytearray(self.rest.read(size))

    with open(path, "rb") as file, tempfile.SpooledTemporaryFile(max_size=1_000_000) as upload:
        upload.write(data)  # its mode is "w+b"; web servers hand these on
        for source in (
            path,
            str(path),
            "take:1.mp4",
            path.as_uri(),
            path.as_uri().replace("file:", "FILE:"),
            data,
            bytearray(data),
            memoryview(data),
            file,
            upload,
            io.BytesIO(data),
            Pipe(),
        ):
            assert read_numbers(read_video(source, lambda _: [2, 25])[0]) == [2, 25]
        assert not file.closed


def test_sources_that_cannot_be_read(tmp_path):
    with pytest.raises(VideoDecodingError, match="Cannot decode <12 bytes>: it is not a video"):
        read_video(b"not a video!")
    with pytest.raises(VideoDecodingError, match="Cannot decode '': the path is empty"):
        read_video("")
    with pytest.raises(VideoDecodingError, match="Cannot decode <StringIO>: it is open in text mode"):
        read_video(io.StringIO("text"))
    with open(tmp_path / "a.txt", "w+") as file, pytest.raises(VideoDecodingError, match=r"a\.txt: it is open in text"):
        read_video(file)
    for source in (
        SimpleNamespace(read=lambda: (True, np.zeros((48, 80, 3)))),  # as OpenCV's
        SimpleNamespace(read=lambda size: ("later",), seek=lambda place: 0),
    ):
        with pytest.raises(VideoDecodingError, match=r"its `read` gives no bytes but a `tuple`"):
            read_video(source)
    with pytest.raises(VideoDecodingError, match=r"Protocol not known: rtsp\. Check the address, or pass a path"):
        read_video("rtsp://127.0.0.1/a.mp4")
    with pytest.raises(VideoDecodingError, match=r"Cannot decode memory://missing\.mp4: FileNotFoundError"):
        read_video("memory://missing.mp4")
    error = VideoDecodingError("a.mp4", "the reason of another library.", "Check it.")
    assert str(error) == "Cannot decode a.mp4: the reason of another library. Check it."


def test_addresses_that_fsspec_knows(tmp_path):
    data = encode(tmp_path / "a.mp4").read_bytes()
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as films:
        films.writestr("sub/a.mp4", data)
    address = f"zip://sub/a.mp4::{tmp_path / 'films.zip'}"
    assert read_numbers(read_video(address, lambda _: [2, 25])[0]) == [2, 25]
    with pytest.raises(VideoDecodingError, match="it is larger than 100 bytes"):
        fetch(address, max_bytes=100)


@pytest.fixture
def server(tmp_path):
    """Loopback server: `/video` answers well, the others do not."""
    data = encode(tmp_path / "a.mp4").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                time.sleep(1)
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/video")
                self.end_headers()
                return
            if self.path == "/missing":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + 100 * (self.path == "/short")))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # the client may have given up
                if self.path == "/drip":
                    self.wfile.write(data[:1])
                    self.connection.recv(1)  # until the client gives up
                else:
                    self.wfile.write(b"<html>" * 100 if self.path == "/page" else data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.mark.parametrize("place", ["/video", "/moved"])
def test_urls(server, place):
    assert read_numbers(read_video(server + place, lambda _: [7])[0]) == [7]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/missing", "the server answered 404"),
        ("/short", r"the connection closed after \d+ of \d+ bytes"),
        ("/slow", "timed out"),
        ("/page", "."),
    ],
)
def test_bad_urls_name_the_url(server, place, reason):
    with pytest.raises(VideoDecodingError, match=reason) as caught:
        read_video(server + place, timeout=0.3)
    assert f"Cannot decode {server}{place}: " in str(caught.value)


def test_a_download_has_an_end(server, monkeypatch):
    size = len(download(f"{server}/video"))
    assert len(download(f"{server}/video", max_bytes=size)) == size
    with pytest.raises(VideoDecodingError, match=f"it is larger than {size - 1} bytes"):
        download(f"{server}/video", max_bytes=size - 1)
    times = itertools.chain([0.0], itertools.repeat(41.0))
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr("modeling_videomae_v2.video_sources_videomae_v2.time", clock)
    with pytest.raises(VideoDecodingError, match="40 s were not enough to download it"):
        download(f"{server}/drip", timeout=2)


@pytest.mark.parametrize("address", ["127.0.0.1:9/a.mp4", "127.0.0.1:9/a b.mp4", "a..b/a.mp4"])
def test_addresses_where_nobody_listens(address):
    with pytest.raises(VideoDecodingError, match="the download failed"):
        read_video(f"http://{address}", timeout=2)


def test_a_missing_av_is_named(monkeypatch):
    real_import = builtins.__import__

    def without_av(name, *args, **kwargs):
        if name == "av":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(ImportError, match="pip install av"):
        read_video(b"anything")


@pytest.mark.slow
def test_the_package_is_imported_without_av():
    code = (
        "import sys; sys.modules['av'] = None; "
        "from modeling_videomae_v2.video_processing_videomae_v2 import VideoMAEv2VideoProcessor as P; "
        "import numpy as np; print(P()(np.zeros((16, 32, 32, 3), 'uint8'), return_tensors='pt')['pixel_values'].shape)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "[1, 16, 3, 224, 224]" in done.stdout
