"""The look-up and fetch queue: albums that are looked for, torrents that are fetched, as its README shows it."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import TextClause, text

from infra import db
from infra.cli.app import main
from infra.cli.exits import Exit
from infra.tokens import Role
from tests.furniture import handing_out
from tests.journey.test_items import by_state, imported
from tests.journey.test_legacy_segments import as_role
from tests.system import System, until

LEASES = text("""
    update leases set expires_at = now() - interval '1 second'
    where ended_at is null and collection_id = (select id from collections where name = :name)
""")
ENDS = text("""
    select expires_at from leases
    where ended_at is null and collection_id = (select id from collections where name = :name)
""")
FETCHES = text("update fetch_tasks set expires_at = now() - interval '1 second' where lease_id = :lease")

HANGS_UP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"

KEY = {"key": ["Album Title", "Artist Name"]}


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


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


@pytest.mark.row("S2-01")
def test_an_inventory_is_imported_again_and_again(running: System) -> None:
    running.http.put("/v1/collections/stock", json={"ordering": "arrival"})
    odd = "Artist Name,Album Title\n Sigur Ro\u0301s , ( ) \nSigur Rós,( )\n( ),Sigur Rós\n".encode()
    for inserted in (2, 0):
        assert imported(running, "stock", odd, "a.csv", **KEY)["result"]["inserted"] == inserted
    first, second = (csv(*(f"a{n}" for n in numbers)) for numbers in (range(300), range(200, 500)))
    done = at_once(2, lambda n: imported(running, "stock", (first, second)[n], "b.csv", **KEY)["result"])
    assert sum(each["inserted"] for each in done) == 500
    assert by_state(running, "stock") == {"available": 502}
    assert imported(running, "stock", csv("a0"), "c.csv", **KEY)["result"]["unchanged"] == 1
    assert by_state(running, "stock") == {"available": 502}, "nothing is ever deleted"


@pytest.mark.row("S2-02", "S2-06", "S2-10", "S2-11")
def test_the_calls_of_the_readme(running: System) -> None:
    http, plain = running.http, {"ordering": "arrival"}
    nobody = http.get("/metadata/2").json()
    assert nobody["albums"] == []
    http.put("/v1/collections/albums", json=plain)
    titles = ("You've Never Seen Everything", "Life Short Call Now", *(f"b{n}" for n in range(120)))
    imported(running, "albums", csv(*titles), "INVENTORY_Rock_CDs.csv", **KEY)
    answer = http.get("/metadata/2")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")
    told = answer.json()
    assert nobody.keys() == told.keys()
    assert [(a["album"], a["sortArtist"]) for a in told["albums"]] == [(t, f"Artist of {t}") for t in titles[:2]]
    assert uuid.UUID(told["lease"])
    assert told["expires_at"]
    found, nothing = (str(album["id"]) for album in told["albums"])
    body = f'{{"{found}": [{{"site":"https://passtheheadphones.me/", "torrentId":37}}], "{nothing}":[]}}'
    done = http.post("/metadata/submit", content=body, headers={"Content-type": "application/json"})
    assert done.json()["results"][found]["outcome"] == "found"
    assert done.json()["results"][nothing]["outcome"] == "not_found"
    taking = {"site": "https://passtheheadphones.me", "rows": "5"}
    fetching = http.post("/torrents", data=taking).json()
    assert fetching["site"] == "passtheheadphones.me"
    assert [(t.keys(), t["siteTorrentId"]) for t in fetching["torrents"]] == [({"id", "siteTorrentId"}, 37)]
    assert http.post("/torrents", data=taking).json()["torrents"] == []
    for rows, number in (("0", 0), ("1", 1), ("101", 100)):
        assert len(http.get(f"/metadata/{rows}").json()["albums"]) == number
    for rows in ("-1", "abc", "nan", "1.5", "٣", "%2B1"):
        assert http.get(f"/metadata/{rows}").status_code == 400, rows
    http.head("/metadata/5")
    assert by_state(running, "albums")["available"] == 20
    odd: list[Any] = [{}, [], None, {"x": []}, {"-1": []}, {"1": None}, {"1": {}}, {"1": [[]]}, {"1": [{}]}]
    for shape in odd:
        assert http.post("/metadata/submit", json=shape).status_code == 400, shape
    for bad in (pair("", 1), pair("https://", 1), pair("a b", 1), pair("a", None), pair("a", []), pair("a", True)):
        assert http.put("/metadata/submit", json={found: [bad]}).status_code == 400, bad
    assert http.post("/metadata/submit", content=b"").status_code == 400
    for path in ("/torrents", "/torrents/submit", "/metadata/submit"):
        refused = http.get(path)
        assert refused.status_code == 405
        assert {"POST"} <= set(refused.headers["allow"].split(", ")) <= {"POST", "PUT"}
    for fields in ({}, {"site": ""}, {"site": "a", "rows": "x"}, {"site": "a", "rows": "-1"}, {"site": "http://"}):
        refused = http.post("/torrents", data=fields)
        assert (refused.status_code, refused.json()["success"]) == (400, False), fields
    assert http.post("/torrents", data={"site": "passtheheadphones.me"}).json()["torrents"] == []


@pytest.mark.row("S2-02", "S2-10")
def test_any_whole_number_of_rows_is_one(running: System) -> None:
    http, name, host = running.http, inventory(running, *(f"n{n}" for n in range(102))), "rows.example"
    nothing = {"lease": None, "expires_at": None}
    told = [http.post(f"/metadata/{rows}", params={"collection": name}) for rows in ("9" * 21, "0" * 5000 + "1", "0")]
    albums, one, none = [each.json() for each in told]
    assert [len(each["albums"]) for each in (albums, one, none)] == [100, 1, 0]
    assert none == {"albums": [], "success": True, "retry_seconds": None} | nothing
    assert none.keys() == albums.keys()
    submitted(http, name, {str(one["albums"][0]["id"]): [pair(host, n) for n in range(101)]})
    for rows, number in (("", 0), ("0", 0), ("9" * 5000, 100), ("100", 1), ("100", 0)):
        some = http.post("/torrents", data={"site": host, "rows": rows}).json()
        assert (len(some["torrents"]), some.keys()) == (number, {"site", "torrents", "success", *nothing})
        assert number or some == {"site": host, "torrents": [], "success": True} | nothing


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


def run_out(system: System, query: TextClause, **values: Any) -> None:
    """Let leases be over, as if their time had passed."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        assert connection.execute(query, values).rowcount > 0
    engine.dispose()


