# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics against counts by hand; tables and picture made of them."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


pytest.importorskip("pyarrow")
import pyarrow as pa

from training.evaluation.metrics import MeanClassAccuracy, TopKAccuracy, true_class_ranks
from training.evaluation.picture import draw_confusion
from training.evaluation.report import Results, print_table, write_csv, write_json
from training.evaluation.store import SCHEMA, Prediction


ROOT = Path(__file__).parents[1]


def random_scores(videos: int = 200, classes: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that often favour the true class, and labels; the last class has no videos."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes - 1, videos)
    scores = generator.normal(size=(videos, classes)).astype(np.float32)
    scores[np.arange(videos), labels] += 1.0
    return scores, labels


def counted(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Top-k accuracy, one video after the other."""
    right = 0
    for row, label in zip(scores.tolist(), labels.tolist()):
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))
        right += label in order[:k]
    return right / len(labels)


def test_against_a_count_by_hand() -> None:
    scores, labels = random_scores()
    found = TopKAccuracy(k=(1, 3, 5)).compute(predictions=scores, references=labels)
    assert found == pytest.approx({f"top{k}": counted(scores, labels, k) for k in (1, 3, 5)})
    assert 0.2 < found["top1"] < found["top3"] < found["top5"] < 1.0
    by_class = [counted(scores[labels == c], labels[labels == c], 1) for c in range(6)]
    mean = MeanClassAccuracy().compute(predictions=scores, references=labels)
    assert mean == {"mean_class_accuracy": pytest.approx(np.mean(by_class))}


def test_metrics_write_no_files(tmp_path: Path) -> None:
    for metric in (TopKAccuracy(cache_dir=str(tmp_path)), MeanClassAccuracy(cache_dir=str(tmp_path))):
        metric.add(prediction=[0.1, 0.9], reference=1)
        metric.compute()
    assert not list(tmp_path.iterdir())


def test_processes_may_share_a_metric(tmp_path: Path) -> None:
    """Through files, as there is no other way."""
    metric = TopKAccuracy(k=1, num_process=2, process_id=1, experiment_id="x", cache_dir=str(tmp_path))
    assert not metric.keep_in_memory


def test_a_class_without_videos_does_not_count() -> None:
    scores = np.eye(4, dtype=np.float32)[[0, 1, 3, 3]]  # of the classes 0, 0 and 3, 3
    mean = MeanClassAccuracy().compute(predictions=scores, references=[0, 0, 3, 3])
    assert mean == {"mean_class_accuracy": 0.75}


def test_in_batches_and_one_by_one() -> None:
    scores, labels = random_scores()
    expected = TopKAccuracy().compute(predictions=scores, references=labels)
    assert set(expected) == {"top1", "top5"}
    metric = TopKAccuracy()
    metric.add_batch(predictions=scores[:0], references=labels[:0])
    for first in range(0, 190, 60):
        metric.add_batch(predictions=scores[first : first + 60], references=labels[first : first + 60])
    metric.add_batch(predictions=scores[:0].tolist() or np.zeros((0, 7)), references=[])
    assert metric.compute() == expected
    assert metric.compute(predictions=scores, references=labels) == expected  # and anew
    single = TopKAccuracy()
    for row, label in zip(scores, labels):
        single.add(prediction=row, reference=label)
    assert single.compute() == expected


def test_equal_scores_and_videos_without_an_answer() -> None:
    scores = [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [np.nan] * 3, [0.0, 0.0, 0.0]]
    ranks = true_class_ranks(scores, [0, 1, 2, 2])
    assert ranks[:2].tolist() == [0, 1]  # the lower id comes first
    assert ranks[3] == 2
    assert TopKAccuracy(k=1_000).compute(predictions=scores, references=[0, 1, 2, 2]) == {"top1000": 0.75}


def test_no_videos_at_all() -> None:
    found = TopKAccuracy(k=1).compute(predictions=np.zeros((0, 3)), references=np.zeros(0, dtype=int))
    assert np.isnan(found["top1"])


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([[0.1, 0.9]], [2], "label 2 is none of the 2 classes"),
        ([[0.1, 0.9]], [-1], "label -1 is none"),
        ([[0.1, 0.9]], [0, 1], r"got \(1, 2\) and \(2,\)"),
        ([0.1, 0.9], [0, 1], r"Expected predictions \(videos, classes\)"),
    ],
)
def test_inputs_that_make_no_sense(scores: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TopKAccuracy().compute(predictions=scores, references=labels)
    for k in ((), (0, 5)):
        with pytest.raises(ValueError, match="`k` must be at least 1"):
            TopKAccuracy(k=k)


@pytest.mark.slow
def test_no_network_and_no_files(tmp_path: Path) -> None:
    """In a process that may not connect, with a home folder of its own, which stays empty."""
    code = """
import socket
def refuse(*_): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
import evaluate
from training.evaluation.metrics import MeanClassAccuracy, TopKAccuracy
both = evaluate.combine([TopKAccuracy(k=(1, 2)), MeanClassAccuracy()])
print(both.compute(predictions=[[0.9, 0.1], [0.6, 0.4]], references=[0, 1]))
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "XDG_"))}
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work, capture_output=True, text=True, check=False, timeout=200,
        env={**environment, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "{'top1': 0.5, 'top2': 1.0, 'mean_class_accuracy': 0.5}"
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if "metric" in str(path) or "evaluate" in str(path) or path.suffix == ".arrow"]


