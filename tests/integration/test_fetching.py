"""Fetch tasks in the database: what was found becomes tasks with its items' moves, and taking them stays cheap."""

import threading
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from infra import db, fetch_tasks
from infra.fetch_items import Overtaken
from infra.fetch_tasks import Fill, Loss, Said, Taker
from infra.ids import new_id
from tests.integration.lending import acquire, ask, expire, keys, make, state_of, submit, sums, truth
from tests.integration.test_plans import looked_at

MOST_ROWS = 200
BACKLOG = """
insert into fetch_tasks (host, external_id, state, created_by, updated_by, lease_id, owner, ttl_seconds, leased_at,
    expires_at, location)
select 'h' || n % 5, n, state, 'me', 'me', gen_random_uuid(), 'me', 1, now() - n * interval '1 second',
    case when state = 'leased' then now() + interval '1 hour' end, case when state = 'filled' then '/x' end
from generate_series(1, 20000) as n cross join lateral (
    select case when n % 10 = 0 then 'open' when n % 10 < 3 then 'leased' else 'filled' end as state
) as s
"""


def candidate(number: int | str, host: str = "https://A.example/") -> dict[str, Any]:
    return {"host": host, "external_id": number}


def took(connection: Connection, host: str, count: int, owner: str = "me", lease: UUID | None = None) -> list[int]:
    return [row["id"] for row in fetch_tasks.take(connection, host, count, Taker(lease or new_id(), owner, "w", 60))]


@pytest.mark.row("S2-06", "S2-08")
def test_a_report_under_a_lease_makes_tasks_only_for_what_counts(database: Engine) -> None:
    make(database, "c", ["a", "b", "c"], ordering="arrival", retry_seconds=0)
    lease = acquire(database, 2)
    results = [
        {"key": "a", "state": "found", "candidates": [candidate(1), candidate("1", "a.example"), candidate(2)]},
        {"key": "c", "state": "found", "candidates": [candidate(3)]},
        {"key": "b", "state": "nacked"},
    ]
    [told] = ask(database, {"op": "submit", "lease": lease["lease"], "results": results, "next": {"count": 1}})
    verdicts = {each["key"]: each for each in told["results"]}
    assert (verdicts["a"]["state"], len(verdicts["a"]["tasks"])) == ("completed", 2)
    assert (verdicts["b"]["state"], verdicts["c"]["code"], verdicts["c"]["tasks"]) == ("available", "not_in_lease", [])
    assert keys(told["next"]) == ["c"]
    bad = [{"key": "c", "state": "completed"}, {"key": "x", "state": "found", "candidates": [candidate(4)]}]
    [refused] = ask(database, {"op": "move", "moves": bad, "atomic": True})
    assert (refused["status"], refused["unknown"]) == (404, ["x"])
    assert state_of(database, "c") == "leased"
    with database.begin() as connection:
        assert [row["external_id"] for row in fetch_tasks.page(connection, 0, 9, None, None)] == ["1", "2"]
    assert submit(database, told["next"], "completed")["done"] == 1


@pytest.mark.row("S2-10", "S2-24")
def test_a_lease_that_ran_out_moves_nothing_that_was_filled_under_the_next(database: Engine) -> None:
    make(database, "c", ["a"])
    ask(database, {"op": "move", "moves": [{"key": "a", "state": "found", "candidates": [candidate(1)]}]})
    first, second = new_id(), new_id()
    with database.begin() as connection:
        [task] = took(connection, "a.example", 1, lease=first)
        connection.execute(text("update fetch_tasks set expires_at = now()"))
    with database.begin() as connection:
        assert took(connection, "a.example", 1, lease=second) == [task]

        def say(location: str, lease: UUID | None) -> tuple[str, str | None]:
            [verdict] = fetch_tasks.say(connection, Said([Fill(task, location)], [], "me", lease)).verdicts
            return verdict.outcome, verdict.code

        assert say("/old", first) == ("refused", "held_by_another")
        assert say("/new", second) == ("done", None)
        assert say("/old", first) == ("refused", "finished")
        assert say("/new", first) == ("unchanged", None)
        assert (say("/moved", second), say("/moved again", None)) == (("done", None), ("done", None))


@pytest.mark.row("S2-16")
def test_a_task_given_up_while_another_collection_links_it(database: Engine) -> None:
    """The link waits for the end of it, or it for the link: no item is left with nothing but what cannot be had."""
    for name in ("c", "d"):
        make(database, name, [f"k{n}" for n in range(20)], ordering="arrival", retry_seconds=0)
    found = {"state": "found", "candidates": [candidate(1)]}
    ask(database, {"op": "move", "moves": [{"key": "k0"} | found]})
    barrier = threading.Barrier(2)

    def link() -> None:
        barrier.wait()
        for number in range(20):
            ask(database, {"op": "move", "collection": "d", "moves": [{"key": f"k{number}"} | found]})

    linking = threading.Thread(target=link)
    linking.start()
    barrier.wait()
    while True:
        try:
            with database.begin() as connection:
                [lost] = fetch_tasks.lose(connection, [Loss(1, "gone")], "me")
            break
        except Overtaken:
            continue
    linking.join()
    assert (lost["id"], state_of(database, "k0")) == (1, "available")
    with database.begin() as connection:
        done = "select count(*) from item_states s join collections c on c.id = s.collection_id where c.name = 'd'"
        assert connection.execute(text(f"{done} and state = 'completed'")).scalar_one() == 0


