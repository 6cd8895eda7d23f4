"""Leases in the database: no item twice, nothing lost, sums that agree with the rows, however many work at once."""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from infra import collections, db, imports
from infra.imports import NewItem
from infra.leasing import desk, expiry, pushing, taking
from infra.leasing.cases import PUSHED
from infra.leasing.collection import enter
from schemas.collections import CollectionRequest
from schemas.items import ItemState
from schemas.leases import ORDER, Order
from tests.integration.test_plans import looked_at

EXPIRE_ALL = text("update leases set expires_at = now() - interval '1 second' where ended_at is null")


def make(database: Engine, name: str, items: Sequence[NewItem | str], **terms: Any) -> None:
    with database.begin() as connection:
        collections.put(connection, name, CollectionRequest(**terms), "test")
        add(connection, name, items)


def add(connection: Connection, name: str, items: Sequence[NewItem | str]) -> imports.Merged:
    collection = enter(connection, [name])[name]
    put = [item if isinstance(item, NewItem) else NewItem(item, "", "{}") for item in items]
    return imports.merge(connection, collection, imports.put(connection, put))


def ask(database: Engine, *orders: dict[str, Any]) -> list[Any]:
    """The answers, each with its status."""
    with database.begin() as connection:
        cases = desk.answer(connection, [order(**given) for given in orders])
    told = []
    for case in cases:
        assert case.answer is not None
        told.append(orjson.loads(case.answer.body) | {"status": case.answer.status})
    return told


def order(**given: Any) -> Order:
    return ORDER.validate_python({"collection": "c", "owner": "me"} | given)


def acquire(database: Engine, count: int, **terms: Any) -> dict[str, Any]:
    [told] = ask(database, {"op": "acquire", "count": count} | terms)
    return dict(told)


def keys(lease: dict[str, Any]) -> list[str]:
    return [item["key"] for item in lease["items"]]


def submit(database: Engine, lease: dict[str, Any], state: str, *names: str, **terms: Any) -> dict[str, Any]:
    results = [{"key": key, "state": state} for key in names or keys(lease)]
    [told] = ask(database, {"op": "submit", "lease": lease["lease"], "results": results} | terms)
    return dict(told)