@pytest.mark.row("S2-03")
def test_thirty_clients_and_what_is_late(running: System) -> None:
    name = inventory(running, *(f"c{n}" for n in range(2500)))
    got = Counter(key for keys in at_once(30, lambda _: list(taken(running.http, name))) for key in keys)
    assert (len(got), max(got.values())) == (2500, 1)
    short = inventory(running, "s")
    first = taken(running.http, short)
    with as_role(running, Role.WORKER, "late") as late:
        assert taken(late, short) == {}
        run_out(running, LEASES, name=short)
        assert until(lambda: taken_again(late, short), "it is offered again") == first
        document = {str(first["s"]): [pair("late.example", 1)]}
        [told] = submitted(running.http, short, document, 409)["rejected"]
        assert told == {"id": str(first["s"]), "code": "held_by_another"}
        run_out(running, LEASES, name=short)
        until(lambda: by_state(running, short) == {"available": 1}, "that lease runs out, too")
        assert submitted(running.http, short, document)["results"][str(first["s"])]["outcome"] == "found"
        submitted(late, short, {str(first["s"]): []}, 409)
    moves = running.http.get(f"/v1/collections/{short}/items/s%1FArtist of s").json()["history"]
    assert [(m["state"], m["by"]) for m in moves] == [
        ("leased", "test"),
        ("available", "expiry"),
        ("leased", "late"),
        ("available", "expiry"),
        ("completed", "test"),
    ]