def results(bad: tuple[int, ...] = (), unreadable: str = "wrong", classes: int = 7) -> Results:
    """Results of two tests over 40 videos; some cannot be read."""
    scores, labels = random_scores(40, classes)
    scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    single = np.roll(scores, 1, axis=0)
    predictions = [
        Prediction(i, f"{i}.mp4", int(labels[i]), error="broken")
        if i in bad
        else Prediction(i, f"{i}.mp4", int(labels[i]), scores[i], single[i])
        for i in range(40)
    ]
    table = pa.Table.from_pylist([prediction.as_row() for prediction in predictions], SCHEMA)
    return Results(table, [f"name {i}" for i in range(classes)], unreadable=unreadable)


def test_both_ways_to_count_unreadable_videos() -> None:
    scores, labels = random_scores(40)
    good = np.arange(40) >= 3
    right = counted(scores[good], labels[good], 1) * 37
    summary = results((0, 1, 2)).summary()
    assert (summary["videos"], summary["unreadable"]) == (40, 3)
    assert summary["multi_view"]["top1"] == pytest.approx(right / 40)
    assert summary["otherwise"]["multi_view"]["top1"] == pytest.approx(right / 37)
    excluded = results((0, 1, 2), "exclude").summary()
    assert excluded["multi_view"] == summary["otherwise"]["multi_view"]
    assert excluded["otherwise"]["multi_view"] == summary["multi_view"]
    assert excluded["single_view"] != excluded["multi_view"]
    assert "otherwise" not in results().summary()


def test_nothing_can_be_read() -> None:
    found = results(tuple(range(40)))
    assert found.summary()["multi_view"] == {"top1": 0.0, "top5": 0.0, "mean_class_accuracy": 0.0}
    assert found.summary()["otherwise"]["multi_view"]["top1"] is None
    assert found.confusion.sum() == 0
    assert found.confusion_rows() == []
    assert found.predictions()["predicted"].null_count == 40


def test_classes_and_confusions_agree_with_the_whole(tmp_path: Path) -> None:
    found = results((5,))
    by_class = found.class_rows()
    videos = np.array([row["videos"] for row in by_class])
    top1 = np.array([row["multi_view_top1"] or 0.0 for row in by_class])
    assert (videos * top1).sum() / 40 == pytest.approx(found.summary()["multi_view"]["top1"], abs=1e-5)
    assert by_class[6]["multi_view_top1"] == ""  # no videos, no number
    assert found.confusion.sum() == 39
    mistakes = found.confusion_rows()
    assert sum(row["videos"] for row in mistakes) == 39 - np.trace(found.confusion)
    order = [(-row["videos"], row["true"], row["predicted"]) for row in mistakes]
    assert order == sorted(order)  # of equal ones the lower ids first
    write_csv(tmp_path / "classes.csv", [{**by_class[0], "name": 'a, "b"'}])
    assert next(csv.DictReader((tmp_path / "classes.csv").open()))["name"] == 'a, "b"'


