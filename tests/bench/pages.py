"""What a look costs: every page of the console with a million jobs and two million items in the tables.

Rows are written straight in SQL: jobs of every state and of many kinds, failures with their causes, parked messages,
events, and collections with partitions, leases, workers and items of every state.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg2

from tests.bench.house import House
from tests.bench.table import table
from tests.conftest import TEMPLATE
from tests.ground import Ground

BAR_MILLISECONDS = 200
#: Of every 1,000 jobs: 880 succeeded, 80 failed, 20 were cancelled; the rest lives. Times go back thirty days.
JOBS = (
    "alter table jobs disable trigger user",
    """
    insert into jobs (
        id, kind, consumer, lane, state, params, result, progress, attempt, max_attempts, submitted_by, via, worker,
        error_code, error_message, token, lease_until, created_at, queued_at, published_at, started_at, finished_at,
        run_at
    )
    select
        uuidv7(since), kind, consumer, lane, state, '{"text": "hello"}',
        case state when 'succeeded' then jsonb '{"text": "hello"}' end, case state when 'succeeded' then 100 else 0 end,
        1, 5, 'user-' || n %% 40, 'http', consumer || '@bench:' || n %% 60,
        case state when 'failed' then 'cause_' || n %% 23 end, case state when 'failed' then 'It did not go.' end,
        case state when 'running' then n end, case state when 'running' then now() + interval '1 hour' end,
        now() + since, case when state <> 'scheduled' then now() + since end,
        case when state <> 'scheduled' then now() + since end,
        case when state in ('succeeded', 'failed', 'running') then now() + since + interval '1 second' end,
        case when state in ('succeeded', 'failed', 'cancelled') then now() + since + interval '3 seconds' end,
        case state when 'scheduled' then now() + interval '1 day' else now() end
    from (
        select
            n, make_interval(secs => -2592000 + n * 2591990.0 / %(jobs)s) as since,
            case
                when n %% 1000 < 880 then 'succeeded' when n %% 1000 < 960 then 'failed'
                when n %% 1000 < 980 then 'cancelled' when n > %(jobs)s - 2000 and n %% 10 = 0 then 'running'
                when n %% 1000 < 985 then 'scheduled' else 'queued'
            end as state,
            kinds.*
        from generate_series(1, %(jobs)s) as n
        join (values
            (0, 'probe.echo', 'dispatcher', 'fast'), (1, 'analyze.sleep', 'analyzer', 'leased'),
            (2, 'split.video', 'splitter', 'leased'), (3, 'analyze.label', 'pose', 'leased'),
            (4, 'export.labels', 'exporter', 'leased'), (5, 'items.import', 'keeper', 'leased')
        ) as kinds (place, kind, consumer, lane) on kinds.place = case
            when n %% 997 = 0 then 5 when n %% 499 = 0 then 4 when n %% 7 = 0 then 3 when n %% 5 = 0 then 2
            when n %% 3 = 0 then 1 else 0 end
    ) as made
    """,
    """
    insert into events (seq, type, job_id, data, occurred_at)
    select row_number() over (order by id, move), 'job.' || kind || '.' || move, id,
        jsonb_build_object('state', move, 'attempt', 1, 'progress', 0), created_at
    from jobs cross join (values ('queued'), ('succeeded')) as moves (move)
    """,
    "update event_marks set seq = (select max(seq) from events) where reader = 'exchange'",
    "alter table jobs enable trigger user",
    """
    insert into parked (queue, routing_key, code, detail, fingerprint, body, size, properties, headers)
    select 'reelmill.splitter', 'split.video', 'invalid_body', 'It is not valid.', 'cause-' || n %% 60, '{"file": 7',
        10, '{}', '{}'
    from generate_series(1, 6000) as n
    """,
)
#: Three collections of 40 partitions. A fifth of the items has ended, some of them badly; a thousand leases are open.
ITEMS = (
    """
    insert into collections (name, created_by)
    select name, 'bench' from (values ('a'), ('b'), ('c')) as made (name)
    """,
    """
    insert into pools (collection_id, partition, size)
    select c.id, 'part-' || p, %(items)s / 120 from collections c cross join generate_series(1, 40) as p
    """,
    """
    insert into items (pool_id, position, collection_id, key, attributes, shuffle)
    select p.id, n - 1, p.collection_id, key, json_build_object('n', n), hashtextextended(key, 0)
    from pools p cross join generate_series(1, %(items)s / 120) as n
    cross join lateral (select 'item-' || p.id || '-' || n as key) as keys
    """,
    """
    insert into item_tallies (collection_id, partition, state, items)
    select collection_id, partition, 'available', sum(size) from pools group by 1, 2
    """,
    """
    insert into leases (id, collection_id, owner, worker, ttl_seconds, taken, open, taken_at, expires_at)
    select uuidv7(make_interval(secs => -p.id * 20 - g)), p.collection_id, 'user-' || g %% 40,
        'worker-' || (p.id * 10 + g) %% 700, 3600, 20, 20, now() - make_interval(secs => p.id * 20 + g),
        now() + interval '1 hour'
    from pools p cross join generate_series(0, 9) as g
    """,
    """
    insert into grants (pool_id, lo, hi, taken, lease_id)
    select p.id, 20 * n, 20 * n + 20, 20, l.id
    from pools p join (
        select id, collection_id, row_number() over (partition by collection_id order by id) - 1 as place from leases
    ) as l on l.collection_id = p.collection_id and l.place / 10 = (p.id - 1) %% 40
    cross join lateral (select l.place %% 10 as n) as at
    """,
    """
    insert into item_states (
        pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, leased_at, error_code,
        error_message, ready_at
    )
    select i.pool_id, i.position, i.collection_id, p.partition, 'available',
        case when i.position %% 50 = 0 then 'missing' when i.position %% 50 = 1 then 'failed' else 'completed' end,
        1, null, 'worker-' || i.position %% 700, now(), case when i.position %% 50 < 2 then 'gone' end,
        case when i.position %% 50 < 2 then 'It is gone.' end, null
    from items i join pools p on p.id = i.pool_id
    where i.position >= 200 and i.position < p.size / 5
    """,
    """
    insert into worker_tallies (collection_id, worker, what, items)
    select c.id, 'worker-' || w, what, 1000 from collections c cross join generate_series(0, 699) as w
    cross join (values ('taken'), ('completed'), ('missing'), ('failed'), ('expired')) as whats (what)
    """,
)
PAGES = {
    "Overview": "/console",
    "Jobs": "/console/jobs",
    "Jobs that failed": "/console/jobs?state=failed",
    "Jobs of a rare kind": "/console/jobs?kind=items.import",
    "Jobs of a kind and state": "/console/jobs?state=cancelled&kind=export.labels",
    "Jobs of one caller": "/console/jobs?submitted_by=user-7",
    "Jobs by their error": "/console/jobs?error_code=cause_3",
    "Jobs of a day three weeks ago": "/console/jobs?{day}",
    "Dead letters": "/console/dead",
    "One cause": "/console/dead/cause-7",
    "Kinds and queues": "/console/kinds",
    "Workers": "/console/workers",
    "Audit log": "/console/events",
    "Audit log, failures": "/console/events?types=job.%23.failed",
    "Collections": "/console/collections",
    "One collection": "/console/collections/a",
    "Its items": "/console/collections/a/items",
    "Its items that failed": "/console/collections/a/items?state=failed",
    "Index of items (/)": "/?collection=a",
    "One item": "/id/item-1-77?collection=a",
    "Analyses": "/console/analyses",
    "Exports": "/console/exports",
    "Files": "/console/files",
    "Projects": "/console/projects",
    "Datasets": "/console/datasets",
}


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench pages")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as folder, Ground(Path(folder)) as ground:
        rows = list(measure(ground, asked.jobs, asked.items, asked.rounds))
    head = ("page", "ms, median", "ms, slowest of 20", f"of {BAR_MILLISECONDS} ms", "kB")
    print(f"\n{asked.jobs:,} jobs, {asked.items:,} items; the whole answer, HTML included.\n")
    print(table(head, rows))


def measure(ground: Ground, jobs: int, items: int, rounds: int) -> Iterator[tuple[object, ...]]:
    """For each page its name, the median and the slowest of its answers, the share of the bar, and its size."""
    url = ground.database(TEMPLATE)
    fill(url, jobs, items)
    with House(ground, url, processes=("gateway",)) as house:
        for name, path in PAGES.items():
            here = path.replace("{day}", _day())
            took = [_ask(house.system.http, here) for _ in range(rounds + 1)][1:]  # the first has to open connections
            middle, slowest = statistics.median(each[0] for each in took), max(each[0] for each in took)
            share = middle / BAR_MILLISECONDS
            told = f"{share:.2f}" if share < 1 else f"**{share:.2f}**"
            yield name, f"{middle:,.0f}", f"{slowest:,.0f}", told, f"{took[0][1] / 1000:,.0f}"


def fill(url: str, jobs: int, items: int) -> None:
    """Write the rows."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        for statement in JOBS:
            cursor.execute(statement, {"jobs": jobs})
        for statement in ITEMS:
            cursor.execute(statement, {"items": items})
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze)")
        cursor.execute("checkpoint")
    connection.close()


def _ask(http: httpx.Client, path: str) -> tuple[float, int]:
    begin = time.perf_counter()
    answer = http.get(path, headers={"Accept": "text/html"})
    took = time.perf_counter() - begin
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
    return took * 1000, len(answer.content)


def _day() -> str:
    begin = time.time() - 21 * 86400
    first, last = (time.strftime("%Y-%m-%dT%H:%M", time.gmtime(begin + n * 86400)) for n in range(2))
    return f"created_after={first}&created_before={last}"
