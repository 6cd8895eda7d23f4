"""What must be true after the chaos, each with its count: read from the rows, the queues and the bucket themselves."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from schemas.states import FAST_MOVES, MOVES
from tests.chaos.demand import Wanted

STATES = """
select id, kind, lane, state, attempt, params, result from jobs
"""
MOVES_MADE = """
select job_id, array_agg(data ->> 'state' order by events.id) as states, min(kind) as kind, min(lane) as lane,
    count(*) filter (where type like '%.succeeded') as successes
from events join jobs on jobs.id = job_id
where type like '%.' || (data ->> 'state')
group by job_id
"""
NUMBERS = (
    "select count(*) as events, count(seq) as numbered, coalesce(min(seq), 1) as first, max(seq) as last from events"
)
OUTPUTS = """
select job_id, count(*) as outputs, count(distinct name) as names,
    md5(string_agg(name || sha256, ',' order by name)) as digest
from job_outputs group by job_id
"""


@dataclass(frozen=True)
class Finding:
    """One invariant: how many things were looked at, and those that break it."""

    what: str
    count: int
    broken: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return not self.broken

    def __str__(self) -> str:
        if self.holds:
            return f"{self.count:7}  {self.what}"
        return f"{self.count:7}  {self.what}: {len(self.broken)} BROKEN, such as {'; '.join(self.broken[:3])}"


def of_jobs(database: Engine, demand: Sequence[Wanted], accepted: Mapping[int, UUID]) -> Iterator[Finding]:
    """Nothing lost, nothing twice, nothing mixed up."""
    rows = {row["id"]: row for row in _rows(database, STATES)}
    asked = {accepted[wanted.number]: wanted for wanted in demand if wanted.number in accepted}
    yield Finding(
        "jobs were accepted", len(asked), [f"number {w.number} by {w.door}" for w in demand if w.number not in accepted]
    )
    yield Finding("of them have a row", len(rows), [str(job_id) for job_id in asked if job_id not in rows])
    late = [f"{r['id']} {r['kind']} {r['state']} attempt {r['attempt']}" for r in rows.values() if not _ended(r)]
    yield Finding("jobs have succeeded", len(rows) - len(late), late)
    yield Finding(
        "rows are a job that was asked for", len(rows), [str(job_id) for job_id in rows if job_id not in asked]
    )
    echoes = [row for job_id, row in rows.items() if row["kind"] == "probe.echo" and job_id in asked]
    wrong = [str(row["id"]) for row in echoes if (row["result"] or {}).get("text") != asked[row["id"]].params["text"]]
    yield Finding("echoes say what they were told", len(echoes), wrong)


def of_effects(database: Engine) -> Iterator[Finding]:
    """Every effect once, and no job that went an illegal way."""
    lives = _rows(database, MOVES_MADE)
    twice = [f"{life['job_id']}: {life['successes']} times" for life in lives if life["successes"] != 1]
    yield Finding("jobs have exactly one succeeded event", len(lives), twice)
    wrong = [f"{life['job_id']}: {' '.join(life['states'])}" for life in lives if not _legal(life)]
    yield Finding("jobs moved only as is legal", len(lives), wrong)
    with database.connect() as connection:
        rows = connection.execute(text("select id, kind from jobs where lane = 'leased'"))
        kinds: dict[UUID, str] = {row.id: row.kind for row in rows}
    made = {row["job_id"]: row for row in _rows(database, OUTPUTS)}
    splits = {
        made[job_id]["digest"] if job_id in made else "nothing" for job_id, k in kinds.items() if k == "split.video"
    }
    yield Finding(
        "splits of one clip have one and the same result",
        sum(k == "split.video" for k in kinds.values()),
        sorted(splits) if len(splits) > 1 or "nothing" in splits else [],
    )
    sleeps = [job_id for job_id, kind in kinds.items() if kind == "analyze.sleep"]
    yield Finding(
        "sleeps have one output", len(sleeps), [str(j) for j in sleeps if j not in made or made[j]["outputs"] != 1]
    )


def of_events(database: Engine, delivered: Sequence[int]) -> Iterator[Finding]:
    """Numbered from 1 without a gap, and every number reached who had subscribed."""
    [numbers] = _rows(database, NUMBERS)
    count = numbers["events"]
    gapless = (numbers["numbered"], numbers["first"], numbers["last"] or 0) == (count, 1, count)
    yield Finding("events are numbered without a gap", count, [] if gapless else [str(dict(numbers))])
    missing = sorted(set(range(1, count + 1)) - set(delivered))
    yield Finding("events reached the subscriber", len(set(delivered)), [f"seq {seq}" for seq in missing])
    first = list(dict.fromkeys(delivered))
    late = [f"{after} after {before}" for before, after in pairwise(first) if after < before]
    yield Finding("events came in order, repetitions apart", len(first), late)


def of_objects(kept: Collection[str], named: Collection[str]) -> Iterator[Finding]:
    """The store and the rows say the same."""
    yield Finding("objects are named by a row", len(kept), sorted(set(kept) - set(named)))
    yield Finding("rows name an object that is there", len(named), sorted(set(named) - set(kept)))


def _ended(row: Mapping[str, Any]) -> bool:
    return bool(row["state"] == "succeeded")


def _legal(life: Mapping[str, Any]) -> bool:
    """From nothing to an end, each step in the table. The fast lane may begin with its end."""
    states = life["states"]
    fast = life["lane"] == "fast"
    moves = MOVES | FAST_MOVES if fast else MOVES
    begins = states[0] in ({"queued", "scheduled", "succeeded"} if fast else {"queued", "scheduled"})
    return begins and all(step in moves for step in pairwise(states))


def _rows(database: Engine, query: str) -> Sequence[Mapping[str, Any]]:
    with database.connect() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]