@pytest.mark.parametrize("unreadable", ["wrong", "exclude"])
def test_the_rows_of_classes_are_sums_of_the_mistakes(unreadable: str) -> None:
    found = results((0, 1, 2), unreadable)
    for row in found.class_rows():
        own = [mistake for mistake in found.confusion_rows() if mistake["true"] == row["name"]]
        right = row["videos"] - row["unreadable"] - sum(mistake["videos"] for mistake in own)
        counted = row["videos"] - (row["unreadable"] if unreadable == "exclude" else 0)
        assert row["multi_view_top1"] == (pytest.approx(right / counted, abs=1e-6) if counted else "")
        most = own[0] if own else {"predicted": "", "videos": 0}
        assert (row["taken_for"], row["taken_for_videos"]) == (most["predicted"], most["videos"])


def test_of_equal_scores_the_lower_id_is_the_best() -> None:
    """And no class comes twice, where the others have a score of zero, or are fewer than five."""
    many = np.random.default_rng(0).integers(0, 3, 700)
    for scores, best in (
        (many, np.flatnonzero(many == 2)[:5].tolist()), (np.eye(7)[2], [2, 0, 1, 3, 4]), (np.eye(3)[1], [1, 0, 2]),
    ):  # fmt: skip
        table = pa.Table.from_pylist([Prediction(0, "a.mp4", 0, scores.astype(np.float32)).as_row()], SCHEMA)
        found = Results(table, [f"name {i}" for i in range(len(scores))], tests=("multi_view",))
        assert found.best["multi_view"][0].tolist() == best


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    """As names of files may be."""
    write_csv(tmp_path / "a.csv", [{"path": "\udcf6.mp4"}])
    write_json(tmp_path / "a.json", {"path": "\udcf6.mp4"})
    assert all("\\udcf6.mp4" in (tmp_path / name).read_text() for name in ("a.csv", "a.json"))


def test_the_table_on_the_screen(capsys: pytest.CaptureFixture) -> None:
    tests = {"multi_view": "5 x 3", "single_view": "centre"}
    found = results()
    print_table(found, tests, ["Files are in [runs/test]."])
    lines = capsys.readouterr().out.splitlines()
    for name, values in found.accuracies().items():
        line = next(line for line in lines if tests[name] in line)
        assert [cell.strip() for cell in line.split("│")[2:-1]] == [f"{100 * value:.2f}" for value in values.values()]
    assert lines[-1] == "Files are in [runs/test]."
    print_table(results(tuple(range(40)), "exclude"), tests, [])
    line = next(line for line in capsys.readouterr().out.splitlines() if "centre" in line)
    assert [cell.strip() for cell in line.split("│")[2:-1]] == ["-", "-", "-"]


def test_predictions_table() -> None:
    found = results((5,))
    rows = found.predictions().to_pylist()
    assert rows[5]["predicted"] is None
    assert rows[5]["top5"] is None
    for row in (row for row in rows if row["video"] != 5):
        assert row["label_name"] == f"name {row['label']}"
        assert row["predicted"] == row["top5"][0] == int(np.argmax(row["probabilities"]))
        assert row["single_view_predicted"] == int(np.argmax(row["single_view_probabilities"]))


