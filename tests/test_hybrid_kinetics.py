# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Kinetics-710 out of lists with every trap, beside an independent count; the label maps of the original authors."""

import csv
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from reference_data import EXTRA

from training.data.files import ListSource
from training.hybrid.classes import read_renames, unite
from training.hybrid.kinetics_lists import KineticsList, Spelling
from training.hybrid.labeled import KineticsOptions, build_kinetics710
from training.hybrid.versions import TRAINING, VALIDATION


KINETICS = EXTRA / "kinetics"
NEWEST_FIRST = (700, 600, 400)
HEADER = ["label", "youtube_id", "time_start", "time_end", "split"]
# The same class under several spellings and old names; "drinking" is another name of "sipping cup".
NAMES = {
    400: [
        "air_drumming",
        "Drinking",
        "making  bed",
        "caf\u00e9 visit",
        'saying "hi", loudly',
        "passing American football",
    ],
    600: ["air drumming", "sipping cup", "making the bed", "Cafe\u0301 visit", "passing american football", "hugging"],
    700: ["Air Drumming", "sipping cup", "making the bed", "caf\u00e9 visit", "hugging (not baby)", "only in 700"],
}
RENAMES = {"drinking": "sipping cup", "making bed": "making the bed", "hugging": "hugging (not baby)", "never": "used"}
# What the classes above are, written down by hand, sorted by name.
UNITED = ["Air Drumming", "caf\u00e9 visit", "hugging (not baby)", "making the bed", "only in 700",
          "passing american football", 'saying "hi", loudly', "sipping cup"]  # fmt: skip
CLASS_OF = {
    400: dict(zip(NAMES[400], (0, 7, 3, 1, 6, 5))),
    600: dict(zip(NAMES[600], (0, 7, 3, 1, 5, 2))),
    700: dict(zip(NAMES[700], (0, 7, 3, 1, 2, 4))),
}
IDS = ["-" * 11, "_" * 11, "-dash_start", "a_000012_00", "0000000000-", "__000001_00", "abcdefghijk", "ABCDEFGHIJK"]
IDS += [f"video-{i:05}" for i in range(52)]


def random_rows(rng: random.Random, version: int, count: int) -> list[tuple[str, str, int, int]]:
    """Label, id, start and end; ids repeat, with the same and with other times and labels."""
    rows = []
    for _ in range(count):
        start = rng.choice((0, 5, 90))
        rows.append((rng.choice(NAMES[version]), rng.choice(IDS), start, start + 10))
    return rows + rng.sample(rows, 3)


def write_csv(path: Path, rows: list[tuple], split: str, rng: random.Random, messy: bool) -> str:
    with path.open("w", encoding="utf-8-sig" if messy else "utf-8", newline="") as file:
        ends = "\r\n" if messy else "\n"
        writer = csv.writer(file, lineterminator=ends, quoting=csv.QUOTE_ALL if messy else csv.QUOTE_MINIMAL)
        if messy:
            file.write(ends)
        writer.writerow(HEADER)
        for row in rows:
            writer.writerow([*row, split])
            if messy and rng.random() < 0.2:
                file.write(rng.choice((ends, f"  {ends}")))
    return str(path)


class Naive:
    """The rules once more, line by line with dicts."""

    def __init__(self, rows: dict[tuple[int, str], list[tuple[str, str, int, int]]]) -> None:
        self.kept: dict[str, dict[str, tuple]] = {"training": {}, "validation": {}}
        self.counts: dict[tuple[str, int], Counter] = {}
        best: dict[str, dict[str, tuple]] = {"training": {}, "validation": {}}
        for split, chosen in best.items():
            for version in NEWEST_FIRST:
                lines = [(start, end, CLASS_OF[version][name], video)
                         for name, video, start, end in rows[version, split]]  # fmt: skip
                count = self.counts[split, version] = Counter(read=len(lines))
                count["repeated"] = len(lines) - len({line[3] for line in lines})
                for video in {line[3] for line in lines}:
                    if video in chosen:
                        count["in_other_version"] += 1
                    else:
                        chosen[video] = (version, *min(line[:3] for line in lines if line[3] == video))
        for split, chosen in best.items():
            for video, (version, *rest) in chosen.items():
                if split == "training" and video in best["validation"]:
                    self.counts[split, version]["in_validation"] += 1
                else:
                    self.counts[split, version]["kept"] += 1
                    self.kept[split][video] = (version, *rest)
            for version in NEWEST_FIRST:
                for name, video, start, end in rows[version, split]:
                    winner = chosen[video]
                    self.counts[split, version]["conflicts"] += CLASS_OF[version][name] != winner[3]
                    self.counts[split, version]["other_times"] += (start, end) != winner[1:3]
                    self.counts[split, version]["renamed"] += name.lower().replace("  ", " ") in RENAMES


