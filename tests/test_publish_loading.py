# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From a folder to the Hub and back, in clean processes: what was published loads with and without this package."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hub_server import TOKEN, HubServer
from published_models import CLASS_NAMES, save_model
from video_files import encode

from modeling_videomae_v2 import VideoMAEv2ForVideoClassification, VideoMAEv2VideoProcessor
from modeling_videomae_v2.publishing.checks import check_clean_process


pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]
REPO = "someone/some-model"

# `sys.argv`: repository, video, "with" or "without" the package. The last line is what it found.
LOADING = """
import json, sys
repo, video, package = sys.argv[1:]
if package == "with":
    import modeling_videomae_v2
    options = {}
else:
    sys.modules["modeling_videomae_v2"] = None  # any import of it fails
    options = {"trust_remote_code": True}
import torch
from transformers import AutoModelForVideoClassification, AutoVideoProcessor, pipeline
torch.set_num_threads(1)
classify = pipeline("video-classification", model=repo, **options)
model = AutoModelForVideoClassification.from_pretrained(repo, **options)
processor = AutoVideoProcessor.from_pretrained(repo, **options)
with torch.no_grad():
    logits = model(**processor(video, return_tensors="pt")).logits
modules = [type(thing).__module__ for thing in (classify.model, model, processor)]
print(json.dumps({"best": classify(video, top_k=2), "logits": logits[0].tolist(), "modules": modules}))
"""

# Publishes without the clean process, which has its own test.
PUBLISHING = """
import sys
from modeling_videomae_v2.publishing import publish as publishing
publishing.check_clean_process = lambda *arguments: None
publishing.publish_folder(*sys.argv[1:])
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def surroundings(hub: HubServer, home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE"))}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}
    return {**kept, **own, **more}


def test_published_models_load_with_and_without_the_package(tmp_path: Path, hub: HubServer) -> None:
    folder = save_model(tmp_path / "model", shards=True)
    command = [sys.executable, "-m", "modeling_videomae_v2", "publish", str(folder), REPO]
    environment = surroundings(hub, tmp_path / "publisher", HF_TOKEN=TOKEN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    video = encode(tmp_path / "film.mp4", num_frames=12)
    model = VideoMAEv2ForVideoClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model(**VideoMAEv2VideoProcessor.from_pretrained(folder)(video, return_tensors="pt")).logits[0]
    for package, start in (("with", "modeling_videomae_v2."), ("without", "transformers_modules.")):
        empty = tmp_path / package  # neither a cache nor a checkout
        empty.mkdir()
        command = [sys.executable, "-c", LOADING, REPO, str(video), package]
        environment = surroundings(hub, empty / "home")
        done = subprocess.run(
            command, env=environment, cwd=empty, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert all(module.startswith(start) for module in found["modules"]), found["modules"]
        torch.testing.assert_close(torch.tensor(found["logits"]), expected, rtol=0, atol=1e-6)
        assert found["best"][0]["label"] == CLASS_NAMES[int(expected.argmax())]


def test_an_upload_that_is_killed_goes_on_where_it_was(tmp_path: Path, hub: HubServer) -> None:
    folder = save_model(tmp_path / "model", shards=True)
    shards = len(list(folder.glob("*.safetensors")))
    assert shards == 2
    hub.hold_uploads_from = 1
    # what a killed process could not remove is not left in the folder for temporary files
    environment = surroundings(hub, tmp_path / "home", HF_TOKEN=TOKEN, TMPDIR=str(tmp_path))
    command = [sys.executable, "-c", PUBLISHING, str(folder), REPO]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert hub.holding.wait(200)
        while len(hub.large_files) < shards - 1:
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert "config.json" not in hub.repositories[REPO].files()  # nothing is there by halves

    hub.hold_uploads_from, place = None, len(hub.log)
    arrived = set(hub.large_files)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert len(hub.uploads_of(place)) == 1
    assert not arrived & set(hub.uploads_of(place))
    for shard in folder.glob("*.safetensors"):
        assert hub.repositories[REPO].files()[shard.name].content == shard.read_bytes()


def test_code_that_does_not_stand_alone_is_found(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    code = folder / "masking_videomae_v2.py"
    code.write_text(f"import modeling_videomae_v2\n{code.read_text()}")
    with pytest.raises(ValueError, match=r"(?s)not load in a clean process.*modeling_videomae_v2"):
        check_clean_process(folder, "VideoMAEv2ForVideoClassification")
