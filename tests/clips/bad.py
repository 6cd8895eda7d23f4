"""Clips with something wrong or unusual about them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from tests.clips.factory import Recipe, encode


def cut_file(clip: Path, share: float) -> Path:
    """The first `share` of the file's bytes, as a transfer that broke off leaves them."""
    cut = clip.with_name(f"cut-{clip.name}")
    data = clip.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    return cut


def cut_without_reencoding(clip: Path, frames: int, rate: Fraction) -> Path:
    """The clip from frame `frames` on, by copying: an edit list hides what is needed only to decode the rest."""
    cut = clip.with_name(f"trimmed-{clip.name}")
    with av.open(clip) as source, av.open(cut, mode="w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        assert stream.time_base is not None
        start = int(frames / rate / stream.time_base)
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, copy
            target.mux(packet)
    return cut


def sound_only(path: Path) -> Path:
    """A second of silence."""
    with av.open(path, mode="w") as container:
        _add_silence(container.add_stream("aac", rate=48_000), container)
    return path


def sound_with_cover(path: Path, cover: bytes) -> Path:
    """A second of silence in Matroska with a cover picture, which demuxers present as a video stream."""
    with av.open(path, mode="w", format="matroska") as container:
        stream = container.add_stream("aac", rate=48_000)
        container.add_attachment("cover.jpg", "image/jpeg", cover)
        _add_silence(stream, container)
    return path


def no_frames(path: Path) -> Path:
    """A proper MP4 with a video track and nothing in it."""
    with av.open(path, mode="w", options={"movflags": "empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=30)
        assert isinstance(stream, VideoStream)
        stream.codec_context.width, stream.codec_context.height, stream.codec_context.pix_fmt = 192, 64, "yuv420p"
        container.start_encoding()
    return path


def bare_stream(path: Path, recipe: Recipe) -> Path:
    """An H.264 stream without a container, and so without timestamps."""
    encode(recipe, path)
    return path


def playlist(path: Path, clip: Path) -> Path:
    """A script that names another file: a video tool must not follow it."""
    path.write_text(f"ffconcat version 1.0\nfile '{clip}'\n")
    return path


def _add_silence(stream: AudioStream, container: av.container.OutputContainer) -> None:
    stream.codec_context.layout = "mono"
    for number in range(48):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
