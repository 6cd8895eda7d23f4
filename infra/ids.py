"""Identifiers: UUIDv7, which order by time of creation, and the trace context that goes with a request."""

import secrets
from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def new_traceparent() -> str:
    """A W3C `traceparent` for a request that came without one."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
