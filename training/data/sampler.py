# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which video comes when: a pure function of the seed and the number of the sample."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from .chance import Purpose, generator
from .sources import Source


ENDLESS = 2**62


class Key(NamedTuple):
    """What a clip is a function of, beside the seed.

    Attributes:
        epoch: The epoch.
        video: The video, counted over all sources.
        take: How often the video has come before in this epoch.
        lane: Of a stream, the part that it is in; `video` is then its number there.
        turn: Of a stream, which pass over it; `take` then counts those of this epoch.
    """

    epoch: int
    video: int
    take: int = 0
    lane: int = 0
    turn: int = 0


class EpochSampler(Sampler[list[Key]]):
    """Yields batches of keys `(epoch, video, take, lane, turn)` for one process, epoch after epoch.

    Samples are numbered over the whole run, `0, 1, 2, ...`, whatever the number of processes. Each epoch holds every
    video of a source `weight` times: a weight of 0.5 takes one half of the source in this epoch and the other half in
    the next. The order within an epoch is drawn from `(seed, epoch)`; epochs follow each other without a gap, so that a
    batch may lie in two of them and none is cut off. Sample `k`, counted from where the iteration started, goes to
    process `k // batch_size % num_processes`: runs with the same global batch see the same samples in the same step.

    A stream is split into lanes, the same number for each process. Batches take the lanes in turn, as a `DataLoader`
    takes its workers, so each worker reads exactly one lane. Which videos of a stream a step sees depends on the number
    of lanes. A pass over a stream is `length` samples, whatever its weight: it may take several epochs, or end in the
    midst of one.

    Args:
        sources: The sources, with `length`, `weight`, `sequential` and `lanes`. A stream without a length must be
            alone, and is then one endless epoch.
        batch_size: Samples in a batch of one process.
        seed: Not negative.
        num_processes: Processes that share the samples.
        process_index: Which of them this is.
        shuffle: False: every epoch goes through the videos in order.
        num_samples: End after so many samples, over all processes; the last batch may be short, or be missing in some
            processes. None: go on for ever.
    """

    def __init__(
        self, sources: Sequence[Source], *, batch_size: int, seed: int = 0, num_processes: int = 1,
        process_index: int = 0, shuffle: bool = True, num_samples: int | None = None,
    ) -> None:  # fmt: skip
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.num_processes, self.process_index, self.num_samples = num_processes, process_index, num_samples
        self._lengths = [source.length for source in sources]
        self._sequential = [source.sequential for source in sources]
        self._lanes = [source.lanes for source in sources]
        self._quotas = [
            None if source.length is None else max(round(source.weight * source.length), 1) for source in sources
        ]
        self._position = 0
        self._cached: tuple[int, list[np.ndarray]] = (-1, [])

    @property
    def samples_per_epoch(self) -> int | None:
        """Samples in an epoch, over all processes; None for a stream of unknown length."""
        return None if None in self._quotas else sum(quota for quota in self._quotas if quota is not None)

    def set_position(self, samples_seen: int) -> None:
        """Start the next iteration with sample number `samples_seen`, counted over all processes and epochs."""
        self._position = samples_seen
        self._cached = (-1, [])

    def __len__(self) -> int:
        """Batches of this process that are left; in an epoch, where the iteration has no end."""
        total = self.num_samples
        if total is None:
            if self.samples_per_epoch is None:
                raise TypeError("A stream of unknown length has no number of batches; set schedule.max_steps.")
            total = self.samples_per_epoch + self._position
        rounds, rest = divmod(max(total - self._position, 0), self.batch_size * self.num_processes)
        return rounds + (rest > self.process_index * self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        end = ENDLESS if self.num_samples is None else self.num_samples
        start = self._position + self.process_index * self.batch_size
        step = self.num_processes * self.batch_size
        while start < end:
            yield [self.key(sample) for sample in range(start, min(start + self.batch_size, end))]
            start += step

    def key(self, sample: int) -> Key:
        """What one sample of the run is."""
        per_epoch = self.samples_per_epoch
        if per_epoch is None:
            return self._key_of_endless(sample)
        epoch, place = divmod(sample, per_epoch)
        if self._cached[0] != epoch:
            order = self._order(epoch)
            takes = none_of(order) if self._quotas == self._lengths else takes_of(order)
            lanes = turns = none_of(order)
            if any(self._sequential):
                lanes, turns = self._into_lanes(epoch, order, takes)
            self._cached = (epoch, [order, takes, lanes, turns])
        return Key(epoch, *(int(column[place]) for column in self._cached[1]))

    def _key_of_endless(self, sample: int) -> Key:
        lanes, since = self._lanes[0], sample - self._seam
        if lanes == 1:
            return Key(0, sample)
        video = since // (self.batch_size * lanes) * self.batch_size + since % self.batch_size
        return Key(0, video, 0, int(self._lane_of(np.int64(sample), lanes)))

    def _into_lanes(self, epoch: int, order: np.ndarray, takes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lanes and passes of the samples of an epoch, 0 but for streams.

        For these, `order` gets the videos of each lane in their own order, and `takes` the passes of the epoch.
        """
        lanes, turns = np.zeros_like(order), np.zeros_like(order)
        for number, sequential in enumerate(self._sequential):
            if not sequential:
                continue
            length, quota = self._lengths[number], self._quotas[number]
            places, lanes_here = self._stream(number, epoch, order)
            turns_here = np.arange(epoch * quota, (epoch + 1) * quota) // length
            behind = self._behind(number, epoch)[lanes_here] * (turns_here == turns_here[0])
            of_lane = takes_of(turns_here * self._lanes[number] + lanes_here) + behind
            order[places] = sum(self._lengths[:number]) + of_lane  # it is read in its own order, and shuffles itself
            lanes[places], turns[places] = lanes_here, turns_here
            if quota != length:
                takes[places] = turns_here - turns_here[0]
        return lanes, turns

    def _stream(self, number: int, epoch: int, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the samples of a stream in the order of an epoch, and their lanes."""
        first = sum(self._lengths[:number])
        places = np.flatnonzero((order >= first) & (order < first + self._lengths[number]))
        return places, self._lane_of(epoch * len(order) + places, self._lanes[number])

    def _behind(self, number: int, epoch: int) -> np.ndarray:
        """Videos that earlier epochs took, by lane, in the pass over a stream that an epoch begins in."""
        length, quota, count = self._lengths[number], self._quotas[number], self._lanes[number]
        samples = epoch * quota
        start = samples - samples % length
        if count == 1:
            return np.array([samples - start])
        behind = np.zeros(count, dtype=np.int64)
        for earlier in range(start // quota, epoch):
            _, lanes = self._stream(number, earlier, self._order(earlier))
            behind += np.bincount(lanes[max(start - earlier * quota, 0) :], minlength=count)
        return behind

    @property
    def _seam(self) -> int:
        """A sample that a batch of the first process starts with."""
        return self._position % (self.batch_size * self.num_processes)

    def _lane_of(self, samples: np.ndarray, lanes: int) -> np.ndarray:
        """Lanes of samples of a stream: those of a process follow each other."""
        if lanes == 1:
            return np.zeros_like(samples)
        steps, process = np.divmod((samples - self._seam) // self.batch_size, self.num_processes)
        of_process = lanes // self.num_processes
        return process * of_process + steps % of_process

    def _order(self, epoch: int) -> np.ndarray:
        """Videos of an epoch in the order in which they come, int64 `(samples_per_epoch,)`."""
        parts, first = [], 0
        for number, length in enumerate(self._lengths):
            parts.append(first + self._ranks(number, epoch))
            first += length
        order = np.concatenate(parts)
        if self.shuffle:
            generator(self.seed, Purpose.ORDER, epoch).shuffle(order)
        return order

    def _ranks(self, number: int, epoch: int) -> np.ndarray:
        """Videos that a source gives to an epoch: the next ones of an endless row of permutations."""
        length, quota = self._lengths[number], self._quotas[number]
        if quota == length:
            return np.arange(length)
        if self._sequential[number]:  # which of them is a matter of its lanes
            return np.arange(quota) % length
        rounds, places = np.divmod(np.arange(epoch * quota, (epoch + 1) * quota), length)
        if not self.shuffle:
            return places
        ranks = np.empty_like(places)
        for turn in np.unique(rounds):
            permutation = generator(self.seed, Purpose.ROUND, number, int(turn)).permutation(length)
            ranks[rounds == turn] = permutation[places[rounds == turn]]
        return ranks


def none_of(order: np.ndarray) -> np.ndarray:
    """Zeros of the shape of an array, which take no memory."""
    return np.broadcast_to(np.int64(0), order.shape)


def takes_of(order: np.ndarray) -> np.ndarray:
    """How often each entry has come before in an array `(samples,)`, of the same shape."""
    by_video = np.argsort(order, kind="stable")
    videos, takes = order[by_video], np.empty_like(order)
    takes[by_video] = np.arange(len(order)) - np.searchsorted(videos, videos)
    return takes
