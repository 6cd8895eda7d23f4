"""Fan-out and fan-in while relays and consumers are killed: everything runs, in order, and once."""

from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import Engine, text

from infra import db
from tests.system import System, until

WIDTH = 40
# How often a job was claimed, and whether one began before all that it needed had ended.
ENDED = "select count(*) from jobs where state = 'succeeded'"
HASTY = """
select count(*) from jobs j join job_dependencies d on d.job_id = j.id join jobs n on n.id = d.needs_id
where n.finished_at is null or j.started_at < n.finished_at
"""
DOUBLE = """
select count(*) from (
    select job_id from events where type like 'job.%.succeeded' group by job_id having count(*) > 1
) as twice
"""


@pytest.fixture
def engine(system: System) -> Iterator[Engine]:
    made = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    yield made
    made.dispose()


@pytest.mark.row("X-09")
def test_fan_out_and_fan_in_survive_the_death_of_relays_and_consumers(system: System, engine: Engine) -> None:
    system.start("gateway", "relay", "relay.2", "dispatcher")
    file = system.upload(b"hello")
    root = system.submit("analyze.sleep", {"file": file, "time": 600})
    spread = [
        system.submit("analyze.sleep", {"file": file, "time": 0}, after=[root])
        if n % 2
        else system.submit("probe.echo", {"text": str(n)}, after=[root])
        for n in range(WIDTH)
    ]
    join = system.submit("probe.echo", {"text": "all"}, after=spread)
    last = system.submit("analyze.sleep", {"file": file, "time": 0}, after=[join])
    system.start("analyzer", "analyzer.2")
    system.until_state(root, "running")
    system.kill("analyzer")
    system.kill("analyzer.2")
    with engine.begin() as connection:  # it has been struck in the middle; the next time it may end
        connection.execute(text("update jobs set params = params || '{\"time\": 0}' where id = :id"), {"id": root})
    system.lapse()
    system.start("analyzer", "analyzer.2")
    for done in (1, WIDTH // 2):
        until(partial(reached, engine, done), f"{done} jobs have ended")
        for name in ("relay", "analyzer.2", "dispatcher"):
            system.kill(name)
            system.start(name)
        system.lapse()
    system.until_state(last, "succeeded")
    assert count(engine, ENDED) == WIDTH + 3
    assert count(engine, HASTY) == 0
    assert count(engine, DOUBLE) == 0


def count(engine: Engine, query: str) -> int:
    with engine.begin() as connection:
        return int(connection.execute(text(query)).scalar_one())


def reached(engine: Engine, done: int) -> bool:
    return count(engine, ENDED) >= done
