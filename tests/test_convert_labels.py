# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Names of classes: read from the files that data sets bring, and found from one data set in another."""

import json
from pathlib import Path

import pytest
from reference_data import EXTRA

from modeling_videomae_v2.conversion.class_selection import LabelFiles, choose_classes
from modeling_videomae_v2.labels_videomae_v2 import normalise_label, read_labels, select_classes


def write(path: Path, content: object) -> Path:
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
    return path


# ---- reading


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.txt", "a b\nc\nd (e)\n"),
        ("windows.txt", "a b\r\nc\r\nd (e)\r\n\r\n"),
        ("mark.txt", "\ufeffa b\nc\nd (e)"),
        ("from_zero.txt", "0 a b\n1 c\n2 d (e)\n"),
        ("from_one.csv", "1,a b\n2,c\n3,d (e)\n"),
        ("spaces.txt", " a b \nc\t\n  d (e)\n"),
        ("list.json", ["a b", "c", "d (e)"]),
        ("LIST.JSON", [" a b", "c ", "d (e)"]),
        ("ids.json", {"c": 1, "a b": "0", "d (e)": 2}),
        ("names.json", {"1": "c", "0": "a b", "2": "d (e)"}),
    ],
)
def test_forms_of_label_files(name: str, content: object, tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / name, content)) == ["a b", "c", "d (e)"]


def test_names_that_begin_with_numbers_stay(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / "labels.txt", "2 fast\n3 slow\n")) == ["2 fast", "3 slow"]
    assert read_labels(write(tmp_path / "labels.txt", "0 left\n")) == ["0 left"]


def test_names_that_are_numbers(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / "labels.json", {"007": 1, "42": 0, "1": 2})) == ["42", "007", "1"]
    assert read_labels(write(tmp_path / "labels.txt", "007\n1e5\nNaN\nnull\n")) == ["007", "1e5", "NaN", "null"]


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x0c"])
def test_only_a_line_feed_ends_a_name(separator: str, tmp_path: Path) -> None:
    names = [f"two{separator}parts", "one"]
    assert read_labels(write(tmp_path / "labels.txt", "\n".join(names))) == names


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.txt", "\n\n", "no label names"),
        ("gap.txt", "a\n\nb\n", "line 2 is empty"),
        ("double.txt", "a\nb\na\n", "'a' twice, for the classes 0 and 2"),
        ("broken.json", "[1,", "not valid JSON"),
        ("deep.json", "[" * 100_000, "deep.json is not valid JSON"),
        ("gap.json", {"a": 0, "b": 2}, "0, 1, 2"),
        ("double.json", {"a": 0, "b": 0}, "its 2 classes 0, 1, 2, ...; some are missing or double"),
        ("nameless.json", ["a", " "], "list of names"),
        ("numbers.json", [1, 2], "list of names"),
        ("word.json", '"ab"', "list of names"),
        ("nested.json", {"a": [1], "b": [2]}, r"names by id or ids by name; 'a' has \[1\], which is neither"),
        ("truth.json", {"a": 0, "b": True}, "names by id or ids by name; 'b' has true, which is neither"),
        ("words.json", {"a": "b", "c": "d"}, "not all numbers"),
    ],
)
def test_wrong_label_files(name: str, content: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        read_labels(write(tmp_path / name, content))


def test_no_label_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_labels(tmp_path / "nowhere.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ValueError, match="UTF-8"):
        read_labels(tmp_path / "binary.txt")


# ---- finding


def test_names_are_found_whatever_their_spelling() -> None:
    source = ["riding a bike", "massaging person's head", "Somersaulting", "opening bottle (not wine)"]
    target = ["OpeningBottle (not wine)".replace("gB", "g b"), "massaging_persons_head", "riding  a bike"]
    assert select_classes(source, target) == [3, 1, 0]
    assert normalise_label("Riding_a  Bike!") == normalise_label("riding a bike")
    assert normalise_label("Cafe\u0301 STRASSE") == normalise_label("Caf\u00e9 Stra\u00dfe")
    assert select_classes(["+", "-"], [" - "]) == [1]  # nothing but punctuation


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0915\u093e\u092e", "\u0915\u0940\u092e"),
        ("\u0e01\u0e34\u0e19", "\u0e01\u0e31\u0e19"),
        ("like \U0001f44d", "like \U0001f44e"),
    ],
    ids=["Hindi", "Thai", "pictographs"],
)
def test_names_that_differ_in_vowel_signs_or_pictographs(one: str, other: str) -> None:
    assert normalise_label(one) != normalise_label(other)
    assert select_classes([one, other], [f"  {other}!", f"{one}_"]) == [1, 0]
    with pytest.raises(ValueError, match="1 of 1 class names"):
        select_classes([one], [other])


@pytest.mark.parametrize(
    ("one", "other"), [("up\u2212down", "up-down"), ("\xbd turn", "1/2 turn"), ("like \u2764\ufe0f", "Like \u2764")]
)
def test_characters_that_stand_for_those_of_ascii_or_for_none(one: str, other: str) -> None:
    assert select_classes([one, "else"], [other]) == [0]


def test_other_names_of_the_same_class() -> None:
    renames = {"balloon blowing": "inflating balloons", "tying tie": "tying necktie"}
    assert select_classes(["inflating balloons", "tying tie"], ["Balloon blowing", "tying necktie"], renames) == [0, 1]


