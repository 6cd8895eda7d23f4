"""Reading what the broker has sent in large pieces.

py-amqp asks the kernel for each frame in three small ones, nine per message: most of what it costs to consume. Here it
is asked for all that is there, and py-amqp's own parser gets frame after frame. What is left of an incomplete one stays
where py-amqp looks for it, so that its own reads (the answer to a method) go on from there.
"""

import ssl
import struct
from typing import Any

from amqp.exceptions import UnexpectedFrame

from infra.broker.connection import PATIENCE_SECONDS
from infra.broker.properties import readable

PIECE = 256 * 1024
HEADER = struct.Struct(">BHI")
OVERHEAD = HEADER.size + 1
"""A frame is a header, its payload, and an end mark."""
END = 0xCE
METHOD = 1
DELIVER = struct.pack(">HH", 60, 60)


def read(wire: Any) -> None:
    """Hand every frame that has arrived to the connection. Does not wait; raises what the connection raises."""
    transport = wire.transport
    data = transport._read_buffer + _arrived(transport.sock)
    start = 0
    while len(data) - start >= OVERHEAD:
        kind, channel, size = HEADER.unpack_from(data, start)
        end = start + size + OVERHEAD
        if end > len(data):
            break
        if data[end - 1] != END:
            raise UnexpectedFrame(f"a frame of type {kind} has no end mark")
        payload = data[start + HEADER.size : end - 1]
        start = end
        if kind == METHOD and not payload.startswith(DELIVER):
            # Whoever handles it may ask the broker something, and reads the answer from where we are.
            transport._read_buffer, data, start = data[start:], b"", 0
            wire.on_inbound_frame((kind, channel, payload))
            data = transport._read_buffer
        else:
            wire.on_inbound_frame((kind, channel, readable(payload) if kind == METHOD else payload))
    transport._read_buffer = data[start:]


def _arrived(sock: Any) -> bytes:
    """Every byte that is there."""
    data = b""
    sock.settimeout(0)
    try:
        while piece := sock.recv(PIECE):
            data = data + piece if data else piece
    except (BlockingIOError, ssl.SSLWantReadError):
        return data
    finally:
        sock.settimeout(PATIENCE_SECONDS)
    if not data:  # else what it has said last comes first
        raise ConnectionResetError("the broker has closed the connection")
    return data
