"""Jobs that follow from a job, with the real runtime: a crash before they are written loses none and doubles none."""

from collections import Counter
from contextlib import closing

import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from tests.broker import declare
from tests.desk import Desk
from tests.driven import LIMITS, Driven
from tests.outage import cut_off

PARTS = 200


@pytest.mark.row("X-09")
def test_what_follows_comes_once_although_a_consumer_died_with_it_in_hand(
    settings: Settings, database: Engine, admin: Engine
) -> None:
    declare(settings)
    desk = Desk(settings, database)
    with closing(Driven(desk, settings, LIMITS)) as first:
        job_id = first.ask("spread", PARTS)
        slot = first.runtime.slots[0]
        first.until(lambda: slot.attempt, "it is claimed")
        with cut_off(admin, database):
            first.until(lambda: slot.attempt is not None and slot.attempt.ending, "the work is done")
            first.close()
    assert desk.job(job_id)["state"] == "running"
    assert len(desk.jobs()) == 1
    desk.rescue(job_id)
    with closing(Driven(desk, settings, LIMITS)) as second:
        assert second.end(job_id)["attempt"] == 2
    followed = [job for job in desk.jobs() if job["id"] != job_id]
    assert Counter(job["state"] for job in followed) == {"queued": PARTS, "scheduled": 1}
    assert {desk.job(job["id"])["parent_id"] for job in followed[:3]} == {job_id}
