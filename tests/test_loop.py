# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop in one process, on clips out of a formula."""

import copy
import io
import json
import math
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.state import PartialState
from fake_clips import build_loader, tiny_recipe
from full_disk import full_disk
from processes import forget_processes
from torch import nn

from benchmarks.flops import our_macs
from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2VideoProcessor,
)
from training.checkpoint import complete_checkpoints
from training.data.chance import seed_from
from training.data.faults import Fault
from training.loop import Run, fit, report_faults, start, train, train_step
from training.masks import MaskDrawer, loss_weight
from training.optimizer import poison_unless_finite
from training.pictures import from_cubes, reconstruction_picture, to_cubes
from training.recipe import RecipeError
from training.tasks import ClassificationTask, FineTuningRecipe, PreTrainingRecipe, PreTrainingTask
from training.tracking import Monitor, duration, flat, forget_lines, json_line, peak_flops, training_flops


pytestmark = pytest.mark.usefixtures("fresh_processes")


def begin(folder: Path, task_class: type[PreTrainingTask] = PreTrainingTask, **overrides: Any) -> Run:
    forget_processes()
    recipe = tiny_recipe(PreTrainingRecipe, folder, **overrides)
    recipe.validate()
    return start(recipe, task_class(recipe), build_loader)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def trained(folder: Path, **overrides: Any) -> tuple[list[float], dict[str, torch.Tensor]]:
    run = begin(folder, **overrides)
    assert fit(run)
    return losses(folder), weights(run.accelerator.unwrap_model(run.model))


def assert_close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


def test_training_lowers_the_loss_and_leaves_a_model(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        PreTrainingRecipe, tmp_path, schedule__max_steps=30, checkpoint__every=10, tracking__log_every=5
    )
    train(recipe, PreTrainingTask(recipe), build_loader)
    found = losses(tmp_path)
    assert len(found) == 30
    assert sum(found[-5:]) < 0.95 * sum(found[:5])
    model, info = VideoMAEv2ForPreTraining.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.num_frames == 4
    assert (tmp_path / "model" / "video_preprocessor_config.json").is_file()
    assert not (tmp_path / ".model-writing").exists()


@pytest.mark.parametrize("mask", ["running_cell", "random", "frame"])
def test_accumulation_equals_one_large_batch(tmp_path: Path, mask: str) -> None:
    """Also where the number of tokens in the loss differs from clip to clip."""
    masks = {"model__config__decoder_mask_type": mask}
    whole = trained(tmp_path / "whole", batch_size=4, **masks)
    parts = trained(tmp_path / "parts", batch_size=1, **masks)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    assert_close(parts[1], whole[1], 1e-4)


def test_gradient_checkpointing_changes_nothing(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain", schedule__max_steps=3)
    again = trained(tmp_path / "again", schedule__max_steps=3, gradient_checkpointing=True)
    assert again[0] == pytest.approx(plain[0], rel=1e-6)
    assert_close(again[1], plain[1], 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["blocks", "model"])
def test_compiled(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_module = nn.Module.compile  # graphs as ever; only the slow generation of code is left out
    monkeypatch.setattr(nn.Module, "compile", lambda module: compile_module(module, backend="aot_eager"))
    plain = trained(tmp_path / "plain", schedule__max_steps=3, tracking__picture_every=2)
    compiled = trained(tmp_path / "compiled", schedule__max_steps=3, tracking__picture_every=2, compile=mode)
    assert compiled[0] == pytest.approx(plain[0], rel=1e-4)
    assert_close(compiled[1], plain[1], 1e-3)


@pytest.mark.parametrize(("precision", "decoder_dtype"), [("same", torch.bfloat16), ("fp32", torch.float32)])
def test_precision_of_encoder_and_decoder(tmp_path: Path, precision: str, decoder_dtype: torch.dtype) -> None:
    run = begin(tmp_path, mixed_precision="bf16", decoder_precision=precision)
    model = run.accelerator.unwrap_model(run.model)
    seen: dict[str, torch.dtype] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _, __, output, name=name: seen.__setitem__(name, output.dtype))
    values, _ = train_step(run)
    assert values["loss"].dtype == torch.float32
    assert {seen[name] for name in seen if name.startswith("videomae_v2")} == {torch.bfloat16}
    assert {seen[name] for name in seen if not name.startswith("videomae_v2")} == {decoder_dtype}
    assert len(seen) == sum(isinstance(module, nn.Linear) for module in model.modules())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, loss: torch.Tensor) -> torch.Tensor:
        return loss.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("inf")