@pytest.mark.row("S2-04", "S2-07")
def test_the_order_and_the_end_of_a_search(running: System) -> None:
    name = inventory(running, "a", "b", "c", "d", max_attempts=3)
    ids = taken(running.http, name, 3)
    submitted(running.http, name, {str(ids["b"]): []})
    submitted(running.http, name, {str(ids["a"]): []})
    lease = running.http.get(f"/v1/collections/{name}/items/c%1FArtist of c").json()["lease"]
    assert running.http.post(f"/v1/collections/{name}/leases/{lease}/release").is_success
    assert list(taken(running.http, name)) == ["d", "c", "b", "a"]
    submitted(running.http, name, {str(ids["b"]): [], str(ids["a"]): []})
    assert list(taken(running.http, name)) == ["a", "b"], "at the same time: by their place"
    last = submitted(running.http, name, {str(ids["b"]): [], str(ids["a"]): []})["results"]
    assert last[str(ids["a"])]["outcome"] == "gave_up"
    assert taken(running.http, name) == {}
    dead = running.http.get(f"/v1/collections/{name}/items", params={"state": "missing", "dead": 1}).json()["items"]
    assert [(item["key"].partition("\x1f")[0], item["attempt"]) for item in dead] == [("a", 3), ("b", 3)]
    submitted(running.http, name, {str(ids["b"]): []}, 409)
    wait = inventory(running, "w", retry_seconds=3600)
    ids = taken(running.http, wait)
    submitted(running.http, wait, {str(ids["w"]): []})
    assert submitted(running.http, wait, {str(ids["w"]): []})["results"][str(ids["w"])]["outcome"] == "unchanged"
    assert taken(running.http, wait) == {}, "not before its time"
    shown = running.http.get(f"/v1/collections/{wait}/items/w%1FArtist of w").json()
    assert (shown["state"], shown["attempt"], shown["nacks"]) == ("available", 1, 1)
    assert shown["history"][-1]["at"] == shown["nacked_at"]


@pytest.mark.row("S2-06")
def test_a_submit_counts_whole_or_not_at_all(running: System) -> None:
    name = inventory(running, *(f"t{n}" for n in range(10)))
    ids = list(taken(running.http, name).values())
    good = {str(number): [pair("whole.example", number)] for number in ids[:9]}
    bad: list[tuple[dict[str, Any], int]] = [
        ({"999999999": []}, 404),
        ({str(ids[9]): [pair("", 1)]}, 400),
        ({"x9": []}, 400),
        ({str(ids[9]): None}, 400),
    ]
    for more, status in bad:
        told = submitted(running.http, name, good | more, status)
        assert status == 400 or told["unknown"] == ["999999999"]
    same = submitted(running.http, name, good | {f"0{ids[0]}": []}, 400)
    assert same["code"] == "repeated_album", "one album by two spellings of its number"
    with as_role(running, Role.WORKER, "thief") as thief:
        told = submitted(thief, name, good, 409)
        assert {each["code"] for each in told["rejected"]} == {"held_by_another"}
    assert by_state(running, name) == {"leased": 10}
    assert running.http.get("/v1/fetch-tasks", params={"host": "whole.example"}).json()["tasks"] == []
    assert {each["outcome"] for each in submitted(running.http, name, good)["results"].values()} == {"found"}
    assert by_state(running, name) == {"leased": 1, "completed": 9}


@pytest.mark.row("S2-05", "S2-08", "S2-16")
def test_one_task_for_all_who_asked_and_albums_that_are_looked_for_again(running: System) -> None:
    http = running.http
    first, second = inventory(running, "one", "two"), inventory(running, "three")
    ids, other = taken(http, first), taken(http, second)
    one, two = {str(ids["one"]): [pair("https://Once.example", 7)]}, {str(ids["two"]): [pair("once.example", "7")]}
    told = at_once(20, lambda n: submitted(http, first, (one, two)[n % 2]))
    both = submitted(http, second, {str(other["three"]): [pair("once.example", 7), pair("twice.example", "t-1")]})
    tasks = both["results"][str(other["three"])]["torrents"]
    assert {task for each in told for result in each["results"].values() for task in result["torrents"]} == {tasks[0]}
    [seen] = http.get("/v1/fetch-tasks", params={"host": "once.example"}).json()["tasks"]
    items = http.get(f"/v1/fetch-tasks/{seen['id']}").json()["items"]
    assert sorted(item["key"].partition("\x1f")[0] for item in items) == ["one", "three", "two"]
    assert taken(http, first) == taken(http, second) == {}
    found = http.get(f"/v1/collections/{second}/items/three%1FArtist of three").json()["found"]
    assert [(place["task"], place["external_id"], place["state"]) for place in found] == [
        (tasks[0], "7", "open"),
        (tasks[1], "t-1", "open"),
    ]
    gone = f"/v1/fetch-tasks/{seen['id']}/unavailable"
    assert http.post(gone, json={"reason": ""}).status_code == 400
    assert http.post(gone, json={"reason": "taken down"}).json()["reason"] == "taken down"
    assert (by_state(running, first), by_state(running, second)) == ({"available": 2}, {"completed": 1})
    assert taken(http, first).keys() == {"one", "two"}
    again = submitted(http, first, one)["results"][str(ids["one"])]
    assert again == {"outcome": "not_found", "torrents": tasks[:1]}
    report = {"unavailable": [{"task": tasks[1], "reason": "gone"}], "filled": [{"task": tasks[0], "location": "/x"}]}
    assert http.post("/v1/fetch-reports", json=report).is_success
    assert by_state(running, second) == {"completed": 1}, "the other one came after all"
    assert http.post(f"/v1/fetch-tasks/{tasks[1]}/reopen").json()["state"] == "open"
    assert http.post(f"/v1/fetch-tasks/{tasks[1]}/reopen").status_code == 409
    assert http.post("/v1/fetch-tasks/999999/reopen").status_code == 404


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


