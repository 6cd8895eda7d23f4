"""Which source frame each sample is, and which task it falls into: known before a single frame is decoded.

Sample k is the frame on screen at k / rate seconds after the first one. Pure: integers and fractions only. No float
enters a decision, and nothing here may open a file or know a codec.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from consumers.splitter.timeline import Timeline


@dataclass(frozen=True)
class Task:
    """A run of samples that becomes one task video: `first` to `first + count - 1`. All numbers count from 0."""

    number: int
    first: int
    count: int

    @property
    def samples(self) -> range:
        """The numbers k of its samples."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True)
class Deadlines:
    """floor(t0 + k / rate + tolerance) in ticks, as (k * step + late) // scale: whole numbers all the way."""

    start: int
    step: int
    late: int
    scale: int

    def __call__(self, sample: int) -> int:
        """The latest timestamp, in ticks, of a frame that is on screen at sample k."""
        return self.start + (sample * self.step + self.late) // self.scale


def deadlines(timeline: Timeline, rate: Fraction) -> Deadlines:
    """The deadlines of all samples of a timeline at `rate` samples per second."""
    step = 1 / (rate * timeline.time_base)
    late = timeline.tolerance / timeline.time_base
    scale = step.denominator * late.denominator
    return Deadlines(timeline.pts[0], int(step * scale), int(late * scale), scale)


@dataclass(frozen=True)
class Plan:
    """Every sample and every task of one split. `ordinals[k]` is sample k's source frame, from 0 in display order."""

    timeline: Timeline
    rate: Fraction
    frames_per_task: int
    ordinals: Sequence[int]

    @cached_property
    def deadline(self) -> Deadlines:
        """Sample number to the latest timestamp that its frame may carry, in ticks."""
        return deadlines(self.timeline, self.rate)

    def pts(self, sample: int) -> int:
        """The timestamp of the sample's source frame, in ticks."""
        return self.timeline.pts[self.ordinals[sample]]

    def task_of(self, sample: int) -> Task:
        """The task that holds the sample; the last task holds the rest."""
        number = sample // self.frames_per_task
        first = number * self.frames_per_task
        return Task(number, first, min(self.frames_per_task, len(self.ordinals) - first))

    @property
    def tasks(self) -> list[Task]:
        """All tasks in order."""
        return [self.task_of(first) for first in range(0, len(self.ordinals), self.frames_per_task)]


def sample_count(timeline: Timeline, rate: Fraction) -> int:
    """How many k have k / rate before the end, at least one. An end that is late by mere rounding adds none."""
    return max(1, ceil((timeline.duration - timeline.tolerance) * rate))


def fits(timeline: Timeline, rate: Fraction) -> bool:
    """Whether the source has enough frames for the rate. A single sample always fits."""
    return sample_count(timeline, rate) == 1 or rate <= timeline.highest_rate


def make_plan(timeline: Timeline, rate: Fraction, frames_per_task: int) -> Plan:
    """Choose the source frame of every sample: the last one whose timestamp is not after the sample's deadline."""
    due, ordinals = deadlines(timeline, rate), array("q")
    ordinal, last = 0, len(timeline.pts) - 1
    for limit in map(due, range(sample_count(timeline, rate))):
        while ordinal < last and timeline.pts[ordinal + 1] <= limit:
            ordinal += 1
        ordinals.append(ordinal)
    return Plan(timeline, rate, frames_per_task, ordinals)
