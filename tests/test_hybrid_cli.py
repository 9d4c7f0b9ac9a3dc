# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.build_hybrid`: what it writes, what it refuses and how it says so, and the check of videos."""

import csv
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from systems import NO_SUCH_FILE
from typer.testing import CliRunner, Result
from video_files import encode

from training.build_hybrid import app
from training.data.files import ListSource
from training.hybrid.checking import check_list
from training.hybrid.lists import find_layout, read_csv, read_header, read_lines, read_list
from training.hybrid.outputs import OutputFolder, line_of
from training.hybrid.parts import read_pieces


HEADER = "label,youtube_id,time_start,time_end,split\n"
GOOD = HEADER + "ape,-abcdefghij,0,10,train\nlion,_bcdefghijk,5,15,train\n"
LAYOUTS = {1: ("path",), 2: ("path", "label"), 3: ("path", "total", "label")}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output).strip()


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_kinetics710_from_the_command_line(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", GOOD + "tying tie,ccccccccccc,1,11,train\n")
    val = write(tmp_path / "val.csv", HEADER + "ape,_bcdefghijk,50,60,validate\n")
    renames = write(tmp_path / "renames.json", json.dumps({"tying tie": "tying necktie"}))
    arguments = ["kinetics710", "--train", f"400={train}", "--train", f"k600={train}", "--train", f"k700={train}",
                 "--val", f"600={val}", "--val", f"700={val}", "--val", f"400={val}",
                 "--renames", renames, "--video-path", "{label}/{id}.mp4", "--folder", "700=k700",
                 "-o", tmp_path / "out"]  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "Kinetics, 3 classes" in said(result)
    assert "- again in the same version" in result.output, "the tables fit into 80 columns"
    assert "'tying tie' to 'tying necktie'" in said(result)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"train.txt", "train.parquet", "validation.txt", "validation.parquet", "conflicts.csv",
                     "label_map_k710.txt", "report.json"}  # fmt: skip
    assert (tmp_path / "out" / "train.txt").read_text() == (
        "# path label\nk700/ape/-abcdefghij.mp4 0\nk700/tying tie/ccccccccccc.mp4 2\n"
    )
    assert [list(row.values()) for row in pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()] == [
        ["k700/ape/-abcdefghij.mp4", 0, -1, 0, "k700", "-abcdefghij", 0, 10],
        ["k700/tying tie/ccccccccccc.mp4", 0, -1, 2, "k700", "ccccccccccc", 1, 11],
    ]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["training"]["kept"] == 2
    assert run(*arguments).exit_code == 0, "the same content may be written again"
    remark = "There are no validation lists, so no validation video was removed"
    assert remark not in said(result)
    assert remark in said(run("kinetics710", "--train", f"400={train}", "-o", tmp_path / "without"))


def test_the_home_of_the_user_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows
    write(tmp_path / "train.csv", GOOD)
    write(tmp_path / "own.txt", "c.mp4\n")
    write(tmp_path / "renames.json", "{}")
    monkeypatch.chdir(tmp_path)
    result = run("kinetics710", "--train=400=~/train.csv", "--renames=~/renames.json", "--output=~/k710")
    assert result.exit_code == 0, result.output
    result = run("unlabeled", "--self-collected=~/own.txt", "--count=self_collected=1", "-o", "~/hybrid",
                 "--root=self_collected=~/v")  # fmt: skip
    assert result.exit_code == 0, result.output
    (tmp_path / "c.mp4").write_text("no video, but not empty")
    result = run("check", "~/own.txt", "--root=~", "--good=~/good.txt", "--bad=~/bad.txt")
    assert result.exit_code == 0, result.output
    assert {"k710", "hybrid", "good.txt", "bad.txt"} < {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "~").exists()


