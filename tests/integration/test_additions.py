"""A few items at a time, into a collection whose items come in random order: they mix with what is there."""

import random

import pytest
from sqlalchemy import Engine, text

from infra import collections
from infra.imports import NewItem
from tests.integration.lending import acquire, add, ask, keys, make, submit, sums

POOLS = text("select id, size from pools")
POSITIONS = text("select i.position from items i order by i.position")


def one_by_one(database: Engine, names: list[str], partition: str = "") -> None:
    for name in names:
        with database.begin() as connection:
            assert add(connection, "c", [NewItem(name, partition, "{}")]).inserted == 1


@pytest.mark.row("S0-07")
def test_items_that_come_one_by_one_leave_no_pool_each_and_come_in_no_order(database: Engine) -> None:
    random.seed(7)
    names = [f"k{n:03d}" for n in range(400)]
    make(database, "c", names[:1])
    one_by_one(database, names[1:])
    with database.connect() as connection:
        assert [tuple(row)[1] for row in connection.execute(POOLS)] == [400]
        assert [row.position for row in connection.execute(POSITIONS)] == list(range(400))
    order = [int(key[1:]) for _ in range(40) for key in keys(acquire(database, 10))]
    assert sorted(order) == list(range(400))
    middle = 199.5
    alike = sum((place - middle) * (came - middle) for place, came in enumerate(order))
    alike /= sum((place - middle) ** 2 for place in range(400))
    assert abs(alike) < 0.25, "five times what chance would do"


@pytest.mark.row("S0-01", "S0-08")
def test_nothing_that_has_happened_to_an_item_is_lost_when_others_come(database: Engine) -> None:
    make(database, "c", [f"old{n}" for n in range(30)], retry_seconds=0)
    held = acquire(database, 8)
    done = [f"old{n}" for n in range(30) if f"old{n}" not in keys(held)][:8]
    ask(database, {"op": "move", "moves": [{"key": key, "state": "completed"} for key in done]})
    one_by_one(database, [f"new{n}" for n in range(50)])
    one_by_one(database, ["elsewhere"], partition="p")
    assert submit(database, held, "completed")["done"] == 8
    assert sums(database) == {"available": 65, "completed": 16}
    rest = [key for _ in range(7) for key in keys(acquire(database, 10))]
    assert len(rest) == len(set(rest)) == 65
    assert not set(rest) & {*done, *keys(held)}
    with database.connect() as connection:
        assert collections.overlaps(connection, "c") == []
        assert len(connection.execute(POOLS).all()) == 2


def test_what_comes_when_all_is_handed_out_is_handed_out_too(database: Engine) -> None:
    make(database, "c", ["a"])
    assert keys(acquire(database, 5)) == ["a"]
    one_by_one(database, ["b", "c"])
    assert sorted(keys(acquire(database, 5))) == ["b", "c"]
    assert keys(acquire(database, 5)) == []
