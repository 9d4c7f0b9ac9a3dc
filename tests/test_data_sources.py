"""Sources of videos: list files, folders, tar shards and `datasets`, and how they mix."""

import contextlib
import errno
import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_files import encode, numbered_frame, read_numbers

from modeling_videomae_v2.inference.sources import find_sources
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError
from training.data import EpochSampler, Mixture, Source, open_source, open_sources
from training.data.files import FolderSource, ListSource
from training.data.frames import read_frames
from training.data.hub import DatasetSource, StreamSource
from training.data.identity import describe_sources
from training.data.relabel import with_classes
from training.data.shards import TarSource, expand_shards
from training.data.sources import TextTable
from training.recipe import DataRecipe, SourceRecipe


datasets = pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 numbered frames."""
    return encode(tmp_path_factory.mktemp("video") / "v.mp4", num_frames=40)


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of shuffled Parquet files `datasets` gives the threads of pyarrow five seconds."""
    monkeypatch.setattr("datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


def write_list(folder: Path, *lines: str) -> str:
    path = folder / "list.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
    return str(path)


def everything(source: Source) -> list[tuple[str, int | None]]:
    return [(str(v.content), v.label) for v in (source.get(i, 0) for i in range(source.length))]


def first_frames(source: Source, index: int = 0, count: int = 3) -> list[int]:
    return read_numbers(read_frames(source.get(index, 0), lambda total: np.arange(min(count, total))))


# list files


@pytest.mark.parametrize(
    ("line", "labelled", "start", "total", "label"),
    [
        ("a.mp4", False, 0, None, None),
        ("a.mp4 7", False, 0, None, None),
        ("a.mp4 0 -1", False, 0, None, None),
        ("a.mp4 -1 -1", False, 0, None, None),
        ("a.mp4 300 300", False, 300, 300, None),
        ("a.mp4 300 300 7", False, 300, 300, None),
        ("a.mp4 7", True, 0, None, 7),
        ("a.mp4 120 7", True, 0, 120, 7),
        ("a.mp4 60 120 7", True, 60, 120, 7),
        ("a.mp4,7", True, 0, None, 7),
        ("a.mp4\t7", True, 0, None, 7),
    ],
)
def test_layouts_of_lists(
    tmp_path: Path, line: str, labelled: bool, start: int, total: int | None, label: int | None
) -> None:
    found = ListSource(write_list(tmp_path, line, line), labelled=labelled).get(1, 0)
    assert found.content == str(tmp_path / "a.mp4")
    assert (found.start, found.total, found.label) == (start, total, label)


def test_first_line_names_the_columns(tmp_path: Path) -> None:
    path = write_list(tmp_path, "# path total label", "my video 2 100 5", "# a remark", "", "b.mp4 90 6")
    found = ListSource(path, root="/data").get(0, 0)
    assert (found.content, found.start, found.total, found.label) == ("/data/my video 2", 0, 100, None)
    assert ListSource(path, labelled=True).num_classes() == 7
    part = ListSource(write_list(tmp_path, "# path start total", "my video 2 5 100"), root="/data").get(0, 0)
    assert (part.content, part.start, part.total) == ("/data/my video 2", 5, 100)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("# path label fps", "a.mp4 3 25"),  # 25 would be the class
        ("# path fps total label", "a.mp4 25 90 3"),
        ("# path total label fps", "a.mp4 90 3 25"),
        ("# path fps", "a.mp4 25"),
        ("path,label,split", "a.mp4,3,train"),
        ("# path total total label", "a.mp4 90 90 3"),
        ("# path label camera", "a.mp4 3 7"),
    ],
)
def test_a_column_that_is_not_known_is_not_taken_for_another(
    tmp_path: Path, header: str, line: str, labelled: bool
) -> None:
    with pytest.raises(ValueError, match=r"list\.txt names the columns 'path.*label, path, start, total, each once"):
        ListSource(write_list(tmp_path, header, line), labelled=labelled)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (('"a b.mp4" 3',), ("a b.mp4", 3)),
        (('"a, b.mp4",3',), ("a, b.mp4", 3)),
        (('"a ""b"" 7.mp4", 3',), ('a "b" 7.mp4', 3)),
        (("# path total label", '"a 5.mp4" 90 3'), ("a 5.mp4", 3)),
        (('"a" b.mp4 3',), ('"a" b.mp4', 3)),
        (('"a.mp4 3',), ('"a.mp4', 3)),
        (('" a.mp4 " 3',), ("a.mp4", 3)),
        (("a b.mp4,3",), ("a b.mp4", 3)),
        (("a.mp4 , 3",), ("a.mp4", 3)),
        (("a,b.mp4 3",), ("a,b.mp4", 3)),
        (("# path,label", "a.mp4,3"), ("a.mp4", 3)),
        (("path,label", "a b.mp4,3"), ("a b.mp4", 3)),
        (("path label", "a.mp4 3"), ("a.mp4", 3)),
        (("# path path", "a.mp4 3"), ("a.mp4", 3)),
        (("# label", "a.mp4 3"), ("a.mp4", 3)),
        (("# path of the clip, then its label", "a.mp4 3"), ("a.mp4", 3)),
        (('"Take 2" 3',), ("Take 2", 3)),
        (("Take 2,3",), ("Take 2", 3)),
        (("# path label", "Take 2 3"), ("Take 2", 3)),
        (('"#1 a.mp4" 3',), ("#1 a.mp4", 3)),
        (("[2019] a.mp4 3",), ("[2019] a.mp4", 3)),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_lists_as_spreadsheets_and_pandas_write_them(
    tmp_path: Path, lines: tuple[str, ...], expected: tuple[str, int], labelled: bool
) -> None:
    path, label = expected
    source = ListSource(write_list(tmp_path, *lines), root="/", labelled=labelled)
    assert everything(source) == [(f"/{path}", label if labelled else None)]


def test_layout_does_not_depend_on_how_much_of_a_list_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong").mkdir()
    path = write_list(tmp_path, "# a list", "", "a.mp4 1", "# more", '"b c.mp4" 2', "", "d 7.mp4 3", "e.mp4 4")
    whole = everything(ListSource(path, root="/", labelled=True))
    assert whole == [("/a.mp4", 1), ("/b c.mp4", 2), ("/d 7.mp4", 3), ("/e.mp4", 4)]
    for count in range(1, 30):
        monkeypatch.setattr("training.list_lines.CHARACTERS_AT_A_TIME", count)
        assert everything(ListSource(path, root="/", labelled=True)) == whole
        assert everything(ListSource(path, root="/", labelled=True, path_pattern="[ae].mp4")) == [whole[0], whole[3]]
        with pytest.raises(ValueError, match=r"line 5: expected `path label`, .*got 'b'"):
            ListSource(write_list(tmp_path / "wrong", "a 1", "#", "", "c 3", "b", "d"), labelled=True)


