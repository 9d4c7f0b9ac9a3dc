# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The memory sum of a recipe, against what a real pass on a small model keeps, and an H100 has kept."""

import csv
import gc
import json
import logging
import os
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import shards_on_cpu
from tiny import clips, tiny_config

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, cpu_attention_videomae_v2
from training.activation_memory import as_on_a_gpu, kept_bytes
from training.memory import main
from training.memory_launch import Launch, read_launch
from training.memory_sum import GIB, activation_bytes, memory_of
from training.recipe import Recipe
from training.recipe_parsing import RecipeError, build
from training.recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe
from training.tasks import ClassificationTask, PreTrainingTask, Task
from training.tasks.distillation import DistillationTask
from training.tasks.teacher import Teacher


ROOT = Path(__file__).parents[1]
RECIPES, ENGINES = ROOT / "training" / "recipes", ROOT / "training" / "accelerate"
TINY = {
    "preset": "small", "config": {
        "patch_size": 8, "hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4, "num_hidden_layers": 4,
        "decoder_hidden_size": 48, "decoder_intermediate_size": 96, "decoder_num_attention_heads": 4,
        "decoder_num_hidden_layers": 3,
    },
}  # fmt: skip
DATA = {"num_frames": 4, "image_size": 32}
OBJECTIVES = [
    (FineTuningRecipe, {"num_labels": 3}),
    (FineTuningRecipe, {"num_labels": 3, "peft": "lora", "lora": {"rank": 2}}),
    (PreTrainingRecipe, {}),
]


def recipe_of(recipe_class: type[Recipe], *, model: dict | None = None, **values: Any) -> Recipe:
    return build(recipe_class, {"output_dir": ".", "batch_size": 3, "data": DATA, "model": model or TINY, **values})


def kept_by(task: Task, half: bool, cast: bool = False) -> int:
    """What a pass of three clips keeps, with memory."""
    model, clips = task.build_model().train(), torch.rand(3, 4, 3, 32, 32)
    for weight in model.parameters() if cast else ():  # as FSDP2 gathers them
        weight.data = weight.bfloat16()
    inputs = {"labels": torch.zeros(3, dtype=torch.long)} if task.labelled else {}
    with as_on_a_gpu(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        return kept_bytes(model, lambda: model(clips, **inputs))


@pytest.mark.parametrize("half", [True, False], ids=["half", "fp32"])
@pytest.mark.parametrize(
    ("recipe_class", "values"),
    [*OBJECTIVES, (PreTrainingRecipe, {"decoder_precision": "fp32"})],
    ids=["whole", "lora", "pretraining", "decoder-in-fp32"],
)
def test_activations_of_a_real_pass(recipe_class: type[Recipe], values: dict, half: bool) -> None:
    """Four blocks (and three of a decoder) with memory, against the sum from one and two without."""
    if "lora" in values:
        pytest.importorskip("peft")
    recipe = recipe_of(recipe_class, **values)
    task = (PreTrainingTask if recipe_class is PreTrainingRecipe else ClassificationTask)(recipe)
    everything = kept_by(task, half)
    assert activation_bytes(recipe, task.config, half) == pytest.approx(everything, rel=0.01)
    recipe.gradient_checkpointing = True
    inputs = kept_by(task, half)
    assert inputs < 0.6 * everything
    one_block = activation_bytes(recipe, task.config, half) - inputs  # which is computed anew
    most = 1 / 2 if recipe_class is FineTuningRecipe else 0.235  # the largest of encoder and decoder, not one of each
    assert everything / 8 < one_block < most * everything


@pytest.mark.parametrize(("recipe_class", "values"), OBJECTIVES, ids=["whole", "lora", "pretraining"])
def test_activations_of_a_pass_through_half_weights(recipe_class: type[Recipe], values: dict) -> None:
    if "lora" in values:
        pytest.importorskip("peft")
    recipe = recipe_of(recipe_class, **values)
    task = (PreTrainingTask if recipe_class is PreTrainingRecipe else ClassificationTask)(recipe)
    expected = kept_by(task, half=True, cast=True)
    assert activation_bytes(recipe, task.config, cast=True) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("has_amx", [False, True])
def test_activations_are_what_a_gpu_has_kept(monkeypatch: pytest.MonkeyPatch, has_amx: bool) -> None:
    """Measured on an H100; the rows of `benchmarks.pretrain_step`. Counted on a CPU that is fast in bf16, too."""
    monkeypatch.setattr(cpu_attention_videomae_v2, "FAST_HALF_TYPES", frozenset({torch.bfloat16}))
    monkeypatch.setattr(cpu_attention_videomae_v2, "HAS_AMX", has_amx)
    (path,) = (Path(__file__).parents[1] / "benchmarks" / "results").glob("pretrain_step-*h100*.csv")
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kept_mib"] and row["variant"] == "ours, dual masking"]
    assert {row["preset"] for row in rows} == {"base", "giant"}
    for row in rows:
        model = {"preset": row["preset"], "config": {"decoder_mask_ratio": 0.5}}
        data = {"num_frames": 16, "image_size": 224}
        recipe = recipe_of(PreTrainingRecipe, model=model, batch_size=int(row["batch_size"]), data=data)
        found = activation_bytes(recipe, recipe.model_config()) / 2**20
        assert found == pytest.approx(float(row["kept_mib"]), rel=0.002)


def activated_logits(model: VideoMAEv2ForVideoClassification) -> torch.Tensor:
    return model(clips(1)).logits.sigmoid()  # which keeps its output


def test_counting_keeps_nothing() -> None:
    """A graph that a hook ties to itself outlives its model, and a GPU soon has no room for the next."""
    model = VideoMAEv2ForVideoClassification(tiny_config()).train()
    weight = weakref.ref(model.classifier.weight)
    assert kept_bytes(model, partial(activated_logits, model)) > 0
    del model
    gc.collect()
    assert weight() is None


def test_weights_and_their_casts_are_not_counted() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 64), torch.nn.LayerNorm(64))
    x = torch.ones(4, 8)
    inputs = 4 * (8 + 16)  # of the products; the norm keeps its own, and mean and deviation of each row
    assert kept_bytes(model, lambda: model(x)) == 4 * inputs + 4 * 4 * (64 + 2)
    with torch.autocast("cpu", torch.bfloat16), as_on_a_gpu():
        assert kept_bytes(model, lambda: model(x)) == 2 * inputs + 4 * 4 * (64 + 2)
        cubes, clip = torch.nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4)), torch.ones(2, 3, 4, 8, 12)
        assert kept_bytes(cubes, lambda: cubes(clip)) == 2 * clip.numel()


