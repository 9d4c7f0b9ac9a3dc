# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks that load: end to end, features of videos, the loader; models."""

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from tiny_benchmark import CPU_NAME, QUICK

from benchmarks import competitors, data_loading, end_to_end, features, model_loading
from benchmarks.clip_views import Clips
from benchmarks.row_file import read_text
from benchmarks.settings import Settings
from benchmarks.synthetic_videos import write_videos
from modeling_videomae_v2.video_decoding_videomae_v2 import read_video
from training.data.augment import Crop


def test_end_to_end_from_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    arguments = ["--presets", "tiny", "--batch-sizes", "4", "--workers", "0", "--repeats", "1", "--warmup", "1"]
    rows = end_to_end.main([*arguments, "--device", "cpu", "--output", str(tmp_path)])
    assert [row["variant"] for row in rows] == ["synthetic, on the device", "loader, frames in memory (no PyAV)"]
    assert all(row["clips_per_s"] > 0 for row in rows)


def test_features_of_a_folder_beside_the_model_alone(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from video_files import encode

    encode(tmp_path / "a.mp4", num_frames=70)
    arguments = ["--presets", "tiny", "--dtype", "fp32", "--device", "cpu", "--folder", str(tmp_path)]
    alone, folder = features.main([*arguments, "--output", str(tmp_path / "results")])
    assert (alone["clips"], folder["clips"]) == (5, 5)  # windows of 4 frames, 4 apart; the last one is cut short
    assert alone["share"] == 1.0
    assert folder["share"] == pytest.approx(folder["clips_per_s"] / alone["clips_per_s"], rel=0.01, abs=1e-3)
    assert (tmp_path / "results" / f"features-{CPU_NAME}.csv").exists()


def test_the_loader_is_timed_after_what_it_held_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    monkeypatch.setattr("benchmarks.end_to_end.synchronise", lambda _: log.append("wait"))
    feed = lambda number: log.append("batch")  # noqa: E731
    _, count = end_to_end.rate_of(lambda *_: None, feed, 4, workers=3, settings=QUICK)
    assert count == 12
    assert log == ["batch"] * 12 + ["wait"] + ["batch"] * 12 + ["wait"]
    assert end_to_end.rate_of(lambda *_: None, feed, 4, workers=3, settings=replace(QUICK, minutes=0.0)) is None


def test_batches_out_of_memory_are_laid_out_as_those_of_files() -> None:
    batches = end_to_end.from_memory("tiny", batch_size=4, views=2, workers=0)
    batch = next(batches)
    assert batch.dtype == torch.uint8
    assert batch.shape == (4, 4, 3, 32, 32)
    assert batch.stride(2) == 1  # the channels
    assert end_to_end.channels_last(torch.randn(batch.shape)).stride() == batch.stride()


def test_default_views_fit_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_to_end, "run", lambda settings, args: args.views)
    assert [end_to_end.run_defaults(replace(QUICK, batch_sizes=(size,))) for size in (8, 6, 3)] == [4, 2, 1]


def test_one_worker_loads_beside_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(end_to_end, "measure", lambda preset, args, *_: seen.append(args.workers))
    end_to_end.run_defaults(QUICK)
    assert seen == [1]


def test_fewer_videos_where_there_is_less_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from video_files import encode

    for name in "abcd":
        encode(tmp_path / f"{name}.mp4", num_frames=70)
    arguments = ["--presets", "tiny", "--dtype", "fp32", "--device", "cpu", "--folder", str(tmp_path), "--minutes", "9"]
    assert features.main(arguments)[1]["videos"] == 4
    monkeypatch.setattr(Settings, "seconds_left", 1e-6)
    assert features.main(arguments)[1]["videos"] == 1


@pytest.mark.parametrize("piece", [data_loading, end_to_end, features])
def test_a_folder_without_videos(piece: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SystemExit):
            piece.main(["--folder", str(folder)])
        assert f"--folder: there is no folder {folder} with videos in it" in capsys.readouterr().err


def test_videos_are_written_once_and_as_many_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[str] = []

    def write(path: Path, seed: int) -> None:
        written.append(path.name)
        path.touch()

    monkeypatch.setattr("benchmarks.synthetic_videos.write_video", write)
    write_videos(tmp_path, 2, QUICK)
    write_videos(tmp_path, 3, QUICK)
    assert written == ["0.mp4", "1.mp4", "2.mp4"]
    write_videos(tmp_path / "none", 0, QUICK)
    monkeypatch.setattr(Settings, "late", True)
    write_videos(tmp_path, 8, QUICK)
    assert len(written) == 3


def test_processor_time_where_python_has_no_resource_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    found = runpy.run_path(data_loading.__file__)
    before = found["processor_time"]()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    assert found["processor_time"]() - before > 0.03  # of a process that has ended


