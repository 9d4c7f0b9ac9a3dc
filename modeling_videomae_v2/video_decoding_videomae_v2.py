"""Video files, bytes, file objects and URLs to uint8 RGB frames. The one owner of PyAV, which is imported when used.

Frame `i` is the `i`-th frame in presentation order, whatever the order of the packets. Only the frames from the key
frame before a wanted one are decoded, and only the wanted ones become RGB. Rotation and mirroring in the metadata are
applied, an alpha channel is dropped, the colour matrix and range named in the stream are respected (BT.601, limited
range where it names none, as FFmpeg does), HDR is not tone-mapped and pixels are taken as square.
"""

import io
import os
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.video_utils import VideoMetadata

# Demuxers that read other files or turn plain text into pictures: never what a "video file" may be.
REFUSED_FORMATS = frozenset({"tty", "hls", "dash", "concat", "imf", "sdp", "rtsp", "ffmetadata"})
# Containers without a frame count whose header tells how long the file was when it was whole.
DURATION_IN_HEADER = frozenset({"matroska,webm", "flv"})
# A seek empties the decoder, so it pays only where it saves more than this many frames.
MIN_FRAMES_TO_SKIP = 8
# Below this many pixels a frame decodes faster on one thread than on many.
MIN_AREA_FOR_THREADS = 640 * 360
MAX_THREADS = 8
MAX_DOWNLOAD_BYTES = 4 * 1024**3


class VideoDecodingError(ValueError):
    """A video that cannot be read; the message names the source, the reason and the way out."""

    def __init__(self, name: str, reason: str, way_out: str) -> None:
        super().__init__(f"Cannot decode {name}: {reason}. {way_out}")


class FramesRecounted(VideoDecodingError):
    """The container announces more frames than come out; `num_frames` is right now, so choose the indices again."""


class _NotInOrder(Exception):
    """Timestamps do not tell which frame is which: frames have to be counted from the start."""


@dataclass
class FrameIndex:
    """Where the frames of a stream are, found without decoding.

    Attributes:
        timestamps: Presentation time of every frame that is in the file, ascending, in units of the stream's time base.
        keys: Presentation position of every key frame, ascending (from a sample table: at most a few too low).
        key_times: Decoding time of the same key frames.
        declared: Frames that the container announces; more than `len(timestamps)` when the file is truncated.
        ordered: False where the timestamps cannot be trusted, so that frames are counted from the start.
    """

    timestamps: Sequence[int]
    keys: list[int] = field(default_factory=list)
    key_times: list[int] = field(default_factory=list)
    declared: int = 0
    ordered: bool = True

    def position(self, timestamp: int | None) -> int | None:
        """Position of the frame shown at `timestamp`, None if no frame is."""
        if timestamp is None:
            return None
        position = bisect_left(self.timestamps, timestamp)
        found = position < len(self.timestamps) and self.timestamps[position] == timestamp
        return position if found else None

    def key_before(self, position: int) -> int:
        """Place in `keys` of the last key frame at or before `position` (0 where none is)."""
        return max(bisect_right(self.keys, position) - 1, 0)


def is_video_source(value: Any) -> bool:
    """Whether `value` is something to decode (path, URL, bytes, binary file object) rather than frames."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(value, "read")


def import_av() -> Any:
    """PyAV, or an `ImportError` that says how to get it."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "Decoding video files needs the package `av`, which is not installed. Run `pip install av`, or pass frames "
            "(an array, a tensor or a list of PIL images) instead of a file."
        ) from error
    return av


