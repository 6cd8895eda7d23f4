"""Rows that somebody holds on to: the runtime, driven turn by turn, keeps the other claims alive."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from infra.settings import Settings
from tests.broker import declare
from tests.desk import Desk
from tests.driven import LIMITS, Driven


@pytest.fixture
def driven(settings: Settings, database: Engine) -> Iterator[Driven]:
    declare(settings)
    # A transaction in which nothing happens ends after half a lease.
    chosen = settings.model_copy(update={"slots": 2, "lease_seconds": 4})
    made = Driven(Desk(settings, database), chosen, LIMITS)
    yield made
    made.runtime.close()


def lease(driven: Driven, job_id: UUID) -> datetime:
    with driven.desk.engine.begin() as connection:
        found: datetime = connection.execute(
            text("select lease_until from jobs where id = :id"), {"id": job_id}
        ).scalar_one()
    return found


def free(driven: Driven, job_id: UUID) -> bool:
    try:
        with driven.desk.engine.begin() as connection:
            connection.execute(text("select from jobs where id = :id for update nowait"), {"id": job_id})
    except OperationalError:
        return False
    return True


def test_a_row_that_is_held_lets_the_siblings_live_and_fences_nobody(driven: Driven) -> None:
    stuck, sibling = driven.ask("for_ever"), driven.ask("for_ever")
    driven.until(lambda: all(driven.desk.job(j)["progress"] for j in (stuck, sibling)), "both run")
    with driven.desk.engine.begin() as holding:
        holding.execute(text("select from jobs where id = :id for update"), {"id": stuck})
        before, until_stuck = lease(driven, sibling), lease(driven, stuck)
        driven.until(lambda: (lease(driven, sibling) - before).total_seconds() > 1.2, "the sibling is renewed")
        assert lease(driven, stuck) == until_stuck
    driven.until(lambda: lease(driven, stuck) > until_stuck, "the claim that was held is renewed again")
    assert [slot.attempt is not None and slot.attempt.ending for slot in driven.runtime.slots] == [None, None]
    assert {driven.desk.job(j)["attempt"] for j in (stuck, sibling)} == {1}


def test_a_child_that_freezes_in_a_transaction_loses_its_lock(driven: Driven, settings: Settings) -> None:
    job_id = driven.ask("freeze")
    assert settings.scratch is not None
    scratch = settings.scratch
    driven.until(lambda: list(scratch.glob("*/*/frozen")), "the child is frozen")
    driven.until(lambda: free(driven, job_id), "its lock is gone")
    assert driven.desk.job(job_id)["state"] == "running"
