"""The price of one step does not grow with what waits, even when the planner's statistics know of nothing that waits.

After a quiet night they say so; then a partial index of live jobs seems to have one row, and is read whole for any job.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from infra import db
from tests.bench.growth import fill

HISTORY, BACKLOG = 20_000, 3_000
MOST_ROWS = 500
BACK = """
insert into jobs (
    id, kind, consumer, lane, state, params, max_attempts, submitted_by, via, queued_at, published_at,
    token, lease_until, started_at, attempt
)
select
    gen_random_uuid(), 'analyze.sleep', 'analyzer', 'leased', state, '{}', 5, 'test', 'http', now(), now(),
    case when state = 'running' then nextval('claim_tokens') end,
    case when state = 'running' then now() + interval '1 hour' end,
    case when state = 'running' then now() end, 0
from generate_series(1, :backlog) cross join (values ('queued'), ('running')) as states (state)
"""
TERMS: dict[str, Any] = {
    "kinds": ["analyze.sleep"],
    "concurrency": [None],
    "per_key": [None],
    "starts_per_second": [None],
    "consumer": "analyzer",
    "worker": "test",
    "lease": 30,
    "batch": 50,
    "result": "{}",
    "code": "c",
    "message": "m",
    "age": 0,
}


@pytest.fixture
def busy(database: Engine) -> Iterator[Connection]:
    """A long history, analysed, and then a backlog that no statistics know of."""
    fill(database.url.render_as_string(hide_password=False).replace("+psycopg2", ""), HISTORY)
    with database.connect() as connection:
        connection.execute(text("alter table jobs set (autovacuum_enabled = false)"))
        connection.execute(text(BACK), {"backlog": BACKLOG})
        connection.commit()
        yield connection


def looked_at(plan: dict[str, Any]) -> float:
    """How many rows a plan touches, those that it throws away included."""
    rows = sum(
        float(plan.get(name, 0))
        for name in (
            "Actual Rows",
            "Rows Removed by Filter",
            "Rows Removed by Join Filter",
            "Rows Removed by Index Recheck",
        )
    )
    return rows * float(plan["Actual Loops"]) + sum(looked_at(part) for part in plan.get("Plans", ()))


def test_no_step_looks_at_the_whole_backlog(busy: Connection) -> None:
    job_id, token = busy.execute(text("select id, token from jobs where state = 'running' limit 1")).one()
    queued: UUID = busy.execute(text("select id from jobs where state = 'queued' limit 1")).scalar_one()
    mine = TERMS | {"id": job_id, "token": token, "ids": [job_id], "tokens": [token], "woken": queued}
    costs = {}
    for name in (
        *("line.next", "line.owe", "claims.beat", "claims.hold", "claims.succeed", "claims.fail", "claims.expired"),
        *("outbox.unpublished", "events.number"),
    ):
        query = text(f"explain (analyze, format json) {db.sql(name).text}")
        wanted = {bound: mine[bound] for bound in query.compile().params}
        [plan] = busy.execute(query, wanted).scalar_one()
        costs[name] = looked_at(plan["Plan"])
        busy.rollback()
    assert {name: rows for name, rows in costs.items() if rows > MOST_ROWS} == {}
