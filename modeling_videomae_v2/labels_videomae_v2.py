# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Names of classes: the files that they stand in, and how one data set's classes are found in another's."""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from .wording_videomae_v2 import shortened


# End of what `select_classes` raises; callers that take no other names leave it out.
RENAMES_ADVICE = " Correct them, or pass the names that they have there as `renames`."
DROPPED = r"['\u2019`\ufe0e\ufe0f]"  # apostrophes, and what chooses how a pictograph is drawn
MINUS_AND_SLASH = "\u2212\u2044"  # in names they stand for those of ASCII


def read_labels(path: str | Path) -> list[str]:
    """Names of the classes of a data set, in the order of their ids.

    Args:
        path: A text file with one name a line (line number = class id, as the authors' `label_map_k710.txt`; lines
            that all begin with their number, counted from 0 or 1, are understood too), or a JSON file with a list of
            names, an object of ids by name or one of names by id.

    Returns:
        One name for each class.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds no names, one is empty or stands twice, or the ids are not 0, 1, 2, ...
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        labels = _labels_of_json(path, read_json(path, "label file"))
    else:
        labels = _labels_of_lines(path, _read_text(path, "label file"))
    if not labels:
        raise ValueError(f"{path} holds no label names; expected one name a line.")
    ids: dict[str, int] = {}
    for i, name in enumerate(labels):
        if name in ids:
            raise ValueError(f"{path} holds the label {name!r} twice, for the classes {ids[name]} and {i}.")
        ids[name] = i
    return labels


def read_renames(path: str | Path) -> dict[str, str]:
    """Other names of classes, such as the authors' `k710_identical_label_merge.json`.

    Args:
        path: A JSON file with an object of names by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds something else, or an empty name.
    """
    renames = read_json(path)
    if not isinstance(renames, dict) or not all(
        isinstance(new, str) and old.strip() and new.strip() for old, new in renames.items()
    ):
        raise ValueError(f'{path} must hold an object of names by name: {{"old name": "new name", ...}}.')
    return renames


def read_json(path: str | Path, kind: str = "file") -> Any:
    """Content of a JSON file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        kind: What to call it where it is not there.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not valid JSON.
    """
    text = _read_text(Path(path), kind)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error


def select_classes(source: Sequence[str], target: Sequence[str], renames: Mapping[str, str] | None = None) -> list[int]:
    """Find classes by name, so that a head trained on one data set can serve another (Kinetics-710 for -400).

    Names match exactly, or else as `normalise_label` has them: ignoring case and apostrophes, and with underscores,
    other punctuation and repeated spaces taken for one space.

    Args:
        source: Names of the classes that there are, in the order of their ids.
        target: Names of the classes that are wanted.
        renames: Other names of the same classes, such as the authors' `k710_identical_label_merge.json`: a name of
            `target` which is not in `source` is looked up here, in both directions.

    Returns:
        For each name of `target`, its index in `source`.

    Raises:
        ValueError: A name is not found, fits several classes, or two names mean the same class.
    """
    finder = ClassFinder(source, renames or {})
    found = [finder.find(name) for name in target]
    missing = [name for name, index in zip(target, found) if index is None]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(target)} class names are not among the {len(source)} of the source: "
            f"{shortened(list(map(repr, missing)), 10)}.{RENAMES_ADVICE}"
        )
    indices = [index for index in found if index is not None]
    first: dict[int, str] = {}
    for name, index in zip(target, indices):
        if index in first:
            raise ValueError(f"{first[index]!r} and {name!r} are the same class of the source, {source[index]!r}.")
        first[index] = name
    return indices


def placeholders(count: int) -> list[str]:
    """What transformers calls classes without names: `LABEL_0`, `LABEL_1`, ..."""
    return [f"LABEL_{i}" for i in range(count)]


def are_names(names: Collection[str]) -> bool:
    """Whether these are names of classes, in the order of their ids, and not the placeholders for them."""
    return list(names) != placeholders(len(names))


def normalise_label(name: str) -> str:
    """`name` without case, punctuation and needless spaces: `"Riding_a  Bike"` and `"riding a bike"` are the same.

    Vowel signs (of Hindi, Thai, ...) and symbols beyond ASCII (arrows, pictographs) stay: names may differ in nothing
    else.
    """
    bare = re.sub(DROPPED, "", unicodedata.normalize("NFKC", name).casefold())
    spaced = re.sub(r"[\W_]", lambda match: match[0] if _tells_names_apart(match[0]) else " ", bare)
    return " ".join(spaced.split()) or name.strip()


def _tells_names_apart(character: str) -> bool:
    """Whether it does, though it is no letter or digit."""
    return unicodedata.category(character)[0] in "MS" and not character.isascii() and character not in MINUS_AND_SLASH


class ClassFinder:
    """Indices of names, first as they are spelt, then normalised, then renamed.

    Args:
        source: Names of the classes that there are.
        renames: As in `select_classes`.

    Raises:
        ValueError: Two names of `source` are the same.
    """

    def __init__(self, source: Sequence[str], renames: Mapping[str, str]) -> None:
        self.source = source
        self.exact = {name: i for i, name in enumerate(source)}
        if len(self.exact) != len(source):
            raise ValueError("The names of the source classes must differ from each other.")
        self.normalised: dict[str, list[int]] = {}
        for i, name in enumerate(source):
            self.normalised.setdefault(normalise_label(name), []).append(i)
        self.others: dict[str, list[str]] = {}
        for old, new in renames.items():
            self.others.setdefault(normalise_label(old), []).append(new)
            self.others.setdefault(normalise_label(new), []).append(old)

    def find(self, name: str) -> int | None:
        """Index of a name, None where it is not there; `ValueError` where it fits several."""
        for candidate in (name, *self.others.get(normalise_label(name), ())):
            if candidate in self.exact:
                return self.exact[candidate]
            places = self.normalised.get(normalise_label(candidate), [])
            if len(places) > 1:
                fitting = ", ".join(repr(self.source[i]) for i in places)
                raise ValueError(f"{name!r} fits several classes of the source: {fitting}.")
            if places:
                return places[0]
        return None


def _read_text(path: Path, kind: str) -> str:
    if path.is_dir() or not path.exists():  # a pipe is as good as a file
        raise FileNotFoundError(f"There is no {kind} {path}. Check the path.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file in UTF-8: {error}.") from error


def _labels_of_lines(path: Path, text: str) -> list[str]:
    # `splitlines` would also split at characters that a name may hold
    lines = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
    for number, line in enumerate(lines, start=1):
        if not line:
            raise ValueError(f"{path}, line {number} is empty; the line number is the class id, so none may be left.")
    parts = [re.split(r"[\s,:]+", line, maxsplit=1) for line in lines]
    numbers = [part[0] for part in parts if len(part) == 2 and part[1]]
    # one line, such as "2 fast", is rather a name
    if len(numbers) == len(lines) > 1 and any(
        numbers == [str(first + i) for i in range(len(lines))] for first in (0, 1)
    ):
        return [part[1] for part in parts]
    return lines


def _labels_of_json(path: Path, content: Any) -> list[str]:
    names = content
    if isinstance(content, dict):
        # names may be numbers, too
        is_by_id = all(map(str.isdecimal, content)) and not all(isinstance(name, int) for name in content.values())
        by_id = content if is_by_id else {v: k for k, v in _hashable(path, content)}
        try:
            pairs = {int(key): name for key, name in by_id.items()}
        except (TypeError, ValueError):
            raise ValueError(f"{path} must hold names by id or ids by name; the ids are not all numbers.") from None
        if sorted(pairs) != list(range(len(content))):
            raise ValueError(f"{path} must number its {len(content)} classes 0, 1, 2, ...; some are missing or double.")
        names = [pairs[i] for i in range(len(pairs))]
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"{path} must hold a list of names, names by id or ids by name.")
    return [name.strip() for name in names]


def _hashable(path: Path, content: dict[str, Any]) -> list[tuple[str, Any]]:
    for name, value in content.items():
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise ValueError(
                f"{path} must hold names by id or ids by name; {name!r} has {json.dumps(value)[:40]}, which is neither."
            )
    return list(content.items())


__all__ = [
    "RENAMES_ADVICE", "ClassFinder", "are_names", "normalise_label", "placeholders", "read_json", "read_labels",
    "read_renames", "select_classes",
]  # fmt: skip
