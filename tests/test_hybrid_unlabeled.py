# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""UnlabeledHybrid: draws, pieces of movies, lists for the recipe, the manifest."""

import csv
import json
import random
from pathlib import Path

import pytest
import yaml
from PIL import Image
from video_files import encode


pytest.importorskip("datasets")
import datasets

from training.data import open_source
from training.data.files import ListSource
from training.hybrid import selection as selection_module
from training.hybrid.movies import WINDOW, Movie, cut, cut_all, movie_name, read_movies, read_training_names
from training.hybrid.parts import PARTS, read_pieces
from training.hybrid.selection import Selection
from training.hybrid.unlabeled import MovieOptions, UnlabeledOptions, build_unlabeled
from training.recipe import SourceRecipe


RECIPE = Path(__file__).parents[1] / "training" / "recipes" / "unlabeled_hybrid.yaml"


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_text(text, encoding=encoding, newline="")
    return str(path)


def draw(paths: list[str], seed: int = 0, name: str = "webvid", count: int | None = 20) -> list[str]:
    chosen = Selection(seed, name, count)
    for path in paths:
        chosen.add(path)
    return chosen.chosen()["path"].to_pylist()


# draws


def test_draw_depends_on_seed_and_set_of_paths_alone() -> None:
    paths = [f"ä/{i}.mp4" for i in range(200)]
    first = draw(paths)
    assert len(first) == 20
    assert first == sorted(first)
    shuffled = random.Random(1).sample(paths, len(paths))
    assert draw(shuffled + shuffled[:50]) == first
    assert draw(paths, seed=1) != first
    assert draw(paths, name="self_collected") != first
    assert len(set(draw(paths[:-10])) & set(first)) >= 15  # most of a choice outlives a change of the list


def test_draw_is_uniform() -> None:
    """Each of 50 paths should be drawn 40 times in 200 draws of 10: 3-sigma-like bounds of the binomial."""
    counts = dict.fromkeys((f"{i}.mp4" for i in range(50)), 0)
    for seed in range(200):
        for path in draw(list(counts), seed, count=10):
            counts[path] += 1
    assert sum(counts.values()) == 2000
    assert min(counts.values()) >= 15
    assert max(counts.values()) <= 70


def test_draw_from_a_stream_holds_little_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"{i % 3000}.mp4" for i in range(4000)]
    whole = draw(paths)
    monkeypatch.setattr(selection_module, "BATCH", 100)
    monkeypatch.setattr(selection_module, "HELD", 200)
    chosen, most = Selection(0, "webvid", 20), 0
    for path in paths:
        chosen.add(path)
        most = max(most, sum(map(len, chosen._batches)))
    assert most <= 20 + 200 + 100
    assert chosen.distinct() == 3000
    assert chosen.chosen()["path"].to_pylist() == whole


def test_empty_choice() -> None:
    chosen = Selection(0, "k710")
    assert (len(chosen.chosen()), chosen.distinct()) == (0, 0)


def test_parts_of_a_video_differ_by_start_and_length() -> None:
    chosen = Selection(0, "ava")
    parts = [("a.mp4", 0, 10), ("a.mp4", 0, 20), ("a.mp4", 5, 20)]
    for part in [*parts, *parts]:
        chosen.add(*part)
    assert [tuple(row.values()) for row in chosen.chosen().to_pylist()] == parts


# lists


