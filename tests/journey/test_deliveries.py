"""What was delivered, from outside: manifests, checks by a job, uploads by presigned addresses, look-ups, the cache."""

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from sqlalchemy import Engine, text

from infra import db
from infra.cli.exits import Exit
from infra.settings import Settings
from infra.storage import Storage
from infra.tokens import Role
from tests.journey.test_cli import reelmill
from tests.journey.test_legacy_segments import as_role
from tests.system import System, local_client, until

SIZES = {"01 - Café.flac": 10, "02 - B & C.flac": 20, "scans/front.png": 5}
TASK = text("insert into fetch_tasks (host, external_id, created_by, updated_by) values (:host, :id, 'me', 'me')")
STATE = text("select state, location, updated_by from fetch_tasks where host = :host and external_id = :id")
OVER = text("update deliveries set expires_at = now() where id = :id")


@dataclass
class World:
    """A running system, its database and its bucket."""

    system: System
    engine: Engine
    storage: Storage

    def manifest(self, host: str, external_id: str, directory: str, sizes: dict[str, Any]) -> httpx.Response:
        """Put a manifest."""
        files = [{"path": path, "size": size} for path, size in sizes.items()]
        body = {"directory": directory, "files": files, "entities": False}
        return self.system.http.put(f"/v1/manifests/{host}/{external_id}", json=body)

    def task(self, host: str, external_id: str) -> None:
        """Make a task that is to be fetched."""
        with self.engine.begin() as connection:
            connection.execute(TASK, {"host": host, "id": external_id})

    def state(self, host: str, external_id: str) -> tuple[str, str | None, str]:
        """State and location of a task, and who changed it last."""
        with self.engine.connect() as connection:
            return tuple(connection.execute(STATE, {"host": host, "id": external_id}).one())

    def checked(self, answer: httpx.Response) -> dict[str, Any]:
        """The delivery once its check is over."""
        assert answer.status_code == 202, answer.text
        here = answer.headers["location"]

        def over() -> dict[str, Any] | None:
            view: dict[str, Any] = self.system.http.get(here).json()
            return view if view["state"] in {"checked", "failed"} else None

        return until(over, "the delivery is checked")

    def delivered(
        self, location: str, sizes: dict[str, int], by: httpx.Client | None = None, **more: Any
    ) -> dict[str, Any]:
        """Say that files lie somewhere, and wait for the check."""
        files = [{"path": path, "size": size} for path, size in sizes.items()]
        http = by or self.system.http
        return self.checked(http.post("/v1/deliveries", json={"location": location, "files": files, **more}))

    def locations(self, **query: str) -> list[tuple[str, str, str]]:
        """What lies where."""
        answer = self.system.http.get("/v1/locations", params=query)
        found = answer.json().get("locations", [])
        return [(each["host"], each["external_id"], each["location"]) for each in found]


@pytest.fixture(scope="module")
def world(shared: System) -> Iterator[World]:
    shared.start("gateway", "keeper", "relay")
    engine = db.connect(shared.environment["REELMILL_DATABASE_URL"], pool=2)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shared.environment.items():
            patch.setenv(name, value)
        storage = Storage(Settings())
    yield World(shared, engine, storage)
    engine.dispose()


def album() -> tuple[str, dict[str, int]]:
    """A directory and its files, like no other."""
    name = uuid.uuid4().hex[:8]
    return f"Ärtist - Album & more {name}", {**SIZES, f"{name}.m3u": 3}


