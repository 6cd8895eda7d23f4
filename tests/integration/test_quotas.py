"""Quotas: never one live job too many by one gateway, and what was asked for before takes no room."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import tokens
from infra.ids import new_id
from infra.ledger import Ledger, Order
from infra.submission import Receipt, Verdict
from infra.tokens import Role
from schemas.commands import Command
from schemas.registry import KINDS

CREATED, DUPLICATE, OVER = Verdict.CREATED, Verdict.DUPLICATE, Verdict.OVER_QUOTA


@pytest.fixture
def ledger(database: Engine) -> Iterator[Ledger]:
    ledger = Ledger(database)
    yield ledger
    ledger.close()


def order(live_jobs: int | None = 3, submitted_by: str = "me", **terms: Any) -> Order:
    fixed: dict[str, Any] = {"id": new_id(), "params": {"text": "x"}, "via": "http"}
    command = Command(kind=KINDS["probe.echo"], inputs=(), submitted_by=submitted_by, **fixed | terms)
    return Order(command, live_jobs)


def verdicts(ledger: Ledger, *orders: Order) -> list[Verdict]:
    answers = ledger.commit(orders, sending=False)
    assert all(isinstance(answer, Receipt) for answer in answers), answers
    return [answer.verdict for answer in answers if isinstance(answer, Receipt)]


def end(database: Engine, number: int) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "update jobs set state = 'cancelled', finished_at = now() "
                "where id in (select id from jobs where finished_at is null and submitted_by = 'me' limit :number)"
            ),
            {"number": number},
        )


def test_a_quota_is_exact(database: Engine, ledger: Ledger) -> None:
    assert verdicts(ledger, order(), order()) == [CREATED] * 2
    assert verdicts(ledger, order(), order(), order(None, "other"), order()) == [CREATED, OVER, CREATED, OVER]
    assert verdicts(ledger, order()) == [OVER]
    end(database, 2)
    assert verdicts(ledger, *(order() for _ in range(4))) == [CREATED, CREATED, OVER, OVER]
    assert verdicts(ledger, order(1, "third"), order(None, "me")) == [CREATED, CREATED]


def test_what_was_asked_for_before_takes_no_room(database: Engine, ledger: Ledger) -> None:
    batch = [order(), order(idempotency_key="k"), order(unique_key="u"), order(), order()]
    assert verdicts(ledger, *batch) == [CREATED, CREATED, CREATED, OVER, OVER]
    assert verdicts(ledger, *batch) == [DUPLICATE, DUPLICATE, DUPLICATE, OVER, OVER]
    end(database, 3)
    # Sent once more as it was: those that have ended are found by id and by key, and the others get their turn.
    again = verdicts(ledger, *batch[:2], *batch[3:])
    assert again == [DUPLICATE, DUPLICATE, CREATED, CREATED]


def test_a_job_that_waits_for_one_over_the_quota_is_refused(ledger: Ledger) -> None:
    need = order()
    after = order(None, "other", after=(need.command.id,))
    assert verdicts(ledger, order(), order(), order()) == [CREATED] * 3
    assert verdicts(ledger, need, after) == [OVER, Verdict.UNKNOWN_NEED]


def test_a_connection_that_went_away_while_nobody_asked_is_replaced(
    database: Engine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.ledger.TRUSTED_SECONDS", 0.0)
    assert verdicts(ledger, order()) == [CREATED]
    with database.connect() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        )
    assert verdicts(ledger, order()) == [CREATED]


def test_a_token_has_a_quota(database: Engine) -> None:
    with database.begin() as connection:
        secret = tokens.create(connection, "me", [Role.PRODUCER], live_jobs=7)
        found = tokens.find(connection, secret)
        assert found is not None
        assert found.live_jobs == 7
        found = tokens.find(connection, tokens.create(connection, "me", [Role.PRODUCER]))
        assert found is not None
        assert found.live_jobs is None
