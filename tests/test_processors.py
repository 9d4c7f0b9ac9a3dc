# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint without a video processor, one of which that is not known, and processors that are out of the common."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_clips import tiny_recipe
from hub_server import HubServer
from huggingface_hub import constants, hf_hub_download
from tiny import tiny_model

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor
from training.processors import find_processor
from training.recipe import RecipeError
from training.tasks import ClassificationTask, FineTuningRecipe
from training.tasks.base import statistics_of


REPO = "someone/tiny"


def reach(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Have what is loaded from now on come from there."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub with a model without a processor, and an empty cache."""
    with HubServer() as server:
        reach(monkeypatch, server.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # before it tries again
        server.add(REPO, {"config.json": b"{}"})
        yield server


def test_a_hub_that_does_not_answer_is_no_checkpoint_without_a_processor(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the network fails after the weights have come."""
    hf_hub_download(REPO, "config.json")
    reach(monkeypatch, "http://127.0.0.1:9")
    said = rf"processor of {REPO} cannot be loaded, so that .* try again when the Hub can .* \(.*\)$"  # in one line
    with pytest.raises(OSError, match=said):
        find_processor(REPO)
    with pytest.raises(RecipeError, match=rf"^model\.init_from: The video processor of {REPO} cannot be loaded"):
        statistics_of(REPO)
    reach(monkeypatch, hub.endpoint)
    assert find_processor(REPO) is None
    reach(monkeypatch, "http://127.0.0.1:9")
    assert find_processor(REPO) is None  # as is known by now
    assert statistics_of(REPO) == {}


def test_a_repository_with_a_processor(hub: HubServer) -> None:
    settings = VideoMAEv2VideoProcessor(num_frames=4).to_dict()
    hub.add(REPO, {"config.json": b"{}", "video_preprocessor_config.json": json.dumps(settings).encode()})
    assert find_processor(REPO, sampling_rate=3).sampling_rate == 3


@pytest.mark.parametrize(
    "name", ["video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json"]
)
def test_a_file_that_cannot_be_read_is_no_missing_one(hub: HubServer, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    assert find_processor(str(folder)) is None
    (folder / name).write_text("{")
    hub.add(REPO, {"config.json": b"{}", name: b"{"})
    for start in (str(folder), REPO):
        with pytest.raises(OSError, match=rf"/{name}' is not a valid JSON file"):
            find_processor(start)


def test_a_file_about_other_processors(hub: HubServer, tmp_path: Path) -> None:
    content = b'{"image_processor": {}}'
    hub.add(REPO, {"config.json": b"{}", "processor_config.json": content})
    (tmp_path / "processor_config.json").write_bytes(content)
    for start in (str(tmp_path), REPO, REPO):  # from the cache in the end
        assert find_processor(start) is None


def test_a_hub_that_answers_a_moment_too_late(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there after all, so that the checkpoint has a processor."""
    hub.add(REPO, {"config.json": b"{}", "preprocessor_config.json": b"{}"})

    def fail(*_: object) -> None:
        raise OSError("It did not answer.")

    monkeypatch.setattr(VideoMAEv2VideoProcessor, "from_pretrained", fail)
    with pytest.raises(OSError, match=r"It did not answer\."):
        find_processor(REPO)


IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
ODD = {  # settings, and the mean and deviation of frames in [0, 1] that they come to
    "0 to 255": ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}, [0.5] * 3, [0.5] * 3),
    "0 to 2": ({"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, [0.5] * 3, [0.5] * 3),
    "not normalised": ({"do_normalize": False}, [0.0] * 3, [1.0] * 3),
    "as they are": ({"do_rescale": False, "do_normalize": False}, [0.0] * 3, [0.00392156862745] * 3),
    "a number": ({"image_mean": 0.5, "image_std": 0.25}, [0.5] * 3, [0.25] * 3),
    "one for all": ({"image_mean": [0.5], "image_std": [0.1, 0.2, 0.25]}, [0.5] * 3, [0.1, 0.2, 0.25]),
    "ImageNet's of 0 to 255": (
        {"do_rescale": False, "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375]},
        *IMAGENET.values(),
    ),
    "1/255 in fp32": ({"rescale_factor": 0.003921568859368563}, *IMAGENET.values()),
    "many digits": (
        {"image_mean": [0.48145466123456789] * 3, "image_std": [0.26862954123456789] * 3},
        [0.48145466123456789] * 3,
        [0.26862954123456789] * 3,
    ),
}


@pytest.mark.parametrize(("settings", "mean", "std"), ODD.values(), ids=ODD)
def test_training_makes_of_frames_what_the_processor_of_the_checkpoint_makes(
    tmp_path: Path, settings: dict[str, Any], mean: list[float], std: list[float]
) -> None:
    start, saved = tmp_path / "start", tmp_path / "saved"
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, num_labels=3, model={"init_from": str(start)})
    tiny_model(VideoMAEv2ForVideoClassification, num_labels=3).save_pretrained(start)
    own = VideoMAEv2VideoProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, **settings)
    own.save_pretrained(start)
    assert statistics_of(str(start)) == {"image_mean": mean, "image_std": std}

    task = ClassificationTask(recipe)
    frames = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 16, 16).expand(2, 4, 3, 16, 16)
    expected = own(list(frames), do_sample_frames=False, return_tensors="pt").pixel_values.float()
    clips = task.normalise(frames, torch.device("cpu"))
    torch.testing.assert_close(clips, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(task.normalise.undo(clips), frames / 255, rtol=1e-5, atol=1e-6)

    task.save_model(task.build_model().state_dict(), saved)
    result = VideoMAEv2VideoProcessor.from_pretrained(saved)
    assert (result.do_rescale, result.rescale_factor, result.do_normalize) == (True, 1 / 255, True)
    assert (list(result.image_mean), list(result.image_std)) == (mean, std)
    assert statistics_of(str(saved)) == {"image_mean": mean, "image_std": std}
    found = result(list(frames), do_sample_frames=False, return_tensors="pt").pixel_values
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_statistics_of_pixels_that_are_not_rescaled(tmp_path: Path) -> None:
    """What the processor refuses of files is refused of frames in training, which are from files, too."""
    VideoMAEv2VideoProcessor(do_rescale=False).save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match=r"^The video processor of model\.init_from \(.*\) .*`do_rescale` is False"):
        statistics_of(str(tmp_path))


def test_statistics_of_other_channels_than_colours(tmp_path: Path) -> None:
    VideoMAEv2VideoProcessor(do_convert_rgb=False, image_std=[0.5] * 4).save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match=r"^The video processor of model\.init_from \(.*\) .*`image_std` must have 3"):
        statistics_of(str(tmp_path))
