"""What goes to the Hub is complete: code and weights, loadable where this package is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModel, AutoModelForPreTraining, AutoModelForVideoClassification, AutoVideoProcessor

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
)


SIZES = {
    "image_size": 32, "patch_size": 8, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 96, "decoder_hidden_size": 24, "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 48,
}  # fmt: skip

# Runs where the package cannot be imported; prints what it found as the last line.
CLEAN_PROCESS = """
import json, sys
sys.modules["modeling_videomae_v2"] = None
import torch, transformers
folder = sys.argv[1]
auto_class = getattr(transformers, sys.argv[2])
model = auto_class.from_pretrained(folder, trust_remote_code=True).eval()
processor = transformers.AutoVideoProcessor.from_pretrained(folder, trust_remote_code=True)
video = torch.load(folder + "/video.pt")
with torch.no_grad():
    output = model(**processor(video, return_tensors="pt"))
key = sys.argv[3]
print(json.dumps({"module": type(model).__module__, "values": output[key].flatten()[:8].tolist()}))
"""


def save_repository(model: torch.nn.Module, folder: Path) -> torch.Tensor:
    """Write model, processor and a video; return the video, uint8 `(frames, channels, height, width)`."""
    model.save_pretrained(folder)
    processor = VideoMAEv2VideoProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(folder)
    video = torch.randint(0, 256, (20, 3, 40, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.save(video, folder / "video.pt")
    return video


def run_clean(folder: Path, auto_class: str, key: str) -> dict:
    environment = {**os.environ, "HF_MODULES_CACHE": str(folder / "modules"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", CLEAN_PROCESS, str(folder), auto_class, key]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("auto_class", "key"), [("AutoModelForVideoClassification", "logits"), ("AutoModel", "pooler_output")]
)
def test_code_and_weights_load_without_the_package(tmp_path: Path, auto_class: str, key: str) -> None:
    config = VideoMAEv2Config(**SIZES, num_labels=8, initializer_range=0.5)
    model = VideoMAEv2ForVideoClassification(config).eval()
    video = save_repository(model, tmp_path)
    inputs = VideoMAEv2VideoProcessor.from_pretrained(tmp_path)(video, return_tensors="pt")
    with torch.no_grad():
        expected = (model if key == "logits" else model.videomae_v2)(**inputs)[key]

    found = run_clean(tmp_path, auto_class, key)
    assert found["module"].startswith("transformers_modules.")
    torch.testing.assert_close(torch.tensor(found["values"]), expected.flatten()[:8], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("model_class", "auto_class"),
    [
        (VideoMAEv2Model, AutoModel),
        (VideoMAEv2ForPreTraining, AutoModelForPreTraining),
        (VideoMAEv2ForVideoClassification, AutoModelForVideoClassification),
    ],
)
def test_auto_classes_use_the_installed_package(tmp_path: Path, model_class: type, auto_class: type) -> None:
    save_repository(model_class(VideoMAEv2Config(**SIZES)), tmp_path)
    for trust_remote_code in (None, True):  # code in the repository does not come before the installed one
        model = auto_class.from_pretrained(tmp_path, trust_remote_code=trust_remote_code)
        assert type(model) is model_class
    assert type(AutoVideoProcessor.from_pretrained(tmp_path)) is VideoMAEv2VideoProcessor


def test_push_sends_weights_configuration_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    class FakeRepository:
        repo_id = "someone/some-model"

    def create_commit(self, repo_id, operations, **kwargs):
        sent.extend(operation.path_in_repo for operation in operations)

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda self, *args, **kwargs: FakeRepository())
    monkeypatch.setattr("huggingface_hub.HfApi.create_commit", create_commit)
    monkeypatch.setattr("huggingface_hub.ModelCard.load", lambda *args, **kwargs: ModelCard(""))
    monkeypatch.chdir(tmp_path)
    VideoMAEv2ForVideoClassification(VideoMAEv2Config(**SIZES)).push_to_hub("someone/some-model", create_pr=False)
    VideoMAEv2VideoProcessor().push_to_hub("someone/some-model")
    assert {
        "config.json",
        "model.safetensors",
        "configuration_videomae_v2.py",
        "masking_videomae_v2.py",
        "modeling_videomae_v2.py",
        "video_decoding_videomae_v2.py",
        "video_processing_videomae_v2.py",
    } <= set(sent)
