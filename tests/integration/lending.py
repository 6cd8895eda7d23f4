"""Items under lease, asked for as a dispatcher asks for them, in the test's own process."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from infra import collections, imports
from infra.imports import NewItem
from infra.leasing import desk, expiry
from infra.leasing.collection import enter
from schemas.collections import CollectionRequest
from schemas.leases import ORDER, Order

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
