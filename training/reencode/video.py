# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes a video again such that training decodes it fast: the same frames, small, and few of them needed for a clip.

H.264 in mp4. A key frame every 32 frames, so that little is decoded before a clip; of four frames, three that no other
needs, which are not decoded where they are not wanted; without arithmetic coding and the filter of block edges, a third
of the decoder's time.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from modeling_videomae_v2.video_colours_videomae_v2 import orientation_of
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, VideoReader, read_video
from modeling_videomae_v2.video_sources_videomae_v2 import (
    import_av,
    lenient_titles,
    open_container,
    read_packets,
    resolve_source,
)
from modeling_videomae_v2.writing import written_aside

from .pictures import LIMITED_RANGE, PIXELS, SmallerPictures


CODEC, FORMAT = "libx264", "mp4"
KEY_FRAME_EVERY = 32
OPTIONS = {
    "g": str(KEY_FRAME_EVERY), "preset": "faster", "tune": "fastdecode",
    "x264-params": "bframes=3:b-adapt=0:b-pyramid=none:scenecut=0",
}  # fmt: skip
MADE_OF = "made of a file of {} bytes"  # the comment in what is written
USUAL_RATE = Fraction(25)  # where a file names none
WAY_OUT = "Export or download it again, or leave it out."


class Stopped(Exception):
    """The work was to end before it was done."""


def demand_encoder() -> None:
    """Find out whether PyAV can write H.264 (`ImportError`); that of some distributions cannot."""
    av = import_av()
    try:
        av.codec.Codec(CODEC, "w")
    except ValueError as error:
        raise ImportError(
            f"This build of PyAV has no {CODEC}, which writes H.264. Run `pip install --force-reinstall av`; the "
            "packages of pip have it."
        ) from error


