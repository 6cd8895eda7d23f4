"""Leases in the database: what may follow what, with sums that agree with the rows."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from infra import collections, db, imports
from infra.leasing import pushing
from infra.leasing.cases import PUSHED
from schemas.items import ItemState
from tests.integration.lending import acquire, ask, expire, keys, make, state_of, submit, sums, truth


@pytest.fixture(params=[imports.LARGE, 100], ids=["shared", "alone"])
def hundred(database: Engine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A collection of so many items, among others and in a shard of its own."""
    monkeypatch.setattr(imports, "LARGE", request.param)
    make(database, "c", [f"k{n:03d}" for n in range(100)], max_attempts=2, retry_seconds=0)
    yield database
    assert sums(database) == truth(database)


@pytest.mark.row("S0-13", "S0-14")
@pytest.mark.parametrize("before", ["available", "leased", "running", "failed", "missing", "completed"])
def test_the_whole_matrix_of_moves(hundred: Engine, before: str) -> None:
    legal = {
        "available": {"completed", "missing", "failed"},
        "leased": {"available", "running", "completed", "missing", "failed"},
        "running": {"available", "completed", "missing", "failed"},
        "failed": {"available", "completed", "missing"},
        "missing": {"available"},
        "completed": {"available"},
    }[before]
    for after in ("available", "running", "failed", "missing", "completed"):
        lease = acquire(hundred, 1)
        [key] = keys(lease)
        if before == "available":
            ask(hundred, {"op": "release", "lease": lease["lease"]})
        elif before != "leased":
            submit(hundred, lease, before)
        assert state_of(hundred, key) == before
        [told] = ask(hundred, {"op": "move", "moves": [{"key": key, "state": after}]})
        assert told["updated"] == (after in legal), (after, told)
        assert state_of(hundred, key) == (after if after in legal else before)
        assert told["unchanged"] == (after == before)
        ask(hundred, {"op": "move", "moves": [{"key": key, "state": "completed"}]})


@pytest.mark.row("S0-11", "S0-12")
def test_a_stale_lease_changes_nothing_of_the_next_one(hundred: Engine) -> None:
    first = acquire(hundred, 100, worker="a")
    expire(hundred)
    second = acquire(hundred, 1, worker="b")
    [key] = keys(second)
    late = submit(hundred, first, "failed", key)
    assert (late["status"], late["code"]) == (409, "held_by_another")
    assert state_of(hundred, key) == "leased"
    free = next(k for k in keys(first) if k != key)
    assert submit(hundred, first, "completed", free)["done"] == 1
    again = submit(hundred, first, "completed", free)
    assert (again["status"], again["results"][0]["outcome"]) == (200, "unchanged")
    assert submit(hundred, first, "failed", free)["code"] == "finished"
    assert ask(hundred, {"op": "extend", "lease": first["lease"]})[0]["code"] == "lease_ended"
    assert ask(hundred, {"op": "extend", "lease": second["lease"], "owner": "other"})[0]["status"] == 404
    assert submit(hundred, second, "completed", key)["open"] == 0


@pytest.mark.row("S0-20", "S0-21")
def test_attempts_are_counted_and_the_last_failure_is_final(hundred: Engine) -> None:
    ask(hundred, {"op": "move", "moves": [{"key": f"k{n:03d}", "state": "completed"} for n in range(98)]})
    for attempt in (1, 2):
        lease = acquire(hundred, 2)
        assert sorted((item["key"], item["attempt"]) for item in lease["items"]) == [
            ("k098", attempt),
            ("k099", attempt),
        ]
        results = [
            {"key": "k098", "state": "failed", "error_code": "http_429", "error": "Too many requests."},
            {"key": "k099", "state": "nacked"},
        ]
        ask(hundred, {"op": "submit", "lease": lease["lease"], "results": results})
    assert acquire(hundred, 5)["items"] == []
    assert (state_of(hundred, "k098"), state_of(hundred, "k099")) == ("failed", "missing")
    with hundred.begin() as connection:
        [dead] = collections.page_ended_badly(connection, "c", ItemState.FAILED, None, (0, -1), 10, dead=True)
        assert (dead["key"], dead["error_code"], dead["attempt"]) == ("k098", "http_429", 2)
        history = collections.history(connection, "c", "k098")
    assert [(row["before"], row["state"]) for row in history] == [
        ("available", "leased"),
        ("leased", "failed"),
        ("failed", "leased"),
        ("leased", "failed"),
    ]
    ask(hundred, {"op": "move", "moves": [{"key": "k098", "state": "available"}]})
    [item] = acquire(hundred, 5)["items"]
    assert (item["key"], item["attempt"]) == ("k098", 1)


