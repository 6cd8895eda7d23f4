"""Who is next: by priority on every broker, whichever message came, and nobody is left without one."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from consumers.outcome import Done
from consumers.runtime import endings
from infra import claims, db, jobs, line, submission
from infra.claims import Claim
from infra.line import Seat, Wakeup
from schemas.registry import KINDS, Kind, Limits
from tests.makers import new_command, new_file
from tests.system import until

SLEEP = KINDS["analyze.sleep"]


def seat(kind: Kind = SLEEP) -> Seat:
    return Seat("analyzer", [kind], "w", 30)


def limited(**limits: Any) -> Seat:
    return seat(replace(SLEEP, limits=Limits(**limits)))


class Line:
    """Jobs, and messages that are counted instead of sent."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._file = new_file(engine)

    def join(self, number: int = 1, published: bool = True, **terms: Any) -> list[UUID]:
        made = [new_command(self._file, **terms) for _ in range(number)]
        with self.engine.begin() as connection:
            receipts = submission.submit(connection, made)
            if published:
                values = {"ids": [r.job_id for r in receipts], "queued_at": [r.queued_at for r in receipts]}
                db.run(connection, "outbox.mark", **values)
        return [command.id for command in made]

    def wake(self, at: Seat | None = None, woken: UUID | Wakeup | None = None) -> Claim | None:
        """Spend a message."""
        told, paid = self.current(woken) if isinstance(woken, UUID) else woken, True
        while True:
            with self.engine.begin() as connection:
                turn = line.look(connection, at or seat(), told, paid)
            if not turn.again:
                return turn.claim
            paid, told = False, None

    def current(self, job_id: UUID) -> Wakeup:
        """What the message of a job's present queueing says."""
        with self.engine.begin() as connection:
            queued_at = connection.execute(text("select queued_at from jobs where id = :id"), {"id": job_id})
            return Wakeup(job_id, queued_at.scalar_one())

    def note(self, sent: Sequence[Wakeup]) -> None:
        """As whoever has sent these messages does, a moment later."""
        values = {"ids": [wakeup.job_id for wakeup in sent], "queued_at": [wakeup.queued_at for wakeup in sent]}
        with self.engine.begin() as connection:
            db.run(connection, "outbox.mark", **values)

    def unpublished(self) -> list[UUID]:
        """Jobs that the relay sends at once."""
        with self.engine.begin() as connection:
            rows = db.rows(connection, "outbox.unpublished", consumer="analyzer", age=3600, batch=10)
            return [row["id"] for row in rows]

    def pay(self) -> int:
        with self.engine.begin() as connection:
            return line.pay(connection)

    def wake_all(self, at: Seat | None = None) -> list[UUID]:
        """Spend messages until nobody goes."""
        claimed = []
        while (claim := self.wake(at)) is not None:
            claimed.append(claim.id)
        return claimed

    def count(self, condition: str) -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(text(f"select count(*) from jobs where {condition}")).scalar_one())

    @property
    def counted(self) -> int:
        """Jobs that count as having a message."""
        return self.count("state = 'queued' and published_at is not null and held is null")


@pytest.fixture
def queue(database: Engine) -> Line:
    return Line(database)


def test_the_highest_priority_goes_and_the_first_within_it(queue: Line) -> None:
    low, high, middle = queue.join(5), queue.join(3, priority=9), queue.join(2, priority=4)
    assert queue.wake_all() == [*high, *middle, *low]


def test_whichever_message_came_the_first_goes(queue: Line) -> None:
    first, second = queue.join(2)
    claimed = queue.wake(woken=second)
    assert claimed is not None
    assert claimed.id == first
    assert queue.counted == 1


def test_a_message_without_a_row_is_for_nobody_else(queue: Line) -> None:
    queue.join()
    with queue.engine.begin() as connection:
        turn = line.look(connection, seat(), Wakeup(UUID(int=7)), paid=True)
    assert not turn.known
    assert turn.claim is None


def test_a_message_too_many_finds_nobody(queue: Line) -> None:
    cancelled, other = queue.join(2)
    with queue.engine.begin() as connection:
        assert jobs.cancel(connection, cancelled)
    assert [claim and claim.id for claim in (queue.wake(woken=cancelled), queue.wake(woken=other))] == [other, None]


