# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The memory sum of fine-tuning, against what a real pass on a small model keeps."""

import gc
import weakref
from functools import partial

import pytest
import torch
from tiny import clips, tiny_config

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification
from training.activation_memory import as_on_a_gpu, kept_bytes
from training.adapters import LoraRecipe, add_lora
from training.memory import GIB, activation_bytes, main, memory_of_fine_tuning


CONFIG = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4}


@pytest.mark.parametrize("lora", [None, LoraRecipe(rank=2)], ids=["whole", "lora"])
def test_activations_of_a_real_pass(lora: LoraRecipe | None) -> None:
    """Four blocks with memory, against the sum from one and two without."""
    if lora is not None:
        pytest.importorskip("peft")
    config = tiny_config(**CONFIG)
    model = VideoMAEv2ForVideoClassification(config)
    model = model.train() if lora is None else add_lora(model, lora).train()
    with as_on_a_gpu(), torch.autocast("cpu", torch.bfloat16):
        measured = kept_bytes(model, lambda: model(clips(3), labels=torch.zeros(3, dtype=torch.long)))
    assert activation_bytes(config, 3, lora) == pytest.approx(measured, rel=0.01)
    tokens = 3 * 32 * 64
    assert measured > 4 * 2 * (2 * tokens)  # at least input and output of each block, in bf16
    assert activation_bytes(config, 3, lora, checkpointing=True) < 0.6 * measured


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


def test_parts_of_the_sum() -> None:
    pytest.importorskip("peft")
    whole = memory_of_fine_tuning(tiny_config(), 2, averaged=True)
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in VideoMAEv2ForVideoClassification(tiny_config()).parameters())
    assert whole.weights == whole.gradients == whole.average == 4 * parameters
    assert (whole.optimizer, whole.casts) == (8 * parameters, 2 * parameters)
    assert whole.total == sum([whole.weights, whole.gradients, whole.optimizer, whole.average, whole.casts,
                               whole.activations, whole.cuda])  # fmt: skip
    adapters = memory_of_fine_tuning(tiny_config(), 2, lora=LoraRecipe(rank=1))
    assert adapters.average == 0
    assert adapters.gradients < 0.1 * whole.gradients


def test_giant_with_adapters_fits_24_gb() -> None:
    pytest.importorskip("peft")
    config = VideoMAEv2Config.from_preset("giant", num_labels=400)
    found = memory_of_fine_tuning(config, 16, lora=LoraRecipe(), checkpointing=True)
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
                assert cubes(clip).dtype == torch.bfloat16
        with as_on_a_gpu():
            torch.testing.assert_close(cubes(clip), expected)


def test_command(capsys: pytest.CaptureFixture) -> None:
    main(["--preset", "small", "--clips", "1", "--checkpointing"])
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(rows) == {"weights", "gradients", "optimizer", "average", "casts", "activations", "cuda", "total"}
    assert float(rows["cuda"].split()[0]) == 1.0
    with pytest.raises(SystemExit):
        main(["--preset", "enormous"])
    assert "no preset" in capsys.readouterr().err
    assert GIB == 1024**3