@pytest.mark.row("S2-12", "S2-14", "S2-22")
def test_only_a_whole_delivery_fills_and_then_all_hosts_that_list_the_same(world: World) -> None:
    directory, sizes = album()
    for host in ("a.example", "b.example"):
        assert world.manifest(host, "37", directory, sizes).status_code == 201
        world.task(host, "37")
    assert world.manifest("c.example", "1", "called otherwise", sizes).status_code == 201
    place = f"/seedbox/2/{directory}"
    first_wrong = world.delivered(place, {**sizes, "01 - Café.flac": 11})
    assert (first_wrong["outcome"], first_wrong["compared"][0]["wrong"]) == ("mismatch", ["01 - Café.flac"])
    missing = world.delivered(place, {path: size for path, size in sizes.items() if path != "scans/front.png"})
    assert (missing["outcome"], missing["compared"][1]["missing"]) == ("partial", ["scans/front.png"])
    extra = world.delivered(place, {**sizes, "x.nfo": 1}, extra="refuse")
    assert (extra["outcome"], extra["compared"][0]["extra"]) == ("mismatch", ["x.nfo"])
    elsewhere = world.delivered(f"{place} (2)", sizes)
    assert (elsewhere["outcome"], elsewhere["compared"]) == ("unknown", [])
    assert world.state("a.example", "37") == ("open", None, "me")
    assert world.locations(host="a.example", external_id="37") == []

    matched = world.delivered(f"{place}/", {**sizes, "x.nfo": 1})
    assert matched["outcome"] == "matched"
    assert [(each["host"], each["filled"]) for each in matched["compared"]] == [
        ("a.example", True),
        ("b.example", True),
        ("c.example", False),
    ]
    both = [(host, "37", place) for host in ("a.example", "b.example")]
    for host, external_id, _ in both:
        assert world.state(host, external_id) == ("filled", place, "test")
        assert world.locations(host=f"https://{host.upper()}/", external_id=external_id) == [(host, "37", place)]
    there = [*both, ("c.example", "1", place)]
    assert world.locations(path=place) == there, "also without a task"
    assert world.locations(path=f"{place}/scans/front.png") == there
    assert world.locations(path="/seedbox/2") == []
    told = world.system.http.get("/v1/deliveries", params={"outcome": "matched", "limit": 1}).json()
    assert told["deliveries"][0]["id"] == matched["id"]

    other = {**sizes, "03.flac": 1}
    assert world.manifest("d.example", "1", directory, other).status_code == 201
    assert world.delivered(place, {**other, "x": 1})["outcome"] == "ambiguous"
    assert world.delivered(place, other)["outcome"] == "matched"
    assert world.locations(host="d.example", external_id="1") == [("d.example", "1", place)]


@pytest.mark.row("S2-12", "S2-14", "S2-22")
def test_a_task_that_somebody_else_has_filled_stays_where_it_is(world: World) -> None:
    directory, sizes = album()
    world.manifest("kept.example", "1", directory, sizes)
    world.manifest("kept.example", "2", directory, sizes)
    world.task("kept.example", "1")
    with as_role(world.system, Role.WORKER, "filler") as filler, as_role(world.system, Role.WORKER, "claimer") as other:
        [held] = filler.post("/v1/fetch-leases", json={"host": "kept.example"}).json()["tasks"]
        real = {"task": held["id"], "location": "/real"}
        assert filler.post("/v1/fetch-reports", json={"filled": [real]}).is_success
        world.task("kept.example", "2")

        def told(place: str, by: httpx.Client | None) -> list[tuple[bool, str | None]]:
            view = world.delivered(f"{place}/{directory}", sizes, by)
            assert view["outcome"] == "matched"
            return [(each["filled"], each["code"]) for each in view["compared"]]

        assert told("/other", other) == [(False, "finished"), (True, None)]
        assert world.state("kept.example", "1") == ("filled", "/real", "filler")
        assert world.state("kept.example", "2") == ("filled", f"/other/{directory}", "claimer")
        assert world.locations(host="kept.example", external_id="1") == [("kept.example", "1", "/real")]
        assert told("/mine", filler) == [(True, None), (False, "finished")]
        assert world.state("kept.example", "1") == ("filled", f"/mine/{directory}", "filler")
        assert told("/mine", filler) == [(True, None), (False, "finished")], "the same again"
    assert told("/any", None) == [(True, None), (True, None)]
    assert world.state("kept.example", "1") == ("filled", f"/any/{directory}", "test")


