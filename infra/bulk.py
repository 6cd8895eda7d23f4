"""One thing done to many jobs, batch by batch, each remembered in the transaction that did it.

So a bulk job that is taken up again goes on behind the last job that it has dealt with, and has an answer for each.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db, jobs, steps
from infra.claims import Claim
from infra.steps import Checkpoint
from schemas.bulk import ACTS_ON, COUNTED, Acted, Bulk, BulkAction
from schemas.registry import KINDS
from schemas.states import JobState

SAMPLE = 10
FIRST = str(UUID(int=0))
MOST_COUNTED = 1_000_000


class LostClaim(Exception):
    """The claim is somebody else's by now: nothing was done."""


def preview(connection: Connection, wanted: Bulk) -> tuple[int, Sequence[UUID]]:
    """How many jobs it would act on, counted up to COUNTED + 1, and some of them."""
    return _look(connection, _terms(wanted, None), COUNTED + 1)


def act(connection: Connection, held: Claim, wanted: Bulk, limit: int) -> Checkpoint | None:
    """Deal with the next jobs, at most `limit`; the step that remembers them, or None when none is left.

    Its record is `{"total", "next", "done": [[id, outcome, why], ...]}`. Raises LostClaim: roll back.
    """
    # Our own row comes last, and is held for a moment only: whoever cancels us need not wait for those we wait for.
    db.run(connection, "claims.patience")
    last = db.row(connection, "bulk.last_step", job_id=held.id)
    total = last["record"]["total"] if last is not None else _total(connection, held, wanted)
    after = last["record"]["next"] if last is not None else FIRST
    if after is None:
        return None
    deal = _next_named if wanted.filter.ids is not None else _next
    done, beyond = deal(connection, held, wanted, UUID(after), limit)
    ordinal = last["ordinal"] + 1 if last is not None else 0
    made = {
        "total": total,
        "next": str(beyond) if beyond is not None else None,
        "done": [[str(item.id), item.outcome, item.why] for item in done],
    }
    step = Checkpoint(f"batch-{ordinal:06d}", ordinal, made, ())
    if not steps.checkpoint(connection, held.id, held.token, step):
        raise LostClaim
    return step


def _next(
    connection: Connection, held: Claim, wanted: Bulk, after: UUID, limit: int
) -> tuple[list[Acted], UUID | None]:
    """The next jobs in the order of their ids, and where to go on."""
    rows = db.rows(connection, "bulk.next", **_terms(wanted, held.id), after=after, limit=limit)
    done = _deal(connection, wanted.action, rows)
    return done, rows[-1]["id"] if len(rows) == limit else None


def _next_named(
    connection: Connection, held: Claim, wanted: Bulk, after: UUID, limit: int
) -> tuple[list[Acted], UUID | None]:
    """The same for jobs that are named: each of them has an answer."""
    rest = sorted({job_id for job_id in wanted.filter.ids or () if job_id > after})
    batch = rest[:limit]
    terms = _terms(wanted, held.id) | {"ids": batch}
    rows = db.rows(connection, "bulk.next", **terms, after=after, limit=limit)
    fitting = {row["id"] for row in rows}
    left = [job_id for job_id in batch if job_id not in fitting]
    states = {row["id"]: row["state"] for row in db.rows(connection, "bulk.states", ids=left)} if left else {}
    skipped = [Acted(job_id, "skipped", _why_not(held, wanted, job_id, states.get(job_id))) for job_id in left]
    return [*_deal(connection, wanted.action, rows), *skipped], batch[-1] if len(rest) > limit else None


def _why_not(held: Claim, wanted: Bulk, job_id: UUID, state: str | None) -> str:
    if state is None:
        return "unknown_job"
    if job_id == held.id:
        return "itself"
    return "does_not_fit" if state in ACTS_ON[wanted.action] else f"is_{state}"


def _deal(connection: Connection, action: BulkAction, rows: Sequence[db.Row]) -> list[Acted]:
    if action is BulkAction.RETRY:
        known = [row for row in rows if row["kind"] in KINDS]
        strange = [Acted(row["id"], "skipped", "unknown_kind") for row in rows if row["kind"] not in KINDS]
        return [*_retry(connection, known), *strange]
    jobs.cancel_all(connection, rows)
    return [Acted(row["id"], "cancelling" if row["state"] == JobState.RUNNING else "cancelled") for row in rows]


def _retry(connection: Connection, rows: Sequence[db.Row]) -> list[Acted]:
    """All in one statement; when one of them is refused, halves, so that it spoils no other."""
    try:
        with connection.begin_nested():
            queued = jobs.retry_all(connection, rows)
    except db.REFUSED as error:
        if len(rows) == 1:
            why = "key_in_use" if db.constraint_of(error) == "jobs_live_key" else "refused"
            return [Acted(rows[0]["id"], "skipped", why)]
        middle = len(rows) // 2
        return [*_retry(connection, rows[:middle]), *_retry(connection, rows[middle:])]
    return [
        Acted(row["id"], "queued") if row["id"] in queued else Acted(row["id"], "skipped", "inputs_gone")
        for row in rows
    ]


def _total(connection: Connection, held: Claim, wanted: Bulk) -> int:
    named = wanted.filter.ids
    return len(set(named)) if named is not None else _look(connection, _terms(wanted, held.id), MOST_COUNTED)[0]


def _look(connection: Connection, terms: dict[str, Any], most: int) -> tuple[int, Sequence[UUID]]:
    [row] = db.rows(connection, "bulk.look", **terms, most=most, shown=SAMPLE)
    return row["jobs"], row["sample"]


def _terms(wanted: Bulk, own: UUID | None) -> dict[str, Any]:
    chosen = wanted.filter
    return {
        "states": _names([chosen.state] if chosen.state is not None else ACTS_ON[wanted.action]),
        "kind": chosen.kind,
        "submitted_by": chosen.submitted_by,
        "created_after": chosen.created_after,
        "created_before": chosen.created_before,
        "ids": chosen.ids,
        "own": own,
    }


def _names(states: Iterable[JobState]) -> list[str]:
    return sorted(state.value for state in states)