@pytest.mark.row("S2-05", "S2-16")
@pytest.mark.parametrize("how", ["filled", "reported", "reopened", "elsewhere"])
def test_an_item_is_off_offer_as_soon_as_its_task_lives_again(database: Engine, how: str) -> None:
    make(database, "c", ["a", "b"], ordering="arrival", retry_seconds=0)
    found = {"state": "found", "candidates": [candidate(1)]}
    ask(database, {"op": "move", "moves": [{"key": "a"} | found, {"key": "b"} | found]})
    with database.begin() as connection:
        fetch_tasks.lose(connection, [Loss(1, "gone")], "me")
    assert keys(acquire(database, 1)) == ["a"]
    with database.begin() as connection:
        match how:
            case "filled":
                fetch_tasks.fill(connection, [Fill(1, "/there")], "keeper")
            case "reported":
                assert not fetch_tasks.say(connection, Said([Fill(1, "/there")], [], "me")).refused
            case "reopened":
                assert fetch_tasks.reopen(connection, 1, "me")
            case "elsewhere":
                connection.execute(text("update fetch_tasks set state = 'filled', reason = null, location = '/there'"))
                fetch_tasks.taken_over(connection, [("a.example", "1")], "peer")
    assert (state_of(database, "a"), state_of(database, "b")) == ("leased", "completed")
    assert keys(acquire(database, 1)) == [], "what is being looked for stays with whoever looks for it"


@pytest.mark.row("S2-05", "S2-16")
@pytest.mark.parametrize("end", ["nacked", "released", "one released", "expired", "for the last time"])
def test_what_was_looked_for_while_its_task_came_to_life_is_not_offered_again(database: Engine, end: str) -> None:
    rules = {"ordering": "arrival", "retry_seconds": 0, "max_attempts": 1 if end == "for the last time" else 5}
    make(database, "c", ["a", "b"], **rules)
    found = {"state": "found", "candidates": [candidate(1)]}
    ask(database, {"op": "move", "moves": [{"key": "a"} | found]})
    with database.begin() as connection:
        fetch_tasks.lose(connection, [Loss(1, "gone")], "me")
    lease = acquire(database, 2)
    assert keys(lease) == ["b", "a"]
    with database.begin() as connection:
        fetch_tasks.fill(connection, [Fill(1, "/there")], "keeper")
    name = {"lease": lease["lease"]}
    match end:
        case "nacked":
            assert submit(database, lease, "nacked")["done"] == 2
        case "released":
            [told] = ask(database, {"op": "release"} | name)
            assert (told["done"], told["open"]) == (2, 0)
        case "one released":
            ask(database, {"op": "release", "keys": ["a"]} | name, {"op": "release"} | name)
        case _:
            expire(database)
    assert (state_of(database, "a"), state_of(database, "b")) == (
        "completed",
        "failed" if end == "for the last time" else "available",
    )
    assert sums(database) == truth(database)


@pytest.mark.row("S2-05", "S2-16")
def test_what_was_looked_for_in_vain_is_done_once_it_has_come(database: Engine) -> None:
    make(database, "c", ["a"], retry_seconds=0, max_attempts=1)
    found = {"state": "found", "candidates": [candidate(1)]}
    ask(database, {"op": "move", "moves": [{"key": "a"} | found]})
    with database.begin() as connection:
        fetch_tasks.lose(connection, [Loss(1, "gone")], "me")
    submit(database, acquire(database, 1), "nacked")
    assert state_of(database, "a") == "missing"
    with database.begin() as connection:
        fetch_tasks.fill(connection, [Fill(1, "/there")], "keeper")
    assert state_of(database, "a") == "completed"
    assert sums(database) == truth(database)


