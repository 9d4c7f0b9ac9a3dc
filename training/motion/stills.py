# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that stand still, to see what a model knows without motion."""

from pathlib import Path

from modeling_videomae_v2.video_decoding_videomae_v2 import read_video

from .dataset import encode_mp4, write_whole


STILL_FRAMES = 8


def write_stills(source: Path, target: Path, fps: int = 12) -> None:
    """Copy a folder of mp4 files; each copy shows the middle frame of the original and nothing else.

    Args:
        source: Folder with mp4 files, at any depth.
        target: Where to write; files that are there stay as they are.
        fps: Frames per second.
    """
    for path in sorted(source.rglob("*.mp4")):
        copy = target / path.relative_to(source)
        if copy.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        frames, _ = read_video(str(path), lambda metadata: [metadata.total_num_frames // 2] * STILL_FRAMES)
        write_whole(copy, encode_mp4(frames.permute(0, 2, 3, 1).numpy(), fps))
