# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures that come out of the decoder as upright RGB.

Rotation and mirroring in the metadata are applied (of PNG rotation alone), an alpha channel is dropped, the colour
matrix and range named in the stream are respected (BT.601, limited range where it names none, as FFmpeg does), HDR is
not tone-mapped and pixels are taken as square.
"""

import struct
from typing import Any, NamedTuple

import numpy as np


BT709, BT601 = 1, 5  # FFmpeg's numbers of these colour matrices
# Their colour profiles have names, which PyAV frees once with what it gives as `side_data`, and again with the frame.
CODECS_OF_NAMED_PROFILES = ("png", "apng")


class Orientation(NamedTuple):
    """How to show a picture upright: swap the axes, then flip rows, then flip columns."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


# By the degrees that a picture is to be turned counterclockwise.
TURNED = {
    90: Orientation(True, True, False), -90: Orientation(True, False, True),
    180: Orientation(False, True, True), -180: Orientation(False, True, True),
}  # fmt: skip


def orientation_of(frame: Any, codec: str) -> Orientation:
    """Orientation by the display matrix of a PyAV frame.

    Args:
        frame: The frame.
        codec: FFmpeg's name of what it was encoded with.
    """
    if codec in CODECS_OF_NAMED_PROFILES:
        return TURNED.get(frame.rotation, Orientation())
    try:
        data = bytes(frame.side_data["DISPLAYMATRIX"])
    except (AttributeError, KeyError, TypeError):
        return Orientation()
    except ValueError:  # PyAV has no name for other data beside it, such as Exif of newer FFmpeg
        return TURNED.get(frame.rotation, Orientation())
    a, b, _, c, d = struct.unpack("=9i", data[:36])[:5]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, b < 0, c < 0)
    return Orientation(False, d < 0, a < 0)


def to_rgb(reformatter: Any, frame: Any, width: int, height: int) -> Any:
    """RGB frame by one shared reformatter; starting threads for each frame would cost more than the conversion."""
    # an older PyAV takes everything for BT.601 unless both sides are given; that of RGB has no effect
    bt709 = {"src_colorspace": BT709, "dst_colorspace": BT601, "src_color_range": frame.color_range}
    options = bt709 if frame.colorspace == BT709 else {}
    return convert(reformatter, frame, width, height, "rgb24", **options)


def convert(reformatter: Any, frame: Any, width: int, height: int, pixels: str, **options: Any) -> Any:
    """Frame of another size and format, in one thread."""
    try:
        return reformatter.reformat(frame, width, height, pixels, **options, threads=1)
    except TypeError:  # an older PyAV, without `threads`
        return reformatter.reformat(frame, width, height, pixels, **options)


def upright(frames: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Frames `(n, rows, columns, 3)` turned and mirrored, contiguous."""
    frames = frames.swapaxes(1, 2) if orientation.swap else frames
    frames = frames[:, :: -1 if orientation.flip_rows else 1, :: -1 if orientation.flip_columns else 1]
    return np.ascontiguousarray(frames)


__all__ = ["Orientation", "convert", "orientation_of", "to_rgb", "upright"]
