"""Reading frames in large pieces: however the bytes arrive, the connection gets the same frames."""

import socket
import struct
from typing import Any

import pytest
from amqp.exceptions import UnexpectedFrame
from hypothesis import given
from hypothesis import strategies as st

from infra.broker import frames

Frame = tuple[int, int, bytes]
BIG = b"x" * 100_000
CLOSE = struct.pack(">HH", 20, 40)


class Wire:
    """What `read` needs of a connection; one end of a socket is its transport."""

    def __init__(self, sock: socket.socket) -> None:
        self.transport: Any = self
        self.sock = sock
        self._read_buffer = b""
        self.seen: list[Frame] = []
        self.rest_at_close = b""

    def on_inbound_frame(self, frame: Frame) -> None:
        self.seen.append(frame)
        if frame[2].startswith(CLOSE):
            self.rest_at_close = self._read_buffer
            self._read_buffer = self._read_buffer[8:]  # whoever handles it reads an empty frame


def written(frame: Frame) -> bytes:
    kind, channel, payload = frame
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


frame_lists = st.lists(
    st.tuples(st.integers(2, 8), st.integers(0, 3), st.binary(max_size=50) | st.just(BIG)), min_size=1, max_size=8
)


@given(given_frames=frame_lists, cuts=st.lists(st.integers(1, 200_000), max_size=6))
def test_frames_are_whole_however_they_arrive(given_frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(map(written, given_frames))
    near, far = socket.socketpair()
    with near, far:
        far.settimeout(10)
        wire = Wire(near)
        for cut in [*cuts, len(data)]:
            piece, data = data[:cut], data[cut:]
            while piece:  # a socket takes only so much at a time
                piece = piece[far.send(piece[:50_000]) :]
                frames.read(wire)
        assert wire.seen == given_frames
        assert wire._read_buffer == b""


def test_whoever_handles_a_method_reads_on_from_there() -> None:
    near, far = socket.socketpair()
    with near, far:
        wire = Wire(near)
        empty, last = (8, 0, b""), (3, 1, b"last")
        far.sendall(b"".join(map(written, [(1, 1, CLOSE), empty, last])))
        frames.read(wire)
        assert wire.rest_at_close == written(empty) + written(last)
        assert wire.seen == [(1, 1, CLOSE), last]


def test_an_end_and_a_broken_frame_are_noticed() -> None:
    near, far = socket.socketpair()
    with near:
        wire = Wire(near)
        far.sendall(written((8, 0, b"")))
        far.close()
        frames.read(wire)
        assert wire.seen == [(8, 0, b"")]
        with pytest.raises(ConnectionResetError):
            frames.read(wire)
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"\x08\0\0\0\0\0\0\0")
        with pytest.raises(UnexpectedFrame):
            frames.read(Wire(near))
