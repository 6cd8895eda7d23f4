"""A claim: taken once, fenced by its token, ended in one way, rescued when it goes silent."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from infra import claims, db, jobs, steps, submission
from infra.claims import Claim
from infra.steps import Checkpoint
from tests.makers import new_command, new_file, stored


@pytest.fixture
def job_id(database: Engine) -> UUID:
    command = new_command(new_file(database))
    with database.begin() as connection:
        submission.submit(connection, [command])
    return command.id


def claim(database: Engine, job_id: UUID, worker: str = "w") -> Claim:
    with database.begin() as connection:
        held = claims.claim(connection, job_id, worker, 30)
    assert held is not None
    return held


def expire(database: Engine, job_id: UUID) -> dict[str, int]:
    with database.begin() as connection:
        connection.execute(text("update jobs set lease_until = now() - interval '1 s' where id = :id"), {"id": job_id})
    with database.begin() as connection:
        return claims.rescue(connection, 10)


def state(database: Engine, job_id: UUID) -> str:
    with database.begin() as connection:
        row = jobs.get(connection, job_id)
    assert row is not None
    return str(row["state"])


def test_of_many_consumers_one_wins(database: Engine, job_id: UUID) -> None:
    def attempt(number: int) -> Claim | None:
        with database.begin() as connection:
            return claims.claim(connection, job_id, f"w{number}", 30)

    with ThreadPoolExecutor(8) as pool:
        assert sum(held is not None for held in pool.map(attempt, range(16))) == 1


@pytest.mark.row("X-04", "X-09")
def test_a_zombie_writes_nothing(database: Engine, job_id: UUID) -> None:
    zombie = claim(database, job_id, "zombie")
    assert expire(database, job_id) == {"queued": 1}
    heir = claim(database, job_id, "heir")
    assert heir.token > zombie.token
    made = stored(b"from the zombie", "out.csv")
    with database.begin() as connection:
        assert claims.beat(connection, [zombie], 30) == {}
        assert not claims.progress(connection, zombie, 50)
        assert not steps.checkpoint(connection, job_id, zombie.token, Checkpoint("s", 0, {}, (made,)))
        assert claims.succeed(connection, zombie, {}, [made]) is None
        assert claims.retry(connection, zombie, "c", "m") is None
        assert claims.fail(connection, zombie, "c", "m") is None
        assert claims.release(connection, zombie) is None
        assert connection.execute(text("select count(*) from job_outputs")).scalar_one() == 0
        assert claims.succeed(connection, heir, {"by": "heir"}, []) == "succeeded"
    assert state(database, job_id) == "succeeded"


@pytest.mark.row("X-06")
def test_attempts_are_spent_and_then_it_fails(database: Engine, job_id: UUID) -> None:
    reached = []
    for _ in range(5):
        held = claim(database, job_id)
        with database.begin() as connection:
            reached.append(claims.retry(connection, held, "broke", "It broke."))
            connection.execute(
                text("update jobs set state = 'queued', queued_at = now() where id = :id and state = 'scheduled'"),
                {"id": job_id},
            )
    assert reached == ["scheduled"] * 4 + ["failed"]


def test_a_silent_consumer_costs_attempts_until_none_is_left(database: Engine, job_id: UUID) -> None:
    reached = []
    for _ in range(5):
        claim(database, job_id)
        reached += list(expire(database, job_id))
    assert reached == ["queued"] * 4 + ["failed"]


@pytest.mark.row("X-12")
def test_handing_back_costs_no_attempt(database: Engine, job_id: UUID) -> None:
    for _ in range(9):
        held = claim(database, job_id)
        assert held.attempt == 1
        with database.begin() as connection:
            assert claims.release(connection, held) == "queued"


@pytest.mark.row("S1-22")
def test_an_accepted_cancel_wins_over_success(database: Engine, job_id: UUID) -> None:
    held = claim(database, job_id)
    with database.begin() as connection:
        assert jobs.cancel(connection, job_id)
    with database.begin() as connection:
        assert claims.beat(connection, [held], 30)[job_id].cancelled
        assert claims.succeed(connection, held, {}, [stored(b"x", "out")]) == "cancelled"
    assert state(database, job_id) == "cancelled"


def test_a_row_that_is_locked_keeps_no_sibling_from_its_beat(database: Engine, job_id: UUID) -> None:
    other = new_command(new_file(database, b"other"))
    with database.begin() as connection:
        submission.submit(connection, [other])
    stuck, sibling, lost = claim(database, job_id), claim(database, other.id), UUID(int=1)
    claimed = [stuck, sibling, replace(sibling, id=lost), replace(stuck, token=0)]
    with database.begin() as holding:
        holding.execute(text("select from jobs where id = :id for update"), {"id": job_id})
        with database.begin() as connection:
            db.run(connection, "claims.patience")
            pulses = claims.beat(connection, claimed, 3600)
    assert {pulse.id: pulse.renewed for pulse in pulses.values()} == {stuck.id: False, sibling.id: True}
    with database.begin() as connection:
        long = connection.execute(text("select id from jobs where lease_until > now() + interval '1000 s'"))
        assert long.scalars().all() == [sibling.id]
        assert claims.beat(connection, claimed, 3600)[stuck.id].renewed


def test_outputs_show_only_with_success_and_vanish_after_failure(database: Engine, job_id: UUID) -> None:
    held = claim(database, job_id)
    part = Checkpoint("part", 0, {"n": 1}, (stored(b"part", "part.bin"),))
    with database.begin() as connection:
        assert steps.checkpoint(connection, job_id, held.token, part)
        assert steps.outputs(connection, job_id, "", 10) == []
        assert steps.checkpoints(connection, job_id) == [part]
        assert claims.fail(connection, held, "c", "m") == "failed"
        assert steps.outputs(connection, job_id, "", 10) == []
        assert steps.discard_ended(connection)
        assert steps.checkpoints(connection, job_id) == []
        assert connection.execute(text("select object_key from erasures")).scalars().all() == [
            part.objects[0].object_key
        ]


def test_a_checkpoint_survives_the_attempt_and_counts_once(database: Engine, job_id: UUID) -> None:
    first = claim(database, job_id)
    part = Checkpoint("part", 0, {"n": 1}, (stored(b"part", "part.bin"),))
    with database.begin() as connection:
        steps.checkpoint(connection, job_id, first.token, part)
    expire(database, job_id)
    second = claim(database, job_id)
    with database.begin() as connection:
        assert steps.checkpoint(connection, job_id, second.token, part)
        assert claims.succeed(connection, second, {}, [stored(b"whole", "whole.bin")]) == "succeeded"
        assert [row["name"] for row in steps.outputs(connection, job_id, "", 10)] == ["part.bin", "whole.bin"]


def test_progress_never_goes_back(database: Engine, job_id: UUID) -> None:
    held = claim(database, job_id)
    for percent in (10.0, 60.0, 30.0, 100.0):
        with database.begin() as connection:
            assert claims.progress(connection, held, percent)
    with database.begin() as connection:
        row = jobs.get(connection, job_id)
        told = [e["data"]["progress"] for e in jobs.timeline(connection, job_id) if e["type"].endswith(".progress")]
    assert row is not None
    assert row["progress"] == pytest.approx(99.9)
    assert told == sorted(told)


def test_a_job_that_gets_on_earns_fresh_attempts(database: Engine, job_id: UUID) -> None:
    for number in range(12):
        held = claim(database, job_id)
        with database.begin() as connection:
            assert steps.checkpoint(connection, job_id, held.token, Checkpoint(f"part-{number}", number, {}, ()))
        assert expire(database, job_id) == {"queued": 1}
    reached: list[str] = []
    while "failed" not in reached:
        claim(database, job_id)
        reached += list(expire(database, job_id))
    assert reached == ["queued"] * 3 + ["failed"]
