# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 features` from the outside, and the threads that decode ahead."""

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from full_disk import full_disk
from safetensors import safe_open
from systems import NOT_A_DIRECTORY
from tiny import MODEL_CLASSES, needs_avx2, tiny_model
from typer.testing import CliRunner
from video_files import encode

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2Model, VideoMAEv2VideoProcessor
from modeling_videomae_v2.cli import app
from modeling_videomae_v2.inference import feature_values
from modeling_videomae_v2.inference.clips import Clip
from modeling_videomae_v2.inference.engine import BatchRunner, DecodeAhead, Finished
from modeling_videomae_v2.inference.loading import Checkpoint, load_checkpoint
from modeling_videomae_v2.inference.settings import keep_settings
from modeling_videomae_v2.inference.store import FeatureStore
from modeling_videomae_v2.video_decoding_videomae_v2 import read_video


SIZES = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}, "num_frames": 4, "sampling_rate": 3}


def save(folder: Path, model_class: type = VideoMAEv2Model, **settings) -> Path:
    tiny_model(model_class, **settings).save_pretrained(folder)
    VideoMAEv2VideoProcessor(**SIZES).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name, count in (("a.mp4", 60), ("sub/a.mp4", 12), ("sub/b.avi", 30)):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        encode(tmp_path / "videos" / name, "mpeg4" if name.endswith("avi") else "libx264", num_frames=count)
    return tmp_path / "videos"


def run(*arguments: object):
    return CliRunner().invoke(app, ["features", *map(str, arguments)])


def index_of(folder: Path) -> dict[str, dict]:
    records = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    return {record["name"]: record for record in records}