def test_published_lists(tmp_path: Path) -> None:
    webvid = write(
        tmp_path / "webvid.csv",
        "videoid,contentUrl,duration,page_dir,name\r\n"
        '12,https://host/a.mp4,PT1S,000001_000050,"A cat, ""big"""\r\n\r\n'
        '13,https://host/b.mp4,PT1S,000001_000050,"two\r\nlines"\r\n',
        "utf-8-sig",
    )
    assert list(read_pieces(webvid, PARTS["webvid"].template)) == [
        ("000001_000050/12.mp4", 0, -1), ("000001_000050/13.mp4", 0, -1)
    ]  # fmt: skip
    entries = [{"id": "78687", "label": "holding potato", "template": "Holding [something]"}, {"id": 5, "label": "x"}]
    ssv2 = write(tmp_path / "train.json", json.dumps(entries))
    assert list(read_pieces(ssv2, PARTS["ssv2"].template)) == [("78687.webm", 0, -1), ("5.webm", 0, -1)]
    kinetics = write(tmp_path / "k.csv", "label,youtube_id,time_start,time_end\nx,-abcdefghij,7,17\n")
    assert list(read_pieces(kinetics, PARTS["k710"].template)) == [("-abcdefghij_000007_000017.mp4", 0, -1)]
    paths = write(tmp_path / "paths.csv", "path,videoid\na.mp4,12\n")  # a column of paths needs no template
    assert list(read_pieces(paths, PARTS["webvid"].template)) == [("a.mp4", 0, -1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b.mp4\n", ("a b.mp4", 0, -1)),
        ("a.mp4 7\n", ("a.mp4", 0, -1)),
        ("a.mp4,7\n", ("a.mp4", 0, -1)),
        ("a.mp4 0 -1\n", ("a.mp4", 0, -1)),
        ("a.mp4 0 120\n", ("a.mp4", 0, 120)),
        ('"a, b.mp4",7\n', ("a, b.mp4", 0, -1)),
        ("# path start total\na.mp4 30 120\n", ("a.mp4", 30, 120)),
        ("# path start total\na.mp4 -1 120\n", ("a.mp4", 0, 120)),
        ("# path total label\na.mp4 30 120\n", ("a.mp4", 0, 30)),
        ("# path label\n\nmy video 2 1\n", ("my video 2", 0, -1)),
        ("# path label\nmy video.mp4,1\n", ("my video.mp4", 0, -1)),
        ("my 2 videos.mp4 7\n", ("my 2 videos.mp4", 0, -1)),
        ("path,start,total\na.mp4,30,120\n", ("a.mp4", 30, 120)),
        ("path,start,total\na.mp4,-1,0\n", ("a.mp4", 0, -1)),
        ("path,start,total\n a.mp4 ,30,120\n", ("a.mp4", 30, 120)),
        ("Path,duration\n'a' b.mp4,3\n", ("'a' b.mp4", 0, -1)),
    ],
)
def test_plain_lists(tmp_path: Path, text: str, expected: tuple) -> None:
    assert list(read_pieces(write(tmp_path / "list.txt", text))) == [expected]


def test_parts_are_those_of_table_8() -> None:
    assert sum(part.paper for part in PARTS.values()) == 1_348_000
    assert {part.name: part.paper for part in PARTS.values() if part.count} == {
        "webvid": 250_000,
        "self_collected": 250_000,
    }
    assert all(part.count in (None, part.paper) for part in PARTS.values())


# movies


@pytest.mark.parametrize(
    ("total", "fps", "window", "starts", "left"),
    [
        (27_000, None, None, range(0, 27_000, 300), 0),  # the paper: 90 pieces of a cut movie
        (27_030, None, None, range(0, 27_000, 300), 30),  # 901 s, as the usual script cuts them
        (100_000, 30.0, WINDOW, range(27_000, 54_000, 300), 0),
        (100_000, 25.0, (900, 1800), range(22_500, 45_000, 300), 0),
        (100_000, 23.976, (900, 1800), range(21_578, 21_578 + 71 * 300, 300), 279),
        (30_500, 30.0, (900, 1800), range(27_000, 30_300, 300), 200),  # ends within the window
        (27_100, 30.0, (900, 1800), range(0), 100),
        (20_000, 30.0, (900, 1800), range(0), 0),
    ],
)
def test_pieces_of_a_movie(total: int, fps: float | None, window: tuple | None, starts: range, left: int) -> None:
    found, rest = cut(Movie("m", 1, total, fps), window)
    assert (list(found), rest) == (list(starts), left)


def test_only_training_movies_are_cut(tmp_path: Path) -> None:
    training = write(
        tmp_path / "ava_train_v2.2.csv", 'aa.b-c,0902,0.1,0.2,0.3,0.4,12,0\r\naa.b-c,0903,,,,,,\r\n"x",0902\r\n'
    )
    assert read_training_names(training) == {"aa.b-c", "x"}
    listed = write(
        tmp_path / "list.txt", "# path total fps\nb/val.mp4 60000 30\nb/aa.b-c.mkv 28000 30\nb/aa.b-c.mkv 28000 30\n"
    )
    assert movie_name("D:\\ava\\aa.b-c.mkv") == "aa.b-c"
    pieces, counts = cut_all(listed, "", window=(900, 1800), training=training)
    assert pieces == [("b/aa.b-c.mkv", 27_000, 300), ("b/aa.b-c.mkv", 27_300, 300), ("b/aa.b-c.mkv", 27_600, 300)]
    assert counts == {
        "movies_in_list": 2,
        "movies": 1,
        "training_movies_without_file": ["x"],
        "frames_left_out_at_ends": 100,
    }


