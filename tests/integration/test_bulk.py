"""Bulk actions on the database: what fits and was there is dealt with, once, and remembered in the same transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from infra import bulk, claims, jobs, submission
from infra.bulk import LostClaim
from infra.claims import Claim
from infra.ids import new_id
from infra.steps import Checkpoint
from schemas.bulk import Bulk
from schemas.commands import Command
from schemas.registry import KINDS
from tests.makers import new_command, new_file


class Table:
    """Jobs in one database, and a bulk job that has been claimed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.file = new_file(engine)

    def add(self, number: int = 1, **terms: Any) -> list[UUID]:
        """Queued jobs; their ids in order."""
        commands = [new_command(self.file, **terms) for _ in range(number)]
        with self.engine.begin() as connection:
            submission.submit(connection, commands)
        return sorted(command.id for command in commands)

    def claim(self, job_id: UUID) -> Claim:
        """A running job."""
        with self.engine.begin() as connection:
            held = claims.claim(connection, job_id, "test", 60)
        assert held is not None
        return held

    def fail(self, job_ids: Sequence[UUID]) -> None:
        """Jobs that have failed."""
        for job_id in job_ids:
            held = self.claim(job_id)
            with self.engine.begin() as connection:
                claims.fail(connection, held, "broken", "It broke.")

    def begin(self, action: str, **chosen: Any) -> tuple[Claim, Bulk]:
        """A bulk job in the hands of its keeper."""
        wanted = Bulk.model_validate({"action": action, "filter": chosen})
        own = Command(new_id(), KINDS["jobs.bulk"], wanted.model_dump(mode="json"), (), "test", "http")
        with self.engine.begin() as connection:
            submission.submit(connection, [own])
        return self.claim(own.id), wanted

    def act(self, held: Claim, wanted: Bulk, limit: int = 100) -> Checkpoint | None:
        """One batch."""
        with self.engine.begin() as connection:
            return bulk.act(connection, held, wanted, limit)

    def finish(self, held: Claim, wanted: Bulk, limit: int = 100) -> list[list[Any]]:
        """All batches; what they say was done."""
        done: list[list[Any]] = []
        while (step := self.act(held, wanted, limit)) is not None:
            done += step.record["done"]
        return done

    def states(self, job_ids: Sequence[UUID]) -> dict[str, int]:
        """How many of these are in which state."""
        with self.engine.begin() as connection:
            rows = [jobs.get(connection, job_id) for job_id in job_ids]
        return Counter(row["state"] for row in rows if row is not None)


@pytest.fixture
def table(database: Engine) -> Table:
    return Table(database)


def test_what_fits_is_cancelled_whatever_its_state_and_nothing_else(table: Table) -> None:
    queued, running, done, other = table.add(7), table.add(2), table.add(3), table.add(2)
    for job_id in running:
        table.claim(job_id)
    table.fail(done)
    with table.engine.begin() as connection:
        connection.execute(text("update jobs set submitted_by = 'somebody else' where id = any(:ids)"), {"ids": other})
    held, wanted = table.begin("cancel", kind="analyze.sleep", submitted_by="test")
    later = table.add(2)
    with table.engine.begin() as connection:
        count, sample = bulk.preview(connection, wanted)
    assert (count, len(sample)) == (11, 10)  # those that came later fit now: it is a look, not the job
    outcomes = table.finish(held, wanted, 4)
    assert [UUID(item[0]) for item in outcomes] == sorted([*queued, *running])
    assert Counter(item[1] for item in outcomes) == {"cancelled": 7, "cancelling": 2}
    assert table.states(queued) == {"cancelled": 7}
    assert table.states(done) == {"failed": 3}
    assert table.states([*other, *later]) == {"queued": 4}
    with table.engine.begin() as connection:
        requested = connection.execute(text("select count(*) from jobs where cancel_requested_at is not null"))
        assert requested.scalar_one() == 9
    assert table.act(held, wanted) is None


def test_it_never_acts_on_itself(table: Table) -> None:
    held, wanted = table.begin("cancel", submitted_by="test")
    assert table.finish(held, wanted) == []
    held, wanted = table.begin("cancel", ids=[str(held.id), str(uuid4())])
    own, _ = table.begin("cancel", ids=[str(uuid4())])
    named = Bulk.model_validate({"action": "cancel", "filter": {"ids": [str(own.id)]}})
    assert table.finish(own, named) == [[str(own.id), "skipped", "itself"]]


def test_a_retry_that_is_not_possible_spoils_no_other(table: Table) -> None:
    failed, keyed, gone = table.add(5), table.add(1, unique_key="k"), table.add(1)
    table.fail([*failed, *keyed, *gone])
    table.add(1, unique_key="k")
    with table.engine.begin() as connection:
        params = """update jobs set params = '{"file": "0", "time": 0}' where id = :id"""
        connection.execute(text(params), {"id": gone[0]})
    held, wanted = table.begin("retry", state="failed")
    outcomes = {UUID(job_id): (outcome, why) for job_id, outcome, why in table.finish(held, wanted, 3)}
    assert outcomes == {
        **dict.fromkeys(failed, ("queued", None)),
        keyed[0]: ("skipped", "key_in_use"),
        gone[0]: ("skipped", "inputs_gone"),
    }
    assert table.states(failed) == {"queued": 5}
    assert table.states([*keyed, *gone]) == {"failed": 2}


def test_every_job_that_is_named_has_an_answer(table: Table) -> None:
    queued, failed, unknown = table.add(5), table.add(2), [uuid4() for _ in range(3)]
    table.fail(failed)
    named = [*queued, *failed, *unknown, queued[0]]
    held, wanted = table.begin("cancel", ids=[str(n) for n in named])
    outcomes = table.finish(held, wanted, 4)
    assert len(outcomes) == 10
    assert Counter((outcome, why) for _, outcome, why in outcomes) == {
        ("cancelled", None): 5,
        ("skipped", "is_failed"): 2,
        ("skipped", "unknown_job"): 3,
    }
    held, wanted = table.begin("retry", ids=[str(n) for n in failed], kind="split.video")
    assert {(outcome, why) for _, outcome, why in table.finish(held, wanted)} == {("skipped", "does_not_fit")}


@pytest.mark.row("X-09")
def test_a_second_attempt_goes_on_where_the_first_one_was(table: Table) -> None:
    queued = table.add(9)
    held, wanted = table.begin("cancel", kind="analyze.sleep")
    first = table.act(held, wanted, 4)
    assert first is not None
    with table.engine.connect() as connection:  # the keeper dies before the commit
        assert bulk.act(connection, held, wanted, 4) is not None
    assert table.states(queued) == {"cancelled": 4, "queued": 5}
    with table.engine.begin() as connection:
        assert claims.release(connection, held) == "queued"
    again = table.claim(held.id)
    with pytest.raises(LostClaim):
        table.act(held, wanted)
    rest = table.finish(again, wanted, 4)
    assert [UUID(item[0]) for item in [*first.record["done"], *rest]] == queued
    assert table.states(queued) == {"cancelled": 9}


def test_times_choose(table: Table) -> None:
    old, new = table.add(3), table.add(2)
    with table.engine.begin() as connection:
        connection.execute(
            text("update jobs set created_at = created_at - interval '1 day' where id = any(:ids)"), {"ids": old}
        )
        moment = connection.execute(text("select now() - interval '1 hour'")).scalar_one()
    held, wanted = table.begin("cancel", created_before=moment.isoformat())
    assert len(table.finish(held, wanted)) == 3
    assert (table.states(old), table.states(new)) == ({"cancelled": 3}, {"queued": 2})
