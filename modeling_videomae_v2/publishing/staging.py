# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder as it is to stand on the Hub: weights, code, processor, class names, card and licence, and nothing else."""

import importlib.metadata
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from huggingface_hub import ModelCard
from transformers.dynamic_module_utils import custom_object_save

from ..labels_videomae_v2 import are_names, read_labels
from ..model_files import PROCESSOR_FILES
from ..modeling_videomae_v2 import AUTO_MAP, VideoMAEv2Model
from ..video_processing_videomae_v2 import VideoMAEv2VideoProcessor
from ..wording_videomae_v2 import shortened
from .card import CardFacts, card_text, size_name
from .checks import ModelFolder, check_private_values, read_model_folder
from .texts import DEFAULT_LICENCE, KINDS, LICENCES


CARD, LICENCE, CODE_LICENCE = "README.md", "LICENSE", "LICENSE-CODE"
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")
DISTRIBUTION = "modeling-videomae-v2"


@dataclass
class StagedRepository:
    """Files that are ready to be sent.

    Attributes:
        path: The folder that holds them; weights are links to those of the model.
        model: The model that they are of.
        written: Files that were made here because the model's folder has none: the Hub's own take precedence.
        notes: What the one who publishes should know.
    """

    path: Path
    model: ModelFolder
    written: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """Their paths, as they are called on the Hub."""
        found = (file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file())
        return sorted(found)


def stage_repository(
    folder: str | Path,
    staged: str | Path,
    repo_id: str,
    *,
    licence: str | None = None,
    labels: str | Path | None = None,
    include: Sequence[str] = (),
) -> StagedRepository:
    """Put together what is to be sent. The model's folder is not changed, and weights are not copied but linked.

    Args:
        folder: A folder that `save_pretrained` wrote, with the video processor beside the model.
        staged: An empty folder.
        repo_id: Name of the repository, for the card.
        licence: Identifier of the licence of the weights. Default: that of the card in the folder, else that of the
            authors' weights.
        labels: File with the names of the classes, in place of those in config.json.
        include: Patterns of further files in the folder that are to be sent.

    Returns:
        The files, and what is to be known of them.

    Raises:
        FileNotFoundError: Something that must be there is missing.
        ValueError: Something does not fit, or is not for the public.
    """
    repository = StagedRepository(Path(staged), read_model_folder(folder, read_labels(labels) if labels else None))
    if labels and repository.model.architecture != "VideoMAEv2ForVideoClassification":
        raise ValueError(f"{folder} has no classes ({repository.model.architecture}); leave out --labels.")
    _stage_weights(repository)
    _stage_configuration(repository)
    _stage_code(repository)
    _stage_card_and_licence(repository, repo_id, licence)
    _stage_included(repository, include)  # last: what is there already stays
    _note_what_is_left_out(repository)
    for name in repository.files:
        if not name.endswith(".safetensors"):
            check_private_values(repository.path / name, name)
    return repository


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.resolve())
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _stage_weights(repository: StagedRepository) -> None:
    for name in repository.model.weight_files:
        _link(repository.model.path / name, repository.path / name)


def _stage_configuration(repository: StagedRepository) -> None:
    """config.json and the settings of the video processor, which name the code and no place of this machine."""
    model = repository.model
    model.config.auto_map = dict(AUTO_MAP)
    model.config.save_pretrained(repository.path)  # leaves out `_name_or_path`
    if model.values.get("_name_or_path"):
        repository.notes.append(f"`_name_or_path` ({model.values['_name_or_path']}) is taken out of config.json.")
    try:
        processor = VideoMAEv2VideoProcessor.from_pretrained(model.path)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"The video processor in {model.path} cannot be read: {error}") from error
    processor.save_pretrained(repository.path)
    size = (model.config.image_size,) * 2
    if processor.do_center_crop:  # otherwise it may have no size to crop to
        crop = processor.crop_size["height"], processor.crop_size["width"]
        if crop != size:
            repository.notes.append(f"The video processor crops to {crop}, the model is made for {size}.")
    if not processor.fps and processor.num_frames != model.config.num_frames:
        repository.notes.append(
            f"The video processor takes {processor.num_frames} frames, the model is made for {model.config.num_frames}."
        )
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    is_classifier = model.architecture == "VideoMAEv2ForVideoClassification"
    if is_classifier and not are_names(names):
        repository.notes.append("The classes have no names (LABEL_0, LABEL_1, ...); --labels FILE gives them.")


def _stage_code(repository: StagedRepository) -> None:
    """The code of this installation, with which the model is checked, not what an older one left in the folder."""
    custom_object_save(VideoMAEv2Model, repository.path)
    differing = []
    for file in sorted(repository.path.glob("*.py")):
        found = repository.model.path / file.name
        if found.is_file() and found.read_bytes() != file.read_bytes():
            differing.append(file.name)
    if differing:
        repository.notes.append(
            f"{shortened(differing)} of the folder differ from the installed package: the installed code is sent."
        )


