"""The price of history: jobs a second with a million finished jobs and their events in the tables, and with none."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import psycopg2

from tests.bench.contest import Run
from tests.bench.house import House
from tests.conftest import TEMPLATE
from tests.ground import Ground

DOORS = ("ndjson", "amqp")
FILL = (
    "alter table jobs disable trigger user",
    """
    insert into jobs (
        id, kind, consumer, lane, state, params, result, progress, attempt, max_attempts, submitted_by, via, worker,
        created_at, queued_at, published_at, started_at, finished_at
    )
    select
        uuidv7(since), 'probe.echo', 'dispatcher', 'fast', 'succeeded', '{"text": "hello"}', '{"text": "hello"}', 100,
        1, 5, 'bench', 'http', 'dispatcher@bench:1', now() + since, now() + since, now() + since, now() + since,
        now() + since
    from (
        select make_interval(secs => -86400 + n * 80000.0 / %(jobs)s) as since from generate_series(1, %(jobs)s) as n
    ) as moments
    """,
    """
    insert into events (seq, type, job_id, data, occurred_at)
    select
        row_number() over (order by id, move), 'job.probe.echo.' || move, id,
        jsonb_build_object('state', move, 'attempt', 1, 'progress', 0), created_at
    from jobs cross join (values ('queued'), ('succeeded')) as moves (move)
    """,
    "update event_marks set seq = (select max(seq) from events) where reader = 'exchange'",
    "alter table jobs enable trigger user",
)


def measure(ground: Ground, history: int, jobs: int, rounds: int) -> Iterator[tuple[str, list[Run], list[Run]]]:
    """For each door its name, the runs with an empty history and those with a long one."""
    long = ground.database(TEMPLATE)
    fill(long, history)
    with ExitStack() as stack:
        houses = [stack.enter_context(House(ground)), stack.enter_context(House(ground, long))]
        for name in DOORS:
            with houses[0].door(name) as empty, houses[1].door(name) as full:
                runs: tuple[list[Run], list[Run]] = ([], [])
                for number in range(rounds):
                    for which in _order(number):
                        runs[which].append((empty, full)[which].run(jobs))
            yield name, *runs


def fill(url: str, jobs: int) -> None:
    """Write so many finished jobs, two events each, behind the back of the trigger."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement, {"jobs": jobs})
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze) jobs, events")
        cursor.execute("checkpoint")
    connection.close()


def _order(number: int) -> Sequence[int]:
    return (0, 1) if number % 2 == 0 else (1, 0)
