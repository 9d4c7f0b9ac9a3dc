# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The tests that transformers has for all of its models and video processors, on ours.

No part of the suite, for no wheel has them: pip fetches the source of the transformers that is installed. To run it,
`pip install parameterized` and `python -m pytest -o addopts= tests/transformers_common.py`. What is left out says why.
"""

import copy
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny import LABELS, MODEL_CLASSES, TOKENS, clips, masks, tiny_config
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2Model, VideoMAEv2VideoProcessor


# What its tests import and do not come with, for text models and for formats of other programs.
NOT_THERE = {
    "__init__.py": "",
    "exporters/test_export.py": "class ExportTesterMixin: pass",
    "generation/test_utils.py": "class GenerationTesterMixin: pass",
    "utils/test_configuration_utils.py": "config_common_kwargs = {}",
}


def fetch_tests(folder: Path) -> None:
    """The package `tests` of the transformers that is installed."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), f"transformers=={transformers.__version__}"], check=True)
    with tarfile.open(next(folder.glob("transformers-*.tar.gz"))) as source:
        for member in source.getmembers():
            parts = Path(member.name).parts[1:]
            if parts[:1] == ("tests",) and member.isfile():
                place = folder.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(source.extractfile(member).read())
    for name, text in NOT_THERE.items():
        place = folder / "tests" / name
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_text(text)


pytest.importorskip("parameterized")
fetched = tempfile.TemporaryDirectory()
fetch_tests(Path(fetched.name))
sys.path.insert(0, fetched.name)

from tests.test_configuration_common import ConfigTester  # noqa: E402
from tests.test_video_processing_common import VideoProcessingTestMixin, prepare_video_inputs  # noqa: E402

from tests import test_modeling_common as modeling  # noqa: E402


# Its tests look there for what a class does.
names = (modeling_auto.MODEL_MAPPING_NAMES, modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
         modeling_auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES)  # fmt: skip
for mapping, model_class in zip(names, MODEL_CLASSES, strict=True):
    mapping[VideoMAEv2Config.model_type] = model_class.__name__


def _steady(config: PreTrainedConfig) -> None:
    """What the original sets under all names that any model has for it, near misses of ours among them."""
    config.layer_norm_eps = 1.0


modeling.set_config_for_less_flaky_test = _steady


class ModelTester:
    """Sizes that the tests ask for."""

    batch_size, seq_length, is_training = 2, TOKENS, True
    num_hidden_layers, hidden_size, num_attention_heads, num_labels = 2, 32, 4, LABELS
    num_masks, mask_ratio = 24, 0.75

    def get_config(self) -> VideoMAEv2Config:
        return tiny_config()

    def prepare_config_and_inputs_for_common(self) -> tuple[VideoMAEv2Config, dict[str, torch.Tensor]]:
        return tiny_config(), {"pixel_values": clips()}


class ModelTest(modeling.ModelTesterMixin, unittest.TestCase):
    all_model_classes = MODEL_CLASSES
    test_resize_embeddings = False
    test_model_get_set_embeddings = None  # cubes are embedded by no table
    test_model_outputs_equivalence = None  # subtracts outputs, and masks are boolean
    test_reverse_loading_mapping = None  # weights are saved under our names, whatever they were loaded from

    def setUp(self) -> None:
        self.model_tester = ModelTester()

    def _prepare_for_class(
        self, inputs_dict: dict[str, Any], model_class: type[PreTrainedModel], return_labels: bool = False
    ) -> dict[str, Any]:
        inputs = copy.deepcopy(inputs_dict)
        batch = len(inputs["pixel_values"])
        if model_class is VideoMAEv2ForPreTraining:
            inputs |= {name: mask.expand(batch, -1).clone() for name, mask in masks(1).items()}
        elif return_labels and model_class is not VideoMAEv2Model:
            inputs["labels"] = torch.zeros(batch, dtype=torch.long)
        return inputs

    def test_attention_outputs(self) -> None:
        self._without_pretraining().test_attention_outputs()

    def test_hidden_states_output(self) -> None:
        self._without_pretraining().test_hidden_states_output()

    def _without_pretraining(self) -> Any:
        """Whose encoder has visible tokens only, where these tests count all."""
        self.all_model_classes = tuple(each for each in MODEL_CLASSES if each is not VideoMAEv2ForPreTraining)
        return super()

    def test_config(self) -> None:
        ConfigTester(
            self, config_class=VideoMAEv2Config, has_text_modality=False, hidden_size=32, num_attention_heads=4
        ).run_common_tests()


class VideoTester:
    """Videos of 8 frames, from which the processor makes clips of 16."""

    batch_size, num_frames, num_channels, image_size = 5, 8, 3, 18

    def prepare_video_inputs(self, equal_resolution: bool = False, return_tensors: str = "pil") -> list[Any]:
        sizes = (self.batch_size, self.num_frames, self.num_channels, 30, 80)
        return prepare_video_inputs(*sizes, equal_resolution, return_tensors)

    def expected_output_video_shape(self, videos: list[Any]) -> tuple[int, ...]:
        return 16, self.num_channels, self.image_size, self.image_size


class VideoProcessorTest(VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = VideoMAEv2VideoProcessor
    input_name = "pixel_values"
    test_cast_dtype = True
    test_call_sample_frames = None  # refuses videos shorter than a clip, whose last frame ours repeats

    def setUp(self) -> None:
        super().setUp()
        self.video_processor_tester = VideoTester()
        self.video_processor_dict = {"size": {"shortest_edge": 20}, "crop_size": {"height": 18, "width": 18}}