@pytest.mark.row("S2-05", "S2-16")
def test_a_task_filled_while_another_collection_links_it(database: Engine) -> None:
    """What was linked to a task that could not be had is done once it is filled, whoever was first."""
    for name in ("c", "d"):
        make(database, name, [f"k{n}" for n in range(20)], ordering="arrival", retry_seconds=0)
    found = {"state": "found", "candidates": [candidate(1)]}
    ask(database, {"op": "move", "moves": [{"key": "k0"} | found]})
    with database.begin() as connection:
        fetch_tasks.lose(connection, [Loss(1, "gone")], "me")
    barrier = threading.Barrier(2)

    def link() -> None:
        barrier.wait()
        for number in range(20):
            ask(database, {"op": "move", "collection": "d", "moves": [{"key": f"k{number}"} | found]})

    linking = threading.Thread(target=link)
    linking.start()
    barrier.wait()
    with database.begin() as connection:
        fetch_tasks.fill_patiently(connection, [Fill(1, "/there")], "keeper")
    linking.join()
    with database.begin() as connection:
        done = "select count(*) from item_states s join collections c on c.id = s.collection_id where c.name = 'd'"
        assert connection.execute(text(f"{done} and state = 'completed'")).scalar_one() == 20


@pytest.mark.row("S2-10", "S2-24")
def test_many_take_at_once_and_content_counts_whoever_holds_it(database: Engine) -> None:
    make(database, "c", ["a"], ordering="arrival")
    ask(
        database,
        {"op": "move", "moves": [{"key": "a", "state": "found", "candidates": [candidate(n) for n in range(99)]}]},
    )
    got: list[int] = []

    def work(number: int) -> None:
        while True:
            with database.begin() as connection:
                mine = took(connection, "a.example", 3, f"w{number}")
                if number == 0 and mine:
                    connection.rollback()  # it dies
                    return
            if not mine:
                return
            got.extend(mine)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.begin() as connection:
        got += took(connection, "a.example", 99)  # what the dead one had in hand when the others ended
        assert sorted(got) == sorted(set(got))
        assert len(got) == 99
        [filled] = fetch_tasks.fill(connection, [Fill(got[0], "/there")], "keeper")
        assert (filled["location"], filled["revision"]) == ("/there", 3)
        assert fetch_tasks.fill(connection, [Fill(got[0], "/there")], "keeper") == []
        assert fetch_tasks.lose(connection, [Loss(got[0], "gone")], "me") == []
        assert fetch_tasks.overlaps(connection) == []


@pytest.mark.row("S2-10")
def test_one_request_in_parallel_is_one_lease_and_later_no_second_one(database: Engine) -> None:
    make(database, "c", ["a"], ordering="arrival")
    found = [candidate(n) for n in range(40)]
    ask(database, {"op": "move", "moves": [{"key": "a", "state": "found", "candidates": found}]})
    lease, barrier, got = new_id(), threading.Barrier(5), list[list[int]]()

    def work() -> None:
        with database.begin() as connection:
            barrier.wait()
            got.append(took(connection, "a.example", 3, lease=lease))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got[0]) == 3
    assert got == got[:1] * 5
    with database.begin() as connection:
        fetch_tasks.fill(connection, [Fill(task, "/there") for task in got[0][:2]], "me")
    with database.begin() as connection:
        assert took(connection, "a.example", 3, lease=lease) == got[0][2:], "what is still held"
        assert fetch_tasks.release(connection, lease, "me") == 1
        assert took(connection, "a.example", 3, lease=lease) == []
        unheard = new_id()
        first = took(connection, "a.example", 3, lease=unheard)
        assert fetch_tasks.forget(connection, unheard, "me") == 3
        again = took(connection, "a.example", 3, lease=unheard)
        assert (len(again), len(first)) == (3, 3), "nobody has heard of it: it was none"
        fetch_tasks.fill(connection, [Fill(task, "/there") for task in again], "me")
        assert took(connection, "a.example", 3, lease=unheard) == []
        assert fetch_tasks.overlaps(connection) == []


def test_no_step_looks_at_all_tasks(database: Engine) -> None:
    with database.connect() as connection:
        connection.execute(text("alter table fetch_tasks set (autovacuum_enabled = false)"))
        connection.execute(text(BACKLOG))
        assert took(connection, "h0", 5) == [20000, 19990, 19980, 19970, 19960], "the longest since"
        terms = {"host": "h0", "count": 5, "lease": new_id(), "owner": "me", "worker": "w", "ttl": 1, "most": 100}
        mine = terms | {
            "by": "me",
            "unheard": "unheard",
            "ids": [7],
            "locations": ["/x"],
            "reasons": ["x"],
            "hosts": ["h1"],
            "externals": ["1"],
        }
        costs = {}
        names = (
            "held",
            "had",
            "expire",
            "take",
            "extend",
            "release",
            "fill",
            "unavailable",
            "facts",
            "ids_of",
            "known",
        )
        for name in names:
            query = text(f"explain (analyze, format json) {db.sql(f'fetch_tasks.{name}').text}")
            wanted = {bound: mine.get(bound) for bound in query.compile().params}
            [plan] = connection.execute(query, wanted).scalar_one()
            costs[name] = looked_at(plan["Plan"])
        assert {name: rows for name, rows in costs.items() if rows > MOST_ROWS} == {}
