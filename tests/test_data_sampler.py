"""Order of the samples: a function of the seed and their number; the same over any number of processes."""

import collections
import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from training.data import EpochSampler
from training.data.sampler import Key


@dataclass
class Videos:
    """A source as the sampler sees it."""

    length: int | None
    weight: float = 1.0
    sequential: bool = False
    lanes: int = 1


def take(sampler: EpochSampler, count: int) -> list[Key]:
    """The first keys of one process."""
    keys: list[Key] = []
    for batch in sampler:
        keys += batch
        if len(keys) >= count:
            break
    return keys[:count]


def global_batches(count: int, world: int, batch_size: int, start: int = 0, **options: object) -> list[set]:
    """Keys of each of the first steps, over all processes."""
    samplers = [
        EpochSampler(
            [Videos(37), Videos(20, 0.5)], batch_size=batch_size, num_processes=world, process_index=i, **options
        )
        for i in range(world)
    ]
    for sampler in samplers:
        sampler.set_position(start)
    rows = itertools.islice(zip(*samplers), count)
    return [collections.Counter(key for batch in row for key in batch) for row in rows]


@pytest.mark.parametrize("world", [2, 3, 6])
def test_steps_do_not_depend_on_the_number_of_processes(world: int) -> None:
    assert global_batches(40, world, 12 // world) == global_batches(40, 1, 12)


def test_epochs_are_complete_and_differ() -> None:
    keys = take(EpochSampler([Videos(100)], batch_size=8, seed=3), 300)
    for epoch in range(3):
        part = keys[100 * epoch : 100 * epoch + 100]
        assert {e for e, *_ in part} == {epoch}
        assert sorted(v for _, v, *_ in part) == list(range(100))
    orders = [[v for _, v, *_ in keys[100 * e : 100 * e + 100]] for e in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] != list(range(100))
    assert take(EpochSampler([Videos(100)], batch_size=8, seed=4), 100) != keys[:100]


def test_goes_on_at_any_sample() -> None:
    straight = take(EpochSampler([Videos(10), Videos(7)], batch_size=1), 60)
    for position in (0, 1, 16, 17, 18, 33, 50):
        sampler = EpochSampler([Videos(10), Videos(7)], batch_size=3)
        sampler.set_position(position)
        assert take(sampler, 60 - position) == straight[position:]
    assert global_batches(10, 2, 6, start=12 * 5) == global_batches(15, 1, 12)[5:]


def test_resuming_with_another_batch_or_world_repeats_and_skips_nothing() -> None:
    before = sum(global_batches(4, 2, 6), collections.Counter())
    after = sum(global_batches(9, 3, 2, start=48), collections.Counter())
    assert before + after == sum(global_batches(102, 1, 1), collections.Counter())


def test_weights() -> None:
    sampler = EpochSampler([Videos(40), Videos(30, 0.5), Videos(10, 2.5)], batch_size=5)
    assert sampler.samples_per_epoch == 40 + 15 + 25
    keys = take(sampler, 80 * 4)
    for epoch in range(4):
        videos = [v for e, v, *_ in keys if e == epoch]
        counts = [sum(low <= v < high for v in videos) for low, high in ((0, 40), (40, 70), (70, 80))]
        assert counts == [40, 15, 25]
        assert len(set(videos)) == 40 + 15 + 10
    over_all = collections.Counter(v for _, v, *_ in keys)
    assert {over_all[v] for v in range(40)} == {4}
    assert {over_all[v] for v in range(40, 70)} == {2}  # half an epoch each: in four epochs twice
    assert {over_all[v] for v in range(70, 80)} == {10}
    assert EpochSampler([Videos(3, 0.1)], batch_size=1).samples_per_epoch == 1  # or the run would have nothing to read
    twins = take(EpochSampler([Videos(40, 0.5), Videos(40, 0.5)], batch_size=5), 40)
    assert {v for _, v, *_ in twins if v < 40} != {v - 40 for _, v, *_ in twins if v >= 40}
    in_order = EpochSampler([Videos(4, 0.5), Videos(2)], batch_size=1, shuffle=False)
    assert [v for _, v, *_ in take(in_order, 12)] == [0, 1, 4, 5, 2, 3, 4, 5, 0, 1, 4, 5]


def test_takes_are_counted_in_each_epoch() -> None:
    keys = take(EpochSampler([Videos(40), Videos(10, 2.5), Videos(4, 0.75)], batch_size=4), 68 * 3)
    assert len(set(keys)) == len(keys)
    seen: collections.Counter = collections.Counter()
    for epoch, video, number, *_ in keys:
        assert number == seen[epoch, video]
        seen[epoch, video] += 1
    assert {number for _, video, number, *_ in keys if 40 <= video < 50} == {0, 1, 2}
    assert max(number for _, video, number, *_ in keys if video >= 50) == 1  # at the seam of two rounds


def test_streams_keep_their_order_and_are_spread_over_the_epoch() -> None:
    """One of which half is wanted is read from its start in every second epoch, without passing over any."""
    sources = [Videos(50), Videos(50, sequential=True), Videos(40, 0.5, sequential=True)]
    keys = take(EpochSampler(sources, batch_size=10), 240)
    for epoch in range(2):
        videos = [v for e, v, *_ in keys if e == epoch]
        places = [i for i, v in enumerate(videos) if 50 <= v < 100]
        assert [videos[i] for i in places] == list(range(50, 100))
        assert 15 < sum(place < 60 for place in places) < 35
        assert [v for v in videos if v >= 100] == list(range(100 + 20 * epoch, 120 + 20 * epoch))
        assert {key.turn for key in keys if key.epoch == epoch and key.video < 50} == {0}
        assert {key.turn for key in keys if key.epoch == epoch and 50 <= key.video < 100} == {epoch}
        assert {key.turn for key in keys if key.epoch == epoch and key.video >= 100} == {0}
        assert sorted(v for v in videos if v < 100) == list(range(100))


def test_stream_of_unknown_length_is_one_epoch() -> None:
    sampler = EpochSampler([Videos(None, sequential=True)], batch_size=4, num_processes=2, process_index=1)
    sampler.set_position(80)
    assert take(sampler, 8) == [(0, i, 0, 0, 0) for i in (84, 85, 86, 87, 92, 93, 94, 95)]
    sampler.set_position(83)  # of batches of another size
    assert take(sampler, 5) == [(0, i, 0, 0, 0) for i in (87, 88, 89, 90, 95)]
    assert sampler.samples_per_epoch is None
    with pytest.raises(TypeError):
        len(sampler)


def batches_in_lanes(length: int | None, count: int, start: int = 0) -> dict[tuple[int, int], list[list[Key]]]:
    """Batches of a stream in six lanes and other videos, by process and worker: three processes of two workers."""
    stream = Videos(length, sequential=True, lanes=6)
    sources = [stream] if length is None else [Videos(31), stream, Videos(7)]
    found = {}
    for process in range(3):
        sampler = EpochSampler(sources, batch_size=4, num_processes=3, process_index=process)
        sampler.set_position(start)
        batches = list(itertools.islice(sampler, count))
        found |= {(process, worker): batches[worker::2] for worker in range(2)}
    return found


@pytest.mark.parametrize("length", [100, None])
def test_each_worker_reads_a_lane_of_its_own(length: int | None) -> None:
    found = batches_in_lanes(length, 46)
    first, end = (0, float("inf")) if length is None else (31, 31 + length)
    in_stream = {
        reader: [key for batch in batches for key in batch if first <= key.video < end]
        for reader, batches in found.items()
    }
    assert sorted({key.lane for key in keys} for keys in in_stream.values()) == [{lane} for lane in range(6)]
    for keys in in_stream.values():
        for epoch in {key.epoch for key in keys}:
            videos = [key.video for key in keys if key.epoch == epoch]
            assert videos == list(range(first, first + len(videos)))


def test_lanes_of_a_stream_leave_other_videos_as_they_are() -> None:
    for_one, for_six = (
        take(EpochSampler([Videos(31), Videos(100, sequential=True, lanes=lanes), Videos(7)], batch_size=4), 300)
        for lanes in (1, 6)
    )
    assert [key.video in range(31, 131) for key in for_one] == [key.video in range(31, 131) for key in for_six]
    assert all(one == other for one, other in zip(for_one, for_six) if one.video not in range(31, 131))


@pytest.mark.parametrize("weight", [0.07, 0.4, 0.9, 1.0, 3.5])
def test_passes_over_a_stream_go_on_over_epochs(weight: float) -> None:
    """In a pass each lane goes forward one by one, also after an interruption, and passes follow each other."""
    sources = [Videos(31), Videos(100, weight, sequential=True, lanes=6), Videos(7)]

    def keys_of(start: int, count: int) -> list[list[Key]]:
        sampler = EpochSampler(sources, batch_size=4, num_processes=3)
        sampler.set_position(start)
        return list(itertools.islice(sampler, count))

    straight = keys_of(0, 200)
    assert keys_of(12 * 97, 103) == straight[97:]
    whole = EpochSampler(sources, batch_size=4, num_processes=3)
    keys = [key for key in map(whole.key, range(12 * 200)) if 31 <= key.video < 131]
    assert [key.turn for key in keys] == [i // 100 for i in range(len(keys))]
    assert len(set(keys)) == len(keys) == len({key[:4] for key in keys})  # no two draw the same crops
    for turn, lane in itertools.product(range(keys[-1].turn + 1), range(6)):
        videos = [key.video for key in keys if (key.turn, key.lane) == (turn, lane)]
        assert videos == list(range(31, 31 + len(videos)))


@pytest.mark.parametrize("length", [100, None])
def test_lanes_go_on_where_they_were(length: int | None) -> None:
    """After 13 steps the first worker has the batch that would have been the second one's."""
    straight, later = batches_in_lanes(length, 40), batches_in_lanes(length, 27, start=13 * 12)
    for process in range(3):
        assert later[process, 0] == straight[process, 1][6:]
        assert later[process, 1] == straight[process, 0][7:]
    sources = [Videos(length, sequential=True, lanes=2)]
    used, fresh = (EpochSampler(sources, batch_size=4) for _ in range(2))
    take(used, 8)
    for sampler in (used, fresh):
        sampler.set_position(6)  # of batches of another size
    keys = take(fresh, 40)
    assert take(used, 40) == keys
    for lane in range(2):  # none is left out, and none comes again
        videos = [key.video for key in keys if key.lane == lane]
        assert videos == list(range(videos[0], videos[0] + len(videos)))
    assert all(len({key.lane for key in batch}) == 1 for batch in itertools.islice(fresh, 10))  # or workers go back


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 9, 10, 24])
def test_once_through_each_video_for_evaluation(world: int, count: int) -> None:
    samplers = [
        EpochSampler(
            [Videos(count)], batch_size=4, num_processes=world, process_index=i, shuffle=False, num_samples=count
        )
        for i in range(world)
    ]
    batches = [list(sampler) for sampler in samplers]
    assert [len(part) for part in batches] == [len(sampler) for sampler in samplers]
    assert sorted(v for part in batches for batch in part for _, v, *_ in batch) == list(range(count))
    assert all(batch == sorted(batch) for part in batches for batch in part)


def test_length_of_an_epoch() -> None:
    lengths = [len(EpochSampler([Videos(50)], batch_size=8, num_processes=2, process_index=i)) for i in range(2)]
    assert lengths == [4, 3]
    later = EpochSampler([Videos(50)], batch_size=8)
    later.set_position(130)
    assert len(later) == 7  # as from the start: the run has no end
    ending = EpochSampler([Videos(50)], batch_size=8, num_samples=60)
    for position, left in ((0, 8), (40, 3), (60, 0), (99, 0)):
        ending.set_position(position)
        assert len(ending) == len(list(ending)) == left


def test_millions_of_videos() -> None:
    sampler = EpochSampler([Videos(1_000_000), Videos(350_000)], batch_size=64)
    sampler.set_position(1_350_000 * 7 + 12345)
    epoch, *_ = next(iter(sampler))[0]
    assert epoch == 7
    order, *none = sampler._cached[1]
    assert order.nbytes == 8 * 1_350_000
    assert all(column.strides == (0,) for column in none)  # take no memory
    assert np.array_equal(np.sort(order), np.arange(1_350_000))