@pytest.mark.row("X-04")
def test_a_message_spent_on_a_job_that_had_none_is_owed_to_another(queue: Line) -> None:
    mine, theirs = queue.join(), queue.join(published=False, priority=9)
    claimed = queue.wake(woken=mine[0])
    assert claimed is not None
    assert claimed.id == theirs[0]
    assert queue.counted == 0, "the message of the other is gone"
    assert queue.unpublished() == mine, "so it is published again, at once"


@pytest.mark.row("X-04")
def test_a_job_that_goes_by_an_older_message_of_its_own_owes_it_like_anybody(queue: Line) -> None:
    """Its present message is still to be sent, and will not be: so the old one stood for another job."""
    gave_up, other = queue.join(2)
    first_message, message = queue.current(gave_up), queue.current(other)
    queue.join(published=False, priority=9)
    queue.wake(woken=message)
    assert queue.current(gave_up) != first_message, "it is published again"
    claimed = queue.wake(woken=first_message)
    assert claimed is not None
    assert (claimed.id, queue.counted) == (gave_up, 0)
    assert queue.unpublished() == [other]


@pytest.mark.row("X-04")
def test_a_message_that_nobody_can_make_up_for_yet_is_a_debt(queue: Line) -> None:
    """The message of one is spent on another before whoever sent it has noted it."""
    [sent] = queue.join(published=False)
    message = queue.current(sent)
    queue.join(published=False, priority=9)
    queue.wake(woken=message)
    queue.note([message])
    assert queue.counted == 1, "although its message is gone"
    assert [queue.pay(), queue.pay()] == [0, 0]
    assert (queue.counted, queue.unpublished()) == (0, [sent])
    queue.note([queue.current(sent)])
    assert queue.pay() == 0, "a debt is paid once"
    assert queue.counted == 1


def test_who_goes_alone_leaves_no_debt(queue: Line) -> None:
    queue.join(published=False)
    assert queue.wake() is not None
    queue.join()
    assert queue.pay() == 0
    assert queue.counted == 1


def test_a_job_that_is_claimed_before_its_mark_owes_nothing(queue: Line) -> None:
    [waiting] = queue.join()
    [hasty] = queue.join(published=False, priority=9)
    claimed = queue.wake(woken=hasty)
    assert claimed is not None
    assert (claimed.id, queue.counted) == (hasty, 1)
    assert waiting


def test_a_job_that_somebody_holds_for_a_moment_keeps_its_message(queue: Line) -> None:
    """As the gateway does while it marks the job published, at the very moment when its message arrives."""
    [job_id] = queue.join()
    answered: list[Claim | None] = []
    with queue.engine.begin() as holding:
        holding.execute(text("select from jobs for update"))
        waiter = threading.Thread(target=lambda: answered.append(queue.wake(woken=job_id)))
        waiter.start()
        _until_waiting(queue.engine)
    waiter.join()
    [claimed] = answered
    assert claimed is not None


def test_many_claim_at_once_and_each_another(queue: Line) -> None:
    made = queue.join(60)
    with ThreadPoolExecutor(4) as pool:
        claimed = [claim.id for claim in pool.map(lambda _: queue.wake(), range(60)) if claim is not None]
    assert sorted(claimed) == sorted(made)


@pytest.mark.row("S1-22")
def test_a_cancel_and_a_claim_agree(queue: Line) -> None:
    """Whoever comes first: a job whose cancel was accepted never succeeds."""
    made = queue.join(60)

    def cancel(job_id: UUID) -> bool:
        with queue.engine.begin() as connection:
            return jobs.cancel(connection, job_id)

    def work(_: int) -> None:
        claim = queue.wake()
        if claim is not None:
            with queue.engine.begin() as connection:
                claims.succeed(connection, claim, {}, [])

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, n) for n in range(60)]
        accepted = dict(zip(made, pool.map(cancel, made), strict=True))
        for done in working:
            done.result()
    assert queue.wake_all() == []
    with queue.engine.begin() as connection:
        ended = {row.id: row.state for row in connection.execute(text("select id, state from jobs"))}
    assert ended == {job_id: "cancelled" if accepted[job_id] else "succeeded" for job_id in made}