def download(url: str, timeout: float = 30.0, max_bytes: int = MAX_DOWNLOAD_BYTES) -> bytes:
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
    chunks, received = [], 0
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            announced = answer.headers.get("Content-Length")
            while chunk := answer.read(1024 * 1024):
                chunks.append(chunk)
                received += len(chunk)
                if received > max_bytes:
                    raise VideoDecodingError(url, f"it is larger than {max_bytes} bytes", "Download it to a file first.")
                if time.monotonic() > deadline:
                    raise VideoDecodingError(url, f"{20 * timeout:.0f} s were not enough", "Download it to a file first.")
    except urllib.error.HTTPError as error:
        raise VideoDecodingError(url, f"the server answered {error.code} {error.reason}", "Check the address.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, VideoDecodingError):
            raise
        reason = getattr(error, "reason", error)
        raise VideoDecodingError(url, f"the download failed ({reason})", "Check the address and the network.") from error
    if announced is not None and announced.isdigit() and received < int(announced):
        reason = f"the connection closed after {received} of {announced} bytes"
        raise VideoDecodingError(url, reason, "Try again, or download it to a file first.")
    return b"".join(chunks)


def _resolve_source(source: Any, timeout: float) -> tuple[str, str | bytes | Any]:
    """Name for messages, and what to open: an absolute path, bytes, or a seekable binary file object."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"<{len(source)} bytes>", bytes(source)
    if hasattr(source, "read"):
        name = str(getattr(source, "name", None) or f"<{type(source).__name__}>")
        seekable = getattr(source, "seekable", lambda: False)()
        content = source if seekable else source.read()
        if isinstance(content, str) or isinstance(content, io.TextIOBase):
            raise VideoDecodingError(name, "it is open in text mode", 'Open it with mode "rb".')
        return name, content
    name = os.fsdecode(source)
    scheme = name.partition("://")[0].lower() if "://" in name else ""
    if scheme in ("http", "https"):
        return name, download(name, timeout)
    path = urllib.request.url2pathname(urllib.parse.urlparse(name).path) if scheme == "file" else name
    if not os.path.exists(path):
        if scheme not in ("", "file"):
            raise VideoDecodingError(name, f"`{scheme}` addresses are not supported", "Use http, https or a local path.")
        raise FileNotFoundError(f"Cannot decode {name}: the file does not exist. Check the path.")
    if not os.path.isfile(path):
        raise VideoDecodingError(name, "it is not a file", "Pass the path of one video file.")
    return name, os.path.abspath(path)


def _head(target: Any, count: int = 12) -> bytes:
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


def _is_cover(stream: Any) -> bool:
    """Whether a video stream is only the cover picture of a sound file."""
    return "attached_pic" in str(getattr(stream, "disposition", "")).lower()


def index_from_sample_table(stream: Any, file_size: int) -> FrameIndex | None:
    """Index from the sample table of an mp4 or mov file, without reading the packets: one look-up for an hour.

    Only where the table alone gives presentation times: constant frame rate, or no reordering. None otherwise.
    """
    entries = [(e.timestamp, e.is_keyframe, e.is_discard, e.pos + e.size) for e in getattr(stream, "index_entries", ())]
    start = stream.start_time
    if start is None or not entries or len(entries) != stream.frames or any(entry[2] for entry in entries):
        return None
    times = [entry[0] for entry in entries]
    steps = {after - before for before, after in zip(times, times[1:], strict=False)}
    shift = start - times[0]
    if len(steps) == 1 and (step := steps.pop()) > 0 and shift >= 0 and shift % step == 0:
        timestamps: Sequence[int] = range(start, start + step * len(times), step)
    elif shift == 0 and not stream.codec_context.has_b_frames and (not steps or min(steps) > 0):
        timestamps = times
    else:
        return None
    present = next((i for i, entry in enumerate(entries) if entry[3] > file_size > 0), len(entries))
    keys = [i for i, entry in enumerate(entries[:present]) if entry[1]]
    return FrameIndex(timestamps[:present], keys, [times[i] for i in keys], declared=len(entries))


def index_from_packets(container: Any, stream: Any) -> FrameIndex:
    """Index from the times of all packets, read but not decoded; any container."""
    packets: list[tuple[int, int, bool]] = []
    ordered, end = True, 0.0
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index != stream.index or not packet.size or packet.is_discard:
                continue
            pts, dts = packet.pts, packet.dts
            # avi has no presentation times; where packets are reordered, those that FFmpeg makes up are wrong
            ordered &= pts is not None and not (container.format.name == "avi" and pts != dts)
            packets.append((pts or 0, pts or 0 if dts is None else dts, packet.is_keyframe))
    except import_av().error.FFmpegError:
        pass  # damaged or cut off here: what was read so far is what there is
    first_key = next((i for i, packet in enumerate(packets) if packet[2]), 0)
    packets = packets[first_key:]  # nothing before the first key frame can be decoded
    timestamps = sorted(packet[0] for packet in packets)
    ordered &= len(set(timestamps)) == len(timestamps)
    keys = sorted((bisect_left(timestamps, pts), dts) for pts, dts, is_key in packets if is_key) if ordered else []
    index = FrameIndex(timestamps, [key[0] for key in keys], [key[1] for key in keys], ordered=ordered)
    index.declared = max(len(timestamps), stream.frames if stream.frames < 2**31 else 0)
    if ordered and len(timestamps) > 1 and container.format.name in DURATION_IN_HEADER and container.duration:
        rate = (len(timestamps) - 1) / float((timestamps[-1] - timestamps[0]) * stream.time_base)
        missing = container.duration / 1_000_000 - end
        if missing > max(0.1 * container.duration / 1_000_000, 5 / rate):
            index.declared = len(timestamps) + round(missing * rate)
    return index


def _orientation(frame: Any) -> tuple[bool, bool, bool]:
    """How to show a frame upright by its display matrix: swap the axes, then flip rows, then flip columns."""
    try:
        data = bytes(frame.side_data["DISPLAYMATRIX"])
    except (AttributeError, KeyError, TypeError):
        return False, False, False
    a, b, _, c, d = struct.unpack("=9i", data[:36])[:5]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


class VideoReader:
    """Random access to the frames of one video.

    Use it as a context manager. Damage or truncation is reported when a frame that needs the missing data is asked
    for, and only then.

    Args:
        source: Path, `file://` or http(s) URL, bytes, or a binary file object.
        num_threads: Decoding threads. Default: 1 for small frames and inside a `DataLoader` worker, else one for each
            core, at most 8.
        timeout: Seconds without an answer after which a download is given up.

    Attributes:
        name: The source as messages name it.
        num_frames: Frames in the video (those that the container announces, when the file is truncated).
        fps: Frames per second, averaged over the video where the rate varies.
        duration: `num_frames / fps`, in seconds.

    Raises:
        FileNotFoundError: There is no such file.
        VideoDecodingError: The source is empty, not a video, holds no video stream or no frames.
        ImportError: PyAV is not installed.
    """

    def __init__(self, source: Any, *, num_threads: int | None = None, timeout: float = 30.0) -> None:
        self._av = import_av()
        self.name, self._target = _resolve_source(source, timeout)
        self._num_threads = num_threads
        self._container: Any = None
        try:
            self._open()
            file_size = self._container.size or 0
            is_mov = self._container.format.name.startswith("mov")
            self._index = (index_from_sample_table(self._stream, file_size) if is_mov else None) or self._read_packets()
            if not self._index.timestamps:
                raise self._error("it holds no video frames", "Record or export it again.")
            self._probe_rate()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _error(self, reason: str, way_out: str) -> VideoDecodingError:
        return VideoDecodingError(self.name, reason, way_out)

    def _open(self) -> None:
        """Open the container anew, at its start."""
        self.close()
        head = _head(self._target)
        if not head:
            raise self._error("the file is empty", "Download or export it again.")
        target = io.BytesIO(self._target) if isinstance(self._target, bytes) else self._target
        try:
            self._container = self._av.open(target, metadata_errors="ignore")
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if head[4:8] == b"ftyp":
                reason = "it is an mp4 or mov file without a readable index (moov): truncated, or not yet finished"
            elif isinstance(error, self._av.error.InvalidDataError):
                reason = "it is not a video file, or is damaged at its start"
            raise self._error(reason, "Check that it plays, and export it again if it does not.") from error
        if self._container.format.name in REFUSED_FORMATS:
            raise self._error(f"it is not a video file (but {self._container.format.name})", "Pass a video file.")
        streams = [stream for stream in self._container.streams.video if not _is_cover(stream)]
        if not streams:
            kinds = sorted({stream.type for stream in self._container.streams}) or ["nothing"]
            raise self._error(f"it has no video stream (it holds {', '.join(kinds)})", "Pass a file with pictures.")
        self._stream = streams[0]
        if self._stream.codec_context is None:
            raise self._error("this build of FFmpeg has no decoder for it", "Convert it, for example to H.264.")
        self._set_threads()
        self._restarted(fresh=True)

    def _set_threads(self) -> None:
        context, count = self._stream.codec_context, self._num_threads
        if count is None:
            small = context.width * context.height < MIN_AREA_FOR_THREADS
            one = small or torch.utils.data.get_worker_info() is not None
            count = 1 if one else min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, MAX_THREADS)
        self._stream.thread_type = "AUTO" if count > 1 else "NONE"
        context.thread_count = count

    def _restarted(self, fresh: bool = False) -> None:
        """Forget what was decoded: nothing has come out since the last seek."""
        self._fresh, self._position, self._damage, self._ended = fresh, -1, "", False
        self._frames: Iterator[tuple[int, Any]] = iter(())

    def _read_packets(self) -> FrameIndex:
        self._fresh = False
        return index_from_packets(self._container, self._stream)

    def _probe_rate(self) -> None:
        """Set the counts and rates from the index."""
        stream, times = self._stream, self._index.timestamps
        self.num_frames = self._index.declared
        rate = stream.average_rate or stream.guessed_rate
        if self._index.ordered and len(times) > 1:
            measured = (len(times) - 1) / ((times[-1] - times[0]) * stream.time_base)
            rate = rate if rate and abs(rate / measured - 1) < 0.01 else measured
        self.fps = float(rate or 25)
        self.duration = self.num_frames / self.fps

    def get_frames(self, indices: Sequence[int]) -> torch.Tensor:
        """Decode some frames.

        Args:
            indices: Positions in presentation order, 0 to `num_frames - 1`, in any order, repeats allowed.

        Returns:
            uint8 RGB tensor `(len(indices), 3, height, width)`, upright. Frames of another size than the first wanted
            one are scaled to it.

        Raises:
            IndexError: An index is outside of the video.
            FramesRecounted: The container announced too many frames.
            VideoDecodingError: A frame that is needed is damaged or missing.
        """
        indices = [int(i) for i in indices]
        if not indices:
            raise ValueError(f"No frames of {self.name} were asked for: `indices` is empty. Pass at least one index.")
        outside = [i for i in indices if not 0 <= i < self.num_frames]
        if outside:
            raise IndexError(f"{self.name} has frames 0 to {self.num_frames - 1}; index {outside[0]} is outside.")
        wanted = sorted(set(indices))
        try:
            frames = self._decode_wanted(wanted)
        except _NotInOrder:
            self._count_frames()
            frames = self._decode_wanted(wanted)
        place = {position: i for i, position in enumerate(wanted)}
        return frames if indices == wanted else frames[[place[i] for i in indices]]

    def _decode_wanted(self, wanted: list[int]) -> torch.Tensor:
        """RGB of the frames at the ascending positions `wanted`, `(len(wanted), 3, height, width)`."""
        if wanted[-1] >= len(self._index.timestamps):
            raise self._missing(wanted[-1], "it lies beyond the end of the data")
        reformatter = self._av.video.reformatter.VideoReformatter()
        options: dict[str, int] = {}
        frames = None
        for i, target in enumerate(wanted):
            frame = self._frame_at(target)
            if frames is None:
                frames = torch.empty((len(wanted), frame.height, frame.width, 3), dtype=torch.uint8)
                orientation = _orientation(frame)
            rgb = reformatter.reformat(frame, frames.shape[2], frames.shape[1], "rgb24", **options)
            frames[i] = torch.from_numpy(rgb.to_ndarray())
        swap, flip_rows, flip_columns = orientation
        frames = frames.transpose(1, 2) if swap else frames
        flips = [axis for axis, flip in ((1, flip_rows), (2, flip_columns)) if flip]
        return (frames.flip(flips) if flips else frames).permute(0, 3, 1, 2)
