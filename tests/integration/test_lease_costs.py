"""What a lease costs: never what others wait for, or hold."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from infra import db, imports
from infra.leasing.collection import enter
from tests.integration.lending import acquire, ask, keys, make, submit
from tests.integration.test_plans import looked_at


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


def rows_read(database: Engine, query: str, terms: dict[str, Any]) -> float:
    """How many rows a query looks at, as in a dispatcher's transaction; nothing of it stays."""
    explained = text(f"explain (analyze, format json) {db.sql(query).text}")
    with database.connect() as connection:
        enter(connection, ["c"])
        [plan] = connection.execute(explained, {name: terms[name] for name in explained.compile().params}).scalar_one()
        connection.rollback()
    return looked_at(plan["Plan"])


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
    assert rows_read(database, query, terms) < 100
    [lease] = ask(database, {"op": "acquire", "count": 100})
    assert keys(lease) == ["k7"]


@pytest.mark.parametrize(
    "query", ["moves.complete", "moves.return", "leases.contents", "moves.keys_of", "fetch_tasks.alive"]
)
def test_what_one_lease_costs_does_not_grow_with_those_of_others(database: Engine, query: str) -> None:
    make(database, "c", [f"k{n}" for n in range(8000)])
    asked = {"op": "acquire", "count": 20}
    leases = [lease for _ in range(4) for lease in ask(database, *[asked] * 50)]
    own = leases[0]["lease"]
    terms: dict[str, Any] = {"ids": [own], "collection": 1, "charged": False, "mover": None}
    terms |= {"keys": keys(leases[0]), "leases": [own] * 20, "code": None, "message": None}
    assert rows_read(database, query, terms) < 2000