def test_the_memory_of_several_tensors_is_counted_once_and_whole() -> None:
    model, x = torch.nn.Linear(8, 16), torch.ones(4, 8)

    def forward() -> torch.Tensor:
        y = model(x)
        return y[:, :1] * y[:, 1:2]

    assert kept_bytes(model, forward) == 4 * (x.numel() + 4 * 16)


def test_parts_of_the_sum() -> None:
    pytest.importorskip("peft")
    whole = memory_of(recipe_of(FineTuningRecipe, ema={"decay": 0.9}))
    config = recipe_of(FineTuningRecipe).model_config()
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in VideoMAEv2ForVideoClassification(config).parameters())
    assert whole.weights == whole.gradients == whole.average == 4 * parameters
    assert (whole.optimizer, whole.casts) == (8 * parameters, 2 * parameters)
    assert whole.total == sum([whole.weights, whole.gradients, whole.optimizer, whole.average, whole.casts,
                               whole.activations, whole.cuda])  # fmt: skip
    adapters = memory_of(recipe_of(FineTuningRecipe, peft="lora", lora={"rank": 1}, ema={"decay": 0.9}))
    assert adapters.gradients < 0.1 * whole.gradients
    assert adapters.gradients == adapters.average == adapters.optimizer / 2 == 2 * adapters.casts
    in_fp32 = memory_of(recipe_of(FineTuningRecipe, mixed_precision="no"))
    assert (in_fp32.casts, in_fp32.average) == (0, 0)
    assert in_fp32.activations > 1.3 * whole.activations
    eager = memory_of(recipe_of(FineTuningRecipe, model={**TINY, "attention": "eager"}))
    assert eager.activations > whole.activations  # it keeps its weights
    views = memory_of(recipe_of(FineTuningRecipe, data={**DATA, "views": 2}))
    assert views.clips == 6
    assert views.activations == pytest.approx(2 * whole.activations, rel=0.01)