@pytest.mark.row("S2-12")
def test_objects_under_a_prefix_are_looked_at_and_hashed(world: World) -> None:
    directory, _ = album()
    content = {"01 - Café.flac": b"one", "cd2/a & b.flac": b"two" * 1000}
    files = [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in content.items()
    ]
    body = {"directory": directory, "files": files, "entities": False}
    assert world.system.http.put("/v1/manifests/a.example/50", json=body).status_code == 201
    world.task("a.example", "50")
    prefix = f"incoming/{directory}"
    for path, data in content.items():
        world.storage.put_bytes(f"{prefix}/{path}", data, "audio/flac")
    world.storage.put_bytes(f"{prefix}/01 - Café.flac", b"eno", "audio/flac")
    odd = world.checked(world.system.http.post("/v1/deliveries", json={"prefix": f"{prefix}/"}))
    assert (odd["outcome"], odd["compared"][0]["wrong"]) == ("mismatch", ["01 - Café.flac"])
    world.storage.put_bytes(f"{prefix}/01 - Café.flac", b"one", "audio/flac")
    good = world.checked(world.system.http.post("/v1/deliveries", json={"prefix": prefix}))
    assert good["outcome"] == "matched"
    assert world.state("a.example", "50") == ("filled", prefix, "test")
    there = world.system.http.get(f"/v1/deliveries/{good['id']}/files/{quote('cd2/a & b.flac')}")
    with local_client("") as store:
        assert store.get(there.headers["location"]).content == content["cd2/a & b.flac"]
    files_of = f"/v1/deliveries/{good['id']}/files"
    absent = world.system.http.get(f"{files_of}/nope.txt")
    assert (absent.status_code, absent.json()["code"]) == (404, "unknown_file")
    assert world.system.http.get(f"{files_of}/cd2%2F..%2Fx").status_code == 400
    for wrong in ("jobs/", "incoming/../jobs", "incoming", "/incoming/x", "incoming//x", ""):
        assert world.system.http.post("/v1/deliveries", json={"prefix": wrong}).status_code == 400, wrong


@pytest.mark.row("S2-12", "S2-14")
def test_a_file_is_found_by_the_path_that_its_manifest_has_however_its_object_is_called(world: World) -> None:
    directory, _ = album()
    paths = ("é.flac", "ö/&amp;.flac", "plain.flac")
    assert world.manifest("nfd.example", "1", directory, dict.fromkeys(paths, 4)).status_code == 201
    for number, path in enumerate(paths):
        name = unicodedata.normalize("NFD", path)
        world.storage.put_bytes(f"incoming/{directory}/{name}", b"of %d" % number, "audio/flac")
    world.storage.put_bytes(f"incoming/{directory}/ö/x.txt", b"else", "text/plain")
    found = world.checked(world.system.http.post("/v1/deliveries", json={"prefix": f"incoming/{directory}"}))
    assert found["outcome"] == "matched"
    files_of = f"/v1/deliveries/{found['id']}/files"
    with local_client("") as store:
        for number, path in enumerate(paths):
            for spelt in (path, unicodedata.normalize("NFD", path)):
                there = world.system.http.get(f"{files_of}/{quote(spelt)}")
                assert (there.status_code, store.get(there.headers["location"]).content) == (307, b"of %d" % number)
        there = world.system.http.get(f"{files_of}/{quote('ö/x.txt')}")
        assert store.get(there.headers["location"]).content == b"else", "one that no manifest lists is there, too"


@pytest.mark.row("S2-20")
def test_an_upload_by_presigned_addresses_fills_its_task(world: World) -> None:
    directory, sizes = album()
    offer = {"host": "a.example", "external_id": "60"}
    ask = world.system.http.post("/v1/deliveries/uploads", json=offer)
    assert (ask.status_code, ask.json()["code"]) == (404, "unknown_task")
    world.task("a.example", "60")
    ask = world.system.http.post("/v1/deliveries/uploads", json=offer)
    assert (ask.status_code, ask.json()["code"]) == (409, "no_manifest")
    world.manifest("a.example", "60", directory, sizes)
    world.manifest("b.example", "61", "another name", sizes)
    world.task("b.example", "61")
    given = world.system.http.post("/v1/deliveries/uploads", json=offer).json()
    assert [each["path"] for each in given["files"]] == sorted(sizes)
    here = f"/v1/deliveries/{given['id']}"
    assert world.system.http.get(here).json()["state"] == "open"
    with local_client("") as store:
        for each in given["files"]:
            address = urlsplit(each["url"])
            wrong_key = address._replace(path=f"{address.path}0").geturl()
            assert store.put(wrong_key, content=b"x").status_code == 403
            assert store.put(each["url"], content=b"x" * each["size"]).status_code == 200
    done = world.checked(world.system.http.post(f"{here}/complete"))
    assert (done["outcome"], done["location"]) == ("matched", f"deliveries/{given['id']}")
    for host, external_id in (("a.example", "60"), ("b.example", "61")):
        assert world.state(host, external_id) == ("filled", done["location"], "test")
    with local_client("") as store:
        for path, size in sizes.items():
            there = world.system.http.get(f"{here}/files/{quote(path)}")
            assert (there.status_code, store.get(there.headers["location"]).content) == (307, b"x" * size), path
    assert world.system.http.get(f"{here}/files/other").status_code == 404
    again = world.system.http.post(f"{here}/complete")
    assert (again.status_code, again.json()["job_id"]) == (202, done["job_id"])

    short = world.system.http.post("/v1/deliveries/uploads", json=offer).json()
    with local_client("") as store:
        store.put(short["files"][0]["url"], content=b"y" * short["files"][0]["size"])
    part = world.checked(world.system.http.post(f"/v1/deliveries/{short['id']}/complete"))
    assert part["outcome"] == "partial"
    assert world.state("a.example", "60")[1] == done["location"]
    with local_client("") as store:
        for each in short["files"][1:]:
            assert store.put(each["url"], content=b"y" * each["size"]).status_code == 200
    whole = world.checked(world.system.http.post(f"/v1/deliveries/{short['id']}/complete"))
    assert (whole["outcome"], whole["job_id"] != part["job_id"]) == ("matched", True), "all of it has come since"
    assert world.state("a.example", "60")[1] == whole["location"] == f"deliveries/{short['id']}"
    assert world.system.http.post(f"/v1/deliveries/{uuid.uuid4()}/complete").status_code == 404


