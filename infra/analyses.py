"""Jobs of certain kinds with their inputs, as the old analysis surface looks at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from infra import db

LOWEST, HIGHEST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True)
class Filter:
    """What a listing asks for; None means any. `low` and `high` bound the id, both included."""

    kinds: tuple[str, ...]
    states: tuple[str, ...] | None = None
    input_sha256: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    low: UUID = LOWEST
    high: UUID = HIGHEST


def page(connection: Connection, wanted: Filter, limit: int) -> Sequence[db.Row]:
    """Jobs, newest first; `inputs` are SHA-1s in the order of the request."""
    return db.rows(
        connection,
        "analyses.page",
        kinds=list(wanted.kinds),
        states=list(wanted.states) if wanted.states is not None else None,
        input=wanted.input_sha256,
        created_after=wanted.created_after,
        created_before=wanted.created_before,
        low=wanted.low,
        high=wanted.high,
        limit=limit,
    )
