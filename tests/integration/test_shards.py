"""Large first imports lie in shards of their own: as good as all others, and nobody else has to look at them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from infra import collections, db, fetch_tasks, imports, numbers, tenancy
from infra.imports import NewItem
from infra.leasing import desk
from schemas.collections import CollectionRequest
from schemas.items import ItemState
from tests.integration.lending import acquire, add, keys, make, order

KEYS = [f"k{n:03d}" for n in range(100)]
WANTED = text(
    "with task as (insert into fetch_tasks (host, external_id, created_by, updated_by) "
    "values ('a.example', 'x', 'me', 'me') returning id) "
    "insert into candidates (task_id, pool_id, position, collection_id, found_by) "
    "select task.id, i.pool_id, i.position, i.collection_id, 'me' from task, items i where i.shard in (0, :collection) "
    "and i.collection_id = :collection"
)
LOCKED = text(
    "select cast(cast(relation as regclass) as text) from pg_locks "
    "where pid = pg_backend_pid() and locktype = 'relation'"
)


@pytest.fixture
def shards(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Three collections with a shard each, `c` among them, and a small one without."""
    monkeypatch.setattr(imports, "LARGE", 50)
    for name in ("b", "c", "d"):
        make(database, name, KEYS)
    make(database, "small", KEYS[:49])
    return database


def lying(connection: Connection, name: str) -> dict[str, int]:
    """How many of a collection's items lie in which table."""
    rows = connection.execute(
        text(
            "select cast(i.tableoid as regclass) as shard, count(*) as items from items i "
            "join collections c on c.id = i.collection_id where c.name = :name group by 1"
        ),
        {"name": name},
    )
    return {str(row.shard): int(row.items) for row in rows}


def shard_of(connection: Connection, name: str) -> str:
    return f"items_of_{collections.get(connection, name)['id']}"


def test_a_large_first_import_gets_a_shard_and_what_follows_goes_there(shards: Engine) -> None:
    with shards.begin() as connection:
        assert lying(connection, "c") == {shard_of(connection, "c"): 100}
        merged = add(connection, "c", [*KEYS[:60], NewItem("k060", "", '{"new":1}'), "n1", "n2", "n1"])
        assert (merged.inserted, merged.updated, merged.unchanged, merged.duplicate) == (2, 1, 60, 1)
        assert lying(connection, "c") == {shard_of(connection, "c"): 102}
        assert lying(connection, "small") == {"items_shared": 49}
    with shards.begin() as connection:
        add(connection, "small", KEYS)
        assert lying(connection, "small") == {"items_shared": 100}
        changed = collections.item(connection, "c", "k060")
    assert changed is not None
    assert changed["attributes"] == {"new": 1}
    assert sorted(keys(acquire(shards, 200))) == sorted([*KEYS, "n1", "n2"])


@pytest.mark.parametrize(
    ("items", "terms"),
    [
        ([NewItem(key, key[-1], "{}") for key in KEYS], {}),
        (KEYS, {"ordering": "arrival"}),
    ],
    ids=["of several partitions", "in the order of arrival"],
)
def test_others_lie_together(shards: Engine, items: Sequence[Any], terms: dict[str, Any]) -> None:
    make(shards, "e", items, **terms)
    with shards.begin() as connection:
        assert lying(connection, "e") == {"items_shared": 100}


def test_a_shard_keeps_what_every_item_keeps(shards: Engine) -> None:
    with shards.begin() as connection:
        [there] = connection.execute(
            text("select * from items where key = 'k007' order by shard desc limit 1")
        ).mappings()
    row = dict(there) | {"attributes": "{}"}
    insert = text(
        "insert into items (shard, pool_id, position, collection_id, key, attributes, shuffle) "
        "values (:shard, :pool_id, :position, :collection_id, :key, :attributes, :shuffle)"
    )
    for change, refusal in {
        ("position", 1000): "_by_key",
        ("key", "other"): "items_shuffle_check",
        ("attributes", "[]"): "items_attributes_check",
        ("collection_id", 1000): "items_shard_check",
    }.items():
        with pytest.raises(IntegrityError) as refused, shards.begin() as connection:
            connection.execute(insert, row | dict([change]))
        assert (db.constraint_of(refused.value) or "").endswith(refusal)
    with pytest.raises(IntegrityError) as refused, shards.begin() as connection:
        connection.execute(text("update items set position = 1 where key = 'k007' and position <> 1"))
    assert (db.constraint_of(refused.value) or "").endswith("_pkey")


def test_what_a_process_of_the_version_before_has_put_elsewhere_is_known(shards: Engine) -> None:
    with shards.begin() as connection:
        connection.execute(
            text(
                "with made as (insert into pools (collection_id, size) select id, 1 from collections where name = 'c' "
                "returning id, collection_id) insert into items (pool_id, position, collection_id, key, attributes, "
                "shuffle) select id, 0, collection_id, 'old', '{}', hashtextextended('old', 0) from made"
            )
        )
        merged = add(connection, "c", [*KEYS, NewItem("old", "", '{"new":1}'), "new"])
        assert (merged.inserted, merged.updated, merged.unchanged) == (1, 1, 100)
    assert sorted(keys(acquire(shards, 200))) == sorted([*KEYS, "old", "new"])