def test_exact_name_goes_before_similar_ones() -> None:
    assert select_classes(["A b", "a b"], ["a b"]) == [1]


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (["a", "b"], ["a", "c", "d"], r"2 of 3 class names .* 'c', 'd'"),
        (["a"], list("bcdefghijkl"), "11 of 11 class names .* 'k' and 1 more"),
        (["a"], list("bcdefghijk"), r"10 of 10 class names .* 'k'\. Correct"),
        (["a-b", "a b"], ["A B"], "fits several classes"),
        (["a", "b"], ["a", "A"], "'a' and 'A' are the same class"),
        (["a", "a"], ["a"], "differ"),
    ],
)
def test_names_that_cannot_be_found(source: list[str], target: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        select_classes(source, target)


@pytest.mark.parametrize("classes", [400, 600, 700])
def test_kinetics(classes: int) -> None:
    """By name we find what the authors' tables say."""
    folder = EXTRA / "kinetics"
    if not folder.is_dir():
        pytest.skip("the authors' label lists are not on this machine")
    source, target = (read_labels(folder / f"label_map_k{n}.txt") for n in (710, classes))
    assert select_classes(source, target) == json.loads((folder / f"label_710to{classes}.json").read_text())
    renames = json.loads((folder / "k710_identical_label_merge.json").read_text())
    older = {new: old for old, new in renames.items() if old not in source}
    assert select_classes(source, [older.get(name, name) for name in target], renames) == select_classes(source, target)


# ---- choosing


HEAD = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("labels", "label_map", "known", "expected"),
    [
        (HEAD, None, None, (None, HEAD)),
        (None, [2, 0], None, ([2, 0], None)),
        (None, [2, 0], HEAD, ([2, 0], ["c", "a"])),
        (HEAD, [2, 0], None, ([2, 0], ["c", "a"])),
        (["sea", "eh"], [2, 0], None, ([2, 0], ["sea", "eh"])),
        (HEAD, [3, 2, 1, 0], None, ([3, 2, 1, 0], ["d", "c", "b", "a"])),
        (HEAD, ["C", "A"], None, ([2, 0], ["C", "A"])),
        (None, ["C", "A"], HEAD, ([2, 0], ["C", "A"])),
        (["sea", "eh"], ["C", "A"], HEAD, ([2, 0], ["sea", "eh"])),
    ],
)
def test_classes_to_keep(labels, label_map, known, expected, tmp_path: Path) -> None:
    files = LabelFiles(
        None if labels is None else write(tmp_path / "labels.txt", "\n".join(labels)),
        None if label_map is None else write(tmp_path / "map.json", label_map),
    )
    assert choose_classes(4, known, files) == expected


@pytest.mark.parametrize(
    ("labels", "label_map", "said"),
    [
        (["a", "b"], None, "names 2 classes; the checkpoint has 4"),
        (None, [0, 4], "the class 4, and the checkpoint has 4"),
        (None, [0, -1], "the class -1"),
        (None, [0, 0], "a class twice"),
        (["a", "b", "c"], [0, 1], "names 3 classes; expected the 4 .* or the 2"),
        (["a", "b", "c"], ["a", "b"], "names 3 classes; expected the 4 .* or the 2"),
        (None, [], "no label names"),
        (None, [True, False], "list of names"),
        (None, "[0, 1", "map.json is not valid JSON"),
        (None, ["a", "b"], "not known: pass them as `labels`"),
        (HEAD, {"a": "b"}, "go to `renames`"),
        (HEAD, ["a", "nothing"], "nothing"),
    ],
)
def test_choices_that_do_not_fit(labels, label_map, said: str, tmp_path: Path) -> None:
    files = LabelFiles(
        None if labels is None else write(tmp_path / "labels.txt", "\n".join(labels)),
        None if label_map is None else write(tmp_path / "map.json", label_map),
    )
    with pytest.raises(ValueError, match=said):
        choose_classes(4, None, files)


def test_class_ids_of_a_file_from_windows(tmp_path: Path) -> None:
    files = LabelFiles(label_map=write(tmp_path / "MAP.JSON", "\ufeff[2, 0]"))
    assert choose_classes(4, None, files) == ([2, 0], None)


def test_files_that_are_not_there_or_not_used(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.json"):
        choose_classes(4, HEAD, LabelFiles(label_map=tmp_path / "nowhere.json"))
    assert LabelFiles(renames=tmp_path / "renames.json").given()
    assert not LabelFiles().given()


@pytest.mark.parametrize("content", [["dee"], {"dee": 3}])
def test_renames_must_be_names_by_names(content: object, tmp_path: Path) -> None:
    renames = write(tmp_path / "renames.json", content)
    with pytest.raises(ValueError, match=r"renames\.json must hold an object of names"):
        choose_classes(4, HEAD, LabelFiles(None, write(tmp_path / "map.json", ["dee"]), renames))


def test_renames_are_not_for_ids(tmp_path: Path) -> None:
    label_map, renames = write(tmp_path / "map.json", [2, 0]), write(tmp_path / "renames.json", {"dee": "d"})
    with pytest.raises(ValueError, match=r"`renames` serves to find names, and .*map\.json holds ids\. Leave it out"):
        choose_classes(4, HEAD, LabelFiles(None, label_map, renames))


def test_other_names_for_a_choice(tmp_path: Path) -> None:
    files = LabelFiles(
        write(tmp_path / "labels.txt", "\n".join(HEAD)),
        write(tmp_path / "wanted.txt", "dee\na\n"),
        write(tmp_path / "renames.json", {"dee": "d"}),
    )
    assert choose_classes(4, None, files) == ([3, 0], ["dee", "a"])
    with pytest.raises(ValueError, match="there is none"):
        choose_classes(4, None, LabelFiles(files.labels, None, files.renames))
