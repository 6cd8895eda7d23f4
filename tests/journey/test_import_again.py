"""The same file once more: it is said to change nothing without being merged, unless something has changed since."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from infra import db
from tests.furniture import handing_out
from tests.journey.test_items import imported, report
from tests.system import System

CONTENT = b"id,size\na,1\nb,2\nb,3\n,4\nc,5\n"
FIRST = {"lines": 5, "inserted": 3, "updated": 0, "unchanged": 0, "duplicate": 1, "rejected": 1}
NOTHING = FIRST | {"inserted": 0, "unchanged": 3}


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


@pytest.fixture(scope="module")
def engine(running: System) -> Iterator[Engine]:
    made = db.connect(running.environment["REELMILL_DATABASE_URL"], pool=1)
    yield made
    made.dispose()


def spoil(engine: Engine, collection: str) -> None:
    """Change its items behind everybody's back: a merge would put that right."""
    with engine.begin() as connection:
        changed = connection.execute(
            text("""
                update items set attributes = '{}' where key = 'a'
                    and collection_id = (select id from collections where name = :name)
            """),
            {"name": collection},
        )
    assert changed.rowcount == 1


def size(system: System, collection: str) -> str | None:
    item = system.http.get(f"/v1/collections/{collection}/items/a").json()
    found: str | None = item["attributes"].get("size")
    return found


@pytest.mark.row("S0-01")
def test_nothing_is_merged_and_the_report_is_the_same(running: System, engine: Engine) -> None:
    first = imported(running, "twice", CONTENT, "twice.csv")
    assert first["result"] == FIRST
    spoil(engine, "twice")
    again = imported(running, "twice", CONTENT, "twice.csv")
    assert again["result"] == NOTHING
    assert report(running, again) == report(running, first)
    assert size(running, "twice") is None, "it was merged"


@pytest.mark.row("S0-01")
@pytest.mark.parametrize("between", ["another file", "other parameters", "items by name"])
def test_what_has_changed_since_is_put_right(running: System, engine: Engine, between: str) -> None:
    name = f"since-{between.replace(' ', '-')}"
    imported(running, name, CONTENT, "since.csv")
    if between == "another file":
        assert imported(running, name, b"id,size\nd,1\n", "more.csv")["result"]["inserted"] == 1
    elif between == "other parameters":
        assert imported(running, name, CONTENT, "since.csv", columns={"size": "bytes"})["result"]["updated"] == 3
    else:
        answer = running.http.post(f"/v1/collections/{name}/items", json={"items": [{"key": "e"}]})
        assert answer.json()["inserted"] == 1
    spoil(engine, name)
    assert imported(running, name, CONTENT, "since.csv")["result"]["updated"] >= 1
    assert size(running, name) == "1"


@pytest.mark.row("S0-01")
def test_what_changes_no_item_does_not_count(running: System, engine: Engine) -> None:
    imported(running, "calm", CONTENT, "calm.csv")
    assert imported(running, "calm", b"id,size\na,1\n", "part.csv")["result"]["unchanged"] == 1
    moves = [{"key": "a", "state": "completed"}]
    assert running.http.post("/v1/collections/calm/moves", json={"moves": moves}).json()["updated"] == 1
    spoil(engine, "calm")
    assert imported(running, "calm", CONTENT, "calm.csv")["result"] == NOTHING
    assert size(running, "calm") is None, "it was merged"
