# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 predict` from the outside: what it prints, writes and returns."""

import csv
import functools
import http.server
import io
import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import huggingface_hub.constants
import numpy as np
import pytest
import rich.table
import torch
from crafted_pickles import EXECUTING
from full_disk import full_disk
from PIL import Image
from safetensors.torch import load_file
from tiny import LABELS, tiny_model
from typer.testing import CliRunner
from video_files import encode, encode_sound

import modeling_videomae_v2
from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2VideoProcessor,
)
from modeling_videomae_v2.__main__ import main
from modeling_videomae_v2.cli import app
from modeling_videomae_v2.commands.options import Reporter
from modeling_videomae_v2.inference.clips import Clip
from modeling_videomae_v2.inference.engine import Result
from modeling_videomae_v2.inference.predictions import VideoScores, clock
from modeling_videomae_v2.inference.sources import find_sources
from modeling_videomae_v2.inference.targets import choose_targets
from modeling_videomae_v2.inference.timeline import write_csv, write_picture
from modeling_videomae_v2.places import errors_in_words


SIZES = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}, "num_frames": 4, "sampling_rate": 3}
NAMES = ["waving", "running", "eating", "sitting down", "[dim]$odd$ name"]


def save(folder: Path, model_class: type = VideoMAEv2ForVideoClassification, **settings) -> Path:
    config = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}, **settings}
    tiny_model(model_class, **config).save_pretrained(folder)
    VideoMAEv2VideoProcessor(**SIZES).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(encode(tmp_path_factory.mktemp("films") / "film.mp4", num_frames=60))


def run(*arguments: object):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def objects(result) -> list[dict]:
    """What was printed, as JSON; nothing else may be there."""
    assert result.exit_code in (0, 1), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def scores(data: dict) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in data["predictions"]}


def expected_scores(folder: Path, film: Path, **settings) -> dict[str, float]:
    net = VideoMAEv2ForVideoClassification.from_pretrained(folder)
    processor = VideoMAEv2VideoProcessor.from_pretrained(folder, **settings)
    with torch.no_grad():
        logits = net(**processor(film, return_tensors="pt")).logits[0]
    return dict(zip(NAMES, logits.softmax(-1).tolist(), strict=True))


def test_one_video_gets_the_scores_of_model_and_processor(model: Path, film: Path) -> None:
    (found,) = objects(run(model, film, "--json"))
    assert found["video"] == str(film)
    assert found["duration"] == pytest.approx(60 / 25, abs=1e-3)
    assert scores(found) == pytest.approx(expected_scores(model, film), abs=1e-5)
    assert "windows" not in found
    values = [entry["score"] for entry in found["predictions"]]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("form", ["--top-k=1", "--json"])
