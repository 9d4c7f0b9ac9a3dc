"""Clips and batches: frames, repeated augmentation, unreadable videos, workers, processes, resumption."""

import gc
import hashlib
import itertools
import multiprocessing
import time
import traceback
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import ask_to_stop
from video_files import av, encode, encode_sound, read_numbers

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.video_sources_videomae_v2 import VideoDecodingError
from training.data import ClipDataset, FrameSampler, Mixture, TooManyBadVideosError, build_loader
from training.data.augment import ViewMaker
from training.data.clips import MAX_TRIES
from training.data.faults import Fault, FaultCounter
from training.data.files import FolderSource
from training.data.workers import obey_only_parent
from training.recipe import DataRecipe, SourceRecipe


FRAMES, SIZE = 4, 32
BAD = ("cut.mp4", "empty.mp4", "noise.mp4", "sound.mp4")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of five videos with 20 to 29 frames."""
    folder = tmp_path_factory.mktemp("good")
    for i in range(10):
        path = folder / "ab"[i % 2] / f"{i}.mp4"
        path.parent.mkdir(exist_ok=True)
        encode(path, num_frames=20 + i)
    return folder


@pytest.fixture(scope="module")
def mixed(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of the ten good videos, of four that cannot be read, and of one that is not there."""
    folder = tmp_path_factory.mktemp("bad")
    whole = (good / "a" / "0.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    encode_sound(folder / "sound.mp4")
    paths = [*(str(folder / name) for name in BAD), str(folder / "missing.mp4"), *map(str, sorted(good.rglob("*.mp4")))]
    (folder / "list.txt").write_text("".join(f"{path} {i % 3}\n" for i, path in enumerate(paths)), encoding="utf-8")
    return folder / "list.txt"


def recipe_for(path: Path | str, **options: Any) -> DataRecipe:
    kind = "list" if Path(path).suffix == ".txt" else "folder"
    sources = options.pop("sources", None) or [SourceRecipe(path=str(path), kind=kind)]
    defaults = {"num_frames": FRAMES, "image_size": SIZE, "views": 2, "workers": 0, "max_bad_share": 1.0}
    return DataRecipe(sources=sources, **{**defaults, **options})


def first_batches(recipe: DataRecipe, count: int, start: int = 0, **options: Any) -> list[dict[str, torch.Tensor]]:
    loader = build_loader(recipe, **{"batch_size": 4, "seed": 5, "labelled": True, **options})
    loader.set_position(start)
    return list(itertools.islice(loader, count))


def assert_same(first: list[dict[str, torch.Tensor]], second: list[dict[str, torch.Tensor]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


# frames


@pytest.mark.parametrize(("total", "rate"), [(300, 4), (61, 4), (62, 4), (300, 2), (17, 1)])
def test_dense_frames_start_anywhere(total: int, rate: int) -> None:
    choose, starts = FrameSampler(16, 4), set()
    for seed in range(400):
        frames = choose(total, rate, np.random.default_rng(seed))
        assert set(np.diff(frames)) == {rate}
        assert frames[-1] < total
        starts.add(int(frames[0]))
    room = total - 15 * rate - 1
    assert min(starts) <= room * 0.05
    assert max(starts) >= room * 0.95


def test_short_videos_repeat_their_last_frame() -> None:
    for seed in range(5):
        assert FrameSampler(6, 4)(10, None, np.random.default_rng(seed)).tolist() == [0, 4, 8, 8, 8, 8]
        assert FrameSampler(3, 2)(1, None, np.random.default_rng(seed)).tolist() == [0, 0, 0]


def test_uniform_frames_lie_in_their_segments() -> None:
    choose = FrameSampler(8, 4, "uniform")
    drawn = np.stack([choose(40, None, np.random.default_rng(seed)) for seed in range(300)])
    for i in range(8):
        assert set(drawn[:, i]) == set(range(5 * i, 5 * i + 5))
    short = choose(3, None, np.random.default_rng(0))
    assert (np.diff(short) >= 0).all()
    assert set(short) <= {0, 1, 2}


@pytest.mark.parametrize("sampling", ["dense", "uniform"])
def test_without_chance_the_frames_of_the_video_processor(sampling: str) -> None:
    processor = VideoMAEv2VideoProcessor(num_frames=16, sampling_rate=4, sampling=sampling, do_resize=False,
                                         do_center_crop=False, do_rescale=False, do_normalize=False)  # fmt: skip
    choose, rng = FrameSampler(16, 4, sampling, random=False), np.random.default_rng(0)
    for total in (5, 30, 61, 100, 255):
        numbered = torch.arange(total, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
        taken = processor(numbered, return_tensors="pt").pixel_values[0, :, 0, 0, 0]
        assert choose(total, None, rng).tolist() == taken.tolist()
    assert FrameSampler(4, 4, "uniform", random=False)(40, None, rng).tolist() == [0, 10, 20, 30]


# items


def test_views_share_the_frames_of_one_clip(good: Path) -> None:
    def stretch(frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        return torch.stack([frames, frames.flip(-1)])

    source = FolderSource(str(good), labelled=True)
    source.sampling_rate = 2
    dataset = ClipDataset(Mixture([source]), FrameSampler(FRAMES, 4), stretch, seed=1)
    item = dataset[3, 7]
    numbers = read_numbers(item["pixel_values"][0])
    assert set(np.diff(numbers)) == {2}
    assert torch.equal(item["pixel_values"][0], item["pixel_values"][1].flip(-1))
    assert (item["labels"], item["bad"], item["faults"]) == (1, 0, [])
    starts = {read_numbers(dataset[epoch, 7]["pixel_values"][0])[0] for epoch in range(8)}
    assert len(starts) > 2
    assert torch.equal(dataset[3, 7]["pixel_values"], item["pixel_values"])


def test_batch(good: Path) -> None:
    loader = build_loader(recipe_for(good, views=3), batch_size=4, seed=5, labelled=True)
    assert (loader.samples_per_epoch, loader.mixture.classes, loader.mixture.num_classes()) == (10, ("a", "b"), 2)
    batch = next(iter(loader))
    assert set(batch) == {"pixel_values", "labels", "bad"}
    assert (batch["pixel_values"].shape, batch["pixel_values"].dtype) == ((12, FRAMES, 3, SIZE, SIZE), torch.uint8)
    assert batch["labels"].dtype == torch.long
    assert torch.equal(batch["labels"].view(4, 3), batch["labels"][::3, None].expand(4, 3))
    assert batch["bad"].tolist() == [0] * 4
    keys = next(iter(loader.batch_sampler))
    for number, key in enumerate(keys):
        assert torch.equal(batch["pixel_values"][3 * number : 3 * number + 3], loader.dataset[key]["pixel_values"])
    assert "labels" not in first_batches(recipe_for(good), 1, labelled=False)[0]


def test_seed_of_the_data_goes_before_the_seed_of_the_run(good: Path) -> None:
    own = recipe_for(good, seed=9)
    assert_same(first_batches(own, 2, seed=1), first_batches(own, 2, seed=2))
    assert_same(first_batches(own, 2), first_batches(recipe_for(good), 2, seed=9))
    orders = [list(itertools.islice(build_loader(own, batch_size=10).batch_sampler, 1)) for own in
              (recipe_for(good, seed=seed) for seed in (9, 10))]  # fmt: skip
    assert orders[0] != orders[1]
    clips = [build_loader(recipe_for(good, seed=seed), batch_size=1).dataset[0, 0]["pixel_values"] for seed in (9, 10)]
    assert not torch.equal(*clips)


def test_a_video_that_comes_twice_in_an_epoch_gives_two_clips(good: Path) -> None:
    weighted = SourceRecipe(path=str(good), kind="folder", weight=2.0)
    loader = build_loader(recipe_for("", sources=[weighted]), batch_size=20, seed=5)
    plain = build_loader(recipe_for(good), batch_size=10, seed=5).dataset
    assert loader.samples_per_epoch == 20
    clips = next(iter(loader))["pixel_values"].unflatten(0, (20, 2))
    keys = next(iter(loader.batch_sampler))
    found = {key[:3]: clip for key, clip in zip(keys, clips)}
    assert sorted(found) == [(0, video, take) for video in range(10) for take in range(2)]
    for video in range(10):
        assert torch.equal(found[0, video, 0], plain[0, video]["pixel_values"])
        assert not torch.equal(found[0, video, 1], found[0, video, 0])


# the same, whoever does it


def test_goes_on_at_any_sample(good: Path) -> None:
    straight = first_batches(recipe_for(good), 7)
    assert_same(first_batches(recipe_for(good), 4, start=12), straight[3:])


def test_nothing_depends_on_or_changes_the_global_generators(good: Path) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state()
    first = first_batches(recipe_for(good), 2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    np.random.seed(1)
    assert_same(first_batches(recipe_for(good), 2), first)


@pytest.mark.multiprocess
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(mixed: Path, workers: int) -> None:
    assert_same(first_batches(recipe_for(mixed, workers=workers), 6), first_batches(recipe_for(mixed), 6))


@pytest.mark.multiprocess
def test_workers_resume_and_leave_the_global_generator_alone(good: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    later = first_batches(recipe_for(good, workers=2), 2, start=16)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(later, first_batches(recipe_for(good), 6)[4:])


@pytest.mark.multiprocess
@pytest.mark.timeout(120)
@pytest.mark.parametrize("garbage", [True, False])
def test_workers_do_not_wait_for_threads_of_the_training_process(good: Path, garbage: bool) -> None:
    """A threaded decoder that this process has used lies in a ring of references when the workers start."""
    ring: list[Any] = [av.open(str(good / "a" / "0.mp4"))]
    ring[0].streams.video[0].codec_context.thread_count = 2
    ring[0].streams.video[0].thread_type = "SLICE"
    next(ring[0].decode(video=0))
    ring.append(ring)
    loader = build_loader(recipe_for(good, workers=1), batch_size=2)
    make_views = loader.dataset.make_views

    def collect_first(frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        if not garbage:
            held[0].clear()  # the last reference from outside of the ring
        gc.collect()
        return make_views(frames, rng)

    loader.dataset.make_views = collect_first
    held = [[ring]]
    del ring
    if garbage:
        held.clear()
    assert len(next(iter(loader))["bad"]) == 2
    assert not gc.get_freeze_count()


@pytest.mark.parametrize("world", [2, 4])
def test_processes_together_see_what_one_sees(mixed: Path, world: int) -> None:
    alone = first_batches(recipe_for(mixed), 6, batch_size=8)
    shared = [
        first_batches(recipe_for(mixed), 6, batch_size=8 // world, num_processes=world, process_index=i)
        for i in range(world)
    ]
    together = [{key: torch.cat([batch[key] for batch in batches]) for key in batches[0]} for batches in zip(*shared)]
    assert_same(together, alone)


def test_evaluation_goes_through_every_video_once(good: Path) -> None:
    recipe = recipe_for(good, multi_scale_crop=False, views=1)
    parts = [
        list(build_loader(recipe, batch_size=2, labelled=True, num_processes=3, process_index=i, training=False))
        for i in range(3)
    ]
    assert sum(len(batch["labels"]) for part in parts for batch in part) == 10
    assert sorted(int(label) for part in parts for batch in part for label in batch["labels"]) == [0] * 5 + [1] * 5


@pytest.mark.parametrize("sampling", ["dense", "uniform"])
def test_frames_are_chosen_as_the_recipe_says_and_from_the_middle_in_evaluation(good: Path, sampling: str) -> None:
    found = {}
    for training in (True, False):
        recipe = recipe_for(good, sampling=sampling, sampling_rate=3, num_frames=5)
        dataset = build_loader(recipe, batch_size=10, seed=5, training=training).dataset
        dataset.make_views = lambda frames, rng: frames[None]
        found[training] = [read_numbers(dataset[0, video]["pixel_values"][0]) for video in range(10)]
    totals = [*range(20, 30, 2), *range(21, 30, 2)]  # folder by folder
    middle = FrameSampler(5, 3, sampling, random=False)
    assert found[False] == [middle(total, None, np.random.default_rng(0)).tolist() for total in totals]
    assert found[True] != found[False]
    assert all(set(np.diff(numbers)) == {3} for numbers in found[True]) == (sampling == "dense")


def test_evaluation_ignores_weights_and_needs_an_end(good: Path, tmp_path: Path) -> None:
    weights = {"a": 2.0, "b": 0.4}
    sources = [SourceRecipe(path=str(good / name), kind="folder", weight=weight) for name, weight in weights.items()]
    loader = build_loader(recipe_for("", sources=sources, views=1), batch_size=4, training=False)
    assert sorted(key.video for keys in loader.batch_sampler for key in keys) == list(range(10))
    stream = stream_recipe(good, tmp_path, 0)
    assert sum(len(keys) for keys in build_loader(stream, batch_size=4, training=False).batch_sampler) == 10
    stream.sources[0].path_pattern = "."  # which it cannot count in advance
    with pytest.raises(ValueError, match="cannot be gone through once"):
        build_loader(stream, batch_size=4, training=False)


# several sources


def test_sources_keep_their_own_sampling_rate(good: Path, tmp_path: Path) -> None:
    lines = "".join(f"{path} 0 -1\n" for path in sorted(good.rglob("*.mp4")))
    (tmp_path / "all.txt").write_text(lines, encoding="utf-8")
    sources = [
        SourceRecipe(path=str(tmp_path / "all.txt"), path_pattern="/a/[^/]*$", sampling_rate=2),
        SourceRecipe(path=str(tmp_path / "all.txt"), path_pattern="/b/[^/]*$", weight=2.0),
    ]
    recipe = recipe_for("", sources=sources, multi_scale_crop=False, sampling_rate=5)
    loader = build_loader(recipe, batch_size=15, seed=0)
    dataset = loader.dataset
    dataset.make_views = lambda frames, rng: frames[None]
    keys = next(iter(loader.batch_sampler))
    assert sorted(key.video for key in keys) == sorted([*range(5), *range(5, 10), *range(5, 10)])
    for key in keys:
        numbers = read_numbers(dataset[key]["pixel_values"][0])
        assert set(np.diff(numbers)) == {2 if key[1] < 5 else 5}


def test_batches_that_a_worker_holds_ready(good: Path) -> None:
    assert build_loader(recipe_for(good, workers=1, prefetch=5), batch_size=2).prefetch_factor == 5


@pytest.mark.multiprocess
def test_workers_leave_a_request_to_stop_to_the_training(good: Path) -> None:
    batches = iter(build_loader(recipe_for(good, workers=1), batch_size=2))
    next(batches)
    (worker,) = multiprocessing.active_children()
    ask_to_stop(worker.pid)
    assert len(list(itertools.islice(batches, 6))) == 6  # more than it had ready
    assert worker.is_alive()
    batches.close()
    assert not worker.is_alive()


@pytest.mark.multiprocess
def test_workers_do_end_with_the_training() -> None:
    """An interpreter that ends, with an error for instance, sends SIGTERM and waits."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    worker = context.Process(target=idle_worker, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(20)
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0
    worker.kill()


def idle_worker(ready: Event) -> None:
    obey_only_parent()
    ready.set()
    time.sleep(60)


def stream_recipe(good: Path, folder: Path, workers: int) -> DataRecipe:
    """A stream of ten films, one of which cannot be read."""
    datasets = pytest.importorskip("datasets")
    path = folder / "films"
    if not path.exists():
        rows = [{"path": str(video), "bytes": None} for video in sorted(good.rglob("*.mp4"))]
        features = datasets.Features({"video": datasets.Video(), "label": datasets.Value("int64")})
        rows[3] = {"path": "noise.mp4", "bytes": b"nothing"}
        data = {"video": rows, "label": [i % 2 for i in range(10)]}
        datasets.Dataset.from_dict(data, features=features).save_to_disk(str(path))
    return recipe_for("", sources=[SourceRecipe(path=str(path), kind="datasets", streaming=True)], workers=workers)


def test_stream_resumes_by_skipping(good: Path, tmp_path: Path) -> None:
    recipe = stream_recipe(good, tmp_path, 0)
    straight = first_batches(recipe, 6)
    assert_same(first_batches(recipe, 3, start=12), straight[3:])
    assert sum(int(batch["bad"].sum()) for batch in straight[:5]) == 2  # two passes over ten videos


def test_the_seed_shuffles_a_stream(good: Path, tmp_path: Path) -> None:
    loaders = [build_loader(stream_recipe(good, tmp_path, 0), batch_size=4, seed=seed) for seed in (0, 0, 1)]
    orders = [[loader.mixture.sources[0].get(i, 0).content for i in range(10)] for loader in loaders]
    assert orders[0] == orders[1] != orders[2]


def test_a_cache_changes_no_clip_of_a_stream(good: Path, tmp_path: Path) -> None:
    """Its numbers mean other videos in each epoch."""
    recipe = stream_recipe(good, tmp_path, 0)
    recipe.sources[0].num_videos = 10  # so that there are epochs
    plain = first_batches(recipe, 6)
    recipe.cache_gib = 1.0
    assert_same(first_batches(recipe, 6), plain)


@pytest.mark.multiprocess
@pytest.mark.parametrize("shards", [1, 8])
def test_workers_and_processes_share_a_stream(good: Path, tmp_path: Path, shards: int) -> None:
    datasets = pytest.importorskip("datasets")
    films = sorted(str(film) for film in good.rglob("*.mp4"))
    for shard in range(shards):  # of 40 rows, whose labels are their numbers
        rows = range(shard, 40, shards)
        data = {"video": [films[row % 10] for row in rows], "label": list(rows)}
        datasets.Dataset.from_dict(data).to_parquet(tmp_path / f"{shard:02}.parquet")
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: '*.parquet'\n---\n")
    source = SourceRecipe(path=str(tmp_path), kind="datasets", streaming=True, num_videos=40)
    recipe = recipe_for("", sources=[source], workers=2, views=1)
    sharing = {"batch_size": 5, "num_processes": 2}
    read = [first_batches(recipe, 8, process_index=process, **sharing) for process in range(2)]
    for epoch in (slice(4), slice(4, 8)):
        labels = [label for batches in read for batch in batches[epoch] for label in batch["labels"].tolist()]
        assert sorted(labels) == list(range(40))
    later = first_batches(recipe, 5, start=30, process_index=1, **sharing)
    assert_same(later, read[1][3:])


# unreadable videos


def test_unreadable_videos_are_named_counted_and_replaced(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    loader = build_loader(recipe_for(mixed), batch_size=3, seed=5, labelled=True)
    batches = list(itertools.islice(loader, 10))  # two epochs
    assert sum(int(batch["bad"].sum()) for batch in batches) == loader.faults.bad == 10
    assert loader.faults.seen == 30
    names = {Path(name).name for name in loader.faults.reasons}
    assert names == {*BAD, "missing.mp4"}
    reasons = {Path(name).name: reason for name, reason in loader.faults.reasons.items()}
    assert "the file is empty" in reasons["empty.mp4"]
    assert "no video stream" in reasons["sound.mp4"]
    assert reasons["missing.mp4"] == "the file does not exist. Check the path."
    for name in names:
        assert caplog.text.count(f"{name} (number") == 1
    assert_same(first_batches(recipe_for(mixed), 10, batch_size=3), batches)


def test_bytes_in_a_stream_that_cannot_be_read_are_one_video_in_all_passes(good: Path, tmp_path: Path) -> None:
    """Its number in the stream is another one in each, which looked like more and more unreadable videos."""
    datasets = pytest.importorskip("datasets")
    films = [film.read_bytes() for film in sorted(good.rglob("*.mp4"))] * 2
    films[7], films[12] = b"no film", b"another"
    source = SourceRecipe(path=str(tmp_path), kind="datasets", streaming=True, num_videos=20)
    datasets.Dataset.from_dict({"video": films}).save_to_disk(str(tmp_path))
    recipe = recipe_for("", sources=[source], max_bad_share=0.1)
    loader = build_loader(recipe, batch_size=4, seed=5)
    assert sum(int(batch["bad"].sum()) for batch in itertools.islice(loader, 20)) == 8  # two in each of four passes
    digits = [hashlib.sha256(films[i]).hexdigest()[:16] for i in (7, 12)]
    assert sorted(loader.faults.reasons) == sorted(f"{tmp_path}[sha256 {digits}]" for digits in digits)


def test_bytes_in_a_stream_that_have_a_path_are_named_by_it(good: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    films = [{"bytes": film.read_bytes(), "path": f"{film.stem}.mp4"} for film in sorted(good.rglob("*.mp4"))]
    films[3] = {"bytes": b"no film", "path": "bad.mp4"}
    source = SourceRecipe(path=str(tmp_path), kind="datasets", streaming=True, num_videos=len(films))
    datasets.Dataset.from_dict({"video": films}).save_to_disk(str(tmp_path))
    loader = build_loader(recipe_for("", sources=[source], max_bad_share=0.5), batch_size=len(films), seed=5)
    assert int(next(iter(loader))["bad"].sum()) == 1
    assert list(loader.faults.reasons) == ["bad.mp4"]


def test_training_ends_when_too_many_are_bad(mixed: Path) -> None:
    loader = build_loader(recipe_for(mixed, max_bad_share=0.2), batch_size=3, seed=5, labelled=True)
    with pytest.raises(TooManyBadVideosError, match=r"of 15 videos .* more than data.max_bad_share = 0.2") as caught:
        list(itertools.islice(loader, 10))
    assert len(loader.faults.reasons) == 4
    assert all(name in str(caught.value) for name in loader.faults.reasons)
    enough = build_loader(recipe_for(mixed, max_bad_share=0.34), batch_size=3, seed=5, labelled=True)
    assert len(list(itertools.islice(enough, 10))) == 10
    looked_at = build_loader(recipe_for(mixed, max_bad_share=0.2), batch_size=3, labelled=True, training=False)
    assert sum(int(batch["bad"].sum()) for batch in looked_at) == 5  # counted, and never too many


def count_all(counter: FaultCounter, share: float, samples: int, seed: int) -> bool:
    """Count samples of which a share is bad by chance, eight at a time; whether that was too much."""
    bad = np.random.default_rng(seed).random((samples // 8, 8)) < share
    try:
        for number, count in enumerate(bad.sum(axis=1)):
            counter.count(8, int(count), [Fault(f"{number}-{i}", "why") for i in range(count)])
    except TooManyBadVideosError:
        return True
    return False


def test_chance_ends_no_training() -> None:
    """64 processes, each of which judges for itself 2500 times; the share is what is allowed, or nearly twice that."""
    assert not any(count_all(FaultCounter(0.01, 10**6), 0.01, 20_000, seed) for seed in range(64))
    assert all(count_all(FaultCounter(0.01, 10**6), 0.019, 20_000, seed) for seed in range(64))
    counter = FaultCounter(0.01, 10**6)
    assert count_all(counter, 0.5, 20_000, 0)
    assert counter.seen < 100


def test_some_bad_videos_at_once_end_no_training() -> None:
    counter = FaultCounter(0.01, num_videos=10**6)
    for number in range(25):  # of the 10 that a share of a hundredth makes of a thousand
        counter.count(8, 1, [Fault(f"{number}", "why")])
    with pytest.raises(TooManyBadVideosError, match="33 of 208 samples") as caught:
        counter.count(8, 8, [])
    named = str(caught.value).splitlines()[1:]
    assert (named[:2], named[-1], len(named)) == (["- 0: why", "- 1: why"], "- and 5 more", 21)
    with pytest.raises(TooManyBadVideosError, match="1 of 8 samples"):
        FaultCounter(0.0).count(8, 1, [Fault("a", "why")])
    with pytest.raises(TooManyBadVideosError, match="3 of 200 videos"):
        FaultCounter(0.01, num_videos=200).count(8, 1, [Fault(name, "why") for name in "abc"])
    FaultCounter(1.0, num_videos=8).count(5000, 5000, [Fault(name, "why") for name in "abcdefgh"])
    copy = FaultCounter(0.01)
    copy.load_state_dict(counter.state_dict())
    assert (copy.seen, copy.bad, len(copy.reasons)) == (208, 33, 25)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (VideoDecodingError("a.mp4", "it is damaged", "Export it again."), "it is damaged. Export it again."),
        (FileNotFoundError("a.mp4 is gone"), "FileNotFoundError: a.mp4 is gone"),
        (EOFError(), "EOFError: EOFError"),
    ],
)
def test_a_fault_says_why_without_the_name_that_stands_beside_it(error: Exception, reason: str) -> None:
    assert Fault.of("a.mp4", error) == Fault("a.mp4", reason)


def test_what_was_counted_before_a_checkpoint_was_read_stays(caplog: pytest.LogCaptureFixture) -> None:
    counter = FaultCounter(0.01, num_videos=200)
    counter.count(8, 1, [Fault("z", "why")])
    assert "Unreadable video z (number 1): why" in caplog.text
    counter.load_state_dict({"seen": 10_000, "bad": 20, "reasons": dict.fromkeys("abcdefgh", "why")})
    assert (counter.seen, counter.bad, sorted(counter.reasons)) == (10_008, 21, list("abcdefghz"))
    caplog.clear()
    counter.count(8, 1, [Fault("a", "why")])  # known by name; the others may be repaired by now
    assert not caplog.records
    with pytest.raises(TooManyBadVideosError, match="3 of 200 videos cannot be read"):
        counter.count(8, 1, [Fault("b", "why")])


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.multiprocess)])
def test_nothing_readable_is_an_error_not_a_loop(tmp_path: Path, workers: int) -> None:
    for i in range(3):
        (tmp_path / f"{i}.mp4").write_bytes(b"nothing")
    with pytest.raises(TooManyBadVideosError, match=f"{MAX_TRIES} videos of .* were tried for one sample") as caught:
        first_batches(recipe_for(tmp_path, workers=workers), 1, labelled=False)
    assert str(caught.value).startswith(f"{MAX_TRIES} videos")  # the traceback of a worker is not part of it
    assert str(caught.value).count("0.mp4") == 1
    traceback.clear_frames(caught.tb)  # ends the workers now; torch takes 5 s where it is left to garbage collection


def test_faults_of_the_program_are_not_taken_for_bad_videos(good: Path) -> None:
    def broken(*_: Any) -> np.ndarray:
        raise KeyError("bug")

    dataset = ClipDataset(Mixture([FolderSource(str(good))]), broken, ViewMaker(SIZE))
    with pytest.raises(KeyError):
        dataset[0, 0]


def test_damaged_pictures_count_as_bad(good: Path, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("whole", "hole", "cut", "sizes"):
        (tmp_path / name).mkdir()
        for i in range(1, 21):
            height = 40 + 8 * (name == "sizes" and i == 9)
            Image.new("RGB", (60, height), (i, 0, 0)).save(tmp_path / name / f"img_{i:05}.jpg")
    (tmp_path / "hole" / "img_00010.jpg").unlink()
    whole = (tmp_path / "cut" / "img_00005.jpg").read_bytes()
    (tmp_path / "cut" / "img_00005.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "list.txt").write_text("whole 0 20\nhole 0 20\ncut 0 20\nsizes 0 20\n", encoding="utf-8")
    loader = build_loader(recipe_for(tmp_path / "list.txt", num_frames=20, sampling_rate=1), batch_size=4)
    batch = next(iter(loader))
    assert int(batch["bad"].sum()) == 3
    assert {Path(name).name for name in loader.faults.reasons} == {"hole", "cut", "sizes"}


def test_addresses_that_only_fsspec_knows(good: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://films/0.mp4", "wb") as file:
        file.write((good / "a" / "0.mp4").read_bytes())
    (tmp_path / "list.txt").write_text("memory://films/0.mp4\nmemory://films/missing.mp4\n", encoding="utf-8")
    loader = build_loader(recipe_for(tmp_path / "list.txt"), batch_size=2)
    assert sorted(next(iter(loader))["bad"].tolist()) == [0, 1]
    assert list(loader.faults.reasons) == ["memory://films/missing.mp4"]


def test_frames_beyond_the_end_of_a_part(good: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{good}/a/0.mp4 20 300\n{good}/a/0.mp4 10 300\n", encoding="utf-8")
    loader = build_loader(recipe_for(tmp_path / "list.txt"), batch_size=2)
    assert sorted(next(iter(loader))["bad"].tolist()) == [0, 1]
    (reason,) = loader.faults.reasons.values()
    assert "has 20 frames, and its part begins with frame 20" in reason


def test_replacement_depends_on_the_key_alone(mixed: Path) -> None:
    loaders = [build_loader(recipe_for(mixed), batch_size=size, seed=5) for size in (1, 5)]
    for video in range(5):
        first, second = (loader.dataset[2, video]["pixel_values"] for loader in loaders)
        assert torch.equal(first, second)
        assert not torch.equal(first, loaders[0].dataset[3, video]["pixel_values"])