def _stage_included(repository: StagedRepository, include: Sequence[str]) -> None:
    root = repository.model.path
    for pattern in include:
        parts = Path(pattern).parts
        if Path(pattern).anchor or ".." in parts or not parts:
            raise ValueError(f"--include {pattern!r} must be a pattern of names inside {root}.")
        if any("**" in part and part != "**" for part in parts):  # Python 3.13 takes it as a single *
            raise ValueError(f"--include {pattern!r} is no pattern of names: ** must stand alone between slashes.")
        if parts[-1] == "**":  # fits folders only before Python 3.13
            parts = (*parts, "*")
        files = sorted(root.glob("/".join(parts)))
        found = [file for file in files if file.is_file() and not _is_hidden(file, root)]
        if not found:
            raise FileNotFoundError(f"--include {pattern} fits no file in {root}.")
        for file in found:
            target = repository.path / file.relative_to(root)
            if not target.exists():
                _link(file, target)


def _write(file: Path, text: str) -> None:
    """The same on every system: the Hub compares what is sent with what it has."""
    file.write_text(text, encoding="utf-8", newline="\n")


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(root).parts)


def _stage_card_and_licence(repository: StagedRepository, repo_id: str, licence: str | None) -> None:
    root = repository.model.path
    own_card = root / CARD
    stated = _licence_of_card(own_card) if own_card.is_file() else None
    if stated and licence and stated != licence:
        raise ValueError(f"{own_card} says `license: {stated}`, --license says {licence}. Make them agree.")
    own_licence = next((root / name for name in LICENCE_FILES if (root / name).is_file()), None)
    chosen = licence or stated or DEFAULT_LICENCE
    if chosen not in LICENCES and (own_licence is None or not own_card.is_file()):
        raise ValueError(
            f"The licence {chosen!r} is none of {', '.join(LICENCES)}. For another, put its text (LICENSE) and a card "
            f"({CARD} with `license:` in its front matter) into {root}."
        )
    if own_card.is_file():
        _link(own_card, repository.path / CARD)
        if stated is None:
            repository.notes.append(f"{CARD} states no licence: add `license: {chosen}` to its front matter.")
    else:
        _write(repository.path / CARD, _card(repository.model, repo_id, chosen))
        repository.written.add(CARD)
        repository.notes.append(f"{CARD} comes from the template, unless the Hub has one: fill in data and results.")
    if own_licence is not None:
        _link(own_licence, repository.path / own_licence.name)
    else:
        name, url = LICENCES[chosen]
        text = f"Weights: {name}\n{url}\n\nCode (*.py): Apache License 2.0, see {CODE_LICENCE}\n"
        _write(repository.path / LICENCE, text)
        repository.written.add(LICENCE)
    if licence is None and stated is None:
        repository.notes.append(
            f"Licence of the weights: {chosen}, that of the authors' weights; --license changes it."
        )
    _write(repository.path / CODE_LICENCE, _code_licence())


def _licence_of_card(path: Path) -> str | None:
    """The licence that a card states; `ValueError` where its front matter cannot be read."""
    try:
        found = ModelCard.load(path).data.license
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise ValueError(f"The front matter of {path} is not what the Hub accepts: {error}") from error
    return found if isinstance(found, str) else None


def _card(model: ModelFolder, repo_id: str, licence: str) -> str:
    kind = KINDS[model.architecture][0]
    classes = f" with {model.config.num_labels} classes" if kind == "video classifier" else ""
    summary = (
        f"A {kind} of the VideoMAE V2 family ({size_name(model.config)}){classes}, for Hugging Face Transformers. "
        "Method: [VideoMAE V2](https://arxiv.org/abs/2303.16727)."
    )
    return card_text(
        CardFacts(
            name=repo_id,
            title=repo_id.split("/")[-1],
            architecture=model.architecture,
            config=model.config,
            parameters=model.parameters,
            summary=summary,
            licence=licence,
        )
    )


def _code_licence() -> str:
    """Text of the licence of this package, from where it is installed or from its checkout."""
    places = [Path(__file__).parents[2] / "LICENSE"]
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
        places += [Path(str(distribution.locate_file(f))) for f in distribution.files or () if f.name == "LICENSE"]
    except importlib.metadata.PackageNotFoundError:
        pass
    for place in places:
        if place.is_file():
            return place.read_text(encoding="utf-8")
    return "Apache License 2.0\nhttps://www.apache.org/licenses/LICENSE-2.0\n"


def _note_what_is_left_out(repository: StagedRepository) -> None:
    root, sent = repository.model.path, set(repository.files)
    replaced = {*PROCESSOR_FILES, *sent}
    left = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            path = (Path(folder) / name).relative_to(root).as_posix()
            if path not in replaced and not name.startswith("."):
                left.append(path)
    if left:
        repository.notes.append(f"Not sent: {shortened(sorted(left))} (--include PATTERN sends more).")


__all__ = ["StagedRepository", "stage_repository"]
