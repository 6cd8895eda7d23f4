"""Albums that are looked for, and where they are found: the words of the tests of it."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from sqlalchemy import TextClause, text

from infra import db
from tests.system import System

LEASES = text("""
    update leases set expires_at = now() - interval '1 second'
    where ended_at is null and collection_id = (select id from collections where name = :name)
""")
ENDS = text("""
    select expires_at from leases
    where ended_at is null and collection_id = (select id from collections where name = :name)
""")
FETCHES = text("update fetch_tasks set expires_at = now() - interval '1 second' where lease_id = :lease")
KEY = {"key": ["Album Title", "Artist Name"]}


def csv(*albums: str) -> bytes:
    return ("Artist Name,Album Title\n" + "".join(f"Artist of {album},{album}\n" for album in albums)).encode()


def inventory(system: System, *albums: str, **rules: Any) -> str:
    """A new inventory with these albums; returns its name."""
    name = f"albums-{uuid.uuid4().hex[:8]}"
    made = system.http.put(f"/v1/collections/{name}", json={"ordering": "arrival", "retry_seconds": 0} | rules)
    assert made.status_code == 201, made.text
    items = [{"key": f"{album}\x1fArtist of {album}"} for album in albums]
    assert system.http.post(f"/v1/collections/{name}/items", json={"items": items}).is_success
    return name


def taken(http: httpx.Client, name: str, rows: int = 100) -> dict[str, int]:
    """Take albums; returns their ids by their titles, in their order."""
    answer = http.post(f"/metadata/{rows}", params={"collection": name})
    assert answer.status_code == 200, answer.text
    return {album["album"]: album["id"] for album in answer.json()["albums"]}


def taken_again(http: httpx.Client, name: str) -> dict[str, int]:
    """Take what somebody else had; nothing while it is on its way back, which keeps the collection busy."""
    answer = http.post("/metadata/100", params={"collection": name})
    assert answer.is_success or answer.json()["code"] == "collection_busy", answer.text
    return {album["album"]: album["id"] for album in answer.json().get("albums", ())}


def submitted(http: httpx.Client, name: str, document: Any, status: int = 200) -> dict[str, Any]:
    answer = http.post("/metadata/submit", params={"collection": name}, json=document)
    assert answer.status_code == status, answer.text
    assert answer.json()["success"] is (status == 200)
    return dict(answer.json())


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """The same thing by many at the same time; what each of them got."""
    got: list[Any] = [None] * number
    threads = [threading.Thread(target=lambda n=n: got.__setitem__(n, work(n))) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def pair(site: str, number: Any) -> dict[str, Any]:
    return {"site": site, "torrentId": number}


def run_out(system: System, query: TextClause, **values: Any) -> None:
    """Let leases be over, as if their time had passed."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        assert connection.execute(query, values).rowcount > 0
    engine.dispose()