def poisoned(clip: int, poison: Callable[[torch.Tensor], torch.Tensor]) -> type[PreTrainingTask]:
    """A task whose loss is spoiled in the pass that starts with one clip of the run."""

    class PoisonedTask(PreTrainingTask):
        def prepare(self, batch: dict, first_clip: int, device: torch.device) -> dict[str, torch.Tensor]:
            return super().prepare(batch, first_clip, device) | {"poison": torch.tensor(first_clip == clip)}

        def loss(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            spoil = bool(inputs.pop("poison"))
            parts = super().loss(model, inputs)
            return {"loss": poison(parts["loss"])} if spoil else parts

    return PoisonedTask


def test_log_lines_and_checkpoints_need_no_common_measure(tmp_path: Path) -> None:
    """Each step has its line once."""
    assert fit(begin(tmp_path, schedule__max_steps=8, tracking__log_every=3, checkpoint__every=5))
    kept = complete_checkpoints(tmp_path / "checkpoints")
    assert sorted(checkpoint.name for checkpoint in kept) == ["step-00000005", "step-00000008"]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


@pytest.mark.parametrize(
    ("poison", "named"),
    [
        (lambda loss: loss * float("nan"), "loss and grad_norm"),
        (lambda loss: loss + float("inf"), "loss and grad_norm"),
        (InfiniteGradient.apply, "grad_norm"),
    ],
    ids=["nan", "inf", "gradient"],
)
def test_what_is_not_finite_stays_outside(tmp_path: Path, poison: Callable, named: str) -> None:
    """Step 4 of 8 is bad, in the first of its two passes; losses are looked at before a checkpoint."""
    often = {"schedule__max_steps": 8, "tracking__log_every": 7, "checkpoint__every": 4}
    run = begin(tmp_path, poisoned(3 * 8, poison), **often)
    before = []
    for _ in range(4):
        before.append(weights(run.model))
        values, _ = train_step(run)
        run.monitor.add(values)
    after = weights(run.model)
    assert all(torch.equal(before[3][name], after[name]) for name in after)
    assert not torch.equal(before[2]["decoder.mask_token"], after["decoder.mask_token"])
    for state in run.optimizer.optimizer.state.values():
        assert all(tensor.isfinite().all() for tensor in state.values())
        assert state["step"] == 3

    with pytest.raises(FloatingPointError, match=rf"{named} of step 4 are not finite.*checkpoints is good"):
        run.monitor.report()
    run.claim.close()  # Windows heeds claims within a process, too
    run = begin(tmp_path, poisoned(3 * 8, poison), **often)
    with pytest.raises(FloatingPointError):
        fit(run)
    assert complete_checkpoints(tmp_path / "checkpoints") == []


def test_overflowing_gradients_are_a_part_of_the_search_for_the_loss_scale(tmp_path: Path) -> None:
    run = begin(tmp_path)
    scale = 1.0
    run.accelerator.scaler = SimpleNamespace(get_scale=lambda: scale)
    values = {"loss": torch.tensor(1.0), "grad_norm": torch.tensor(math.inf)}
    run.progress.step = 1
    run.monitor.add(values)
    assert not run.monitor.report()
    run.monitor.add(values | {"loss": torch.tensor(math.nan)})
    with pytest.raises(FloatingPointError, match="loss and grad_norm of step 1 are not finite"):
        run.monitor.report()
    run.monitor.window, scale = [values], 0.5
    with pytest.raises(FloatingPointError, match=r"even at a loss scale of 0\.5 \(step 1\)"):
        run.monitor.report()


def test_losses_are_looked_at_before_a_model_is_measured(tmp_path: Path) -> None:
    """The model was not touched by the bad step, and would be measured as if that had been one."""
    measured = []

    class Watching:
        videos = None

        def measure(self, model: nn.Module, asked: Callable[[], bool]) -> dict[str, float]:
            measured.append(run.progress.step)
            return {"eval_top1": 0.5}

        def is_best(self, values: dict[str, float], videos_before: str | None) -> bool:
            return False

    never = {"tracking__log_every": 100, "checkpoint__every": 100}
    run = begin(tmp_path, poisoned(2 * 8, lambda loss: loss * float("nan")), **never)
    run.validation, run.evaluate_every = Watching(), 1
    with pytest.raises(FloatingPointError, match="of step 3 are not finite"):
        fit(run)
    assert measured == [1, 2]


def test_nothing_is_read_from_the_device_between_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(tmp_path)
    train_step(run)  # the first step may set things up
    reads = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__"):
        original = getattr(torch.Tensor, name)

        def watched(tensor: torch.Tensor, *args: Any, original: Callable = original, name: str = name) -> Any:
            if tensor.is_floating_point():  # masks are drawn in host memory and may be counted there
                reads.append(name)
            return original(tensor, *args)

        monkeypatch.setattr(torch.Tensor, name, watched)
    values, _ = train_step(run)
    assert not any(value.requires_grad for value in values.values())  # or the graphs of all steps would stay in memory
    run.monitor.add(values)
    assert reads == []
    run.monitor.report()
    assert reads == ["tolist"]


@pytest.mark.parametrize("log_every", [1, 100])  # steps that take longer than the processes' patience, or do not
def test_a_request_to_stop_leaves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_every: int) -> None:
    monkeypatch.setattr("training.stopping.PATIENCE", 3600.0 if log_every == 1 else 0.0)

    class Terminated(PreTrainingTask):
        def prepare(self, batch: dict, first_clip: int, device: torch.device) -> dict[str, torch.Tensor]:
            if first_clip == 2 * 8:
                signal.raise_signal(signal.SIGTERM)
            return super().prepare(batch, first_clip, device)

    often = {"checkpoint__every": 100, "tracking__log_every": log_every}
    recipe, before = tiny_recipe(PreTrainingRecipe, tmp_path, **often), signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_status:
        train(recipe, Terminated(recipe), build_loader)
    assert signal.getsignal(signal.SIGTERM) == before
    assert exit_status.value.code == 128 + signal.SIGTERM
    assert [path.name for path in complete_checkpoints(tmp_path / "checkpoints")] == ["step-00000003"]
    rest, final = trained(tmp_path)
    straight = trained(tmp_path / "straight")
    assert rest == straight[0]
    assert all(torch.equal(final[name], straight[1][name]) for name in final)


