"""Making rows for tests that stand below the front door."""

import hashlib
import uuid
from typing import Any

from sqlalchemy import Engine

from infra import files
from infra.ids import new_id
from infra.steps import StoredObject
from schemas.commands import Command, Input
from schemas.registry import KINDS

#: Counts the events that have not gone out to the exchange.
UNPUBLISHED = (
    "select count(*) from events where seq is null or seq > (select seq from event_marks where reader = 'exchange')"
)


def stored(content: bytes, name: str = "a.bin") -> StoredObject:
    """An object as the store would describe it; nothing is written to a store."""
    return StoredObject(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        sha1=hashlib.sha1(content).hexdigest(),
        size=len(content),
        content_type="application/octet-stream",
        object_key=f"uploads/{uuid.uuid4()}",
    )


def new_file(database: Engine, content: bytes = b"hello") -> str:
    """The row of an uploaded file; returns its SHA-256."""
    made = stored(content)
    with database.begin() as connection:
        files.add(connection, made, "test")
    return made.sha256


def new_command(sha256: str, **terms: Any) -> Command:
    """A command for a short sleep on a file."""
    return Command(
        id=new_id(),
        kind=KINDS["analyze.sleep"],
        params={"file": sha256, "time": 0},
        inputs=(Input("file", sha256),),
        submitted_by="test",
        via="http",
        **terms,
    )