@pytest.mark.parametrize("seed", range(3))
def test_every_trap_equals_an_independent_count(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("datasets")
    rng = random.Random(seed)
    rows = {(version, split): random_rows(rng, version, count)
            for version in NAMES for split, count in (("training", 60), ("validation", 9))}  # fmt: skip
    naive = Naive(rows)

    results = []
    for messy in (False, True):
        lists = []
        for (version, split), lines in sorted(rows.items(), reverse=messy):
            place = tmp_path / f"{version}_{split}_{messy}.csv"
            name = {"training": "train", "validation": "validate" if messy else "val"}[split]
            lines = rng.sample(lines, len(lines)) if messy else lines
            number = TRAINING if split == "training" else VALIDATION
            lists.append(KineticsList(write_csv(place, lines, name, rng, messy), version, number))
        renames = tmp_path / "renames.json"
        renames.write_text(json.dumps(RENAMES))
        output = tmp_path / f"out_{messy}"
        options = KineticsOptions(
            lists, renames=str(renames), template="k{version}/{split}/{id}_{start:06}_{end:06}.mp4"
        )
        report = build_kinetics710(options, str(output))
        results.append({path.name: path.read_bytes() for path in output.iterdir() if path.name != "report.json"})
    assert results[0] == results[1], "order of lines and lists, line ends, quotes and empty lines change nothing"

    assert (output / "label_map_k710.txt").read_text(encoding="utf-8").splitlines() == UNITED
    for split, name in (("training", "train"), ("validation", "validation")):
        source = ListSource(str(output / f"{name}.txt"), root="/videos", labelled=True)
        found = {(video.content, video.label) for video in (source.get(i, 0) for i in range(source.length))}
        assert found == {
            (f"/videos/k{version}/{name}/{video}_{start:06}_{end:06}.mp4", label)
            for video, (version, start, end, label) in naive.kept[split].items()
        }
        assert source.length == len(found) == report[split]["kept"]
        for version in NAMES:
            counts = report[split]["by_version"][str(version)]
            assert counts == {key: naive.counts[split, version][key] for key in counts}
            assert counts["read"] == sum(counts[k] for k in ("repeated", "in_other_version", "in_validation", "kept"))
        assert report[split]["read"] == sum(len(lines) for (_, other), lines in rows.items() if other == split)
    assert not naive.kept["training"].keys() & naive.kept["validation"].keys()
    conflicts = list(csv.DictReader((output / "conflicts.csv").open(encoding="utf-8")))
    assert len(conflicts) == sum(count["conflicts"] for count in naive.counts.values())
    assert all(line["kept_class"] != line["dropped_class"] for line in conflicts)
    assert report["training"]["conflicts"] > 0 < report["training"]["in_validation"]


def test_id_in_two_versions_in_both_splits_and_with_other_times(tmp_path: Path) -> None:
    pytest.importorskip("datasets")

    def build(name: str, preference: tuple[int, ...]) -> list[str]:
        build_kinetics710(KineticsOptions(lists, preference=preference), str(tmp_path / name))
        return (tmp_path / name / "train.txt").read_text().splitlines()

    rng = random.Random(0)
    lists = [
        KineticsList(write_csv(tmp_path / "4.csv", [("b", "-dash_start", 1, 11), ("a", "in_val_only", 0, 10),
                                                    ("b", "only_in_400", 0, 10)], "train", rng, False), 400, TRAINING),
        KineticsList(write_csv(tmp_path / "7.csv", [("a", "-dash_start", 7, 17), ("c", "-dash_start", 6, 16)], "train",
                               rng, False), 700, TRAINING),
        KineticsList(write_csv(tmp_path / "6.csv", [("a", "in_val_only", 50, 60)], "val", rng, False), 600, VALIDATION),
    ]  # fmt: skip
    kept = "only_in_400_000000_000010.mp4 1"
    assert build("newest", (700, 600, 400)) == ["# path label", "-dash_start_000006_000016.mp4 2", kept]
    assert build("oldest", (400, 600, 700)) == ["# path label", "-dash_start_000001_000011.mp4 1", kept]


def test_times_may_be_missing_where_no_path_needs_them(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "list.csv").write_text("label,youtube_id,time_start,time_end\nape,abcdefghijk,,\n")
    options = KineticsOptions([KineticsList(str(tmp_path / "list.csv"), 400, TRAINING)], template="{id}.mp4")
    build_kinetics710(options, str(tmp_path / "out"))
    assert (tmp_path / "out" / "train.txt").read_text() == "# path label\nabcdefghijk.mp4 0\n"


def test_lists_of_files_with_class_numbers(tmp_path: Path) -> None:
    """The authors' lists; ids are told by their length, whatever underscores and dashes they hold."""
    pytest.importorskip("datasets")
    (tmp_path / "k400.txt").write_text("zebra\nape\n")
    (tmp_path / "k700.txt").write_text("1 ape\n2 lion\n")
    (tmp_path / "400.txt").write_text(
        "k400/my videos/-b_000012_0_000012_000022.mp4 300 0\r\nk400/a_000012_00.mp4 250 1\r\n\r\n"
        '"k400/q/__________x.webm" 250 1\r\n', newline=""
    )  # fmt: skip
    (tmp_path / "700.txt").write_text("# path total label\nvid 7/a_000012_00_000001_000011.mkv.mp4 -1 1\n")
    lists = [KineticsList(str(tmp_path / f"{version}.txt"), version, TRAINING) for version in (400, 700)]
    labels = {version: str(tmp_path / f"k{version}.txt") for version in (400, 700)}
    report = build_kinetics710(KineticsOptions(lists, labels, folders={700: "new"}), str(tmp_path / "out"))
    assert (tmp_path / "out" / "train.txt").read_text().splitlines() == [
        "# path label",
        "k400/my videos/-b_000012_0_000012_000022.mp4 2",
        "k400/q/__________x.webm 0",
        "new/vid 7/a_000012_00_000001_000011.mkv.mp4 1",
    ]
    assert (tmp_path / "out" / "label_map_k710.txt").read_text() == "ape\nlion\nzebra\n"
    assert json.loads((tmp_path / "out" / "label_710to400.json").read_text()) == [2, 0]
    assert json.loads((tmp_path / "out" / "label_710to700.json").read_text()) == [0, 1]
    counts = report["training"]
    assert (counts["in_other_version"], counts["conflicts"], counts["other_times"]) == (1, 1, 0)
    assert counts["classes_with_videos"] == 3


def test_equal_lines_but_for_the_path_do_not_depend_on_their_order(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "labels.txt").write_text("ape\n")
    lines, kept = ["b/abcdefghijk.mp4 0\n", "a/abcdefghijk.mp4 0\n", "a/abcdefghijk.mp4 0\n"], set()
    for number, order in enumerate((lines, lines[::-1])):
        (tmp_path / "list.txt").write_text("".join(order))
        options = KineticsOptions(
            [KineticsList(str(tmp_path / "list.txt"), 400, TRAINING)], {400: str(tmp_path / "labels.txt")}
        )
        build_kinetics710(options, str(tmp_path / str(number)))
        kept.add((tmp_path / str(number) / "train.txt").read_text())
    assert kept == {"# path label\na/abcdefghijk.mp4 0\n"}


# classes


def spell(version: int, *names: str) -> list[Spelling]:
    return [Spelling(version, name, f"{version}.csv", 2 + i) for i, name in enumerate(names)]


def test_order_of_a_given_label_map_wins() -> None:
    lists = spell(400, "old b", "A") + spell(700, "c", "B")
    united = unite(lists, {}, {"old b": "b"}, label_map=["c", "b", "never used", "a"])
    assert united.names == ["c", "b", "never used", "a"]
    assert united.numbers == [1, 3, 0, 1]
    assert united.renamed == {400: {"old b": "b"}}


def test_renames_follow_each_other_and_may_be_given_in_any_spelling() -> None:
    united = unite(spell(400, "one") + spell(700, "Three"), {}, {"ONE": "two", "Two": "three"})
    assert (united.names, united.numbers) == (["Three"], [0, 0])


def test_classes_that_one_version_tells_apart_stay_apart() -> None:
    """`throwing ball` is on the authors' table, and stands beside its new name in Kinetics-600."""
    renames = {"throwing ball": "throwing ball (not baseball)"}
    lists = spell(400, "throwing ball") + spell(600, "throwing ball", "throwing ball (not baseball)")
    united = unite(lists, {}, renames)
    assert united.numbers == [0, 0, 1]
    assert united.kept_apart == {"throwing ball": "Kinetics-600 has both 'throwing ball' and "
                                                  "'throwing ball (not baseball)'"}  # fmt: skip
    by_map = unite(lists[:1], {}, renames, label_map=["throwing ball (not baseball)", "throwing ball"])
    assert by_map.numbers == [1]
    assert "label map" in by_map.kept_apart["throwing ball"]


def test_sorted_names_are_those_of_the_preferred_version() -> None:
    lists = spell(400, "riding_a_bike", "b") + spell(700, "Riding a bike") + spell(600, "riding a Bike")
    assert unite(lists, {}, {}, preference=(700, 600, 400)).names == ["Riding a bike", "b"]
    assert unite(lists, {}, {}, preference=(400, 600, 700)).names == ["b", "riding_a_bike"]
    used = unite(
        spell(700, "cycling") + spell(400, "riding_a_bike"), {}, {"cycling": "Riding a bike"}, None, (700, 400)
    )
    assert used.names == ["riding_a_bike"], "no list has the spelling of the table"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_map": ["a"]}, "400.csv, line 3: the class 'b' is not in the label map"),
        ({"label_map": ["a", "b", "A"]}, "label map has one class twice: 'a' and 'A'"),
        ({"labels": {400: ["a", "c"]}}, "400.csv, line 3: 'b' is no class of Kinetics-400"),
        ({"renames": {"b": "d"}, "label_map": ["a"]}, "the class 'b', renamed 'd', is not in the label map"),
        ({"labels": {700: ["x"]}, "label_map": ["a", "b"]}, "Kinetics-700: the class 'x' is not in the label map"),
    ],
)
def test_unknown_classes_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unite(spell(400, "a", "b"), **{"labels": {}, "renames": {}, **arguments})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", 'renames.json must hold an object of names by name: {"old name": "new name", ...}'),
        ('{"a": "b", "c": 1}', 'renames.json must hold an object of names by name: {"old name": "new name", ...}'),
        ('{"a": "b", "c": " "}', 'renames.json must hold an object of names by name: {"old name": "new name", ...}'),
        ("{", "not valid JSON"),
        ('{"a": "b", "B": "A"}', "in a circle"),
        ('{"x": "a", "a": "b", "b": "c", "c": "a"}', "in a circle"),
    ],
)
def test_tables_of_renames_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "renames.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_renames(str(path))