def test_lengths_are_counted_where_the_list_has_none(tmp_path: Path) -> None:
    encode(tmp_path / "a movie.mp4", num_frames=47, rate=10)
    (tmp_path / "frames").mkdir()
    for i in range(25):
        Image.new("RGB", (8, 8)).save(tmp_path / "frames" / f"img_{i + 1:05}.jpg")
        (tmp_path / "frames" / f"._img_{i + 1:05}.jpg").write_bytes(b"")  # as macOS puts beside them
    listed = write(tmp_path / "list.txt", "a movie.mp4\nframes\n")
    pieces, counts = cut_all(listed, str(tmp_path), window=None, length=20)
    assert pieces == [("a movie.mp4", 0, 20), ("a movie.mp4", 20, 20), ("frames", 0, 20)]
    assert counts["frames_left_out_at_ends"] == 7 + 5
    listed = write(tmp_path / "one.txt", "a movie.mp4\n")
    assert cut_all(listed, str(tmp_path), window=(1, 4), length=15)[0] == [
        ("a movie.mp4", 10, 15),
        ("a movie.mp4", 25, 15),
    ]
    listed = write(tmp_path / "shorter.txt", "a movie.mp4 30\n")  # the list counts, and the file gives the rate
    assert cut_all(listed, str(tmp_path), window=(1, 4), length=15)[0] == [("a movie.mp4", 10, 15)]
    listed = write(tmp_path / "known.txt", "not here yet.mp4 30\n")
    assert cut_all(listed, str(tmp_path), window=None, length=15)[1]["movies"] == 1
    listed = write(tmp_path / "rate.txt", "# path fps\nframes 10\n")
    assert cut_all(listed, str(tmp_path), window=(1, 2), length=10)[0] == [("frames", 10, 10)]
    with pytest.raises(ValueError, match=r"folder of pictures, whose frames per second nobody knows\..* --ava-cut"):
        cut_all(write(tmp_path / "two.txt", "frames\n"), str(tmp_path), window=(1, 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4 100 30\n", "list.txt, line 1: 'a.mp4' lasts 3 s; from second 900"),
        ("a.mp4 0\n", "line 1: 0 is no number of frames"),
        ("a.mp4 10.5\n", "line 1: 10.5 is no number of frames"),
        ("a.mp4 10 nan\n", "line 1: nan frames per second"),
        ("a.mp4 10 30000\n", "line 1: 30000 frames per second"),
        ("a.mp4 10 30\nb.mp4 3\n", "line 2: expected `path total fps`"),
        ("a.mp4 10 30\na.mp4 11 30\n", "line 2: line 1 gives 'a.mp4' another length"),
        ("path,total\na.mp4,10\n", "line 1: write the names of the columns as a remark"),
    ],
)
def test_lists_of_movies_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cut_all(write(tmp_path / "list.txt", text), "", window=(900, 1800))


def test_a_movie_stands_once(tmp_path: Path) -> None:
    assert [m.path for m in read_movies(write(tmp_path / "l.txt", "b.mp4\na.mp4\r\nb.mp4\n"))] == ["a.mp4", "b.mp4"]


def test_the_shortest_movies_and_the_rates_there_are(tmp_path: Path) -> None:
    movies = read_movies(write(tmp_path / "l.txt", "a.mp4 1 1\nb.mp4 2 1000\n"))
    assert [(movie.total, movie.fps) for movie in movies] == [(1, 1.0), (2, 1000.0)]


# everything together


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, str]:
    kinetics = "".join(f"-{i:010}_000001_000011.mp4 {i}\n" for i in range(30))
    webvid = "".join(f'{i},u,d,page {i % 3},"n, {i}"\n' for i in range(60))
    return {
        "k710": write(tmp_path / "k.txt", f"# path label\n{kinetics}"),
        "ssv2": write(tmp_path / "s.txt", "9.webm 0\n10.webm 173\n9.webm 0\n"),
        "ava": write(tmp_path / "a.txt", "m 1.mp4 1000 30\n"),
        "webvid": write(tmp_path / "w.csv", f"videoid,contentUrl,duration,page_dir,name\n{webvid}"),
        "self_collected": write(tmp_path / "i.txt", "".join(f"über/{i}.mp4\n" for i in range(40))),
    }  # fmt: skip


def build(lists: dict[str, str], output: Path, **options: object) -> dict:
    counts = {"webvid": 10, "self_collected": 50}
    return build_unlabeled(
        UnlabeledOptions(lists, counts=counts, movies=MovieOptions(window=None), **options), str(output)
    )


