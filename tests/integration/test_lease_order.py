"""Who gets what, and in which order."""

import pytest
from sqlalchemy import Engine

from infra.imports import NewItem
from infra.leasing import taking
from tests.integration.lending import acquire, add, ask, expire, keys, make, submit, sums, truth


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
