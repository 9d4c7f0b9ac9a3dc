# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning and pre-training with `Trainer`, and adapters of PEFT."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import LABELS, clips, inputs_for, masks, tiny_model
from transformers import PreTrainedModel, Trainer, TrainingArguments
from transformers.integrations.peft import MIN_PEFT_VERSION
from transformers.utils import check_peft_version

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification


pytest.importorskip("accelerate")


def dataset(model_class: type[PreTrainedModel], size: int = 8) -> list[dict[str, torch.Tensor]]:
    """Clips with what the model needs beside them, so that nothing is drawn at random in training."""
    columns = inputs_for(model_class, batch=size, labels=True)
    return [{key: column[i] for key, column in columns.items()} for i in range(size)]


def arguments(folder: Path, **overrides: Any) -> TrainingArguments:
    values = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "max_steps": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 0,
    }
    return TrainingArguments(**{**values, **overrides})


def train(model: PreTrainedModel, folder: Path, **overrides: Any) -> Trainer:
    trainer = Trainer(model, arguments(folder, **overrides), train_dataset=dataset(type(model)))
    trainer.train()
    return trainer


def losses(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


# ---- Trainer


@pytest.mark.parametrize("model_class", [VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification])
def test_training_lowers_the_loss_and_resumes(model_class: type[PreTrainedModel], tmp_path: Path):
    options = {"optim": "adamw_torch", "learning_rate": 3e-3, "save_strategy": "steps", "save_steps": 10}
    straight = train(tiny_model(model_class).train(), tmp_path / "straight", max_steps=20, **options)
    history = losses(straight)
    assert len(history) == 20
    assert sum(history[-4:]) < 0.95 * sum(history[:4])

    resumed = Trainer(
        tiny_model(model_class, seed=1), arguments(tmp_path / "resumed", max_steps=20, **options),
        train_dataset=dataset(model_class),
    )  # fmt: skip
    resumed.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-10"))
    for (name, ours), theirs in zip(resumed.model.named_parameters(), straight.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_configuration_that_trainer_had_can_be_made_anew(tmp_path: Path):
    config = train(tiny_model(VideoMAEv2ForVideoClassification), tmp_path).model.config
    config.save_pretrained(tmp_path)
    expected = config.to_diff_dict()
    expected.pop("use_cache", None)  # which newer versions of `Trainer` write, and configurations do not keep
    for twin in (VideoMAEv2Config(**config.to_dict()), VideoMAEv2Config.from_json_file(tmp_path / "config.json")):
        assert twin.to_diff_dict() == expected


def test_gradient_accumulation_equals_the_large_batch(tmp_path: Path):
    large, accumulated = (tiny_model(VideoMAEv2ForVideoClassification) for _ in range(2))
    expected = losses(train(large, tmp_path))
    trainer = train(accumulated, tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2)
    assert not trainer.model_accepts_loss_kwargs
    assert losses(trainer) == pytest.approx(expected, abs=1e-3)
    untrained = tiny_model(VideoMAEv2ForVideoClassification)
    for (name, ours), theirs, start in zip(
        accumulated.named_parameters(), large.parameters(), untrained.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4, msg=name)
        assert not torch.allclose(ours, start, atol=1e-5), f"{name} was not trained"


def test_gradient_checkpointing_and_bf16_by_arguments(tmp_path: Path):
    trainer = train(
        tiny_model(VideoMAEv2ForVideoClassification), tmp_path, gradient_checkpointing=True, bf16=True, max_steps=1
    )
    assert trainer.model.videomae_v2.layers[0].gradient_checkpointing
    assert losses(trainer)[0] > 0


@pytest.mark.parametrize("label_smoothing_factor", [0.0, 0.1])
def test_evaluation_and_prediction(tmp_path: Path, label_smoothing_factor: float):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    options = arguments(tmp_path, per_device_eval_batch_size=3, label_smoothing_factor=label_smoothing_factor)
    trainer = Trainer(
        model, options, eval_dataset=dataset(type(model)),
        compute_metrics=lambda p: {"accuracy": (p.predictions.argmax(-1) == p.label_ids).mean().item()},
    )  # fmt: skip
    metrics = trainer.evaluate()
    inputs = inputs_for(type(model), batch=8, labels=True)
    outputs = model(**inputs)
    assert metrics["eval_accuracy"] == (outputs.logits.argmax(-1) == inputs["labels"]).float().mean().item()
    if not label_smoothing_factor:
        assert metrics["eval_loss"] == pytest.approx(outputs.loss.item(), abs=1e-4)
    predictions = trainer.predict(dataset(type(model)))
    torch.testing.assert_close(torch.from_numpy(predictions.predictions), outputs.logits.detach(), atol=1e-5, rtol=1e-5)


def test_evaluation_of_the_pretraining_model(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForPreTraining)
    options = arguments(tmp_path, prediction_loss_only=True, label_names=["pixel_values"])  # as for all autoencoders
    metrics = Trainer(model, options, eval_dataset=dataset(type(model))).evaluate()
    assert metrics["eval_loss"] == pytest.approx(model(**inputs_for(type(model), batch=8)).loss.item(), abs=0.02)


def test_the_best_pretraining_model_is_found_by_its_loss(tmp_path: Path):
    """`Trainer` computes the loss of a model without labels only if its forward has `return_loss`."""
    model = tiny_model(VideoMAEv2ForPreTraining)
    options = arguments(
        tmp_path, eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, load_best_model_at_end=True
    )
    data = dataset(type(model))
    trainer = Trainer(model, options, train_dataset=data, eval_dataset=data)
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert trainer.state.best_metric == min(losses)
    assert model(**inputs_for(type(model)), return_loss=False).loss is None


# ---- PEFT


@pytest.mark.parametrize(("targets", "adapted"), [(["q_proj", "v_proj"], 2 * 2), ("all-linear", 2 * 6)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_lora(targets: Any, adapted: int, checkpointing: bool, tmp_path: Path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=targets, modules_to_save=["classifier"])
    model = peft.get_peft_model(tiny_model(VideoMAEv2ForVideoClassification), config)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    assert len([name for name, _ in model.named_parameters() if "lora_A" in name]) == adapted
    trainer = Trainer(
        model, arguments(tmp_path / "run", max_steps=4, gradient_checkpointing=checkpointing, label_names=["labels"]),
        train_dataset=dataset(VideoMAEv2ForVideoClassification),
    )  # fmt: skip
    trainer.train()
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    assert all(p.abs().sum() > 0 for name, p in model.named_parameters() if "lora_B" in name), "untrained adapters"

    expected = model.eval()(clips()).logits
    model.save_pretrained(tmp_path / "adapter")
    loaded = peft.PeftModel.from_pretrained(tiny_model(VideoMAEv2ForVideoClassification), tmp_path / "adapter")
    torch.testing.assert_close(loaded.eval()(clips()).logits, expected)
    torch.testing.assert_close(loaded.merge_and_unload()(clips()).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["LoRA", "DoRA", "IA3"])
def test_adapters_of_the_cube_embedding(kind: str):
    """They run convolutions beside the one of the model, which only looks at single cubes."""
    peft = pytest.importorskip("peft")
    config = {
        "LoRA": peft.LoraConfig(r=2, target_modules=["projection"], init_lora_weights=False),
        "DoRA": peft.LoraConfig(r=2, target_modules=["projection"], init_lora_weights=False, use_dora=True),
        "IA3": peft.IA3Config(target_modules=["projection"], feedforward_modules=[], init_ia3_weights=False),
    }[kind]
    plain = tiny_model(VideoMAEv2ForVideoClassification)(clips()).logits
    model = peft.get_peft_model(tiny_model(VideoMAEv2ForVideoClassification), config).eval()
    outputs = model(clips(), labels=torch.tensor([0, 1]))
    outputs.loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert not torch.allclose(outputs.logits, plain)
    torch.testing.assert_close(model.merge_and_unload()(clips()).logits, outputs.logits, atol=1e-4, rtol=1e-4)


def test_lora_of_the_pretraining_model():
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    model = peft.get_peft_model(tiny_model(VideoMAEv2ForPreTraining), config)
    model(clips(), **masks()).loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert len(grads) == 2 * 2 * 4
    assert all(grad is not None for grad in grads.values())


def test_adapters_through_transformers(tmp_path: Path):
    """`load_adapter`, `set_adapter` and `disable_adapters`, which every transformers model has."""
    peft = pytest.importorskip("peft")
    try:
        check_peft_version(MIN_PEFT_VERSION)
    except ValueError as error:  # transformers may ask for a version that is not out yet
        pytest.skip(f"peft {peft.__version__}: {error}")
    model = tiny_model(VideoMAEv2ForVideoClassification)
    plain = model(clips()).logits
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model.add_adapter(config)
    adapted = model(clips()).logits
    assert not torch.allclose(adapted, plain)
    assert adapted.shape == (2, LABELS)
    model.save_pretrained(tmp_path)
    model.disable_adapters()
    torch.testing.assert_close(model(clips()).logits, plain)
    other = tiny_model(VideoMAEv2ForVideoClassification)
    other.load_adapter(str(tmp_path))
    torch.testing.assert_close(other(clips()).logits, adapted)