def test_lists_are_those_of_the_recipe(tmp_path: Path, lists: dict[str, str]) -> None:
    report = build(lists, tmp_path / "data" / "unlabeled_hybrid")
    kept = {name: part["kept"] for name, part in report["parts"].items()}
    assert kept == {"k710": 30, "ssv2": 2, "ava": 3, "webvid": 10, "self_collected": 40}
    assert report["total"] == sum(kept.values())
    assert report["parts"]["ssv2"] | {"list": ""} == {"list": "", "read": 3, "repeated": 1, "not_drawn": 0, "kept": 2,
                                                      "paper": 169_000, "wanted": None}  # fmt: skip
    assert report["parts"]["webvid"]["not_drawn"] == 50
    sources = yaml.safe_load(RECIPE.read_text())["data"]["sources"]
    assert len(sources) == len(kept)
    for name, recipe in zip(kept, sources):
        assert recipe["path"] == f"data/unlabeled_hybrid/{name}.txt"
        source = ListSource(str(tmp_path / recipe["path"]), root=recipe["root"])
        assert source.length == kept[name]
    ava = ListSource(str(tmp_path / "data/unlabeled_hybrid/ava.txt"), root="data/ava").get(2, 0)
    assert (ava.content, ava.start, ava.total) == ("data/ava/m 1.mp4", 600, 300)
    webvid = ListSource(str(tmp_path / "data/unlabeled_hybrid/webvid.txt"), root="data/webvid").get(0, 0)
    assert (webvid.start, webvid.total) == (0, None)


def test_same_files_from_lists_in_another_order(tmp_path: Path, lists: dict[str, str]) -> None:
    build(lists, tmp_path / "one")
    for path in lists.values():
        head, *lines = Path(path).read_text(encoding="utf-8").splitlines()
        if "path" not in head and "videoid" not in head:
            lines, head = [*lines, head], ""
        text = "\r\n".join([head, "", *random.Random(2).sample(lines, len(lines)), *lines[:3], ""])
        write(Path(path), text.lstrip("\r\n"), "utf-8-sig")
    build(lists, tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        if file.name != "report.json":
            assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_manifest_is_a_data_set(tmp_path: Path, lists: dict[str, str]) -> None:
    address = "https://host/x.mp4"
    write(Path(lists["self_collected"]), f"{address}\n" + "".join(f"{i}.mp4\n" for i in range(39)))
    build(lists, tmp_path / "out", roots={"webvid": "/videos/web"})
    file = tmp_path / "out" / "unlabeled_hybrid.parquet"
    rows = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.column_names == ["path", "start", "total", "label", "source", "youtube_id", "time_start", "time_end"]
    assert len(rows) == 85
    assert rows[0] == {"path": "data/k710/-0000000000_000001_000011.mp4", "start": 0, "total": -1, "label": None,
                       "source": "k710", "youtube_id": "-0000000000", "time_start": 1, "time_end": 11}  # fmt: skip
    assert [row["start"] for row in rows if row["source"] == "ava"] == [0, 300, 600]
    assert address in rows["path"]
    assert all(row["path"].startswith("/videos/web/page ") for row in rows if row["source"] == "webvid")


def test_manifest_of_kinetics_is_a_source_with_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.hybrid.kinetics_lists import KineticsList
    from training.hybrid.labeled import KineticsOptions, build_kinetics710
    from training.hybrid.versions import TRAINING

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    encode(tmp_path / "abcdefghijk.mp4", num_frames=5)
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["label", "youtube_id"], ["b", "abcdefghijk"], ["a", "ABCDEFGHIJK"]])
    options = KineticsOptions([KineticsList(str(path), 400, TRAINING)], template="{id}.mp4", root=str(tmp_path))
    build_kinetics710(options, str(tmp_path / "out"))
    for streaming in (False, True):
        recipe = SourceRecipe(
            str(tmp_path / "out" / "train.parquet"), "datasets", video_column="path", streaming=streaming
        )
        source = open_source(recipe, labelled=True, seed=0, shuffle=False)
        assert source.classes == ("a", "b")
        videos = {video.content: video.label for video in (source.get(i, 0) for i in range(2))}
        assert videos == {str(tmp_path / "ABCDEFGHIJK.mp4"): 0, str(tmp_path / "abcdefghijk.mp4"): 1}
    rows = datasets.load_dataset("parquet", data_files=recipe.path, split="train")
    assert (rows[0]["time_start"], rows[0]["time_end"]) == (None, None)
    video = rows.cast_column("path", datasets.Video(decode=False))[1]["path"]
    assert video["path"] == str(tmp_path / "abcdefghijk.mp4")
