# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that cannot be read: named, counted, and the end of training when there are too many."""

import logging
from dataclasses import dataclass, field
from typing import Any

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError


logger = logging.getLogger(__name__)

# The share of bad videos is taken over at least so many samples (or all videos, where there are fewer).
JUDGED_SAMPLES = 1000
LISTED = 20


class TooManyBadVideosError(RuntimeError):
    """More videos cannot be read than `data.max_bad_share` allows, or no replacement for one could be."""


@dataclass(frozen=True)
class Fault:
    """A video that could not be read, and why."""

    name: str
    reason: str

    @classmethod
    def of(cls, name: str, error: Exception) -> "Fault":
        reason = str(error) or type(error).__name__
        if isinstance(error, VideoDecodingError):
            return cls(name, reason.removeprefix("Cannot decode ").removeprefix(f"{name}: "))
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

    Attributes:
        max_share: Share of samples whose video cannot be read above which `count` raises.
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

    def count(self, samples: int, bad: int, faults: list[Fault]) -> None:
        """Take note of a batch; a video is named in the log when it is met for the first time.

        Args:
            samples: Samples in the batch.
            bad: Those whose own video could not be read.
            faults: All videos that could not be read, replacements included.

        Raises:
            TooManyBadVideosError: The share is above `max_share`.
        """
        self.seen += samples
        self.bad += bad
        for fault in faults:
            if fault.name not in self.reasons:
                self.reasons[fault.name] = fault.reason
                logger.warning("Unreadable video %s (number %d): %s", fault.name, len(self.reasons), fault.reason)
        judged = max(self.seen, min(JUDGED_SAMPLES, self.num_videos or JUDGED_SAMPLES))
        if self.bad > self.max_share * judged:
            raise TooManyBadVideosError(
                f"{self.bad} of {self.seen} samples had a video that cannot be read, more than data.max_bad_share = "
                f"{self.max_share:g} of {judged}. Repair or remove these videos, or raise data.max_bad_share:\n"
                f"{listing(self.faults)}"
            )

    @property
    def faults(self) -> list[Fault]:
        """The unreadable videos, in the order in which they were met."""
        return [Fault(name, reason) for name, reason in self.reasons.items()]

    def report(self) -> str:
        """What to tell at the end of a run."""
        if not self.reasons:
            return f"All videos of {self.seen} samples could be read."
        return (
            f"{self.bad} of {self.seen} samples had a video that cannot be read and was replaced. "
            f"{len(self.reasons)} videos:\n" + "\n".join(f"- {fault.name}: {fault.reason}" for fault in self.faults)
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seen": self.seen, "bad": self.bad, "reasons": dict(self.reasons)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.seen, self.bad, self.reasons = state["seen"], state["bad"], dict(state["reasons"])