def test_processes_that_have_the_whole_model() -> None:
    recipe = recipe_of(FineTuningRecipe)
    assert memory_of(recipe, Launch(num_processes=8)) == memory_of(recipe)


def test_parts_that_are_cut() -> None:
    """FSDP2 cuts rows as `chunk` does, and the first process has the most of them."""
    pytest.importorskip("peft")
    recipe = recipe_of(PreTrainingRecipe, ema={"decay": 0.9})
    with torch.device("meta"):
        model = PreTrainingTask(recipe).build_model()
    first = sum(weight.chunk(5)[0].numel() for weight in model.parameters())
    whole, cut = memory_of(recipe), memory_of(recipe, Launch(num_processes=5, sharded=True))
    assert 4 * first > whole.weights / 5
    assert cut.weights == cut.gradients == cut.average == cut.optimizer / 2 == 4 * first
    several = memory_of(recipe_of(PreTrainingRecipe, accumulation=2), Launch(num_processes=5, sharded=True))
    assert (several.gradients, several.optimizer) == (whole.gradients, cut.optimizer)  # cut in the last pass

    in_blocks = [sum(weight.numel() for weight in layer.parameters())
                 for layer in (*model.videomae_v2.layers, *model.decoder.layers)]  # fmt: skip
    rest = whole.weights // 4 - sum(in_blocks)
    # a block and the next one in bf16, its gradients in bf16, those of the one before in fp32
    assert (cut.casts, cut.gathered) == (0, 2 * rest + (2 + 2 + 2 + 4) * max(in_blocks))
    kept = memory_of(recipe, Launch(num_processes=5, sharded=True, reshard=False))
    assert kept.gathered == whole.weights / 2 + (2 + 4) * max(in_blocks)
    wide = recipe_of(PreTrainingRecipe, decoder_precision="fp32")
    paper = memory_of(wide, Launch(num_processes=5, sharded=True))
    assert (paper.casts, paper.gathered) == (whole.casts, 4 * rest + 16 * max(in_blocks))

    lora = recipe_of(FineTuningRecipe, peft="lora", lora={"rank": 1})
    adapters, alone = memory_of(lora, Launch(num_processes=5, sharded=True)), memory_of(lora)
    assert adapters.gathered < cut.gathered  # hardly any gradients
    assert adapters.activations < alone.activations - 0.4 * alone.weights  # no copies of frozen weights


COUNT_BYTES = """
import json, sys
from fake_clips import build_loader
from torch.distributed.tensor import DTensor
from training.loop import start
from training.recipe_parsing import build
from training.tasks import PreTrainingRecipe, PreTrainingTask

def held(tensors):
    local = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    storages = [tensor.untyped_storage() for tensor in local if tensor.dim()]
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())

recipe = build(PreTrainingRecipe, json.loads(sys.argv[1]))
run = start(recipe, PreTrainingTask(recipe), build_loader)
inputs = run.task.prepare(next(run.batches), 0, run.accelerator.device)
with run.accelerator.autocast():
    loss = run.task.loss(run.model.train(), inputs)["loss"]
run.accelerator.backward(loss)
weights = list(run.model.parameters())
gradients = held(weight.grad for weight in weights)
run.optimizer.step()
state = [tensor for of_one in run.optimizer.state.values() for tensor in of_one.values()]
found = [held(weights), gradients, held(state), held(run.average.average.values())]
if run.accelerator.is_main_process:
    print(json.dumps(found))
run.accelerator.end_training()
"""


