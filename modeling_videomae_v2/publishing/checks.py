# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is looked at before a model is published: its folder, its weights, and that it loads in a clean process."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import VideoMAEv2Config, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2Model
from ..adapters_videomae_v2 import is_adapter
from ..conversion.architecture import check_fit, empty_model
from ..loading_videomae_v2 import TAKE_ITS_OWN, advising
from ..model_files import (
    PROCESSOR_FILES,
    WEIGHTS,
    advise_model_folder,
    files_of_index,
    open_weights,
    parse_json,
    read_index,
    read_json,
)
from ..modeling_videomae_v2 import AUTO_MAP
from ..wording_videomae_v2 import shortened


ARCHITECTURES = {
    model_class.__name__: model_class
    for model_class in (VideoMAEv2Model, VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification)
}
AUTO_CLASSES = {place.rpartition(".")[2]: auto_class for auto_class, place in AUTO_MAP.items()}
SAFETENSORS, INDEX = WEIGHTS[:2]
PICKLED = ("pytorch_model.bin.index.json", "*.bin", "*.pth", "*.pt", "*.ckpt")

# Access keys of well-known services, private keys, and addresses with a password in them.
SECRET = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{60}|\bsk-[A-Za-z0-9_-]{32,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bAIza[A-Za-z0-9_-]{35}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/:@]+@"
)
LOCAL_PATH = re.compile(r"^(?:/[^/\s]+/|~[/\\]|[A-Za-z]:[\\/]|\\\\\w|file:/)")

# Runs where the package cannot be imported, with nothing but the staged folder; the last line is what it found.
CLEAN_PROCESS = """
import importlib.util, json, sys
sys.modules["modeling_videomae_v2"] = None
import torch, transformers
folder, auto_class = sys.argv[1:]
options = {"trust_remote_code": True}
if auto_class == "AutoModelForVideoClassification" and importlib.util.find_spec("av"):
    classify = transformers.pipeline("video-classification", model=folder, dtype=torch.float32, **options)
    model, processor = classify.model, classify.video_processor
else:
    model = getattr(transformers, auto_class).from_pretrained(folder, dtype=torch.float32, **options)
    processor = transformers.AutoVideoProcessor.from_pretrained(folder, **options)
config, generator = model.config, torch.Generator().manual_seed(0)
shape = (config.num_frames, 3, config.image_size, config.image_size)
video = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
inputs = processor(video, num_clips=1, num_crops=1, do_sample_frames=False, return_tensors="pt")
with torch.no_grad():
    output = model.eval()(**inputs)
found = {k: v for k, v in output.items() if torch.is_tensor(v) and v.is_floating_point()}
print(json.dumps({
    "modules": [type(model).__module__, type(processor).__module__],
    "shapes": {k: list(v.shape) for k, v in found.items()},
    "not_finite": [k for k, v in found.items() if not torch.isfinite(v).all()],
}))
"""


