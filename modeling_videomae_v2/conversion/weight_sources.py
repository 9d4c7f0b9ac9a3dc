# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the weights of a checkpoint lie, and how to read them without holding them all."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import safe_open

from ..convert_videomae_v2 import StateDict, find_weights
from ..model_files import INDEXES, WEIGHTS, advise_model_folder, files_of_index, open_weights
from .unpickling import UnsafeCheckpointError, load_pickled


CONFIG_FILE = "config.json"
DEEPSPEED_PATTERN = "mp_rank_*_model_states.pt"  # what it writes for the research code
FILE_ENDINGS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar")
HUB_PATTERNS = ["*.json", "*.safetensors", "*.bin"]

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass
class WeightSource:
    """Weights in one or several files, in whatever layout.

    Attributes:
        name: What the user calls it, for messages.
        files: The files, each with tensors of its own.
        folder: The folder that also holds `config.json`; None where there is none.
    """

    name: str
    files: list[Path]
    folder: Path | None = None
    _held: dict[Path, StateDict] = field(default_factory=dict, repr=False)

    def shapes(self) -> StateDict:
        """Every tensor by key, on the meta device: shapes and types without data."""
        found: StateDict = {}
        for file in self.files:
            if file.suffix == ".safetensors":
                with open_weights(file) as handle:
                    for key in handle.keys():  # noqa: SIM118 - no dict
                        piece = handle.get_slice(key)
                        found[key] = torch.empty(piece.get_shape(), dtype=_dtype(file, key, piece), device="meta")
            else:
                found |= {key: tensor.to("meta") for key, tensor in self._unpickled(file).items()}
        return found

    @contextlib.contextmanager
    def open(self) -> Iterator[Mapping[str, torch.Tensor]]:
        """The tensors by key, read from the disk when they are asked for; gone from memory when the context ends."""
        with contextlib.ExitStack() as stack:
            pickled: StateDict = {}
            handles = {}
            for file in self.files:
                if file.suffix == ".safetensors":
                    handle = stack.enter_context(open_weights(file))
                    handles |= {key: handle for key in handle.keys()}  # noqa: C420, SIM118 - no dict
                else:
                    pickled |= self._unpickled(file)
            yield _LazyTensors(pickled, handles)

    def _unpickled(self, file: Path) -> StateDict:
        if file in self._held:
            return self._held[file]
        weights = find_pickled_weights(file)
        if not _is_zip(file):  # the old format cannot stay on the disk: read it once
            self._held[file] = weights
        return weights


class _LazyTensors(Mapping[str, torch.Tensor]):
    def __init__(self, pickled: StateDict, handles: Mapping[str, safe_open]) -> None:
        self._pickled = pickled
        self._handles = handles

    def __getitem__(self, key: str) -> torch.Tensor:
        return self._pickled[key] if key in self._pickled else self._handles[key].get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        yield from self._pickled
        yield from self._handles

    def __len__(self) -> int:
        return len(self._pickled) + len(self._handles)


def find_source(source: str, revision: str | None = None) -> WeightSource:
    """Find the weights that a user names.

    Args:
        source: A file (`.pth`, `.pt`, `.bin`, `.safetensors`), a folder (transformers', OpenGVLab's, DeepSpeed's), or
            the name of a repository on the Hub, which is downloaded.
        revision: Branch, tag or commit, for the Hub.

    Raises:
        FileNotFoundError: There is no such file, folder or repository, or no weights in it.
        ValueError: A repository's index is not valid, or a file or folder is to have a revision.
    """
    path = Path(source)
    if revision is not None and path.exists():
        raise ValueError(f"`--revision` {revision!r} chooses among the versions on the Hub, and {source} lies here.")
    if path.is_file():
        return WeightSource(source, [path])
    if not path.is_dir():
        path = _download(source, revision)
    for name in WEIGHTS:
        if (path / name).is_file():
            names = files_of_index(path / name, needs_metadata=False) if name in INDEXES else [name]
            files = [path / file for file in names]
            return WeightSource(source, files, path if (path / CONFIG_FILE).is_file() else None)
    return WeightSource(source, [_deepspeed_file(path, source)])


def find_pickled_weights(file: Path) -> StateDict:
    """The dict of weights in a pickled file, each of them a plain tensor that lies in the file.

    Raises:
        UnsafeCheckpointError: See `load_pickled`; or a tensor is larger than its data.
        ValueError: There are no weights in it.
    """
    try:
        weights = find_weights(load_pickled(file))
    except UnsafeCheckpointError:
        raise
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    found = {}
    for key, tensor in dict.items(weights):
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ValueError(f"{file}: {key!r} is no plain tensor but {tensor.layout} on {tensor.device}.")
        if tensor.numel() == 0:
            raise ValueError(
                f"{file}: {key!r} is empty. If DeepSpeed wrote it with ZeRO stage 3, merge the parts with its "
                "zero_to_fp32.py first."
            )
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise UnsafeCheckpointError(
                f"{file}: {key!r} of shape {tuple(tensor.shape)} has more values than the file holds for it: it is "
                "damaged, or made to exhaust the memory."
            )
        found[key] = tensor.detach()
    return found


def _deepspeed_file(folder: Path, source: str) -> Path:
    """The file with the weights in what DeepSpeed wrote: a folder of one step, or the one above, with `latest`."""
    latest = folder / "latest"
    if latest.is_file():
        tag = latest.read_text(encoding="utf-8", errors="replace").strip()
        if Path(tag).name == tag and (folder / tag).is_dir():
            folder = folder / tag
    files = sorted(folder.glob(DEEPSPEED_PATTERN))
    if not files:
        raise FileNotFoundError(
            f"{source} holds no weights: none of {', '.join(WEIGHTS)} and no {DEEPSPEED_PATTERN}. "
            f"{advise_model_folder(folder)} Or name the file itself if it is called otherwise."
        )
    if len(files) > 1:
        raise ValueError(
            f"{source} holds the weights in {len(files)} parts ({files[0].name}, ...), split over processes; merge "
            "them with DeepSpeed first."
        )
    return files[0]


def _download(source: str, revision: str | None) -> Path:
    missing = f"There is no file or folder {source}"
    if Path(source).suffix in FILE_ENDINGS or source.startswith((".", "/", "~")):
        raise FileNotFoundError(f"{missing}.")
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=HUB_PATTERNS))
    except HFValidationError:
        raise FileNotFoundError(f"{missing}.") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FileNotFoundError(f"{missing}, and it could not be read as a repository of the Hub: {first}") from error


def _dtype(file: Path, key: str, piece: object) -> torch.dtype:
    name = piece.get_dtype()
    if name not in _DTYPES:
        raise ValueError(f"{file}: {key!r} has the type {name}; weights are expected in {', '.join(_DTYPES)}.")
    return _DTYPES[name]


def _is_zip(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"PK\x03\x04"
