# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that cannot be read: named, counted, and the end of training when there are too many."""

import logging
import math
from dataclasses import dataclass, field
from typing import Any


logger = logging.getLogger(__name__)

# The share of bad samples is taken over at least so many, and has to be so many standard deviations above what is
# allowed: every process judges for itself at every batch, and one false alarm would end the training of all.
JUDGED_SAMPLES = 1000
DEVIATIONS = 5.0
LISTED = 20
DECODING = "Cannot decode "  # how the decoder's messages begin, a path behind it


class DataError(ValueError):
    """Data that is wrong in a way that a run cannot pass over, such as a label that is no class."""

    def __init__(self, message: str) -> None:
        # that of a worker comes back with the worker's traceback in front
        super().__init__(message.rpartition(f"{type(self).__name__}: ")[2].rstrip())


class TooManyBadVideosError(DataError):
    """More videos cannot be read than `data.max_bad_share` allows, or no replacement for one could be."""


@dataclass(frozen=True)
class Fault:
    """A video that could not be read, and why."""

    name: str
    reason: str

    @classmethod
    def of(cls, name: str, error: Exception) -> "Fault":
        reason = str(error) or type(error).__name__
        if reason.startswith(DECODING):
            return cls(name, reason.removeprefix(DECODING).removeprefix(f"{name}: "))
        return cls(name, f"{type(error).__name__}: {reason}")


def listing(faults: list[Fault]) -> str:
    """The faults, one a line."""
    lines = [f"- {fault.name}: {fault.reason}" for fault in faults[:LISTED]]
    if len(faults) > LISTED:
        lines.append(f"- and {len(faults) - LISTED} more")
    return "\n".join(lines)


@dataclass
class FaultCounter:
    """Counts samples and unreadable videos of one process.

    There are too many where more different videos cannot be read than the share of all videos, or where samples show
    it: where more of them are bad than the share and chance explain.

    Attributes:
        max_share: Share of videos that cannot be read above which `count` raises; 1: it never does.
        num_videos: Videos in the data; 0 where it is not known.
        seen: Samples so far.
        bad: How many of them had to be replaced.
        reasons: Why, for each unreadable video by name.
    """

    max_share: float
    num_videos: int = 0
    seen: int = 0
    bad: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    # since the start; others may be repaired by now
    _met: set[str] = field(default_factory=set, init=False, repr=False)

    def count(self, samples: int, bad: int, faults: list[Fault]) -> None:
        """Take note of a batch; a video is named in the log when it is met for the first time.

        Args:
            samples: Samples in the batch.
            bad: Those whose own video could not be read.
            faults: All videos that could not be read, replacements included.

        Raises:
            TooManyBadVideosError: There are too many.
        """
        self.seen += samples
        self.bad += bad
        for fault in faults:
            self._met.add(fault.name)
            if fault.name not in self.reasons:
                self.reasons[fault.name] = fault.reason
                logger.warning("Unreadable video %s (number %d): %s", fault.name, len(self.reasons), fault.reason)
        found = self._too_many()
        if found:
            raise TooManyBadVideosError(
                f"{found}, more than data.max_bad_share = {self.max_share:g} allows. Repair or remove these videos, or "
                f"raise data.max_bad_share:\n{listing(self.faults)}"
            )

    def _too_many(self) -> str | None:
        """In words, of what there is too much."""
        if self.num_videos and len(self._met) > self.max_share * self.num_videos:
            return f"{len(self._met)} of {self.num_videos} videos cannot be read"
        expected = self.max_share * max(self.seen, JUDGED_SAMPLES)
        if self.bad > expected + DEVIATIONS * math.sqrt(expected * (1.0 - self.max_share)):
            return f"{self.bad} of {self.seen} samples had a video that cannot be read"
        return None

    @property
    def faults(self) -> list[Fault]:
        """The unreadable videos, in the order in which they were met."""
        return [Fault(name, reason) for name, reason in self.reasons.items()]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seen": self.seen, "bad": self.bad, "reasons": dict(self.reasons)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, here or on processes that are no more: what is counted already stays."""
        self.seen += state["seen"]
        self.bad += state["bad"]
        self.reasons |= state["reasons"]