def load(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def expected_features(folder: Path, film: Path, starts: list[int], key: str = "pooler_output") -> torch.Tensor:
    net, processor = VideoMAEv2Model.from_pretrained(folder), VideoMAEv2VideoProcessor.from_pretrained(folder)
    frames, _ = read_video(film)
    clips = [frames[[min(start + 3 * i, len(frames) - 1) for i in range(4)]] for start in starts]
    with torch.no_grad():
        return net(**processor(clips, return_tensors="pt"))[key]


@pytest.mark.parametrize("model_class", MODEL_CLASSES)
def test_any_checkpoint_gives_the_features_of_its_encoder(tmp_path: Path, videos: Path, model_class: type) -> None:
    folder = save(tmp_path / "model", model_class)
    result = run(folder, videos, "--out", tmp_path / "out", "--batch-size", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert ("pre-training checkpoint" in result.stderr) is (model_class is VideoMAEv2ForPreTraining)
    index = index_of(tmp_path / "out")
    assert list(index) == ["a.mp4", "sub/a.mp4", "sub/b.avi"]
    found = load(tmp_path / "out" / index["a.mp4"]["file"])
    torch.testing.assert_close(
        found["features"], expected_features(folder, videos / "a.mp4", [0, 12, 24, 36, 48]), atol=1e-5, rtol=1e-5
    )
    assert found["start"].tolist() == pytest.approx([0, 0.48, 0.96, 1.44, 1.92])
    assert found["end"].tolist() == pytest.approx([0.48, 0.96, 1.44, 1.92, 2.4])
    with safe_open(tmp_path / "out" / index["a.mp4"]["file"], framework="pt") as file:
        about = file.metadata()
    assert about["video"] == str(videos / "a.mp4")
    assert json.loads(about["settings"]) == json.loads((tmp_path / "out/settings.json").read_text())
    modes = {path.stat().st_mode for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(modes) == 1  # whoever can read the index can read the features
    assert index["a.mp4"]["start"] == pytest.approx(found["start"].tolist())
    assert (index["a.mp4"]["duration"], index["a.mp4"]["fps"]) == (2.4, 25.0)
    assert index["sub/b.avi"]["shape"] == [3, 32]  # frames 0, 12 and, to reach the end, 18


def test_tokens(model: Path, videos: Path, tmp_path: Path) -> None:
    film = videos / "a.mp4"
    every = expected_features(model, film, [0, 12, 24, 36, 48], "last_hidden_state")
    expected = {"all": every, "tubelet": every.unflatten(1, (2, 16)).mean(2)}
    for tokens, value in expected.items():
        assert run(model, film, "--out", tmp_path / tokens, "--tokens", tokens).exit_code == 0
        found = load(tmp_path / tokens / "a.mp4.safetensors")["features"]
        torch.testing.assert_close(found, value, atol=1e-5, rtol=1e-5)


def test_clips_spread_over_the_video(model: Path, videos: Path, tmp_path: Path) -> None:
    film = videos / "a.mp4"
    assert run(model, film, "--out", tmp_path / "out", "--clips", 3).exit_code == 0
    found = load(tmp_path / "out" / "a.mp4.safetensors")
    torch.testing.assert_close(found["features"], expected_features(model, film, [0, 24, 48]), atol=1e-5, rtol=1e-5)
    assert found["start"].tolist() == pytest.approx([0.0, 0.96, 1.92])
    assert found["end"].tolist() == pytest.approx([0.4, 1.36, 2.32])


def test_clips_and_crops_that_a_processor_takes_make_no_more_features(
    model: Path, videos: Path, tmp_path: Path
) -> None:
    processor, film = tmp_path / "processor", videos / "a.mp4"
    VideoMAEv2VideoProcessor(**SIZES, num_clips=2, num_crops=3).save_pretrained(processor)
    assert run(model, film, "--out", tmp_path / "out", "--processor", processor).exit_code == 0
    assert run(model, film, "--out", tmp_path / "out").stderr == "The video is finished already.\n"
    found = load(tmp_path / "out" / "a.mp4.safetensors")
    assert found["features"].shape == (5, 32)


def test_a_full_disk_leaves_no_half_of_a_table(model: Path, videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    run(model, videos, "--out", out)
    before = sorted(out.iterdir())
    with full_disk(1000):
        result = run(model, videos, "--out", out, "--parquet")
    assert f"{out / 'index.parquet'} cannot be written: " in result.stderr
    assert "File too large" in result.stderr
    assert sorted(out.iterdir()) == before


def test_npy_and_parquet(model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    out = Path("out:1")  # which pyarrow would take for an address
    assert run(model, videos, "--out", out, "--format", "npy", "--parquet", "--stride", "20f").exit_code == 0
    table = parquet.read_table(out.absolute() / "index.parquet").to_pylist()
    assert [(row["name"], row["row"]) for row in table] == [
        ("a.mp4", 0), ("a.mp4", 1), ("a.mp4", 2), ("sub/a.mp4", 0), ("sub/b.avi", 0), ("sub/b.avi", 1),
    ]  # fmt: skip
    assert table[1]["start"] == pytest.approx(0.8)
    values = np.load(out / table[1]["file"])
    assert values.shape == (3, 32)
    expected = expected_features(model, videos / "a.mp4", [0, 20, 40])
    torch.testing.assert_close(torch.from_numpy(values), expected, atol=1e-5, rtol=1e-5)

    (out / table[1]["file"]).unlink()
    again = run(model, videos / "sub" / "b.avi", "--out", out, "--format", "npy", "--parquet", "--stride", "20f")
    assert again.exit_code == 0
    rows = parquet.read_table(out.absolute() / "index.parquet").to_pylist()
    assert {row["name"] for row in rows} == {"b.avi", "sub/a.mp4", "sub/b.avi"}  # a.mp4 has none any more


def test_names_that_are_no_text_or_leave_no_room_for_a_suffix(model: Path, videos: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    names = [os.fsdecode(b"caf\xe9.mp4"), "\u6f22" * 80 + ".mp4", "x" * 250 + "1.mp4", "x" * 250 + "2.mp4"]
    named = "film." + "x" * 240  # no suffix of a video
    try:
        for name in (*names, named):
            shutil.copy(videos / "sub" / "a.mp4", videos / "sub" / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    out = tmp_path / "out"
    result = run(model, videos / "sub", videos / "sub" / named, "--out", out, "--parquet")
    assert result.exit_code == 0, result.output
    assert {Path(record["video"]).name for record in index_of(out).values()} == {
        "a.mp4", "b.avi", "caf?.mp4", *names[1:], named,
    }  # fmt: skip
    assert all((out / record["file"]).is_file() for record in index_of(out).values())
    assert "caf?.mp4" in parquet.read_table(out / "index.parquet").column("name").to_pylist()
    assert "6 of 6 videos are finished" in run(model, videos / "sub", "--out", out).stderr


def stamps(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_a_second_run_does_only_what_is_left(model: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(model, videos, "--out", out).exit_code == 0
    before, index = stamps(out), (out / "index.jsonl").read_bytes()
    result = run(model, videos, "--out", out, "--batch-size", 1)
    assert "3 of 3 videos are finished" in result.stderr
    assert stamps(out) == before

    (out / "a.mp4.safetensors").unlink()  # lost
    (out / "sub/a.mp4.safetensors").write_bytes(b"short")  # damaged
    encode(videos / "sub" / "b.avi", "mpeg4", num_frames=40)  # another film now
    assert "finished already" not in run(model, videos, "--out", out).stderr
    assert stamps(out).keys() == before.keys()
    assert index_of(out)["sub/b.avi"]["shape"] == [4, 32]

    lines = index.splitlines(keepends=True)
    (out / "index.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:30])  # cut off while a line was written
    assert "2 of 3 videos are finished" in run(model, videos, "--out", out).stderr
    assert len(index_of(out)) == 3


def test_a_film_that_is_another_one_now_is_done_again_by_its_address(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "x.mp4", num_frames=12)
    address = (tmp_path / "x.mp4").as_uri()
    assert run(model, address, "--out", "out").exit_code == 0
    assert run(model, address, "--out", "out").stderr == "The video is finished already.\n"
    encode(tmp_path / "x.mp4", num_frames=40)
    assert "finished already" not in run(model, address, "--out", "out").stderr


@pytest.mark.parametrize("begins", [{"crf": 1}, {"crf": 2}])
def test_of_runs_that_begin_a_folder_at_once_the_first_one_s_settings_stay(
    begins: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "settings.json", []

    def nothing_yet(self: Path) -> bool:  # as both find it
        seen.append(self)
        return False

    keep_settings(path, {"crf": 1}, what="files", option="OUTPUT")
    monkeypatch.setattr(Path, "exists", nothing_yet)
    refused = pytest.raises(ValueError, match=r"files that were made otherwise \(crf: 1 there, 2 now")
    with refused if begins["crf"] == 2 else contextlib.nullcontext():
        keep_settings(path, begins, what="files", option="OUTPUT")
    assert path in seen
    assert json.loads(path.read_text()) == {"crf": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("frames", [12, 30])
def test_another_video_of_the_same_name_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    for name, count in (("A", 12), ("B", frames)):  # of the same size, and of another one
        (tmp_path / name).mkdir()
        encode(tmp_path / name / "x.mp4", num_frames=count)
    monkeypatch.chdir(tmp_path)
    assert run(model, "A", "--out", "out").exit_code == 0
    index = (tmp_path / "out" / "index.jsonl").read_bytes()
    result = run(model, "B", "--out", "out")
    assert result.exit_code == 1
    assert (
        f"out holds the features of {tmp_path / 'A' / 'x.mp4'}, and B/x.mp4 has the same name, x.mp4" in result.stderr
    )
    assert (tmp_path / "out" / "index.jsonl").read_bytes() == index
    assert result.stderr.endswith("Choose another folder for --out.\n")
    address = (tmp_path / "B" / "x.mp4").as_uri()
    assert "A/x.mp4, and file:///" in run(model, address, "--out", "out").stderr.replace("\\", "/")
    assert run(model, (tmp_path / "A" / "x.mp4").as_uri(), "--out", "out").exit_code == 0  # the same video
    assert run(model, address, "--out", "other").exit_code == 0
    assert "other holds the features of" in run(model, "A", "--out", "other").stderr


def test_the_same_video_by_another_path_is_finished(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("few", "below/few"):  # where the relative path would lead from the other folder
        (tmp_path / folder).mkdir(parents=True)
        encode(tmp_path / folder / "x.mp4", num_frames=12)
    monkeypatch.chdir(tmp_path)
    assert run(model, "few", "--out", tmp_path / "out").exit_code == 0
    monkeypatch.chdir(tmp_path / "below")
    assert "finished already" in run(model, "../few", "--out", tmp_path / "out").stderr
    os.rename(tmp_path / "few", tmp_path / "moved")
    assert "finished already" in run(model, "../moved", "--out", tmp_path / "out").stderr
    index = tmp_path / "out" / "index.jsonl"
    record = json.loads(index.read_text())
    del record["place"]  # of an older version, which does not say from where the path leads
    index.write_text(json.dumps(record) + "\n")
    assert "finished already" in run(model, "../moved", "--out", tmp_path / "out").stderr


def test_the_home_of_the_user_is_where_it_is(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows
    monkeypatch.chdir(videos)
    shutil.copytree(model, tmp_path / "model")
    result = run("~/model", "~/videos/a.mp4", "--out=~/out")
    assert result.stderr.startswith(f"1 video written to {tmp_path / 'out'};")
    assert index_of(tmp_path / "out")["a.mp4"]["video"] == str(videos / "a.mp4")
    assert not Path("~").exists()


def test_a_run_that_breaks_off_leaves_whole_files(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write = tmp_path / "out", FeatureStore._write_file

    def break_off(self, path, source, video):
        if source.name == "sub/a.mp4":
            path.write_bytes(b"half of it")
            raise KeyboardInterrupt
        write(self, path, source, video)

    monkeypatch.setattr(FeatureStore, "_write_file", break_off)
    assert run(model, videos, "--out", out).exit_code != 0
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert left == ["a.mp4.safetensors", "index.jsonl", "settings.json"]
    monkeypatch.undo()
    assert "1 of 3 videos are finished" in run(model, videos, "--out", out).stderr
    assert len(stamps(out)) == 3


def test_parts_share_a_folder(model: Path, videos: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    run(model, videos, "--out", whole)
    for part in ("2/2", "1/2"):
        assert run(model, videos, "--out", shared, "--part", part).exit_code == 0
    indexes = {path.name: [json.loads(line) for line in path.open()] for path in shared.glob("index*")}
    assert {name: [record["name"] for record in records] for name, records in indexes.items()} == {
        "index-1-of-2.jsonl": ["a.mp4", "sub/b.avi"], "index-2-of-2.jsonl": ["sub/a.mp4"],
    }  # fmt: skip
    assert {record["name"]: record for records in indexes.values() for record in records} == index_of(whole)
    for name in stamps(whole):
        assert torch.equal(load(whole / name)["features"], load(shared / name)["features"])

    # others, or fewer, go on: what is in any index is finished, and what was lost is done again
    (shared / "sub/a.mp4.safetensors").unlink()
    assert "1 of 1 videos" not in run(model, videos, "--out", shared, "--part", "2/3").stderr
    assert (shared / "sub/a.mp4.safetensors").is_file()
    encode(videos / "sub" / "b.avi", "mpeg4", num_frames=40)  # another film now
    result = run(model, videos, "--out", shared, "--parquet")
    assert "2 of 3 videos are finished" in result.stderr
    table = pyarrow.read_table(shared / "index.parquet").to_pydict()
    assert table["name"] == sorted(table["name"])
    assert [table["name"].count(name) for name in ("a.mp4", "sub/a.mp4", "sub/b.avi")] == [5, 1, 4]
    assert "Nothing to do: of 3 videos, part 4/4 has none" in run(
        model, videos, "--out", shared, "--part", "4/4"
    ).stderr  # fmt: skip


def test_what_a_part_has_done_again_counts_for_all(model: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(model, videos, "--out", out, "--part", "1/2")
    for frames in (31, 40):  # as long as the film before, and longer
        encode(videos / "sub" / "b.avi", "mpeg4", num_frames=frames)
        assert "3 of 3" not in run(model, videos, "--out", out, "--part", "1/1").stderr
        assert "3 of 3 videos are finished" in run(model, videos, "--out", out, "--part", "1/1").stderr
    assert "3 of 3 videos are finished" in run(model, videos, "--out", out).stderr


def test_a_line_that_another_part_is_writing_is_left_alone(model: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(model, videos, "--out", out, "--part", "1/2")
    index = out / "index-1-of-2.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(lines[0] + lines[1][:30])
    assert run(model, videos, "--out", out, "--part", "2/2").exit_code == 0
    assert index.read_bytes() == lines[0] + lines[1][:30]
    assert "1 of 2 videos are finished" in run(model, videos, "--out", out, "--part", "1/2").stderr
    assert len(index.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--stride", "1"), "stride: '12f' there, '1s' now"),
        (("--window", "20f", "--stride", "12f"), "window: '12f' there, '20f' now"),
        (("--tokens", "all"), "tokens"),
        (
            ("--window", "20f", "--stride", "8f", "--tokens", "all"),
            "(stride: '12f' there, '8f' now; tokens: 'clip' there, 'all' now; window: '12f' there, '20f' now)",
        ),
        (("--clips", "2"), "processor.num_clips: 1 there, 2 now"),
        (("--dtype", "bfloat16"), "dtype"),
        pytest.param(("--quantize",), "dtype: 'float32' there, 'float32, int8 products' now", marks=needs_avx2),
        (("--format", "npy"), "format"),
    ],
)
def test_other_settings_are_refused(model: Path, videos: Path, tmp_path: Path, arguments: tuple, words: str) -> None:
    out = tmp_path / "out"
    assert run(model, videos / "sub" / "a.mp4", "--out", out).exit_code == 0
    result = run(model, videos, "--out", out, *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Choose another folder" in result.stderr


OF_BYTES = {"do_rescale": False, "image_mean": 127.5, "image_std": 60.0}  # settings for pixels from 0 to 255


@pytest.mark.parametrize(
    ("arguments", "before", "now", "difference"),
    [
        (("--clips", 1), {}, {"do_sample_frames": False}, "processor.do_sample_frames: True there, False now"),
        (("--clips", 1), {}, {"sampling": "uniform"}, "processor.sampling: 'dense' there, 'uniform' now"),
        (("--clips", 1), {}, {"sampling_rate": 2}, "processor.sampling_rate: 3 there, 2 now"),
        (("--clips", 1), {"fps": 5}, {"fps": 6}, "processor.fps: 5 there, 6 now"),
        (("--clips", 1), {"fps": 5}, {"fps": 5, "num_frames": 8, "sampling": "uniform"}, None),
        (("--clips", 1), {"do_sample_frames": False}, {"do_sample_frames": False, "sampling": "uniform"}, None),
        (("--clips", 1), {"sampling": "uniform"}, {"sampling": "uniform", "sampling_rate": 2}, None),
        (("--window", "12f"), {}, {"sampling": "uniform", "sampling_rate": 2, "do_sample_frames": False}, None),
        ((), {}, {"num_crops": 3, "num_clips": 2, "do_convert_rgb": False}, None),
        ((), {}, {"image_mean": 0.5}, "processor.image_mean"),
        ((), {"do_normalize": False}, {"do_normalize": False, "image_mean": 0.5}, None),
        ((), OF_BYTES, OF_BYTES | {"rescale_factor": 1 / 127.5}, None),
        ((), {}, {"resample": 3}, "processor.resample"),
    ],
)
def test_settings_of_the_processor_count_where_they_change_values(
    model: Path, videos: Path, tmp_path: Path, arguments: tuple, before: dict, now: dict, difference: str | None
) -> None:
    film = videos / "sub" / "a.mp4"
    for name, settings in (("before", before), ("now", now)):
        VideoMAEv2VideoProcessor(**SIZES | settings).save_pretrained(tmp_path / name)
    result = run(model, film, "--out", tmp_path / "out", "--processor", tmp_path / "before", *arguments)
    assert result.exit_code == 0, result.output
    result = run(model, film, "--out", tmp_path / "out", "--processor", tmp_path / "now", *arguments)
    assert (difference or "The video is finished already.") in result.stderr


@pytest.mark.parametrize(
    ("setting", "value"),
    [("hidden_act", "relu"), ("layer_norm_eps", 0.1), ("num_attention_heads", 2), ("position_grid", [2, 2, 2])],
)
def test_settings_of_the_model_count_as_its_weights_do(
    model: Path, videos: Path, tmp_path: Path, setting: str, value: object
) -> None:
    film, other = videos / "sub" / "a.mp4", tmp_path / "other"
    shutil.copytree(model, other)
    config = json.loads((other / "config.json").read_text())
    assert config[setting] != value
    (other / "config.json").write_text(json.dumps(config | {setting: value, "drop_path_rate": 0.1}))
    assert run(other, film, "--out", tmp_path / "out").exit_code == 0
    recorded = "table_grid" if setting == "position_grid" else setting
    assert f"(model.{recorded}: {value!r} there, " in run(model, film, "--out", tmp_path / "out").stderr


@pytest.mark.parametrize("arguments", [(), ("--clips", 1)])
def test_how_frames_in_memory_are_laid_out_says_nothing_of_those_of_a_file(
    model: Path, videos: Path, tmp_path: Path, arguments: tuple
) -> None:
    VideoMAEv2VideoProcessor(**SIZES, input_data_format="channels_last").save_pretrained(tmp_path / "last")
    for out, extra in (("plain", ()), ("last", ("--processor", tmp_path / "last"))):
        result = run(model, videos / "a.mp4", "--out", tmp_path / "out" / out, *arguments, *extra)
        assert result.exit_code == 0, result.output
    plain, last = (load(tmp_path / "out" / name / "a.mp4.safetensors")["features"] for name in ("plain", "last"))
    assert torch.equal(plain, last)


@pytest.mark.parametrize(("content", "words"), [("{", "is not valid JSON"), ("[]", "must hold a JSON object")])
def test_damaged_settings_are_named(model: Path, videos: Path, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    result = run(model, videos, "--out", tmp_path)
    assert result.exit_code == 1
    assert f"settings.json {words}" in result.stderr
    assert "Choose another folder" in result.stderr


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"name": "a.mp4", "file": "a"}', "[" * 100_000])
def test_a_damaged_line_of_the_index_is_named(model: Path, videos: Path, tmp_path: Path, line: str) -> None:
    run(model, videos / "a.mp4", "--out", tmp_path / "out")
    with open(tmp_path / "out" / "index.jsonl", "a") as file:
        file.write(f"{line}\n")
    result = run(model, videos / "a.mp4", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert f"Line 2 of {tmp_path / 'out' / 'index.jsonl'} is damaged" in result.stderr
    assert "Delete the line" in result.stderr


INDEX_LINE = {
    "name": "a.mp4", "video": "videos/a.mp4", "file": "a.mp4.safetensors", "bytes": 10, "file_bytes": 20,
    "shape": [2, 32], "duration": 1.0, "fps": 25, "start": [0, 0.5], "end": [0.5, 1.0],
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", 3, "`name` must be text, got 3"),
        ("name", ["a.mp4"], "`name` must be text, got ['a.mp4']"),
        ("video", None, "`video` must be text, got None"),
        ("file", 7, "`file` must be text, got 7"),
        ("place", 7, "`place` must be text or null, got 7"),
        ("bytes", "10", "`bytes` must be a whole number or null, got '10'"),
        ("bytes", True, "`bytes` must be a whole number or null, got True"),
        ("file_bytes", None, "`file_bytes` must be a whole number, got None"),
        ("duration", "1", "`duration` must be a number, got '1'"),
        ("fps", [], "`fps` must be a number, got []"),
        ("start", 0.5, "`start` must be a list of numbers, got 0.5"),
        ("end", [0.5, None], "`end` must be a list of numbers, got [0.5, None]"),
        ("end", [0.5], "`start` and `end` must be of one length, got 2 and 1"),
    ],
)
def test_a_line_of_the_index_with_a_value_of_another_type_is_named(
    tmp_path: Path, field: str, value: object, words: str
) -> None:
    FeatureStore(tmp_path, {})
    index = tmp_path / "index.jsonl"
    index.write_text(json.dumps(INDEX_LINE) + "\n" + json.dumps(INDEX_LINE | {"bytes": None}) + "\n")
    FeatureStore(tmp_path, {})
    with open(index, "a") as file:
        file.write(json.dumps(INDEX_LINE | {field: value}) + "\n")
    with pytest.raises(ValueError, match=rf"^Line 3 of {index} is damaged: {re.escape(words)}\. Delete the line"):
        FeatureStore(tmp_path, {})


@pytest.mark.parametrize(("tokens", "vectors"), [("clip", 1), ("tubelet", 2), ("all", 32)])
def test_a_video_whose_features_do_not_fit_into_the_memory_is_reported_and_the_rest_goes_on(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: str, vectors: int
) -> None:
    size, out = 5 * vectors * 32 * 4, tmp_path / "out"  # clips, vectors of each, width, bytes
    command = (model, videos, "--out", out, "--tokens", tokens, "--batch-size", 1)
    monkeypatch.setattr(feature_values, "MAX_BYTES", size - 1)
    result = run(*command)
    assert result.exit_code == 1
    assert f"The features of {videos / 'a.mp4'} would take" in result.stderr
    assert "2 videos written to" in result.stderr
    assert "1 of 3 videos could not be read, or not to the end; see above." in result.stderr
    assert list(index_of(out)) == ["sub/a.mp4", "sub/b.avi"]
    monkeypatch.setattr(feature_values, "MAX_BYTES", size)
    assert run(*command).exit_code == 0
    assert load(out / "a.mp4.safetensors")["features"].nbytes == size


@needs_avx2
def test_8_bit_features_are_near(model: Path, videos: Path, tmp_path: Path) -> None:
    found = []
    for name, extra in (("plain", ()), ("quantized", ("--quantize",))):
        result = run(model, videos / "a.mp4", "--out", tmp_path / name, *extra)
        assert result.exit_code == 0, result.output
        found.append(load(tmp_path / name / "a.mp4.safetensors")["features"])
    plain, quantized = found
    assert 1e-4 < (quantized - plain).norm() / plain.norm() < 0.05


def test_the_weights_count_and_not_where_they_lie(model: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(model, videos, "--out", out).exit_code == 0
    assert "3 of 3" in run(save(tmp_path / "copy"), videos, "--out", out).stderr
    tiny_model(VideoMAEv2Model, seed=1).save_pretrained(tmp_path / "copy")
    result = run(tmp_path / "copy", videos, "--out", out)
    assert result.exit_code == 1
    assert "model: " in result.stderr


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(model: Path, videos: Path, tmp_path: Path) -> None:
    (videos / "broken.mp4").write_bytes(b"nothing")
    cut = encode(videos / "cut.mkv", num_frames=100)
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * 0.6)])
    result = run(model, videos, tmp_path / "absent.mp4", "--out", tmp_path / "out", "--workers", 2)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"There is no video {tmp_path / 'absent.mp4'}; the others go on.\n")
    assert "3 of 6 videos could not be read" in result.stderr
    assert all(result.stderr.count(name) == 1 for name in ("broken.mp4", "cut.mkv"))
    assert "3 videos written to" in result.stderr
    assert list(index_of(tmp_path / "out")) == ["a.mp4", "sub/a.mp4", "sub/b.avi"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tokens", "some"), "must be one of"),
        (("--format", "csv"), "must be one of"),
        (("--clips", "2", "--stride", "1"), "Leave out one"),
        (("--clips", 10**10), "`num_clips` (10000000000) x `num_frames` (4) are more frames than a video has"),
        (("--part", "0/2"), "`--part` must be a number and how many there are, 1/8 to 8/8 of eight, got '0/2'"),
        (("--part", "3/2"), "got '3/2': write it as K/N with 1 <= K <= N, such as 2/8."),
        (("--part", "1"), "got '1'"),
        (("--part", "1/2/3"), "got '1/2/3'"),
        (("--part", "1/2", "--parquet"), "run the command once more with `--parquet`, and without `--part`"),
        (("--quantize", "--dtype", "float16", "--device", "cpu"), "not on cpu in torch.float16"),
    ],
)
def test_wrong_wishes_are_refused_before_anything_is_done(
    model: Path, videos: Path, tmp_path: Path, arguments: tuple, words: str
) -> None:
    result = run(model, videos, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["av", "pyarrow"])
def test_a_missing_package_is_said_before_anything_is_done(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = run(model, videos, "--out", tmp_path / "out", "--parquet")
    assert result.exit_code == 1
    assert "pip install" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_or_file_of_something_else_is_left_alone(model: Path, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "must name a folder" in run(model, videos, "--out", tmp_path / "file").stderr
    said = run(model, videos, "--out", tmp_path / "file" / "below").stderr
    assert re.search(f"cannot be made: {NOT_A_DIRECTORY}", said)
    assert "`--out` (s3:/me/features) is an address" in run(model, videos, "--out", "s3://me/features").stderr
    assert not Path("s3:").exists()
    (tmp_path / "index.jsonl").write_text("mine\n")
    assert "settings.json" in run(model, videos, "--out", tmp_path).stderr
    assert (tmp_path / "index.jsonl").read_text() == "mine\n"


# ---- decoding ahead


def clip(number: int, count: int) -> Clip:
    return Clip(number, count, 0.0, 1.0, 1.0, 25.0, torch.zeros(1, 1, 3, 2, 2, dtype=torch.uint8))


@pytest.mark.parametrize("workers", [1, 4])
def test_decoding_waits_for_the_model(workers: int) -> None:
    lock, decoded, used = threading.Lock(), 0, 0

    def decode(video: int):
        nonlocal decoded
        for number in range(10):
            with lock:
                decoded += 1
            yield clip(number, 10)

    order = []
    with DecodeAhead(list(range(6)), decode, workers, ahead=3) as ahead:
        for video, item in ahead:
            if isinstance(item, Finished):
                continue
            order.append((video, item.number))
            used += 1
            time.sleep(0.002)
            assert decoded - used <= 2 * 3 + workers  # kept ready, and one in the hands of each thread
    assert order == [(video, number) for video in range(6) for number in range(10)]


def test_a_fault_of_the_program_is_no_bad_video() -> None:
    def decode(video: int):
        yield clip(0, 2)
        raise (ValueError("bad video") if video == 0 else ZeroDivisionError("a fault"))

    with DecodeAhead([0, 1], decode) as ahead:
        items = iter(ahead)
        assert [type(next(items)[1]) for _ in range(3)] == [Clip, Finished, Clip]
        with pytest.raises(ZeroDivisionError):
            next(items)


@pytest.fixture
def checkpoint(model: Path) -> Checkpoint:
    return load_checkpoint(str(model), "features", device="cpu")


@pytest.mark.parametrize(("compile", "batches"), [(False, [2, 1, 2, 1]), (True, [2, 2, 2, 2])])
def test_batches_are_of_clips_that_are_alike(checkpoint: Checkpoint, compile: bool, batches: list[int]) -> None:
    """Frames that are not cropped have the size of the film; one that is compiled gets full batches."""

    def decode(video: int):
        for number in range(3):
            views = torch.full((1, 4, 3, 16, 16 + 4 * video), number, dtype=torch.uint8)
            yield Clip(number, 3, 0.0, 1.0, 1.0, 25.0, views)

    def forward(net: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        return pixels.mean(dim=(1, 2, 3, 4))

    seen: list[int] = []
    runner = BatchRunner(checkpoint, forward, batch_size=2, compile=compile)
    with DecodeAhead([0, 1], decode) as ahead:
        results = [event for event in runner.run(ahead) if not isinstance(event, Finished)]
    assert seen == batches
    assert [(result.video, result.clip.number) for result in results] == [(v, n) for v in (0, 1) for n in range(3)]
    values = torch.cat([result.outputs for result in results])
    torch.testing.assert_close(values[:3], values[3:])
    assert (values[:3].diff() > 0).all()
    assert all(result.clip.views.numel() == 0 for result in results)


def test_a_memory_that_is_too_small_is_said(checkpoint: Checkpoint) -> None:
    def forward(net: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    runner = BatchRunner(checkpoint, forward, batch_size=2)
    with (
        DecodeAhead([0], lambda _: (clip(i, 1) for i in range(1))) as ahead,
        pytest.raises(ValueError, match=r"too small for 1 clips .* Lower `--batch-size` \(now 2\)"),
    ):
        list(runner.run(ahead))


def test_threads_end_when_nobody_listens() -> None:
    before = threading.active_count()

    def decode(video: int):
        yield from (clip(number, 1000) for number in range(1000))

    with DecodeAhead([0, 1, 2], decode, workers=3, ahead=2) as ahead:
        next(iter(ahead))
    assert threading.active_count() == before


def test_features_do_not_go_into_a_model(model: Path, videos: Path, tmp_path: Path) -> None:
    before = sorted(model.iterdir())
    result = run(model, videos / "a.mp4", "--out", model)
    assert result.exit_code == 1
    assert "holds a model (config.json)" in " ".join(result.stderr.split())
    assert sorted(model.iterdir()) == before
    assert run(model, videos / "a.mp4", "--out", tmp_path / "out").exit_code == 0
    (tmp_path / "out" / "config.json").touch()  # of whatever
    assert "finished already" in run(model, videos / "a.mp4", "--out", tmp_path / "out").stderr


def test_one_video_is_said_in_the_singular(model: Path, videos: Path, tmp_path: Path) -> None:
    results = [run(model, videos / "a.mp4", "--out", tmp_path / "out") for _ in range(2)]
    assert results[0].stderr.startswith("1 video written to")
    assert results[1].stderr == "The video is finished already.\n"
