"""The source's time axis: when each frame comes on screen, how regular that is, and how fast it is.

Pure: integers and fractions only. No float enters a decision, and nothing here may open a file or know a codec.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

# Containers round timestamps (Matroska to 1 ms): the frame that is due may carry a timestamp this much too late.
# Never more, not even where ticks are coarser: in AVI a tick is a whole frame, and exact.
ROUNDING = Fraction(1, 1000)
# A distance this many times the median is a pause or a dropped frame, not motion.
PAUSE = Fraction(3, 2)
# Distances that vary leave the rate uncertain by about this factor.
SLACK = Fraction(101, 100)


@dataclass(frozen=True)
class Timeline:
    """Distinct ascending timestamps in ticks of `time_base` seconds, at least one. The last frame ends at `end`."""

    time_base: Fraction
    pts: Sequence[int]
    end: int

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame's start to the last one's end."""
        return (self.end - self.pts[0]) * self.time_base

    def ordinal(self, pts: int) -> int:
        """Number of the source frame, from 0 in display order, that comes on screen at tick `pts`, or next after it."""
        return min(bisect_left(self.pts, pts), len(self.pts) - 1)

    @cached_property
    def distances(self) -> list[tuple[int, int]]:
        """How often each distance between neighbours occurs: (ticks, count), ascending."""
        return sorted(Counter(b - a for a, b in pairwise(self.pts)).items())

    @cached_property
    def typical_distance(self) -> Fraction:
        """Median distance in seconds between neighbours (the lower one); the duration when there is a single frame."""
        left = len(self.pts) // 2
        for ticks, count in self.distances:
            left -= count
            if left <= 0:
                return ticks * self.time_base
        return self.duration

    @cached_property
    def tolerance(self) -> Fraction:
        """Seconds by which a timestamp may be late: 1 ms, but never more than half the way to the next frame."""
        return min(ROUNDING, self.typical_distance / 2)

    @cached_property
    def is_constant(self) -> bool:
        """Whether the distances between frames are equal up to the rounding of timestamps."""
        mean = self.duration / len(self.pts)
        rounding = max(self.time_base, ROUNDING)
        return all(abs(ticks * self.time_base - mean) <= rounding for ticks, _ in self.distances)

    @property
    def average_rate(self) -> Fraction:
        """Frames per second over the whole duration; 0 when a single frame has no known duration."""
        return len(self.pts) / self.duration if self.duration else Fraction(0)

    @property
    def highest_rate(self) -> Fraction:
        """The rate above which samples would have to repeat frames all the time; 0 when it cannot be known.

        With constant distances: the average rate. With variable ones: the rate without the pauses, which must not
        hide it, but at most twice the average, which bounds the work by the source's size.
        """
        if not self.duration:
            return Fraction(0)
        average = len(self.pts) / (self.duration - self.tolerance)
        if self.is_constant:
            return average
        return max(average, min(self._rate_in_motion * SLACK, 2 * average))

    @property
    def _rate_in_motion(self) -> Fraction:
        longest = self.typical_distance * PAUSE / self.time_base
        motion = [(ticks, count) for ticks, count in self.distances if ticks <= longest]
        frames, ticks = sum(count for _, count in motion), sum(ticks * count for ticks, count in motion)
        return frames / (ticks * self.time_base)