@shards_on_cpu
@pytest.mark.slow
@pytest.mark.multiprocess
def test_processes_hold_what_the_sum_says(tmp_path: Path) -> None:
    values = {"output_dir": str(tmp_path / "run"), "data": {**DATA, "workers": 0}, "model": TINY, "ema": {"decay": 0.9},
              "tracking": {"trackers": []}, "schedule": {"max_steps": 1}, "device": "cpu"}  # fmt: skip
    script = tmp_path / "count_bytes.py"
    script.write_text(COUNT_BYTES)
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", "--config_file",
        str(ENGINES / "fsdp2.yaml"), "--num_processes", "3", "--mixed_precision", "bf16", str(script),
        json.dumps(values),
    ]  # fmt: skip
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ACCELERATE_", "FSDP_"))}
    environment = {**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = memory_of(build(PreTrainingRecipe, values), Launch(num_processes=3, sharded=True))
    assert json.loads(done.stdout.splitlines()[-1]) == [
        expected.weights, expected.gradients, expected.optimizer, expected.average
    ]  # fmt: skip


@pytest.mark.parametrize(("mixed_precision", "dtype"), [("bf16", torch.bfloat16), ("no", None)])
def test_teacher(tmp_path: Path, mixed_precision: str, dtype: torch.dtype | None) -> None:
    recipe = recipe_of(DistillationRecipe, teacher={"path": str(tmp_path)}, mixed_precision=mixed_precision)
    assert memory_of(recipe).teacher == 0  # not there yet
    VideoMAEv2ForVideoClassification(tiny_config()).save_pretrained(tmp_path)
    task = DistillationTask(recipe)
    teacher = Teacher(recipe.teacher, task.config, task.processor, torch.device("cpu"), dtype)
    kept = sum(weight.numel() * weight.element_size() for weight in teacher.model.parameters())
    assert memory_of(recipe).teacher == kept


def test_giant_with_adapters_fits_24_gb() -> None:
    pytest.importorskip("peft")
    model = {"preset": "giant"}
    data = {"num_frames": 16, "image_size": 224}
    found = memory_of(
        recipe_of(FineTuningRecipe, model=model, data=data, batch_size=16, peft="lora", gradient_checkpointing=True)
    )
    assert found.total < 24e9
    assert 4.0 < found.weights / 1e9 < 4.2
    assert found.gradients < 0.02 * found.weights


def test_autocast_gives_what_it_gives_on_a_gpu() -> None:
    norm, cubes = torch.nn.LayerNorm(4), torch.nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4))
    clip = torch.randn(2, 3, 4, 8, 12)
    with torch.no_grad():
        expected = cubes(clip)
        with torch.autocast("cpu", torch.bfloat16):
            assert norm(torch.ones(2, 4).bfloat16()).dtype == torch.bfloat16
            with as_on_a_gpu():
                assert norm(torch.ones(2, 4).bfloat16()).dtype == torch.float32
                assert torch.ones(2, 4).bfloat16().softmax(dim=-1).dtype == torch.float32
                assert torch.nn.functional.softmax(torch.ones(2, 4).bfloat16(), dim=-1).dtype == torch.float32
                assert cubes(clip).dtype == torch.bfloat16
        with as_on_a_gpu():
            torch.testing.assert_close(cubes(clip), expected)


def test_command(capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture) -> None:
    """On a published recipe, of which nothing is there: no data, no checkpoint, no teacher."""
    caplog.set_level(logging.INFO)
    processes = ["--num_processes", "8", "--accumulation", "8"]  # which contradict each other on one
    recipe = ["--config", f"{RECIPES}/distill_small_k710.yaml", "--gradient_checkpointing", "true"]
    assert main(["distill", *recipe, *processes]) == 0
    rows = dict(line.rsplit(maxsplit=2)[:2] for line in capsys.readouterr().out.splitlines())
    assert "cannot be loaded: model.preset (small) is counted instead" in caplog.text
    assert "cannot be loaded: the teacher is not counted" in caplog.text
    assert set(rows) == {"weights", "gradients", "optimizer", "casts", "activations (16 clips)", "cuda", "total"}
    assert float(rows["cuda"]) == 1.0
    assert GIB == 1024**3


