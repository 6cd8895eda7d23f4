"""Facts: written with what they tell about, numbered by the leader, read by number. What was numbered never changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db

#: Facts that one page looks at. Of a type that is rare a page may hold none, and the next one looks further.
LOOKS = 10_000
#: Outputs that the fact about them names.
SHOWN = 50


@dataclass(frozen=True)
class Page:
    """Facts by number; `next` is where the following page begins, `more` when it would not be empty of facts."""

    rows: Sequence[db.Row]
    next: int
    more: bool


@dataclass(frozen=True)
class Span:
    """The last number that retention has taken away, and the last one given."""

    retired: int
    head: int


def tell(
    connection: Connection,
    kind: str,
    data: dict[str, Any],
    job_id: UUID | None = None,
    traceparent: str | None = None,
) -> None:
    """Write a fact, in the transaction of what it tells."""
    db.run(connection, "events.tell", type=kind, job_id=job_id, traceparent=traceparent, data=db.document(data))


def tell_artifacts(connection: Connection, job_id: UUID) -> None:
    """Tell what a job has made, in the transaction of its success; nothing when that is nothing.

    One fact for all outputs, naming the first: they show in one instant, and ten thousand frames are no ten thousand
    news.
    """
    db.run(connection, "events.tell_artifacts", job_id=job_id, shown=SHOWN)


def tell_file(connection: Connection, kind: str, sha256: str, traceparent: str | None = None) -> None:
    """Tell that a file came or goes; its row must be there."""
    db.run(connection, "events.tell_file", type=kind, sha256=sha256, traceparent=traceparent)


def number(connection: Connection, batch: int) -> int:
    """Give the next numbers to at most `batch` facts, in the order of their ids. Only on the leader's connection."""
    return db.run(connection, "events.number", batch=batch)


def unpublished(connection: Connection, heard: Sequence[str], batch: int) -> Sequence[db.Row]:
    """Facts that the exchange has not had yet; `whole` ones with all they say."""
    return db.rows(connection, "events.unpublished", heard=heard, batch=batch)


def mark(connection: Connection, seq: int) -> None:
    """Note how far the exchange is."""
    db.run(connection, "events.mark", seq=seq)


def lag(connection: Connection) -> float:
    """The age in seconds of the oldest fact that the exchange has not had."""
    return float(db.rows(connection, "events.lag")[0]["seconds"])


def span(connection: Connection) -> Span:
    """From where to where there are facts."""
    return Span(**db.rows(connection, "events.span")[0])


def page(connection: Connection, since: int, types: str | None, limit: int, tenant: str = "") -> Page:
    """At most `limit` facts after the number `since` whose type an expression (`schemas.events`) wants.

    With a tenant, only what he may hear of. The transaction is nobody's: numbers are counted over all facts.
    """
    looks = LOOKS if types is not None or tenant else limit
    reach = db.rows(connection, "events.reach", since=since, looks=looks)[0]["seq"]
    if reach is None:
        return Page((), since, False)
    found = db.rows(connection, "events.page", since=since, reach=reach, types=types, limit=limit, tenant=tenant)
    end = found[-1]["seq"] if len(found) == limit else reach
    return Page(found, end, end < span(connection).head)


def of_job(connection: Connection, job_id: UUID, since: int, limit: int, tenant: str = "") -> Page:
    """At most `limit` facts about one job after the number `since`."""
    head = max(span(connection).head, since)
    found = db.rows(connection, "events.of_job", job_id=job_id, since=since, reach=head, limit=limit, tenant=tenant)
    full = len(found) == limit
    return Page(found, found[-1]["seq"] if full else head, full)


def job_is_told(connection: Connection, job_id: UUID, seq: int) -> bool:
    """Whether a job is over and no fact about it comes after this number; also when there is no such job."""
    row = db.row(connection, "events.job_is_told", job_id=job_id, seq=seq)
    return row is None or row["told"] is True


def retire(connection: Connection, age_seconds: float, batch: int) -> int:
    """Delete at most `batch` of the facts that are older than this. Returns how many went."""
    return db.run(connection, "events.retire", age=age_seconds, batch=batch)
