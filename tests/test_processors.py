# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint without a video processor, and one of which that is not known."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer
from huggingface_hub import constants, hf_hub_download

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from training.processors import find_processor
from training.recipe import RecipeError
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
