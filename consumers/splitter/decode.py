"""From a plan to pictures: decode as little as possible, and prove for every sample that its frame arrived.

The quick way skips frames that nothing refers to and nobody asked for; it is bit-exact wherever it delivers. Where a
planned frame does not arrive, or the scan saw damage, the careful way takes over: everything is decoded from the
start of the file in one thread, so that an undisturbed run and a resumed one agree on every pixel.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

from av import FFmpegError, VideoFrame
from av.codec.context import ThreadType
from av.video.stream import VideoStream

from consumers.media.reel import open_reel, packets
from consumers.splitter.plan import Plan, Task
from consumers.splitter.probe import Source

# Skipped frames take their turn in a thread like any other, so one thread per core leaves cores idle.
THREADS_PER_CORE, MOST_THREADS = 3, 12


@dataclass(frozen=True)
class Shot:
    """A decoded frame and the lock to hold while it is converted or encoded.

    FFmpeg's scaler takes the colours from the frame, so PyAV rewrites the frame's tags for the time that it converts:
    two threads with one frame would give each other the wrong matrix.
    """

    frame: VideoFrame
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True)
class Sample:
    """One sample: its number k, and what is on screen then with its place in the source (from 0, display order).

    Samples that show the same frame share one shot.
    """

    number: int
    ordinal: int
    pts: int
    shot: Shot


class _Missing(Exception):
    """A planned frame did not come out of the quick way: the to-do list is open from `place` on."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


def samples(source: Source, plan: Plan, tasks: Iterable[Task]) -> Generator[Sample, None, None]:
    """The samples of `tasks` in order. Samples beyond the last frame that can be decoded are left out."""
    todo = array("q", (number for task in tasks for number in task.samples))
    if not todo:
        return
    if not (source.counted or source.damaged_packets):
        try:
            yield from _quick(source, plan, todo)
            return
        except _Missing as missing:
            todo = todo[missing.place :]
    yield from _careful(source, plan, todo)


def _quick(source: Source, plan: Plan, todo: Sequence[int]) -> Iterator[Sample]:
    """Decode from the keyframe before the first sample, skipping what nothing depends on. Raises _Missing."""
    wanted = array("q", map(plan.pts, todo))
    place = 0
    for frame in _wanted_frames(source, wanted):
        pts = frame.pts if frame else None
        if frame is None or pts is None or pts > wanted[place] or (pts == wanted[place] and frame.is_corrupt):
            raise _Missing(place)
        # The frame's own pts is not read again: whoever takes the sample may use the frame for something else.
        shot = Shot(frame)
        while place < len(todo) and pts == wanted[place]:
            yield Sample(todo[place], plan.ordinals[todo[place]], pts, shot)
            place += 1
        if place == len(todo):
            return
    raise _Missing(place)


def _wanted_frames(source: Source, wanted: Sequence[int]) -> Iterator[VideoFrame | None]:
    """Frames in display order with none of the wanted ones skipped; None where the decoder complained."""
    with open_reel(source.path) as (container, stream):
        decoder = stream.codec_context
        decoder.thread_type = ThreadType.AUTO
        decoder.thread_count = min(THREADS_PER_CORE * _cores(), MOST_THREADS)
        for packet in packets(container, stream, _starting_packet(source, wanted[0])):
            decoder.skip_frame = "DEFAULT" if _contains(wanted, packet.pts) else "NONREF"
            try:
                yield from decoder.decode(packet)
            except FFmpegError:
                yield None
        yield from _rest(stream)


def _cores() -> int:
    """How many this process may use; where the system does not say, all that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _contains(ascending: Sequence[int], value: int | None) -> bool:
    """Whether the value is there: a search, because a set of a long video's timestamps would be large."""
    if value is None:
        return False
    place = bisect_left(ascending, value)
    return place < len(ascending) and ascending[place] == value


def _starting_packet(source: Source, tick: int) -> int:
    """Number of the last keyframe's packet that is shown no later than `tick`; 0 when there is none."""
    numbers, ticks = source.keyframes
    usable = [number for number, shown in zip(numbers, ticks, strict=True) if shown <= tick]
    return max(usable, default=0)


def _careful(source: Source, plan: Plan, todo: Sequence[int]) -> Iterator[Sample]:
    """Decode everything and take, for each sample, the last frame that did arrive by its deadline."""
    place, shown = 0, None
    for pts, frame in _all_frames(source, plan):
        shot = Shot(frame)
        while place < len(todo) and pts > plan.deadline(todo[place]):
            # A sample before the first frame that could be decoded gets that one: there is nothing earlier to show.
            yield _sample(plan, todo[place], *(shown or (pts, shot)))
            place += 1
        if place == len(todo):
            return
        shown = pts, shot
    while shown and place < len(todo) and plan.pts(todo[place]) <= shown[0]:
        yield _sample(plan, todo[place], *shown)
        place += 1


def _sample(plan: Plan, number: int, pts: int, shot: Shot) -> Sample:
    return Sample(number, plan.timeline.ordinal(pts), pts, shot)


def _all_frames(source: Source, plan: Plan) -> Iterator[tuple[int, VideoFrame]]:
    """Every frame that decodes, with its ascending tick. Frame threads would lose some after an error: one thread."""
    ticks = plan.timeline.pts
    latest = ticks[0] - 1
    for count, frame in enumerate(_decoded(source)):
        pts = ticks[min(count, len(ticks) - 1)] if source.counted else frame.pts
        if pts is not None and pts > latest:
            latest = pts
            yield pts, frame


def _decoded(source: Source) -> Iterator[VideoFrame]:
    with open_reel(source.path) as (container, stream):
        stream.thread_type = ThreadType.NONE
        for packet in packets(container, stream):
            try:
                yield from stream.codec_context.decode(packet)
            except FFmpegError:
                continue
        yield from _rest(stream)


def _rest(stream: VideoStream) -> list[VideoFrame]:
    """The frames that the decoder still holds at the end of the stream."""
    try:
        return stream.codec_context.decode(None)
    except FFmpegError:
        return []
