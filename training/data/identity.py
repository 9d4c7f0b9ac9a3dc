# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which videos a source has, in a form that can be kept and compared; no video is read."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .files import FolderSource, ListSource
from .hub import DatasetSource
from .relabel import RelabelledSource
from .sources import IndexedSource, Source, Video


if TYPE_CHECKING:
    from ..recipe import SourceRecipe


def digest_of(*texts: str) -> str:
    """A short text that is another one for other texts."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def _described(video: Video) -> str:
    """A video of a list or folder, in a form that stays: not `repr`, which every further field would change.

    A change here has every evaluation that is under way refused, and every `output_dir/best` begin anew.
    """
    return (
        f"Video(name={video.name!r}, content={video.content!r}, label={video.label!r}, start={video.start!r}, "
        f"total={video.total!r}, pattern={video.pattern!r}, numbered=False)"
    )


def describe_sources(sources: Sequence[Source], recipes: Sequence["SourceRecipe"]) -> list[dict[str, Any]]:
    """Which videos with which labels sources have, as JSON has it: the same in every process for the same files.

    Args:
        sources: The sources.
        recipes: What each was opened from.
    """
    return [_describe(source, recipe) for source, recipe in zip(sources, recipes)]


def _describe(source: Source, recipe: "SourceRecipe") -> dict[str, Any]:
    if isinstance(source, RelabelledSource):
        return {**_describe(source.source, recipe), "classes": digest_of(*source.classes)}
    known: dict[str, Any] = {"videos": source.length, "sampling_rate": source.sampling_rate}
    if isinstance(source, (ListSource, FolderSource)):
        return {**known, "digest": digest_of(*(_described(source.get(i, 0)) for i in range(source.length)))}
    if isinstance(source, IndexedSource):
        labels = [] if source.labels is None else source.labels.tolist()
        return {**known, "digest": digest_of(source.name, repr(labels), *source.paths)}
    if isinstance(source, DatasetSource):
        known["digest"] = digest_of(source.name, repr(source.classes), repr(source.labels), *source.marks())
    else:  # a stream, whose rows cannot be looked at without reading it
        known["digest"] = digest_of(source.name)
    taken = {name: getattr(recipe, name) for name in ("split", "video_column", "path_pattern", "pattern")}
    return {**known, **taken}
