# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Video files, bytes, file objects and URLs to uint8 RGB frames. The one owner of PyAV, which is imported when used.

Frame `i` is the `i`-th frame in presentation order, whatever the order of the packets. Only the frames from the key
frame before a wanted one are decoded, and only the wanted ones become RGB.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from transformers.video_utils import VideoMetadata

from .video_colours_videomae_v2 import orientation_of, to_rgb, upright
from .video_index_videomae_v2 import FrameIndex, index_from_packets, index_from_sample_table
from .video_sources_videomae_v2 import (
    TIMEOUT,
    VideoDecodingError,
    import_av,
    open_container,
    read_packets,
    resolve_source,
)


# A seek empties the decoder, so it pays only where it saves more than this many frames.
MIN_FRAMES_TO_SKIP = 8
# Below this many pixels a frame decodes faster on one thread than on many.
MIN_AREA_FOR_THREADS = 640 * 360
MAX_THREADS = 8
# A sample table of reordered frames is compared with so many packets more than may be out of order at a time.
PACKETS_TO_COMPARE = 8
MAX_AREA = 8192 * 8192  # a few bytes of a damaged or hostile file can claim more, and take up all memory
DAMAGED = "its data is damaged"  # where FFmpeg does not say more

ReaderType = TypeVar("ReaderType", bound="VideoReader")


class FramesRecounted(VideoDecodingError):
    """The container announces more frames than come out; `num_frames` is right now, so choose the indices again."""


class _NotInOrder(Exception):
    """Timestamps do not tell which frame is which: frames have to be counted from the start."""