@pytest.mark.row("S2-17")
def test_statistics(running: System) -> None:
    http, name = running.http, inventory(running, "p", "q", "r", "s", "t", retry_seconds=3600)
    ids = taken(http, name, 4)
    found = [pair("stats.example", n) for n in range(4)] + [pair("fewer.example", "<b>")]
    submitted(http, name, {str(ids["p"]): found, str(ids["q"]): []})
    lease = http.post("/v1/fetch-leases", json={"host": "stats.example", "count": 3}).json()
    tasks = [task["id"] for task in lease["tasks"]]
    report = {"filled": [{"task": tasks[0], "location": "/x"}], "unavailable": [{"task": tasks[1], "reason": "no"}]}
    assert http.post("/v1/fetch-reports", json=report).is_success
    told = http.get("/stats", params={"collection": name}, headers={"Accept": "application/json"}).json()
    assert (told["albums"], told["metadata"], told["nacked"]) == (5, {"active": 2, "stale": 0}, 1)
    assert told["oldest_lease"]
    sites = {site.pop("host"): site for site in told["sites"]}
    oldest = sites["stats.example"].pop("oldest_lease")
    assert sites["stats.example"] == {"open": 1, "active": 1, "stale": 0, "filled": 1, "unavailable": 1, "total": 4}
    assert sites["fewer.example"]["open"] == 1
    assert oldest
    assert told["torrents"]["total"] == sum(site["total"] for site in sites.values())
    native = http.get("/v1/fetch-stats", params={"collection": name}).json()
    assert (native["items"], native["by_state"]["leased"], native["tasks"]) == (5, 2, told["torrents"]["total"])
    short = inventory(running, "u", ttl=0.2)
    taken(http, short)
    wanted = {"Accept": "application/json"}
    until(lambda: http.get("/stats", params={"collection": short}, headers=wanted).json()["metadata"]["stale"], "stale")
    page = http.get("/stats", params={"collection": name}, headers={"Accept": "text/html,application/json;q=0.5"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == "Accept"
    assert "stats.example" in page.text
    assert http.get("/stats", params={"collection": "<script>"}).status_code == 404


class CommandLine:
    """The command line, in this process: what it prints as JSON, and its exit code."""

    def __init__(self, system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.talk = ""
        monkeypatch.setenv("REELMILL_URL", system.url)
        monkeypatch.setenv("REELMILL_TOKEN", system.token)

    def __call__(self, *words: str, code: Exit = Exit.OK) -> Any:
        self._monkeypatch.setattr(sys, "argv", ["reelmill", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        self.talk = said.err
        assert (ended.value.code or 0) == code, said.err
        return json.loads(said.out) if said.out.startswith(("{", "[")) else None


@pytest.fixture
def reelmill(running: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(running, monkeypatch, capsys)


@pytest.mark.row("S2-23", "S2-01")
def test_the_command_line(running: System, reelmill: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_bytes(csv("k", "l", "m"))
    for inserted in (3, 0):
        job = reelmill("inventory", "import", str(tmp_path / "i.csv"), "-c", "cli", "--json")
        assert job["result"]["inserted"] == inserted
    (tmp_path / "i.csv").write_bytes(csv("k") + b"an album of nobody\n")
    reelmill("inventory", "import", str(tmp_path / "i.csv"), "-c", "cli", code=Exit.FAILED)
    assert "line 3: wrong_number_of_columns" in reelmill.talk
    for number in ("0", "101", "-1"):
        reelmill("inventory", "lease", number, "-c", "cli", code=Exit.FAILED)
        reelmill("fetch", "lease", "cli.example", number, code=Exit.FAILED)
    reelmill("inventory", "lease", "1", "--nonsense", code=Exit.USAGE)
    first = reelmill("inventory", "lease", "1", "-c", "cli")
    (tmp_path / "found.json").write_text(json.dumps({str(first["albums"][0]["id"]): [pair("cli.example", 5)]}))
    assert reelmill("inventory", "submit", str(tmp_path / "found.json"), "-c", "cli")["success"]
    (tmp_path / "found.json").write_text('{"999999999": []}')
    reelmill("inventory", "submit", str(tmp_path / "found.json"), "-c", "cli", code=Exit.NOT_FOUND)
    search = ("sh", "-c", 'if [ "$0" = l ]; then echo "HTTPS://cli.example/ 6"; echo "cli.example 7"; fi', "{album}")
    reelmill("inventory", "run", "9", "-c", "cli", "--", *search)
    assert by_state(running, "cli") == {"completed": 2, "available": 1}
    lease = reelmill("fetch", "lease", "cli.example", "1")
    assert reelmill("fetch", "extend", lease["lease"])["open"] == 1
    assert reelmill("fetch", "release", lease["lease"])["released"] == 1
    fetch = ("sh", "-c", '[ "$0" = 5 ] && exit 44; [ "$0" = 6 ] && exit 3; echo working; echo "/music/$0"', "{id}")
    reelmill("fetch", "run", "cli.example", "100", "--", *fetch, code=Exit.FAILED)
    reelmill("fetch", "run", "cli.example", "100", "--", "echo", "", code=Exit.FAILED)
    assert "the command printed no location" in reelmill.talk
    assert "exit code 0" not in reelmill.talk
    tasks = reelmill("fetch", "list", "--host", "cli.example", "--json")
    assert [(t["external_id"], t["state"], t["location"]) for t in tasks] == [
        ("5", "unavailable", None),
        ("6", "open", None),
        ("7", "filled", "/music/7"),
    ]
    assert reelmill("fetch", "deliver", str(tasks[1]["id"]), "/music/6")["results"][0]["outcome"] == "done"
    reelmill("fetch", "unavailable", str(tasks[1]["id"]), "gone", code=Exit.CONFLICT)
    assert reelmill("inventory", "stats", "-c", "cli", "--json")["by_state"]["available"] == 2


#: A command that says its word; if there is a pipe of that name, not before somebody has opened it.
SAYS = ("sh", "-c", '[ -p "$1/$0" ] && cat "$1/$0"; echo "$2"')


class Meanwhile(threading.Thread):
    """What happens while a command is at work, which waits at a pipe. Join it to hear what went wrong."""

    def __init__(self, pipe: Path, happens: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        os.mkfifo(pipe)
        self._pipe, self._happens = pipe, happens
        self._error: BaseException | None = None

    def run(self) -> None:
        gate = until(self._opened, "the command is at work")
        try:
            self._happens()
        except BaseException as error:
            self._error = error
        finally:
            self._pipe.unlink()
            os.close(gate)

    def _opened(self) -> int | None:
        try:
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            return None

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        if self._error is not None:
            raise self._error


@pytest.mark.row("S2-21", "S2-23")
def test_a_run_holds_its_lease_as_long_as_a_command_takes(
    running: System, reelmill: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, host = inventory(running, "slow", ttl=3600), f"{uuid.uuid4().hex[:8]}.example"
    monkeypatch.setattr("infra.cli.running.BEATS", 36_000)
    lease = f"/v1/collections/{name}/items/slow%1FArtist of slow"

    def extended() -> None:
        for _ in range(3):
            later(running, name, ends(running, name))

    meanwhile = Meanwhile(tmp_path / "slow", extended)
    meanwhile.start()
    reelmill("inventory", "run", "9", "-c", name, "--", *SAYS, "{album}", str(tmp_path), f"{host} 1")
    meanwhile.join()
    assert running.http.get(lease).json()["state"] == "completed"
    [task] = running.http.get("/v1/fetch-tasks", params={"host": host}).json()["tasks"]
    here = f"/v1/fetch-tasks/{task['id']}"

    def fetched() -> None:
        until(lambda: len(running.http.get(here).json()["history"]) > 6, "the lease is extended")

    meanwhile = Meanwhile(tmp_path / "1", fetched)
    meanwhile.start()
    reelmill("fetch", "run", host, "9", "--ttl", "3600", "--", *SAYS, "{id}", str(tmp_path), "/music/1")
    meanwhile.join()
    assert running.http.get(here).json()["location"] == "/music/1"


def ends(system: System, name: str) -> datetime:
    """When the lease over items of a collection ends."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        found: datetime = connection.execute(ENDS, {"name": name}).scalar_one()
    engine.dispose()
    return found


def later(system: System, name: str, than: datetime) -> None:
    """Wait until a lease ends later."""
    until(lambda: ends(system, name) > than, "the lease is extended")


@pytest.mark.row("S2-21", "S2-23", "S2-06")
def test_a_run_that_loses_its_lease_goes_on(running: System, reelmill: CommandLine, tmp_path: Path) -> None:
    name = inventory(running, "x", "y", "z", ttl=3600)

    def lose() -> None:
        run_out(running, LEASES, name=name)
        until(lambda: by_state(running, name) == {"available": 3}, "the lease is over")
        until(lambda: one_taken(running.http, name) == "x", "somebody else has the first")

    meanwhile = Meanwhile(tmp_path / "x", lose)
    meanwhile.start()
    words = ("inventory", "run", "9", "-c", name, "--", *SAYS, "{album}", str(tmp_path), "lost.example {id}")
    with as_role(running, Role.WORKER, "slow") as slow:
        reelmill("--token", slow.headers["authorization"].removeprefix("Bearer "), *words, code=Exit.FAILED)
    meanwhile.join()
    assert reelmill.talk.count("[lease_ended]") == 1
    assert "2 done, 1 not" in reelmill.talk
    assert by_state(running, name) == {"leased": 1, "completed": 2}


def one_taken(http: httpx.Client, name: str) -> str | None:
    """Take one album; nothing while the collection is busy."""
    albums = http.post("/metadata/1", params={"collection": name}).json().get("albums", ())
    return albums[0]["album"] if albums else None


@pytest.mark.row("S2-23")
def test_an_interrupted_run_gives_back_what_it_holds(running: System) -> None:
    name, host = inventory(running, "i", "j", "k"), f"{uuid.uuid4().hex[:8]}.example"
    ids = taken(running.http, name, 1)
    submitted(running.http, name, {str(ids["i"]): [pair(host, n) for n in range(3)]})
    leased = {"host": host, "state": "leased"}
    albums: tuple[tuple[str, ...], Callable[[], Any]] = (
        ("inventory", "run", "9", "-c", name),
        lambda: by_state(running, name).get("leased"),
    )
    tasks: tuple[tuple[str, ...], Callable[[], Any]] = (
        ("fetch", "run", host, "9"),
        lambda: running.http.get("/v1/fetch-tasks", params=leased).json()["tasks"],
    )
    for number, (words, holds) in (
        (signal.SIGINT, albums),
        (signal.SIGTERM, tasks),
        (signal.SIGHUP, albums),
        (signal.SIGHUP, tasks),
    ):
        started = subprocess.Popen(
            # What a suite under `nohup` starts does not hear of a terminal that closes.
            [sys.executable, "-c", f"{HANGS_UP}; from infra.cli.app import main; main()", *words, "--", "sleep", "600"],
            env=os.environ | {"REELMILL_URL": running.url, "REELMILL_TOKEN": running.token},
            start_new_session=True,
        )
        until(holds, "it has its lease")
        os.kill(started.pid, number)
        assert started.wait(timeout=120) == 130
        assert not holds()
