# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Classes of several versions of Kinetics become one set, by name and by a table of renamed classes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modeling_videomae_v2.labels_videomae_v2 import normalise_label
from modeling_videomae_v2.labels_videomae_v2 import read_renames as read_other_names

from .kinetics_lists import Spelling
from .lists import fault


@dataclass(frozen=True)
class UnitedClasses:
    """The classes of Kinetics-710.

    Attributes:
        names: Names, in the order of their numbers.
        numbers: Number of each spelling.
        by_version: For each version whose class names are known, the number of each of its classes.
        renamed: Old name to new name, for each version that used an old one.
        kept_apart: Old names of the table of renames that are not renamed, and why.
    """

    names: list[str]
    numbers: list[int]
    by_version: dict[int, list[int]]
    renamed: dict[int, dict[str, str]]
    kept_apart: dict[str, str]


def read_renames(path: str) -> dict[str, str]:
    """Table of renamed classes: a JSON object of new names by old ones, as `k710_identical_label_merge.json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else, a name is empty, or the renames go in a circle.
    """
    table = read_other_names(path)
    pairs = ((normalise_label(old), normalise_label(new)) for old, new in table.items())
    keys = {old: new for old, new in pairs if old != new}
    for old in keys:
        seen, name = {old}, keys[old]
        while name in keys and name not in seen:
            seen.add(name)
            name = keys[name]
        if name in seen:
            raise ValueError(f"{path} renames {old!r} in a circle. Remove one of its renames.")
    return table


class _Renames:
    """The table of renames, by normalised names."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.old = {normalise_label(old): old for old in table}
        self.new = {key: table[old] for key, old in self.old.items() if key != normalise_label(table[old])}
        self.kept_apart: dict[str, str] = {}

    def keep_apart(self, keys: Iterable[str], reason: str) -> None:
        """Do not rename these."""
        for key in keys:
            if self.new.pop(key, None) is not None:
                self.kept_apart[self.old[key]] = reason

    def __call__(self, name: str) -> str:
        while (new := self.new.get(normalise_label(name))) is not None:
            name = new
        return name


def unite(
    spellings: Sequence[Spelling],
    labels: Mapping[int, Sequence[str]],
    renames: Mapping[str, str],
    label_map: Sequence[str] | None = None,
    preference: Sequence[int] = (),
) -> UnitedClasses:
    """Unite the classes of all versions.

    Names are one class if they are the same but for case, spaces and punctuation, or after renaming. A name is not
    renamed where that would unite two classes that are known to be different: with `label_map`, where the old name is
    a class of it; without, where one version has both names.

    Args:
        spellings: Classes that the lists use.
        labels: Class names by version, where they are known.
        renames: New names by old names.
        label_map: The united classes in the order of their numbers; default: all that there are, sorted by name.
        preference: Versions whose way to write a name is taken first.

    Returns:
        The classes, with a number for each of `spellings`.

    Raises:
        ValueError: A class is not known, or a name stands twice.
    """
    table = _Renames(renames)
    everything = [*_of_labels(labels), *spellings]
    if label_map is None:
        _keep_apart(everything, table)
        names = _sorted_names(everything, table, preference)
    else:
        names = list(label_map)
    index = _index(names)
    table.keep_apart(index, "it is a class of its own in the label map")
    _check_labels(labels, spellings, table)
    renamed: dict[int, dict[str, str]] = {}
    numbers = []
    for item in everything:
        new = table(item.name)
        number = index.get(normalise_label(new))
        if number is None:
            raise _unknown(item, new)
        numbers.append(number)
        if new != item.name:
            renamed.setdefault(item.version, {})[item.name] = names[number]
    by_version, place = {}, 0
    for version, version_names in labels.items():
        by_version[version] = numbers[place : place + len(version_names)]
        place += len(version_names)
    return UnitedClasses(names, numbers[place:], by_version, renamed, table.kept_apart)


def _index(names: Sequence[str]) -> dict[str, int]:
    """Number of each class by its normalised name."""
    index: dict[str, int] = {}
    for number, name in enumerate(names):
        other = index.setdefault(normalise_label(name), number)
        if other != number:
            raise ValueError(f"The label map has one class twice: {names[other]!r} and {name!r}. Remove one.")
    return index


def _unknown(item: Spelling, new: str) -> ValueError:
    renamed = f", renamed {new!r}," if new != item.name else ""
    where = f"Kinetics-{item.version}" if item.line == 0 else f"{item.path}, line {item.line}"
    return ValueError(
        f"{where}: the class {item.name!r}{renamed} is not in the label map. Add it there, or say what it is called "
        "now in the table of renames (--renames)."
    )


def _of_labels(labels: Mapping[int, Sequence[str]]) -> Iterable[Spelling]:
    for version, names in labels.items():
        for name in names:
            yield Spelling(version, name, "", 0)


def _check_labels(labels: Mapping[int, Sequence[str]], spellings: Sequence[Spelling], table: _Renames) -> None:
    """Every class of a list must be one of its version's, under its old or new name."""
    known = {
        version: {normalise_label(form) for name in names for form in (name, table(name))}
        for version, names in labels.items()
    }
    for item in spellings:
        names = known.get(item.version)
        if names is not None and names.isdisjoint((normalise_label(item.name), normalise_label(table(item.name)))):
            reason = f"{item.name!r} is no class of Kinetics-{item.version} as --labels gives them"
            raise fault(item.path, item.line, f"{reason}. Correct one of the two.")


def _keep_apart(everything: Sequence[Spelling], table: _Renames) -> None:
    """Take out the renames of a name that one version has beside the new one."""
    names: dict[int, set[str]] = {}
    for item in everything:
        names.setdefault(item.version, set()).add(normalise_label(item.name))
    for old, new in list(table.new.items()):
        for version in sorted(names):
            if {old, normalise_label(new)} <= names[version]:
                table.keep_apart([old], f"Kinetics-{version} has both {table.old[old]!r} and {new!r}")


def _sorted_names(everything: Sequence[Spelling], table: _Renames, preference: Sequence[int]) -> list[str]:
    """Names of all classes, each as the version that is preferred writes it."""
    ranks = {version: rank for rank, version in enumerate(preference)}
    best: dict[str, tuple[bool, int, str]] = {}
    for item in everything:
        new = table(item.name)
        key, is_renamed = normalise_label(new), normalise_label(new) != normalise_label(item.name)
        spelling = (is_renamed, ranks.get(item.version, len(ranks)), new if is_renamed else item.name)
        best[key] = min(best.get(key, spelling), spelling)  # a name in use rather than one of the table
    return sorted(name for _, _, name in best.values())
