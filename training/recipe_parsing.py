# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Typed dataclasses from YAML and from `--key value` arguments. Knows nothing of what the keys mean.

Every value is checked against the type hint of its field and every key against the fields there are, so that a slip of
the pen costs seconds and not a place in the queue.
"""

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml


T = TypeVar("T")
NONE = type(None)


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names the key, its value and what to write instead."""


def knob(default: Any, text: str, is_path: bool = False) -> Any:
    """A field of a recipe with its documentation, which `--help` shows.

    Args:
        default: Value where the recipe says nothing; a callable (a class, a function) makes a new one each time.
        text: What the field means, in which unit.
        is_path: Whether it may name a file or folder, so that a recipe can write `~` for the home of a user, which no
            shell replaces there.
    """
    metadata = {"help": text, "is_path": is_path}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def build(cls: type[T], values: Mapping[str, Any], where: str = "", others: Mapping[str, str] | None = None) -> T:
    """Make a dataclass from a nested mapping.

    Args:
        cls: The dataclass; its fields may be numbers, strings, booleans, `Literal`s, dicts, lists, dataclasses, lists
            of dataclasses, and unions of these.
        values: What a YAML file holds.
        where: Dotted path of `values` in the recipe, for messages.
        others: Dotted keys by the names that other programs have for them, for messages.

    Raises:
        RecipeError: A key is not a field of `cls`, or a value has the wrong type.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(values, Mapping):
        keys = ", ".join(f"`{_join(where, name)}`" for name in sorted(known))
        raise RecipeError(f"`{where or 'recipe'}` must be a mapping of keys to values, got {values!r}; set {keys}.")
    for key in values:
        if key not in known:
            meant = [] if where else _meant(str(key).replace("-", "_"), cls, others or {})
            hint = f"did you mean {' or '.join(f'`{name}`' for name in meant)}?" if meant else _hint(str(key), known)
            raise RecipeError(f"`{_join(where, key)}` is no key of a recipe; {hint}")
    converted = {key: convert(value, hints[key], _join(where, key)) for key, value in values.items()}
    for key, value in converted.items():
        if known[key].metadata.get("is_path") and value is not None:
            converted[key] = os.path.expanduser(value)
    return cls(**converted)


def convert(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type `hint`, or a `RecipeError` that names `where` it stands."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, where)
    if hint is Any:
        return value
    if origin is Literal:
        if value is False and "no" in arguments:  # YAML 1.1 takes the bare word for a truth value
            return "no"
        if value in arguments:
            return value
        raise RecipeError(f"`{where}` must be one of {', '.join(map(repr, arguments))}, got {value!r}.")
    if origin is list and isinstance(value, list):
        return [convert(item, arguments[0], f"{where}.{i}") for i, item in enumerate(value)]
    if origin is dict and isinstance(value, Mapping):
        return {str(key): convert(item, arguments[1], f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return build(hint, {} if value is None else value, where)
    return _convert_scalar(value, hint, where)


def _convert_union(value: Any, options: Sequence[Any], where: str) -> Any:
    if value is None and NONE in options:
        return None
    problems = []
    for option in (option for option in options if option is not NONE):
        try:
            return convert(value, option, where)
        except RecipeError as error:
            problems.append(str(error))
    suffix = " It may also be null." if NONE in options else ""
    raise RecipeError(problems[0] + suffix)


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is float and isinstance(value, (str, int)) and not isinstance(value, bool):
        try:  # YAML 1.1 takes 1e-4, without a point, for text
            return float(value)
        except (ValueError, OverflowError):
            pass
    if hint is str and isinstance(value, Path):
        return str(value)
    kind = typing.get_origin(hint) or hint
    if isinstance(value, kind) and (hint is bool or not isinstance(value, bool)):
        return value
    wanted = {
        bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list, such as [a, b]",
        dict: "a mapping, such as {key: value}",
    }  # fmt: skip
    shown, way_out = repr(value), ""
    if kind is str and isinstance(value, (bool, int, float, date)):  # YAML has seen more in it than letters
        shown, way_out = str(value), f""" Write it in quotes, "'{value}'" on the command line."""
    elif kind is list and dataclasses.is_dataclass(typing.get_args(hint)[0]):
        way_out = f" The keys of its first item begin with `{where}.0`."
    raise RecipeError(f"`{where}` must be {wanted[kind]}, got {shown}.{way_out}")


def leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as one level with dotted keys, as the command line has them."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = _join(prefix, key)
        result |= leaves(value, name) if isinstance(value, Mapping) else {name: value}
    return result


class _Loader(yaml.SafeLoader):
    """Refuses keys that stand twice, of which PyYAML takes the last and says nothing; names what cannot be read."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # what looks like a number or a date, and is none
            problem = f"{node.value!r} cannot be read ({error}); write it in quotes if it is text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def parse_yaml(text: str) -> Any:
    """What a YAML text says; an anchor and its aliases become values of their own, so that one can be overridden.

    Raises:
        yaml.YAMLError: It is no valid YAML.
    """
    try:
        return _apart(yaml.load(text, _Loader))
    except RecursionError as error:
        raise yaml.YAMLError("lists and mappings stand in each other without end") from error


