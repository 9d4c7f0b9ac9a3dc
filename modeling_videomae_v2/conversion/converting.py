# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts checkpoint files and folders of any origin: to ours, to transformers' own VideoMAE, to the research code."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import (
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEImageProcessor,
    VideoMAEModel,
    VideoMAEVideoProcessor,
)

from .. import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
    VideoMAEv2VideoProcessor,
)
from ..configuration_videomae_v2 import published_size
from ..convert_videomae_v2 import (
    Recipes,
    StateDict,
    recipes_to_official,
    recipes_to_ours,
    recipes_to_transformers,
)
from ..labels_videomae_v2 import are_names
from ..modeling_videomae_v2 import VideoMAEv2PreTrainedModel
from ..places import check_settings
from ..writing import file_for_torch
from .architecture import UnseenSettings, check_fit, empty_model, model_class_of, read_architecture
from .class_selection import LabelFiles, choose_classes
from .folder_writing import (
    check_free,
    name_config,
    new_file,
    new_folder,
    write_our_config,
    write_weights,
)
from .weight_sources import WeightSource, find_source


TARGETS = ("ours", "transformers", "official")
# Small enough that ViT-g, 4 GB in float32, never needs more memory than two of them.
SHARD_SIZE = "1GB"

_STOCK_CLASSES = {
    VideoMAEv2Model: VideoMAEModel,
    VideoMAEv2ForPreTraining: VideoMAEForPreTraining,
    VideoMAEv2ForVideoClassification: VideoMAEForVideoClassification,
}
# Fields of ours that transformers' configuration has under the same name; `qkv_bias` is `qv_bias` there.
_STOCK_FIELDS = (
    "image_size", "patch_size", "num_channels", "num_frames", "tubelet_size", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob",
    "initializer_range", "layer_norm_eps", "decoder_num_attention_heads", "decoder_hidden_size",
    "decoder_num_hidden_layers", "decoder_intermediate_size", "norm_pix_loss", "id2label", "label2id", "problem_type",
)  # fmt: skip
_STOCK_PROCESSING = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std",
)  # fmt: skip


