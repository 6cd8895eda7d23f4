"""Publish the jobs that nobody has published yet: left by the gateway, retried, promoted, rescued or forgotten."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, Engine

from infra import db
from infra.publisher import Confirmation
from infra.relay.outlet import Outlet
from infra.relay.transact import transact
from infra.topology import JOBS
from schemas.registry import KINDS, Consumer, Lane
from schemas.wire import Message, PackedJob, job_message, jobs_in, packed_messages

BATCH = 200
# So long a new job is left to the gateway that has just committed it.
GATEWAY_SECONDS = 2.0


class Wakeups:
    """Wakes the consumers, each on its own: a queue that refuses holds up no other."""

    def __init__(self, engine: Engine, outlet: Outlet) -> None:
        self._engine = engine
        self._outlet = outlet

    async def publish(self) -> bool:
        """Publish a batch for every consumer; True when one of them has more that goes out."""
        if not await self._outlet.open():
            return False
        return any(await asyncio.gather(*(self._publish_for(consumer) for consumer in Consumer)))

    async def _publish_for(self, consumer: Consumer) -> bool:
        packs = _packs(await transact(self._engine, _unpublished, consumer))
        fates = await self._outlet.publish(JOBS, [message for message, _ in packs])
        sent = [row for (_, rows), fate in zip(packs, fates, strict=True) if fate is Confirmation.ACKED for row in rows]
        if Confirmation.RETURNED in fates:
            self._outlet.doubt()
        if sent:
            await transact(self._engine, _mark, sent)
        return len(sent) == BATCH


def _packs(rows: Sequence[db.Row]) -> list[tuple[Message, Sequence[db.Row]]]:
    """The messages for these jobs, each with the jobs in it: one by one, but those of the fast lane packed."""
    groups: dict[tuple[str, int], list[db.Row]] = {}
    for row in rows:
        groups.setdefault((row["kind"], row["version"]), []).append(row)
    return [pack for (kind, version), group in groups.items() for pack in _packed(kind, version, group)]


def _packed(kind: str, version: int, rows: Sequence[db.Row]) -> Iterator[tuple[Message, Sequence[db.Row]]]:
    if len(rows) == 1 or kind not in KINDS or KINDS[kind].lane is Lane.LEASED:
        for row in rows:
            told = (row["id"], kind, row["params"], row["priority"], row["traceparent"], version, row["queued_at"])
            yield job_message(*told), [row]
        return
    given = ("id", "params", "priority", "traceparent")
    jobs = [PackedJob.model_construct(**{name: row[name] for name in given}) for row in rows]
    rest = iter(rows)
    for message in packed_messages(kind, jobs, version):
        yield message, list(islice(rest, jobs_in(message)))


def _unpublished(connection: Connection, consumer: Consumer) -> Sequence[db.Row]:
    return db.rows(connection, "outbox.unpublished", consumer=consumer.value, age=GATEWAY_SECONDS, batch=BATCH)


def _mark(connection: Connection, sent: Sequence[db.Row]) -> None:
    db.run(connection, "outbox.mark", ids=[row["id"] for row in sent], queued_at=[row["queued_at"] for row in sent])