@pytest.mark.parametrize("columns", ["# path label\n", ""])
def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path, columns: str) -> None:
    """And so may one that was put behind another; within a line it is a character as others."""
    lines = f"{columns}a.mp4 4\n\ufeff{columns}b.mp4 5\nc\ufeff.mp4 6\n"
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8-sig")
    source = ListSource(str(tmp_path / "list.txt"), root="/data", labelled=True)
    contents = [source.get(i, 0).content for i in range(source.length)]
    assert contents == ["/data/a.mp4", "/data/b.mp4", "/data/c\ufeff.mp4"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("labelled", [True, False])
def test_lists_of_windows_tools_are_refused_in_words(tmp_path: Path, encoding: str, labelled: bool) -> None:
    (tmp_path / "list.txt").write_text("\ufeffa.mp4 4\n", encoding)
    with pytest.raises(ValueError, match=r"list\.txt is UTF-16.* Save the list as UTF-8"):
        ListSource(str(tmp_path / "list.txt"), labelled=labelled)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("list", "clips", "clips is a folder, not a list of videos. Set `kind: folder`"),
        ("list", "clips.tar", "clips.tar is no text. Name a list of videos, or set `kind`"),
        ("folder", "clips.tar", "clips.tar is a file, not a folder of videos. Set `kind: list`"),
        ("tar", "clips", "clips is a folder, not a tar file. Set `kind: folder`"),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_of_another_kind_is_named(tmp_path: Path, kind: str, name: str, message: str, labelled: bool) -> None:
    (tmp_path / "clips").mkdir()
    write_shard(tmp_path / "clips.tar", {"a.mp4": b"film"})
    with pytest.raises(ValueError, match=message):
        open_source(SourceRecipe(path=str(tmp_path / name), kind=kind), labelled=labelled, seed=0, shuffle=False)


def test_paths_with_spaces_absolute_paths_and_addresses(tmp_path: Path) -> None:
    path = write_list(tmp_path, "a video.mp4 3", "/abs/b.mp4 1", "https://host/c.mp4 2", "-dash.mp4 0", "\udce9.mp4 4")
    source = ListSource(path, root="/data", labelled=True)
    assert everything(source) == [
        ("/data/a video.mp4", 3), ("/abs/b.mp4", 1), ("https://host/c.mp4", 2), ("/data/-dash.mp4", 0),
        ("/data/\udce9.mp4", 4),  # a byte that is no UTF-8
    ]  # fmt: skip
    assert source.num_classes() == 5


def test_pattern_chooses_lines(tmp_path: Path) -> None:
    path = write_list(tmp_path, "SSv2/1.mp4 0 -1", "k710/2.mp4 0 -1", "SSv2/3.mp4 5 10")
    assert [v for v, _ in everything(ListSource(path, root="/", path_pattern="SSv2"))] == ["/SSv2/1.mp4", "/SSv2/3.mp4"]
    rest = ListSource(path, root="/", path_pattern="^(?!.*SSv2)")
    assert [v for v, _ in everything(rest)] == ["/k710/2.mp4"]
    assert ListSource(path, path_pattern="3").get(0, 0).start == 5
    with pytest.raises(ValueError, match="holds no videos"):
        ListSource(path, path_pattern="nothing")


@pytest.mark.parametrize(
    ("lines", "labelled", "message"),
    [
        (("a.mp4 1", "b.mp4"), True, r"line 2: expected `path label`, .*got 'b.mp4'"),
        (("a.mp4 0 -1", "b.mp4 x -1"), False, "line 2: expected `path start total`"),
        (("a.mp4",), True, "a line must be one of `path label`"),
        (("a.mp4 jump",), True, "whole numbers behind the path; the first one is 'a.mp4 jump'"),
        (("path,label", "a.mp4,jump"), True, "line 2: expected `path label`, whole numbers behind the path"),
        (("# path start total", "a.mp4 0 -1"), True, "without the `label`"),
        (("a.mp4 -3",), True, "labels start from 0"),
        (("a.mp4 1", "b.mp4 4294967296"), True, "label of .*b.mp4 is 4294967296; .* end at 2147483647"),
        (("a.mp4 1", f"b.mp4 {10**20}"), True, "line 2: expected `path label`"),
        *(
            (lines, labelled, message)
            for labelled in (True, False)
            for lines, message in (
                (("a 1", "b 30 1", "c 2"), "line 2: expected `path label`, whole numbers .*, got 'b 30 1'"),
                (("a,1", "b, 30, 1", "c,2"), "line 2: expected `path label`, whole numbers .*, got 'b, 30, 1'"),
                (("a.mp4\t1", "b.mp4\t2.5\t1"), "line 2: expected `path label`"),
                (("a.mp4 1 2 3", "b.mp4 1 2 3 4"), "line 2: expected `path start total label`"),
                (("a.mp4 1 2 3 4",), "line 1: expected `path start total label`"),
                (('"a.mp4" 1', "b.mp4 30 1"), "line 2: expected `path label`"),
                (("a.mp4 1", '"b.mp4" 30 1'), "line 2: expected `path label`.*must stand in quotes"),
                (('"a.mp4",1', '"b.mp4",30,1'), "line 2: expected `path label`"),
                (('[{"id": "1"},',), "list.txt is JSON, not a list of videos"),
                (("[", '  {"id": "1"}'), "list.txt is JSON, not a list of videos"),
            )
        ),
        (("video,label", "a.mp4,3"), False, "line 2: expected `path` alone, got 'a.mp4,3'"),
        (("video", "a.mp4,3"), False, "line 2: expected `path` alone, got 'a.mp4,3'"),
        ((",path,label", "0,a.mp4,3"), False, "line 2: expected `path` alone, got '0,a.mp4,3'"),
        ((",path,label", "0,a.mp4,3"), True, "the first one is ',path,label'"),
        (("a" * 10_000,), True, "a line must be one of"),
        (("a.mp4 1", "b" * 10_000), True, "line 2: expected `path label`"),
        ((",3",), True, "line 1: expected `path label`, .*got ',3'"),
        (("a.mp4,1", ",3"), True, "line 2: expected `path label`, .*got ',3'"),
        ((), False, "holds no videos"),
    ],
)
def test_bad_lists_are_refused_at_once(tmp_path: Path, lines: tuple[str, ...], labelled: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        ListSource(write_list(tmp_path, *lines), labelled=labelled)
    assert len(str(error.value)) < 800


def test_part_of_a_video(tmp_path: Path, video: Path) -> None:
    source = ListSource(write_list(tmp_path, f"{video} 10 20", f"{video} 35 300"))
    totals = []

    def choose(total: int) -> np.ndarray:
        totals.append(total)
        return np.array([0, total - 1])

    assert read_numbers(read_frames(source.get(0, 0), choose)) == [10, 29]
    assert read_numbers(read_frames(source.get(1, 0), choose)) == [35, 39]
    assert totals == [20, 5]
    assert "frames 10 to 29" in source.get(0, 0).name


def test_folder_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for i in range(12):
        Image.fromarray(numbered_frame(i)).save(tmp_path / "clip" / f"frame{i + 1:03}-l.png")
        (tmp_path / "clip" / f"._frame{i + 1:03}-l.png").write_bytes(b"")  # as macOS puts beside them
    lines = write_list(tmp_path, "clip 0 12", "clip 4 6", "clip 4 -1", "clip 12 -1")
    options = {"labelled": False, "seed": 0, "shuffle": False}
    source = open_source(SourceRecipe(lines, pattern="frame{:03}-l.png"), **options)
    assert first_frames(source, 0) == [0, 1, 2]
    assert first_frames(source, 1, 20) == [4, 5, 6, 7, 8, 9]
    assert first_frames(source, 2, 20) == list(range(4, 12))
    folder = open_source(SourceRecipe(str(tmp_path), "folder", pattern="frame{:03}-l.png"), **options)
    assert first_frames(folder) == [0, 1, 2]
    with pytest.raises(VideoDecodingError, match="no pictures from number 13 on"):
        first_frames(source, 3)


def test_pictures_are_upright_in_training_too(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture = Image.fromarray(np.arange(24 * 16 * 3, dtype=np.uint8).reshape(24, 16, 3))
    for i in range(3):
        picture.save(tmp_path / "clip" / f"img_{i:05}.png", exif=exif)
    source = open_source(
        SourceRecipe(write_list(tmp_path, "clip 0 3"), pattern="img_{:05}.png"), labelled=False, seed=0, shuffle=False
    )
    frames = read_frames(source.get(0, 0), lambda total: np.arange(total))
    expected = np.asarray(picture.transpose(Image.Transpose.ROTATE_270)).transpose(2, 0, 1)
    assert (frames.numpy() == expected).all()


def write_pictures(folder: Path, numbers: Iterable[int], pattern: str = "img_{:05}.jpg") -> None:
    """Pictures that show 0, 1, 2, ..."""
    folder.mkdir(exist_ok=True)
    for shown, number in enumerate(numbers):
        Image.fromarray(numbered_frame(shown)).save(folder / pattern.format(number), quality=95)


@pytest.mark.parametrize(
    ("first", "line", "expected"),
    [
        (0, "clip", range(12)),
        (1, "clip", range(12)),
        (7, "clip", range(12)),
        (0, "clip 0 12", range(12)),
        (1, "clip 0 12", range(12)),
        (0, "clip 4 -1", range(4, 12)),
        (7, "clip 4 -1", range(4, 12)),
        (0, "clip 4 6", range(4, 10)),
        (1, "clip 4 6", range(4, 10)),
        (0, "clip 2 10", range(2, 12)),
        (1, "clip 2 10", range(2, 12)),
        (1, "clip 1 11", range(1, 12)),
        (1, "clip 1 12", range(12)),  # the research code begins with picture 1
    ],
)
def test_pictures_are_counted_from_where_they_begin(
    tmp_path: Path, first: int, line: str, expected: Sequence[int]
) -> None:
    write_pictures(tmp_path / "clip", range(first, first + 12))
    small = [f"img_{number:05}.small.jpg" for number in range(12)]
    for other in ("flow_x_00001.jpg", "cover.jpg", ".img_00099.jpg", "img_00000.png", "img_2019.jpg", *small):
        (tmp_path / "clip" / other).touch()
    assert first_frames(ListSource(write_list(tmp_path, line)), 0, 20) == list(expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_pictures_count_in_whatever_order_the_disk_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reverse: bool
) -> None:
    write_pictures(tmp_path / "clip", range(3))
    (tmp_path / "clip" / "img_00000.png").touch()
    names = sorted((path.name for path in (tmp_path / "clip").iterdir()), reverse=reverse)
    monkeypatch.setattr("training.data.picture_folders.picture_names", lambda folder: names)
    assert first_frames(ListSource(write_list(tmp_path, "clip")), 0, 3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("pattern", "numbers", "line", "message"),
    [
        ("img_{:05}.jpg", (1, 2, 4), "clip", "the folder has no img_00003.jpg. Correct the list or `pattern`"),
        ("img_{:05}.JPG", (1, 2, 3), "clip", "the folder has no img_00001.jpg, but img_00001.JPG is there"),
        ("img_{:03}.jpg", (5, 6), "clip", "the folder has no img_00005.jpg, but img_005.jpg is there"),
        ("frame{:05}.jpg", (1, 2), "clip", "no pictures that are called like img_00001.jpg, but frame00001.jpg is"),
        ("img_{:05}.jpg", (), "clip", "no pictures that are called like img_00001.jpg. Correct"),
        ("img_{:05}.jpg", (0, 1), "clip 2 -1", "the folder has no pictures from number 2 on"),
        ("img_{:05}.jpg", (1, 2), "clip 0 3", "there is no .*clip/img_00003.jpg, its frame 2 of 3. Correct the list"),
        ("img_{:05}.jpg", (0, 1), "clip 1 2", "there is no .*clip/img_00002.jpg, its frame 1 of 2"),
        ("img_{:05}.jpg", (1, 2), "clip 5 2", "there is no .*clip/img_00006.jpg, its frame 0 of 2"),
        ("img_{:05}.jpg", range(1, 13), "clip 7 6", "there is no .*clip/img_00013.jpg, its frame 5 of 6"),
    ],
)
def test_pictures_that_are_missing_or_called_otherwise_are_named(
    tmp_path: Path, pattern: str, numbers: tuple[int, ...], line: str, message: str
) -> None:
    write_pictures(tmp_path / "clip", numbers, pattern)
    with pytest.raises(VideoDecodingError, match=message):
        first_frames(ListSource(write_list(tmp_path, line)), 0, 20)


def test_a_million_lines_are_few_objects(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"kinetics/train/video_{i:07}.mp4 0 -1\n" for i in range(100_000)), encoding="utf-8")
    source = ListSource(str(path), root="/data")
    assert source.length == 100_000
    assert source.get(99_999, 0).content == "/data/kinetics/train/video_0099999.mp4"
    held = len(source.paths._data) + source.paths._ends.nbytes + source._starts.nbytes + source._totals.nbytes
    assert held < 65 * 100_000


def test_text_table() -> None:
    texts = ["", "ä", "b\udcff", "long " * 50]
    table = TextTable(texts)
    assert list(table) == texts
    assert (table[-1], table[1:3], len(table)) == (texts[-1], texts[1:3], 4)
    with pytest.raises(IndexError):
        table[4]


# folders


def test_folder_per_class(tmp_path: Path) -> None:
    for name in (
        "run/b.MP4",
        "run/deep/a.webm",
        "run/deep/a.jpg",
        "jump/c.avi",
        "jump/notes.txt",
        "empty/readme.md",
        ".cache/x.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "jump/pictures").mkdir()
    (tmp_path / "jump/pictures/img_00001.jpg").touch()
    source = FolderSource(str(tmp_path), labelled=True)
    assert source.classes == ("jump", "run")
    found = [(Path(v).relative_to(tmp_path).as_posix(), label) for v, label in everything(source)]
    assert found == [("jump/c.avi", 0), ("jump/pictures", 0), ("run/b.MP4", 1), ("run/deep/a.webm", 1)]
    assert everything(FolderSource(str(tmp_path)))[0] == (str(tmp_path / "jump/c.avi"), None)
    only = FolderSource(str(tmp_path), labelled=True, path_pattern="run")
    assert (only.length, only.classes, only.get(0, 0).label, only.num_classes()) == (2, ("jump", "run"), 1, 2)


def test_a_folder_has_the_same_videos_in_training_as_in_prediction(tmp_path: Path) -> None:
    """A class whose videos training did not know would be missing without a word, and later ones get its number."""
    for name in ("1/a.mxf", "2/b.vob", "3/c.f4v", "4/d.m2v", "5/e.mj2", "6/f.mp4", "7/g.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    source = FolderSource(str(tmp_path), labelled=True)
    assert source.classes == ("1", "2", "3", "4", "5", "6")
    assert [name for name, _ in everything(source)] == [found.address for found in find_sources([str(tmp_path)])]


def test_videos_of_pictures_are_no_classes(tmp_path: Path) -> None:
    for name in ("74225", "74226"):
        write_pictures(tmp_path / name, (1, 2))
    assert FolderSource(str(tmp_path)).length == 2
    with pytest.raises(ValueError, match="74225 holds pictures, so it is a video and no class"):
        FolderSource(str(tmp_path), labelled=True)
    (tmp_path / "run").mkdir()
    for name in ("74225", "74226"):
        (tmp_path / name).rename(tmp_path / "run" / name)
    assert FolderSource(str(tmp_path), labelled=True).classes == ("run",)


def test_links_that_lead_back_are_not_followed(tmp_path: Path) -> None:
    for name in ("run/a.mp4", "walk/deep/b.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True)
        (tmp_path / "videos" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/c.mp4").touch()
    for link, target in (("all", ""), ("run/up", "walk"), ("walk/deep/up", "run"), ("run/c", "../elsewhere")):
        (tmp_path / "videos" / link).symlink_to(tmp_path / "videos" / target, target_is_directory=True)
    source = FolderSource(str(tmp_path / "videos"), labelled=True)
    assert source.classes == ("run", "walk")
    paths = [Path(path).relative_to(tmp_path / "videos").as_posix() for path, _ in everything(source)]
    assert paths == ["run/a.mp4", "run/c/c.mp4", "run/up/deep/b.mp4", "walk/deep/b.mp4", "walk/deep/up/a.mp4",
                     "walk/deep/up/c/c.mp4"]  # fmt: skip


def test_links_to_themselves_are_no_classes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/a.mp4").touch()
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    assert everything(FolderSource(str(tmp_path), labelled=True)) == [(str(tmp_path / "run/a.mp4"), 0)]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("folder", ["jump", "run/deep"])
def test_no_folder_is_passed_over_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, labelled: bool
) -> None:
    for name in ("jump/a.mp4", "run/deep/b.mp4", "walk/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    scan, closed = os.scandir, str(tmp_path / folder)

    def scandir(path: str) -> Iterator[os.DirEntry]:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)  # the owner of the machine may read everything
    with pytest.raises(ValueError, match=rf"{closed} cannot be read \(Permission denied\)\. Make it readable"):
        FolderSource(str(tmp_path), labelled=labelled)


def test_a_class_whose_link_leads_nowhere_is_named(tmp_path: Path) -> None:
    for name in ("run/b.mp4", "walk/c.mp4", "lost+found/d.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert FolderSource(str(tmp_path), labelled=True).classes == ("run", "walk")
    (tmp_path / "jump").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(ValueError, match="jump is a link to nothing"):
        FolderSource(str(tmp_path), labelled=True)


def test_videos_beside_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They have no class; where none is wanted, they are videos as the others."""
    for name in ("run/a.mp4", "c.mp4", "b.mp4", "cover.jpg", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths = [Path(path).relative_to(tmp_path).as_posix() for path, _ in everything(FolderSource(str(tmp_path)))]
    assert paths == ["b.mp4", "c.mp4", "run/a.mp4"]
    assert not caplog.records
    assert everything(FolderSource(str(tmp_path), labelled=True)) == [(str(tmp_path / "run/a.mp4"), 0)]
    assert "2 videos in" in caplog.text
    assert "have no class and are left out: they lie beside the folders (b.mp4, c.mp4)" in caplog.text


def test_pictures_beside_folders_are_previews(tmp_path: Path) -> None:
    for name in ("run/a.mp4", "cover.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert everything(FolderSource(str(tmp_path))) == [(str(tmp_path / "run/a.mp4"), None)]


def test_folder_without_classes(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert everything(FolderSource(str(tmp_path))) == [(str(tmp_path / "a.mp4"), None)]
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/img_00001.jpg").touch()
    (path, label), *more = everything(FolderSource(str(tmp_path / "pictures")))
    assert (Path(path), label, more) == (tmp_path / "pictures", None, [])
    with pytest.raises(ValueError, match="pictures has videos, but no folders, which would be their classes"):
        FolderSource(str(tmp_path / "pictures"), labelled=True)
    (tmp_path / "empty").mkdir()
    for labelled in (True, False):
        with pytest.raises(ValueError, match="empty holds no videos"):
            FolderSource(str(tmp_path / "empty"), labelled=labelled)
    for source, kind in ((FolderSource, "folder"), (ListSource, "list")):
        with pytest.raises(FileNotFoundError, match=f"There is no {kind} .*missing. Check the path"):
            source(str(tmp_path / "missing"))


# tar shards


def write_shard(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path, video: Path) -> str:
    data = video.read_bytes()
    write_shard(
        tmp_path / "s-00.tar", {"a/x.mp4": data, "a/x.cls": b"3\n", "b/x.json": b'{"label": 1}', "b/x.mp4": data}
    )
    write_shard(tmp_path / "s-01.tar", {"y.cls": b"0", "y.json": b'{"caption": "x"}', "y.mp4": b"not a video"})
    return str(tmp_path / "s-{00..01}.tar")


def test_tar_shards(shards: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = TarSource(shards, labelled=True)
    assert [(source.get(i, 0).name, source.get(i, 0).label) for i in range(source.length)] == [
        (f"{tmp_path}/s-00.tar/a/x.mp4", 3), (f"{tmp_path}/s-00.tar/b/x.mp4", 1), (f"{tmp_path}/s-01.tar/y.mp4", 0)
    ]  # fmt: skip
    assert first_frames(source, 1) == [0, 1, 2]
    assert source.get(2, 0).content == b"not a video"
    assert source.num_classes() == 4
    assert TarSource(shards, path_pattern="^a/").length == 1
    assert TarSource(shards).get(0, 0).label is None
    assert not caplog.records


def test_names_of_shards(shards: str, tmp_path: Path) -> None:
    both = [str(tmp_path / "s-00.tar"), str(tmp_path / "s-01.tar")]
    assert expand_shards(shards) == expand_shards(str(tmp_path / "s-*.tar")) == both
    assert expand_shards(both[1]) == both[1:]
    with pytest.raises(FileNotFoundError, match="s-02"):
        expand_shards(str(tmp_path / "s-{00..02}.tar"))


def test_damaged_and_wrong_shards(shards: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = (tmp_path / "s-00.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    assert [v.name for v in [TarSource(str(tmp_path / "cut.tar")).get(0, 0)]] == [f"{tmp_path}/cut.tar/a/x.mp4"]
    write_shard(tmp_path / "z.tar.gz", {"a.mp4": b""}, "w:gz")
    with pytest.raises(ValueError, match="not an uncompressed tar"):
        TarSource(str(tmp_path / "z.tar.gz"))
    write_shard(tmp_path / "unlabelled.tar", {"a.mp4": b"", "a.json": b'{"caption": "x"}'})
    with pytest.raises(ValueError, match=r"unlabelled.tar/a.mp4 has no label"):
        TarSource(str(tmp_path / "unlabelled.tar"), labelled=True)
    for label, message in (
        (b"cat", "a.cls holds b'cat', which is not"),
        (b"-1", "a.mp4 has the label -1; labels"),
        (b"4294967296", "a.mp4 has the label 4294967296"),
    ):
        write_shard(tmp_path / "wrong.tar", {"a.mp4": b"", "a.cls": label})
        with pytest.raises(ValueError, match=f"wrong.tar/{message}"):
            TarSource(str(tmp_path / "wrong.tar"), labelled=True)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_shards_of_every_format(tmp_path: Path, format: int) -> None:
    folder = "a folder/" * 12
    members = {
        "./a.mp4": b"1" * 511,
        f"{folder}ü.mp4": b"2" * 512,
        "x" * (90 if format == tarfile.USTAR_FORMAT else 95) + "ü.mp4": b"3" * 513,
        "/absolute.mp4": b"",
        "../above.mp4": b"5",
    }
    with tarfile.open(tmp_path / "s.tar", "w", format=format, pax_headers={"comment": "about all"}) as tar:
        tar.addfile(tarfile.TarInfo("folder.mp4/"))
        for name, kind in (("folder.mp4", tarfile.DIRTYPE), ("pipe.mp4", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 0.5 if format == tarfile.PAX_FORMAT else 0  # as WebDataset does
            tar.addfile(info, io.BytesIO(content))
    source = TarSource(str(tmp_path / "s.tar"))
    found = {source.paths[i]: source.get(i, 0).content for i in range(source.length)}
    assert list(found.items()) == list(members.items())


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_file_behind_one_of_many_gibibytes(tmp_path: Path, format: int) -> None:
    """The size of such a file does not fit into the field of the header."""
    large, small = tarfile.TarInfo("a.mp4"), tarfile.TarInfo("b.mp4")
    large.size, small.size = 9 * 2**30, 4
    with open(tmp_path / "s.tar", "wb") as file:
        file.write(large.tobuf(format))
        file.seek(large.size, os.SEEK_CUR)  # takes no room
        file.write(small.tobuf(format) + b"film".ljust(512, b"\0") + bytes(1024))
    source = TarSource(str(tmp_path / "s.tar"))
    assert (source.length, source.get(1, 0).content, int(source._sizes[0])) == (2, b"film", large.size)


def cut_shard(path: Path, at: int) -> TarSource:
    """A shard of `a.mp4`, `a.cls`, `b.mp4`, `b.cls` and the mark of the end, each two blocks long, cut off."""
    write_shard(path, {"a.mp4": b"first", "a.cls": b"3", "b.mp4": b"second", "b.cls": b"4"})
    path.write_bytes(path.read_bytes()[:at])
    return TarSource(str(path), labelled=True)


@pytest.mark.parametrize(
    ("at", "names", "message"),
    [
        (4 * 512 + 99, ["a.mp4"], "is damaged (it ends without the mark of its end); the videos before are used: 1."),
        (5 * 512 + 3, ["a.mp4"], "is damaged (b.mp4 is cut off); the videos before are used: 1."),
        (6 * 512, ["a.mp4"], "the videos before are used: 1, without 1 that have no label."),
        (6 * 512 + 9, ["a.mp4"], "the videos before are used: 1, without 1 that have no label."),
        (7 * 512, ["a.mp4"], "is damaged (b.cls is cut off); the videos before are used: 1, without 1 that have"),
        (7 * 512 + 1, ["a.mp4", "b.mp4"], "the videos before are used: 2."),
        (8 * 512, ["a.mp4", "b.mp4"], "the videos before are used: 2."),
        (10 * 512, ["a.mp4", "b.mp4"], ""),
    ],
)
def test_of_a_shard_that_is_cut_off_whole_videos_are_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int, names: list[str], message: str
) -> None:
    source = cut_shard(tmp_path / "s.tar", at)
    assert list(source.paths) == names
    assert [source.get(i, 0).content for i in range(source.length)] == [b"first", b"second"][: len(names)]
    assert bool(message) == (f"{tmp_path}/s.tar is damaged" in caplog.text)
    assert message in caplog.text


def test_damage_within_a_shard_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_shard(tmp_path / "s.tar", {f"{name}.mp4": b"film" for name in "abc"})
    with open(tmp_path / "s.tar", "r+b") as file:
        file.seek(2 * 512 + 7)
        file.write(b"\xff")
    assert list(TarSource(str(tmp_path / "s.tar")).paths) == ["a.mp4"]
    assert "s.tar is damaged (byte 1024 is not where a member begins); the videos before are used: 1." in caplog.text


@pytest.mark.parametrize(
    "record",
    [b"-30 path=b.mp4\n", b"0 path=b.mp4\n", b"3 path=b.mp4\n", b" path=b.mp4\n", b"path=b.mp4", b"13 path b.mp4\n"],
)
def test_wrong_records_of_pax_keep_no_video_before_them_away(tmp_path: Path, record: bytes) -> None:
    """Whether `tarfile` takes them for damage or passes over them depends on the version of Python."""
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, kind, content in (("a.mp4", b"0", b"film"), ("pax", b"x", record), ("c.mp4", b"0", b"film")):
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            tar.addfile(info, io.BytesIO(content))
    source = TarSource(str(tmp_path / "s.tar"))
    assert (source.paths[0], source.get(0, 0).content) == ("a.mp4", b"film")


def test_links_in_shards(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, content in (("all/a.mp4", b"film"), ("all/a.cls", b"3")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, kind, target in (("run/b.mp4", b"1", "all/a.mp4"), ("run/c.mp4", b"2", "../all/a.mp4"),
                                   ("run/d.mp4", b"1", "elsewhere.mp4"), ("run/e.mp4", b"1", "run/c.mp4"),
                                   ("run/b.cls", b"1", "all/a.cls")):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    source = TarSource(str(tmp_path / "s.tar"), labelled=True)
    assert list(source.paths) == ["all/a.mp4", "run/b.mp4"]
    assert everything(source) == [(str(b"film"), 3)] * 2
    assert "s.tar has 3 videos that are links, not files; they are left out" in caplog.text


def test_sparse_files_in_shards_are_refused(tmp_path: Path) -> None:
    """What is stored of them is not what the file holds."""
    for kind, records in ((tarfile.GNUTYPE_SPARSE, {}), (b"0", {"GNU.sparse.major": "1", "GNU.sparse.name": "a.mp4"})):
        info = tarfile.TarInfo("a.mp4" if kind != b"0" else "GNUSparseFile.0/a.mp4")
        info.type, info.pax_headers = kind, records
        with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT if records else tarfile.GNU_FORMAT) as tar:
            tar.addfile(info)
        with pytest.raises(ValueError, match=r"s\.tar/a\.mp4 is stored without its zeros\. .* without `--sparse`"):
            TarSource(str(tmp_path / "s.tar"))


def test_hidden_files_and_names_that_stand_twice_in_shards(tmp_path: Path) -> None:
    """As macOS writes files beside others, and as `tar --append` replaces a file."""
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, content in (("a.mp4", b"old"), ("._a.mp4", b"fork"), ("a.cls", b"1"), ("b.mp4", b"b"),
                              ("b.cls", b"2"), ("a.mp4", b"new"), ("a.cls", b"5")):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    source = TarSource(str(tmp_path / "s.tar"), labelled=True)
    found = [(v.name, v.content, v.label) for v in (source.get(i, 0) for i in range(source.length))]
    assert found == [(f"{tmp_path}/s.tar/a.mp4", b"new", 5), (f"{tmp_path}/s.tar/b.mp4", b"b", 2)]


@pytest.mark.parametrize(
    "label", [b"1.5", b"1e999", b"[" * 100_000, b'{"label": 2.5}', b'{"label": "cat"}', b'{"label": true}']
)
def test_numbers_in_json_that_are_no_classes(tmp_path: Path, label: bytes) -> None:
    write_shard(tmp_path / "s.tar", {"a.mp4": b"", "a.json": label})
    with pytest.raises(ValueError, match=r"s\.tar/a\.json holds b'.*', which is not a class number"):
        TarSource(str(tmp_path / "s.tar"), labelled=True)


def test_labels_of_videos_that_are_left_out_do_not_matter(tmp_path: Path) -> None:
    members = {"train/a.cls": b"1", "train/a.mp4": b"", "test/b.cls": b"-1", "test/b.mp4": b""}
    write_shard(tmp_path / "s.tar", members)
    assert TarSource(str(tmp_path / "s.tar"), labelled=True, path_pattern="^train/").get(0, 0).label == 1


# datasets


def video_dataset(video: Path, count: int = 6) -> "datasets.Dataset":
    features = datasets.Features(
        {
            "film": datasets.Video(),
            "class": datasets.ClassLabel(names=["x", "y", "z"]),
            "word": datasets.Value("string"),
        }
    )
    rows = {
        "film": [
            {"path": f"{i}.mp4", "bytes": video.read_bytes()} if i % 2 else {"path": str(video), "bytes": None}
            for i in range(count)
        ],
        "class": [i % 3 for i in range(count)],
        "word": [("run", "jump")[i % 2] for i in range(count)],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def test_dataset_with_a_video_column(video: Path) -> None:
    source = DatasetSource(video_dataset(video), video_column="film", label_column="class")
    assert source.classes == ("x", "y", "z")
    assert [source.get(i, 0).label for i in range(6)] == [0, 1, 2, 0, 1, 2]
    assert source.get(0, 0).content == str(video)
    assert isinstance(source.get(1, 0).content, bytes)
    assert first_frames(source, 0) == first_frames(source, 1) == [0, 1, 2]
    assert DatasetSource(video_dataset(video), video_column="film").get(1, 0).label is None
    odd = DatasetSource(video_dataset(video), video_column="film", label_column="class", path_pattern=r"^\d")
    assert [odd.get(i, 0).name for i in range(odd.length)] == ["1.mp4", "3.mp4", "5.mp4"]


def test_opening_a_saved_dataset_writes_nothing(tmp_path: Path) -> None:
    """Its folder may be read-only, and other processes open it as well."""
    rows = {"video": ["a/1.mp4", "b/2.mp4", "a/3.mp4"], "label": [1, 0, 2]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path))
    before = sorted(tmp_path.iterdir())
    recipe = SourceRecipe(kind="datasets", path=str(tmp_path), path_pattern="^a/")
    source = open_source(recipe, labelled=True, seed=0, shuffle=False)
    assert (source.labels, source.num_classes()) == ([1, 2], 3)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("format", ["numpy", "torch"])
def test_a_dataset_may_have_been_saved_with_a_format(format: str, tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"video": ["a.mp4", "b.mp4"], "label": [1, 0]})
    rows.with_format(format).save_to_disk(str(tmp_path))
    for streaming in (False, True):
        recipe = SourceRecipe(kind="datasets", path=str(tmp_path), streaming=streaming)
        found = open_source(recipe, labelled=True, seed=0, shuffle=False).get(0, 0)
        assert (found.content, found.label, type(found.label)) == ("a.mp4", 1, int)


def test_dataset_with_other_columns(video: Path) -> None:
    words = DatasetSource(video_dataset(video), video_column="film", label_column="word")
    assert words.classes == ("jump", "run")
    assert [words.get(i, 0).label for i in range(4)] == [1, 0, 1, 0]
    paths = datasets.Dataset.from_dict({"video": [str(video), "other.mp4"], "label": [4, 2]})
    source = DatasetSource(paths, label_column="label", path_pattern="other")
    assert (source.length, source.get(0, 0).content, source.num_classes()) == (1, "other.mp4", 3)
    with pytest.raises(ValueError, match=r"data set holds no videos\. Check `split` and `path_pattern`"):
        DatasetSource(paths, path_pattern="none")
    raw = DatasetSource(datasets.Dataset.from_dict({"video": [video.read_bytes()]}))
    assert first_frames(raw) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"no column `video`, it has: film, class, word. Set `video_column`"):
        DatasetSource(video_dataset(video))


@pytest.mark.usefixtures("no_rest")
@pytest.mark.parametrize("layout", ["saved", "parquet"])
@pytest.mark.parametrize("streaming", [False, True])
def test_open_saved_datasets(video: Path, tmp_path: Path, layout: str, streaming: bool) -> None:
    path = str(tmp_path / ("data" if layout == "saved" else "data.parquet"))
    if layout == "saved":
        datasets.DatasetDict({"train": video_dataset(video)}).save_to_disk(path)
    else:
        video_dataset(video).to_parquet(path)
    recipe = SourceRecipe(
        kind="datasets", path=path, video_column="film", label_column="class", streaming=streaming, sampling_rate=2
    )
    source = open_source(recipe, labelled=True, seed=0, shuffle=False)
    assert isinstance(source, StreamSource if streaming else DatasetSource)
    assert [source.get(i, 0).label for i in range(6)] == [0, 1, 2, 0, 1, 2]
    assert first_frames(source, 5) == [0, 1, 2]
    assert (source.sampling_rate, source.classes, source.num_classes()) == (2, ("x", "y", "z"), 3)
    assert source.name == path
    shuffled = [open_source(recipe, labelled=True, seed=seed, shuffle=True) for seed in range(3)]
    orders = [[source.get(i, 0).label for i in range(6)] for source in shuffled]
    assert all(sorted(order) == [0, 0, 1, 1, 2, 2] for order in orders)
    assert (len(set(map(tuple, orders))) > 1) == streaming  # others are shuffled by the sampler
    recipe.label_column = None
    assert open_source(recipe, labelled=False, seed=0, shuffle=False).get(0, 0).label is None
    with pytest.raises(ValueError, match="labels are needed, and `label_column` is null"):
        open_source(recipe, labelled=True, seed=0, shuffle=False)


@pytest.mark.usefixtures("no_rest")
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.csv", "path,label\na.mp4,2\n'b.mp4',0\n"),
        ("TRAIN.JSONL", '{"path": "a.mp4", "label": 2}\n{"path": "\'b.mp4\'", "label": 0}\n'),
        ("train.json", '[{"path": "a.mp4", "label": 2}, {"path": "\'b.mp4\'", "label": 0}]'),
    ],
    ids=("csv", "jsonl", "json"),
)
def test_a_table_in_a_single_file(tmp_path: Path, name: str, text: str, streaming: bool) -> None:
    (tmp_path / name).write_text(text)
    recipe = SourceRecipe(
        kind="datasets", path=str(tmp_path / name), video_column="path", label_column="label", streaming=streaming
    )
    videos = [open_source(recipe, labelled=True, seed=0, shuffle=False).get(i, 0) for i in range(2)]
    assert [(video.content, video.label) for video in videos] == [("a.mp4", 2), ("'b.mp4'", 0)]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("pattern", ["*.arrow", "state.json", "dataset_info.json", None], ids=str)
def test_a_damaged_data_set_is_named(video: Path, tmp_path: Path, pattern: str | None, streaming: bool) -> None:
    path = tmp_path / ("data" if pattern else "data.parquet")
    rows = datasets.Dataset.from_dict({"video": [video.read_bytes()] * 3})
    if pattern:
        rows.save_to_disk(str(path))
        (file,) = path.glob(pattern)
    else:
        rows.to_parquet(file := path)
    content = file.read_bytes()
    file.write_bytes(content[: -min(1000, len(content) // 2)])
    recipe = SourceRecipe(str(path), "datasets", streaming=streaming)
    with pytest.raises(ValueError, match=rf"^{path} cannot be read \(.+\)\. Download it again, or write it anew\.$"):
        open_source(recipe, labelled=False, seed=0, shuffle=False)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"video,label\na.mp4,1\nb.mp4,1,2,3\n"),
        ("empty.csv", b""),
        ("latin.csv", b"video,label\n\xe9.mp4,1\n"),
        ("cut.jsonl", b'{"video": "a.mp4"}\n{"video": "b.'),
        ("cut.json", b'[{"video": "a.mp4"}, {"video'),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, name: str, content: bytes, streaming: bool) -> None:
    (tmp_path / name).write_bytes(content)
    recipe = SourceRecipe(str(tmp_path / name), "datasets", streaming=streaming)
    said = rf"^{tmp_path / name}( cannot be read \(.+\)\. Download it again|: Unmatched)"
    with pytest.raises(ValueError, match=said):
        open_source(recipe, labelled=False, seed=0, shuffle=False)


def test_a_part_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video\na.mp4\nb.mp4\nc.mp4\n")
    recipe = SourceRecipe(str(tmp_path / "a.csv"), "datasets", split="train[:2]")
    assert open_source(recipe, labelled=False, seed=0, shuffle=False).length == 2
    (tmp_path / "a.csv").write_text("video\n")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.csv: .*no data"):
        open_source(recipe, labelled=False, seed=0, shuffle=False)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_that_is_not_there_is_not_called_damaged(tmp_path: Path, streaming: bool) -> None:
    recipe = SourceRecipe(str(tmp_path / "none.parquet"), "datasets", streaming=streaming)
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        open_source(recipe, labelled=False, seed=0, shuffle=False)


def test_a_full_disk_is_not_called_damage(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))

    datasets.Dataset.from_dict({"video": [str(video)]}).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for name in ("write_table", "write_row"):  # versions differ in which
        monkeypatch.setattr(f"datasets.arrow_writer.ArrowWriter.{name}", full)
    with pytest.raises(OSError, match="No space left"):
        open_source(SourceRecipe(str(tmp_path / "a.parquet"), "datasets"), labelled=False, seed=0, shuffle=False)


def stream_of(count: int, seed: int | None = None, **options: object) -> StreamSource:
    rows = datasets.Dataset.from_dict({"video": [f"{i}.mp4" for i in range(count)]})
    return StreamSource(rows.to_iterable_dataset(num_shards=2), seed=seed, **options)


def test_a_stream_is_told_how_many_videos_it_has(video: Path, tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"video": [str(video)] * 3, "label": [0, 1, 0]}).save_to_disk(str(tmp_path))
    datasets.Dataset.from_dict({"video": [str(video)] * 9}).to_parquet(tmp_path / "rows.parquet")
    recipe = SourceRecipe(kind="datasets", path=str(tmp_path), streaming=True, num_videos=7)
    assert open_source(recipe, labelled=True, seed=0, shuffle=True).length == 7
    recipe.num_videos = None
    assert open_source(recipe, labelled=True, seed=0, shuffle=True).length == 3
    recipe.path_pattern = "."
    assert open_source(recipe, labelled=True, seed=0, shuffle=True).length is None
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", cache_dir=tmp_path / "cache"
    )
    rows.select(range(5)).save_to_disk(str(tmp_path / "few"))  # and it still describes the table that they are of
    recipe = SourceRecipe(kind="datasets", path=str(tmp_path / "few"), streaming=True)
    assert open_source(recipe, labelled=False, seed=0, shuffle=True).length == 5
    datasets.Dataset.from_dict({"video": ["a", "b", "c"]}).to_parquet(tmp_path / "hub" / "data.parquet")
    description = "dataset_info: {splits: [{name: train, num_bytes: 9, num_examples: 3}]}"
    (tmp_path / "hub" / "README.md").write_text(f"---\n{description}\n---\n")
    recipe = SourceRecipe(kind="datasets", path=str(tmp_path / "hub"), streaming=True)
    for count, pattern, length in ((None, None, 3), (2, None, 2), (None, "a", None), (2, "a", 2)):
        recipe.num_videos, recipe.path_pattern = count, pattern
        assert open_source(recipe, labelled=False, seed=0, shuffle=True).length == length
    found = DataRecipe(sources=[SourceRecipe(path="x", num_videos=0)]).problems()
    assert found == ["data.sources.0.num_videos must be at least 1, got 0"]


@pytest.mark.parametrize(
    ("video", "label", "column"),
    [
        (3, 0, "video_column"),
        ([b"x"], 0, "video_column"),
        ("a.mp4", [0], "label_column"),
        ("a.mp4", b"0", "label_column"),
    ],
)
def test_columns_of_another_type(video: object, label: object, column: str) -> None:
    rows = datasets.Dataset.from_dict({"video": [video], "label": [label]})
    for source, found in ((DatasetSource, rows), (StreamSource, rows.to_iterable_dataset())):
        with pytest.raises(ValueError, match=rf"the column `{column[:5]}` \(.*\) holds no .* Set `{column}`"):
            source(found, label_column="label")


def test_a_split_that_is_not_there(video: Path, tmp_path: Path) -> None:
    datasets.DatasetDict({"train": video_dataset(video)}).save_to_disk(str(tmp_path))
    recipe = SourceRecipe(kind="datasets", path=str(tmp_path), split="test", video_column="film")
    with pytest.raises(ValueError, match=r"has no split `test`, it has: train\. Set `split`"):
        open_source(recipe, labelled=False, seed=0, shuffle=False)
    recipe.split = "train[:4]"
    assert open_source(recipe, labelled=False, seed=0, shuffle=False).length == 4


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", [None, "validation"])
def test_splits_of_a_single_saved_data_set(tmp_path: Path, name: str | None, streaming: bool) -> None:
    """It may have been a split of another one, and may be asked for by its name, by the default, or in part."""
    rows = datasets.Dataset.from_dict({"video": [f"{i}.mp4" for i in range(8)]}, split=name)
    rows.save_to_disk(str(tmp_path))

    def names(split: str, count: int) -> list[str]:
        recipe = SourceRecipe(str(tmp_path), "datasets", split=split, streaming=streaming)
        source = open_source(recipe, labelled=False, seed=0, shuffle=False)
        return [source.get(i, 0).content for i in range(count)]

    assert names("train", 8) == names(name or "train", 8) == rows["video"][:]
    for split in {"train", name or "train"}:
        assert names(f"{split}[6:]", 3 if streaming else 2)[:3] == [*rows["video"][6:], *["6.mp4"] * streaming]
        assert names(f"{split}[:1]+{split}[50%:75%]", 3) == ["0.mp4", "4.mp4", "5.mp4"]
    for split in ("test", "test[:2]", "train[:"):
        with pytest.raises(ValueError, match=rf"has no split `{re.escape(split)}`, it has: {name or 'train'}\. Set"):
            names(split, 1)


@pytest.mark.parametrize("labels", [[0, None], [0, -1], [0.0, 1.5], ["run", None]])
def test_rows_without_a_class(labels: list[object]) -> None:
    rows = datasets.Dataset.from_dict({"video": ["a.mp4", "b.mp4"], "label": labels})
    message = rf"has the label {labels[1]} in the column `label`. Labels are whole numbers from 0"
    with pytest.raises(ValueError, match=rf"b.mp4 {message}"):
        DatasetSource(rows, label_column="label")
    assert DatasetSource(rows).get(1, 0).label is None  # not wanted
    if isinstance(labels[0], str):
        return
    with pytest.raises(ValueError, match=rf"b.mp4 {message}"):
        StreamSource(rows.to_iterable_dataset(), label_column="label").get(1, 0)


def test_stream_goes_forward_and_a_little_back() -> None:
    source = stream_of(200)
    assert [source.get(i, 0).content for i in (3, 5, 4, 150, 149)] == [f"{i}.mp4" for i in (3, 5, 4, 150, 149)]
    assert source.get(0, 0).content == "0.mp4"  # starts over
    assert (source.length, source.sequential) == (None, True)


def test_a_stream_that_goes_back_a_little_reads_nothing_twice() -> None:
    read = []

    def rows() -> Iterator[dict[str, str]]:
        for i in range(99):
            read.append(i)
            yield {"video": f"{i}.mp4"}

    source = StreamSource(datasets.IterableDataset.from_generator(rows))
    read.clear()  # the first row told of the columns
    assert [source.get(i, 0).content for i in (80, 79, 17, 81)] == ["80.mp4", "79.mp4", "17.mp4", "81.mp4"]
    assert read == list(range(82))
    assert [source.get(i, 0).content for i in (17, 18)] == ["17.mp4", "18.mp4"]  # too far back
    assert read == [*range(82), *range(19)]


def test_a_stream_whose_connection_broke_is_read_anew() -> None:
    broken = []

    def rows() -> Iterator[dict[str, str]]:
        for i in range(6):
            if i == 3 and not broken:
                broken.append(i)
                raise ConnectionError
            yield {"video": f"{i}.mp4"}

    source = StreamSource(datasets.IterableDataset.from_generator(rows))
    assert source.get(2, 0).content == "2.mp4"
    with pytest.raises(ConnectionError):
        source.get(3, 0)
    assert [source.get(i, 0).content for i in (4, 5, 3)] == ["4.mp4", "5.mp4", "3.mp4"]


def test_stream_is_shuffled_by_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[str]:
        source = stream_of(20, seed)
        return [source.get(i, epoch).content for i in range(20)]

    assert order(0, 0) == order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert sorted(order(0, 3)) == sorted(order(1, 2))
    assert order(5, 1)[12] == stream_of(20, 5).get(12, 1).content  # going on in the middle


@pytest.mark.parametrize("shards", [1, 2, 5, 8, 11])
@pytest.mark.parametrize("seed", [None, 3])
def test_lanes_of_a_stream_share_its_rows(shards: int, seed: int | None) -> None:
    """Each has shards of its own or, where there are too few, rows of its own."""
    rows = datasets.Dataset.from_dict({"video": [f"{i}.mp4" for i in range(88)]}).to_iterable_dataset(num_shards=shards)
    shard_of = {f"{i}.mp4": shard for shard, part in enumerate(np.array_split(range(88), shards)) for i in part}
    source = StreamSource(rows, seed=seed, lanes=5)
    shortest = 88 // shards // -(-5 // shards) if shards < 5 else shards // 5 * (88 // shards)
    found = [[source.get(5 * place + lane, 0).content for place in range(shortest)] for lane in range(5)]
    names = [name for lane in found for name in lane]
    assert len(set(names)) == len(names) >= 40
    if shards >= 5:
        read = [shard for lane in found for shard in {shard_of[name] for name in lane}]
        assert len(set(read)) == len(read)  # each by one lane alone


@pytest.mark.usefixtures("no_rest")
@pytest.mark.skipif(not hasattr(datasets.IterableDataset, "reshard"), reason="this version of datasets has no reshard")
def test_lanes_of_a_parquet_file_are_row_groups(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"video": [f"{i}.mp4" for i in range(40)]})
    rows.to_parquet(tmp_path / "a.parquet", batch_size=10)
    recipe = SourceRecipe(str(tmp_path / "a.parquet"), "datasets", streaming=True)
    source = open_source(recipe, labelled=False, seed=0, shuffle=True, lanes=4)
    for lane in range(4):
        numbers = [int(Path(source.get(4 * place + lane, 0).content).stem) for place in range(10)]
        assert len({number // 10 for number in numbers}) == 1
        assert len(set(numbers)) == 10


def test_a_lane_that_ends_too_early_goes_on_with_the_next(caplog: pytest.LogCaptureFixture) -> None:
    source = stream_of(6, lanes=2, length=7)  # of three rows each
    assert [source.get(2 * place + 1, 0).content for place in range(6)] == [f"{i}.mp4" for i in (3, 4, 5, 0, 1, 2)]
    assert not caplog.records
    assert source.get(2 * 6 + 1, 0).content == "3.mp4"
    assert "announces 7 videos and, in what should be all of it, has 6; it starts over" in caplog.text
    with pytest.raises(ValueError, match="holds no videos"):
        stream_of(6, lanes=2, path_pattern="none").get(0, 0)
    assert [stream_of(6, lanes=2, path_pattern="^[45]").get(i, 0).content for i in (0, 1)] == ["4.mp4", "4.mp4"]


def test_stream_that_is_shorter_than_it_says(caplog: pytest.LogCaptureFixture) -> None:
    source = stream_of(3, length=5)
    assert [source.get(i, 0).content for i in range(5)] == ["0.mp4", "1.mp4", "2.mp4", "0.mp4", "1.mp4"]
    assert "announces 5 videos and, in what should be all of it, has 3" in caplog.text
    with pytest.raises(ValueError, match="holds no videos"):
        stream_of(3, path_pattern="none").get(0, 0)
    assert stream_of(9, path_pattern="^[4-6]").get(1, 0).content == "5.mp4"


@pytest.mark.parametrize(
    ("sizes", "length", "lanes", "said"),
    [
        ([100, 300], 400, 2, "part 2 of 2, which one worker reads, should have 200 and has more than 242"),
        ([200, 200], 400, 2, None),
        ([190, 210], 400, 2, None),
        ([100] * 3, 300, 2, None),  # the lane of two files has another one in the next pass
        ([400], 300, 1, "part 1 of 1, which one worker reads, should have 300 and has more than 351"),
        ([300], 300, 1, None),
        ([300], None, 1, None),
    ],
)
def test_videos_that_no_pass_comes_to(
    sizes: list[int], length: int | None, lanes: int, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    def rows(counts: list[int]) -> Iterator[dict[str, str]]:
        for count in counts:
            yield from ({"video": f"{i}.mp4"} for i in range(count))

    stream = datasets.IterableDataset.from_generator(rows, gen_kwargs={"counts": sizes})
    for lane in range(lanes):
        source = StreamSource(stream, length=length, lanes=lanes)
        for turn in range(3):
            assert source.get((length or 300) // lanes * lanes - lanes + lane, turn).name
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == (said is not None)
    assert not said or said in found[0]


@pytest.mark.parametrize(
    ("start", "total", "expected"),
    [
        (np.int64(3), np.int64(5), (3, 5)),
        (float("nan"), None, (0, None)),
        ("00:01", "00:02", (0, None)),  # times, and no frames
    ],
)
def test_parts_of_a_stream_without_types(start: object, total: object, expected: tuple[int, int | None]) -> None:
    def rows() -> object:
        yield {"video": "a.mp4", "start": start, "total": total}

    video = StreamSource(datasets.IterableDataset.from_generator(rows)).get(0, 0)
    assert (video.start, video.total) == expected


def test_stream_without_types_and_with_wrong_columns() -> None:
    def rows() -> object:
        yield {"clip": "a.mp4", "label": 1}

    stream = datasets.IterableDataset.from_generator(rows)
    assert StreamSource(stream, video_column="clip", label_column="label").get(0, 0).label == 1
    with pytest.raises(ValueError, match="no column `video`"):
        StreamSource(stream)
    names = datasets.Dataset.from_dict({"video": ["a"], "label": ["run"]}).to_iterable_dataset()
    with pytest.raises(ValueError, match="ClassLabel"):
        StreamSource(names, label_column="label")


# mixtures


def test_mixture_of_all_kinds(tmp_path: Path, video: Path, shards: str) -> None:
    (tmp_path / "films" / "only").mkdir(parents=True)
    (tmp_path / "films" / "only" / "a.mp4").write_bytes(video.read_bytes())
    video_dataset(video).save_to_disk(str(tmp_path / "data"))
    recipe = DataRecipe(
        sources=[
            SourceRecipe(path=write_list(tmp_path, f"{video} 0 -1", f"{video} 8 16"), sampling_rate=2),
            SourceRecipe(path=str(tmp_path / "films"), kind="folder", weight=0.5),
            SourceRecipe(path=shards, kind="tar"),
            SourceRecipe(path=str(tmp_path / "data"), kind="datasets", video_column="film"),
        ]
    )
    mixture = open_sources(recipe, labelled=False, seed=0)
    assert len(mixture) == 2 + 1 + 3 + 6
    places = [mixture.locate(i) for i in range(len(mixture))]
    assert [number for _, number in places] == [0, 1, 0, 0, 1, 2, *range(6)]
    assert [source.sampling_rate for source in mixture.sources] == [2, None, None, None]
    readable = [i for i, (source, number) in enumerate(places) if source.get(number, 0).content != b"not a video"]
    assert {first_frames(places[i][0], places[i][1])[1] for i in readable} == {1, 9}


def test_mixtures_that_make_no_sense(tmp_path: Path) -> None:
    for name in ("one/run/a.mp4", "two/jump/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    one, two = (FolderSource(str(tmp_path / name), labelled=True) for name in ("one", "two"))
    with pytest.raises(ValueError, match="name different classes"):
        Mixture([one, two])
    assert (Mixture([one, one]).classes, Mixture([one, one]).num_classes()) == (("run",), 1)
    assert Mixture([FolderSource(str(tmp_path / name)) for name in ("one", "two")]).classes is None  # nobody asks
    with pytest.raises(ValueError, match="does not say how many"):
        Mixture([one, stream_of(3)])
    unknown = Mixture([stream_of(3)])
    assert (len(unknown), unknown.num_classes()) == (0, None)


@pytest.mark.parametrize("weight", [0.3, 0.5, 0.9, 1.0, 2.5])
@pytest.mark.parametrize("lanes", [1, 3])
def test_a_stream_of_any_weight_is_read_to_its_end(weight: float, lanes: int) -> None:
    """Also a single file that is longer than what a stream holds to shuffle."""
    rows = datasets.Dataset.from_dict({"video": [f"{i}.mp4" for i in range(600)]}).to_iterable_dataset()
    readers = [StreamSource(rows, seed=5, length=600, lanes=lanes) for _ in range(lanes)]
    for reader in readers:
        reader.weight = weight
    sampler = EpochSampler(readers[:1], batch_size=5)
    for start in (0, 600):
        keys = [sampler.key(sample) for sample in range(start, start + 600)]
        videos = {readers[key.lane].get(key.video * lanes + key.lane, key.turn).content for key in keys}
        assert len(videos) == 600  # a pass, whatever the epochs


def test_classes_in_another_order_change_the_labels_and_nothing_else(video: Path) -> None:
    rows = video_dataset(video).to_iterable_dataset()
    stream = StreamSource(rows, video_column="film", label_column="class", length=6, lanes=2)
    stream.sampling_rate, stream.weight = 2, 0.5
    source = with_classes(stream, ["w", "Z", "x", "y"])
    assert (source.classes, source.num_classes()) == (("w", "Z", "x", "y"), 4)
    assert [source.get(i, 0).label for i in (0, 2, 4)] == [2, 1, 3]  # x, z, y: every second row
    for name in ("name", "length", "sequential", "lanes", "sampling_rate", "weight"):
        assert getattr(source, name) == getattr(stream, name)
    assert with_classes(stream, None) is with_classes(stream, ["x", "y", "z"]) is stream
    said = r"classes of stream do not fit the list of classes .* 'y'\. Correct one or the other\.$"
    with pytest.raises(ValueError, match=said):
        with_classes(stream, ["z", "x"])


def test_label_files_may_be_anything_valid(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "s.tar", {"a.mp4": b"", "a.json": json.dumps({"cls": 2}).encode(), "b.mp4": b"", "b.json": b"4"}
    )
    source = TarSource(str(tmp_path / "s.tar"), labelled=True)
    assert [source.get(i, 0).label for i in range(2)] == [2, 4]


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_that_are_parts_of_videos(tmp_path: Path, streaming: bool) -> None:
    """Manifests of `training.build_hybrid` have a first frame and a number of frames."""
    video = str(encode(tmp_path / "v.mp4", num_frames=40))
    table = pa.table({"path": [video, video, video], "start": [0, 20, 30], "total": [-1, 10, None]})
    datasets.Dataset(table).to_parquet(tmp_path / "a.parquet")
    recipe = SourceRecipe(str(tmp_path / "a.parquet"), "datasets", video_column="path", streaming=streaming)
    source = open_source(recipe, labelled=False, seed=0, shuffle=False)
    assert [(v.start, v.total) for v in (source.get(i, 0) for i in range(3))] == [(0, None), (20, 10), (30, None)]
    assert read_numbers(read_frames(source.get(1, 0), lambda total: np.arange(total))) == list(range(20, 30))


@pytest.mark.parametrize("streaming", [False, True])
def test_parts_of_folders_of_pictures_in_csv_files(tmp_path: Path, streaming: bool) -> None:
    """`datasets` reads numbers with gaps as floating point, and streams of CSV files without types."""
    write_pictures(tmp_path / "clip", range(6), "frame{:03}.png")
    rows = f"video,start,total\n{tmp_path}/clip,2,3\n{tmp_path}/clip,4,\n{tmp_path}/clip,1.5,1\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(rows)
    recipe = SourceRecipe(str(tmp_path / "data"), "datasets", streaming=streaming, pattern="frame{:03}.png")
    source = open_source(recipe, labelled=False, seed=0, shuffle=False)
    assert first_frames(source, 0, 9) == [2, 3, 4]
    assert first_frames(source, 1, 9) == [4, 5]
    with pytest.raises(ValueError, match=r"clip has `start` 1.5 and `total` 1(\.0)?\. They are whole frames"):
        source.get(2, 0)


def test_parts_may_stand_in_numbers_without_a_sign() -> None:
    table = pa.table({"path": ["v.mp4"], "start": pa.array([20], pa.uint32()), "total": pa.array([1], pa.uint16())})
    video = DatasetSource(datasets.Dataset(table), video_column="path").get(0, 0)
    assert (video.start, video.total) == (20, 1)
    alone = DatasetSource(datasets.Dataset(table.drop_columns("total")), video_column="path").get(0, 0)
    assert (alone.start, alone.total) == (0, None)  # it may mean anything


def test_what_an_evaluation_remembers_of_a_list_stays_the_same(tmp_path: Path) -> None:
    """A digest that another version makes differently refuses what is under way, and has `best/` begin anew."""
    (tmp_path / "list.txt").write_text("https://host/a.mp4 7 0\nhttps://host/b.mp4 9 1\n", encoding="utf-8")
    recipe = SourceRecipe(path=str(tmp_path / "list.txt"), kind="list")
    (known,) = describe_sources([open_source(recipe, labelled=True, seed=0, shuffle=False)], [recipe])
    assert known == {"videos": 2, "sampling_rate": None, "digest": "7f770519d530fd6e28def36a43b7bb7f"}


@pytest.mark.parametrize("named", ["folder", "text column"])
def test_classes_called_by_numbers_beside_numbers(tmp_path: Path, named: str) -> None:
    """In the order of text, "10" comes before "2", and a list's 2 would be another class."""
    names = [str(i) for i in range(11)]
    for name in names:
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "a.mp4").write_bytes(b"")
    columns = {"video": [f"{name}.mp4" for name in names], "label": names}
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "saved"))
    numbers = SourceRecipe(write_list(tmp_path, *(f"{name}.mp4 {name}" for name in names)))
    kind, path = ("folder", "folder") if named == "folder" else ("datasets", "saved")
    recipe = DataRecipe(sources=[SourceRecipe(str(tmp_path / path), kind), numbers])
    options = {"labelled": True, "seed": 0, "shuffle": False}
    said = (
        r"classes that are called by numbers, of which '10' has the label 2; .*list\.txt has numbers alone\. .*labels"
    )
    with pytest.raises(ValueError, match=said):
        open_sources(recipe, **options)
    for order in (names, names[::-1]):  # who lists them knows what they mean
        for source in open_sources(recipe, **options, classes=order).sources:
            videos = [source.get(i, 0) for i in range(11)]
            paths = [Path(video.content) for video in videos]
            called = [path.parent.name if path.stem == "a" else path.stem for path in paths]
            is_list = source.classes is None
            assert [video.label for video in videos] == [int(name) if is_list else order.index(name) for name in called]


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (["0", "1", "2"], True),
        (["1", "2", "3"], True),
        (["0", "2", "5"], False),
        (["00", "01"], True),
        (["a", "7"], True),
    ],
)
def test_numbers_that_follow_each_other_may_stand_beside_numbers(tmp_path: Path, names: list[str], fits: bool) -> None:
    for name in names:
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "a.mp4").write_bytes(b"")
    sources = [SourceRecipe(str(tmp_path / "folder"), "folder"), SourceRecipe(write_list(tmp_path, "b.mp4 0"))]
    refused = pytest.raises(ValueError, match="of which '2' has the label 1; ")
    with contextlib.nullcontext() if fits else refused:
        open_sources(DataRecipe(sources=sources), labelled=True, seed=0)