def test_peers_that_are_missing_or_do_not_load_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("av")
    from video_files import encode

    def load(module: str) -> None:
        raise ImportError if module == "decord" else RuntimeError("\nCould not load libtorchcodec.\nThe reasons: ...")

    monkeypatch.setattr(data_loading, "importlib", SimpleNamespace(import_module=load))
    encode(tmp_path / "a.mp4", num_frames=70)
    rows = data_loading.main(
        ["--folder", str(tmp_path), "--workers", "0", "--warmup", "0", "--repeats", "1", "--views", "1"]
    )
    assert [row["variant"] for row in rows] == ["ours", "ours, normalised on the CPU", "transformers"]
    printed = capsys.readouterr().out
    assert "decord is not installed (`pip install decord`), so it is left out" in printed
    assert "torchcodec does not load, so it is left out: Could not load libtorchcodec." in printed


@pytest.fixture
def one_video(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Its folder, and a torchcodec that reads with ours: the package needs libraries that are seldom there."""
    pytest.importorskip("av")
    from video_files import encode

    class VideoDecoder:
        def __init__(self, path: str, num_ffmpeg_threads: int) -> None:
            self.frames = read_video(path)[0]

        def __len__(self) -> int:
            return len(self.frames)

        def get_frames_at(self, indices: list[int]) -> SimpleNamespace:
            return SimpleNamespace(data=self.frames[indices])

    monkeypatch.setitem(sys.modules, "torchcodec", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", SimpleNamespace(VideoDecoder=VideoDecoder))
    encode(tmp_path / "a.mp4", num_frames=70)
    return tmp_path


def test_torchcodec_gives_the_views_that_ours_does(monkeypatch: pytest.MonkeyPatch, one_video: Path) -> None:
    for module in ("benchmarks.clip_views", "training.data.augment"):
        monkeypatch.setattr(f"{module}.multi_scale_crop", lambda *_: Crop(8, 20, 40, 36))
    clips = Clips(one_video, views=1)
    found, ours = clips.run_torchcodec(5), clips.run_ours_normalised(5)
    assert found.shape == (1, 16, 3, 224, 224)
    torch.testing.assert_close(found, ours, atol=0.05, rtol=0)  # uint8 rounded differently


def test_views_of_fine_tuning(one_video: Path) -> None:
    options = ["--folder", str(one_video), "--workers", "0", "--warmup", "0", "--repeats", "1", "--views", "2"]
    rows = data_loading.main([*options, "--fine-tuning", "--output", str(one_video)])
    names = ["ours", "ours, normalised on the CPU", "torchcodec + torchvision"]
    assert [(row["part"], row["variant"]) for row in rows] == [("fine-tuning", name) for name in names]
    assert {row["baseline"] for row in rows} == {names[-1]}
    data_loading.main([*options, "--output", str(one_video)])
    kept = read_text(one_video / f"data_loading-{CPU_NAME}.csv")
    assert [row["part"] for row in kept if row["variant"] == "ours"] == ["fine-tuning", ""]
    clips = Clips(one_video, views=2, fine_tuning=True)
    assert clips.run_torchcodec(5).shape == clips.run_ours_normalised(5).shape == (2, 16, 3, 224, 224)
    pictures = [clips.run_ours(number) for number in range(12)]  # of the same video
    assert len({int(picture.sum()) for picture in pictures}) > 8


def test_the_loader_is_measured_within_its_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from video_files import encode

    encode(tmp_path / "a.mp4", num_frames=70)
    options = ["--folder", str(tmp_path), "--workers", "1", "--samples", "8", "--warmup", "0", "--views", "1"]
    rows = data_loading.main([*options, "--repeats", "1", "--output", str(tmp_path)])
    assert rows[-1]["variant"] == "loader, 1 workers"
    assert rows[-1]["clips"] == 8
    assert (tmp_path / f"data_loading-{CPU_NAME}.csv").exists()
    assert data_loading.main([*options, "--minutes", "0"]) == []
    rows = data_loading.main([*options, "--repeats", "1", "--reencode"])
    again = [row["variant"] for row in rows if row["variant"].endswith(", videos written again")]
    assert again == ["ours, videos written again", "loader, 1 workers, videos written again"]
    lateness = iter([False, True, *[True] * 99])
    monkeypatch.setattr(Settings, "late", property(lambda _: next(lateness)))
    rows = data_loading.main([*options, "--repeats", "20", "--samples", "40"])
    assert not any(row["variant"].startswith("loader") for row in rows)


def test_models_are_loaded_as_each_library_does_it(tmp_path: Path) -> None:
    tables: list[int] = []
    slow = competitors.their_slow_table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_loading, "their_slow_table", lambda *shape: tables.append(shape[0]) or slow(*shape))
        arguments = ["--presets", "tiny", "--repeats", "2", "--warmup", "1", "--output", str(tmp_path)]
        rows = model_loading.main(arguments)
    assert [(row["variant"], row["clock"]) for row in rows] == [("ours", "wall"), ("transformers, sdpa", "wall")]
    assert all(row["median_s"] > 0 for row in rows)
    assert rows[1]["speedup"] == 1.0
    assert len(tables) == 3  # at every load, as without our benchmarks
    assert competitors.their_modeling.get_sinusoid_encoding_table is competitors.their_table
    assert (tmp_path / f"model_loading-{CPU_NAME}.csv").exists()
