"""The look-up and fetch queue: albums that are looked for, torrents that are fetched, as its README shows it."""

import uuid
from collections import Counter
from typing import Any

import pytest

from infra.tokens import Role
from tests.furniture import handing_out
from tests.journey.albums import KEY, LEASES, at_once, csv, inventory, pair, run_out, submitted, taken, taken_again
from tests.journey.test_items import by_state, imported
from tests.journey.test_legacy_segments import as_role
from tests.system import System, until


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


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
