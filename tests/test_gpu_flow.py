"""What a CUDA device is asked to do, whatever comes out: nothing waits for it, and memory is given back.

`test_null_gpu.py` runs these tests on a device that computes nothing.
"""

import gc
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_clips import build_loader, tiny_values
from tiny import clips, tiny_model
from tiny_benchmark import dual, recorded_step

from benchmarks import pretrain_step, traffic
from benchmarks.settings import parse
from benchmarks.steps import Inputs, Step
from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    running_cell_mask,
    tube_mask,
)
from modeling_videomae_v2.compiling import can_use_training_kernels, compile_model
from modeling_videomae_v2.float8_gpu import can_multiply_float8
from modeling_videomae_v2.quantizing import quantize_linear_layers
from training.loop import Run, start, train_step
from training.recipe import Recipe
from training.recipe_parsing import build
from training.tasks import ClassificationTask, FineTuningRecipe, PreTrainingRecipe, PreTrainingTask, Task


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CLIPS, CLASSES = 4, 3
MIXED = {"num_labels": CLASSES, "mixup": 0.8, "cutmix": 1.0, "random_erasing": 0.25, "label_smoothing": 0.1}


@pytest.mark.parametrize("masks_given", [False, True])
def test_pre_training_never_waits(masks_given: bool, waiting_is_an_error: Callable[[], None]) -> None:
    model = tiny_model(VideoMAEv2ForPreTraining).cuda().train()
    pixel_values, grid = clips().cuda(), model.config.grid_size
    masks = {}
    if masks_given:
        masks["bool_masked_pos"] = tube_mask(2, grid, model.config.mask_ratio, device="cuda")
        masks["decoder_bool_masked_pos"] = running_cell_mask(2, grid, model.config.decoder_mask_ratio, device="cuda")
    model(pixel_values, **masks).loss.backward()  # the first step sets up libraries, which may wait
    torch.cuda.synchronize()
    waiting_is_an_error()
    model(pixel_values, **masks).loss.backward()


def test_what_waits_is_found(waiting_is_an_error: Callable[[], None]) -> None:
    """The control."""
    numbers = torch.ones(3, device="cuda")
    waiting_is_an_error()
    with pytest.raises(RuntimeError, match="synchroniz"):
        numbers.sum().item()


def test_float8_inference_never_waits(waiting_is_an_error: Callable[[], None]) -> None:
    if not can_multiply_float8(torch.device("cuda", torch.cuda.current_device())):
        pytest.skip("needs float8 products")
    model = tiny_model(VideoMAEv2ForVideoClassification, intermediate_size=48).to("cuda", torch.bfloat16)
    compile_model(quantize_linear_layers(model), "blocks", dynamic=False)
    pixel_values = clips().to("cuda", torch.bfloat16)
    with torch.inference_mode():
        model(pixel_values)
        torch.cuda.synchronize()
        waiting_is_an_error()
        model(pixel_values)


def start_on_fake_clips(
    task_class: type[Task], recipe_class: type[Recipe], folder: Path, values: dict[str, Any]
) -> Run:
    """A run whose batches are pinned, as the loader gives them on a GPU."""
    common = {"batch_size": CLIPS, "total_batch_size": None, "data.views": 1, "mixed_precision": "bf16"}
    recipe = build(recipe_class, tiny_values(folder, {**common, **values}))
    recipe.validate()
    run = start(recipe, task_class(recipe), build_loader)
    frames = torch.randint(0, 256, (2, CLIPS, 4, 16, 16, 3), dtype=torch.uint8).permute(0, 1, 2, 5, 3, 4)
    batches = [
        {"pixel_values": clip.pin_memory(), "labels": (torch.arange(CLIPS) % CLASSES).pin_memory()} for clip in frames
    ]
    run.batches = itertools.cycle(batches)
    run.model.train()
    return run


@pytest.mark.parametrize(
    ("task_class", "recipe_class", "values"),
    [
        (PreTrainingTask, PreTrainingRecipe, {}),
        (PreTrainingTask, PreTrainingRecipe, {"compile": "blocks"}),
        (PreTrainingTask, PreTrainingRecipe, {"decoder_precision": "fp32", "optimizer.clip_grad": None}),
        (PreTrainingTask, PreTrainingRecipe, {"gradient_checkpointing": True, "ema.decay": 0.9}),
        (ClassificationTask, FineTuningRecipe, MIXED),
        (ClassificationTask, FineTuningRecipe, {**MIXED, "compile": "blocks", "optimizer.layer_decay": 0.5}),
    ],
    ids=["pre-training", "blocks", "fp32-decoder", "checkpointing", "fine-tuning", "fine-tuning-blocks"],
)
def test_training_steps_never_wait(
    task_class: type[Task],
    recipe_class: type[Recipe],
    values: dict[str, Any],
    tmp_path: Path,
    fresh_processes: None,
    waiting_is_an_error: Callable[[], None],
) -> None:
    """Of the training loop, from frames in pinned memory to the optimizer."""
    run = start_on_fake_clips(task_class, recipe_class, tmp_path, values)
    for _ in range(3):
        train_step(run)
    torch.cuda.synchronize()
    waiting_is_an_error()
    for _ in range(2):
        outcome, _ = train_step(run)
    assert outcome["loss"].is_cuda
    torch.cuda.set_sync_debug_mode("default")
    run.monitor.close()


