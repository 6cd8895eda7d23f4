"""Many workers at several dispatchers: none gets what another one has."""

import random
import threading
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine

from infra import collections
from infra.imports import NewItem
from infra.leasing import desk, expiry
from infra.leasing.collection import enter
from tests.integration.lending import EXPIRE_ALL, ask, keys, make, order, submit, sums, truth


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
