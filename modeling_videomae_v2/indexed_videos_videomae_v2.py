# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that give their frames by number: decoders of other packages (torchcodec), and encoded pictures."""

import io
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import ExifTags, Image
from transformers.video_utils import VideoMetadata

from .video_sources_videomae_v2 import WEBP_HEAD, is_animated_webp, is_bytes, resolve_source


# Modes of PIL with more than 8 bits, of which `convert("RGB")` makes white all that is above 255.
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# How the formats of these suffixes begin; a RIFF file is WebP or AVI.
PICTURE_START = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|BM|RIFF.{4}WEBP|II[*+]\0|MM\0[*+]|P[2356]\s", flags=re.DOTALL
)
LONGEST_START = 12
# What makes a picture upright, by its orientation in Exif.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in RGB; a copy of it where it has more than 8 bits, whose scale is not known."""
    return picture.copy() if picture.mode in DEEP_MODES else picture.convert("RGB")


class Pictures(tuple):
    """Encoded pictures, paths, addresses or bytes, that are the frames of one video, in order."""

    def open(self, indices: Sequence[int]) -> list[Image.Image]:
        """Read some of the pictures, upright and as RGB; those with more than 8 bits as they are.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no picture, a damaged or an animated one, or an address does not give it.
        """
        frames = []
        for i in indices:
            source, name = self[i], self[i]
            if is_bytes(source):
                name = f"<{len(source)} bytes>"
            elif "://" in os.fsdecode(source):
                source = resolve_source(source)[1]
            try:
                source = io.BytesIO(source) if is_bytes(source) else source
                with Image.open(source) as picture:
                    _refuse_animation(picture)
                    frames.append(to_rgb(upright_picture(picture)))
            except FileNotFoundError:
                raise FileNotFoundError(f"There is no picture {name}, frame {i} of {len(self)}.") from None
            except Exception as error:  # Pillow has no class for damage: OSError, SyntaxError, its own
                reason = str(error).replace(repr(source), name) if name is not source else error
                raise ValueError(f"The picture {name}, frame {i} of {len(self)}, cannot be read: {reason}") from error
        return frames


def are_pictures(sources: Sequence[Any]) -> bool:
    """Whether all items of a list are pictures: paths and addresses by their suffix, bytes by how they begin.

    No file is opened. Bytes of an animated PNG or WebP are a video of their own, as those of a GIF. JPEGs in a row (raw
    MJPEG) look like one picture.
    """
    return all(map(_is_picture, sources))


def _is_picture(source: Any) -> bool:
    if is_bytes(source):
        animated = _is_animated_png(source) or is_animated_webp(bytes(source[:WEBP_HEAD]))
        return bool(PICTURE_START.match(bytes(source[:LONGEST_START]))) and not animated
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = os.fsdecode(source)
    if "://" in path:  # `zip://a.png::films.zip`; `https://host/a.png?size=large`
        path = path.partition("::")[0].partition("?")[0]
    return path.lower().endswith(PICTURE_SUFFIXES)


def _is_animated_png(source: Any) -> bool:
    """Whether it has the chunk for animation, which stands before the pixels; only the heads of chunks are read."""
    place = 8 if source[:4] == b"\x89PNG" else len(source)
    while place < len(source):
        length, kind = source[place : place + 4], source[place + 4 : place + 8]
        if kind in (b"acTL", b"IDAT"):
            return kind == b"acTL"
        place += 12 + int.from_bytes(length, "big")
    return False


def upright_picture(picture: Image.Image) -> Image.Image:
    """The picture, turned and mirrored as its Exif says. (`ImageOps` writes the rest of that again, and may fail.)"""
    picture.load()  # turns those of TIFF
    try:
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # what is no Exif fails in many ways, and says nothing of the pixels
        return picture
    return picture if turn is None else picture.transpose(turn)


def _refuse_animation(picture: Image.Image) -> None:
    """Refuse a file that would be a video of its own (`ValueError`), but for its suffix."""
    if picture.format in ("PNG", "WEBP") and getattr(picture, "is_animated", False):
        way_out = "Name it .apng" if picture.format == "PNG" else "Write it as GIF or mp4"
        raise ValueError(
            f"it is an animation of {picture.n_frames} frames, and a list of pictures is one video. {way_out} to have "
            "it as a video."
        )


def is_decoder(value: Any) -> bool:
    """Whether `value` decodes a video, as torchcodec's `VideoDecoder`, which `datasets` gives."""
    return hasattr(value, "get_frames_at") and hasattr(value, "metadata")


def read_decoder(
    decoder: Any, choose_indices: Callable[[VideoMetadata], Sequence[int]]
) -> tuple[torch.Tensor, VideoMetadata]:
    """Frames of a decoder that `choose_indices` picks when it is told how many there are.

    Args:
        decoder: Has `metadata` and `get_frames_at(indices=...)`, whose result has `data`, uint8.
        choose_indices: Gets the metadata, returns frame positions.

    Returns:
        Frames as the decoder gives them, `(n, channels, height, width)` by default, and the metadata.

    Raises:
        ValueError: The decoder does not know how many frames there are.
    """
    about = decoder.metadata
    total = getattr(about, "num_frames", None)
    if not total:
        raise ValueError(
            f"The `{type(decoder).__name__}` does not say how many frames the video has. Pass the file instead."
        )
    metadata = VideoMetadata(
        total_num_frames=total,
        fps=getattr(about, "average_fps", None),
        duration=getattr(about, "duration_seconds", None),
        video_backend="torchcodec",
        height=getattr(about, "height", None),
        width=getattr(about, "width", None),
    )
    indices = [int(i) for i in choose_indices(metadata)]
    metadata.frames_indices = indices
    return decoder.get_frames_at(indices=indices).data, metadata


__all__ = ["Pictures", "are_pictures", "is_decoder", "read_decoder", "to_rgb", "upright_picture"]