def reencode(
    source: str, target: Path, *, size: int = 256, crf: int = 20, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Write the frames of a video, and nothing else of it, to another file, which is whole or not there.

    Frame `i` stays frame `i`, at its time, in its colours, upright.

    Args:
        source: Path of the video.
        target: The file, in mp4 format whatever its suffix.
        size: The shorter side, in pixels, where that of the source is longer.
        crf: Quality of x264, 0 (the best) to 51.
        stopped: Asked at each frame whether to give up.

    Raises:
        FileNotFoundError, VideoDecodingError: It cannot be decoded whole.
        OSError: The target cannot be written.
        Stopped: `stopped` said so.
    """
    expected = _count_frames(source, source)
    with written_aside(target) as aside:
        _Writer(source, aside.absolute(), size, crf).write(stopped)
        found = _count_frames(str(aside.absolute()), source, to_the_end=True)
        if found != expected:  # frames that refer to some that are gone are announced and not decoded
            expected = _count_frames(source, source, to_the_end=True)
        if found != expected:
            raise VideoDecodingError(source, f"it announces {expected} frames and has {found}", WAY_OUT)


def _count_frames(path: str, name: str, to_the_end: bool = False) -> int:
    """Frames that a video announces or, `to_the_end`, has.

    Raises:
        FileNotFoundError, VideoDecodingError: It cannot be read.
    """
    try:
        if to_the_end:
            metadata = read_video(path, lambda video: [0, video.total_num_frames - 1], num_threads=1)[1]
            return metadata.total_num_frames
        with VideoReader(path, num_threads=1) as reader:
            return reader.num_frames
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VideoDecodingError(name, f"it cannot be read ({error.strerror or error})", WAY_OUT) from error


def bytes_of_source(target: Path) -> int | None:
    """Size of the file that another one was made of by `reencode`; None: it does not say so."""
    av = import_av()
    try:
        with av.open(str(target.absolute()), **lenient_titles(av)) as container:
            comment = container.metadata.get("comment", "")
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    found = re.fullmatch(MADE_OF.format(r"(\d+)"), comment)
    return None if found is None else int(found[1])


class _Writer:
    """One file that becomes another."""

    def __init__(self, source: str, target: Path, size: int, crf: int) -> None:
        self._av, self._target, self._size, self._crf = import_av(), target, size, crf
        self._name, self._source = resolve_source(source, timeout=0)
        self._bytes = os.path.getsize(source)
        self._stream: Any = None
        self._time: int | None = None

    def write(self, stopped: Callable[[], bool]) -> None:
        container, source = open_container(self._av, self._name, self._source)
        with (
            self._as_failure("they do not fit into mp4"),
            container,
            self._av.open(str(self._target), "w", format=FORMAT) as output,
        ):
            output.metadata["comment"] = MADE_OF.format(self._bytes)
            source.thread_type = "NONE"
            packets = read_packets(container, source)
            while (frames := self._decode_next(packets)) is not None:
                for frame in frames:
                    if stopped():
                        raise Stopped
                    if self._stream is None:
                        self._begin(output, source, frame)
                    output.mux(self._encode(frame))
            if self._stream is None:
                raise VideoDecodingError(self._name, "none of its frames can be decoded", WAY_OUT)
            output.mux(self._encode(None))

    def _decode_next(self, packets: Any) -> list[Any] | None:
        """Frames that come out for the next packet; None after the last."""
        try:
            packet = next(packets, None)
            frames = None if packet is None else packet.decode()
        except self._av.error.FFmpegError as error:
            raise VideoDecodingError(self._name, f"its data is damaged ({error.strerror})", WAY_OUT) from error
        if any(frame.is_corrupt for frame in frames or ()):
            raise VideoDecodingError(self._name, "its data is damaged", WAY_OUT)
        return frames

    def _begin(self, output: Any, source: Any, frame: Any) -> None:
        """Make the stream that frames such as this one go to."""
        orientation = orientation_of(frame, source.codec_context.name)
        rate = source.average_rate or source.guessed_rate or USUAL_RATE
        with self._as_failure("they cannot be scaled", OSError):
            self._smaller = SmallerPictures(self._av, frame, orientation, self._size, source.time_base)
        options = {**OPTIONS, "crf": str(self._crf), "threads": "1"}
        stream = self._stream = output.add_stream(CODEC, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *self._smaller.size, PIXELS
        context = stream.codec_context
        context.time_base = stream.time_base = source.time_base
        context.color_range = LIMITED_RANGE
        if self._smaller.matrix is not None:
            context.colorspace = self._smaller.matrix
        self._step = max(round(1 / (rate * source.time_base)), 1)

    def _encode(self, frame: Any | None) -> Any:
        """Packets that come out for a frame; for None, after the last one."""
        with self._as_failure("they cannot be encoded", OSError):
            if frame is None:
                return self._stream.encode(None)
            time = self._next_time(frame.pts)
            frame = self._smaller(frame)
            frame.pts, frame.time_base = time, self._stream.codec_context.time_base
            frame.pict_type = self._av.video.frame.PictureType.NONE  # else key frames would be where they were
            return self._stream.encode(frame)

    def _next_time(self, time: int | None) -> int:
        """Time of the next frame: its own, or, where it has none or one that is over, a frame after the last one."""
        if self._time is None:
            self._time = max(time or 0, 0)
        elif time is not None and time > self._time:
            self._time = time
        else:
            self._time += self._step
        return self._time

    @contextmanager
    def _as_failure(self, reason: str, *more: type[Exception]) -> Iterator[None]:
        """Have what FFmpeg refuses, and errors of the kinds `more`, say that this video cannot be written.

        Others are `OSError`s, of writing: they concern all videos.
        """
        try:
            yield
        except (VideoDecodingError, Stopped):
            raise
        except (self._av.error.FFmpegError, ValueError, LookupError, *more) as error:
            if isinstance(error, OSError) and not more:
                raise
            reason = f"its frames cannot become H.264: {reason} ({getattr(error, 'strerror', None) or error})"
            raise VideoDecodingError(self._name, reason, "Leave it out.") from error
