"""Opening a video, and the one order in which its packets are read. Whoever reads a video comes through here.

Only containers that can carry video are opened, and they can refer to nothing but themselves: a playlist or a
script that names other files or hosts is no video. Nothing here may decode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av import FFmpegError
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from consumers.outcome import Rejected

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vc1,obu,ivf,flv,asf,ogg,mxf,gxf,"
    "nut,dv,rm,wtv,gif,apng,mjpeg"
)
UNREADABLE = "The file is not a video that can be read, or its index is missing."


@contextmanager
def open_reel(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its video stream, closed again on the way out.

    Raises Rejected: `unreadable_video`, `no_video_stream`, `unsupported_codec`.
    """
    guard = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        container = av.open(path, mode="r", container_options=guard, metadata_errors="replace")
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise Rejected("unreadable_video", UNREADABLE) from error
    with container:
        yield container, _video_stream(container)


def _video_stream(container: InputContainer) -> VideoStream:
    """The stream to show: cover art and thumbnails are pictures, not video."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        raise Rejected("no_video_stream", "The file has no video stream.")
    preferred = [stream for stream in streams if stream.disposition & Disposition.default] or streams
    if preferred[0].codec_context is None:
        raise Rejected("unsupported_codec", "The codec of the video stream is not supported.")
    return preferred[0]


def packets(container: InputContainer, stream: VideoStream, start: int = 0) -> "Iterator[Packet[VideoStream]]":
    """The stream's packets in decoding order from number `start` on.

    Earlier ones are read past rather than sought over: the numbers then mean the same in every container, and
    reading costs a few thousandths of decoding. A file that breaks off ends here like any other.
    """
    source = (packet for packet in container.demux(stream) if packet.size or packet.dts is not None)
    number = 0
    while True:
        try:
            packet = next(source)
        except (StopIteration, FFmpegError):
            return
        if number >= start:
            yield packet
        number += 1
