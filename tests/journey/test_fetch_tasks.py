"""What is to be fetched from hosts: taken once, held, filled."""

from typing import Any

import httpx
import pytest

from infra.tokens import Role
from tests.furniture import handing_out
from tests.journey.albums import FETCHES, inventory, pair, run_out, submitted, taken
from tests.journey.test_legacy_segments import as_role
from tests.system import System, until


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


@pytest.mark.row("S2-10", "S2-09", "S2-12", "S2-22")
def test_torrents_are_taken_once_and_filled(running: System) -> None:
    name = inventory(running, "x", "y")
    ids = taken(running.http, name)
    here, there = "https://Ten.Example:443/x", "other.example:8080"
    document = {str(ids["x"]): [pair(here, n) for n in range(8)] + [pair(there, "deep id")], str(ids["y"]): []}
    assert len(submitted(running.http, name, document)["results"][str(ids["x"])]["torrents"]) == 9
    with as_role(running, Role.WORKER, "ann") as ann, as_role(running, Role.WORKER, "bob") as bob:
        leases = [ann.post("/torrents", data={"site": "ten.example", "rows": 5}).json() for _ in range(3)]
        assert [len(lease["torrents"]) for lease in leases] == [5, 3, 0]
        assert [t["siteTorrentId"] for lease in leases for t in lease["torrents"]] == list(range(8))
        other = bob.post("/torrents", json={"site": "http://OTHER.example:8080", "rows": 9}).json()
        assert [torrent["siteTorrentId"] for torrent in other["torrents"]] == ["deep id"]
        lying = {"/music/x": [pair("ten.example", 0), pair("TEN.example", "1")], "/music/none": []}
        assert bob.put("/torrents/submit", json=lying).status_code == 409
        unknown = ann.put("/torrents/submit", json=lying | {"/music/y": [pair("ten.example", 99)]})
        assert (unknown.status_code, unknown.json()["unknown"]) == (404, [pair("ten.example", 99)])
        task = f"/v1/fetch-tasks/{leases[0]['torrents'][0]['id']}"
        assert running.http.get(task).json()["state"] == "leased"
        assert ann.post("/torrents/submit", json=lying).json()["filled"] == 2
        assert ann.post("/torrents/submit", json=lying).json()["unchanged"] == 2
        assert ann.post("/torrents/submit", json={"/moved": [pair("ten.example", 0)]}).json()["filled"] == 1
        taken_over = bob.post("/torrents/submit", json={"/mine": [pair("ten.example", 0)]})
        assert (taken_over.status_code, taken_over.json()["code"]) == (409, "finished")
        odd: list[Any] = [
            {},
            [],
            None,
            {"": []},
            {"/a": [{}]},
            {"/a": "x"},
            {"/a": [pair("a", 1)], "/b": [pair("A", 1)]},
        ]
        for bad in odd:
            assert ann.post("/torrents/submit", json=bad).status_code == 400, bad
    shown = running.http.get(task).json()
    assert (shown["state"], shown["location"], shown["revision"]) == ("filled", "/moved", 4)
    assert [(v["state"], v["by"], v["owner"]) for v in shown["history"]] == [
        ("open", "test", None),
        ("leased", "ann", "ann"),
        ("filled", "ann", "ann"),
        ("filled", "ann", "ann"),
    ]
    assert [(item["collection"], item["state"], item["found_by"]) for item in shown["items"]] == [
        (name, "completed", "test")
    ]
    listed = running.http.get("/v1/fetch-tasks", params={"host": "https://ten.example/", "state": "filled", "limit": 1})
    [first], rest = listed.json()["tasks"], listed.json()["next"]
    listed = running.http.get("/v1/fetch-tasks", params={"host": "ten.example", "state": "filled", "cursor": rest})
    assert [first["external_id"], *(each["external_id"] for each in listed.json()["tasks"])] == ["0", "1"]


@pytest.mark.row("S2-21", "S2-22", "S2-10")
def test_fetch_tasks_are_released_extended_and_expire(running: System) -> None:
    name = inventory(running, "r")
    ids = taken(running.http, name)
    submitted(running.http, name, {str(ids["r"]): [pair("r.example", n) for n in range(4)]})
    with as_role(running, Role.WORKER, "ann") as ann, as_role(running, Role.WORKER, "bob") as bob:
        asked = {"host": "R.example", "count": 2, "worker": "w", "ttl": 600}
        key = {"Idempotency-Key": "once"}
        lease = ann.post("/v1/fetch-leases", json=asked, headers=key).json()
        assert ann.post("/v1/fetch-leases", json=asked, headers=key).json() == lease
        for change in ({"host": "elsewhere.example"}, {"count": 1}, {"ttl": 60}):
            reused = ann.post("/v1/fetch-leases", json=asked | change, headers=key)
            assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused"), change
        other = bob.post("/v1/fetch-leases", json=asked, headers=key).json()["lease"]
        assert other != lease["lease"]
        here = f"/v1/fetch-leases/{lease['lease']}"
        assert bob.post(f"{here}/extend", json={"ttl": 9}).status_code == 409
        held = ann.post(f"{here}/extend", json={"ttl": 3600}).json()
        assert (held["open"], held["expires_at"] > lease["expires_at"]) == (2, True)
        run_out(running, FETCHES, lease=other)
        over = bob.post("/v1/fetch-leases", json=asked, headers=key).json()
        assert (over["lease"], over["tasks"]) == (None, []), "it holds nothing any more"
        bobs = until(lambda: taken_tasks(bob, "r.example"), "what bob's first lease had comes back")
        assert {task["external_id"] for task in bobs["tasks"]} == {"2", "3"}, "ann's are extended"
        only = lease["tasks"][0]["id"]
        assert ann.post(f"{here}/release", json={"tasks": [only]}).json() == {"released": 1}
        [back] = (taken_tasks(bob, "r.example") or {})["tasks"]
        assert (back["id"], back["attempt"]) == (only, 1)
        assert ann.post(f"{here}/release").json() == {"released": 1}
        assert ann.post(f"{here}/extend").status_code == 409
        stale = {"filled": [{"task": only, "location": "/late"}], "lease": lease["lease"]}
        refused = ann.post("/v1/fetch-reports", json=stale)
        assert (refused.status_code, refused.json()["code"]) == (409, "held_by_another")
        assert ann.post("/v1/fetch-reports", json={"filled": []}).status_code == 400
        nowhere = ann.post("/v1/fetch-reports", json={"filled": [{"task": 10**12, "location": "/x"}]})
        assert (nowhere.status_code, nowhere.json()["refused"][0]["task"]) == (404, 10**12)
    history = running.http.get(f"/v1/fetch-tasks/{only}").json()["history"]
    assert [(v["state"], v["by"]) for v in history] == [
        ("open", "test"),
        ("leased", "ann"),
        ("leased", "ann"),
        ("open", "ann"),
        ("leased", "bob"),
    ]


def taken_tasks(http: httpx.Client, host: str) -> dict[str, Any] | None:
    told: dict[str, Any] = http.post("/v1/fetch-leases", json={"host": host, "count": 100}).json()
    return told if told["tasks"] else None
