# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes a video again such that training decodes it fast: the same frames, small, and few of them needed for a clip.

H.264 in mp4. A key frame every 32 frames, so that little is decoded before a clip; of four frames, three that no other
needs, which are not decoded where they are not wanted; without arithmetic coding and the filter of block edges, a third
of the decoder's time.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from modeling_videomae_v2.video_colours_videomae_v2 import Orientation, orientation_of
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, VideoReader
from modeling_videomae_v2.video_sources_videomae_v2 import import_av, open_container, read_packets, resolve_source
from modeling_videomae_v2.writing import written_aside


CODEC, FORMAT, PIXELS = "libx264", "mp4", "yuv420p"
KEY_FRAME_EVERY = 32
OPTIONS = {
    "g": str(KEY_FRAME_EVERY), "preset": "faster", "tune": "fastdecode",
    "x264-params": "bframes=3:b-adapt=0:b-pyramid=none:scenecut=0",
}  # fmt: skip
LIMITED_RANGE = 1  # FFmpeg's number of 16 to 235
UNSPECIFIED, RGB = 2, 0  # FFmpeg's numbers of colour matrices that YUV cannot have
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
        crf: Quality of x264, 0 (all) to 51.
        stopped: Asked at each frame whether to give up.

    Raises:
        FileNotFoundError, VideoDecodingError: It cannot be decoded whole.
        OSError: The target cannot be written.
        Stopped: `stopped` said so.
    """
    with VideoReader(source, num_threads=1) as reader:
        name, expected = reader.name, reader.num_frames
    with written_aside(target) as aside:
        _Writer(source, aside, size, crf).write(stopped)
        with VideoReader(str(aside), num_threads=1) as reader:
            found = reader.num_frames
        if found != expected:
            raise VideoDecodingError(name, f"it announces {expected} frames and has {found}", WAY_OUT)


class _Writer:
    """One file that becomes another."""

    def __init__(self, source: str, target: Path, size: int, crf: int) -> None:
        self._av, self._target, self._size, self._crf = import_av(), target, size, crf
        self._name, self._source = resolve_source(source, timeout=0)
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._stream: Any = None
        self._turn: Callable[[Any], Any] | None = None
        self._last = -1

    def write(self, stopped: Callable[[], bool]) -> None:
        container, source = open_container(self._av, self._name, self._source)
        with container, self._av.open(str(self._target), "w", format=FORMAT) as output:
            source.thread_type = "NONE"
            packets = read_packets(container, source)
            while (frames := self._decode_next(packets)) is not None:
                for frame in frames:
                    if stopped():
                        raise Stopped
                    self._put(output, source, frame)
            if self._stream is None:
                raise VideoDecodingError(self._name, "none of its frames can be decoded", WAY_OUT)
            output.mux(self._stream.encode(None))

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

    def _put(self, output: Any, source: Any, frame: Any) -> None:
        """Write what comes out for a frame."""
        try:
            if self._stream is None:
                self._begin(output, source, frame)
            output.mux(self._encode(frame))
        except OSError:  # of writing
            raise
        except (self._av.error.FFmpegError, ValueError) as error:
            reason = f"its frames cannot become H.264 ({getattr(error, 'strerror', None) or error})"
            raise VideoDecodingError(self._name, reason, "Leave it out.") from error

    def _encode(self, frame: Any) -> Any:
        """Packets that come out for a frame."""
        time = self._last + 1 if frame.pts is None else max(frame.pts, self._last + 1)
        frame = self._converted(frame)
        self._last = frame.pts = time
        frame.time_base = self._stream.codec_context.time_base
        frame.pict_type = self._av.video.frame.PictureType.NONE  # else key frames would be where they were
        return self._stream.encode(frame if self._turn is None else self._turn(frame))

    def _begin(self, output: Any, source: Any, frame: Any) -> None:
        """Make the stream that frames such as this one go to."""
        scale = min(1.0, self._size / min(frame.width, frame.height))
        self._width, self._height = (max(round(side * scale / 2), 1) * 2 for side in (frame.width, frame.height))
        orientation = orientation_of(frame)
        upright = (self._height, self._width) if orientation.swap else (self._width, self._height)
        rate = source.average_rate or source.guessed_rate or Fraction(25)
        options = {**OPTIONS, "crf": str(self._crf), "threads": "1"}
        stream = self._stream = output.add_stream(CODEC, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *upright, PIXELS
        context = stream.codec_context
        context.time_base = stream.time_base = source.time_base
        context.color_range = LIMITED_RANGE
        self._matrix = None if frame.colorspace in (UNSPECIFIED, RGB) else int(frame.colorspace)
        if self._matrix is not None:
            context.colorspace = self._matrix
        if orientation != Orientation():
            self._turn = _turning(self._av, orientation, self._width, self._height, source.time_base)

    def _converted(self, frame: Any) -> Any:
        """In the wanted size and format; colours stay in their matrix."""
        colours = {"src_color_range": frame.color_range, "dst_color_range": LIMITED_RANGE}
        if self._matrix is not None:
            colours |= {"src_colorspace": self._matrix, "dst_colorspace": self._matrix}
        return self._reformatter.reformat(frame, self._width, self._height, PIXELS, interpolation="BICUBIC", **colours)


def _turning(av: Any, orientation: Orientation, width: int, height: int, time_base: Fraction) -> Callable[[Any], Any]:
    """What turns and mirrors frames of this size upright."""
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(width=width, height=height, format=PIXELS, time_base=time_base)]
    filters = {"transpose": orientation.swap, "vflip": orientation.flip_rows, "hflip": orientation.flip_columns}
    for name, wanted in {**filters, "buffersink": True}.items():
        if wanted:
            nodes.append(graph.add(name, "dir=cclock_flip" if name == "transpose" else None))
            nodes[-2].link_to(nodes[-1])
    graph.configure()

    def turn(frame: Any) -> Any:
        graph.push(frame)  # not the nodes', which do not keep the graph alive
        return graph.pull()

    return turn