@pytest.mark.row("S2-20")
def test_an_upload_is_checked_again_when_its_check_is_over_and_not_before(world: World) -> None:
    """Nobody checks here: the job is ended by hand."""
    directory, sizes = album()
    world.manifest("again.example", "1", directory, sizes)
    world.task("again.example", "1")
    http = world.system.http
    world.system.stop_one("keeper")
    try:
        given = http.post("/v1/deliveries/uploads", json={"host": "again.example", "external_id": "1"}).json()
        here = f"/v1/deliveries/{given['id']}"
        first, same = (http.post(f"{here}/complete").json()["job_id"] for _ in range(2))
        assert same == first, "it has not been checked yet"
        assert http.post(f"/v1/jobs/{first}/cancel").is_success
        assert http.get(here).json()["state"] == "failed"
        again = http.post(f"{here}/complete").json()
        assert (again["state"], again["job_id"] != first) == ("checking", True)
        with world.engine.begin() as connection:
            connection.execute(OVER, {"id": given["id"]})
        assert http.post(f"{here}/complete").json()["job_id"] == again["job_id"], "under way it is never too late"
        assert http.post(f"/v1/jobs/{again['job_id']}/cancel").is_success
        late = http.post(f"{here}/complete")
        assert (late.status_code, late.json()["code"]) == (409, "upload_expired")
    finally:
        world.system.start("keeper")


@pytest.mark.row("S2-13")
def test_manifests_are_kept_by_host_and_id_and_found_by_directory(world: World) -> None:
    directory, sizes = album()
    listed = "01 - Caf&eacute;.flac{{{10}}}|||02 - B &amp; C.flac{{{20}}}|||scans/front.png{{{5}}}"
    listed += f"|||{directory[-8:]}.m3u{{{{{{3}}}}}}"
    here = "/v1/manifests/Example.COM:443/abc%2F1"
    site = {"response": {"torrent": {"filePath": directory.replace("&", "&amp;"), "fileList": listed}}}
    first = world.system.http.put(here, json=site)
    assert first.status_code == 201, first.text
    view = first.json()
    assert (view["host"], view["external_id"], view["directory"]) == ("example.com", "abc/1", directory)
    assert {file["path"]: file["size"] for file in view["files"]} == sizes
    same = world.manifest("example.com", "abc%2F1", directory, sizes).json()
    assert (same["revision"], same["updated_at"]) == (1, view["updated_at"])
    assert world.system.http.get(here).json() == view
    world.manifest("other.example", "9", directory, sizes)
    query: dict[str, Any] = {"directory": directory, "limit": 1}
    page = world.system.http.get("/v1/manifests", params=query).json()
    rest = world.system.http.get("/v1/manifests", params=query | {"cursor": page["next"]}).json()
    assert [each["host"] for each in page["manifests"] + rest["manifests"]] == ["example.com", "other.example"]
    assert rest["next"] is None
    wrong: tuple[Any, ...] = (
        {"directory": "d", "files": "../x{{{1}}}"},
        {"directory": "d", "files": [{"path": "a", "size": 1}, {"path": "a", "size": 2}]},
        {"directory": "d", "files": []},
        {"directory": "../d", "files": "a{{{1}}}"},
        [],
        {"torrent": {"fileList": 7}},
    )
    for body in wrong:
        answer = world.system.http.put("/v1/manifests/a.example/1", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), body
    assert world.system.http.put("/v1/manifests/-/1", json=site).status_code == 400
    assert world.system.http.get("/v1/manifests/nobody.example/1").status_code == 404


