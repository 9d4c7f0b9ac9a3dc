# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Distillation: its loss against float64, teachers unlike the student, resume."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from fake_clips import TINY, build_loader, tiny_values
from fake_distillation import CLASSES, distillation_recipe, make_teacher
from PIL import Image
from processes import ENGINES, forget_processes
from safetensors.torch import load_file
from tiny import clips, tiny_config, tiny_model

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2VideoProcessor,
)
from training.checkpoint import complete_checkpoints
from training.cli import run_stage
from training.loop import Run, fit, start, train
from training.recipe_parsing import RecipeError, build
from training.tasks import ClassificationTask, DistillationRecipe, DistillationTask, FineTuningRecipe
from training.tasks.distillation import distillation_loss
from training.tasks.teacher import Teacher, TeacherRecipe, resampled, same_classes


ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("fresh_processes")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_teacher(tmp_path_factory.mktemp("teacher"))


def begin(folder: Path, teacher: Path, **overrides: Any) -> Run:
    forget_processes()
    recipe = distillation_recipe(folder, teacher, **overrides)
    recipe.validate()
    return start(recipe, DistillationTask(recipe), build_loader)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    """Reference in float64, one clip and class at a time."""
    total = 0.0
    for ours, theirs in zip(student.double().numpy(), teacher.double().numpy()):
        p, q = (log_softmax(logits / temperature) for logits in (theirs, ours))
        total += sum(math.exp(a) * (a - b) for a, b in zip(p, q))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [1.0, 3.0, 10.0])
