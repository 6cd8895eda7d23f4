"""What an unsuccessful job made goes batch by batch, and never mixes with what it makes when it runs again."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from infra import claims, jobs, steps, submission
from infra.claims import Claim
from infra.steps import Checkpoint, StoredObject
from tests.makers import new_command, new_file, stored


@pytest.fixture
def job_id(database: Engine) -> UUID:
    command = new_command(new_file(database))
    with database.begin() as connection:
        submission.submit(connection, [command])
    return command.id


def part(number: int, outputs: int, content: str = "") -> Checkpoint:
    """A step with outputs that nobody else has made."""
    made = [stored(f"{content} {number} {n}".encode(), f"part-{number}/{n}") for n in range(outputs)]
    return Checkpoint(f"part-{number}", number, {}, tuple(made))


def attempt(database: Engine, job_id: UUID, made: Sequence[Checkpoint]) -> Claim:
    """Claim a job and commit parts of it."""
    with database.begin() as connection:
        held = claims.claim(connection, job_id, "w", 30)
        assert held is not None
        for one in made:
            assert steps.checkpoint(connection, job_id, held.token, one)
    return held


def fail(database: Engine, job_id: UUID, made: Sequence[Checkpoint]) -> None:
    held = attempt(database, job_id, made)
    with database.begin() as connection:
        assert claims.fail(connection, held, "c", "m") == "failed"


def discard(database: Engine, batch: int = 2000) -> int:
    with database.begin() as connection:
        return steps.discard_ended(connection, batch)


def retry(database: Engine, job_id: UUID) -> None:
    with database.begin() as connection:
        assert jobs.retry(connection, job_id)


def finish(database: Engine, held: Claim, outputs: Sequence[StoredObject] = ()) -> list[str]:
    """Succeed, and return the names that the job shows then."""
    with database.begin() as connection:
        assert claims.succeed(connection, held, {}, outputs) == "succeeded"
        return [row["name"] for row in steps.outputs(connection, held.id, "", 100)]


def rows(database: Engine, table: str) -> int:
    with database.begin() as connection:
        return int(connection.execute(text(f"select count(*) from {table}")).scalar_one())


def named(database: Engine) -> int:
    """Objects that a row names."""
    with database.begin() as connection:
        return int(connection.execute(text("select count(object_key) from blobs")).scalar_one())


def test_a_failed_jobs_outputs_go_batch_by_batch(database: Engine, job_id: UUID) -> None:
    fail(database, job_id, [part(0, 4), part(1, 3)])
    assert rows(database, "job_outputs") == 7
    left = []
    while discard(database, batch=3):
        left.append(rows(database, "job_outputs"))
        assert rows(database, "job_steps") == 0
    assert left == [4, 1, 0]
    assert rows(database, "erasures") == 7
    assert named(database) == 1  # the input, which is an uploaded file
    assert rows(database, "discards") == 0


def test_every_way_to_end_without_success_lets_go(database: Engine) -> None:
    for end in ("cancel", "waiting", "rescued"):
        command = new_command(new_file(database, end.encode()))
        with database.begin() as connection:
            submission.submit(connection, [command])
        held = attempt(database, command.id, [part(0, 1, end)])
        with database.begin() as connection:
            if end == "waiting":
                assert claims.release(connection, held) == "queued"
            assert jobs.cancel(connection, command.id)
            if end == "cancel":
                assert claims.cancel(connection, held) == "cancelled"
            if end == "rescued":
                connection.execute(text("update jobs set lease_until = now() - interval '1 s' where state = 'running'"))
                assert claims.rescue(connection, 10) == {"cancelled": 1}
        assert discard(database) > 0, end
        assert rows(database, "job_outputs") == rows(database, "discards") == 0, end


def test_a_job_that_made_nothing_leaves_nothing_to_do(database: Engine, job_id: UUID) -> None:
    fail(database, job_id, [])
    assert discard(database) == 0


def test_a_job_that_is_being_worked_on_is_left_for_later(database: Engine, job_id: UUID) -> None:
    fail(database, job_id, [part(0, 1)])
    with database.begin() as holding:
        holding.execute(text("select from jobs where id = :id for update"), {"id": job_id})
        assert discard(database) == 0
    assert discard(database) > 0


def test_what_is_whole_is_used_again(database: Engine, job_id: UUID) -> None:
    first = part(0, 2)
    fail(database, job_id, [first])
    retry(database, job_id)
    assert discard(database) == 1  # only the note
    held = attempt(database, job_id, [])
    with database.begin() as connection:
        assert steps.checkpoints(connection, job_id) == [first]
    assert finish(database, held) == ["part-0/0", "part-0/1"]
    assert rows(database, "discards") == rows(database, "erasures") == 0


def test_what_is_half_gone_is_not_used_and_does_not_show(database: Engine, job_id: UUID) -> None:
    fail(database, job_id, [part(0, 3), part(1, 3)])
    discard(database, batch=1)
    retry(database, job_id)
    with database.begin() as connection:
        assert steps.checkpoints(connection, job_id) == []
    held = attempt(database, job_id, [])
    assert finish(database, held) == []
    with database.begin() as connection:
        assert all(steps.output(connection, job_id, f"part-1/{n}") is None for n in range(3))
    while discard(database):
        pass
    assert rows(database, "job_outputs") == 0
    assert named(database) == 1


@pytest.mark.parametrize("content", ["", "other bytes this time"])
def test_a_name_that_is_still_there_is_made_anew(database: Engine, job_id: UUID, content: str) -> None:
    fail(database, job_id, [part(0, 4), part(1, 4)])
    discard(database, batch=1)
    retry(database, job_id)
    again = part(0, 2, content)
    held = attempt(database, job_id, [again])
    with database.begin() as connection:
        [found] = steps.checkpoints(connection, job_id)
    assert [o.sha256 for o in found.objects] == [o.sha256 for o in again.objects]
    # The last one has the name of an output of the other, forgotten step.
    moved = stored(b"whole", "part-1/3")
    assert finish(database, held, [moved]) == ["part-0/0", "part-0/1", "part-1/3"]
    while discard(database):
        pass
    with database.begin() as connection:
        assert [row["name"] for row in steps.outputs(connection, job_id, "", 9)] == ["part-0/0", "part-0/1", "part-1/3"]
    assert named(database) == 4
    assert rows(database, "job_outputs") == 3