def test_command_knows_what_accelerate_is_told(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    def table(*arguments: str) -> dict[str, float]:
        recipe = ["--config", f"{RECIPES}/pretrain_base_ssv2_none.yaml", "--decoder_precision", "same"]
        assert main(["pretrain", *recipe, *arguments]) == 0
        lines = [line.rsplit(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
        return {name.split()[0]: float(size) for name, size, _ in lines}

    alone, ddp = table(), table("--config_file", f"{ENGINES}/ddp.yaml")
    assert ddp == alone
    sharded = ("--config_file", f"{ENGINES}/fsdp2.yaml", "--total_batch_size", "null")
    cut = table(*sharded, "--num_processes", "4")
    assert cut["weights"] == pytest.approx(alone["weights"] / 4, abs=0.01)
    assert table(*sharded)["weights"] < 0.6 * cut["weights"]  # the eight of the file
    assert "casts" in alone
    assert "casts" not in cut
    config_file = tmp_path / "other.yaml"
    text = (ENGINES / "fsdp2.yaml").read_text().replace("reshard_after_forward: true", "reshard_after_forward: false")
    config_file.write_text(text.replace("mixed_precision: bf16", "mixed_precision: no"))
    other = table(*sharded, "--config_file", str(config_file), "--mixed_precision", "null")
    assert other["gathered"] > alone["weights"]
    assert other["activations"] > 1.3 * cut["activations"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["finetun"], "must be one of pretrain, finetune, distill, got 'finetun'"),
        (["pretrain", "--batch_size", "0"], "batch_size must be at least 1"),
        (["pretrain", "--batch_size"], "`--batch_size` has no value"),
        (["pretrain", "--model.preset", "enormous"], "no preset"),
        (["pretrain", "--peft", "lora"], "`peft` is no key of a recipe"),
        (
            ["finetune", "--model.init_from", "nowhere", "--model.config.num_attention_heads", "7"],
            "must be a multiple of `num_attention_heads` (7)",
        ),
        (["pretrain", "--num_processes", "none"], "num_processes must be a whole number of at least 1, got none"),
        (["pretrain", "--num_processes", "3", "--total_batch_size", "64"], "8 x 1 views x 3 processes"),
        (["pretrain", "--config_file", "nowhere.yaml"], "config_file (nowhere.yaml) cannot be read"),
        (["pretrain", "--config_file=~/no.yaml"], f"config_file ({os.path.expanduser('~/no.yaml')}) cannot be read"),
        (
            ["pretrain", "--config_file", str(ENGINES / "deepspeed_zero3.yaml")],
            "is not summed up: how much its buckets",
        ),
    ],
)
def test_command_refuses(capsys: pytest.CaptureFixture, arguments: list[str], said: str) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("fsdp_version: 2", "fsdp_version: 1"),
        ("fsdp_offload_params: false", "fsdp_offload_params: true"),
        ("fsdp_activation_checkpointing: false", "fsdp_activation_checkpointing: true"),
        ("fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP", "fsdp_auto_wrap_policy: SIZE_BASED_WRAP"),
        ("distributed_type: FSDP", "distributed_type: TPU"),
        ("mixed_precision: bf16", "mixed_precision: fp8"),
        ("fsdp_config:", "fsdp_config: true\nother:"),
        ("num_processes: 8", "num_processes: null"),
    ],
)
def test_launches_that_are_not_summed_up(capsys: pytest.CaptureFixture, tmp_path: Path, ours: str, theirs: str) -> None:
    config_file = tmp_path / "accelerate.yaml"
    config_file.write_text((ENGINES / "fsdp2.yaml").read_text().replace(ours, theirs))
    assert main(["pretrain", "--config_file", str(config_file)]) == 2
    assert theirs.split(": ")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Launch()),
        ("num_processes: 4", Launch(4, mixed_precision="no")),
        ("distributed_type: MULTI_CPU\nmixed_precision: bf16", Launch(1, mixed_precision="bf16")),
        (
            "distributed_type: FSDP\nnum_processes: 2\nfsdp_config: {fsdp_version: 2, fsdp_auto_wrap_policy: "
            "TRANSFORMER_BASED_WRAP, fsdp_transformer_layer_cls_to_wrap: VideoMAEv2Layer}",
            Launch(2, sharded=True, reshard=True, mixed_precision="no"),
        ),
    ],
)
def test_what_a_launch_does_not_say(tmp_path: Path, text: str, expected: Launch) -> None:
    (tmp_path / "accelerate.yaml").write_text(text)
    assert read_launch(str(tmp_path / "accelerate.yaml"), None) == expected


@pytest.mark.parametrize("content", [b"\xff", b"a: [", b"- a"], ids=["no text", "no YAML", "no mapping"])
def test_files_that_say_nothing_of_a_launch(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "accelerate.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"config_file \(.*accelerate.yaml\)"):
        read_launch(str(tmp_path / "accelerate.yaml"), None)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(OSError("The Hub does not answer."), 2, "The Hub does not answer.\n"),
     (KeyboardInterrupt(), 130, "Stopped by Ctrl-C.\n")],
)  # fmt: skip
def test_what_ends_the_command_is_said(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("training.memory.load_recipe", fail)
    assert main(["pretrain"]) == status
    assert capsys.readouterr().err == said


def test_command_explains_itself(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    assert "python -m training.memory STAGE" in capsys.readouterr().out