def expire(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(EXPIRE_ALL)
    with database.begin() as connection:
        assert expiry.sweep(connection) > 0


def state_of(database: Engine, key: str) -> str:
    with database.begin() as connection:
        found = collections.item(connection, "c", key)
        assert found is not None
        return str(found["state"])


def sums(database: Engine) -> dict[str, int]:
    with database.begin() as connection:
        return {state: n for state, n in collections.counts(connection, "c").by_state.items() if n}


def truth(database: Engine) -> dict[str, int]:
    """The same, counted item by item."""
    with database.begin() as connection:
        rows = collections.page(connection, "c", None, (0, -1), 1_000_000)
    return dict(Counter(row["state"] for row in rows))


@pytest.fixture(params=[imports.LARGE, 100], ids=["shared", "alone"])
def hundred(database: Engine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A collection of so many items, among others and in a shard of its own."""
    monkeypatch.setattr(imports, "LARGE", request.param)
    make(database, "c", [f"k{n:03d}" for n in range(100)], max_attempts=2, retry_seconds=0)
    yield database
    assert sums(database) == truth(database)


class Crowd:
    """Workers of every kind at once, over several dispatchers: they finish, fail, give back, are late and die."""

    def __init__(self, database: Engine, items: int) -> None:
        self.database = database
        self.items = items
        self.done: list[str] = []
        self.errors: list[BaseException] = []

    def work(self, number: int) -> None:
        dice = random.Random(number)
        try:
            while self.turn(dice, f"w{number}"):
                pass
        except BaseException as error:
            self.errors.append(error)

    def turn(self, dice: random.Random, worker: str) -> bool:
        orders = [
            {"op": "acquire", "count": dice.choice([1, 3, 40]), "worker": worker}
            | ({"partition": "p1"} if dice.random() < 0.2 else {})
            for _ in range(dice.choice([1, 1, 5]))
        ]
        if dice.random() < 0.1:
            with self.database.connect() as connection:
                desk.answer(connection, [order(**given) for given in orders])
                connection.rollback()  # a dispatcher dies before its commit
            return True
        leases = [lease for lease in ask(self.database, *orders) if lease["items"]]
        for lease in leases:
            dice.choices(
                [self.give_back, self.fail, self.oversleep, self.submit, self.submit_all], [15, 15, 5, 35, 30]
            )[0](lease)
        if not leases:
            with self.database.begin() as connection:
                expiry.sweep(connection)  # one that somebody else was in the way of
        return bool(leases) or sums(self.database) != {"completed": self.items}

    def give_back(self, lease: dict[str, Any]) -> None:
        ask(self.database, {"op": "release", "lease": lease["lease"]})

    def fail(self, lease: dict[str, Any]) -> None:
        submit(self.database, lease, "failed")

    def oversleep(self, _: dict[str, Any]) -> None:
        with self.database.begin() as connection:
            enter(connection, ["c"])  # a statement about all leases, in whatever order, waits for its turn
            connection.execute(EXPIRE_ALL)  # for everybody
        with self.database.begin() as connection:
            expiry.sweep(connection)

    def submit(self, lease: dict[str, Any]) -> None:
        told = submit(self.database, lease, "completed")
        self.done += [each["key"] for each in told["results"] if each["outcome"] == "done"]

    def submit_all(self, lease: dict[str, Any]) -> None:
        [told] = ask(self.database, {"op": "submit", "lease": lease["lease"], "completed": "all"})
        if told["status"] == 200:
            # After the lease ran out, what nobody has taken since is named.
            done = [each["key"] for each in told["results"] if each["outcome"] == "done"] or keys(lease)
            assert told["done"] == len(done)
            self.done += done


@pytest.mark.row("S0-08")
def test_many_at_once_never_get_the_same_item(database: Engine) -> None:
    items = [NewItem(f"k{n}", f"p{n % 3}", "{}") for n in range(2000)]
    make(database, "c", items, max_attempts=1000, retry_seconds=0)
    crowd = Crowd(database, len(items))
    threads = [threading.Thread(target=crowd.work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowd.errors == []
    assert Counter(crowd.done) == {item.key: 1 for item in items}
    assert truth(database) == {"completed": len(items)}
    with database.begin() as connection:
        assert collections.overlaps(connection, "c") == []
        expiry.fold(connection)
    assert sums(database) == {"completed": len(items)}


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


def test_a_worker_has_no_more_than_its_share(database: Engine) -> None:
    make(database, "c", [f"k{n}" for n in range(30)], per_worker=5)
    first, second, other = ask(
        database,
        {"op": "acquire", "count": 3, "worker": "a"},
        {"op": "acquire", "count": 9, "worker": "a"},
        {"op": "acquire", "count": 9, "worker": "b"},
    )
    assert [len(each["items"]) for each in (first, second, other)] == [3, 2, 5]
    submit(database, first, "completed")
    assert len(acquire(database, 9, worker="a")["items"]) == 3


def test_the_order_of_arrival(database: Engine) -> None:
    make(database, "c", ["a", "b", "c", "d"], ordering="arrival", retry_seconds=0)
    first = acquire(database, 3)
    assert keys(first) == ["a", "b", "c"]
    submit(database, first, "nacked", "b")
    submit(database, first, "nacked", "a")
    expire(database)  # c
    with database.begin() as connection:
        add(connection, "c", ["e", "a"])
    assert [keys(acquire(database, 1))[0] for _ in range(5)] == ["d", "e", "c", "b", "a"]


def test_an_import_keeps_progress_and_passes_over_what_is_done(database: Engine) -> None:
    make(database, "c", [NewItem(f"k{n}", "", f'{{"n":{n}}}') for n in range(500)])
    done = [{"key": f"k{n}", "state": "completed"} for n in range(490)]
    ask(database, {"op": "move", "moves": done})
    with database.begin() as connection:
        again: list[NewItem | str] = [
            NewItem("k1", "", '{"n":1}'),
            NewItem("k2", "", '{"n":"new"}'),
            NewItem("x", "", "{}"),
            "x",
        ]
        merged = add(connection, "c", again)
    assert (merged.inserted, merged.updated, merged.unchanged, merged.duplicate) == (1, 1, 1, 1)
    assert list(merged.repeated) == [(3, "x")]
    assert len(acquire(database, 100)["items"]) == 11
    assert acquire(database, 100)["items"] == []
    assert sums(database) == truth(database) == {"completed": 490, "leased": 11}


@pytest.mark.parametrize("limit", ["MANY", "LARGE"])
def test_after_an_import_the_planner_knows_the_items(
    limit: str, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the table that has them, and of all together, which joins go by."""
    with database.begin() as connection:  # the server would come to know the few by itself
        connection.execute(text("alter table items_shared set (autovacuum_enabled = false)"))
    known = text("select count(*) from pg_stats where tablename ^@ 'items' and attname = 'key'")
    make(database, "few", [f"k{n}" for n in range(99)])
    with database.begin() as connection:
        assert connection.execute(known).scalar_one() == 0
    monkeypatch.setattr(imports, limit, 100)
    make(database, "c", [f"k{n}" for n in range(100)])
    with database.begin() as connection:
        assert connection.execute(known).scalar_one() == 2


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


@pytest.mark.row("S2-04")
@pytest.mark.parametrize("many", [1, 1000], ids=["many", "few"])
def test_what_was_given_back_comes_in_turn(database: Engine, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(taking, "MANY", many)
    make(database, "c", [NewItem(f"k{n}", f"p{n % 2}", "{}") for n in range(12)], retry_seconds=0)
    leases = [acquire(database, 4) for _ in range(3)]
    submit(database, leases[0], "nacked", *keys(leases[0])[:2])
    for lease in (leases[2], leases[0], leases[1]):
        ask(database, {"op": "release", "lease": lease["lease"]})
    again = [set(keys(acquire(database, count))) for count in (2, 4, 4, 2)]
    nacked, others = set(keys(leases[0])[:2]), set(keys(leases[0])[2:])
    assert again == [others, set(keys(leases[1])), set(keys(leases[2])), nacked]


@pytest.mark.parametrize("query", ["taking.offered", "taking.returned", "taking.due"])
def test_what_has_to_wait_costs_those_who_ask_nothing(database: Engine, query: str) -> None:
    make(database, "c", [f"k{n}" for n in range(8000)], retry_seconds=3600)
    for _ in range(8):
        submit(database, acquire(database, 1000), "failed")
    ask(database, {"op": "move", "moves": [{"key": "k7", "state": "available"}]})
    terms: dict[str, Any] = {
        "collection": 1,
        "partition": None,
        "many": 1000,
        "few": True,
        "need": 100,
        "partitions": [""],
        "starts": "{1}",
    }
    terms |= {"leases": f"{{{uuid4()}}}", "workers": ["w"]}
    explained = text(f"explain (analyze, format json) {db.sql(query).text}")
    with database.connect() as connection:
        enter(connection, ["c"])
        [plan] = connection.execute(explained, {name: terms[name] for name in explained.compile().params}).scalar_one()
        assert looked_at(plan["Plan"]) < 100
        connection.rollback()
    [lease] = ask(database, {"op": "acquire", "count": 100})
    assert keys(lease) == ["k7"]


@pytest.mark.parametrize("query", ["moves.complete", "moves.return", "leases.contents", "moves.keys_of"])
def test_what_one_lease_costs_does_not_grow_with_those_of_others(database: Engine, query: str) -> None:
    make(database, "c", [f"k{n}" for n in range(8000)])
    asked = {"op": "acquire", "count": 20}
    leases = [lease for _ in range(4) for lease in ask(database, *[asked] * 50)]
    own = leases[0]["lease"]
    terms: dict[str, Any] = {"ids": [own], "collection": 1, "charged": False, "mover": None}
    terms |= {"keys": keys(leases[0]), "leases": [own] * 20, "code": None, "message": None}
    explained = text(f"explain (analyze, format json) {db.sql(query).text}")
    with database.connect() as connection:
        enter(connection, ["c"])
        [plan] = connection.execute(explained, {name: terms[name] for name in explained.compile().params}).scalar_one()
        assert looked_at(plan["Plan"]) < 2000
        connection.rollback()