def test_an_expired_lease_counts_an_attempt_and_a_released_one_does_not(hundred: Engine) -> None:
    lease = acquire(hundred, 100)
    ask(hundred, {"op": "release", "lease": lease["lease"], "keys": ["k000"]})
    ask(hundred, {"op": "release", "lease": lease["lease"]})
    lease = acquire(hundred, 100)
    assert {item["attempt"] for item in lease["items"]} == {1}
    expire(hundred)
    assert {item["attempt"] for item in acquire(hundred, 100)["items"]} == {2}
    expire(hundred)
    assert acquire(hundred, 100)["items"] == []
    assert sums(hundred) == {"failed": 100}


@pytest.mark.row("S0-19")
def test_a_lease_is_told_without_the_error_of_the_one_before(hundred: Engine) -> None:
    lease = acquire(hundred, 100)
    failed = {"key": "k001", "state": "failed", "error_code": "http_429", "error": "Too many requests."}
    ask(hundred, {"op": "submit", "lease": lease["lease"], "results": [failed]})
    expire(hundred)
    assert len(acquire(hundred, 100)["items"]) == 100
    with hundred.begin() as connection:
        for key, state, code in (("k000", "available", "lease_expired"), ("k001", "failed", "http_429")):
            first, ended, second = collections.history(connection, "c", key)
            assert {taken[what] for taken in (first, second) for what in ("error_code", "error_message")} == {None}
            assert (ended["state"], ended["error_code"], second["attempt"]) == (state, code, 2)
            assert ended["error_message"]


@pytest.mark.row("S2-17")
def test_what_is_stale_is_what_ran_out_last(hundred: Engine) -> None:
    def stale() -> int:
        with hundred.begin() as connection:
            [row] = db.rows(connection, "fetch_tasks.searches", collection=1)
            return int(row["stale"])

    acquire(hundred, 4)
    expire(hundred)
    assert stale() == 4
    lease = acquire(hundred, 2)
    assert stale() == 2
    ask(hundred, {"op": "release", "lease": lease["lease"]})
    assert stale() == 2, "whoever had them has given them back"
    acquire(hundred, 100, request_id="r")
    ask(hundred, {"op": "abandon", "request_id": "r"})
    assert stale() == 0


@pytest.mark.row("S2-07")
def test_a_search_is_over_after_so_many_in_vain_however_many_leases_ran_out(database: Engine) -> None:
    make(database, "c", ["a"], ordering="arrival", retry_seconds=0, max_attempts=3)

    def item() -> tuple[str, int, int]:
        with database.begin() as connection:
            row = collections.item(connection, "c", "a")
        assert row is not None
        assert (row["nacked_at"] is not None) == (row["nacks"] > 0)
        return row["state"], row["attempt"], row["nacks"]

    assert item() == ("available", 0, 0)
    for _ in range(2):
        acquire(database, 1)
        expire(database)
    for nacks in (1, 2):
        submit(database, acquire(database, 1), "nacked")
        assert item() == ("available", 2 + nacks, nacks)
    lease = acquire(database, 1)
    submit(database, lease, "nacked")
    assert (item(), submit(database, lease, "nacked")["results"][0]["outcome"]) == (("missing", 5, 3), "refused")
    ask(database, {"op": "move", "moves": [{"key": "a", "state": "available"}]})
    with database.begin() as connection:
        row = collections.item(connection, "c", "a")
    assert row is not None
    assert (row["state"], row["attempt"], row["nacks"]) == ("available", 0, 0), "everything begins anew"
    submit(database, acquire(database, 1), "nacked")
    assert item() == ("available", 1, 1)