def test_after_an_error_no_process_waits_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL ends a process group only when all processes do; until then, Python would not tell the error."""
    ended: list[str] = []
    monkeypatch.setattr(PartialState, "destroy_process_group", lambda *_: ended.append("group"))
    monkeypatch.setattr("training.loop.Monitor.close", lambda _: ended.append("trackers"))

    class Failing(PreTrainingTask):
        def loss(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            raise ZeroDivisionError

    recipe = tiny_recipe(PreTrainingRecipe, tmp_path)
    with pytest.raises(ZeroDivisionError):
        train(recipe, Failing(recipe), build_loader)
    assert ended == ["trackers"]
    forget_processes()
    train(recipe, PreTrainingTask(recipe), build_loader)
    assert ended == ["trackers", "trackers", "group"]


def test_unreadable_videos_are_named_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = begin(tmp_path)
    run.loader.faults.count(9, 6, [Fault(f"{name}.mp4", "it is empty") for name in "dacb"])
    report_faults(run)
    listed = (tmp_path / "unreadable.txt").read_text().splitlines()
    assert listed == [f"{name}.mp4: it is empty" for name in "abcd"]
    assert "4 videos could not be read; 6 samples got another one instead." in caplog.text


def test_a_training_beside_the_main_thread(tmp_path: Path) -> None:
    """Requests to stop are the business of that one."""
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path, schedule__max_steps=2)
    with ThreadPoolExecutor() as threads:
        threads.submit(train, recipe, PreTrainingTask(recipe), build_loader).result()
    assert (tmp_path / "model" / "config.json").is_file()


def test_fine_tuning_from_a_pre_trained_folder(tmp_path: Path) -> None:
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path / "a", schedule__max_steps=2)
    train(recipe, PreTrainingTask(recipe), build_loader)
    forget_processes()
    tuning = tiny_recipe(
        FineTuningRecipe, tmp_path / "b", num_labels=3, labels=["a", "b", "c"], label_smoothing=0.1,
        model={"init_from": str(tmp_path / "a" / "model"), "config": {"drop_path_rate": 0.1}},
        schedule__max_steps=6, optimizer__layer_decay=0.75, mixed_precision="bf16",
    )  # fmt: skip
    tuning.validate()
    task = ClassificationTask(tuning)
    pre_trained = VideoMAEv2ForPreTraining.from_pretrained(tmp_path / "a" / "model").state_dict()
    name = "videomae_v2.layers.1.mlp.fc1.weight"
    assert torch.equal(task.build_model().state_dict()[name], pre_trained[name])
    train(tuning, task, build_loader)
    line = json.loads((tmp_path / "b" / "metrics.jsonl").read_text().splitlines()[-1])
    assert 0.0 <= line["accuracy"] <= 1.0
    model = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path / "b" / "model")
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert not torch.equal(model.state_dict()[name], pre_trained[name])


def test_frames_are_normalised_as_the_processor_does_it(tmp_path: Path) -> None:
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path)
    task = PreTrainingTask(recipe)
    frames = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = task.processor(list(frames), return_tensors="pt")["pixel_values"]
    clips = task.normalise(frames, torch.device("cpu"))
    torch.testing.assert_close(clips, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(task.normalise.undo(clips), frames / 255, rtol=1e-5, atol=1e-6)


def test_frames_are_normalised_as_the_model_to_start_from_is_used_to(tmp_path: Path) -> None:
    start, half = tmp_path / "start", [0.5, 0.5, 0.5]
    VideoMAEv2ForPreTraining(tiny_recipe(PreTrainingRecipe, tmp_path).model_config()).save_pretrained(start)
    options = {"num_labels": 3, "model": {"init_from": str(start)}, "schedule__max_steps": 2}
    options |= {"data__sampling": "uniform", "data__sampling_rate": 3}
    without = ClassificationTask(tiny_recipe(FineTuningRecipe, tmp_path / "run", **options))
    assert list(without.processor.image_mean) == list(VideoMAEv2VideoProcessor.image_mean)
    VideoMAEv2VideoProcessor(image_mean=half, image_std=half).save_pretrained(start)
    recipe = tiny_recipe(FineTuningRecipe, tmp_path / "run", **options)
    task = ClassificationTask(recipe)
    white = torch.full((1, 4, 3, 16, 16), 255, dtype=torch.uint8)
    torch.testing.assert_close(task.normalise(white, torch.device("cpu")), torch.ones(1, 4, 3, 16, 16))
    train(recipe, task, build_loader)
    saved = VideoMAEv2VideoProcessor.from_pretrained(tmp_path / "run" / "model")
    assert (list(saved.image_mean), list(saved.image_std)) == (half, half)
    assert (saved.num_frames, saved.crop_size.height) == (4, 16)
    assert (saved.sampling, saved.sampling_rate) == ("uniform", 3)


def test_pixels_as_targets_need_the_statistics_that_the_model_undoes(tmp_path: Path) -> None:
    start, options = tmp_path / "start", {"model": {"init_from": str(tmp_path / "start")}}
    config = tiny_recipe(PreTrainingRecipe, tmp_path, model__config__norm_pix_loss=False).model_config()
    VideoMAEv2ForPreTraining(config).save_pretrained(start)
    task = PreTrainingTask(tiny_recipe(PreTrainingRecipe, tmp_path, **options))  # no processor: ImageNet's
    frames = torch.randint(0, 256, (1, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    index = torch.arange(32).view(1, -1)
    targets = VideoMAEv2ForPreTraining(config).reconstruction_loss.targets
    pixels = targets(task.normalise(frames, torch.device("cpu")), index)[0].reshape(32, -1, 3)
    torch.testing.assert_close(pixels, to_cubes(frames[0] / 255, config), atol=1e-6, rtol=1e-5)
    VideoMAEv2VideoProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(start)
    with pytest.raises(RecipeError, match=r"model\.config\.norm_pix_loss: false .*\[0\.5, 0\.5, 0\.5\]"):
        PreTrainingTask(tiny_recipe(PreTrainingRecipe, tmp_path, **options))
    same = {"do_rescale": False, "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375]}
    VideoMAEv2VideoProcessor(**same).save_pretrained(start)  # ImageNet's too, of frames from 0 to 255
    PreTrainingTask(tiny_recipe(PreTrainingRecipe, tmp_path, **options))
    VideoMAEv2VideoProcessor(do_normalize=False).save_pretrained(start)
    with pytest.raises(RecipeError, match=r"are \[0\.0, 0\.0, 0\.0\] and \[1\.0, 1\.0, 1\.0\]"):
        PreTrainingTask(tiny_recipe(PreTrainingRecipe, tmp_path, **options))
    PreTrainingTask(tiny_recipe(PreTrainingRecipe, tmp_path, **options, model__config__norm_pix_loss=True))


def test_weights_in_half_precision_are_trained_in_fp32(tmp_path: Path) -> None:
    start = str(tmp_path / "start")
    config = tiny_recipe(PreTrainingRecipe, tmp_path).model_config()
    VideoMAEv2ForPreTraining(config).to(torch.bfloat16).save_pretrained(start)
    model = PreTrainingTask(tiny_recipe(PreTrainingRecipe, tmp_path, model={"init_from": start})).build_model()
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_masks_do_not_depend_on_how_a_batch_is_cut(tmp_path: Path) -> None:
    config = tiny_recipe(PreTrainingRecipe, tmp_path, model__config__decoder_mask_type="random").model_config()
    draw = MaskDrawer(config, seed=3)
    whole, parts = draw(0, 16), [draw(first, 4) for first in (0, 4, 8, 12)]
    for i in range(2):
        assert torch.equal(whole[i], torch.cat([part[i] for part in parts]))
        assert len({tuple(row) for row in whole[i].tolist()}) > 8
    weighted = [loss_weight(*part, config) for part in parts]
    assert sum(weighted) / 4 == pytest.approx(loss_weight(*whole, config))
    assert len(set(weighted)) > 1
    config.decoder_loss_on = "all"  # of as many tokens in every clip
    assert {loss_weight(*part, config) for part in parts} == {1.0}
    published = VideoMAEv2Config()
    assert loss_weight(*MaskDrawer(published, seed=0)(5, 3), published) == 1.0
    assert not torch.equal(whole[0], MaskDrawer(config, seed=4)(0, 16)[0])


def test_seeds_of_the_masks_are_those_of_splitmix64() -> None:
    """With other ones, a run would go on with other masks under the next version: its first number for two seeds."""
    assert seed_from(0) == 0xE220A8397B1DCDAF & 0xFFFFFFFF
    assert seed_from(1234567) == 6457827717110365317 & 0xFFFFFFFF


@pytest.mark.parametrize("normalised", [True, False])
def test_picture_of_a_perfect_model(tmp_path: Path, normalised: bool) -> None:
    config = tiny_recipe(PreTrainingRecipe, tmp_path, model__config__norm_pix_loss=normalised).model_config()
    frames = 0.4 * torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))  # no pixel is grey
    assert torch.equal(from_cubes(to_cubes(frames, config), config), frames)
    model = VideoMAEv2ForPreTraining(config)
    everything = torch.arange(32).view(1, -1)
    own = model.reconstruction_loss.targets
    mean, std = own.pixel_mean.view(3, 1, 1), own.pixel_std.view(3, 1, 1)
    targets = own(((frames - mean) / std)[None], everything)[0]
    mask = MaskDrawer(config, seed=0)(0, 1)[0][0]
    targets = torch.where(mask[:, None], targets, 9.0)  # what the encoder saw is shown as it was
    picture = reconstruction_picture(frames, targets, mask, config)
    assert picture.shape == (3, 3 * 18, 2 * 18)
    truth, masked, rebuilt = picture[:, :18].int(), picture[:, 18:36].int(), picture[:, 36:].int()
    assert (truth - rebuilt).abs().max() <= 1
    assert torch.equal(truth[:, :16, :16], (frames[0] * 255).round().int())
    assert ((masked == 128).float().mean()) > 0.4
    assert torch.equal(masked[masked != 128], truth[masked != 128])
    assert (picture[:, 16:18] == 255).all()
    assert (picture[:, :, 16:18] == 255).all()
    for far, colour in ((100.0, 255), (-100.0, 0)):
        outside = reconstruction_picture(frames, torch.full_like(targets, far), mask, config)[:, 36:]
        assert (outside[masked == 128] == colour).all()


def test_a_picture_shows_the_first_clip_of_a_batch(tmp_path: Path) -> None:
    run = begin(tmp_path)
    inputs = run.task.prepare(next(run.batches), 0, torch.device("cpu"))
    picture = run.task.picture(run.model.eval(), inputs)
    frame = run.task.normalise.undo(inputs["pixel_values"][0, 0])
    assert torch.equal(picture[:, :16, :16], (frame * 255).round().to(torch.uint8))
    hidden = inputs["bool_masked_pos"][0, :16].view(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert torch.equal((picture[:, 18:34, :16] == 128).all(dim=0), hidden)


def test_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("tensorboard")
    caplog.set_level("INFO", "training.tracking")
    run = begin(
        tmp_path, tracking__trackers=["tensorboard"], tracking__log_every=2, tracking__picture_every=4,
        tracking__peak_tflops=1.0,
    )  # fmt: skip
    logged, shown, (tracker,) = [], [], run.accelerator.trackers
    run.accelerator.log = lambda values, step: logged.append((step, values))
    tracker.log_images = lambda values, step: shown.append((step, values["reconstruction"].shape[:2]))
    assert fit(run)
    assert shown == [(4, (1, 3)), (6, (1, 3))]
    line = next(line for line in caplog.messages if "step 2/6: " in line)
    assert re.search(r" step 2/6: loss \d.*, lr \d.*, clips_per_second \d.*, mfu \d.*, \d+:\d\d min left$", line)
    assert "epoch" not in line
    assert "hours_left" not in line
    finished = []
    finish, tracker.finish = tracker.finish, lambda: finished.append(tracker.name)
    run.monitor.close()
    finish()
    assert finished == ["tensorboard"]
    assert [step for step, _ in logged] == [2, 4, 6]
    last = logged[-1][1]
    assert last["epoch"] == pytest.approx(6 * 8 / 24)
    assert last["hours_left"] == 0.0
    first = logged[0][1]
    assert first["hours_left"] * 3600 * first["clips_per_second"] == pytest.approx((6 - 2) * 8)
    rates = [json.loads(line)["lr"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [values["lr"] for _, values in logged] == rates[1::2]
    assert last["mfu"] == pytest.approx(last["clips_per_second"] * training_flops(run.task) / 1e12)
    assert [path.name for path in sorted((tmp_path / "pictures").iterdir())] == [
        "step-00000004.png",
        "step-00000006.png",
    ]
    assert list((tmp_path / "logs").rglob("events.out.tfevents.*"))
    (settings,) = (tmp_path / "logs").rglob("hparams.yml")
    assert "optimizer.base_lr: 0.3" in settings.read_text()


def test_speed_is_that_of_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, logged = [100.0], []
    run = begin(tmp_path)
    monkeypatch.setattr("training.tracking.time.perf_counter", lambda: now[0])
    run.accelerator.log = lambda values, step: logged.append(values)
    for steps, seconds in ((2, 4.0), (1, 1.0)):
        now[0] += 1000.0
        run.monitor.evaluation({"eval_top1": 0.5})
        now[0] += seconds
        for _ in range(steps):
            run.progress.step += 1
            run.monitor.add({"loss": torch.tensor(1.0)})
        run.monitor.report()
    run.progress.step += 1
    run.monitor.add({"loss": torch.tensor(1.0)})
    now[0] += 4.0
    run.monitor.report()
    speeds = [values["clips_per_second"] for values in logged if "loss" in values]
    assert speeds == pytest.approx([2 * 8 / 4, 1 * 8 / 1, 1 * 8 / 4])


def test_a_bar_takes_the_place_of_log_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    caplog.set_level("INFO", "training.tracking")
    run = begin(tmp_path, tracking__progress_bar=True)
    assert fit(run)
    assert (run.monitor.bar.n, run.monitor.bar.total) == (6, 6)
    shown = terminal.getvalue()
    assert "6/6" in shown
    assert "loss=" in shown
    assert not any("step 6/6" in line for line in caplog.messages)


def test_cost_of_a_clip(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        PreTrainingRecipe, tmp_path, model={"preset": "small"}, data__num_frames=16, data__image_size=224
    )
    task = PreTrainingTask(recipe)
    assert training_flops(task) == 2 * our_macs(task.config, "pretraining", training_step=True)
    tuning = tiny_recipe(FineTuningRecipe, tmp_path, num_labels=5)
    task = ClassificationTask(tuning)
    assert training_flops(task) == 2 * our_macs(task.config, "classification", training_step=True)


def test_lines_that_a_run_left_behind_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    others = 'a remark\n{"epoch": 3}\n[4]\n'
    path.write_text(f'{{"step": 2}}\n{others}{{"step": 3}}\n{{"step": 4, "lo')
    forget_lines(path, 0)  # without a checkpoint, only what was cut off in its midst
    assert path.read_text() == f'{{"step": 2}}\n{others}{{"step": 3}}\n'
    forget_lines(path, 2)
    assert path.read_text() == f'{{"step": 2}}\n{others}'
    forget_lines(tmp_path / "none.jsonl", 2)
    assert not (tmp_path / "none.jsonl").exists()


def test_a_run_that_goes_on_takes_later_lines_out_of_its_files_and_names_one_that_is_full(tmp_path: Path) -> None:
    run = begin(tmp_path)
    files = [tmp_path / name for name in ("metrics.jsonl", "evaluation.jsonl")]
    for file in files:
        file.write_text('{"step": 2}\n{"step": 3}\n')
    run.progress.step = 2
    monitor = Monitor(run.accelerator, run.task, run.recipe, run.plan, run.progress)
    assert [file.read_text() for file in files] == ['{"step": 2}\n'] * 2
    assert monitor.bar.n == 2
    monitor.add({"loss": torch.tensor(1.0)})
    for report, file in ((monitor.report, files[0]), (lambda: monitor.evaluation({"eval_top1": 0.5}), files[1])):
        with full_disk(10), pytest.raises(OSError, match=re.escape(str(file))):
            report()


def test_small_things() -> None:
    assert json_line({"step": 1, "loss": 0.5}) == '{"step": 1, "loss": 0.5}\n'
    assert json_line({"loss": math.nan, "grad_norm": math.inf}) == '{"loss": null, "grad_norm": null}\n'
    assert duration(0.5) == "30:00 min"
    assert duration(1.0) == "0 d 01:00 h"
    assert duration(49.5) == "2 d 01:30 h"
    assert flat({"a": {"b": 1, "c": [1]}, "d": None}) == {"a.b": 1, "a.c": "[1]", "d": "None"}
    assert peak_flops(torch.device("cpu"), None) is None
    assert peak_flops(torch.device("cpu"), 2.0) == 2e12


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA H100 NVL", 835), ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA A10G", 70), ("NVIDIA A10", 125), ("NVIDIA L40S", 362),
        ("NVIDIA L40", 181), ("NVIDIA L4", 121), ("Tesla V100S-PCIE-32GB", 125), ("Tesla T4", 65),
        ("NVIDIA RTX A1000", None), ("NVIDIA RTX A4000", None), ("NVIDIA A400", None), ("NVIDIA T400 4GB", None),
    ],
)  # fmt: skip
def test_peaks_of_devices(monkeypatch: pytest.MonkeyPatch, name: str, tflops: float | None) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(torch.device("cuda"), None) == (None if tflops is None else tflops * 1e12)


@pytest.fixture
def tf32_switches() -> Iterator[tuple[Any, Any]]:
    """Both are what they were afterwards."""
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    yield switches
    for switch, value in zip(switches, before):
        switch.allow_tf32 = value


@pytest.mark.parametrize("tf32", [True, False])
def test_products_round_to_tf32_as_the_recipe_says(tmp_path: Path, tf32: bool, tf32_switches: tuple[Any, Any]) -> None:
    """Whatever a run before has left, and torch allows convolutions from the start."""
    for switch in tf32_switches:
        switch.allow_tf32 = not tf32
    begin(tmp_path, tf32=tf32)
    assert [switch.allow_tf32 for switch in tf32_switches] == [tf32, tf32]


def test_outputs_stay_in_half_precision(tmp_path: Path) -> None:
    """A copy of the reconstruction in fp32 serves nothing; the loss is in fp32 as it is."""
    run = begin(tmp_path, mixed_precision="bf16")
    inputs = run.task.prepare(next(run.batches), 0, run.accelerator.device)
    del inputs["weight"]
    with run.accelerator.autocast():
        outputs = run.model(**inputs)
    assert outputs.logits.dtype is torch.bfloat16
    assert outputs.loss.dtype is torch.float32


def test_without_clipping_the_norm_of_the_gradient_is_told_all_the_same(tmp_path: Path) -> None:
    norms = []
    for clip_grad in (None, 1e9):
        run = begin(tmp_path / str(clip_grad), optimizer__clip_grad=clip_grad)
        run.model.decoder.norm.requires_grad_(False)  # what has no gradient does not count
        norms.append(train_step(run)[0]["grad_norm"])
    assert norms[0] > 0
    torch.testing.assert_close(*norms)


def test_the_optimizer_gets_the_gradient_of_the_loss_and_the_rate_of_the_step(tmp_path: Path) -> None:
    """AdamW takes the same step after gradients of any size; its first mean is (1 - beta1) times what it was given."""
    run = begin(tmp_path, batch_size=4, optimizer__clip_grad=None, optimizer__betas=[0.75, 0.99])
    reference = copy.deepcopy(run.model)
    inputs = train_step(run)[1]
    run.task.loss(reference, inputs)["loss"].backward()
    gradients = {name: weight.grad for name, weight in reference.named_parameters()}
    assert_close(first_means(run), {name: 0.25 * gradient for name, gradient in gradients.items()}, 1e-6)

    rates = [run.optimizer.param_groups[-1]["lr"]]
    for _ in range(5):
        train_step(run)
        rates.append(run.optimizer.param_groups[-1]["lr"])
    assert rates == [run.plan.learning_rate(step) for step in range(6)]
    assert len(set(rates)) == 5  # 0.0, and the peak twice


def test_gradients_are_clipped_to_the_norm_of_the_recipe(tmp_path: Path) -> None:
    means, options = {}, {"optimizer__betas": [0.75, 0.99]}
    for clip_grad in (None, 1e-3):
        run = begin(tmp_path / str(clip_grad), optimizer__clip_grad=clip_grad, **options)
        told = train_step(run)[0]["grad_norm"]
        means[clip_grad] = first_means(run)
    assert told > 0.01
    assert_close(means[1e-3], {name: mean * 1e-3 / told for name, mean in means[None].items()}, 1e-6)


def test_the_model_learns_in_training_mode_and_is_drawn_in_evaluation_mode(tmp_path: Path) -> None:
    modes = []

    class Watched(PreTrainingTask):
        def build_model(self) -> nn.Module:
            return super().build_model().eval()  # as `from_pretrained` gives it

        def loss(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            modes.append(("loss", model.training, torch.is_autocast_enabled("cpu")))
            return super().loss(model, inputs)

        def picture(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor | None:
            modes.append(("picture", model.training, torch.is_autocast_enabled("cpu")))
            return super().picture(model, inputs)

    often = {"checkpoint__every": 1, "tracking__picture_every": 1, "mixed_precision": "bf16"}
    assert fit(begin(tmp_path, Watched, batch_size=4, schedule__max_steps=2, schedule__warmup_steps=0, **often))
    assert modes == [("loss", True, True), ("picture", False, True)] * 2


def first_means(run: Run) -> dict[str, torch.Tensor]:
    return {name: run.optimizer.optimizer.state[weight]["exp_avg"] for name, weight in run.model.named_parameters()}


def test_the_seed_reaches_weights_data_and_masks(tmp_path: Path) -> None:
    found = []
    for seed in (0, 0, 1):
        run = begin(tmp_path / str(len(found)), seed=seed)
        inputs = run.task.prepare(next(run.batches), 0, torch.device("cpu"))
        found.append({**inputs, "decoder": run.model.decoder.head.weight})
    for name in ("pixel_values", "bool_masked_pos", "decoder"):
        assert torch.equal(found[0][name], found[1][name])
        assert not torch.equal(found[0][name], found[2][name])


def test_a_good_loss_is_left_as_it_is() -> None:
    loss = torch.tensor(1.5, requires_grad=True)
    guarded = poison_unless_finite(loss)
    guarded.backward()
    assert (guarded.item(), loss.grad.item()) == (1.5, 1.0)