@pytest.mark.row("S2-15")
def test_a_value_is_there_until_its_time_is_over(world: World) -> None:
    http, here = world.system.http, f"/v1/cache/a.example/{quote('Björk / Ó', safe='')}"
    assert http.get(here).status_code == 404
    put = http.put(here, json={"data": [1, "é"]}, params={"ttl": 600})
    assert put.status_code == 200, put.text
    etag = put.headers["etag"]
    got = http.get(here)
    assert (got.json(), got.headers["etag"], got.headers["content-type"]) == (
        {"data": [1, "é"]},
        etag,
        "application/json",
    )
    assert http.get(here, headers={"If-None-Match": f'"x", {etag}'}).status_code == 304
    assert http.put(here, json=1, headers={"If-None-Match": "*"}).status_code == 412
    assert http.put(here, json=1, headers={"If-Match": '"x"'}).status_code == 412
    other = http.put(here, json=2, headers={"If-Match": etag}).headers["etag"]
    assert (http.get(here).json(), other != etag) == (2, True)
    assert http.put(f"{here}/new", json=1, headers={"If-Match": etag}).status_code == 412
    assert http.put(f"{here}/new", content=b"\0\1", params={"ttl": 1}).status_code == 200
    until(lambda: http.get(f"{here}/new").status_code == 404, "its second is over")
    assert http.put(f"{here}/new", content=b"", headers={"If-None-Match": "*"}).status_code == 200
    assert http.get(f"{here}/new").content == b""
    assert http.delete(here).status_code == 204
    assert http.get(here).status_code == http.delete(here).status_code == 404
    for wrong in ("0", "-1", "x", "99999999999"):
        assert http.put(here, json=1, params={"ttl": wrong}).status_code == 400


@pytest.mark.row("S2-12", "S2-20")
def test_the_command_looks_through_folders_and_uploads(world: World, tmp_path: Path) -> None:
    album_of = {name: tmp_path / "done" / f"{name} {uuid.uuid4().hex[:8]}" for name in ("good", "bad", "strange")}
    for folder in album_of.values():
        (folder / "cd 1").mkdir(parents=True)
        (folder / "cd 1" / "Ö & 1.flac").write_bytes(b"x" * 30)
        (folder / "cover.png").write_bytes(b"y" * 7)
    for name in ("good", "bad"):
        world.task("cli.example", name)
        put = reelmill(world.system, "manifests", "put", "cli.example", name, str(album_of[name]), "--hash")
        assert (put.returncode, json.loads(put.stdout)["file_count"]) == (Exit.OK, 2)
    (album_of["bad"] / "cover.png").write_bytes(b"yyyyyyz")
    terms = ("--each", "--refuse-extra", "--hash", "--json")
    checked = reelmill(world.system, "deliveries", "check", str(tmp_path / "done"), *terms)
    assert checked.returncode == Exit.FAILED
    views = json.loads(checked.stdout)
    found = {Path(view["location"]).name.partition(" ")[0]: view["outcome"] for view in views}
    assert found == {"good": "matched", "bad": "mismatch", "strange": "unknown"}
    where = reelmill(world.system, "deliveries", "where", "cli.example", "good")
    assert (where.returncode, where.stdout) == (Exit.OK, f"{album_of['good']}\n")
    (album_of["bad"] / "cover.png").write_bytes(b"y" * 7)
    sent = reelmill(world.system, "deliveries", "upload", "cli.example", "bad", str(album_of["bad"]))
    assert (sent.returncode, json.loads(sent.stdout)["outcome"]) == (Exit.OK, "matched")
    assert world.state("cli.example", "bad")[0] == "filled"
