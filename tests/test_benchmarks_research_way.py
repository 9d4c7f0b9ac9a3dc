# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The competitors compute what ours do, and cost what they say."""

import importlib.util

import pytest
import torch
from tiny import clips, masks, tiny_model

from benchmarks.competitors import DUAL, competitors, make_config, their_table
from benchmarks.flops import our_macs
from benchmarks.research_way import ResearchClassifier, ResearchPreTraining, load_ours
from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification


@pytest.mark.parametrize("decoder_mask_type", ["running_cell", None])
def test_research_way_has_our_loss_and_gradients(decoder_mask_type: str | None) -> None:
    ours = tiny_model(VideoMAEv2ForPreTraining, decoder_mask_type=decoder_mask_type)
    theirs = ResearchPreTraining(ours.config)
    load_ours(theirs, ours.state_dict())
    given = masks() if decoder_mask_type else {"bool_masked_pos": masks()["bool_masked_pos"]}
    losses = [ours(clips(), **given).loss, theirs(clips(), **given)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(theirs.head.weight.grad, ours.decoder.head.weight.grad)
    torch.testing.assert_close(
        theirs.encoder.embed.weight.grad, ours.videomae_v2.embeddings.patch_embeddings.projection.weight.grad
    )


def test_research_way_has_our_logits() -> None:
    ours = tiny_model(VideoMAEv2ForVideoClassification)
    theirs = ResearchClassifier(ours.config)
    load_ours(theirs, ours.state_dict())
    torch.testing.assert_close(theirs(clips()), ours(clips()).logits)


def test_tables_and_costs_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    competitors("pretraining", "tiny")[0].macs()
    monkeypatch.setattr("benchmarks.competitors.our_macs", lambda *_: pytest.fail("counted again"))
    theirs = next(c for c in competitors("pretraining", "tiny") if c.name == "transformers, sdpa")
    assert competitors("pretraining", "tiny")[0].macs() > 0
    models = [theirs.build() for _ in range(2)]
    first, second = (model.videomae.embeddings.position_embeddings for model in models)
    assert first is second


def test_transformers_models_have_their_own_table_on_the_host() -> None:
    spec = importlib.util.find_spec("transformers.models.videomae.modeling_videomae")
    original = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(original)
    with torch.device("meta"):
        table = their_table(6, 8)
    assert torch.equal(table, original.get_sinusoid_encoding_table(6, 8))


def test_work_of_a_step_is_what_the_task_needs() -> None:
    by_name = {c.name: c for c in competitors("pretraining", "tiny")}
    config = make_config("tiny")
    assert by_name["research way"].macs() == by_name[DUAL].macs() == our_macs(config, "pretraining", training_step=True)
    for task, training in (("finetuning", True), ("inference", False)):
        assert {c.macs() for c in competitors(task, "tiny")} == {our_macs(config, "classification", training)}
