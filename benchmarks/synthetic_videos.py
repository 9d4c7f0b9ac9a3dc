# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Video files to decode: textured scenes in motion, h264 of 340x256 pixels with a key frame only every 250 frames."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.settings import Settings
from training.data.sources import VIDEO_SUFFIXES


WIDTH, HEIGHT, LENGTH, KEY_FRAME_EVERY = 340, 256, 300, 250
WRITING_SHARE = 0.25  # a file takes seconds


def folder_of_videos(path: str) -> Path:
    """The folder that `--folder` names, for `argparse`."""
    if not any(file.suffix[1:].lower() in VIDEO_SUFFIXES for file in Path(path).rglob("*")):
        raise argparse.ArgumentTypeError(f"there is no folder {path} with videos in it")
    return Path(path)


def can_write(piece: str) -> bool:
    """Whether PyAV is installed; says what is left out where it is not."""
    try:
        import av  # noqa: F401
    except ImportError:
        print(f"{piece}: PyAV is not installed (`pip install av`), so no video can be written or read; left out")
        return False
    return True


def write_videos(folder: Path, count: int, settings: Settings) -> None:
    """Write so many files, those left out that are there already; one at least in `WRITING_SHARE` of the time left."""
    writing = settings.with_share(WRITING_SHARE)
    for seed in range(count):
        path = folder / f"{seed}.mp4"
        if not path.exists():
            write_video(path, seed)
        if writing.late:
            return


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Random picture with detail at all scales, as photographs have, float32 `(height, width, 3)` in 0 to 255."""
    picture = np.zeros((height, width, 3), dtype=np.float32)
    for octave in range(2, 8):
        shape = (height * 2**octave // 256 + 2, width * 2**octave // 256 + 2, 3)
        noise = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        picture += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 2 ** (octave - 1)
    return np.clip((picture - picture.mean()) * 1.5 + 128, 0, 255)


def write_video(path: Path, seed: int) -> None:
    """A textured scene under a moving camera, with four things that move in it and a little noise."""
    import av

    rng = np.random.default_rng(seed)
    scene = texture(rng, HEIGHT + 128, WIDTH + 128)
    things = [texture(rng, 70, 60) for _ in range(4)]
    turns, phases = rng.uniform(0.02, 0.1, (5, 2)), rng.uniform(0, 6, (5, 2))
    options = {"g": str(KEY_FRAME_EVERY), "keyint_min": str(KEY_FRAME_EVERY), "sc_threshold": "0", "crf": "23"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(LENGTH):
            places = 0.5 + 0.5 * np.sin(turns * number + phases)
            top, left = (places[0] * 128).astype(int)
            frame = scene[top : top + HEIGHT, left : left + WIDTH].copy()
            for thing, place in zip(things, places[1:]):
                row, column = (place * (HEIGHT - 70, WIDTH - 60)).astype(int)
                frame[row : row + 70, column : column + 60] = thing
            frame += rng.normal(0, 6, (HEIGHT, WIDTH, 1))
            picture = av.VideoFrame.from_ndarray(np.clip(frame, 0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