def test_a_rename_to_another_spelling_is_no_circle(tmp_path: Path) -> None:
    path = tmp_path / "renames.json"
    path.write_text('{"a": "b", "b": "B", "C": "c"}')
    assert read_renames(str(path)) == {"a": "b", "b": "B", "C": "c"}
    assert unite(spell(400, "a") + spell(600, "b", "c"), {}, read_renames(str(path))).numbers == [0, 0, 1]


# the original authors' label maps


def reference_lines(version: int) -> list[str]:
    path = KINETICS / f"label_map_k{version}.txt"
    if not path.is_file():
        pytest.skip("the label maps of Kinetics are not on this machine")
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("old_names", [False, True])
def test_class_numbers_are_those_of_the_released_checkpoints(tmp_path: Path, old_names: bool) -> None:
    """Lists of all classes, under their names of today and under those that the versions had, map as the authors'."""
    names = {version: reference_lines(version) for version in NAMES}
    table = json.loads((KINETICS / "k710_identical_label_merge.json").read_text())
    earlier = {new: old for old, new in table.items()}
    lists = []
    for version, classes in names.items():
        used = [earlier.get(name, name) if old_names and version == 400 and earlier.get(name) not in classes else name
                for name in classes]  # fmt: skip
        rows = [(name, f"{version}-{number:07}", 0, 10) for number, name in enumerate(used)]
        path = write_csv(tmp_path / f"{version}.csv", rows, "train", random.Random(0), messy=False)
        lists.append(KineticsList(path, version, TRAINING))
    options = KineticsOptions(
        lists,
        labels={version: str(KINETICS / f"label_map_k{version}.txt") for version in names},
        label_map=str(KINETICS / "label_map_k710.txt"),
        renames=str(KINETICS / "k710_identical_label_merge.json"),
        template="{id}.mp4",
    )
    report = build_kinetics710(options, str(tmp_path / "out"))
    assert report["classes"]["count"] == 710
    assert report["classes"]["kept_apart"].keys() == {"throwing ball"}
    assert bool(report["classes"]["renamed"]) == old_names
    source = ListSource(str(tmp_path / "out" / "train.txt"), labelled=True)
    found = {source.paths[i]: int(label) for i, label in enumerate(source.labels)}
    for version, classes in names.items():
        expected = json.loads((KINETICS / f"label_710to{version}.json").read_text())
        assert [found[f"{version}-{number:07}.mp4"] for number in range(len(classes))] == expected
        assert json.loads((tmp_path / "out" / f"label_710to{version}.json").read_text()) == expected


def test_without_a_label_map_the_union_has_710_classes() -> None:
    names = {version: reference_lines(version) for version in NAMES}
    united = unite([], names, read_renames(str(KINETICS / "k710_identical_label_merge.json")))
    assert united.names == sorted(reference_lines(710))