def test_the_shards_of_others_are_left_alone(shards: Engine) -> None:
    """Planning alone would lock them: a statement that does not say whose items it wants is found out here."""
    with shards.begin() as connection:
        c = collections.get(connection, "c")["id"]
        took = _ask(connection, op="acquire", count=10, request_id="r")
        assert _ask(connection, op="acquire", count=10, request_id="r")["items"] == took["items"]
        results = [{"key": item["key"], "state": "failed"} for item in took["items"][:3]]
        _ask(connection, op="submit", lease=took["lease"], results=results)
        _ask(connection, op="submit", lease=took["lease"], completed="all", next={"count": 5})
        again = _ask(connection, op="acquire", count=200)
        _ask(connection, op="extend", lease=again["lease"])
        _ask(connection, op="release", lease=again["lease"])
        assert _ask(connection, op="acquire", count=3)["items"]
        add(connection, "c", [*KEYS, "new", NewItem("k001", "", '{"a":1}')])
        assert collections.history(connection, "c", results[0]["key"])
        assert collections.page(connection, "c", None, (0, -1), 10)
        collections.page_ended_badly(connection, "c", ItemState.MISSING, None, (0, -1), 10)
        given = numbers.give(connection, c, ["k002"])
        assert list(numbers.keys(connection, c, list(given.values())).values()) == ["k002"]
        assert [row["key"] for row in db.rows(connection, "replication.items", collection=c, keys=["k003"])] == ["k003"]
        connection.execute(WANTED, {"collection": c})
        [task] = connection.execute(text("select id from fetch_tasks")).scalars()
        assert len(fetch_tasks.get(connection, task)[1]) == 101
        connection.execute(text("update fetch_tasks set state = 'unavailable', reason = 'gone'"))
        fetch_tasks.taken_over(connection, [("a.example", "x")], "me")
        locked = set(connection.execute(LOCKED).scalars())
    assert {name for name in locked if name.startswith("items_of_")} == {
        f"items_of_{c}",
        f"items_of_{c}_pkey",
        f"items_of_{c}_by_key",
    }


def _ask(connection: Connection, **given: Any) -> dict[str, Any]:
    [case] = desk.answer(connection, [order(**given)])
    assert case.answer is not None
    assert case.answer.status < 400, case.answer.body
    told: dict[str, Any] = orjson.loads(case.answer.body)
    return told


def test_of_repeated_lines_some_are_told_when_there_are_very_many(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "LARGE", 50)
    monkeypatch.setattr(imports, "MOST_TOLD", 20)
    lines = KEYS * 10
    with database.begin() as connection:
        collections.put(connection, "c", CollectionRequest(), "test")
        merged = add(connection, "c", lines)
    assert (merged.inserted, merged.duplicate, len(merged.repeated)) == (100, 900, 20)
    assert len(set(merged.repeated)) == 20
    for line, key in merged.repeated:
        assert lines[line - 1] == key
        assert line <= 900, "the last one counts"


def test_of_repeated_lines_all_are_told_when_there_are_few(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "LARGE", 50)
    make(database, "c", [])
    with database.begin() as connection:
        merged = add(connection, "c", [NewItem("x", "", '{"n":1}'), *KEYS, "k001", NewItem("x", "", '{"n":2}')])
        last = collections.item(connection, "c", "x")
    assert list(merged.repeated) == [(1, "x"), (3, "k001")]
    assert last is not None
    assert last["attributes"] == {"n": 2}


def test_a_tenant_sees_his_items_and_no_shard(shards: Engine) -> None:
    with shards.begin() as connection:
        connection.execute(text("update collections set tenant = 'one' where name in ('b', 'small')"))
        own, other = shard_of(connection, "b"), shard_of(connection, "c")
    with tenancy.transaction(shards, "one") as connection:
        assert lying(connection, "b") == {own: 100}
        assert lying(connection, "small") == {"items_shared": 49}
        assert lying(connection, "c") == {}
        seen = Counter(connection.execute(text("select collection_id from items")).scalars())
        assert sum(seen.values()) == 149
        assert connection.execute(text("select count(*) from held_items")).scalar_one() == 0
    with tenancy.transaction(shards, "one") as connection:
        add(connection, "b", ["mine"])
        assert lying(connection, "b") == {own: 101}
    for shard in (own, other):
        with pytest.raises(ProgrammingError) as refused, tenancy.transaction(shards, "one") as connection:
            connection.execute(text(f"select * from {shard}"))
        assert db.is_forbidden(refused.value)
    with tenancy.transaction(shards, "one") as connection:
        assert connection.execute(text("select count(*) from items_shared")).scalar_one() == 0