def test_unlabeled_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write(tmp_path / "own.txt", "a b.mp4\nc.mp4\nd.mp4\n")
    monkeypatch.chdir(tmp_path)
    out = Path("out:1")  # with a colon, pyarrow would take it for an address
    result = run("unlabeled", "--self-collected", own, "--count", "self-collected=2", "--seed", 3, "-o", out)
    assert result.exit_code == 0, result.output
    assert "Without k710, ssv2, ava, webvid" in said(result)
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert [row for row in rows if row[:1] in (["K710"], ["self-collected"], ["all"])] == [
        ["K710", "-", "-", "-", "-", "658,000"],
        ["self-collected", "3", "0", "1", "2", "250,000"],
        ["all", "2", "1,348,000"],
    ]
    assert "were to be drawn" not in said(result)
    first = (out / "self_collected.txt").read_text()
    assert first.count("\n") == 3
    assert run("unlabeled", "--self-collected", own, "--count", "self_collected=all", "-o", out).exit_code == 1
    assert (out / "self_collected.txt").read_text() == first
    result = run("unlabeled", "--self-collected", own, "--count", "self_collected=all", "-o", out, "--force")
    assert result.exit_code == 0
    assert (out / "self_collected.txt").read_text() == "# path start total\na b.mp4 0 -1\nc.mp4 0 -1\nd.mp4 0 -1\n"
    result = run("unlabeled", "--self-collected", own, "--count", "self_collected=4", "-o", out, "--force")
    assert "self_collected: 4 videos were to be drawn, and the list has 3." in said(result)