def test_the_loss_equals_float64(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student, theirs = (torch.randn(16, 11, generator=generator) * 3 for _ in range(2))
    ours = float(distillation_loss(student, theirs, temperature))
    assert ours == pytest.approx(divergence(student, theirs, temperature), rel=1e-6, abs=1e-6)
    assert float(distillation_loss(theirs, theirs, temperature)) == pytest.approx(0.0, abs=1e-6)
    assert float(distillation_loss(student + 5.0, theirs, temperature)) == pytest.approx(ours, rel=1e-5)


def test_the_factor_keeps_the_size_of_the_gradient() -> None:
    norms = []
    for temperature in (1.0, 3.0, 30.0):
        student = (torch.randn(64, 5, generator=torch.Generator().manual_seed(1)) * 0.1).requires_grad_()
        distillation_loss(student, torch.zeros(64, 5), temperature).backward()
        norms.append(float(student.grad.norm()))
    assert norms == pytest.approx([norms[0]] * 3, rel=0.05)


@pytest.mark.parametrize("label_weight", [0.0, 0.3])
def test_the_loss_of_the_task_is_that_of_both_models_on_the_same_clips(
    tmp_path: Path, teacher: Path, label_weight: float
) -> None:
    run = begin(tmp_path / "run", teacher, teacher__label_weight=label_weight, label_smoothing=0.1)
    run.model.eval()
    inputs = run.task.prepare(next(run.batches), 0, torch.device("cpu"))
    assert inputs["labels"].shape == (4, CLASSES)
    assert inputs["labels"].max() < 0.99  # mixed
    with torch.no_grad():
        ours = run.model(inputs["pixel_values"]).logits
    inputs["labels"] = torch.cat([ours[:1].softmax(1), (-ours[1:3]).softmax(1), inputs["labels"][3:]])  # right, wrong
    found = run.task.loss(run.model, inputs)

    model = VideoMAEv2ForVideoClassification.from_pretrained(teacher)
    with torch.no_grad():
        theirs = model(resampled(inputs["pixel_values"], 8, 24)).logits
    expected = divergence(ours, theirs, 3.0)
    entropy = -(inputs["labels"].double().numpy() * log_softmax(ours.double().numpy())).sum(axis=1).mean()
    assert found["loss"].item() == pytest.approx(label_weight * entropy + (1 - label_weight) * expected, abs=1e-6)
    assert float(found["agreement"]) == float((ours.argmax(1) == theirs.argmax(1)).float().mean())
    assert float(found["accuracy"]) in (0.25, 0.5)
    assert float(found["accuracy"]) == float((ours.argmax(1) == inputs["labels"].argmax(1)).float().mean())
    assert ("cross_entropy" in found) == (label_weight > 0)
    if label_weight:
        assert float(found["distillation"]) == pytest.approx(expected, abs=1e-6)
        assert float(found["cross_entropy"]) == pytest.approx(entropy, abs=1e-6)


def test_resampling() -> None:
    frames = torch.arange(16.0).view(1, 16, 1, 1, 1).expand(2, -1, 3, 8, 8)
    chosen = {n: resampled(frames, n, 8)[0, :, 0, 0, 0].tolist() for n in (16, 8, 4, 32, 5)}
    assert chosen[16] == list(range(16))
    assert chosen[8] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert chosen[4] == [2, 6, 10, 14]
    assert chosen[32] == [i // 2 for i in range(32)]
    assert chosen[5] == [1, 4, 8, 11, 14]
    pixels = clips(2, frames=3, size=24)
    assert resampled(pixels, 3, 24) is pixels
    for size in (32, 12):
        scaled = resampled(pixels, 3, size)
        assert scaled.shape == (2, 3, 3, size, size)
        picture = Image.fromarray(pixels[1, 2, 0].numpy())
        expected = np.array(picture.resize((size, size), Image.Resampling.BILINEAR))
        assert np.abs(scaled[1, 2, 0].numpy() - expected).max() < 1e-4


def made(folder: Path, student: VideoMAEv2Config | None = None, **options: Any) -> Teacher:
    processor = options.pop("processor", VideoMAEv2VideoProcessor())
    student = student or tiny_config(num_labels=CLASSES)
    return Teacher(TeacherRecipe(str(folder)), student, processor, torch.device("cpu"), **options)


@pytest.mark.parametrize(
    "config",
    [
        {"patch_size": 8, "image_size": 16, "num_frames": 4},
        {"patch_size": 7, "image_size": 28, "num_frames": 4},
        {"patch_size": 4, "image_size": 16, "num_frames": 6, "tubelet_size": 3},
        {"hidden_size": 48, "num_hidden_layers": 3, "use_mean_pooling": False},
    ],
    ids=lambda config: "-".join(config),
)
def test_teachers_of_other_shapes(tmp_path: Path, config: dict[str, Any]) -> None:
    make_teacher(tmp_path, **config)
    found, pixels = made(tmp_path), clips(3)
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        expected = model(resampled(pixels, model.config.num_frames, model.config.image_size)).logits
    assert torch.equal(found(pixels), expected)
    assert not found(pixels).requires_grad
    assert not found.model.training
    assert not any(parameter.requires_grad for parameter in found.model.parameters())


def test_a_teacher_gets_its_own_normalisation(tmp_path: Path) -> None:
    folder = make_teacher(tmp_path, image_size=16, patch_size=4, num_frames=4)
    half = [0.5, 0.5, 0.5]
    VideoMAEv2VideoProcessor(image_mean=half, image_std=half).save_pretrained(folder)
    ours = VideoMAEv2VideoProcessor()
    frames = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (ours.image_mean, ours.image_std))
    model = VideoMAEv2ForVideoClassification.from_pretrained(folder)
    with torch.no_grad():
        expected = model((frames - 0.5) / 0.5).logits
    torch.testing.assert_close(made(folder)((frames - mean) / std), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "own",
    [
        {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3},
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3},
        {"do_normalize": False},
        {"image_mean": 0.5, "image_std": [0.25]},
    ],
    ids=["0 to 255", "0 to 2", "not normalised", "a number"],
)
def test_a_teacher_answers_as_behind_its_own_processor(tmp_path: Path, own: dict[str, Any]) -> None:
    """Not only with a mean and a deviation of its own; and so does the student's processor count."""
    folder = make_teacher(tmp_path, image_size=16, patch_size=4, num_frames=4)
    sizes = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}, "do_sample_frames": False}
    theirs, ours = VideoMAEv2VideoProcessor(**sizes, **own), VideoMAEv2VideoProcessor(**sizes)
    theirs.save_pretrained(folder)
    frames = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made_by = [processor(list(frames), return_tensors="pt").pixel_values for processor in (theirs, ours)]
    model = VideoMAEv2ForVideoClassification.from_pretrained(folder)
    with torch.no_grad():
        expected = model(made_by[0]).logits
        assert (model(made_by[1]).logits - expected).abs().max() > 1e-3
    torch.testing.assert_close(made(folder)(made_by[1]), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(made(folder, processor=theirs)(made_by[0]), expected)  # nothing need be done


def test_in_half_precision_a_teacher_computes_as_under_autocast(teacher: Path) -> None:
    found = made(teacher, dtype=torch.bfloat16)
    assert found.model.classifier.weight.dtype == torch.bfloat16
    norms = [module for module in found.model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert {norm.weight.dtype for norm in norms} == {torch.float32}
    model, pixels = VideoMAEv2ForVideoClassification.from_pretrained(teacher), clips(3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = model(resampled(pixels, 8, 24)).logits
    answer = found(pixels)
    assert answer.dtype == torch.float32
    assert torch.equal(answer, expected.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):  # and the same within the autocast of the student
        assert torch.equal(found(pixels), answer)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_nothing_waits_for_a_teacher_on_a_gpu(teacher: Path, dtype: torch.dtype | None) -> None:
    processor, device = VideoMAEv2VideoProcessor(), torch.device("cuda", torch.cuda.current_device())
    found = Teacher(TeacherRecipe(str(teacher)), tiny_config(num_labels=CLASSES), processor, device, dtype)
    pixels = clips(3)
    on_gpu = pixels.cuda()
    found(on_gpu)  # the first pass sets up libraries, which may wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        answer = found(on_gpu)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    tolerance = 1e-2 if dtype is None else 0.3
    torch.testing.assert_close(answer.cpu(), made(teacher)(pixels), rtol=tolerance, atol=tolerance)


def names(*classes: str) -> dict[str, Any]:
    by_name = {name: i for i, name in enumerate(classes)}
    return {"num_labels": len(classes), "id2label": dict(enumerate(classes)), "label2id": by_name}


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    make_teacher(tmp_path, **names("run", "jump", "swim", "ski"))
    pixels = clips(3)
    answers = made(tmp_path, tiny_config(**names("run", "jump", "swim", "ski")))(pixels)
    other = made(tmp_path, tiny_config(**names("Swim", "run")))(pixels)
    assert torch.equal(other, answers[:, [2, 0]])
    unnamed = made(tmp_path, tiny_config(num_labels=4))(pixels)
    assert torch.equal(unnamed, answers)


def test_a_teacher_with_other_classes_is_refused(tmp_path: Path) -> None:
    theirs = tiny_config(**names("run", "jump"))
    with pytest.raises(RecipeError, match=r"The teacher big has 2 classes, the student 3: correct num_labels"):
        same_classes(theirs, tiny_config(num_labels=3), "big")
    message = (
        r"The 2 classes of the teacher big \(run, jump\) are not those of the student, which has 2 \(run, cook\): "
        r"1 of 2 class names are not among the 2 .*'cook'"
    )
    with pytest.raises(RecipeError, match=message):
        same_classes(theirs, tiny_config(**names("run", "cook")), "big")
    folder = make_teacher(tmp_path / "teacher", num_labels=5)
    with pytest.raises(RecipeError, match="has 5 classes, the student 3"):
        DistillationTask(distillation_recipe(tmp_path, folder))


def test_classes_without_names_get_those_of_the_teacher(tmp_path: Path) -> None:
    folder = make_teacher(tmp_path / "teacher", **names("run", "jump", "swim"))
    assert DistillationTask(distillation_recipe(tmp_path, folder)).config.id2label[2] == "swim"
    own = distillation_recipe(tmp_path, folder, num_labels=None, labels=["swim", "run"])
    assert DistillationTask(own).config.id2label == {0: "swim", 1: "run"}
    own = distillation_recipe(tmp_path, folder, num_labels=None, labels=["swim", "run", "jump"])
    assert DistillationTask(own).config.id2label == {0: "swim", 1: "run", 2: "jump"}
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 2\n")
    silent = distillation_recipe(
        tmp_path, folder, num_labels=None, data__sources=[{"path": str(tmp_path / "list.txt")}]
    )
    task = DistillationTask(silent)
    assert (task.config.num_labels, task.config.id2label[1], list(task.classes)) == (3, "jump", ["run", "jump", "swim"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"path": ""}, "teacher.path is missing"),
        ({"temperature": 0.0}, "teacher.temperature must be above 0, got 0.0"),
        ({"temperature": math.nan}, "teacher.temperature"),
        ({"label_weight": 1.0}, r"teacher.label_weight must lie in \[0, 1\), got 1.0; without a teacher"),
    ],
)
def test_wrong_values(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    recipe = distillation_recipe(tmp_path, "somewhere", **{f"teacher__{key}": value for key, value in wrong.items()})
    with pytest.raises(RecipeError, match=message):
        recipe.validate()


def test_a_teacher_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--num_labels", "3", "--data.sources", "[{path: x}]", "--output_dir", str(tmp_path / "run")]
    assert run_stage(DistillationRecipe, DistillationTask, arguments) == 2
    assert "teacher.path is missing" in capsys.readouterr().err
    nowhere = tmp_path / "nowhere"
    assert run_stage(DistillationRecipe, DistillationTask, [*arguments, "--teacher.path", str(nowhere)]) == 2
    assert f"teacher.path ({nowhere}) is neither a folder with a VideoMAE V2 classifier nor" in capsys.readouterr().err
    assert run_stage(DistillationRecipe, DistillationTask, [*arguments, "--teacher.path", str(tmp_path)]) == 2
    assert f"{tmp_path} is not a model: it has no config.json" in capsys.readouterr().err
    tiny_config(num_labels=3).save_pretrained(tmp_path / "empty")
    with pytest.raises(RecipeError, match=r"teacher.path \(.*empty\) is neither a folder"):
        begin(tmp_path / "run", tmp_path / "empty")
    tiny_model(VideoMAEv2ForPreTraining, num_labels=3).save_pretrained(tmp_path / "pretrained")
    with pytest.raises(RecipeError, match=r"is no trained classifier, it lacks classifier\.bias"):
        begin(tmp_path / "run", tmp_path / "pretrained")
    model = tiny_model(VideoMAEv2ForVideoClassification, num_labels=3, problem_type="regression")
    model.save_pretrained(tmp_path / "numbers")
    with pytest.raises(RecipeError, match=r"numbers cannot teach classes: its `problem_type` is 'regression'; here"):
        begin(tmp_path / "run", tmp_path / "numbers")
    make_teacher(tmp_path / "other")
    for wrong in ({"num_hidden_layers": 1}, {"num_hidden_layers": 3}, {"intermediate_size": 64}):
        config = json.loads((tmp_path / "other" / "config.json").read_text())
        copy = shutil.copytree(tmp_path / "other", tmp_path / "unfit", dirs_exist_ok=True)
        (copy / "config.json").write_text(json.dumps(config | wrong))
        with pytest.raises(
            RecipeError, match=r"The weights of .*unfit do not fit(.|\n)*videomae_v2\.layers\.(.|\n)*Take"
        ):
            begin(tmp_path / "run", copy)


def test_attention_of_the_teacher(tmp_path: Path, teacher: Path) -> None:
    """Its own, else that of the student."""
    for own, expected in ((None, "eager"), ("sdpa", "sdpa")):
        run = begin(tmp_path, teacher, model__attention="eager", teacher__attention=own)
        assert run.accelerator.unwrap_model(run.model).config._attn_implementation == "eager"
        assert run.task.teacher.model.config._attn_implementation == expected


@pytest.mark.parametrize(("mode", "precision", "dtype"), [("no", "no", "float32"), ("blocks", "bf16", "bfloat16")])
def test_a_teacher_is_compiled_and_computes_as_the_run_says(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, mode: str, precision: str, dtype: str
) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, *_, **__: compiled.append(module))
    model = begin(tmp_path, teacher, compile=mode, mixed_precision=precision).task.teacher.model
    assert (model in compiled) == (mode != "no")
    assert model.classifier.weight.dtype == getattr(torch, dtype)


def test_a_teacher_in_half_precision_computes_in_that_of_the_run(tmp_path: Path) -> None:
    folder = make_teacher(tmp_path)
    VideoMAEv2ForVideoClassification.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert {weight.dtype for weight in made(folder).model.parameters()} == {torch.float32}


def trained(folder: Path, teacher: Path, **overrides: Any) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    run = begin(folder, teacher, **overrides)
    assert fit(run)
    return lines(folder), {name: value.clone() for name, value in run.model.state_dict().items()}


def test_the_student_becomes_like_the_teacher(tmp_path: Path, teacher: Path) -> None:
    overrides = {"schedule__max_steps": 60, "checkpoint__every": 60, "mixup": 0.0, "cutmix": 0.0, "random_erasing": 0.0}
    found, _ = trained(tmp_path, teacher, **overrides, data__views=1, batch_size=8, optimizer__base_lr=0.3)
    first, last = (np.mean([line["loss"] for line in part]) for part in (found[:6], found[-6:]))
    assert last < 0.7 * first


def test_resume_is_bit_for_bit(tmp_path: Path, teacher: Path) -> None:
    options = {"model__config": {**TINY["model"]["config"], "drop_path_rate": 0.2}, "teacher__label_weight": 0.2}
    straight, weights = trained(tmp_path / "straight", teacher, **options)
    cut = tmp_path / "cut"
    run = begin(cut, teacher, **options)
    original = run.monitor.report

    def stop_at_4(stop: bool) -> bool:
        return original(stop) or run.progress.step == 4

    run.monitor.report = stop_at_4
    assert not fit(run)
    resumed, again = trained(cut, teacher, **options)
    assert [line["loss"] for line in resumed] == [line["loss"] for line in straight]
    assert [line["step"] for line in resumed] == list(range(1, 7))
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_a_stage_does_not_go_on_from_the_checkpoints_of_the_other(tmp_path: Path, teacher: Path) -> None:
    """Their models have the same weights; only the objective differs."""
    steps = {"schedule__max_steps": 2, "checkpoint__every": 2}
    trained(tmp_path / "distilled", teacher, **steps)

    def fine_tuning(folder: Path) -> Run:
        forget_processes()
        values = {key.replace("__", "."): value for key, value in steps.items()} | {"num_labels": CLASSES}
        recipe = build(FineTuningRecipe, tiny_values(folder, values))
        return start(recipe, ClassificationTask(recipe), build_loader)

    with pytest.raises(RecipeError, match=r"step-00000002 is a checkpoint of a distillation: choose another"):
        fine_tuning(tmp_path / "distilled")
    assert fit(fine_tuning(tmp_path / "tuned"))
    with pytest.raises(RecipeError, match=r"step-00000002 is a checkpoint of a training without a teacher: choose"):
        begin(tmp_path / "tuned", teacher, **steps)


def test_the_teacher_is_in_no_checkpoint(tmp_path: Path, teacher: Path) -> None:
    recipe = distillation_recipe(tmp_path, teacher)
    task = DistillationTask(recipe)
    before = load_file(teacher / "model.safetensors")
    train(recipe, task, build_loader)
    student = VideoMAEv2ForVideoClassification(task.config).state_dict().keys()
    folder = complete_checkpoints(tmp_path / "checkpoints")[-1]
    keys = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata.keys()
    assert {key.removeprefix("model.") for key in keys if key.startswith("model.")} == set(student)
    assert not [key for key in keys if "teacher" in key]
    model, info = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.image_size == 16
    after = task.teacher.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.safetensors", "cut", r"cannot be loaded: .*model.safetensors is no whole safetensors file"),
        ("video_preprocessor_config.json", "{", "video_preprocessor_config.json is not valid JSON"),
        ("video_preprocessor_config.json", '{"num_frames": 0}', r"processor of teacher.path \(.*`num_frames`"),
    ],
)
def test_a_damaged_file_of_the_teacher_is_named(
    tmp_path: Path, teacher: Path, name: str, content: str, said: str
) -> None:
    copy = shutil.copytree(teacher, tmp_path / "teacher")
    (copy / name).write_text(content)
    with pytest.raises(RecipeError, match=said):
        begin(tmp_path / "run", copy)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_equal_one(tmp_path: Path, teacher: Path, engine: str) -> None:
    """Mixing included: partners are the same videos on one process and on two."""
    expected, weights = trained(tmp_path / "one", teacher)
    configuration = {"ddp": "cpu", "fsdp2": "fsdp2"}[engine]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file",
               f"training/accelerate/{configuration}.yaml", "--num_processes", "2", "--mixed_precision", "no",
               "--main_process_port", "0", "tests/fake_distillation.py"]  # fmt: skip
    arguments = ["--output_dir", str(tmp_path / "two"), "--teacher.path", str(teacher)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("loss", "grad_norm", "agreement"):
        values = [[line[name] for line in part] for part in (lines(tmp_path / "two"), expected)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)
    saved = load_file(tmp_path / "two" / "model" / "model.safetensors")
    assert saved.keys() == weights.keys()
    for name in saved:
        torch.testing.assert_close(saved[name], weights[name], rtol=1e-3, atol=1e-4)
