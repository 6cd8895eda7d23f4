"""Jobs that wait for others: let go when all have ended, cancelled with the first that did not succeed."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from infra import claims, dependents, jobs, submission
from tests.makers import new_command, new_file


class Work:
    """Jobs, ended by hand."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._file = new_file(engine)

    def ask(self, number: int = 1, **terms: Any) -> list[UUID]:
        made = [new_command(self._file, **terms) for _ in range(number)]
        with self.engine.begin() as connection:
            assert all(receipt.job_id for receipt in submission.submit(connection, made))
        return [command.id for command in made]

    def succeed(self, *ids: UUID) -> None:
        with self.engine.begin() as connection:
            for job_id in ids:
                claim = claims.claim(connection, job_id, "w", 30)
                assert claim is not None
                assert claims.succeed(connection, claim, {}, []) == "succeeded"

    def fail(self, job_id: UUID) -> None:
        with self.engine.begin() as connection:
            claim = claims.claim(connection, job_id, "w", 30)
            assert claim is not None
            assert claims.fail(connection, claim, "broken", "It broke.") == "failed"

    def cancel(self, job_id: UUID) -> None:
        with self.engine.begin() as connection:
            assert jobs.cancel(connection, job_id)

    def follow(self) -> None:
        while True:
            with self.engine.begin() as connection:
                if not dependents.follow(connection):
                    return

    def state(self, job_id: UUID) -> str:
        with self.engine.begin() as connection:
            return str(connection.execute(text("select state from jobs where id = :id"), {"id": job_id}).scalar_one())

    def row(self, job_id: UUID) -> Any:
        with self.engine.begin() as connection:
            return connection.execute(text("select * from jobs where id = :id"), {"id": job_id}).one()


@pytest.fixture
def work(database: Engine) -> Work:
    return Work(database)


def test_a_job_waits_for_all_that_it_needs(work: Work) -> None:
    needed = work.ask(3)
    [join] = work.ask(after=tuple(needed))
    work.succeed(*needed[:2])
    work.follow()
    assert (work.state(join), work.row(join).waiting) == ("scheduled", True)
    work.succeed(needed[2])
    work.follow()
    assert (work.state(join), work.row(join).waiting) == ("queued", False)
    work.succeed(join)


def test_what_has_ended_before_is_not_waited_for(work: Work) -> None:
    [needed] = work.ask()
    work.succeed(needed)
    [join] = work.ask(after=(needed,))
    work.follow()
    assert work.state(join) == "queued"


def test_a_job_for_later_waits_for_its_time_as_well(work: Work) -> None:
    [needed] = work.ask()
    [join] = work.ask(after=(needed,), run_at=_later(work))
    work.succeed(needed)
    work.follow()
    assert (work.state(join), work.row(join).waiting) == ("scheduled", False)


@pytest.mark.parametrize(("end", "word"), [("fail", "has failed"), ("cancel", "has been cancelled")])
def test_with_the_first_that_does_not_succeed_it_is_cancelled_and_so_are_those_behind_it(
    work: Work, end: str, word: str
) -> None:
    broken, lives = work.ask(2)
    [join] = work.ask(after=(broken, lives))
    [behind] = work.ask(after=(join,))
    getattr(work, end)(broken)
    work.follow()
    row = work.row(join)
    assert (row.state, row.error_code) == ("cancelled", "dependency_failed")
    assert str(broken) in row.error_message
    assert word in row.error_message
    assert str(join) in work.row(behind).error_message
    assert work.state(lives) == "queued"


def test_it_can_run_all_the_same(work: Work) -> None:
    broken, lives = work.ask(2)
    [join] = work.ask(after=(broken, lives), after_failure="run")
    work.fail(broken)
    work.follow()
    assert work.state(join) == "scheduled"
    work.succeed(lives)
    work.follow()
    assert work.state(join) == "queued"


def test_what_counts_is_how_it_ended_first(work: Work) -> None:
    [needed] = work.ask()
    [join] = work.ask(after=(needed,))
    work.fail(needed)
    with work.engine.begin() as connection:
        assert jobs.retry(connection, needed)
    work.follow()
    assert work.state(join) == "cancelled"
    with work.engine.begin() as connection:
        assert jobs.retry(connection, join)
    assert work.state(join) == "queued", "a person may want it all the same"


def test_a_waiting_job_is_cancelled_at_once(work: Work) -> None:
    [needed] = work.ask()
    [join] = work.ask(after=(needed,))
    work.cancel(join)
    assert work.state(join) == "cancelled"
    work.succeed(needed)
    work.follow()
    assert work.state(join) == "cancelled"


def test_a_thousand_join_and_a_thousand_spread(work: Work) -> None:
    [root] = work.ask()
    spread = work.ask(1000, after=(root,))
    [join] = work.ask(after=tuple(spread))
    work.succeed(root)
    work.follow()
    with work.engine.begin() as connection:
        assert connection.execute(text("select count(*) from jobs where state = 'queued'")).scalar_one() == 1000
        ended = "update jobs set state = 'cancelled', finished_at = now() where state = 'queued' and id <> :id"
        connection.execute(text(ended), {"id": spread[0]})
    work.follow()
    assert work.state(join) == "cancelled"
    with work.engine.begin() as connection:
        news = connection.execute(text("select count(*) from job_dependencies where outcome is not null and not noted"))
        assert news.scalar_one() == 0, "every ending is looked at once"


def test_cancelling_a_tree_reaches_all_who_live_in_it(work: Work) -> None:
    [root] = work.ask()
    children = work.ask(3, parent_id=root)
    grandchildren = work.ask(2, parent_id=children[0])
    [stranger] = work.ask()
    work.succeed(root, children[0])
    with work.engine.begin() as connection:
        running = claims.claim(connection, children[1], "w", 30)
        assert running is not None
        assert jobs.cancel_tree(connection, root) == 4
        assert claims.succeed(connection, running, {}, []) == "cancelled"
    assert {work.state(job_id) for job_id in [*children[1:], *grandchildren]} == {"cancelled"}
    assert [work.state(job_id) for job_id in (root, children[0], stranger)] == ["succeeded", "succeeded", "queued"]
    with work.engine.begin() as connection:
        assert jobs.cancel_tree(connection, root) == 0


def _later(work: Work) -> Any:
    with work.engine.begin() as connection:
        return connection.execute(text("select now() + interval '1 hour'")).scalar_one()
