# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pre-training from the command line, on real video files, in one process and in several."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fake_clips import TINY
from full_disk import full_disk
from PIL import Image
from processes import ENGINES, forget_processes, shards_on_cpu
from safetensors.torch import load_file

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2VideoProcessor
from training.checkpoint import complete_checkpoints
from training.cli import run_stage
from training.tasks import ClassificationTask, FineTuningRecipe, PreTrainingRecipe, PreTrainingTask


pytest.importorskip("av")
from video_files import encode


ROOT = Path(__file__).parents[1]
STEPS = 20
OPTIONS = {
    "ddp": ["--config_file", "training/accelerate/cpu.yaml"],
    "fsdp2": ["--config_file", "training/accelerate/fsdp2.yaml", "--num_processes", "2", "--mixed_precision", "no"],
}


pytestmark = pytest.mark.usefixtures("fresh_processes")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of four mp4 files each; moving noise, 24 frames of 48 x 40."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(8):
        path = folder / ("left" if i % 2 else "right") / f"{i}.mp4"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (40, 80, 3), dtype=np.uint8)
        encode(path, frames=np.stack([np.roll(noise, 2 * t, axis=1)[:, :48] for t in range(24)]), width=48, height=40)
    return folder


@pytest.fixture(scope="session")
def config_file(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    values = {
        **TINY,
        "data": {**TINY["data"], "sources": [{"path": str(videos), "kind": "folder"}]},
        "schedule": {"max_steps": STEPS, "warmup_steps": 4},
        "checkpoint": {"every": 10, "keep": 1},
    }
    del values["output_dir"]
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def run_here(config_file: Path, *arguments: str) -> int:
    return run_stage(PreTrainingRecipe, PreTrainingTask, ["--config", str(config_file), *arguments])


def launch(launcher: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`accelerate launch ...`, one thread each, in the folder of the checkout."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", *launcher, *arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ACCELERATE_", "FSDP_"))}
    environment = {**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def one_process(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "run"
    assert run_here(config_file, "--output_dir", str(folder)) == 0
    forget_processes()
    return folder


def test_from_files_to_a_model(config_file: Path, videos: Path, tmp_path: Path) -> None:
    """A list with a broken file in it, whose name is no text; two runs, the second of which goes on from the first."""
    broken = tmp_path / os.fsdecode(b"br\xf6ken.mp4")
    broken.write_bytes((videos / "left" / "1.mp4").read_bytes()[:700])
    listed = tmp_path / "list.txt"
    lines_of_list = [os.fsencode(path) + b" 0 -1\n" for path in [*sorted(videos.rglob("*.mp4")), broken]]
    listed.write_bytes(b"".join(lines_of_list))
    output = tmp_path / "run"
    arguments = [
        "--output_dir", str(output), "--data.max_bad_share", "0.6", "--tracking.picture_every", "2",
        "--data.sources", f"[{{kind: list, path: {listed}}}]",
        "--tracking.trackers", "[tensorboard]", "--checkpoint.every", "2",
    ]  # fmt: skip
    assert run_here(config_file, *arguments, "--schedule.max_steps", "4") == 0
    forget_processes()
    assert run_here(config_file, *arguments, "--schedule.max_steps", "6") == 0

    assert [line["step"] for line in lines(output)] == [1, 2, 3, 4, 5, 6]
    assert all(0.5 < line["loss"] < 2.0 for line in lines(output))
    assert (output / "unreadable.txt").read_bytes().startswith(os.fsencode(broken) + b": ")
    assert [path.name for path in complete_checkpoints(output / "checkpoints")] == ["step-00000006"]
    assert list((output / "logs").rglob("events.out.tfevents.*"))
    with Image.open(output / "pictures" / "step-00000004.png") as picture:
        assert picture.size == (2 * 18, 3 * 18)

    model = VideoMAEv2ForPreTraining.from_pretrained(output / "model")
    processor = VideoMAEv2VideoProcessor.from_pretrained(output / "model")
    inputs = processor(str(videos / "left" / "1.mp4"), return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 4, 3, 16, 16)
    assert model(**inputs).loss.isfinite()


def test_fine_tuning_from_files(one_process: Path, config_file: Path, tmp_path: Path) -> None:
    arguments = ["--config", str(config_file), "--output_dir", str(tmp_path), "--num_labels", "2",
                 "--labels", "[left, right]", "--model", f"{{init_from: {one_process / 'model'}}}",
                 "--schedule.max_steps", "6", "--tracking.trackers", "[]"]  # fmt: skip
    assert run_stage(FineTuningRecipe, ClassificationTask, arguments) == 0
    assert lines(tmp_path)[-1]["accuracy"] in [i / 8 for i in range(9)]


def test_a_checkpoint_to_start_from_that_is_none(
    config_file: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for start in (tmp_path / "nowhere", videos):
        assert run_here(config_file, "--output_dir", str(tmp_path / "run"), "--model.init_from", str(start)) == 2
        assert f"model.init_from ({start}) cannot be loaded: " in capsys.readouterr().err
        forget_processes()


def test_a_full_disk_is_said(config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with full_disk(20):
        assert run_here(config_file, "--output_dir", str(tmp_path), "--tracking.trackers", "[]") == 1
    assert f"{tmp_path / 'metrics.jsonl'} cannot be written: File too large." in capsys.readouterr().err


@pytest.mark.parametrize("where", ["training.cli.load_recipe", "training.tasks.PreTrainingTask.loss"])
def test_ctrl_c_is_no_fault(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, where: str
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    assert run_here(config_file, "--output_dir", str(tmp_path), "--tracking.trackers", "[]") == 130
    assert "Stopped by Ctrl-C, which writes nothing" in capsys.readouterr().err
    assert not complete_checkpoints(tmp_path / "checkpoints")


def test_steps_that_are_done_again_stand_in_the_metrics_once(config_file: Path, tmp_path: Path) -> None:
    """As after a process was killed, or its disk was full, after its last checkpoint and in the midst of a line."""
    arguments = ["--output_dir", str(tmp_path), "--schedule.max_steps", "4", "--tracking.trackers", "[]",
                 "--checkpoint.every", "2", "--checkpoint.keep", "2"]  # fmt: skip
    assert run_here(config_file, *arguments) == 0
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000004")
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("of somebody else\n" + metrics.read_text() + '{"step": 5, "lo')
    assert run_here(config_file, *arguments) == 0
    first, *others = metrics.read_text().splitlines()
    assert (first, [json.loads(line)["step"] for line in others]) == ("of somebody else", [1, 2, 3, 4])


def test_a_recipe_that_cannot_be_run(config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_here(config_file, "--output_dir", str(tmp_path), "--data.wrokers", "2") == 2
    assert "`data.wrokers` is no key of a recipe; did you mean `workers`?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_equal_one(config_file: Path, one_process: Path, tmp_path: Path, engine: str) -> None:
    """The same losses for 20 steps, and one folder that loads."""
    done = launch(
        OPTIONS[engine], "-m", "training.pretrain", "--config", str(config_file), "--output_dir", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "view tensor" not in done.stderr
    ours, theirs = lines(tmp_path), lines(one_process)
    assert len(ours) == STEPS
    for name in ("loss", "grad_norm"):
        assert [line[name] for line in ours] == pytest.approx([line[name] for line in theirs], rel=1e-5)
    state = json.loads((complete_checkpoints(tmp_path / "checkpoints")[-1] / "state.json").read_text())
    assert state["plan"]["num_processes"] == 2
    assert (state["engine"] == "FSDP") == (engine == "fsdp2")

    weights, expected = (load_file(path / "model" / "model.safetensors") for path in (tmp_path, one_process))
    assert weights.keys() == expected.keys()
    for name in weights:
        torch.testing.assert_close(weights[name], expected[name], rtol=1e-3, atol=1e-5)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"] == ["VideoMAEv2ForPreTraining"]
    _, info = VideoMAEv2ForPreTraining.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("engine", ENGINES)
def test_two_compiled_processes_equal_one(config_file: Path, one_process: Path, tmp_path: Path, engine: str) -> None:
    arguments = ["--output_dir", str(tmp_path), "--compile", "blocks", "--schedule.max_steps", "4"]
    done = launch(OPTIONS[engine], "-m", "training.pretrain", "--config", str(config_file), *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "recompile_limit" not in done.stderr
    expected = lines(one_process)[:2]  # then the rate falls for the shorter run
    for name in ("loss", "grad_norm"):
        assert [line[name] for line in lines(tmp_path)[:2]] == pytest.approx([e[name] for e in expected], rel=1e-4)


@shards_on_cpu
@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_engine_may_change_in_the_middle(tmp_path: Path) -> None:
    """Killed with FSDP2 on two processes, on with one process, killed again, on with DDP: as if nothing had been."""
    common = ["tests/fake_clips.py", "--schedule.max_steps", "8", "--output_dir"]
    single = ["--cpu", "--num_processes", "1"]
    straight, changing = tmp_path / "straight", tmp_path / "changing"
    assert launch(single, *common, str(straight)).returncode == 0
    died = launch(OPTIONS["fsdp2"], *common, str(changing), DIE_AT="training.loop:train_step 4")
    assert died.returncode != 0
    died = launch(single, *common, str(changing), DIE_AT="training.loop:train_step 4")
    assert died.returncode != 0
    assert "Number of processes: 2 -> 1" in died.stderr
    done = launch(OPTIONS["ddp"], *common, str(changing))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Number of processes: 1 -> 2" in done.stderr
    losses = [{line["step"]: line["loss"] for line in lines(folder)} for folder in (changing, straight)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(losses[0]) == 8


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_loss_on_one_process_stops_all(tmp_path: Path, engine: str) -> None:
    """Clip 20 is the first of the second process in step 3."""
    done = launch(
        OPTIONS[engine], "tests/fake_clips.py", "--output_dir", str(tmp_path), "--tracking.log_every", "2",
        POISONED_CLIP="20",
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.count("FloatingPointError: loss and grad_norm of step 3 are not finite") >= 2
    assert [path.name for path in complete_checkpoints(tmp_path / "checkpoints")] == ["step-00000002"]


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_process_group_is_asked_to_stop(config_file: Path, tmp_path: Path) -> None:
    """Workers that decode get the signal too, and all get it twice, as from a scheduler and from a launcher."""
    command = [sys.executable, "-m", "training.pretrain", "--config", str(config_file), "--output_dir", str(tmp_path),
               "--schedule.max_steps", "1000000", "--data.workers", "2", "--checkpoint.every", "1000000"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "metrics.jsonl").exists():
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            for _ in range(2):
                os.killpg(process.pid, signal.SIGTERM)
                time.sleep(0.02)
            status = process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert status == 128 + signal.SIGTERM, (tmp_path / "log").read_text()
    (checkpoint,) = complete_checkpoints(tmp_path / "checkpoints")
    assert json.loads((checkpoint / "state.json").read_text())["progress"]["step"] == lines(tmp_path)[-1]["step"]
    for _ in range(100):  # the workers have ended, too
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("Workers outlive the training.")
