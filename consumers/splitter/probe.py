"""The scan: read every packet of a video once, without decoding more than its first picture, and say what is there.

Headers are hints: frame counts, durations and rates come from the packets. Nothing here may choose a frame.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import FFmpegError, VideoFrame
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from consumers.media.reel import open_reel, packets
from consumers.outcome import Rejected
from consumers.splitter.look import Look, look_of
from consumers.splitter.timeline import Timeline

# Streams without a container: whatever timestamps they seem to have are made up from a guessed rate.
BARE = {"h264", "hevc", "mpegvideo", "m4v", "vc1", "obu", "mjpeg"}
# AVI stores no presentation times: with B-frames its timestamps run in decoding order. This many pictures show it.
ORDERED_BY_DECODING = {"avi"}
PICTURES_TO_COMPARE = 32
MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class Source:
    """What the scan found. Durations in seconds; `keyframes`: (packet number, tick) of each, in decoding order."""

    path: Path
    container: str
    codec: str
    timeline: Timeline
    look: Look
    keyframes: tuple[Sequence[int], Sequence[int]]
    packets: int
    damaged_packets: int
    declared_frames: int
    declared_duration: Fraction | None
    synthetic_timestamps: bool
    counted: bool
    """Timestamps of packets say nothing about pictures: the i-th picture shown is the i-th of the timeline."""


@dataclass
class _Tally:
    """Running counts over the packets."""

    shown: "array[int]" = field(default_factory=lambda: array("q"))
    key_numbers: "array[int]" = field(default_factory=lambda: array("q"))
    key_ticks: "array[int]" = field(default_factory=lambda: array("q"))
    pictures: list[int | None] = field(default_factory=list)
    first: VideoFrame | None = None
    packets: int = 0
    untimed: int = 0
    damaged: int = 0
    last_tick: int | None = None
    last_duration: int = 0

    def add(self, packet: "Packet[VideoStream]") -> None:
        """Count one packet."""
        tick = packet.pts
        if packet.is_keyframe and tick is not None:
            self._note_keyframe(tick)
        self.packets += 1
        self.damaged += packet.is_corrupt
        if tick is None:
            self.untimed += 1
        elif not packet.is_discard and (not self.key_ticks or tick >= self.key_ticks[0]):
            self.shown.append(tick)
            if self.last_tick is None or tick > self.last_tick:
                self.last_tick, self.last_duration = tick, packet.duration or 0

    def _note_keyframe(self, tick: int) -> None:
        """A recording may begin in mid-stream: what comes before the first keyframe cannot be decoded."""
        if not self.key_ticks:
            self.shown, self.last_tick = array("q"), None
        self.key_numbers.append(self.packets)
        self.key_ticks.append(tick)

    def look_at(self, frames: list[VideoFrame]) -> None:
        """Note pictures that came out of the decoder."""
        self.first = self.first or next(iter(frames), None)
        self.pictures += [frame.pts for frame in frames]


def scan(path: Path, source_rate: Fraction | None) -> Source:
    """Read the whole file once. `source_rate` (frames per second) is for streams that carry no timestamps.

    Raises Rejected: as `open_reel`, and `no_frames`.
    """
    with open_reel(path) as (container, stream):
        tally = _read(container, stream)
        if tally.first is None or not tally.packets:
            raise Rejected("no_frames", "The video stream has no frame that can be decoded.")
        bare = container.format.name in BARE or tally.untimed * 2 > tally.packets
        return Source(
            path=path,
            container=container.format.name,
            codec=stream.codec.name,
            timeline=_made_up(tally, stream, source_rate) if bare else _timeline(tally, stream),
            look=look_of(tally.first, stream.sample_aspect_ratio),
            keyframes=(tally.key_numbers, tally.key_ticks),
            packets=tally.packets,
            damaged_packets=tally.damaged,
            declared_frames=stream.frames,
            declared_duration=_declared_duration(container, stream),
            synthetic_timestamps=bare,
            counted=bare or tally.pictures != sorted(p for p in tally.pictures if p is not None),
        )


def _read(container: InputContainer, stream: VideoStream) -> _Tally:
    """Count all packets; decode only until the first picture is there (or enough of them to compare their times)."""
    tally = _Tally()
    enough = PICTURES_TO_COMPARE if container.format.name in ORDERED_BY_DECODING else 1
    stream.thread_type = ThreadType.NONE
    for packet in packets(container, stream):
        tally.add(packet)
        if len(tally.pictures) < enough:
            tally.look_at(_decoded(stream, packet))
    if len(tally.pictures) < enough:
        tally.look_at(_decoded(stream, None))
    return tally


def _decoded(stream: VideoStream, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
    """What a packet (or, with None, the end of the stream) brings out of the decoder; nothing when it is damaged."""
    try:
        return stream.codec_context.decode(packet)
    except FFmpegError:
        return []


def _timeline(tally: _Tally, stream: VideoStream) -> Timeline:
    assert stream.time_base is not None
    pts = array("q", np.unique(np.asarray(tally.shown)).tobytes())
    if not pts:
        raise Rejected("no_frames", "Every frame of the video is cut away by its edit list.")
    bare = Timeline(stream.time_base, pts, pts[-1])
    duration = tally.last_duration or _usual_duration(bare, stream)
    return Timeline(stream.time_base, pts, pts[-1] + duration)


def _usual_duration(timeline: Timeline, stream: VideoStream) -> int:
    """Ticks that the last frame stays when its packet does not say: as long as the others, or as the rate promises."""
    if timeline.distances:
        return int(timeline.typical_distance / timeline.time_base)
    return int(1 / (stream.guessed_rate * timeline.time_base)) if stream.guessed_rate else 0


def _made_up(tally: _Tally, stream: VideoStream, source_rate: Fraction | None) -> Timeline:
    """Frames at an even distance: by the caller's rate, or the stream's guess."""
    rate = source_rate or stream.guessed_rate or Fraction(25)
    return Timeline(1 / rate, range(tally.packets), tally.packets)


def _declared_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return container.duration * MICROSECOND if container.duration else None
