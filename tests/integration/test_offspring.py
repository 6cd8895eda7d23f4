"""Jobs that follow from a job: all of them with its success, or none."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from consumers.outcome import Done, Follow
from consumers.runtime import endings, offspring
from consumers.runtime.foreign import Unresolved
from infra import claims, dependents, jobs, submission
from infra.claims import Claim
from tests.makers import new_command, new_file, stored


@pytest.fixture
def parent(database: Engine) -> Claim:
    command = new_command(new_file(database), priority=3, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    with database.begin() as connection:
        submission.submit(connection, [command])
        claim = claims.claim(connection, command.id, "w", 30)
    assert claim is not None
    return claim


def sleep(file: str, **terms: Any) -> Follow:
    return Follow("analyze.sleep", {"file": file, "time": 0}, **terms)


def rows(database: Engine) -> list[Any]:
    with database.begin() as connection:
        return list(connection.execute(text("select * from jobs where via = 'job' order by waiting, id")))


def test_children_come_with_success_and_take_after_their_parent(database: Engine, parent: Claim) -> None:
    file = str(parent.params["file"])
    follow = (sleep(file[:12]), sleep(file, priority=0, concurrency_key="k"), sleep(file, after_siblings=True))
    with database.begin() as connection:
        settled = endings.settle(connection, parent, Done(jobs=follow))
    assert (settled.state, settled.work) == ("succeeded", True)
    first, second, join = rows(database)
    for child in (first, second, join):
        assert (child.parent_id, child.submitted_by) == (parent.id, "test")
        assert (child.traceparent, child.params["file"]) == (parent.traceparent, file)
    assert [child.priority for child in (first, second, join)] == [3, 0, 3]
    assert (second.concurrency_key, join.state, join.waiting) == ("k", "scheduled", True)
    end(database, first.id, second.id)
    with database.begin() as connection:
        dependents.follow(connection)
    assert rows(database)[-1].state == "queued"


@pytest.mark.row("X-09")
def test_a_lost_claim_leaves_no_children(database: Engine, parent: Claim) -> None:
    with database.begin() as connection:
        connection.execute(text("update jobs set lease_until = now() - interval '1 s'"))
        assert claims.rescue(connection, 10) == {"queued": 1}
    with database.begin() as connection:
        assert endings.settle(connection, parent, Done(jobs=(sleep(parent.params["file"]),))).state is None
    assert rows(database) == []


def test_a_cancel_that_was_accepted_leaves_no_children(database: Engine, parent: Claim) -> None:
    with database.begin() as connection:
        assert jobs.cancel(connection, parent.id)
        assert endings.settle(connection, parent, Done(jobs=(sleep(parent.params["file"]),))).state == "cancelled"
    assert rows(database) == []


def test_a_child_reads_what_its_parent_made(database: Engine, parent: Claim) -> None:
    made = stored(b"made", "out.bin")
    with database.begin() as connection:
        assert claims.succeed(connection, parent, {}, [made]) == "succeeded"
        assert offspring.make(connection, parent, [sleep(made.sha256[:16])]) == 1
    assert rows(database)[0].params["file"] == made.sha256


def test_a_child_that_lives_already_is_joined_as_well(database: Engine, parent: Claim) -> None:
    living = new_command(parent.params["file"], unique_key="once")
    with database.begin() as connection:
        submission.submit(connection, [living])
    follow = (sleep(parent.params["file"], key="once"), sleep(parent.params["file"], after_siblings=True))
    with database.begin() as connection:
        endings.settle(connection, parent, Done(jobs=follow))
        needs = connection.execute(text("select needs_id from job_dependencies")).scalars().all()
    assert needs == [living.id]


def test_a_file_that_is_not_there_undoes_it_all(database: Engine, parent: Claim) -> None:
    with pytest.raises(Unresolved), database.begin() as connection:
        endings.settle(connection, parent, Done(jobs=(sleep("ab" * 32),)))
    assert rows(database) == []
    with database.begin() as connection:
        row = jobs.get(connection, parent.id)
    assert row is not None
    assert row["state"] == "running"


@pytest.mark.parametrize(
    "bad",
    [
        Follow("no.such", {}),
        Follow("analyze.sleep", {"file": "abcd", "time": -1}),
        Follow("analyze.sleep", {"file": "abcd", "time": 0}, after_failure="shrug"),
    ],
)
def test_what_no_job_can_be_made_of_is_the_handlers_mistake(bad: Follow) -> None:
    with pytest.raises((KeyError, ValueError)):
        offspring.check([bad])


def end(database: Engine, *ids: UUID) -> None:
    with database.begin() as connection:
        for job_id in ids:
            claim = claims.claim(connection, job_id, "w", 30)
            assert claim is not None
            assert claims.succeed(connection, claim, {}, []) == "succeeded"