@dataclass(frozen=True)
class ModelFolder:
    """A folder as `save_pretrained` writes it, looked through.

    Attributes:
        path: The folder.
        values: What config.json holds.
        config: The same as a configuration.
        architecture: Name of the model class.
        weight_files: Names of the safetensors files, and of their index where there are several.
        shapes: Shape of every tensor, by name.
    """

    path: Path
    values: dict[str, Any]
    config: VideoMAEv2Config
    architecture: str
    weight_files: list[str]
    shapes: dict[str, tuple[int, ...]]

    @property
    def tensor_files(self) -> list[Path]:
        return [self.path / name for name in self.weight_files if name != INDEX]

    @property
    def parameters(self) -> int:
        """Number of all weights."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())


def read_model_folder(folder: str | Path, labels: Sequence[str] | None = None) -> ModelFolder:
    """Look through a folder that `save_pretrained` wrote; of the weights only names and shapes are read.

    Args:
        folder: The folder.
        labels: Names of the classes, in place of those of its config.json.

    Returns:
        What it holds, configuration and weights known to fit together.

    Raises:
        FileNotFoundError: The folder, its config.json, weights or video processor are missing.
        ValueError: It is a model of another kind, or configuration, weights and class names do not fit together.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}. Give one that `save_pretrained` wrote.")
    if is_adapter(path):
        raise ValueError(
            f"{path} is an adapter, not a whole model. Put it into the weights first: `merge_and_unload()` of the PEFT "
            "model, then `save_pretrained`."
        )
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"{path} is not a model: it has no config.json. {advise_model_folder(path)}")
    values = read_json(path / "config.json")
    architecture = _architecture(path, values)
    if labels is not None:
        values |= {"id2label": {str(i): name for i, name in enumerate(labels)}}
        values |= {"label2id": {name: i for i, name in enumerate(labels)}}
    weight_files = _weight_files(path)
    shapes = _shapes(path, weight_files)
    try:
        config = VideoMAEv2Config.from_dict(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path / 'config.json'}: {error}") from error
    where = f"{path / 'config.json'}: `id2label`" if labels is None else "--labels"
    names = list(map(str, (values.get("id2label") or config.id2label).values()))
    _check_class_names(where, names, shapes.get("classifier.weight"))
    with advising(TAKE_ITS_OWN):
        check_fit(shapes, empty_model(ARCHITECTURES[architecture], config), str(path))
    processor_files = [path / name for name in PROCESSOR_FILES if (path / name).is_file()]
    if not processor_files:
        raise FileNotFoundError(
            f"{path} has no video processor ({PROCESSOR_FILES[0]}), without which videos cannot be prepared. "
            "Save the one that the model was trained with: VideoMAEv2VideoProcessor(...).save_pretrained(...)."
        )
    for file in processor_files:
        read_json(file)  # says what is wrong with it; transformers would fail or guess
    return ModelFolder(path, values, config, architecture, weight_files, shapes)


def _architecture(path: Path, values: dict[str, Any]) -> str:
    model_type = values.get("model_type")
    if model_type != VideoMAEv2Config.model_type:
        raise ValueError(
            f"{path / 'config.json'} says `model_type` {model_type!r}, not {VideoMAEv2Config.model_type!r}. Bring the "
            f"checkpoint into this form first: videomae-v2 convert {path} NEW_FOLDER"
        )
    names = values.get("architectures") or []
    if names not in [[name] for name in ARCHITECTURES]:
        raise ValueError(
            f"{path / 'config.json'} must name one of {', '.join(ARCHITECTURES)} in `architectures`, got {names!r}. "
            "Save the model with `save_pretrained`."
        )
    return names[0]


def _weight_files(path: Path) -> list[str]:
    if (path / SAFETENSORS).is_file():
        return [SAFETENSORS]
    if (path / INDEX).is_file():
        strange = sorted({name for name in read_index(path / INDEX).values() if not name.endswith(".safetensors")})
        if strange:
            raise ValueError(
                f"{path / INDEX} names files that are no safetensors files beside it: {shortened(strange)}."
            )
        return [*files_of_index(path / INDEX), INDEX]
    pickled = sorted({file.name for pattern in PICKLED for file in path.glob(pattern)})
    hint = (
        f"It has {shortened(pickled)}, which may run code when loaded; load the model and save it with "
        "`save_pretrained`, or use `videomae-v2 convert`."
        if pickled
        else "Save the model with `save_pretrained`."
    )
    raise FileNotFoundError(f"{path} has no weights in {SAFETENSORS}. {hint}")