@pytest.mark.parametrize("task", ["pretraining", "inference"])
@pytest.mark.parametrize("compiled", ["off", "blocks"])
def test_recorded_calls_never_wait(task: str, compiled: str, waiting_is_an_error: Callable[[], None]) -> None:
    step, inputs = recorded_step(task, compiled)
    for number in range(2):
        step(*inputs(number))
    torch.cuda.synchronize()
    waiting_is_an_error()
    step(*inputs(2))
    assert step.recording.result.is_cuda
    assert step.recording.peak_mib > 0
    step.release()


def test_what_waits_cannot_be_recorded() -> None:
    """The control; whoever comes next can be recorded all the same."""
    waiting = replace(
        dual(), run=lambda model, pixel_values, labels: model(pixel_values).loss / pixel_values.sum().item()
    )
    step, inputs = recorded_step("pretraining", "off", waiting)
    with pytest.raises(RuntimeError, match="captur"):
        step(*inputs(0))
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    step.release()
    step, inputs = recorded_step("pretraining", "off")
    step(*inputs(0))
    step.release()


def test_a_recorded_call_reads_what_was_recorded() -> None:
    step, inputs = recorded_step("pretraining", "off")
    pixel_values, labels = inputs(0)
    step(pixel_values, labels)
    with pytest.raises(ValueError, match="in_place"):
        step(pixel_values.clone(), labels)
    step.release()


@pytest.mark.parametrize(
    "options",
    [["off"], ["blocks"], ["off", "--cuda-graph"], ["blocks", "--cuda-graph"]],
    ids=" ".join,
)
def test_benchmarks_give_memory_back(options: list[str]) -> None:
    """Or larger batches, and larger models, find none."""
    tiny = ["--device", "cuda", "--presets", "tiny", "--batch-sizes", "2", "--repeats", "2", "--only", "ours, dual"]
    settings = parse("", [*tiny, "--compile", *options])
    left = []
    for _ in range(2):
        rows = pretrain_step.run(settings)
        assert [row["status"] for row in rows] == ["ok"]
        gc.collect()
        torch.cuda.empty_cache()
        left.append(torch.cuda.memory_allocated())
    assert left[1] <= left[0]  # what libraries keep for themselves comes with the first


def test_compiled_blocks_move_less() -> None:
    options = ["--device", "cuda", "--presets", "tiny", "--batch-sizes", "2", "--only", "ours, dual"]
    rows = traffic.run(parse("", [*options, "--compile", "off", "blocks"]))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert 0 < rows[1]["mb_per_clip"] < rows[0]["mb_per_clip"]
    assert 0 < rows[1]["kernels"] < rows[0]["kernels"]


@pytest.mark.parametrize("precision", ["bf16-autocast", "fp32"])
def test_compiled_training_launches_our_kernels(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kernels on the way forward and back, in half precision alone."""
    if not can_use_training_kernels():
        pytest.skip("needs the GPU that the kernels are for")
    from modeling_videomae_v2 import bias_gelu_gpu, short_attention_gpu

    launched: Counter[str] = Counter()

    class Spy:
        def __init__(self, module: Any, name: str) -> None:
            self.name, self.kernel = name, getattr(module, name)
            monkeypatch.setattr(module, name, self)

        def __getitem__(self, grid: Any) -> Any:
            launched[self.name] += 1
            return self.kernel[grid]

    Spy(short_attention_gpu, "_attention_forward_kernel")
    Spy(short_attention_gpu, "_attention_backward_kernel")
    Spy(bias_gelu_gpu, "_gelu_backward_kernel")
    settings = parse("", ["--device", "cuda", "--presets", "tiny", "--compile", "blocks"])
    step = Step(dual(), "pretraining", precision, "blocks", settings)
    config = step.model.config
    step(*Inputs(config, 2, settings.device, torch.float32)(0))
    step.release()
    blocks = config.num_hidden_layers + config.decoder_num_hidden_layers
    short = blocks - 1  # the last one computes some tokens alone
    expected = {
        "_attention_forward_kernel": short,
        "_attention_backward_kernel": short,
        "_gelu_backward_kernel": blocks,
    }
    assert launched == (expected if precision != "fp32" else {})


def test_traffic_of_own_kernels_counts() -> None:
    from modeling_videomae_v2.bias_gelu_gpu import bias_gelu_backward

    inputs, bias = torch.ones(300, 64, device="cuda", dtype=torch.bfloat16), torch.ones(64, device="cuda")
    with traffic.counting_kernels() as counted:
        gradients = bias_gelu_backward(inputs, inputs, bias)
    moved = sum(tensor.nbytes for tensor in (inputs, inputs, bias, *gradients))
    assert (counted.calls, counted.num_bytes) == (1, moved)
