# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The scripts in `examples/`, tiny, in this process."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor


pytest.importorskip("av")
from tiny import tiny_model

from training.motion import MotionOptions, write_motion_dataset


EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
ALLOWED = {"modeling_videomae_v2", "transformers", "datasets", "peft", "accelerate", "torch", "numpy"}
ONE_EPOCH = ["--use_cpu", "--num_train_epochs", "1", "--disable_tqdm", "true"]


pytestmark = pytest.mark.usefixtures("fresh_processes")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "motion"
    options = MotionOptions(train_clips_per_class=2, test_clips_per_class=1, size=48, min_frames=8, max_frames=9)
    write_motion_dataset(folder, options, workers=1)
    return folder


@pytest.fixture(scope="module")
def model(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first example leaves."""
    folder = tmp_path_factory.mktemp("runs") / "trainer"
    metrics = example("finetune_with_trainer").main(["--data", str(films), "--output_dir", str(folder), *ONE_EPOCH])
    assert 0.0 <= metrics["eval_top1"] <= 1.0
    return folder


def example(name: str) -> ModuleType:
    path = next(path for path in EXAMPLES if path.stem == name)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_short_and_on_public_names_only(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 120
    tree = ast.parse(text)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    within = [node for function in functions for part in function.body for node in ast.walk(part)]
    # workers of a `DataLoader` that are not forked would not find it
    assert not any(isinstance(node, (ast.FunctionDef, ast.Lambda)) for node in within)
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = [name.name for node in imports if isinstance(node, ast.Import) for name in node.names]
    modules += [node.module for node in imports if isinstance(node, ast.ImportFrom)]
    own = [module for module in modules if module.startswith("modeling_videomae_v2")]
    assert own == ["modeling_videomae_v2"]
    others = {module.split(".")[0] for module in modules} - ALLOWED
    assert others <= {"sys", "argparse", "collections", "dataclasses", "functools", "pathlib", "typing"}


@pytest.mark.slow
def test_with_trainer(model: Path, films: Path) -> None:
    tuned = VideoMAEv2ForVideoClassification.from_pretrained(model)
    assert sorted(tuned.config.label2id) == sorted(path.name for path in (films / "train").iterdir())
    processor = VideoMAEv2VideoProcessor.from_pretrained(model)
    assert processor(next(films.rglob("*.mp4")), return_tensors="pt")["pixel_values"].shape == (1, 8, 3, 48, 48)


@pytest.mark.slow
def test_datasets(films: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    options = ["--data", str(films), "--output", str(tmp_path), "--epochs", "1"]
    assert 0.0 <= example("finetune_datasets").main(options) <= 1.0
    tuned = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    assert tuned.config.num_labels == len(list((films / "train").iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["finetune_with_trainer", "finetune_datasets", "finetune_lora"])
def test_videos_become_what_the_checkpoint_was_trained_on(name: str, model: Path, films: Path, tmp_path: Path) -> None:
    for package in ("datasets", "peft"):
        pytest.importorskip(package)
    start = shutil.copytree(model, tmp_path / "start")
    VideoMAEv2VideoProcessor.from_pretrained(start, sampling="dense", image_mean=[0.1, 0.2, 0.3]).save_pretrained(start)
    out, last = ("--output", ["--epochs", "1"]) if name == "finetune_datasets" else ("--output_dir", ONE_EPOCH)
    example(name).main(["--data", str(films), "--model", str(start), out, str(tmp_path / "tuned"), *last])
    (written,) = (tmp_path / "tuned").rglob("video_preprocessor_config.json")
    used = VideoMAEv2VideoProcessor.from_pretrained(written.parent)
    assert (used.sampling, list(used.image_mean)) == ("dense", [0.1, 0.2, 0.3])


@pytest.mark.slow
@pytest.mark.filterwarnings("error:`gradient_checkpointing` is deprecated")
def test_lora(model: Path, films: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    options = ["--data", str(films), "--model", str(model), "--output_dir", str(tmp_path), "--rank", "2", *ONE_EPOCH]
    assert 0.0 <= example("finetune_lora").main(options)["eval_top1"] <= 1.0
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    _, info = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("name", ["finetune_with_trainer", "finetune_lora"])
def test_one_of_several_processes_writes(name: str, model: Path, films: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    script = next(path for path in EXAMPLES if path.stem == name)
    options = ["--data", films, "--model", model, "--output_dir", tmp_path / "tuned", *ONE_EPOCH]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launcher, script, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    (written,) = (tmp_path / "tuned").rglob("model.safetensors")
    VideoMAEv2ForVideoClassification.from_pretrained(written.parent)
    VideoMAEv2VideoProcessor.from_pretrained(written.parent)
    assert done.stdout.count("'eval_top1'") == 3  # after the epoch, at the end, and as the result


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_is_not_there_is_said(path: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("datasets", "peft"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    main, nowhere, half = example(path.stem).main, str(tmp_path / "nowhere"), tmp_path / "half"
    shutil.copytree(films / "train", half / "train")
    for data, start, said in (
        (nowhere, nowhere, f"--data {nowhere} must be"),
        (str(half), nowhere, f"--data {half} must .* test"),
        (str(films), nowhere, f"--model {nowhere} must be a folder or a name on the Hub"),
    ):
        with pytest.raises(SystemExit, match=said):
            main(["--data", data, "--model", start])
    assert [entry.name for entry in tmp_path.iterdir()] == ["half"]


@pytest.mark.parametrize("name", ["finetune_with_trainer", "finetune_lora"])
def test_hidden_files_and_folders_without_videos_are_no_videos_and_no_classes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    script, seen = example(name), []
    for file in ("jump/a.mp4", "jump/._a.mp4", "run/b.mp4", ".ipynb_checkpoints/c.mp4", "empty"):
        for part in ("train", "test"):
            path = tmp_path / part / file
            (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.write_bytes(b"")

    class Trainer:
        def __init__(self, model: object, training: object, train_dataset: object, **others: object) -> None:
            seen.append(train_dataset)
            raise SystemExit

    tiny_model(VideoMAEv2ForVideoClassification).save_pretrained(tmp_path / "model")
    VideoMAEv2VideoProcessor().save_pretrained(tmp_path / "model")
    monkeypatch.setattr(script, "Trainer", Trainer)
    with pytest.raises(SystemExit):
        script.main(["--data", str(tmp_path), "--model", str(tmp_path / "model"), "--use_cpu"])
    assert [(path.name, label) for path, label in seen[0].videos] == [("a.mp4", 0), ("b.mp4", 1)]


def test_columns_that_the_data_set_lacks_are_said(films: Path) -> None:
    pytest.importorskip("datasets")
    for column in ("--label_column", "--video_column"):
        with pytest.raises(SystemExit, match=r"must name columns of the data set: .*'label': ClassLabel"):
            example("finetune_datasets").main(["--data", str(films), column, "nothing"])
