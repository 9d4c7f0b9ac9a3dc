# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the frames of a video stream are, found without decoding any."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any


# Containers without a frame count whose header tells how long the file was when it was whole.
DURATION_IN_HEADER = frozenset({"matroska,webm", "flv"})


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
    times = [entry[0] for entry in entries]
    steps = {after - before for before, after in itertools.pairwise(times)}
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


def index_from_packets(container: Any, stream: Any, failure: type[Exception]) -> FrameIndex:
    """Index from the times of all packets, read but not decoded; any container.

    Args:
        container: Open PyAV container, at its start; it is read to the end.
        stream: The video stream in it.
        failure: What PyAV raises where the data is damaged or cut off; what was read before counts.
    """
    packets: list[tuple[int, int, bool, bool]] = []
    ordered, end, announced = True, 0.0, _announced_frames(container, stream)
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index != stream.index or not packet.size:
                continue
            pts, dts = packet.pts, packet.dts
            # avi has no presentation times; where packets are reordered, those that FFmpeg makes up are wrong
            ordered &= pts is not None and not (container.format.name == "avi" and pts != dts)
            packets.append((pts or 0, pts or 0 if dts is None else dts, packet.is_keyframe, packet.is_discard))
    except failure:
        pass
    first_key = next((i for i, packet in enumerate(packets) if packet[2]), 0)
    packets = packets[first_key:]  # nothing before the first key frame can be decoded
    timestamps = sorted(packet[0] for packet in packets if not packet[3])  # an edit list hides the others
    count = len(timestamps)
    ordered &= len(set(timestamps)) == count
    keys = sorted((bisect_left(timestamps, pts), dts) for pts, dts, is_key, _ in packets if is_key) if ordered else []
    if ordered and count > 1 and container.format.name in DURATION_IN_HEADER and container.duration:
        rate = (count - 1) / float((timestamps[-1] - timestamps[0]) * stream.time_base)
        announced = count + round((container.duration / 1_000_000 - end) * rate)
    truncated = announced - count > max(5, 0.1 * announced)  # headers are seldom exact
    declared = announced if truncated else count
    return FrameIndex(timestamps, [key[0] for key in keys], [key[1] for key in keys], declared, ordered)


def _announced_frames(container: Any, stream: Any) -> int:
    """Frames that the header of the container announces, 0 where it does not."""
    if container.format.name == "avi":
        return stream.frames
    if container.format.name.startswith("mov") and stream.frames:  # without those that an edit list hides
        entries = getattr(stream, "index_entries", None)  # not in PyAV before 17
        return stream.frames if entries is None else sum(not entry.is_discard for entry in entries)
    return 0