class VideoReader:
    """Random access to the frames of one video.

    Use it as a context manager. Truncation, and damage that the decoder notices, are reported when a frame that needs
    the data is asked for, and only then. Damage is reported at the damaged frame: frames shown shortly before it that
    depend on it may already have been returned with errors in them. H.264 that hides how far it reorders is decoded
    ahead, by up to 16 frames, which damage takes along.

    Args:
        source: Path, `file://`, http(s) or fsspec address (`hf://`, `s3://`), bytes, or a binary file object.
        num_threads: Decoding threads. Default: 1 for small frames and inside a `DataLoader` worker, else one for each
            core, at most 8.
        timeout: Seconds without an answer after which a download is given up.

    Attributes:
        name: The source as messages name it.
        num_frames: Frames in the video (those that the container announces, when the file is truncated).
        fps: Frames per second, averaged over the video where the rate varies.
        duration: `num_frames / fps`, in seconds.
        coded_size: Height and width of the frames as they are coded, before any rotation.

    Raises:
        FileNotFoundError: There is no such file.
        VideoDecodingError: The source is empty, not a video, holds no video stream or no frames.
        ImportError: PyAV is not installed.
    """

    def __init__(self, source: Any, *, num_threads: int | None = None, timeout: float = TIMEOUT) -> None:
        self._av = import_av()
        self.name, self._target = resolve_source(source, timeout)
        self._num_threads = num_threads
        self._container: Any = None
        self._wanted: frozenset[int] = frozenset()  # timestamps, as is the next
        self._last_wanted = 0
        self._knows_depth = True  # how far the stream reorders its frames
        try:
            self._open()
            self._build_index(trust_table=True)
            if self._index.keys and self._index.keys[0] > 0:  # frames before it may refer to some that are gone
                with contextlib.suppress(VideoDecodingError):
                    self.get_frames([0])
        except BaseException:
            self.close()
            raise

    def __enter__(self: ReaderType) -> ReaderType:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        if self._container is not None:
            # waits for the decoding threads. PyAV frees a decoder without letting go of the interpreter, for which its
            # threads wait in turn where `av.logging` is on (old torchvision turns it on)
            if self._stream.codec_context.is_open:
                self._stream.codec_context.flush_buffers()
            self._container.close()
            self._container = None

    def _open(self) -> None:
        """Open the container anew, at its start."""
        self.close()
        self._container, self._stream = open_container(self._av, self.name, self._target)
        self._set_threads()
        self._restarted(fresh=True)

    def _set_threads(self) -> None:
        context, count = self._stream.codec_context, self._num_threads
        if count is None:
            small = context.width * context.height < MIN_AREA_FOR_THREADS
            in_worker = torch.utils.data.get_worker_info() is not None
            count = 1 if small or in_worker else min(os.cpu_count() or 1, MAX_THREADS)
        self._stream.thread_type = "AUTO" if count > 1 else "NONE"
        context.thread_count = count

    def _restarted(self, fresh: bool = False) -> None:
        """Forget what was decoded: nothing has come out since the last seek."""
        self._fresh, self._position = fresh, -1
        self._first_packets: list[Any] = []  # those that were read already
        self._damage = ""  # why what comes out from now on cannot be trusted
        self._frames: Iterator[tuple[int, Any]] | None = None

    def _build_index(self, trust_table: bool) -> None:
        """Find the frames, by the sample table if there is one to be trusted, else by the packets."""
        is_mov = self._container.format.name.startswith("mov")
        index = index_from_sample_table(self._stream, self._container.size) if is_mov and trust_table else None
        if index is not None and not self._begins_as(index):
            self._open()
            index = None
        self._has_table = index is not None
        if index is None:
            self._fresh = False
            index = index_from_packets(self._container, self._stream, self._av.error.FFmpegError)
        if not index.timestamps:
            raise VideoDecodingError(self.name, "it holds no video frames", "Record or export it again.")
        if self._stream.codec_context.pix_fmt == "pal8":  # its palette may come with the first packet, and only then
            index = replace(index, keys=[], key_times=[], ordered=False)
        self._index = index
        self._measure()

    def _begins_as(self, index: FrameIndex) -> bool:
        """Whether the first packets are shown when a sample table says, which has the order in which they are decoded.

        Where reordered frames were cut, it can be wrong; without any nothing is read for it.
        """
        reordered = self._stream.codec_context.has_b_frames
        if not reordered:
            return True
        packets = read_packets(self._container, self._stream)
        with contextlib.suppress(self._av.error.FFmpegError):
            for packet in itertools.islice(packets, PACKETS_TO_COMPARE + reordered):
                if packet.size:
                    self._first_packets.append(packet)
        times = [packet.pts for packet in self._first_packets]
        if None in times:
            return False
        known = max(len(times) - 2 * reordered, 1)  # of the others, some may come later
        return sorted(times)[:known] == list(index.timestamps[:known])

    def _distrust_index(self, wanted: list[int]) -> None:
        """Replace an index that the decoded frames contradict: sample table, then packets, then counting."""
        if not self._index.ordered:
            raise self._missing(wanted[-1], "the decoder does not return it")
        before = self.num_frames
        self._open()
        if self._has_table:
            self._build_index(trust_table=False)
        elif self._index.keys and wanted[0] < self._index.keys[0]:
            # a recording that was cut in the middle: these refer to frames that are gone, and are not decoded
            self._index = self._index.without_leading()
            self._measure()
        else:
            count = len(self._index.timestamps)
            self._index = FrameIndex(range(count), declared=count, ordered=False)
            self._measure()
        self._check_count(before)

    def _check_count(self, before: int) -> None:
        if not self.num_frames:
            way_out = "Export or download the video again."
            raise VideoDecodingError(self.name, "none of its frames can be decoded", way_out)
        if self.num_frames != before:
            reason = f"it announces {before} frames and has {self.num_frames}"
            raise FramesRecounted(self.name, reason, "Choose the frames again.")

    def _measure(self) -> None:
        """Set the counts and rates from the index."""
        stream, context = self._stream, self._stream.codec_context
        self.coded_size = (context.height, context.width)
        self.num_frames = self._index.declared
        self.fps = self._index.frame_rate(stream.time_base, stream.average_rate or stream.guessed_rate)
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
            VideoDecodingError: A frame that is needed is damaged or missing, or has more than 8192 x 8192 pixels.
        """
        indices = [int(i) for i in indices]
        if not indices:
            raise ValueError(f"No frames of {self.name} were asked for: `indices` is empty. Pass at least one index.")
        wanted = sorted(set(indices))
        if wanted[0] < 0 or wanted[-1] >= self.num_frames:
            outside = wanted[0] if wanted[0] < 0 else wanted[-1]
            raise IndexError(f"{self.name} has frames 0 to {self.num_frames - 1}; index {outside} is outside.")
        while True:
            try:
                frames = self._decode_wanted(wanted)
                break
            except _NotInOrder:
                if self._knows_depth:  # where it does not say so, all is decoded, and comes out as late as it may
                    self._knows_depth = False
                    self._open()
                else:
                    self._distrust_index(wanted)
        place = {position: i for i, position in enumerate(wanted)}
        return frames if indices == wanted else frames[[place[i] for i in indices]]

    def _decode_wanted(self, wanted: list[int]) -> torch.Tensor:
        """RGB of the frames at the ascending positions `wanted`, `(len(wanted), 3, height, width)`."""
        if wanted[-1] >= len(self._index.timestamps):
            count = len(self._index.timestamps)
            raise self._missing(
                wanted[-1], f"the file is truncated, only {count} frame{' is' if count == 1 else 's are'} in it"
            )
        self._wanted = frozenset(self._index.timestamps[i] for i in wanted)
        self._last_wanted = self._index.timestamps[wanted[-1]]
        reformatter = self._av.video.reformatter.VideoReformatter()
        frames = None
        for i, target in enumerate(wanted):
            frame = self._frame_at(target)
            if frames is None:
                if frame.width * frame.height > MAX_AREA:
                    reason = f"its frames of {frame.width} x {frame.height} pixels are larger than {MAX_AREA} pixels"
                    raise VideoDecodingError(self.name, reason, "Scale it down.")
                frames = np.empty((len(wanted), frame.height, frame.width, 3), dtype=np.uint8)
                orientation = orientation_of(frame, self._stream.codec_context.name)
            try:
                frames[i] = to_rgb(reformatter, frame, frames.shape[2], frames.shape[1]).to_ndarray()
            except (self._av.error.FFmpegError, ValueError) as error:
                raise self._missing(target, f"its pixels cannot become RGB ({error})") from error
        return torch.from_numpy(upright(frames, orientation)).permute(0, 3, 1, 2)

    def _frame_at(self, target: int) -> Any:
        """Decoded frame at one position, reached from the current place or from a key frame before it."""
        self._aim = target
        starts = self._starting_points(target)
        if self._must_restart(target):
            self._restart(target, starts)
        while (frame := self._decode_until(target)) is None:
            damage = self._damage
            if not self._restart(target, starts):
                if damage:
                    raise self._missing(target, damage)
                raise _NotInOrder
        return frame

    def _missing(self, target: int, reason: str) -> VideoDecodingError:
        reason = f"frame {target} of {self.num_frames} cannot be read: {reason}"
        return VideoDecodingError(self.name, reason, "Export or download the video again, or leave it out.")

    def _must_restart(self, target: int) -> bool:
        if self._frames is None or self._position >= target:
            return True
        keys = self._index.keys
        return bool(keys) and keys[self._index.key_before(target)] - self._position > MIN_FRAMES_TO_SKIP

    def _starting_points(self, target: int) -> Iterator[int | None]:
        """Times to seek to for `target`, the best first and then earlier ones; None is the start of the file."""
        index = self._index
        key = index.key_before(target)
        if key:
            yield index.timestamps[target]
        for earlier in sorted({key, max(key - 1, 0), max(key - 4, 0)}, reverse=True):
            yield index.key_times[earlier] if earlier else None

    def _restart(self, target: int, starts: Iterator[int | None]) -> bool:
        """Go to the next of the starting points that lies at or before `target`; False if there is none."""
        for time in starts:
            if time is not None:
                try:
                    self._container.seek(time, stream=self._stream)
                except self._av.error.FFmpegError:
                    continue
                self._restarted()
            elif not self._fresh:
                self._open()
            self._fresh = False
            packets = self._packets()
            first = next(packets, None)
            late = self._index.ordered and first is not None and (first.pts or 0) > self._index.timestamps[target]
            if first is not None and (time is None or not late):
                self._set_depth()
                self._frames = self._decode(itertools.chain((first,), packets))
                return True
        return False

    def _set_depth(self) -> None:
        """Have the frames of H.264 that may hide how far it reorders them come out as late as its level allows.

        FFmpeg guesses otherwise, by what it has seen, and drops frames when it learns better. Where they are counted,
        nothing tells of it.
        """
        context = self._stream.codec_context
        if context.name == "h264" and not context.is_open and not (self._knows_depth and self._index.ordered):
            context.options = {"strict": "strict"}

    def _packets(self) -> Iterator[Any]:
        """Packets of the stream from the first key frame on, ended by the empty one that drains the decoder."""
        started = not self._index.keys
        first, self._first_packets = self._first_packets, []
        try:
            for packet in itertools.chain(first, read_packets(self._container, self._stream)):
                started = started or packet.is_keyframe
                if started:
                    yield packet
        except self._av.error.FFmpegError as error:
            self._damage = error.strerror or DAMAGED

    def _decode(self, packets: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        """Frames that come out, with their positions."""
        index = self._index
        independent = index.ordered and getattr(self._stream.codec_context.codec, "intra_only", False)
        for packet in packets:
            if independent and packet.size and packet.pts < index.timestamps[self._aim]:
                continue  # no other frame needs it
            if self._has_table and packet.size and index.position(packet.pts) is None:
                raise _NotInOrder
            self._skip_if_unneeded(packet)
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError as error:
                self._damage = error.strerror or DAMAGED
                continue
            for frame in frames:
                position = index.position(frame.pts) if index.ordered else self._position + 1
                if position is None or position <= self._position:
                    raise _NotInOrder
                if frame.is_corrupt:
                    self._damage = DAMAGED
                self._position = position
                yield position, frame

    def _skip_if_unneeded(self, packet: Any) -> None:
        """Have the decoder drop the next packet if its frame is not wanted and, being no reference, not needed either.

        Only H.264 says so of every picture. Frames after the last wanted one are kept: they may be asked for next.
        """
        context = self._stream.codec_context
        if context.name != "h264":
            return
        skip = self._knows_depth and self._index.ordered and packet.size and packet.pts is not None
        skip = skip and packet.pts < self._last_wanted and packet.pts not in self._wanted
        context.skip_frame = "NONREF" if skip else "DEFAULT"

    def _decode_until(self, target: int) -> Any | None:
        """Next frame out of the decoder at `target`; None if it is passed over, or damage lies on the way."""
        for position, frame in self._frames or ():
            if position >= target or self._damage:
                return frame if position == target and not self._damage else None
        if not self._index.ordered and self._frames and not self._damage:  # this is where such a stream ends
            before, count = self.num_frames, self._position + 1
            self._index = FrameIndex(range(count), declared=count, ordered=False)
            self._measure()
            self._check_count(before)
        return None


def read_video(
    source: Any,
    choose_indices: Callable[[VideoMetadata], Sequence[int]] | None = None,
    *,
    num_threads: int | None = None,
    timeout: float = TIMEOUT,
) -> tuple[torch.Tensor, VideoMetadata]:
    """Decode the frames of a video that `choose_indices` picks when it is told how many there are.

    Args:
        source: Path, `file://`, http(s) or fsspec address (`hf://`, `s3://`), bytes, or a binary file object.
        choose_indices: Gets the metadata (`total_num_frames`, `fps`, `duration`, coded `height` and `width`), returns
            frame positions. Default: all frames.
        num_threads: Decoding threads, see `VideoReader`.
        timeout: Seconds without an answer after which a download is given up.

    Returns:
        uint8 RGB tensor `(len(indices), 3, height, width)`, and the metadata with `frames_indices` filled in.

    Raises:
        FileNotFoundError, VideoDecodingError, ImportError: As `VideoReader` and `VideoReader.get_frames`.
    """
    with VideoReader(source, num_threads=num_threads, timeout=timeout) as reader:
        for tries_left in (3, 2, 1, 0):
            height, width = reader.coded_size
            metadata = VideoMetadata(
                total_num_frames=reader.num_frames, fps=reader.fps, duration=reader.duration, video_backend="pyav",
                height=height, width=width,
            )  # fmt: skip
            indices = range(reader.num_frames) if choose_indices is None else choose_indices(metadata)
            try:
                frames = reader.get_frames(indices)
                break
            except FramesRecounted:
                if not tries_left:
                    raise
    metadata.frames_indices = [int(i) for i in indices]
    metadata.height, metadata.width = frames.shape[-2:]
    return frames, metadata


__all__ = ["FramesRecounted", "VideoDecodingError", "VideoReader", "read_video"]