def test_names_that_do_not_fit_into_the_encoding_of_the_output_are_escaped(
    form: str, model: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows writes files in a code page."""
    copied, output = shutil.copy(film, tmp_path / "фильм😀.mp4"), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="cp1252"))
    monkeypatch.setattr(sys, "argv", ["videomae-v2", "predict", str(model), str(copied), form])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    text = output.getvalue().decode("ascii")
    assert json.loads(text)["video"] == str(copied) if form == "--json" else r"\u0444\u0438" in text


def test_top_k_names_the_best(model: Path, film: Path) -> None:
    everything, two = (objects(run(model, film, "--json", "--top-k", k))[0]["predictions"] for k in (99, 2))
    assert len(everything) == LABELS
    assert two == everything[:2]


def test_time_lines_show_every_class_that_leads(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    scores = VideoScores("film.mp4", [rf"$\class {i}$" for i in range(20)], top_k=1, keep_all=True)  # no formulas
    heights = []
    for leaders in (3, 5, 20):
        while len(scores.windows) < 3000 * leaders // 20:
            i = len(scores.windows)
            values = np.full(20, 0.01, dtype=np.float32)
            values[i * 20 // 3000] = 0.8
            clip = Clip(i, 3000, 2.0 * i, 2.0 * i + 4, 6002.0, 25.0, torch.empty(0))
            scores.add(Result(0, clip, torch.empty(0)), values)
        write_picture(scores, tmp_path / "line.png")
        heights.append(Image.open(tmp_path / "line.png").height)
    strip = (heights[1] - heights[0]) / 2
    assert heights[2] - heights[1] == pytest.approx(3 * strip, abs=2)  # 3, 5 and, for all 20, 8 strips
    assert strip > 20
    assert len(scores.windows) == 3000


def test_views_are_averaged_as_the_model_does(model: Path, film: Path) -> None:
    (found,) = objects(run(model, film, "--json", "--clips", 3, "--crops", 2, "--batch-size", 4))
    assert scores(found) == pytest.approx(expected_scores(model, film, num_clips=3, num_crops=2), abs=1e-5)


def test_views_are_those_of_the_processor_unless_others_are_asked_for(model: Path, film: Path, tmp_path: Path) -> None:
    VideoMAEv2VideoProcessor(**SIZES, num_clips=3, num_crops=2).save_pretrained(tmp_path)
    for extra, views in (((), (3, 2)), (("--crops", 1), (3, 1)), (("--clips", 1), (1, 2))):
        (found,) = objects(run(model, film, "--json", "--processor", tmp_path, *extra))
        expected = expected_scores(model, film, num_clips=views[0], num_crops=views[1])
        assert scores(found) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "meaning"),
    [
        ({"problem_type": "multi_label_classification"}, torch.sigmoid),
        ({"problem_type": "regression"}, torch.Tensor.float),
        ({"num_labels": 1, "id2label": {0: "speed"}, "label2id": {"speed": 0}}, torch.Tensor.float),
    ],
)
def test_scores_are_what_the_outputs_mean(settings: dict, meaning: Callable, tmp_path: Path, film: Path) -> None:
    folder = save(tmp_path, **settings)
    (found,) = objects(run(folder, film, "--json"))
    net = VideoMAEv2ForVideoClassification.from_pretrained(folder)
    with torch.no_grad():
        logits = net(**VideoMAEv2VideoProcessor.from_pretrained(folder)(film, return_tensors="pt")).logits[0]
    expected = zip(net.config.id2label.values(), meaning(logits).tolist(), strict=True)
    assert scores(found) == pytest.approx(dict(expected), abs=1e-5)


def test_times_are_written_as_on_a_clock() -> None:
    assert [clock(seconds) for seconds in (9, 59.6, 123, 3599.4, 3723)] == ["0:09", "1:00", "2:03", "59:59", "1:02:03"]
    assert [clock(seconds, tenths=True) for seconds in (9.04, 123.44, 3599.96)] == ["0:09.0", "2:03.4", "1:00:00.0"]


def scored_film(windows: list[tuple[float, float, list[float]]]) -> VideoScores:
    """Scores of a film from start, end and the scores of `NAMES` of each of its windows."""
    film = VideoScores("film.mp4", NAMES, top_k=2)
    for i, (start, end, values) in enumerate(windows):
        clip = Clip(i, len(windows), start, end, windows[-1][1], 25.0, torch.empty(0))
        film.add(Result(0, clip, torch.empty(0)), np.array(values, dtype=np.float32))
    return film


def rows(table: rich.table.Table) -> list[tuple[str, ...]]:
    return list(zip(*(column.cells for column in table.columns), strict=True))


def test_a_table_says_which_class_leads_when() -> None:
    waving, running = [0.75, 0.25, 0, 0, 0], [0.25, 0.5, 0, 0, 0]
    film = scored_film([(0, 4, waving), (2, 6, [0.25, 0, 0, 0, 0]), (4, 8, running), (6, 10.25, waving)])
    assert [rows(table) for table in film.tables(False)] == [[("0.5000", "waving"), ("0.2500", "running")]]
    assert rows(film.tables(True)[0]) == rows(film.tables(False)[0])
    assert rows(film.tables(True)[1]) == [  # windows overlap, and the stretches do not
        ("0:00.0", "0:04.0", "0.5000", "waving"),
        ("0:04.0", "0:06.0", "0.5000", "running"),
        ("0:06.0", "0:10.2", "0.7500", "waving"),
    ]
    apart = scored_film([(0, 1, waving), (3, 4, running)])
    assert [row[:2] for row in rows(apart.tables(True)[1])] == [("0:00.0", "0:01.0"), ("0:03.0", "0:04.0")]
    changing = [(i, i + 1, running if i % 2 else waving) for i in range(45)]
    assert len(rows(scored_film(changing[:40]).tables(True)[1])) == 40
    assert rows(scored_film(changing).tables(True)[1])[40:] == [("...", "", "", "5 more; --csv writes all of them")]


def test_of_equal_scores_the_first_is_named() -> None:
    film = VideoScores("film.mp4", [f"class {i}" for i in range(100)], top_k=3)
    assert [i for i, _ in film.best(np.tile(np.array([0.25, 0.5], dtype=np.float32), 50))] == [1, 3, 5]


def test_a_table_names_video_and_classes(model: Path, film: Path) -> None:
    result = run(model, film)
    assert result.exit_code == 0
    assert str(film) in result.stdout.replace("\n", "")
    assert all(name in result.stdout for name in NAMES)
    assert result.stderr == ""


@pytest.mark.parametrize("workers", [1, 3])
def test_a_folder_in_natural_order_and_what_cannot_be_read(model: Path, tmp_path: Path, workers: int) -> None:
    for name in ("clip10.mp4", "clip2.mp4", "sub/clip1.MP4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        encode(tmp_path / name.replace(".MP4", ".mp4"), num_frames=12)
    (tmp_path / "sub/clip1.mp4").rename(tmp_path / "sub/clip1.MP4")
    (tmp_path / "clip3.mp4").write_bytes(b"this is no video at all")
    encode_sound(tmp_path / "clip4.mp4")
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / ".hidden.mp4").write_bytes(b"")
    result = run(model, tmp_path, tmp_path / "absent.mp4", "--json", "--workers", workers)
    found = objects(result)
    assert result.exit_code == 1
    assert [Path(entry["video"]).name for entry in found] == [
        "clip2.mp4", "clip3.mp4", "clip4.mp4", "clip10.mp4", "clip1.MP4", "absent.mp4",
    ]  # fmt: skip
    assert ["error" in entry for entry in found] == [False, True, True, False, False, True]
    assert "no video stream" in found[2]["error"]
    for entry in found:
        assert entry.get("error", "") in result.stderr
    assert "3 of 6 videos" in result.stderr


def test_a_window_slides_whatever_the_batch(model: Path, film: Path) -> None:
    runs = [objects(run(model, film, "--json", "--stride", "0.5", "--batch-size", b))[0] for b in (1, 3, 50)]
    for found in runs:
        assert [w["start"] for w in found["windows"]] == [0.0, 0.48, 0.96, 1.44, 1.92]
        assert [w["end"] for w in found["windows"]] == pytest.approx([0.48, 0.96, 1.44, 1.92, 2.4])
        for one, other in zip(found["windows"], runs[0]["windows"], strict=True):
            assert scores(one) == pytest.approx(scores(other), abs=1e-5)
    mean = {name: np.mean([scores(w)[name] for w in runs[0]["windows"]]) for name in NAMES}
    assert scores(runs[0]) == pytest.approx(mean, abs=1e-5)


def test_a_window_over_all_frames_is_the_clip_of_the_processor(model: Path, tmp_path: Path) -> None:
    film = encode(tmp_path / "one.mp4", num_frames=10)  # exactly one clip: 4 frames, 3 apart
    (found,) = objects(run(model, film, "--json", "--window", "clip"))
    assert len(found["windows"]) == 1
    assert scores(found["windows"][0]) == pytest.approx(expected_scores(model, film), abs=1e-5)
    (found,) = objects(run(model, film, "--json", "--window", "clip", "--crops", 3))
    assert scores(found["windows"][0]) == pytest.approx(expected_scores(model, film, num_crops=3), abs=1e-5)


def test_time_line_as_csv_and_picture(model: Path, film: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    table, picture = tmp_path / "new" / "line.csv", tmp_path / "line.png"
    result = run(model, film, "--csv", table, "--picture", picture, "--stride", "6f", "--top-k", 2, "--json")
    (found,) = objects(result)
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert len(rows) == 2 * len(found["windows"]) == 2 * 9
    assert rows[3]["label"] == found["windows"][1]["predictions"][1]["label"]
    assert float(rows[3]["score"]) == found["windows"][1]["predictions"][1]["score"]
    assert (rows[3]["start"], rows[3]["rank"]) == ("0.240", "2")
    image = np.asarray(Image.open(picture).convert("L"))
    assert image.shape[1] > 800
    assert image.std() > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.png", "new"]


def test_a_class_whose_name_is_no_text(tmp_path: Path) -> None:
    """As after training on a folder of classes that an old system has named."""
    pytest.importorskip("matplotlib")
    scores = VideoScores("film.mp4", ["waving", "caf\udce9"], top_k=2, keep_all=True)
    clip = Clip(0, 1, 0.0, 4.0, 4.0, 25.0, torch.empty(0))
    scores.add(Result(0, clip, torch.empty(0)), np.array([0.2, 0.8], dtype=np.float32))
    write_csv(scores, tmp_path / "line.csv")
    with open(tmp_path / "line.csv", newline="", encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [r"caf\udce9", "waving"]
    write_picture(scores, tmp_path / "line.png")
    assert Image.open(tmp_path / "line.png").width > 800


def test_long_names_in_a_picture_are_cut(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    labels = ["pretending_to_put_something_onto_something", "pretending to put something onto something else", "short"]
    scores = VideoScores("x" * 200 + ".mp4", labels, top_k=2, keep_all=True)
    clip = Clip(0, 1, 0.0, 4.0, 4.0, 25.0, torch.empty(0))
    scores.add(Result(0, clip, torch.empty(0)), np.array([0.5, 0.3, 0.2], dtype=np.float32))
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        write_picture(scores, tmp_path / "line.svg")
    texts = re.findall("<text[^>]*>([^<]*)</text>", (tmp_path / "line.svg").read_text(encoding="utf-8"))
    assert "pretending_to_put_something_onto_some..." in texts
    assert "pretending to put something onto..." in texts
    assert "short" in texts
    assert "x" * 107 + "..." in texts


def test_time_lines_of_several_videos_go_into_a_folder(model: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    for name in ("a.mp4", "sub/a.mp4"):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        encode(videos / name, num_frames=20)
    assert run(model, videos, "--csv", tmp_path / "lines").exit_code == 0
    assert {str(p.relative_to(tmp_path / "lines")) for p in (tmp_path / "lines").rglob("*.csv")} == {
        "a.mp4.csv",
        "sub/a.mp4.csv",
    }
    (tmp_path / "file.csv").write_text("mine")
    result = run(model, videos, "--csv", tmp_path / "file.csv")
    assert result.exit_code == 1
    assert "Name a folder" in result.stderr.replace("\n", " ")
    assert (tmp_path / "file.csv").read_text() == "mine"


def test_what_could_be_read_of_a_truncated_film_is_told(model: Path, tmp_path: Path) -> None:
    film = encode(tmp_path / "cut.mkv", num_frames=100)
    film.write_bytes(film.read_bytes()[: int(film.stat().st_size * 0.6)])
    result = run(model, film, "--json", "--window", "clip")
    (found,) = objects(result)
    assert result.exit_code == 1
    assert len(found["windows"]) >= 2
    assert "Cannot decode" in found["error"]


def test_a_name_that_is_no_text(model: Path, film: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    try:
        with open(name, "wb") as file:
            file.write(film.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    for extra in (("--json",), (), ("--csv", tmp_path / "line.csv")):
        result = run(model, os.fsdecode(name), *extra)
        assert result.exit_code == 0, result.output
        assert "caf?.mp4" in result.stdout.replace("\n", "")
    assert "caf?.mp4" in (tmp_path / "line.csv").read_text(encoding="utf-8")


def test_a_url(model: Path, film: Path) -> None:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=film.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        result = run(model, f"{address}/{film.name}", f"{address}/absent.mp4", "--json")
        server.shutdown()
    found, absent = objects(result)
    assert scores(found) == pytest.approx(expected_scores(model, film), abs=1e-5)
    assert "404" in absent["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--clips", 2, "--window", "4"), "Leave out one"),
        (("--clips", 10**20), "x `num_frames` (4) are more frames than a video has. Lower one of them, to 10,000,000"),
        (("--clips", 2_000_000), "`num_clips` (2000000) x `num_crops` (1) views of 4 frames would take 5.7 GiB"),
        (("--picture", "line.docx"), "cannot be a .docx file"),
        (("--csv", "s3://me/lines"), "`--csv` (s3:/me/lines) is an address. Name a place on this machine"),
        (("--window", "4x"), "must be seconds"),
        (("--stride", "0"), "must be seconds"),
        (("--dtype", "float8"), "must be one of"),
        (("--device", "cuda:77"), "cannot be used here"),
        (("--device", "nonsense"), "cannot be used here"),
        (("--processor", "/not/there"), "does not exist"),
        (("no/such/folder/", "--json"), "does not exist"),
    ],
)
def test_wrong_wishes_are_refused_in_words(model: Path, film: Path, arguments: tuple, words: str) -> None:
    result = run(model, film, *arguments)
    assert result.exit_code == 1
    assert words in " ".join(result.stderr.split())
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_processor_without_a_clip_length_asks_for_one(tmp_path: Path, film: Path) -> None:
    folder = save(tmp_path)
    VideoMAEv2VideoProcessor(**SIZES, sampling="uniform").save_pretrained(folder)
    result = run(folder, film, "--window", "clip")
    assert result.exit_code == 1
    assert "--window 4" in " ".join(result.stderr.split())
    assert run(folder, film, "--window", "1").exit_code == 0


@pytest.mark.parametrize("wrong", [{"num_hidden_layers": 1}, {"num_hidden_layers": 3}, {"intermediate_size": 64}])
def test_weights_that_do_not_fit_the_configuration_are_refused(
    model: Path, tmp_path: Path, film: Path, wrong: dict[str, int]
) -> None:
    copy = shutil.copytree(model, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | wrong))
    result = run(copy, film)
    assert result.exit_code == 1
    assert "videomae_v2.layers." in result.stderr
    assert "ignore_mismatched_sizes" not in result.stderr  # that is for those who write Python
    assert "Take the config.json that was saved with the weights" in " ".join(result.stderr.split())


def test_models_that_cannot_answer_are_refused(model: Path, tmp_path: Path, film: Path) -> None:
    result = run(save(tmp_path / "pre", VideoMAEv2ForPreTraining), film)
    assert result.exit_code == 1
    assert "no classifier" in result.stderr
    result = run(tmp_path / "absent", film)
    assert result.exit_code == 1
    assert "does not exist" in result.stderr
    tiny_model(VideoMAEv2ForVideoClassification).save_pretrained(tmp_path / "bare")
    result = run(tmp_path / "bare", film)
    assert result.exit_code == 1
    assert "no video processor" in result.stderr
    assert run(tmp_path / "bare", film, "--processor", model).exit_code == 0


def test_videos_that_would_be_mixed_up_are_refused(model: Path, film: Path, tmp_path: Path) -> None:
    other = tmp_path / film.name
    other.write_bytes(film.read_bytes())
    result = run(model, film, other, "--csv", tmp_path / "lines")
    assert result.exit_code == 1
    assert "same name" in result.stderr
    assert len(objects(run(model, film, other, film, "--json"))) == 2  # the same video again is left out
    (tmp_path / "empty").mkdir()
    result = run(model, tmp_path / "empty")
    assert result.exit_code == 1
    assert "pass the files by name" in result.stderr
    (tmp_path / "empty" / "00001.JPG").touch()
    assert "Of pictures, write a video" in run(model, tmp_path / "empty").stderr


def test_names_of_addresses() -> None:
    addresses = ["https://a.org/x%20y.mp4?key=1", "https://b.org/x%20y.mp4", "https://a.org/", "https://a.org/.mp4"]
    names = [source.name for source in find_sources(addresses)]
    assert [name[8:] for name in names] == ["-x_y.mp4", "-x_y.mp4", "-video", "-mp4"]
    assert len({name[:8] for name in names}) == 4
    assert find_sources(["file:///films/x%20y.mp4"])[0].name == "x_y.mp4"


def test_natural_order_goes_by_numbers_whatever_the_case(tmp_path: Path) -> None:
    for name in ("b2.mp4", "B10.mp4", "a.mp4", "C.mp4"):
        (tmp_path / name).touch()
    assert [source.name for source in find_sources([str(tmp_path)])] == ["a.mp4", "b2.mp4", "B10.mp4", "C.mp4"]


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "b/2.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True)
        (tmp_path / "videos" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "3.mp4").touch()
    for link, target in (("up", ".."), ("a/b", "b"), ("b/a", "a"), ("same", "../elsewhere"), ("again", "../elsewhere")):
        (tmp_path / "videos" / link).symlink_to(tmp_path / "videos" / target)
    (tmp_path / "videos" / "itself").symlink_to("itself")
    names = [source.name for source in find_sources([str(tmp_path / "videos")])]
    assert names == [
        "a/1.mp4", "a/b/2.mp4", "again/3.mp4", "b/2.mp4", "b/a/1.mp4", "same/3.mp4", "up/elsewhere/3.mp4",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_compiled_model_says_the_same(model: Path, film: Path) -> None:
    plain, compiled = (
        objects(run(model, film, "--json", "--stride", "0.5", "--batch-size", 2, *extra))[0]
        for extra in ((), ("--compile",))
    )
    assert scores(compiled) == pytest.approx(scores(plain), abs=1e-4)


def test_a_time_line_replaces_no_video_and_no_file_unasked(model: Path, film: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(film, tmp_path / "mine.mp4"))
    (tmp_path / "link.csv").symlink_to(mine)
    for target, word in (
        (mine, "one of the videos"),
        ("link.csv", "one of the videos"),
        ("new.MP4", "name of a video"),
    ):
        for option in ("--csv", "--picture"):
            for extra in ((), ("--overwrite",)):
                result = run(model, mine, option, tmp_path / target, *extra)
                assert result.exit_code == 1
                assert word in " ".join(result.stderr.split())
    assert mine.read_bytes() == film.read_bytes()
    table = tmp_path / "line.csv"
    table.write_text("mine")
    result = run(model, mine, "--csv", table)
    assert result.exit_code == 1
    assert "pass --overwrite" in " ".join(result.stderr.split())
    assert table.read_text() == "mine"
    assert run(model, mine, "--csv", table, "--overwrite").exit_code == 0
    assert table.read_text().startswith("video,start")


def test_files_and_folders_of_time_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = find_sources(["a.mp4"]), find_sources(["a.mp4", "b.mp4"])
    (tmp_path / "plain").touch()
    for name in ("plain", "new.csv"):
        assert choose_targets("--csv", tmp_path / name, one, ".csv", overwrite=True) == [tmp_path / name]
    (tmp_path / "lines.d").mkdir()
    assert choose_targets("--csv", tmp_path / "lines.d", one, ".csv") == [tmp_path / "lines.d" / "a.mp4.csv"]
    assert choose_targets("--csv", tmp_path / "new.d", two, ".csv") == [
        tmp_path / "new.d" / name for name in ("a.mp4.csv", "b.mp4.csv")
    ]
    assert not (tmp_path / "new.d").exists()
    (tmp_path / "new.d").mkdir()
    for name in ("a.mp4.csv", "b.mp4.csv"):
        (tmp_path / "new.d" / name).touch()
    with pytest.raises(FileExistsError, match=r"a\.mp4\.csv and 1 more"):
        choose_targets("--csv", tmp_path / "new.d", two, ".csv")
    with pytest.raises(FileExistsError, match=r"a\.mp4\.csv\. Name another place"):
        choose_targets("--csv", tmp_path / "new.d", one, ".csv")
    (tmp_path / "link").symlink_to(tmp_path / "new.csv")
    (tmp_path / "new.csv").touch()  # a video, whatever its name
    linked = find_sources([str(tmp_path / "link")])
    with pytest.raises(ValueError, match="one of the videos"):
        choose_targets("--csv", tmp_path / "new.csv", linked, ".csv", overwrite=True)
    deep = tmp_path / "new" / "and" / "deep" / "line.csv"
    assert choose_targets("--csv", deep, one, ".csv") == [deep]
    assert not (tmp_path / "new").exists()
    below = tmp_path / "new.csv" / "below"
    said = rf"{re.escape(str(below))} cannot be made: {re.escape(str(below.parent))} is no folder\. Name another place"
    with pytest.raises(OSError, match=said):
        choose_targets("--csv", below / "line.csv", one, ".csv")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=f"Nothing can be written to {tmp_path}. Name another place"):
        choose_targets("--csv", deep, one, ".csv")


@pytest.mark.parametrize("videos", [1, 2])
def test_a_run_without_a_video_makes_no_folder(model: Path, tmp_path: Path, videos: int) -> None:
    missing = [tmp_path / f"{number}.mp4" for number in range(videos)]
    places = ("--csv", tmp_path / "new" / "line.csv", "--picture", tmp_path / "other" / "line.png")
    result = run(model, *missing, *places, "--window", "clip")
    assert result.exit_code == 1
    assert "the file does not exist" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["runs/absent/model", "runs\\", "./absent", "absent/"])
def test_a_path_to_no_model_is_a_missing_folder_at_once(film: Path, name: str) -> None:
    for command in (("predict", name, film), ("features", name, film, "--out", "unused"), ("export", name, "x.onnx")):
        result = CliRunner().invoke(app, [*map(str, command)])
        assert result.exit_code == 1
        assert f"no checkpoint at {name}: the folder does not exist" in " ".join(result.stderr.split())


def test_a_name_that_the_hub_does_not_give_may_be_a_missing_folder(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("motion", "runs/motion"):
        result = run(name, film)
        assert result.exit_code == 1
        assert f"There is no folder {name} here, and" in " ".join(result.stderr.split())


def spoil(folder: Path, name: str, content: bytes) -> Path:
    for weights in folder.glob("*.safetensors") if name.endswith(".bin") else ():
        weights.unlink()
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"version https://git-lfs"),
        ("model.safetensors", b""),
        ("pytorch_model.bin", b""),
        ("pytorch_model.bin", b"junk"),
        ("pytorch_model.bin", b"\x80\x02cos\nsystem\n."),
        ("model.safetensors.index.json", b"{}"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "b"}}'),
        ("video_preprocessor_config.json", b"{"),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"model_type": "videomae_v2", "hidden_size": "32"}'),
    ],
)
def test_a_damaged_file_of_a_model_is_named(film: Path, tmp_path: Path, name: str, content: bytes) -> None:
    folder = save(tmp_path / "model")
    spoiled = spoil(folder, name, content)
    for command in (("predict", folder, film), ("features", folder, film, "--out", tmp_path / "out")):
        result = CliRunner().invoke(app, [*map(str, command)])
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit), result.exception
        words = " ".join(result.stderr.split())
        assert str(spoiled if b"32" not in content else folder) in words, words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EOFError(), "The weights of me/model cannot be read (it ends too early). Copy"),
        (OSError("one line\nand more"), "There is no folder me/model here, and the Hub does not give a model of this "
         "name: one line"),
        (PermissionError(), "There is no folder me/model here, and the Hub does not give a model of this name: Permi"),
        (ValueError("too wide"), "me/model: too wide"),
        (ValueError("the width of me/model"), "the width of me/model"),
        (ZeroDivisionError("by 0"), "by 0"),
    ],
)  # fmt: skip
def test_what_goes_wrong_while_loading_names_the_model(error: Exception, words: str) -> None:
    with pytest.raises(Exception, match=f"^{re.escape(words)}") as caught, errors_in_words("me/model"):
        raise error
    assert isinstance(caught.value, ValueError if isinstance(error, EOFError) else (type(error), OSError))
    assert str(caught.value).count("me/model") == (not isinstance(error, ZeroDivisionError))


def test_a_search_for_damage_runs_nothing(tmp_path: Path) -> None:
    EXECUTING["os.system"](tmp_path / "pytorch_model.bin", tmp_path / "sentinel")
    words = r"The weights .*pytorch_model\.bin cannot be read"
    with pytest.raises(ValueError, match=words), errors_in_words(str(tmp_path)):
        raise UnpicklingError("refused")
    assert not (tmp_path / "sentinel").exists()


def test_weights_that_an_index_names_and_that_are_not_there(film: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    result = run(folder, film)
    assert result.exit_code == 1
    assert "lacks model-1.safetensors and 1 more, which model.safetensors.index.json" in " ".join(result.stderr.split())


def test_an_index_may_name_files_of_other_folders(film: Path, tmp_path: Path) -> None:
    """As transformers loads them."""
    folder = save(tmp_path / "model")
    (folder / "parts").mkdir()
    weights = dict.fromkeys(load_file(folder / "model.safetensors"), "parts/all.safetensors")
    (folder / "model.safetensors").rename(folder / "parts" / "all.safetensors")
    index = {"metadata": {}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert run(folder, film).exit_code == 0


def test_files_of_an_index_that_is_not_used_may_be_left_out(film: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    index = {"metadata": {}, "weight_map": {"a": "pytorch_model-1.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert run(folder, film).exit_code == 0


def test_what_is_no_file_is_not_replaced(film: Path, model: Path, tmp_path: Path) -> None:
    for name in ("device", "device.csv"):
        device = tmp_path / name
        device.symlink_to("/dev/null")
        result = run(model, film, "--csv", device, "--overwrite")
        assert (result.exit_code, device.is_symlink()) == (1, True)
        assert "is no file that can be replaced" in " ".join(result.stderr.split())


def test_an_address_that_is_none_is_named(model: Path) -> None:
    result = run(model, "http://[::1", "--csv", "unused")
    assert result.exit_code == 1
    assert "http://[::1 is no address (Invalid IPv6 URL)" in " ".join(result.stderr.split())


@pytest.mark.parametrize("inside", ["model", "best"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "RUN", "FILM"),
        ("features", "RUN", "FILM", "--out", "OUT"),
        ("export", "RUN", "OUT", "--format", "onnx"),
        ("publish", "RUN", "me/model"),
        ("convert", "RUN", "OUT"),
    ],
)
def test_the_folder_of_a_training_run_is_told_from_that_of_its_model(
    film: Path, tmp_path: Path, arguments: tuple[str, ...], inside: str
) -> None:
    (tmp_path / "run" / inside).mkdir(parents=True)
    (tmp_path / "run" / inside / "config.json").write_text("{}")
    words = {"RUN": str(tmp_path / "run"), "FILM": str(film), "OUT": str(tmp_path / "out")}
    result = CliRunner().invoke(app, [words.get(word, word) for word in arguments])
    assert result.exit_code == 1
    assert f"left its model in {tmp_path / 'run' / inside}: name that folder." in " ".join(result.stderr.split())


def test_a_folder_without_configuration_is_no_model(film: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"")
    for name, word in ((tmp_path, "has no config.json"), (tmp_path / "weights.pth", "videomae-v2 convert")):
        result = run(name, film)
        assert result.exit_code == 1
        assert word in " ".join(result.stderr.split())


@pytest.mark.parametrize(("dtype", "hint"), [("float32", "may be damaged"), ("bfloat16", "--dtype float32")])
def test_answers_that_are_no_numbers_are_an_error(film: Path, tmp_path: Path, dtype: str, hint: str) -> None:
    net = tiny_model(VideoMAEv2ForVideoClassification)
    torch.nn.init.constant_(net.videomae_v2.fc_norm.weight, torch.nan)
    net.save_pretrained(tmp_path / "model")
    VideoMAEv2VideoProcessor(**SIZES).save_pretrained(tmp_path / "model")
    for command in (("predict", "--json"), ("features", "--out", tmp_path / "out")):
        arguments = [command[0], tmp_path / "model", film, *command[1:], "--dtype", dtype]
        result = CliRunner().invoke(app, [*map(str, arguments)])
        words = " ".join(result.stderr.split())
        assert result.exit_code == 1
        assert result.stdout == ""
        assert f"{tmp_path / 'model'} gives values that are NaN or infinite, in {dtype}" in words
        assert hint in words
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_a_missing_video_is_said_before_the_model_loads(film: Path, model: Path, tmp_path: Path) -> None:
    result = run(tmp_path / "no" / "model" / "either", tmp_path / "absent.mp4")
    assert result.exit_code == 1
    assert f"There is no video {tmp_path / 'absent.mp4'}" in " ".join(result.stderr.split())
    result = run(tmp_path, tmp_path / "absent.mp4", tmp_path / "lost.mp4")
    assert f"{tmp_path / 'absent.mp4'} (and 1 more): the file does not exist" in " ".join(result.stderr.split())
    result = run(model, film, tmp_path / "absent.mp4", "--json")
    assert "absent.mp4; the others go on" in " ".join(result.stderr.split())
    assert ["error" in entry for entry in objects(result)] == [False, True]


def test_a_full_disk_is_said(film: Path, model: Path, tmp_path: Path) -> None:
    for option in ("--csv", "--picture"):
        path = tmp_path / {"--csv": "line.csv", "--picture": "line.png"}[option]
        with full_disk():
            result = run(model, film, "--window", "1f", option, path)
        assert f"{path} cannot be written: File too large" in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_standard_output_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with Reporter(quiet=True).output() as console:
        console.print("nobody reads this")


def test_a_revision_is_for_the_hub(film: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is a folder" in " ".join(run(model, film, "--revision", "v2").stderr.split())
    asked: list[tuple] = []

    def from_pretrained(cls: type, name: str, **options) -> None:
        asked.append((name, options["revision"]))
        raise OSError("enough")

    monkeypatch.setattr(VideoMAEv2ForVideoClassification, "from_pretrained", classmethod(from_pretrained))
    assert run("me/model", film, "--revision", "v2").exit_code == 1
    assert asked == [("me/model", "v2")]


def test_the_version_is_that_of_the_project() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{modeling_videomae_v2.__version__}"\n' in project
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"videomae-v2 {modeling_videomae_v2.__version__}\n")
