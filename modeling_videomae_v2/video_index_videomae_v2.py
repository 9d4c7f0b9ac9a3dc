# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the frames of a video stream are, found without decoding any."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .video_sources_videomae_v2 import read_packets


# Containers without a frame count whose header tells how long the file was when it was whole.
DURATION_IN_HEADER = frozenset({"matroska,webm", "flv"})
NO_TIMESTAMPS = 0x80  # FFmpeg's flag of bare streams
# More frames than a video has: writers that cannot go back to the header announce so many, and damaged headers do.
UNBELIEVABLE = 10_000_000
# Containers that may give reordered pictures the times at which they are decoded, as if they were shown then.
DECODING_TIMES = frozenset({"asf", "mxf"})


@dataclass
class FrameIndex:
    """Where the frames of a stream are, found without decoding.

    Attributes:
        timestamps: Presentation time of every frame that is in the file, ascending, in units of the stream time base.
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

    def without_leading(self) -> "FrameIndex":
        """The index without the frames shown before the first key frame."""
        count = self.keys[0]
        keys = [key - count for key in self.keys]
        return FrameIndex(self.timestamps[count:], keys, self.key_times, self.declared - count, self.ordered)

    def frame_rate(self, time_base: Fraction, announced: Fraction | None) -> float:
        """Frames per second: `announced` where the timestamps agree with it, else what they give; 25 if unknown."""
        rate, times = announced, self.timestamps
        if self.ordered and len(times) > 1:
            measured = (len(times) - 1) / ((times[-1] - times[0]) * time_base)
            rate = announced if announced and abs(announced / measured - 1) < 0.05 else measured
        return float(rate or 25)


def index_from_sample_table(stream: Any, file_size: int) -> FrameIndex | None:
    """Index from the sample table of an mp4 or mov file, without reading the packets: one look-up for an hour.

    Only where the table alone gives presentation times: constant frame rate, or no reordering. None otherwise.
    """
    table = getattr(stream, "index_entries", ())
    entries = [(e.timestamp, e.is_keyframe, e.is_discard, e.pos + e.size) for e in table]
    start = stream.start_time
    if start is None or not entries or len(entries) != stream.frames or any(entry[2] for entry in entries):
        return None
    if not entries[0][1]:  # cut: which frames come before the first key frame only the packets tell
        return None
    times = [entry[0] for entry in entries]
    steps = {after - before for before, after in itertools.pairwise(times)}
    shift = start - times[0]
    step = min(steps, default=1)
    if len(steps) == 1 and step > 0 and shift >= 0 and shift % step == 0:
        timestamps: Sequence[int] = range(start, start + step * len(times), step)
    elif shift == 0 and not stream.codec_context.has_b_frames and step > 0:
        timestamps = times
    else:
        return None
    present = next((i for i, entry in enumerate(entries) if entry[3] > file_size > 0), len(entries))
    keys = [i for i, entry in enumerate(entries[:present]) if entry[1]]
    return FrameIndex(timestamps[:present], keys, [times[i] for i in keys], declared=len(entries))


def index_from_packets(container: Any, stream: Any, failure: type[Exception]) -> FrameIndex:
    """Index from the times of all packets, read but not decoded; any container.

    Args:
        container: Open PyAV container, at its start; it is read to the end.
        stream: The video stream in it.
        failure: What PyAV raises where the data is damaged or cut off; what was read before counts.
    """
    packets: list[tuple[int, int, bool, bool]] = []
    ordered, end, before = True, 0.0, None
    try:
        for packet in read_packets(container):
            if packet.pts is not None and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index != stream.index or not packet.size:
                continue
            pts, dts = packet.pts, packet.dts
            # avi has no presentation times; where packets are reordered, those that FFmpeg makes up are wrong
            ordered &= pts is not None and not (container.format.name == "avi" and pts != dts)
            if dts is not None and not packet.is_discard:
                ordered &= before is None or dts >= before  # else two recordings in one file, each with its own clock
                before = dts
            packets.append((pts or 0, pts or 0 if dts is None else dts, packet.is_keyframe, packet.is_discard))
    except failure:
        pass
    first_key = next((i for i, packet in enumerate(packets) if packet[2]), 0)
    missing = _missing_frames(container, stream, packets, end)
    packets = packets[first_key:]  # nothing before the first key frame can be decoded
    timestamps = sorted(packet[0] for packet in packets if not packet[3])  # an edit list hides the others
    count = len(timestamps)
    ordered &= len(set(timestamps)) == count
    if container.format.name in DECODING_TIMES and stream.codec_context.has_b_frames:
        ordered &= any(after[0] < earlier[0] for earlier, after in itertools.pairwise(packets))
    keys = sorted((bisect_left(timestamps, pts), dts) for pts, dts, is_key, _ in packets if is_key) if ordered else []
    if _has_pieces(container.format):
        keys = keys[:1]
    truncated = max(5, 0.1 * (count + missing)) < missing < UNBELIEVABLE  # headers are seldom exact
    declared = count + missing if truncated else count
    return FrameIndex(timestamps, [key[0] for key in keys], [key[1] for key in keys], declared, ordered)


def _has_pieces(container_format: Any) -> bool:
    """Whether packets hold pieces of pictures, so that what FFmpeg puts together after a seek is wrong.

    So it is in program streams, and in bare streams of pictures, which have no container.
    """
    name = container_format.name
    return name == "mpeg" or name.endswith("_pipe") or bool(container_format.flags & NO_TIMESTAMPS)


def _missing_frames(container: Any, stream: Any, packets: list[tuple[int, int, bool, bool]], end: float) -> int:
    """Frames that the header of the container announces and that are not in the file, 0 where it does not tell.

    Args:
        container: The container, read to its end.
        stream: The video stream.
        packets: Presentation time, decoding time, key frame or not, hidden or not of each packet of the stream.
        end: Seconds at which the last packet of all streams ends.
    """
    if not packets:
        return 0
    name = container.format.name
    if name == "avi":  # counts the times at which the picture stays as it is, too, for which there is no packet
        present = packets[-1][1] + 1
        return round((stream.frames - present) * len(packets) / present) if present > 0 else 0
    if name.startswith("mov") and stream.frames:
        entries = getattr(stream, "index_entries", None)
        if entries is not None:
            return sum(not entry.is_discard for entry in entries) - sum(not packet[3] for packet in packets)
        # PyAV before 17 does not tell which frames an edit list hides; by time nothing is missing because of one
        by_time, by_number = _missing_by_time(container, stream, packets, end), stream.frames - len(packets)
        return by_number if by_time is None else min(by_time, by_number)
    if name in DURATION_IN_HEADER:
        return _missing_by_time(container, stream, packets, end) or 0
    return 0


def _missing_by_time(container: Any, stream: Any, packets: list[tuple[int, int, bool, bool]], end: float) -> int | None:
    """Frames that the time after the last packet has room for, None where their rate is not known."""
    first, last = min(packet[0] for packet in packets), max(packet[0] for packet in packets)
    if not container.duration or first == last:
        return None
    rate = (len(packets) - 1) / float((last - first) * stream.time_base)
    return round((container.duration / 1_000_000 - end) * rate)
