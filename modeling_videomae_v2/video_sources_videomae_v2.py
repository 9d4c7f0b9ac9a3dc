# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a video can be read from: paths, URLs, bytes and binary file objects, and how they are opened."""

import contextlib
import http.client
import io
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any


COVER_PICTURE = 0x400  # FFmpeg's flag of a stream that is only the cover of a sound file
MAX_DOWNLOAD_BYTES = 4 * 1024**3
TIMEOUT = 30.0  # seconds without an answer after which a download is given up
WEBP_HEAD = 21  # bytes that say whether a WebP is animated
# Demuxers that read other files or turn plain text into pictures: never what a "video file" may be.
REFUSED_FORMATS = frozenset({"tty", "hls", "dash", "concat", "imf", "sdp", "rtsp", "ffmetadata"})


class VideoDecodingError(ValueError):
    """A video that cannot be read; the message names the source, the reason and the way out."""

    def __init__(self, name: str, reason: str, way_out: str) -> None:
        super().__init__(f"Cannot decode {name}: {reason.rstrip('.')}. {way_out}")


def is_bytes(value: Any) -> bool:
    """Whether `value` is the content of a file in memory."""
    return isinstance(value, (bytes, bytearray, memoryview))


def is_animated_webp(head: bytes) -> bool:
    """Whether a file that begins like this is an animated WebP."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) >= WEBP_HEAD and bool(head[20] & 0x02)


def is_video_source(value: Any) -> bool:
    """Whether `value` is something to decode (path, URL, bytes, binary file object) rather than frames."""
    return isinstance(value, (str, os.PathLike)) or is_bytes(value) or hasattr(value, "read")


def download(url: str, timeout: float = TIMEOUT, max_bytes: int = MAX_DOWNLOAD_BYTES) -> bytes:
    """Fetch `url` (http, https) into memory.

    Args:
        url: Address of the file.
        timeout: Seconds without any answer after which to give up; the whole download may take 20 times as long.
        max_bytes: Largest file accepted.

    Raises:
        VideoDecodingError: The server cannot be reached, answers with an error, is too slow or sends too much or
            less than it announced.
    """
    deadline = time.monotonic() + 20 * timeout
    request = urllib.request.Request(url, headers={"User-Agent": "modeling_videomae_v2"})
    chunks, received, failure = [], 0, ""
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            announced = answer.headers.get("Content-Length") or ""
            while not failure and (chunk := answer.read1(64 * 1024)):  # `read` would wait for all of it
                chunks.append(chunk)
                received += len(chunk)
                if received > max_bytes:
                    failure = f"it is larger than {max_bytes} bytes"
                elif time.monotonic() > deadline:
                    failure = f"{20 * timeout:.0f} s were not enough to download it"
    except urllib.error.HTTPError as error:
        reason = f"the server answered {error.code} {error.reason}"
        raise VideoDecodingError(url, reason, "Check the address.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = f"the download failed ({getattr(error, 'reason', error)})"
        raise VideoDecodingError(url, reason, "Check the address and the network.") from error
    if not failure and announced.isdigit() and received < int(announced):
        failure = f"the connection closed after {received} of {announced} bytes"
    if failure:
        raise VideoDecodingError(url, failure, "Download it to a file first and pass its path.")
    return b"".join(chunks)


def fetch(address: str, max_bytes: int = MAX_DOWNLOAD_BYTES) -> bytes:
    """Read an address that fsspec knows (`hf://`, `s3://`, `zip://a.mp4::films.zip`) into memory.

    Args:
        address: Address of the file.
        max_bytes: Largest file accepted.

    Raises:
        VideoDecodingError: fsspec does not know it, lacks a package for it, or cannot read it; or it is too large.
    """
    import fsspec

    try:
        with fsspec.open(address, "rb") as file:
            content = file.read(max_bytes + 1)
    except Exception as error:  # each kind of storage has its own
        reason = f"{type(error).__name__}: {error}"
        raise VideoDecodingError(address, reason, "Check the address, or pass a path, http or https.") from error
    if len(content) > max_bytes:
        raise VideoDecodingError(address, f"it is larger than {max_bytes} bytes", "Copy it to a file first.")
    return content


def file_of(address: str) -> str:
    """The path that a `file://` address stands for; anything else as it is."""
    if not address.lower().startswith("file://"):
        return address
    return urllib.request.url2pathname(urllib.parse.urlparse(address).path)


def resolve_source(source: Any, timeout: float = TIMEOUT) -> tuple[str, str | bytes | Any]:
    """Name for messages, and what to open: an absolute path, bytes, or a seekable binary file object."""
    if is_bytes(source):
        return f"<{len(source)} bytes>", bytes(source)
    if hasattr(source, "read"):
        name = str(getattr(source, "name", None) or f"<{type(source).__name__}>")
        # SpooledTemporaryFile has no `seekable` before Python 3.11
        seekable = source.seekable() if hasattr(source, "seekable") else hasattr(source, "seek")
        content = source if seekable else source.read()
        start = source.read(0) if seekable else content
        if isinstance(start, str):
            raise VideoDecodingError(name, "it is open in text mode", 'Open it with mode "rb".')
        # OpenCV's `VideoCapture` reads frames, in BGR; FastAPI's `UploadFile` reads later
        if not isinstance(start, (bytes, bytearray)):
            reason = f"its `read` gives no bytes but a `{type(start).__name__}`"
            raise VideoDecodingError(name, reason, "Pass the path or bytes of the video, or frames in RGB.")
        return name, content if seekable else bytes(content)
    name = os.fsdecode(source)
    if not name:
        raise VideoDecodingError("''", "the path is empty", "Pass the path of a video file.")
    scheme = name.partition("://")[0].lower() if "://" in name else ""  # "zip" of zip://a.mp4::https://host/films.zip
    if scheme in ("http", "https"):
        return name, download(name, timeout)
    path = file_of(name)
    if not os.path.exists(path):
        if scheme not in ("", "file"):
            return name, fetch(name)
        raise FileNotFoundError(f"Cannot decode {name}: the file does not exist. Check the path.")
    if not os.path.isfile(path):
        raise VideoDecodingError(name, "it is not a file", "Pass the path of one video file.")
    return name, os.path.abspath(path)


def import_av() -> Any:
    """PyAV, or an `ImportError` that says how to get it."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "Decoding video files needs the package `av`, which is not installed. Run `pip install av`, or pass "
            "frames (an array, a tensor or a list of PIL images) instead of a file."
        ) from error
    return av


