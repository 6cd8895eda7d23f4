"""Jobs put aside are let in when they fit again: as many as fit, the first ones first, and never for nothing."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from infra import controls, holds, submission
from infra.holds import Round
from schemas.registry import KINDS, Kind, Limits
from tests.makers import new_command, new_file

SLEEP = KINDS["analyze.sleep"]


class Aside:
    """Jobs that were put aside, and rounds of the relay."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._file = new_file(engine)

    def put(self, reason: str, number: int = 1, **terms: Any) -> list[UUID]:
        made = self.join(number, **terms)
        with self.engine.begin() as connection:
            connection.execute(
                text("update jobs set held = :reason where id = any(:ids)"), dict(reason=reason, ids=made)
            )
        return made

    def join(self, number: int = 1, **terms: Any) -> list[UUID]:
        made = [new_command(self._file, **terms) for _ in range(number)]
        with self.engine.begin() as connection:
            submission.submit(connection, made)
        return [command.id for command in made]

    def round(self, **limits: Any) -> set[UUID]:
        """Go round once; returns who is free now and was not before."""
        before = self.free()
        self.going(**limits)
        return self.free() - before

    def going(self, rounds: Round | None = None, **limits: Any) -> bool:
        with self.engine.begin() as connection:
            return (rounds or Round([kind(**limits)])).go(connection)

    def free(self) -> set[UUID]:
        with self.engine.begin() as connection:
            return free(connection)


def free(connection: Connection) -> set[UUID]:
    return set(connection.execute(text("select id from jobs where state = 'queued' and held is null")).scalars())


def kind(**limits: Any) -> Kind:
    return replace(SLEEP, limits=Limits(**limits))


@pytest.fixture
def aside(database: Engine) -> Aside:
    return Aside(database)


def test_a_pause_lasts_until_it_is_over(aside: Aside) -> None:
    made = aside.put("paused", 3)
    with aside.engine.begin() as connection:
        controls.pause(connection, SLEEP.name, "me")
    assert aside.round() == set()
    with aside.engine.begin() as connection:
        controls.resume(connection, SLEEP.name, "me")
    assert aside.round() == set(made)


def test_what_is_let_in_is_published_at_once_and_has_kept_its_place(aside: Aside) -> None:
    first, *_ = aside.put("paused", 3)
    late = aside.join()
    aside.round()
    with aside.engine.begin() as connection:
        line = connection.execute(text("select id from jobs order by priority desc, queued_at, id")).scalars().all()
        fresh = connection.execute(text("select id from jobs where queued_at = created_at")).scalars().all()
    assert line[0] == first
    assert [line[-1]] == fresh == late


def test_as_many_come_in_as_there_is_room_for_and_the_first_of_them(aside: Aside) -> None:
    low, high = aside.put("concurrency", 5), aside.put("concurrency", 1, priority=3)
    [running, ready] = aside.join(2)
    with aside.engine.begin() as connection:
        claimed = "update jobs set state = 'running', token = 1, lease_until = now(), started_at = now() where id = :id"
        connection.execute(text(claimed), {"id": running})
    assert aside.round(concurrency=2) == set()
    assert aside.round(concurrency=4) == {*high, low[0]}
    assert aside.round(concurrency=4) == set(), "they have not started yet"
    assert aside.round() == set(low[1:]), "without a limit nobody waits"
    assert ready


def test_of_each_key_as_many_come_in_as_there_is_room_for(aside: Aside) -> None:
    a, b = aside.put("concurrency", 3, concurrency_key="a"), aside.put("concurrency", 3, concurrency_key="b")
    assert aside.round() == {a[0], b[0]}
    assert aside.round() == set()
    assert aside.round(per_key=2) == {a[1], b[1]}


def test_many_keys_are_looked_at_in_turn(aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "KEYS_AT_ONCE", 2)
    made = [aside.put("concurrency", 2, concurrency_key=f"k{n}") for n in range(5)]
    rounds = Round([kind()])
    for _ in range(3):
        aside.going(rounds)
    assert aside.free() == {first for first, _ in made}
    assert not aside.going(rounds)


def test_a_rate_lets_in_what_has_gathered(aside: Aside) -> None:
    made = aside.put("rate", 5)
    gathered = "insert into kind_controls (kind, starts_left, counted_at) values (:kind, 0, now() - interval '0.7 s')"
    limited = Round([kind(starts_per_second=3)])
    with aside.engine.begin() as connection:  # within a transaction no time goes by
        connection.execute(text(gathered), {"kind": SLEEP.name})
        limited.go(connection)
        let_in = free(connection)
        limited.go(connection)
        assert free(connection) == let_in
    assert let_in == set(made[:2])
    assert aside.round() == set(made[2:]), "without a rate nobody waits"


def test_what_waits_for_nothing_any_more_comes_in_by_the_batch(aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "LET_IN_AT_ONCE", 4)
    aside.put("paused", 10)
    rounds = Round([kind()])
    assert [aside.going(rounds) for _ in range(3)] == [True, True, False]
    assert len(aside.free()) == 10
