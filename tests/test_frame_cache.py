# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that stay decoded: what is kept, and that keeping it changes no clip."""

import itertools
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata
from video_files import encode, numbered_video, read_numbers

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError
from training.data import build_loader
from training.data.frame_cache import FrameCache
from training.data.sources import Video
from training.recipe import DataRecipe, RecipeError, SourceRecipe
from training.tasks import PreTrainingRecipe


LENGTH, FRAME_BYTES = 24, 80 * 48 * 3
ROOM = 10 * LENGTH * FRAME_BYTES


def three(total: int) -> np.ndarray:
    return np.array([1, 5, total - 1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(str(encode(tmp_path / "film.mp4", num_frames=LENGTH)))


def test_a_video_is_decoded_once(path: Path) -> None:
    cache, video = FrameCache(ROOM), Video("film", str(path))
    first = cache.read("a", video, three)
    path.unlink()  # there is nothing left to decode
    assert read_numbers(first) == read_numbers(cache.read("a", video, three)) == [1, 5, 23]
    assert read_numbers(cache.read("a", video, lambda total: np.arange(total))) == list(range(LENGTH))
    with pytest.raises(FileNotFoundError):
        cache.read("b", video, three)


def test_a_part_of_a_video(path: Path) -> None:
    cache, video = FrameCache(ROOM), Video("film", str(path), start=10, total=8)
    for _ in range(2):
        assert read_numbers(cache.read("a", video, three)) == [11, 15, 17]
    assert cache.room == ROOM - 8 * FRAME_BYTES


@pytest.mark.parametrize("room", [0, LENGTH * FRAME_BYTES - 1])
def test_what_has_no_room_is_not_kept(path: Path, room: int) -> None:
    cache, video = FrameCache(room), Video("film", str(path))
    assert read_numbers(cache.read("a", video, three)) == [1, 5, 23]
    assert cache.room == room
    path.unlink()
    with pytest.raises(FileNotFoundError):
        cache.read("a", video, three)


def test_what_is_not_read_again_is_not_kept(path: Path) -> None:
    cache = FrameCache(ROOM)
    cache.read(None, Video("film", str(path)), three)
    assert cache.room == ROOM


def test_damage_in_frames_that_nobody_wants(tmp_path: Path) -> None:
    options = {"g": "4", "sc_threshold": "0"}
    path = Path(str(encode(tmp_path / "film.mkv", num_frames=LENGTH, options=options)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    cache, video = FrameCache(ROOM), Video("film", str(path))
    without = FrameCache()
    for _ in range(2):
        for wanted in ([0, 2, 5], [0, 1]):
            positions = np.array(wanted)
            assert torch.equal(
                cache.read("a", video, lambda total: positions),  # noqa: B023
                without.read("a", video, lambda total: positions),  # noqa: B023
            )


@pytest.mark.parametrize("seed", range(6))
def test_a_container_that_announces_too_many_frames(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The decoder asks again with the right number, where a frame was chosen that is not there."""
    pixels = torch.from_numpy(numbered_video(LENGTH)).permute(0, 3, 1, 2)

    def read_video(source: Any, choose: Any, num_threads: int) -> tuple[torch.Tensor, VideoMetadata]:
        for total in (LENGTH + 6, LENGTH):
            metadata = VideoMetadata(total_num_frames=total, height=48, width=80)
            indices = choose(metadata)
            if max(indices) < LENGTH:
                return pixels[torch.tensor(indices)], metadata
        raise AssertionError

    monkeypatch.setattr("training.data.frames.read_video", read_video)
    results = []
    for cache in (FrameCache(), FrameCache(ROOM)):
        rng = np.random.default_rng(seed)
        draws = [cache.read("a", Video("film", "film"), lambda total: rng.integers(total, size=3)) for _ in range(4)]  # noqa: B023
        results.append(([read_numbers(frames) for frames in draws], rng.random()))
    assert results[0] == results[1]


def test_an_unreadable_video_is_an_error_each_time(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    cache = FrameCache(ROOM)
    for _ in range(2):
        with pytest.raises(VideoDecodingError, match=r"noise\.mp4"):
            cache.read("a", Video("noise.mp4", str(tmp_path / "noise.mp4")), three)


@pytest.mark.parametrize(
    ("suffix", "place", "damage"),
    [("png", 33, b"\0\0\0c"), ("ppm", 3, b"8x"), ("bmp", 18, b"\0\0\0\1")],
    ids=["SyntaxError", "ValueError", "DecompressionBombError"],
)
def test_a_damaged_picture_is_an_unreadable_video(tmp_path: Path, suffix: str, place: int, damage: bytes) -> None:
    """Whatever Pillow raises for it."""
    folder = tmp_path / "film"
    folder.mkdir()
    file = folder / f"00001.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)).save(file)
    data = bytearray(file.read_bytes())
    data[place : place + len(damage)] = damage
    file.write_bytes(data)
    video = Video("film", str(folder), pattern=f"{{:05}}.{suffix}")
    with pytest.raises(VideoDecodingError, match=rf"film: .*00001\.{suffix} cannot be read"):
        FrameCache(0).read(None, video, np.arange)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_pictures_of_more_than_8_bits_are_not_cut_off(dtype: type, tmp_path: Path) -> None:
    """As in the processor: up to 255 they are what they say, above that their scale is not known."""
    ramp = np.arange(256, dtype=dtype).reshape(16, 16)
    for number, values in enumerate((ramp, ramp + 1), start=1):
        Image.fromarray(values).save(tmp_path / f"{number:05}.tif")
    video = Video("film", str(tmp_path), pattern="{:05}.tif")
    frames = FrameCache(0).read(None, video, lambda total: np.arange(1))
    assert np.array_equal(frames[0], np.broadcast_to(ramp, (3, 16, 16)))
    with pytest.raises(VideoDecodingError, match=r"00002\.tif cannot be read \(its pixels go from 1.* to 256"):
        FrameCache(0).read(None, video, np.arange)


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.float32, 0.0, 1.0), (np.float32, -1.0, 9.0), (np.int32, -5, 9)])
def test_pictures_of_another_scale_are_refused(dtype: type, low: float, high: float, tmp_path: Path) -> None:
    """They would be black, or their darkest places white."""
    Image.fromarray(np.linspace(low, high, 256).astype(dtype).reshape(16, 16)).save(tmp_path / "00001.tif")
    with pytest.raises(VideoDecodingError, match=rf"pixels go from {low} to {high}, those of 8 bits from 0 to 255"):
        FrameCache(0).read(None, Video("film", str(tmp_path), pattern="{:05}.tif"), np.arange)


@pytest.mark.parametrize(("dtype", "value"), [(np.float32, 0), (np.uint16, 1)])
def test_pictures_may_be_dark(dtype: type, value: int, tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), value, dtype)).save(tmp_path / "00001.tif")
    frames = FrameCache(0).read(None, Video("film", str(tmp_path), pattern="{:05}.tif"), np.arange)
    assert frames.unique().tolist() == [value]


def batches(folder: Path, count: int, start: int = 0, **options: Any) -> list[torch.Tensor]:
    source = SourceRecipe(path=str(folder), kind="folder")
    recipe = DataRecipe(sources=[source], num_frames=4, image_size=32, views=2, workers=0, **options)
    loader = build_loader(recipe, batch_size=4, seed=5)
    loader.set_position(start)
    return [batch["pixel_values"] for batch in itertools.islice(loader, count)]


def test_a_cache_changes_no_clip(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        encode(tmp_path / "ab"[i % 2] / f"{i}.mp4", num_frames=LENGTH + i)
    plain = batches(tmp_path, 9)
    small = 2.5 * LENGTH * FRAME_BYTES / 2**30  # room for some
    for cache_gib in (small, 1.0):
        assert all(map(torch.equal, batches(tmp_path, 9, cache_gib=cache_gib), plain))
    assert all(map(torch.equal, batches(tmp_path, 3, start=24, cache_gib=small), plain[6:]))


def test_a_video_that_is_kept_is_not_fetched_again(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for i in range(4):
            tar.add(encode(tmp_path / f"{i}.mp4", num_frames=LENGTH), arcname=f"{i}.mp4")
            (tmp_path / f"{i}.cls").write_text(str(i % 3))
            tar.add(tmp_path / f"{i}.cls", arcname=f"{i}.cls")
    source = SourceRecipe(path=str(tmp_path / "shard.tar"), kind="tar")
    recipe = DataRecipe(sources=[source], num_frames=4, image_size=32, workers=0, cache_gib=1.0)
    loader = iter(build_loader(recipe, batch_size=4, labelled=True))
    first = next(loader)
    (tmp_path / "shard.tar").unlink()
    second = next(loader)
    assert not second["bad"].any()
    assert sorted(second["labels"].tolist()) == sorted(first["labels"].tolist()) == [0, 0, 1, 2]


def test_sources_that_share_a_folder_do_not_share_videos(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        encode(tmp_path / "ab"[i % 2] / f"{i}.mp4", num_frames=LENGTH * (i + 1))
    sources = [SourceRecipe(path=str(tmp_path), kind="folder", path_pattern=f"{name}/") for name in "ab"]

    def clips(**options: Any) -> list[torch.Tensor]:
        recipe = DataRecipe(sources=sources, num_frames=4, image_size=32, workers=0, sampling="uniform", **options)
        return [batch["pixel_values"] for batch in itertools.islice(build_loader(recipe, batch_size=4), 4)]

    assert all(map(torch.equal, clips(cache_gib=1.0), clips()))


def test_a_size_below_zero_is_refused() -> None:
    data = {"sources": [SourceRecipe(path="videos")], "cache_gib": -1.0}
    with pytest.raises(RecipeError, match=r"data\.cache_gib must be 0 or more, got -1\.0"):
        PreTrainingRecipe(output_dir="out", data=DataRecipe(**data)).validate()
