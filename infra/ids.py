"""Identifiers: UUIDv7, which order by time of creation, and the trace context that goes with a request."""

import random
from datetime import datetime
from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def new_name() -> str:
    """A fresh UUIDv7 as text, for who needs no more: an object would cost four times as much."""
    return str(uuid_utils.uuid7())


def first_of(moment: datetime) -> UUID:
    """The lowest UUIDv7 of a moment; every one that is made later is greater."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62))


def new_traceparent() -> str:
    """A W3C `traceparent` for a request that came without one."""
    # Neither is a secret, and the system's own randomness costs a call of the kernel.
    return f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-01"
