"""Graphs that training compiles."""

import pytest
import torch
from tiny import compiles, inputs_for, tiny_model
from torch import nn
from torch._dynamo.testing import CompileCounter
from transformers import PreTrainedModel

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.compiling import CompileMode, compile_model


DEPTH = 12  # more than the 8 graphs of one function after which torch gives up


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> CompileCounter:
    """Counts the graphs, which are not turned into code."""
    counter, compile_module = CompileCounter(), nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compile_module(module, backend=counter))
    torch._dynamo.reset()
    yield counter
    torch._dynamo.reset()


@compiles
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("model_class", "mode", "expected"),
    [
        # embedding, first block, all other blocks
        (VideoMAEv2ForVideoClassification, "blocks", 3),
        # embedding, first and other blocks of encoder and decoder, last block of the decoder, loss
        (VideoMAEv2ForPreTraining, "blocks", 7),
        (VideoMAEv2ForVideoClassification, "model", 1),
        (VideoMAEv2ForPreTraining, "model", 1),
        (VideoMAEv2ForPreTraining, "no", 0),
    ],
)
def test_blocks_share_graphs(
    model_class: type[PreTrainedModel], mode: CompileMode, expected: int, half: bool, graphs: CompileCounter
) -> None:
    """Their rates of stochastic depth all differ."""
    model = tiny_model(model_class, num_hidden_layers=DEPTH, decoder_num_hidden_layers=DEPTH, drop_path_rate=0.3)
    compile_model(model.train(), mode)
    inputs = inputs_for(model_class, labels=True)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = model(**inputs).loss
        loss.backward()
        assert graphs.frame_count == expected


@compiles
@pytest.mark.parametrize("mode", ["blocks", "model"])
@pytest.mark.parametrize("by_config", [False, True])
def test_attention_weights_are_asked_for_after_compiling(mode: CompileMode, by_config: bool) -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, attn_implementation="eager")
    inputs = inputs_for(VideoMAEv2ForVideoClassification)
    expected = tiny_model(VideoMAEv2ForVideoClassification, attn_implementation="eager")(
        **inputs, output_attentions=True, output_hidden_states=True
    )
    compile_model(model, mode, backend="eager")
    torch._dynamo.reset()
    with torch.no_grad():
        model(**inputs)
        model.config.output_attentions = by_config
        found = model(**inputs, output_hidden_states=True, **({} if by_config else {"output_attentions": True}))
    for name in ("attentions", "hidden_states", "logits"):
        torch.testing.assert_close(found[name], expected[name])


@compiles
def test_passes_without_attention_weights_stay_compiled(graphs: CompileCounter) -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, attn_implementation="eager")
    compile_model(model, "blocks")
    with pytest.raises(ValueError, match="pixel_values"):
        model(None, output_attentions=True)
    model(**inputs_for(VideoMAEv2ForVideoClassification), output_attentions=True)
    assert graphs.frame_count == 1  # the embedding
    model(**inputs_for(VideoMAEv2ForVideoClassification))
    assert graphs.frame_count == 2  # and the blocks, which are alike


@pytest.mark.parametrize(("parts", "expected"), [("model", 1), ("blocks", 4), ("no", 0)])
def test_options_are_those_of_torch(parts: CompileMode, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, object]] = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, **options: given.append(options))
    compile_model(tiny_model(VideoMAEv2ForVideoClassification, num_hidden_layers=3), parts, dynamic=False)
    assert given == [{"dynamic": False}] * expected
