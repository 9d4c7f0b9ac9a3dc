# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Small videos whose every frame shows its own number, so that a decoded frame tells which one it is."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


av = pytest.importorskip("av")  # skips the tests that need these videos


ROWS, COLUMNS = 2, 5  # blocks of a frame, one bit each


def numbered_frame(number: int, width: int = 80, height: int = 48) -> np.ndarray:
    """RGB picture `(height, width, 3)` with the bits of `number` as black and white blocks."""
    bits = np.array([number >> i & 1 for i in range(ROWS * COLUMNS)], dtype=np.uint8).reshape(ROWS, COLUMNS)
    rows, columns = np.arange(height) * ROWS // height, np.arange(width) * COLUMNS // width
    return np.repeat((16 + 220 * bits[rows][:, columns])[..., None], 3, axis=2).astype(np.uint8)


def numbered_video(num_frames: int, width: int = 80, height: int = 48) -> np.ndarray:
    """`(num_frames, height, width, 3)`, uint8."""
    return np.array([numbered_frame(i, width, height) for i in range(num_frames)], dtype=np.uint8)


def read_numbers(frames: torch.Tensor) -> list[int]:
    """Numbers that RGB frames `(n, 3, height, width)` show."""
    height, width = frames.shape[-2:]
    rows = ((np.arange(ROWS) + 0.5) * height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    bits = frames.float().mean(1)[:, rows][:, :, columns].flatten(1) > 128
    return [int(sum(1 << i for i, bit in enumerate(row) if bit)) for row in bits.tolist()]


def encode(
    target: Path | str | io.BytesIO,
    codec: str = "libx264",
    num_frames: int = 30,
    *,
    width: int = 80,
    height: int = 48,
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    times: list[int] | None = None,
    display: tuple[float, bool, bool] | None = None,
    frames: np.ndarray | None = None,
    colour: tuple[int, int] | None = None,
    sound: bool = False,
    reordered_from: int = 0,
) -> Path | str | io.BytesIO:
    """Encode a numbered video.

    Args:
        target: File, or buffer together with `container_format`.
        times: Time of each frame in milliseconds; default: constant `rate`.
        display: Rotation (degrees, counter-clockwise) and flips (horizontal, vertical) to write as metadata.
        frames: Pictures `(n, height, width, channels)` in place of the numbered ones; RGBA for `pix_fmt` with alpha.
        colour: Colour matrix and range (FFmpeg's numbers) to write as metadata.
        sound: Whether a second of silence goes with it.
        reordered_from: Frames at the start among which there are no B-frames.

    Returns:
        `target`.
    """
    with av.open(target, "w", format=container_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={"g": "10", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.thread_type = "NONE"
        if colour:
            stream.codec_context.colorspace, stream.codec_context.color_range = colour
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        silence = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        if display:
            stream.set_display_rotation(display[0], hflip=display[1], vflip=display[2])
        container.start_encoding()
        pictures = numbered_video(num_frames, width, height) if frames is None else frames
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture), "rgba" if picture.shape[2] == 4 else "rgb24"
            )
            frame = frame.reformat(format=pix_fmt, dst_colorspace=colour[0] if colour else None)
            frame.pts = i if times is None else times[i]
            if i < reordered_from:
                frame.pict_type = av.video.frame.PictureType.P if i else av.video.frame.PictureType.I
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if silence is not None:
            _mux_silence(container, silence, 16000)
    return target


def encode_sound(target: Path | str, codec: str = "aac", cover: bool = False) -> Path | str:
    """Encode a file that holds half a second of silence, and a cover picture on request."""
    with av.open(target, "w") as container:
        sound = container.add_stream(codec, rate=16000, layout="mono")
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), "rgb24")
            frame.pts = 0
            container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        _mux_silence(container, sound, 8000, 1152 if codec.endswith("mp3lame") else 1024)
    return target


def _mux_silence(container: Any, stream: Any, count: int, size: int = 1024) -> None:
    for i in range(count // size):
        samples = av.AudioFrame.from_ndarray(np.zeros((1, size), dtype=np.float32), format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 16000, size * i
        container.mux(stream.encode(samples))
    container.mux(stream.encode(None))