@dataclass
class Draft:
    """A checkpoint in our layout before any weight is read: all that is known from names, shapes and small files."""

    source: WeightSource
    recipes: Recipes
    shapes: StateDict
    config: VideoMAEv2Config
    model_class: type[VideoMAEv2PreTrainedModel]
    processor: VideoMAEv2VideoProcessor
    dtype: torch.dtype


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        destination: Folder or file.
        kind: Name of the class that loads it; the class of ours for a file of the research code.
        size: Name of the published size, or None.
        num_parameters: Number of weights.
        num_labels: Classes of the head, or None.
        dtype: Type of the weights.
        files: Names of the files with weights.
    """

    destination: Path
    kind: str
    size: str | None
    num_parameters: int
    num_labels: int | None
    dtype: str
    files: list[str] = field(default_factory=list)


def convert_checkpoint(
    source: str | Path,
    destination: str | Path,
    to: str = "ours",
    label_files: LabelFiles | None = None,
    unseen: UnseenSettings | None = None,
    processing: Mapping[str, Any] | None = None,
    revision: str | None = None,
    shard_size: str = SHARD_SIZE,
) -> Converted:
    """Convert a checkpoint. Nothing that it contains is run.

    Hardly more than a shard of it is held in memory; with `to="official"`, whose file is written at once, all weights.

    Args:
        source: File of the research code (`.pth`), folder or Hub repository of OpenGVLab, of transformers or of ours.
        destination: Folder to write; a file `.pth` for `to="official"`. It must not exist, or be an empty folder.
        to: `"ours"`; `"transformers"`: a folder for its own VideoMAE classes; `"official"`: a file with the keys of the
            research code.
        label_files: Names of the classes, and which to keep.
        unseen: What the weights do not show; for files only, a folder's `config.json` tells it.
        processing: Settings of the video processor to change, such as `sampling`.
        revision: Branch, tag or commit of a Hub repository.
        shard_size: Largest size of a file with weights.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        FileExistsError: There is something at the destination.
        ValueError: The checkpoint is refused (`UnsafeCheckpointError`), does not fit (`UnfitWeightsError`), or the
            options do not fit it.
    """
    destination = Path(destination)
    if to not in TARGETS:
        raise ValueError(f"`to` must be one of {', '.join(map(repr, TARGETS))}, got {to!r}.")
    _check_destination(destination, to)
    draft = draft_checkpoint(str(source), label_files, unseen, processing, revision)
    if to != "ours" and draft.config.table_grid != draft.config.grid_size:
        raise ValueError(
            f"{source} interpolates its positions from another grid (`position_grid` {draft.config.position_grid}), "
            "which neither transformers nor the research code do: they would compute something else from its weights. "
            "Keep it in our format."
        )
    if to == "official":
        files = _write_official(draft, destination)
    else:
        with new_folder(destination) as folder:
            write = _write_ours if to == "ours" else _write_transformers
            files = write(draft, folder, shard_size)
    has_head = draft.model_class is VideoMAEv2ForVideoClassification
    return Converted(
        destination=destination,
        kind=(_STOCK_CLASSES[draft.model_class] if to == "transformers" else draft.model_class).__name__,
        size=published_size(draft.config),
        num_parameters=sum(tensor.numel() for tensor in draft.shapes.values()),
        num_labels=draft.config.num_labels if has_head else None,
        dtype=str(draft.dtype).removeprefix("torch."),
        files=files,
    )


def draft_checkpoint(
    source_name: str,
    label_files: LabelFiles | None = None,
    unseen: UnseenSettings | None = None,
    processing: Mapping[str, Any] | None = None,
    revision: str | None = None,
) -> Draft:
    """Locate a checkpoint and determine its architecture. Arguments and errors as for `convert_checkpoint`."""
    unseen = unseen or UnseenSettings()
    source = find_source(source_name, revision)
    if source.folder is not None:
        check_settings(source.folder)
    theirs = source.shapes()
    with _named(source):
        recipes = recipes_to_ours(theirs)
        shapes = {name: take(theirs) for name, take in recipes.items()}
        for name, tensor in shapes.items():
            if not tensor.is_floating_point():
                raise ValueError(
                    f"{name!r} has the type {tensor.dtype}; weights are expected as floating-point numbers."
                )
    model_class = model_class_of(shapes)
    if source.folder is None:
        config = read_architecture(shapes, unseen, source.name)
    elif unseen.given():
        raise ValueError(
            f"{source.name} has a config.json, which says it: leave out {', '.join(unseen.given())}, or correct it "
            "there."
        )
    else:
        with _named(source):
            config = VideoMAEv2Config.from_pretrained(source.folder)
    check_fit({name: tensor.shape for name, tensor in shapes.items()}, empty_model(model_class, config), source.name)
    draft = Draft(
        source=source,
        recipes=recipes,
        shapes=shapes,
        config=config,
        model_class=model_class,
        processor=_processor(source.folder, config, processing or {}),
        dtype=Counter(tensor.dtype for tensor in shapes.values()).most_common(1)[0][0],
    )
    if label_files is not None and label_files.given():
        _set_classes(draft, label_files)
    return draft


def _check_destination(destination: Path, to: str) -> None:
    """Refuse before the work rather than after it."""
    if to != "official":
        check_free(destination)
    elif destination.suffix not in (".pth", ".pt"):
        raise ValueError(f"The research code reads a file: name it with the ending .pth, got {destination}.")
    elif destination.exists():
        raise FileExistsError(f"{destination} exists. Name another file, or remove it first.")


@contextlib.contextmanager
def _named(source: WeightSource) -> Iterator[None]:
    """Errors within begin with what the user calls the checkpoint."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from error


def _processor(folder: Path | None, config: VideoMAEv2Config, settings: Mapping[str, Any]) -> VideoMAEv2VideoProcessor:
    """The checkpoint's own, else the one that its architecture asks for, with ImageNet statistics."""
    if folder is not None:
        try:
            return VideoMAEv2VideoProcessor.from_pretrained(folder, **settings)
        except OSError:  # it has none
            pass
        except ValueError as error:
            raise ValueError(f"The video processor of {folder} cannot be used: {error}") from error
    side = config.image_size
    sizes = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    return VideoMAEv2VideoProcessor(**{"num_frames": config.num_frames, **sizes, **settings})