@pytest.mark.filterwarnings("error:Glyph")
@pytest.mark.parametrize(("classes", "dots"), [(1, None), (12, None), (45, 16), (710, 2), (1600, 1), (4200, 1 / 3)])
def test_picture(classes: int, dots: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that matplotlib would take for formulas, or has no letters for, do not spoil it; size is bounded."""
    counts = np.eye(classes, dtype=np.int64) * 3
    counts[0, -1] += 2
    names = ["$x^{$", "日本語 \n", "a" * 200, *(f"class {i}" for i in range(classes))][:classes]
    mistakes = [{"true": names[0], "predicted": names[-1], "videos": 2, "share": 0.4}]
    figure = drawn(monkeypatch, tmp_path / "confusion.png", counts, names, mistakes, "a $x^{$ title")
    if dots is not None:  # whole pixels for each class of a map, or for as many as share a cell
        assert figure.axes[0].bbox.width == pytest.approx(classes * dots)
        assert figure.axes[0].images[0].get_array()[0, -1] == pytest.approx(40)
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.size == pytest.approx(figure.bbox.size, abs=1)  # drawn as large as it is laid out
        assert 400 < picture.width < 4500
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.std() > 5


def drawn(monkeypatch: pytest.MonkeyPatch, path: Path, *args: Any) -> Any:
    """The figure that `draw_confusion` saves."""
    from matplotlib.figure import Figure

    save, saved = Figure.savefig, []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **kw: saved.append(figure) or save(figure, *a, **kw))
    draw_confusion(path, *args)
    return saved[0]


@pytest.mark.filterwarnings("error:invalid value")
def test_cells_of_a_picture_of_few_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Percent of the videos of the true class, which is the row; a class without videos has an empty row."""
    counts = np.array([[997, 3, 0], [56, 43, 1], [0, 0, 0]])
    axes = drawn(monkeypatch, tmp_path / "a.png", counts, ["co\x07ok\udcf6", "sing$", "word" * 20], [], "title").axes[0]
    assert axes.figure.get_suptitle() == "title"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    np.testing.assert_allclose(axes.images[0].get_array(), [[99.7, 0.3, 0], [56, 43, 1], [0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 100)
    cells = {text.get_position()[::-1]: (text.get_text(), text.get_color()) for text in axes.texts}
    assert cells == {
        (0, 0): ("100", "white"), (0, 1): ("<1", "black"), (1, 0): ("56", "white"), (1, 1): ("43", "black"),
        (1, 2): ("1", "black"),
    }  # fmt: skip
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["co ok?", "sing$", ("word" * 20)[:34]]


def test_map_of_many_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same shares, a cell without videos left blank, and the list of mistakes, cut where the picture ends."""
    classes = 41
    counts = np.eye(classes, dtype=np.int64) * 6
    counts[2, 7] = 2
    name = "a very long name of a class, which is cut"
    rows = [{"true": name, "predicted": f"class {i}", "videos": 300 - i, "share": 0.25} for i in range(200)]
    rows[1]["predicted"] = "\n" + "w" * 33 + " and more"  # no other word has room beside the dots
    figure = drawn(monkeypatch, tmp_path / "a.png", counts, [name] * classes, rows, "title")
    cells, listing = figure.axes[0], figure.axes[1]
    assert (cells.get_xlabel(), cells.get_ylabel()) == ("predicted class (id)", "true class (id)")
    shares = cells.images[0].get_array()
    assert (shares[2, 7], shares[2, 2], shares[1, 1]) == (25.0, 75.0, 100.0)
    assert shares.mask.sum() == classes * classes - classes - 1
    assert cells.images[0].get_clim() == (0, 100)
    assert cells.images[0].get_extent() == [-0.5, classes - 0.5, classes - 0.5, -0.5]
    lines = [line.split() for line in listing.texts[0].get_text().splitlines()]
    assert lines[2] == ["25", "300", "a", "very", "long", "name", "of", "a", "class,..."]
    assert (lines[3], lines[5]) == ([">", "class", "0"], [">", "w" * 33])
    box = listing.texts[0].get_window_extent()
    assert 0.8 * listing.bbox.height < box.height <= listing.bbox.height
    figure = drawn(monkeypatch, tmp_path / "b.png", np.eye(classes), [name] * classes, [], "title")
    assert figure.axes[1].texts[0].get_text().splitlines()[-1] == "none"
    assert figure.axes[0].images[0].get_array().compressed().tolist() == [100.0] * classes  # of one video each