def test_of_a_kind_only_so_many_go(queue: Line) -> None:
    two = limited(concurrency=2)
    made = queue.join(5)
    first, second = queue.wake(two), queue.wake(two)
    assert first is not None
    assert second is not None
    assert queue.wake(two) is None
    assert (queue.counted, queue.count("held = 'concurrency'")) == (0, 3)
    end(queue, first)
    third = queue.wake(two)
    assert third is not None
    assert [first.id, second.id, third.id] == made[:3]
    assert queue.wake(two) is None


@pytest.mark.parametrize("key", [None, "k"])
def test_who_was_put_aside_goes_before_those_who_came_later(queue: Line, key: str | None) -> None:
    one = limited(concurrency=1) if key is None else seat()
    made = queue.join(3, concurrency_key=key)
    running = queue.wake(one)
    assert running is not None
    assert queue.wake(one) is None
    # It ends in a way in which nobody lets the next one in, as when its consumer dies.
    with queue.engine.begin() as connection:
        assert claims.fail(connection, running, "broken", "It broke.")
    late, urgent = queue.join(concurrency_key=key), queue.join(concurrency_key=key, priority=1)
    claimed = queue.wake(one)
    assert claimed is not None
    assert [claimed.id] == urgent
    with queue.engine.begin() as connection:
        assert claims.fail(connection, claimed, "broken", "It broke.")
    claimed = queue.wake(one)
    assert claimed is not None
    assert claimed.id == made[1]
    assert queue.count("held = 'concurrency'") == 2
    assert late


def test_one_of_a_key_goes_at_a_time_and_other_keys_beside_it(queue: Line) -> None:
    queue.join(3, concurrency_key="a")
    [b] = queue.join(concurrency_key="b")
    [free] = queue.join()
    running = queue.wake()
    assert running is not None
    assert (running.concurrency_key, running.counted) == ("a", True)
    beside = queue.wake_all()
    assert beside == [b, free]
    assert queue.count("held = 'concurrency' and concurrency_key = 'a'") == 2
    end(queue, running)
    assert len(queue.wake_all()) == 1


def test_limits_hold_however_many_claim_at_once(queue: Line) -> None:
    queue.join(30, concurrency_key="a")
    queue.join(30)
    most = limited(concurrency=5, per_key=2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: queue.wake(most), range(60)))
    assert queue.count("state = 'running'") == 5
    assert queue.count("state = 'running' and concurrency_key = 'a'") == 2
    assert queue.counted == 0


def test_one_of_a_key_goes_although_several_are_tried_at_the_same_moment(queue: Line) -> None:
    for n in range(15):
        queue.join(4, concurrency_key=f"key-{n}")
    together = threading.Barrier(4)

    def wake(_: int) -> None:
        for _ in range(15):
            together.wait()
            queue.wake()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(wake, range(4)))
    assert queue.count("state = 'running'") == 15
    with queue.engine.begin() as connection:
        keys = connection.execute(text("select distinct concurrency_key from jobs where state = 'running'")).all()
    assert len(keys) == 15


def test_a_bucket_holds_a_second_of_starts_and_fills_at_its_rate(queue: Line) -> None:
    slow = limited(starts_per_second=0.01)
    queue.join(3)
    assert queue.wake(slow) is not None
    assert queue.wake(slow) is None
    assert queue.count("held = 'rate'") == 2
    with queue.engine.begin() as connection:
        connection.execute(text("update kind_controls set counted_at = counted_at - interval '100 s'"))
    [late] = queue.join()
    claimed = queue.wake(slow)
    assert claimed is not None
    assert claimed.id != late, "who was put aside goes first"
    assert queue.wake(slow) is None


def end(queue: Line, claim: Claim) -> None:
    """As the runtime does."""
    with queue.engine.begin() as connection:
        assert endings.settle(connection, claim, Done()).state == "succeeded"


def _until_waiting(engine: Engine) -> None:
    def waiting() -> bool:
        with engine.begin() as connection:
            return _blocked(connection) > 0

    until(waiting, "somebody waits for a lock")


def _blocked(connection: Connection) -> int:
    return int(connection.execute(text("select count(*) from pg_locks where not granted")).scalar_one())