@pytest.mark.parametrize(
    ("absent", "remark"),
    [(0, ""), (1, "ava: 1 training movies are not in the list: m01."), (5, ": m01, m02, m03, m04, m05."),
     (6, "ava: 6 training movies are not in the list: m01, m02, m03, m04, m05 ...")],
)  # fmt: skip
def test_training_movies_without_a_file_are_named(tmp_path: Path, absent: int, remark: str) -> None:
    movies = write(tmp_path / "movies.txt", "a.mp4 900\nb.mp4 900\n")
    names = write(
        tmp_path / "train.csv", "".join(f"{name},902,1\n" for name in ["a", *(f"m0{i + 1}" for i in range(absent))])
    )
    result = run("unlabeled", "--ava", movies, "--ava-train", names, "--ava-cut", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert remark in said(result)
    assert ("are not in the list" in said(result)) is bool(absent)
    assert (tmp_path / "out" / "ava.txt").read_text().count("a.mp4") == 3


def test_classes_without_training_videos_are_counted(tmp_path: Path) -> None:
    train, labels = write(tmp_path / "train.csv", GOOD), write(tmp_path / "labels.txt", "ape\nlion\nyak\n")
    for given, remark in (((), ""), (("--labels", f"400={labels}"), "1 of 3 classes have no training video.")):
        result = run("kinetics710", "--train", f"400={train}", *given, "-o", tmp_path / "out", "--force")
        assert result.exit_code == 0, result.output
        assert remark in said(result)
        assert ("have no training video" in said(result)) is bool(remark)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + "ape,short,0,10,train\n", "line 4: 'short' is no YouTube id"),
        (GOOD + "ape,#NAME?,0,10,train\n", "line 4: '#NAME?' is no YouTube id"),
        (GOOD + "\nape,aaaaaaaaaaa,0\n", "line 5: 3 values where the header has 5 columns"),
        (GOOD + "ape,aaaaaaaaaaa,x,10,train\n", "line 4: 'x' is no time in seconds"),
        (GOOD + "ape,aaaaaaaaaaa,,10,train\n", "line 4: '' is no time in seconds"),
        (GOOD + "ape,aaaaaaaaaaa,-3,10,train\n", "line 4: '-3' is no time in seconds"),
        (GOOD + "ape,aaaaaaaaaaa,nan,1e99,train\n", "line 4: 'nan' is no time in seconds"),
        (GOOD + "ape,aaaaaaaaaaa,0,inf,train\n", "line 4: 'inf' is no time in seconds"),
        (GOOD + ",aaaaaaaaaaa,0,10,train\n", "line 4: the class is empty"),
        (GOOD + "ape,aaaaaaaaaaa,0,10,validate\n", "line 4: the split is 'validate', and the file was given for train"),
        (GOOD + "ape,aaaaaaaaaaa,0,10,test\n", "line 4: the split is 'test'"),
        (GOOD + 'ape,"aaaaaaaaaaa,0,10,train\n', "line 4: unexpected end of data. Check the quotes"),
        ("label,id,time_start\nape,aaaaaaaaaaa,0\n", "line 1: column `youtube_id` is missing; there are `label,id,tim"),
        ("\nlabel,youtube_id,time_start,time_start\na,b,c,d\n", "line 2: column `time_start` stands twice"),
        ("youtube_id,time_start,time_end\naaaaaaaaaaa,0,10\n", "column `label` is missing"),
        (HEADER, "lists no videos"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        (GOOD.encode("utf-16"), "list.csv is UTF-16, as Windows tools write it. Save the list as UTF-8."),
        (GOOD.encode() + b"b\xfcffel,aaaaaaaaaaa,0,10,train\n", "line 4: "),
        (b"\x00\x00\x00\x18ftypmp42", "list.csv is no text. Pass a list of videos."),
        ("a/aaaaaaaaaaa.mp4\n", "line 1: a line must be one of `path label`, `path total label`"),
        ("# a remark\n", "lists no videos"),
        ("path,label\n", "lists no videos"),
        ("path\tlabel\n", "lists no videos"),
        ("a/aaaaaaaaaaa.mp4 0\n", "has numbers for classes. Pass the class names of Kinetics-400"),
    ],
)
def test_lists_that_are_wrong_are_named_with_their_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path / "list.csv", content)
    result = run("kinetics710", "--train", f"400={path}", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert message in said(result)
    assert f"Error: {path}" in said(result)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("aaaaaaaaaaa.mp4 0\naaaaaaaaaaa.mp4 2\n", "line 2: class 2 is none of the 2 of Kinetics-400, 0 to 1"),
        ("aaaaaaaaaaa.mp4 -1\n", "line 1: class -1 is none"),
        ("clip.mp4 0\n", "line 1: 'clip.mp4' has no YouTube id"),
        ("aaaaaaaaaaa.mp4 0\n\naaaaaaaaaab.mp4 x\n", "line 3: expected `path label`, got 'aaaaaaaaaab.mp4 x'"),
        ("# path total\naaaaaaaaaaa.mp4 3\n", "list.txt has the columns `path total`, without the `label`"),
    ],
)
def test_lists_of_files_that_are_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path / "list.txt", content)
    labels = write(tmp_path / "labels.txt", "ape\nlion\n")
    result = run("kinetics710", "--train", f"400={path}", "--labels", f"400={labels}", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert message in said(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "400"], "Expected NAME=VALUE"),
        (["--train", "500=x.csv"], "'500' is no version of Kinetics"),
        (["--train", "400=missing.csv"], "--train: there is no file missing.csv. Check the path."),
        (["--train", "400=GOOD", "--val", "600=missing.csv"], "--val: there is no file missing.csv"),
        (["--train", "400=GOOD", "--labels", "700=missing.txt"], "--labels: there is no file missing.txt"),
        (["--train", "400=GOOD", "--label-map", "missing.txt"], "--label-map: there is no file missing.txt"),
        (["--train", "400=GOOD", "--renames", "missing.json"], "--renames: there is no file missing.json"),
        (["--train", "400=."], "--train: . is a folder. Name the file in it."),
        (["--train", "400=GOOD", "--prefer", "700,600"], "--prefer must name each of 400, 600, 700 once"),
        (["--train", "400=GOOD", "--video-path", "{name}.mp4"], "no template of a path: 'name'"),
        (["--train", "400=GOOD", "--video-path", "a.mp4"], "gives all videos one path"),
        (["--train", "400=GOOD", "--video-path", "{id"], "no template of a path"),
        (["--train", "400=GOOD", "--video-path", "{id[x]}{id}"], "no template of a path"),
        (["--train", "400=GOOD", "--check", "some"], "--check takes a number above 0 or `all`, got 'some'"),
        (["--train", "400=GOOD", "--label-map", "GOOD"], "is not in the label map"),
        (["--train", "400=GOOD", "--renames", "GOOD"], "not valid JSON"),
    ],
)
def test_options_that_are_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    good = write(tmp_path / "good.csv", GOOD)
    result = run("kinetics710", *(a.replace("GOOD", str(good)) for a in arguments), "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert message in said(result)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("webvid", "videoid,duration,name\n1,2,x\n", "line 1: column `page_dir` is missing"),
        ("webvid", "videoid,page_dir\n1,\n", "line 2: `page_dir` is empty"),
        ("webvid", "videoid,page_dir\n1,2,3\n", "line 2: 3 values where the header has 2 columns"),
        ("ssv2", "78687 42 12\n", "line 1: is '78687' the part of a video from frame 42 on"),
        ("k710", "a.mp4 0 -1\nb.mp4\n", "line 2: expected `path start total`, got 'b.mp4'"),
        ("self-collected", "path,start\na.mp4,b\n", "line 2: `start` and `total` must be whole numbers"),
        ("self-collected", "path,start\n ,3\n", "line 2: the path is empty"),
        ("self-collected", "path\n\n", "lists no videos"),
    ],
)
def test_parts_that_are_wrong(tmp_path: Path, option: str, content: str, message: str) -> None:
    path = write(tmp_path / "list.txt", content)
    result = run("unlabeled", f"--{option}", path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert message in said(result)
    assert not any((tmp_path / "out").iterdir()), "nothing half done is left"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '[{"id": "1"}, {"ID": "2"}]', "entry 2: there is no `id`"),
        ("a.json", '[{"id": {"a": 1}}]', "entry 1: `id` must be text or a number, got {'a': 1}"),
        ("a.json", '{"id": "1"}', "must hold a list of objects"),
        ("a.json", "[]", "must hold a list of objects"),
        ("a.json", "[", "not valid JSON"),
        ("a.json", "[" * 100_000, "a.json is not valid JSON in UTF-8"),
        ("a.json", '[{"id": "\\ud800"}]', "entry 1: '\\ud800.webm' has letters that no path has"),
    ],
)
def test_json_lists_that_are_wrong(tmp_path: Path, name: str, content: str, message: str) -> None:
    result = run("unlabeled", "--ssv2", write(tmp_path / name, content), "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert message in said(result)


def test_lists_that_were_put_together_may_have_marks_within(tmp_path: Path) -> None:
    own = write(tmp_path / "own.txt", "\ufeffb.mp4\n\ufeffa.mp4\na.mp4\n")
    movies = write(tmp_path / "movies.txt", "a.mp4 900\nb.mp4 900\n")
    names = write(tmp_path / "train.csv", "\ufeffa,902,1\n\ufeffb,902,1\n")
    arguments = ("--self-collected", own, "--ava", movies, "--ava-train", names, "--ava-cut")
    assert run("unlabeled", *arguments, "-o", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out/self_collected.txt").read_text().endswith("\na.mp4 0 -1\nb.mp4 0 -1\n")
    assert json.loads((tmp_path / "out/report.json").read_text())["parts"]["self_collected"]["repeated"] == 1
    assert (tmp_path / "out/ava.txt").read_text().count("b.mp4") == 3
    train = write(tmp_path / "train.csv", f"\ufeff{GOOD}\ufefflion,aaaaaaaaaac,0,10,train\n")
    assert run("kinetics710", "--train", f"400={train}", "-o", tmp_path / "k710").exit_code == 0
    assert (tmp_path / "k710/label_map_k710.txt").read_text() == "ape\nlion\n"


@pytest.mark.parametrize("columns", ["# path label", "path,label", "path label", "# path,label"])
@pytest.mark.parametrize("separator", [" ", ","])
def test_a_plain_list_names_its_columns_as_in_training(tmp_path: Path, columns: str, separator: str) -> None:
    labels = write(tmp_path / "labels.txt", "ape\nlion\n")
    lines = "".join(f"{name}.mp4{separator}{label}\n" for name, label in (("b" * 11, 1), ("a" * 11, 0)))
    train = write(tmp_path / "train.txt", f"{columns}\n{lines}")
    source = ListSource(str(train), labelled=True)
    assert [(Path(source.get(i, 0).content).name, source.get(i, 0).label) for i in range(source.length)] == [
        ("bbbbbbbbbbb.mp4", 1),
        ("aaaaaaaaaaa.mp4", 0),
    ]
    result = run("kinetics710", "--train", f"400={train}", "--labels", f"400={labels}", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out/train.txt").read_text().endswith("\naaaaaaaaaaa.mp4 0\nbbbbbbbbbbb.mp4 1\n")
    if "," not in columns:  # with a comma it is a CSV file here
        result = run("unlabeled", "--k710", train, "-o", tmp_path / "unlabeled")
        assert result.exit_code == 0, result.output
        assert (tmp_path / "unlabeled/k710.txt").read_text().count(".mp4 0 -1\n") == 2


def test_an_underscore_is_no_part_of_a_number(tmp_path: Path) -> None:
    path = str(write(tmp_path / "list.txt", "take 1_0 3\ntake 2_0 4\n"))
    assert list(read_list(path, find_layout(path, LAYOUTS))) == [(1, "take 1_0", [3]), (2, "take 2_0", [4])]


@pytest.mark.parametrize("option", ["--k710", "--ssv2", "--ava", "--webvid", "--self-collected", "--ava-train"])
def test_lists_that_are_not_there_are_named_with_their_option(tmp_path: Path, option: str) -> None:
    own, out = write(tmp_path / "own.txt", "a.mp4\n"), tmp_path / "out"
    for path, reason in ((tmp_path / "gone.txt", "there is no file"), (tmp_path, "is a folder")):
        result = run("unlabeled", "--self-collected", own, option, path, "-o", out)
        assert result.exit_code == 1
        assert f"Error: {option}: " in said(result)
        assert reason in said(result)
        assert not out.exists()


def test_numbers_that_no_table_can_hold(tmp_path: Path) -> None:
    content = f"# path start total\na.mp4 {10**20} 3\n"
    result = run("unlabeled", "--ssv2", write(tmp_path / "a.txt", content), "-o", tmp_path / "out")
    assert (result.exit_code, "a.txt, line 2: expected `path start total`" in said(result)) == (1, True)
    content = f"path,start,total\na.mp4,1,{10**20}\n"
    result = run("unlabeled", "--self-collected", write(tmp_path / "a.csv", content), "-o", tmp_path / "out")
    assert (result.exit_code, "a.csv, line 2: `start` and `total` must be" in said(result)) == (1, True)


def test_no_lists_and_unknown_parts(tmp_path: Path) -> None:
    assert "at least one of --k710" in said(run("unlabeled", "-o", tmp_path / "out"))
    assert "'x' is no part" in said(run("unlabeled", "--count", "x=1", "-o", tmp_path / "out"))
    assert "--count takes a number above 0" in said(run("unlabeled", "--count", "webvid=0", "-o", tmp_path / "out"))


# reading


def test_lines_of_any_kind(tmp_path: Path) -> None:
    text = "\ufeffa\r\n\r\nb\x85c\u2028d\re".encode()
    assert list(read_lines(str(write(tmp_path / "l", text)))) == [(1, "a"), (2, ""), (3, "b\x85c\u2028d"), (4, "e")]


def test_line_numbers_of_csv_rows_count_broken_lines(tmp_path: Path) -> None:
    path = str(write(tmp_path / "l.csv", '\nLabel , path\r\n"x\r\ny", 1\r\n\r\nz,2'))
    header = read_header(path, {"path"})
    assert header is not None
    assert (header.names, header.line) == (("label", "path"), 2)
    assert list(read_csv(path, header)) == [(3, ["x\ny", "1"]), (6, ["z", "2"])]


def test_quotes_and_remarks_of_plain_lists(tmp_path: Path) -> None:
    path = str(write(tmp_path / "l", '# a remark\n"my ""best"" video 2.mp4" 3\n# another\n\nb c.mp4   4 \n'))
    layout = find_layout(path, LAYOUTS)
    assert layout.columns == ("path", "label")
    assert list(read_list(path, layout)) == [(2, 'my "best" video 2.mp4', [3]), (5, "b c.mp4", [4])]


# writing


def test_files_appear_whole_and_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    def publish(text: str, force: bool = False) -> None:
        with OutputFolder(tmp_path / "out", force) as out:
            out.write_text("a.txt", text)
            out.write_text("same.txt", "same")
            assert sorted(p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")) == before

    def fail() -> None:
        with OutputFolder(tmp_path / "out", force=True) as out:
            out.write_text("a.txt", "three")
            out.write_json("b.json", object())

    before: list[str] = []
    publish("one")
    before = ["a.txt", "same.txt"]
    with pytest.raises(FileExistsError, match=r"a\.txt\. Pass --force") as caught:
        publish("two")
    assert "same.txt" not in str(caught.value)
    assert (tmp_path / "out" / "a.txt").read_text() == "one"
    publish("two", force=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "two"
    (tmp_path / "out" / "same.txt").unlink()
    (tmp_path / "out" / "same.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(FileExistsError, match=r"same\.txt\. Pass --force"):
        publish("two")
    with pytest.raises(TypeError, match="serializable"):
        fail()
    assert (tmp_path / "out" / "a.txt").read_text() == "two"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == before
    with pytest.raises(ValueError, match=r"--output \(s3:/me/out\) is an address"):
        OutputFolder("s3://me/out")
    with pytest.raises(NotADirectoryError, match="is a file"), OutputFolder(tmp_path / "out" / "a.txt"):
        pass


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a b.mp4", "a b.mp4 1 2\n"),
        ("#a.mp4", "./#a.mp4 1 2\n"),
        (" a.mp4", "./ a.mp4 1 2\n"),
        ('"a b" 3', './"a b" 3 1 2\n'),
        ("a, b 3,4", "a, b 3,4 1 2\n"),
        ("ü\u2028\x85b", "ü\u2028\x85b 1 2\n"),
        ("path", "path 1 2\n"),
        ("-1", "-1 1 2\n"),
    ],
)
def test_lines_are_read_as_they_were_meant(tmp_path: Path, path: str, line: str) -> None:
    assert line_of(path, (1, 2)) == line
    written = str(write(tmp_path / "list.txt", f"# path start total\n{line}"))
    video = ListSource(written, root="/videos").get(0, 0)
    assert (Path(video.content), video.start, video.total) == (Path("/videos", path), 1, 2)
    assert [(Path(video), *numbers) for video, *numbers in read_pieces(written)] == [(Path(path), 1, 2)]


def test_a_list_that_was_read_is_written_so_that_it_reads_the_same(tmp_path: Path) -> None:
    names = ['"quoted" film 7', "# 3.mp4", "a,b 5", " c.mp4", 'd"e.mp4', "films/8"]
    with (tmp_path / "own.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([name] for name in names)])
    assert run("unlabeled", "--self-collected", tmp_path / "own.csv", "-o", tmp_path / "out").exit_code == 0
    source = ListSource(str(tmp_path / "out" / "self_collected.txt"), root="/")
    found = {Path(source.get(i, 0).content) for i in range(source.length)}
    assert found == {Path("/", name.strip()) for name in names}


@pytest.mark.parametrize("path", ["", "a\nb.mp4", "a\rb", "a.mp4 ", "a.mp4\u00a0", "a\0.mp4"])
def test_paths_that_no_list_can_hold(path: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a list"):
        line_of(path, (1,))


# checking


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A list of good.mp4, its parts, an empty file, a broken one and one that is not there."""
    encode(tmp_path / "good one.mp4", num_frames=10)
    write(tmp_path / "empty.mp4", b"")
    whole = (tmp_path / "good one.mp4").read_bytes()
    write(tmp_path / "broken.mp4", whole[: len(whole) // 2])
    write(tmp_path / "list.txt", "# path start total\n\ngood one.mp4 0 -1\nempty.mp4 0 -1\n# remark\nbroken.mp4 0 -1\n"
                                 "missing.mp4 0 -1\ngood one.mp4 5 5\ngood one.mp4 40 5\n")  # fmt: skip
    return tmp_path / "list.txt"


def test_missing_and_broken_videos_are_reported(videos: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = check_list(str(videos), workers=3, progress=lambda done, total: seen.append((done, total)))
    assert (found.listed, found.checked, sorted(found.bad)) == (6, 6, [1, 3])
    assert seen == [(i + 1, 6) for i in range(6)]
    assert found.bad[1] == "the file is empty"
    assert re.search(NO_SUCH_FILE, found.bad[3])
    decoded = check_list(str(videos), decode=True, workers=2)
    assert sorted(decoded.bad) == [1, 2, 3, 5]
    assert "its part begins with frame 40" in decoded.bad[5]


def test_empty_folders_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "frames").mkdir()
    write(tmp_path / "frames" / "img_00001.jpg", "x")
    found = check_list(str(write(tmp_path / "list.txt", "empty\nframes\nhttps://host/a.mp4\n")))
    assert found.bad == {0: "the folder is empty", 2: "an address, which only decoding (--decode) can tell about"}


def test_sample_is_drawn_by_the_seed(videos: Path) -> None:
    samples = [check_list(str(videos), sample=3, seed=seed) for seed in (0, 0, *range(1, 8))]
    assert {found.checked for found in samples} == {3}
    assert samples[0].bad == samples[1].bad
    assert len({tuple(found.bad) for found in samples}) > 1


def test_check_command_and_the_list_without_bad_videos(videos: Path) -> None:
    good, bad = videos.with_name("good.txt"), videos.with_name("bad.txt")
    result = run("check", videos, "--decode", "--good", good, "--bad", bad, "--workers", 2)
    assert result.exit_code == 1
    assert "2 of 6 videos decoded" in said(result)
    assert "missing.mp4" in said(result)
    lines = [line.split("\t") for line in bad.read_text().splitlines()]
    assert [path for path, _ in lines] == [str(videos.with_name(f"{name}.mp4")) for name in
                                           ("empty", "broken", "missing", "good one")]  # fmt: skip
    assert all(reason and path not in reason for path, reason in lines)
    assert good.read_text() == "# path start total\n\ngood one.mp4 0 -1\n# remark\ngood one.mp4 5 5\n"
    result = run("check", good, "--decode")
    assert (result.exit_code, said(result)) == (0, f"{good}: 2 of 2 videos decoded.")
    assert "is there already" in said(run("check", videos, "--good", good))
    assert "--good writes one list" in said(run("check", videos, "--sample", 2, "--good", good))
    assert run("check", videos, "--good", good, "--force").exit_code == 1
    assert "broken.mp4" in good.read_text()
    assert [path for path in videos.parent.glob(".*") if path.is_file()] == []


@pytest.mark.parametrize("header", ["\ufeff# path label\n", "path,label\n", "\n#\npath,label\n", ""])
def test_the_list_without_bad_videos_is_counted_as_training_counts(tmp_path: Path, header: str) -> None:
    for name in ("a.mp4", "c d.mp4"):
        write(tmp_path / name, b"x")
    path = write(tmp_path / "list.csv", f'{header}a.mp4,1\nb.mp4,2\n"c d.mp4",3\n')
    assert run("check", path, "--good", tmp_path / "good.csv").exit_code == 1
    assert (tmp_path / "good.csv").read_text(encoding="utf-8") == f'{header}a.mp4,1\n"c d.mp4",3\n'


def test_results_of_a_check_have_a_place_before_it_begins(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = videos.parent
    run("check", videos, "--bad", folder / "new/folder/bad.txt")
    assert (folder / "new/folder/bad.txt").is_file()
    monkeypatch.setattr("training.hybrid.checking.check_list", None)  # nothing is looked at
    before = videos.read_text()
    assert "would be lost" in said(run("check", videos, "--bad", videos, "--force"))
    assert "would be lost" in said(run("check", videos, "--good", folder / "a.txt", "--bad", folder / "a.txt"))
    assert "is a folder or a device. Name a file" in said(run("check", videos, "--good", folder, "--force"))
    assert "list.txt" in said(run("check", videos, "--bad", videos / "bad.txt"))
    assert videos.read_text() == before


def test_check_after_building(videos: Path) -> None:
    root = videos.parent
    names = write(root / "names.txt", "good one.mp4\nmissing.mp4\n")
    arguments = ["unlabeled", "--self-collected", names, "--root", f"self_collected={root}", "-o", root / "out"]
    result = run(*arguments, "--check", "all")
    assert result.exit_code == 1
    assert "1 of 2 videos found" in said(result)
    assert "missing.mp4" in said(result)
    assert (root / "out" / "self_collected.txt").is_file()
    write(root / "missing.mp4", b"x")
    result = run(*arguments, "--check", "1")
    assert result.exit_code == 0
    assert "1 of 1 videos (drawn from 2) found" in said(result)