def test_searches_from_before_they_were_counted_are_counted_from_the_history(database: Engine) -> None:
    make(database, "c", ["a", "b", "c", "d"], ordering="arrival", retry_seconds=0, max_attempts=2)
    for _ in range(3):
        lease = acquire(database, 4)
        submit(database, lease, "nacked", *(key for key in ("a", "b") if key in keys(lease)))
        ask(database, {"op": "release", "lease": lease["lease"]})
        ask(database, {"op": "move", "moves": [{"key": "b", "state": "available"}]})
    kept = text("select position, nacks from item_states order by position")
    with database.begin() as connection:
        before = connection.execute(kept).all()
        assert [nacks for _, nacks in before] == [2, 1, 0, 0]
        moves = connection.execute(text("select count(*) from item_history")).scalar_one()
        connection.execute(text("alter table item_states disable trigger user"))
        connection.execute(text("update item_states set nacks = 0"))
        connection.execute(text(import_module("infra.migrations.versions.0018_replays_and_nacks").COUNTED))
        assert connection.execute(kept).all() == before
        assert connection.execute(text("select count(*) from item_history")).scalar_one() == moves


@pytest.mark.row("S0-22")
def test_an_item_that_was_not_acknowledged_says_so(hundred: Engine) -> None:
    lease = acquire(hundred, 1)
    ask(hundred, {"op": "drop", "lease": lease["lease"], "charged": True})
    with hundred.begin() as connection:
        item = collections.item(connection, "c", keys(lease)[0])
    assert item is not None
    assert (item["state"], item["attempt"], item["error_code"]) == ("available", 1, "not_acknowledged")
    assert "acknowledge" in item["error_message"]


def test_the_same_request_gets_the_same_lease(hundred: Engine) -> None:
    asked = {"op": "acquire", "count": 3, "request_id": "r1"}
    first, twin = ask(hundred, asked, asked)
    assert keys(first) == keys(twin)
    submit(hundred, first, "completed", keys(first)[0])
    [again] = ask(hundred, asked)
    assert (again["lease"], sorted(keys(again))) == (first["lease"], sorted(keys(first)[1:]))
    [other] = ask(hundred, asked | {"owner": "other"})
    assert not set(keys(other)) & set(keys(first))
    [back] = ask(hundred, {"op": "abandon", "request_id": "r1"})
    assert back["returned"] == 2
    assert sums(hundred) == {"available": 96, "leased": 3, "completed": 1}


def test_submit_and_take_next_in_one_step(hundred: Engine) -> None:
    lease = acquire(hundred, 10)
    told = submit(hundred, lease, "completed", *keys(lease)[:4], next={"count": 2})
    assert (told["done"], told["open"], len(told["next"]["items"])) == (4, 6, 2)
    assert not set(keys(told["next"])) & set(keys(lease))
    [told] = ask(hundred, {"op": "submit", "lease": lease["lease"], "completed": "all", "next": {"count": 100}})
    assert (told["done"], told["open"], len(told["next"]["items"])) == (6, 0, 88)


@pytest.mark.row("S0-22")
def test_a_worker_called_like_the_queue_takes_nothing_from_it(database: Engine) -> None:
    make(database, "c", [f"k{n}" for n in range(9)], push=2)
    acquire(database, 5, worker=PUSHED)
    with database.begin() as connection:
        assert [len(case.leases) for case, _ in pushing.offer(connection)] == [1, 1]
    with database.begin() as connection:
        assert pushing.offer(connection) == []


def test_lists_say_of_an_item_what_it_says_itself(hundred: Engine) -> None:
    first = acquire(hundred, 10)
    submit(hundred, first, "completed", *keys(first)[:3])
    ask(hundred, {"op": "release", "lease": first["lease"], "keys": keys(first)[3:5]})
    with hundred.begin() as connection:
        for row in collections.page(connection, "c", None, (0, -1), 100):
            item = collections.item(connection, "c", row["key"])
            assert item is not None
            assert (row["state"], row["attempt"]) == (item["state"], item["attempt"])


def test_the_database_refuses_a_move_from_another_state(hundred: Engine) -> None:
    lease = acquire(hundred, 1)
    submit(hundred, lease, "completed")
    for broken in (
        "update item_states set before = 'leased', state = 'failed'",
        "update item_states set before = 'completed', state = 'missing'",
        "update item_states set state = 'gone'",
    ):
        with pytest.raises(IntegrityError), hundred.begin() as connection:
            connection.execute(text(broken))
    with pytest.raises(IntegrityError), hundred.begin() as connection:
        connection.execute(text("insert into grants select pool_id, lo, hi, taken, lease_id from grants"))
    with hundred.begin() as connection:
        assert db.rows(connection, "items.collections", after="", limit=5)[0]["name"] == "c"