def _set_classes(draft: Draft, files: LabelFiles) -> None:
    """Name the classes of the head, and keep those that are wanted."""
    if draft.model_class is not VideoMAEv2ForVideoClassification:
        raise ValueError(f"{draft.source.name} has no classifier, so there is nothing to name: leave the labels out.")
    rows = draft.config.num_labels
    known = [draft.config.id2label[i] for i in range(rows)]
    kept, names = choose_classes(rows, known if are_names(known) else None, files)
    if kept is not None:
        for name in ("classifier.weight", "classifier.bias"):
            draft.recipes[name] = partial(_rows, take=draft.recipes[name], index=kept)
            draft.shapes[name] = draft.shapes[name][:1].expand(len(kept), *draft.shapes[name].shape[1:]).clone()
        draft.config.num_labels = len(kept)
    if names is not None:
        draft.config.id2label = dict(enumerate(names))
        draft.config.label2id = {name: i for i, name in enumerate(names)}


def _rows(weights: Mapping[str, torch.Tensor], take: Any, index: list[int]) -> torch.Tensor:
    return take(weights)[index]


# ---- writing


def _write_ours(draft: Draft, folder: Path, shard_size: str) -> list[str]:
    write_our_config(folder, empty_model(draft.model_class, draft.config), draft.dtype)
    draft.processor.save_pretrained(folder)
    return write_weights(folder, draft.recipes, draft.shapes, draft.source, shard_size)


def _write_transformers(draft: Draft, folder: Path, shard_size: str) -> list[str]:
    ours = draft.config
    model_class = _STOCK_CLASSES[draft.model_class]
    config = VideoMAEConfig(
        **{name: getattr(ours, name) for name in _STOCK_FIELDS},
        qv_bias=ours.qkv_bias,
        qkv_bias=ours.qkv_bias,  # its name in older versions
        # its autoencoder norms the tokens only without pooling
        use_mean_pooling=ours.use_mean_pooling and draft.model_class is not VideoMAEv2ForPreTraining,
    )
    with _named(draft.source):
        recipes = recipes_to_transformers(draft.recipes)
    shapes = {name: take(draft.shapes) for name, take in recipes.items()}
    model = empty_model(model_class, config)
    check_fit({name: tensor.shape for name, tensor in shapes.items()}, model, draft.source.name)
    name_config(config, model_class, draft.dtype)
    config.save_pretrained(folder)
    settings = draft.processor.to_dict()
    settings = {name: settings[name] for name in _STOCK_PROCESSING if name in settings}
    VideoMAEVideoProcessor(**settings).save_pretrained(folder)
    VideoMAEImageProcessor(**settings).save_pretrained(folder)  # what versions before 5 look for
    return write_weights(folder, _chained(recipes, draft.recipes), shapes, draft.source, shard_size)


def _write_official(draft: Draft, destination: Path) -> list[str]:
    recipes = _chained(recipes_to_official(draft.recipes), draft.recipes)
    with draft.source.open() as tensors:
        weights = {name: _alone(take(tensors)) for name, take in recipes.items()}
        with new_file(destination) as path, file_for_torch(path) as file:
            torch.save({"model": weights}, file)
    return [destination.name]


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, copied if it is a piece of something larger, which `torch.save` would write as a whole."""
    is_whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if is_whole and tensor.is_contiguous() else tensor.contiguous().clone()


def _chained(outer: Recipes, inner: Recipes) -> Recipes:
    """Recipes that start from what `inner` starts from."""
    return {name: partial(_apply, take=take, inner=inner) for name, take in outer.items()}


def _apply(weights: Mapping[str, torch.Tensor], take: Any, inner: Recipes) -> torch.Tensor:
    return take(_Made(weights, inner))


class _Made(Mapping[str, torch.Tensor]):
    """Weights that are made when they are asked for."""

    def __init__(self, weights: Mapping[str, torch.Tensor], recipes: Recipes) -> None:
        self._weights = weights
        self._recipes = recipes

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._recipes[name](self._weights)

    def __iter__(self) -> Any:
        return iter(self._recipes)

    def __len__(self) -> int:
        return len(self._recipes)