def open_container(av: Any, name: str, target: Any) -> tuple[Any, Any]:
    """Open a resolved source with PyAV.

    Args:
        av: The module.
        name: Name for messages.
        target: Absolute path, bytes or seekable binary file object.

    Returns:
        The container, at its start, and its first video stream that is not a cover picture; one picture alone, as AVIF
        has it before the animation, only where there is no other.

    Raises:
        VideoDecodingError: It is empty, not a video, or has no video stream that can be decoded.
    """
    head = _first_bytes(target)
    if not head:
        raise VideoDecodingError(name, "the file is empty", "Download or export it again.")
    try:
        file = io.BytesIO(target) if isinstance(target, bytes) else target
        container = av.open(file, "r", **lenient_titles(av))  # not the mode of the file, which may be "w+b"
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if head[4:8] == b"ftyp":
            reason = "it is an mp4 or mov file without a readable index (moov): truncated, or not yet finished"
        elif isinstance(error, av.error.InvalidDataError):
            reason = "it is not a video file, or is damaged at its start"
        raise VideoDecodingError(name, reason, "Check that it plays, and export it again if it does not.") from error
    streams = [s for s in container.streams.video if not s.disposition.value & COVER_PICTURE]
    streams.sort(key=lambda stream: stream.frames == 1)  # the order stays otherwise
    reason = ""
    if container.format.name in REFUSED_FORMATS:
        reason = f"it is not a video (but {container.format.name})"
    elif container.format.name == "webp_pipe" and is_animated_webp(head):
        reason = "this build of FFmpeg does not decode animated WebP"
    elif not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        reason = f"it has no video stream (it holds {', '.join(kinds)})"
    elif streams[0].codec_context is None:
        reason = "this build of FFmpeg has no decoder for it"
    if reason:
        container.close()
        raise VideoDecodingError(name, reason, "Pass a video file, for example H.264 in mp4, or an animated GIF.")
    return container, streams[0]


def lenient_titles(av: Any) -> dict[str, str]:
    """What makes PyAV pass over titles that are no UTF-8; since version 19 it does so by itself."""
    return {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def read_packets(container: Any, *streams: Any) -> Iterator[Any]:
    """Packets of some streams, default all; after the last one PyAV fails where a stream began on the way."""
    with contextlib.suppress(IndexError):
        yield from container.demux(*streams)


def _first_bytes(target: Any, count: int = WEBP_HEAD) -> bytes:
    """First bytes of what is going to be opened."""
    if isinstance(target, bytes):
        return target[:count]
    if isinstance(target, str):
        with open(target, "rb") as file:
            return file.read(count)
    target.seek(0)
    head = target.read(count)
    target.seek(0)
    return head