def _apart(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _apart(item) for key, item in value.items()}
    return [_apart(item) for item in value] if isinstance(value, list) else value


def read_yaml(path: str | Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The mapping in a YAML file.

    A file may build on another one, named relative to it under the key `extends`: mappings are merged, anything else
    (lists too) is replaced.

    Args:
        path: The file.
        above: Files that build on this one.

    Raises:
        RecipeError: There is no such file, it holds something else, or it builds on itself.
    """
    try:
        values = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"The recipe {path} must hold a mapping of keys to values.")
    below, files = values.pop("extends", None), (*above, Path(path).resolve())
    if below is None:
        return values
    if not isinstance(below, str):
        raise RecipeError(f"`extends` in the recipe {path} must name one file, got {below!r}.")
    below = os.path.expanduser(below)
    if (Path(path).parent / below).resolve() in files:
        raise RecipeError(f"The recipe {path} extends {below}, which builds on it: take one of the `extends` out.")
    return merged(read_yaml(Path(path).parent / below, files), values)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both say something, `above` counts."""
    both = {key: merged(below[key], above[key]) for key in below.keys() & above.keys()
            if isinstance(below[key], dict) and isinstance(above[key], dict)}  # fmt: skip
    return {**below, **above, **both}


def split_arguments(argv: Sequence[str]) -> list[tuple[str, Any]]:
    """`--a.b 4 --c=x` as `[("a.b", 4), ("c", "x")]`; values are read as YAML.

    Raises:
        RecipeError: A key without a value, or a value without a key.
    """
    pairs = []
    position = 0
    while position < len(argv):
        argument = argv[position]
        if not argument.startswith("--") or len(argument) == 2:
            raise RecipeError(f"Expected `--key value`, got {argument!r}.")
        key, equals, text = argument[2:].partition("=")
        if not equals:
            position += 1
            if position == len(argv) or argv[position].startswith("--"):
                raise RecipeError(f"`--{key}` has no value; write `--{key} VALUE` (`--help` lists all keys).")
            text = argv[position]
        position += 1
        try:
            pairs.append((key, parse_yaml(text)))
        except yaml.YAMLError as error:
            raise RecipeError(f"The value of `--{key}`, {text!r}, is not valid YAML; put it in quotes.") from error
    return pairs


def assign(values: dict[str, Any], key: str, value: Any) -> None:
    """Put `value` at a dotted `key` of nested dicts and lists, making what is missing; a list grows by one at its end.

    Raises:
        RecipeError: The path leads through something that is neither, or past the end of a list.
    """
    *path, last = key.split(".")
    place: Any = values
    for part, following in zip(path, [*path[1:], last]):
        missing: Any = [] if following == "0" else {}
        if isinstance(place, list):
            index = _index(place, part, key)
            if index == len(place):
                place.append(missing)
            place = place[index]
        elif isinstance(place, dict):
            if place.get(part) is None:
                place[part] = missing
            place = place[part]
        else:
            break
    if isinstance(place, list):
        index = _index(place, last, key)
        place[index : index + 1] = [value]
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise RecipeError(f"`--{key}` leads into {place!r}, which has no keys of its own.")


def describe(cls: type, prefix: str = "") -> Iterator[str]:
    """One line per key of a recipe: name, type, default, meaning."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint, text = hints[field.name], field.metadata.get("help", "")
        item = next((h for h in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(h)), None)
        if item is not None:
            many = typing.get_origin(hint) is list
            yield f"  {prefix}{field.name}: {text}"
            yield from describe(item, f"{prefix}{field.name}.{'N.' if many else ''}")
            continue
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if made else field.default
        name = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
        yield f"  --{prefix}{field.name} ({name.replace('typing.', '')}, default {default!r}): {text}"


def is_key(name: str, cls: type) -> bool:
    """Whether a recipe of this class has a place for the dotted `name`."""
    first, _, rest = name.partition(".")
    hint = typing.get_type_hints(cls).get(first)
    if hint is None or not rest:
        return hint is not None
    if typing.get_origin(hint) is list:
        (hint,), rest = typing.get_args(hint), rest.partition(".")[2]
    return typing.get_origin(hint) is dict or (dataclasses.is_dataclass(hint) and is_key(rest, hint))


def _named(last: str, cls: type, prefix: str = "") -> Iterator[str]:
    """Dotted names of the keys of this name below those of a recipe; of lists of parts, those of the first one."""
    for name, hint in typing.get_type_hints(cls).items():
        part = next((h for h in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(h)), None)
        if part is not None:
            yield from _named(last, part, f"{prefix}{name}.{'0.' if typing.get_origin(hint) is list else ''}")
        elif name == last:
            yield prefix + name


def _meant(key: str, cls: type, others: Mapping[str, str]) -> list[str]:
    """Keys of a recipe that others call `key`, or that have this name below another one."""
    if key in others and is_key(others[key], cls):
        return [others[key]]
    same = list(_named(key, cls))
    return [name for name in same if ".0." not in name] or same


def _index(place: list, part: str, key: str) -> int:
    if not part.isdecimal() or int(part) > len(place):
        raise RecipeError(f"`--{key}`: {part!r} is no place in a list of {len(place)} (they count from 0).")
    return int(part)


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _hint(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(sorted(known))}."
