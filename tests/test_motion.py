# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The synthetic motion dataset: repeatable, complete, train and test apart, and only motion tells its classes apart."""

import functools
import json
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from systems import NOT_A_DIRECTORY, ends_by_request

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from training.motion import CLASSES, Clip, MotionOptions, encode_mp4, list_clips, render_clip, write_motion_dataset
from training.motion.__main__ import main
from training.motion.drawing import Track
from training.motion.scenes import PLACES, RADII, animate, draw_scene


SMALL = MotionOptions(train_clips_per_class=2, test_clips_per_class=1, size=32, min_frames=8, max_frames=10)
CLIPS_PER_CLASS = 50


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def tracks_of(class_name: str, seed: int) -> list[Track]:
    rng = np.random.default_rng(seed)
    return animate(draw_scene(rng, 32, 16, 24), class_name, rng)


@functools.lru_cache(maxsize=1)
def sampled_clips() -> tuple[np.ndarray, np.ndarray]:
    """First, middle and last frame of many clips as grey 8x8 pictures, `(N, 3, 64)`, and their labels `(N,)`."""
    options = MotionOptions(train_clips_per_class=CLIPS_PER_CLASS, size=32, min_frames=9, max_frames=12, seed=11)
    clips = list_clips(options, "train")
    pictures = []
    for clip in clips:
        frames = render_clip(clip, options)
        kept = frames[[0, len(frames) // 2, -1]].mean(-1).reshape(3, 8, 4, 8, 4).mean((2, 4))
        pictures.append(kept.reshape(3, 64))
    return np.stack(pictures) / 255, np.array([clip.label for clip in clips])


def held_out_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 of a ridge classifier fitted to one half and tried on the other."""
    features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    half = len(labels) // 2
    train, test = features[:half], features[half:]
    targets = np.eye(len(CLASSES))[labels[:half]]
    weights = np.linalg.solve(train.T @ train + np.eye(train.shape[1]), train.T @ targets)
    return float(((test @ weights).argmax(1) == labels[half:]).mean())


class TestPixels:
    def test_equal_options_give_equal_pixels_and_bytes(self) -> None:
        pytest.importorskip("av")
        clip = Clip("train", CLASSES.index("two_meet"), 3)
        first, second = render_clip(clip, SMALL), render_clip(clip, SMALL)
        assert first.dtype == np.uint8
        assert first.shape[1:] == (32, 32, 3)
        assert 8 <= len(first) <= 10
        np.testing.assert_array_equal(first, second)
        assert encode_mp4(first, 12) == encode_mp4(second, 12)

    def test_a_clip_does_not_depend_on_how_many_there_are(self) -> None:
        more = MotionOptions(train_clips_per_class=9, size=32, min_frames=8, max_frames=10)
        clip = Clip("train", 4, 1)
        np.testing.assert_array_equal(render_clip(clip, SMALL), render_clip(clip, more))

    def test_seed_split_class_and_number_give_other_clips(self) -> None:
        other_seed = MotionOptions(size=32, min_frames=8, max_frames=10, seed=1)
        clips = [
            render_clip(Clip(split, label, i), SMALL) for split in ("train", "test") for label in (0, 1) for i in (0, 1)
        ]
        clips.append(render_clip(Clip("train", 0, 0), other_seed))
        assert len({clip[0].tobytes() for clip in clips}) == len(clips)

    def test_train_and_test_share_no_texture(self) -> None:
        def textures(split: str) -> set[bytes]:
            found = set()
            for clip in list_clips(SMALL, split):
                seeds = np.random.SeedSequence([SMALL.seed, ("train", "test").index(split), clip.label, clip.index])
                scene = draw_scene(np.random.default_rng(seeds.spawn(2)[0]), 32, 8, 10)
                found |= {thing.look.texture.tobytes() for thing in (*scene.things, scene.spare)}
                found.add(scene.background.tobytes())
            return found

        train, test = textures("train"), textures("test")
        assert len(train) > 24 * 3
        assert not train & test


class TestMotions:
    @pytest.mark.parametrize(("name", "axis", "sign"), [
        ("moves_left", "x", -1), ("moves_right", "x", 1), ("moves_up", "y", -1), ("moves_down", "y", 1),
    ])  # fmt: skip
    def test_moves_at_least_a_quarter_of_the_frame(self, name: str, axis: str, sign: int) -> None:
        for seed in range(20):
            actor = tracks_of(name, seed)[0]
            along, across = (actor.x, actor.y) if axis == "x" else (actor.y, actor.x)
            assert sign * (along[-1] - along[0]) >= 0.25
            assert np.all(sign * np.diff(along) > 0)
            assert np.ptp(across) == 0
            assert along.min() >= PLACES[0] - 1e-6
            assert along.max() <= PLACES[1] + 1e-6

    @pytest.mark.parametrize(("name", "sign"), [("approaches", 1), ("recedes", -1)])
    def test_sizes_change_by_half_at_least_and_stay_in_range(self, name: str, sign: int) -> None:
        for seed in range(20):
            radius = tracks_of(name, seed)[0].radius
            assert sign * np.log(radius[-1] / radius[0]) >= np.log(1.5)
            assert RADII[0] - 1e-6 <= radius.min() <= radius.max() <= RADII[1] + 1e-6

    @pytest.mark.parametrize(("name", "sign"), [("turns_clockwise", 1), ("turns_anticlockwise", -1)])
    def test_turns_by_a_quarter_at_least(self, name: str, sign: int) -> None:
        for seed in range(20):
            angle = tracks_of(name, seed)[0].angle
            assert sign * (angle[-1] - angle[0]) >= np.pi / 2

    @pytest.mark.parametrize(("name", "sign"), [("two_meet", -1), ("two_part", 1)])
    def test_two_come_together_or_part(self, name: str, sign: int) -> None:
        for seed in range(20):
            one, other = tracks_of(name, seed)[:2]
            distance = np.hypot(one.x - other.x, one.y - other.y)
            assert sign * (distance[-1] - distance[0]) >= 0.25
            assert np.all(sign * np.diff(distance) > 0)

    @pytest.mark.parametrize(("name", "sign"), [("appears", 1), ("vanishes", -1)])
    def test_is_there_for_about_half_of_the_clip(self, name: str, sign: int) -> None:
        shares = []
        for seed in range(40):
            changing = [t.opacity for t in tracks_of(name, seed) if np.ptp(t.opacity) > 0]
            assert len(changing) == 1
            assert changing[0][-1] - changing[0][0] == sign
            shares.append(changing[0].mean())
        assert 0.4 < np.mean(shares) < 0.6

    def test_the_neighbour_does_not_go_anywhere(self) -> None:
        for name in CLASSES:
            if not name.startswith("two"):
                neighbour = tracks_of(name, 5)[1]
                assert max(np.ptp(neighbour.x), np.ptp(neighbour.y), np.ptp(neighbour.radius)) == 0


class TestStillsTellNothing:
    @pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "middle", "last"])
    def test_one_frame_is_near_chance(self, which: int) -> None:
        pictures, labels = sampled_clips()
        assert held_out_accuracy(pictures[:, which], labels) < 0.16  # chance is 0.083, its deviation here 0.016

    @pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "middle", "last"])
    def test_brightness_hardly_depends_on_the_class(self, which: int) -> None:
        pictures, labels = sampled_clips()
        brightness = pictures[:, which].mean(1)
        means = np.array([brightness[labels == label].mean() for label in range(len(CLASSES))])
        assert np.abs(means - brightness.mean()).max() < 0.75 * brightness.std()  # what recedes is large at first

    def test_motion_tells_the_class_even_to_a_linear_model(self) -> None:
        pictures, labels = sampled_clips()
        assert held_out_accuracy(pictures[:, 2] - pictures[:, 0], labels) > 0.25

    def test_number_of_objects_does_not_depend_on_the_class(self) -> None:
        for when in (0, -1):
            counts = [
                np.mean([sum(t.opacity[when] > 0 for t in tracks_of(name, seed)) for seed in range(40)])
                for name in CLASSES
            ]
            assert max(counts) - min(counts) < 1.3  # appearing and vanishing make half an object more or less


@pytest.mark.skipif(find_spec("av") is None, reason="needs the package av")
class TestFolder:
    def test_writes_lists_and_files_that_decode(self, tmp_path: Path) -> None:
        write_motion_dataset(tmp_path / "data", SMALL)
        assert (tmp_path / "data/classes.txt").read_text().split() == sorted(CLASSES)
        record = json.loads((tmp_path / "data/dataset.json").read_text())
        assert record["options"]["seed"] == 0
        assert record["clips"] == {"train": 24, "test": 12}
        for split, count in record["clips"].items():
            lines = (tmp_path / f"data/{split}.txt").read_text().splitlines()
            assert len(lines) == count
            assert [int(line.split()[1]) for line in lines[:12]] == list(range(12))  # any head of the list is balanced
            for line in lines:
                path, label = line.split()
                assert path.split("/")[:2] == [split, CLASSES[int(label)]]
                assert (tmp_path / "data" / path).read_bytes()[4:8] == b"ftyp"
        processor = VideoMAEv2VideoProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        files = [str(tmp_path / "data/train" / name / "00001.mp4") for name in CLASSES[:2]]
        assert processor(files, return_tensors="pt")["pixel_values"].shape[0] == 2

    def test_some_classes_are_numbered_from_zero_and_look_as_among_all(self, tmp_path: Path) -> None:
        options = {"train_clips_per_class": 1, "test_clips_per_class": 0, "size": 32, "min_frames": 8, "max_frames": 10}
        write_motion_dataset(tmp_path / "all", MotionOptions(**options))
        write_motion_dataset(tmp_path / "some", MotionOptions(**options, classes=("vanishes", "moves_up")))
        assert (tmp_path / "some/train.txt").read_text() == ("train/moves_up/00000.mp4 0\ntrain/vanishes/00000.mp4 1\n")
        assert (tmp_path / "some/classes.txt").read_text() == "moves_up\nvanishes\n"
        for path in ("train/moves_up/00000.mp4", "train/vanishes/00000.mp4"):
            assert (tmp_path / "some" / path).read_bytes() == (tmp_path / "all" / path).read_bytes()

    def test_a_file_shows_what_was_drawn(self) -> None:
        av = pytest.importorskip("av")
        import io

        frames = render_clip(Clip("test", 7, 0), MotionOptions(min_frames=12, max_frames=12))
        with av.open(io.BytesIO(encode_mp4(frames, 10))) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            assert container.streams.video[0].average_rate == 10
            decoded = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        assert decoded.shape == frames.shape
        assert np.abs(decoded.astype(int) - frames).mean() < 8

    def test_an_interrupted_write_is_completed_and_a_finished_one_left_alone(self, tmp_path: Path) -> None:
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        write_motion_dataset(whole, SMALL)

        def stop(done: int, total: int) -> None:
            if done == 7:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_motion_dataset(broken, SMALL, progress=stop)
        assert len(list(broken.rglob("*.mp4"))) == 7
        (broken / "train/appears/.00001.mp4.99.part").write_bytes(b"cut off")
        counts: list[tuple[int, int]] = []
        write_motion_dataset(broken, SMALL, progress=lambda done, total: counts.append((done, total)))
        assert counts == [(n, 36) for n in range(8, 37)]
        assert files_of(broken) == files_of(whole)
        times = {p: p.stat().st_mtime_ns for p in whole.rglob("*.mp4")}
        write_motion_dataset(whole, SMALL, progress=lambda *_: pytest.fail("nothing was to be written"))
        assert times == {p: p.stat().st_mtime_ns for p in whole.rglob("*.mp4")}

    @pytest.mark.multiprocess
    @pytest.mark.slow
    def test_two_workers_write_the_same_bytes(self, tmp_path: Path) -> None:
        write_motion_dataset(tmp_path / "one", SMALL, workers=1)
        write_motion_dataset(tmp_path / "two", SMALL, workers=2)
        assert files_of(tmp_path / "one") == files_of(tmp_path / "two")

    @pytest.mark.slow
    @pytest.mark.multiprocess
    @pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
    @ends_by_request
    def test_workers_end_with_the_command(self, tmp_path: Path, ending: str) -> None:
        pytest.importorskip("av")
        number = getattr(signal, ending)
        command = [sys.executable, "-m", "training.motion", str(tmp_path / "data"), "--workers", "2"]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.PIPE)
        while not list(tmp_path.rglob("*.mp4")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=60)  # the workers have the other end of the pipe
        assert process.returncode == (-number if ending == "SIGKILL" else 128 + number)

    def test_foreign_folders_are_refused(self, tmp_path: Path) -> None:
        options = MotionOptions(train_clips_per_class=0, test_clips_per_class=1, size=32, min_frames=8, max_frames=8)
        write_motion_dataset(tmp_path / "data", options)
        with pytest.raises(FileExistsError, match=r"options\.train_clips_per_class.* 0, not 2"):
            write_motion_dataset(tmp_path / "data", SMALL)
        (tmp_path / "data/dataset.json").write_text("{")
        with pytest.raises(ValueError, match=r"dataset\.json cannot be read"):
            write_motion_dataset(tmp_path / "data", options)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/thesis.txt").write_text("keep")
        with pytest.raises(FileExistsError, match="not empty"):
            write_motion_dataset(tmp_path / "mine", SMALL)
        assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
        with pytest.raises(FileExistsError, match=r"thesis\.txt is a file"):
            write_motion_dataset(tmp_path / "mine/thesis.txt", SMALL)


class TestOptions:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"size": 81}, "even"),
            ({"size": 16}, "`size` must be at least 32, got 16"),
            ({"min_frames": 4}, "`min_frames` must be at least 8"),
            ({"min_frames": 50}, "must not be below `min_frames`"),
            ({"fps": 0}, "`fps`"),
            ({"seed": -1}, "`seed`"),
            ({"seed": 1.5}, "whole number"),
            ({"train_clips_per_class": 0, "test_clips_per_class": 0}, "nothing to write"),
            ({"classes": ("two_meet", "sings")}, "some of appears, .*; sings is unknown"),
            ({"classes": ("two_meet", "two_meet")}, "names a class twice"),
        ],
    )
    def test_bad_values_are_named(self, values: dict[str, int], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            MotionOptions(**values)

    def test_workers_below_one(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="workers"):
            write_motion_dataset(tmp_path / "data", SMALL, workers=0)
        assert not (tmp_path / "data").exists()

    def test_command_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("av")
        arguments = ["--train-clips-per-class", "0", "--test-clips-per-class", "1", "--size", "32", "--workers", "1"]
        main([str(tmp_path / "data"), *arguments, "--min-frames", "8", "--max-frames", "8"])
        assert len(list((tmp_path / "data/test").rglob("*.mp4"))) == 12
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main([str(tmp_path / "other"), "--size", "33"])
        said = capsys.readouterr().err
        assert "`size` must be even" in said
        assert said.startswith("usage:")  # and not the bar of clips that are not written
        (tmp_path / "file").write_text("keep")
        for folder, message in ((str(tmp_path / "file/data"), NOT_A_DIRECTORY), ("s3://me/data", "is an address")):
            with pytest.raises(SystemExit):
                main([folder, *arguments])
            assert re.search(message, capsys.readouterr().err)

    def test_ctrl_c_is_no_fault(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("training.motion.__main__.write_motion_dataset", interrupted)
        with pytest.raises(SystemExit, match="130"):
            main([str(tmp_path / "data")])
        assert capsys.readouterr().err == "Stopped by Ctrl-C; the same command goes on from here.\n"