def _shapes(path: Path, weight_files: list[str]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name in weight_files:
        if name == INDEX:
            continue
        with open_weights(path / name) as file:
            for key in file.keys():  # noqa: SIM118 - it is no dictionary
                if key in shapes:
                    raise ValueError(f"{path}: `{key}` stands in two weight files. Save the model again.")
                shapes[key] = tuple(file.get_slice(key).get_shape())
    if INDEX in weight_files:
        listed = set(read_index(path / INDEX))
        if listed != set(shapes):
            raise ValueError(
                f"{path / INDEX} does not list what the weight files hold: {shortened(sorted(listed ^ set(shapes)))}. "
                "Save the model again."
            )
    return shapes


def _check_class_names(where: str, names: list[str], head: tuple[int, ...] | None) -> None:
    """The head has as many rows as there are class names, and these differ."""
    if head is None:
        return
    if len(names) != head[0]:
        raise ValueError(
            f"{where} names {len(names)} classes, but the head of the model has {head[0]}. Pass the names of all "
            "with --labels FILE."
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{where} gives several classes the same name: {shortened(twice)}.")


def check_finite(model: ModelFolder) -> None:
    """Read all weights, one tensor at a time; `ValueError` names those that hold NaN or infinity, or cannot be read."""
    wrong = []
    for path in model.tensor_files:
        with open_weights(path) as file:
            for key in file.keys():  # noqa: SIM118 - it is no dictionary
                tensor = file.get_tensor(key)
                if not torch.isfinite(tensor).all():
                    wrong.append(key)
    if wrong:
        raise ValueError(
            f"{model.path}: {len(wrong)} of {len(model.shapes)} weights hold NaN or infinity: {shortened(wrong)}. "
            "Publish an earlier checkpoint."
        )


def check_private_values(path: Path, name: str) -> None:
    """Refuse a text or JSON file that holds an access key or, as a value, a path of this machine.

    Args:
        path: The file.
        name: What it is called in the repository.

    Raises:
        ValueError: See above; or it should be JSON and is not.
    """
    content = path.read_bytes()
    values = parse_json(content, name) if path.suffix == ".json" else None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return  # no text
    secret = SECRET.search(text)
    if secret:
        line = text.count("\n", 0, secret.start()) + 1
        raise ValueError(
            f"{name}, line {line} holds what looks like an access key or password ({secret[0][:6]}...). Take it "
            "out, and replace it at the service that it belongs to."
        )
    for key, value in _strings(values):
        if LOCAL_PATH.match(value):
            raise ValueError(f"{name}: `{key}` holds a path of this machine, {value!r}. Take it out.")


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All text values of a JSON file with their places, but for the names of classes."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            if name != "id2label":
                yield from _strings(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _strings(item, f"{key}[{i}]")


def check_clean_process(staged: Path, architecture: str, timeout: float = 1800.0) -> None:
    """Load what is to be sent where this package cannot be imported, and classify or encode one clip of noise.

    The process has no network, no cache and no files but those of the folder. The weights are loaded as fp32.

    Args:
        staged: The folder.
        architecture: Name of the model class.
        timeout: Seconds after which it is given up.

    Raises:
        ValueError: It does not load, gives values that are not finite, or takes longer than `timeout`.
    """
    command = [sys.executable, "-c", CLEAN_PROCESS, str(staged.resolve()), AUTO_CLASSES[architecture]]
    with tempfile.TemporaryDirectory() as home:
        hidden = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HF_MODULES_CACHE")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment |= {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        try:
            done = subprocess.run(
                command, env=environment, cwd=home, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(f"Loading the model in a clean process took longer than {timeout:.0f} s.") from error
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-8:]) or f"exit code {done.returncode}"
        raise ValueError(f"The model does not load in a clean process:\n{last}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    foreign = [name for name in found["modules"] if not name.startswith("transformers_modules.")]
    if foreign:
        raise ValueError(f"In a clean process the model runs other code than that of the folder: {shortened(foreign)}.")
    if found["not_finite"] or not found["shapes"]:
        raise ValueError(
            f"The model gives no finite values for a clip of noise: {found['shapes'] or 'nothing at all'}."
        )


__all__ = [
    "ModelFolder",
    "check_clean_process",
    "check_finite",
    "check_private_values",
    "read_model_folder",
]
