"""Two tenants in one system: neither sees, names, changes or hears of what is the other's, at any route."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import orjson
import pytest
from sqlalchemy import Engine, text

from gateway.console.page import Page
from gateway.console.routes import PAGES
from gateway.doors import SIGN_IN
from gateway.endpoint import Endpoint
from gateway.routes import ENDPOINTS
from infra import db, tenancy, tokens
from infra.tables import metadata
from infra.tokens import Role
from tests.clips.factory import Clips, Recipe
from tests.furniture import COMMON, NOBODY, PLACE, Furniture, furnish, handing_out
from tests.labelled import client
from tests.system import System, local_client, until

NAMES = ("gateway", "relay", "dispatcher", "keeper", "splitter", "analyzer", "exporter")
ROLES = [Role.PRODUCER, Role.WORKER]
OURS = {"Sec-Fetch-Site": "same-origin"}
TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
MODEL = {"classes": ["a", "b"], "coefficients": [[1.0]], "intercepts": [0.0]}
LABELLING = "/v1/labelling-projects/{project}"
COLLECTION = "/v1/collections/{name}"
#: Bodies that get a request as far as its id; `{film}` and such are one's own. Where none is needed, `{}` is one.
BODIES: dict[str, Any] = {
    "/v1/schedules/{name}": {"cron": "0 3 1 1 *", "kind": "probe.echo", "params": {"text": "t"}},
    LABELLING: {"labels": ["mine"]},
    f"{LABELLING}/datapoints": {"data": ["mine"]},
    f"{LABELLING}/votes": {"datapoint": 1, "label": "good"},
    f"{LABELLING}/timestamps": {"datapoint": 1, "start_time": "2030-01-01T00:00:00Z"},
    f"{LABELLING}/classifiers": {"model": MODEL},
    f"{COLLECTION}/items": {"items": [{"key": "mine"}]},
    f"{COLLECTION}/moves": {"moves": [{"key": "k0", "state": "completed"}]},
    f"{COLLECTION}/leases": {"count": 1, "worker": "w"},
    f"{COLLECTION}/release": {"older_than": 0},
    f"{COLLECTION}/leases/{{lease}}/submit": {"results": [{"key": "k0", "state": "completed"}]},
    "/v1/projects/{project_id}/uploads": {"file": "{film}", "rate": 5},
    "/v1/tasks/{task_id}": {"status": 6},
    "/v1/tasks/{task_id}/frames/{frame}/boxes": {"boxes": []},
    "/v1/tasks/{task_id}/import": {"file": "{files/file_id}", "format": "coco"},
    "/api/download/{item:path}": {"state": "completed"},
    "/v1/detectors/{name}": {"model": "{film}", "settings": {"labels": ["car"]}},
    "/v1/datasets/{group}/versions": {"tasks": ["{tasks/task_id}"]},
}
#: Runs first in every process of the system: whoever looks for an address beyond this machine is noted and refused.
GUARD = """
import ipaddress, os, socket

def refuse(what):
    with open(os.environ["OUTSIDE"], "a") as notes:
        notes.write(f"{os.getpid()} {what}\\n")
    raise OSError(f"there is no world outside: {what}")

def near(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "", None)

look_up, connect = socket.getaddrinfo, socket.socket.connect
socket.getaddrinfo = lambda host, *a, **k: look_up(host, *a, **k) if near(host) else refuse(host)
socket.socket.connect = lambda self, to: connect(self, to) if not isinstance(to, tuple) or near(to[0]) else refuse(to)
"""
#: Places of ids that only operators have. A transfer has no row: who knows its id was given it.
OPERATORS = (
    "webhooks/webhook_id",
    "parked/parked_id",
    "dead/fingerprint",
    "fetch-leases/lease",
    "fetch-tasks/task",
    "manifests/host",
    "deliveries/delivery",
    "files/path",
    "cache/space",
    "transfers/transfer",
)
INJECTIONS = (
    "' or '1'='1",
    "1; drop table jobs; --",
    "x' union select secret_sha256 from tokens --",
    "../../etc/passwd",
)
#: Ids that are parameters of a collection named in the query, and there each collection has its own.
KEYS = re.compile(r"^/(id|api/segments|api/download)/{item:path}$")


@pytest.fixture(scope="module")
def database(shared: System) -> Iterator[Engine]:
    engine = db.connect(shared.environment["REELMILL_DATABASE_URL"], pool=2)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def callers(
    shared: System, database: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, httpx.Client]]:
    """A caller of each of two tenants, and everything running."""
    outside = tmp_path_factory.mktemp("guard")
    (outside / "sitecustomize.py").write_text(GUARD)
    shared.start(*NAMES, PYTHONPATH=str(outside), OUTSIDE=str(outside / "calls"))
    handing_out(shared.http)
    with database.begin() as connection:
        secrets = {name: tokens.create(connection, name, ROLES, tenant=f"of-{name}") for name in ("ann", "bob")}
    opened = {name: client(shared, secret) for name, secret in secrets.items()}
    for name, each in opened.items():
        each.headers["x-secret"] = secrets[name]
    yield opened
    for each in opened.values():
        each.close()
    shared.stop()
    calls = outside / "calls"
    assert not calls.exists(), f"somebody called the world: {calls.read_text()}"
    for name in NAMES:
        said = shared.log(name)
        assert [each for each in (shared.token, *secrets.values(), *passwords(shared)) if each in said] == [], name


@pytest.fixture(scope="module")
def things(callers: dict[str, httpx.Client], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Furniture]:
    """Everything that each of them has."""
    clips = Clips(tmp_path_factory.mktemp("clips"))
    films = {name: clips.make(Recipe(frames=60 + 5 * n)).read_bytes() for n, name in enumerate(callers)}
    with ThreadPoolExecutor(len(callers)) as pool:
        made = pool.map(lambda name: furnish(callers[name], films[name]), callers)
    return dict(zip(callers, made, strict=True))


def passwords(system: System) -> list[str]:
    """The secrets that the processes were given."""
    given = system.environment
    urls = [urlsplit(given[name]).password for name in ("REELMILL_DATABASE_URL", "REELMILL_AMQP_URL")]
    return [each for each in (*urls, given["REELMILL_S3_SECRET_KEY"]) if each and len(each) > 8]


def theirs(furniture: Furniture, path: str) -> bool:
    """Whether a route of the table takes an id that a tenant can have."""
    return furniture.names_something(path)


def request_of(endpoint: Endpoint, collection: str, mine: Furniture) -> dict[str, Any]:
    """What makes a request get as far as its id."""
    given: dict[str, Any] = {"params": {"collection": collection}} if KEYS.match(endpoint.path) else {}
    if "resumable" in endpoint.path:
        return given | {"headers": TUS, "content": b"x" if endpoint.method == "PATCH" else b""}
    if isinstance(endpoint.body, type):
        given["json"] = own(BODIES.get(endpoint.path, {}), mine)
    return given


def own(body: Any, mine: Furniture) -> Any:
    """A body with the ids of one's own things in it."""
    if isinstance(body, dict):
        return {name: own(value, mine) for name, value in body.items()}
    if isinstance(body, list):
        return [own(value, mine) for value in body]
    return mine.ids[body[1:-1]] if isinstance(body, str) and body.startswith("{") else body


@pytest.mark.row("X-01")
def test_no_route_with_an_id_answers_for_anothers(
    callers: dict[str, httpx.Client], things: dict[str, Furniture], database: Engine
) -> None:
    ann, bob = things["ann"], things["bob"]
    paths = [endpoint.path for endpoint in ENDPOINTS] + [page.path for page in PAGES]
    sorts = {f"{word}/{name}" for path in paths for word, name in PLACE.findall(path)}
    assert sorts <= {*ann.ids, *COMMON, *OPERATORS}, "a new sort of id: `tests.furniture` makes one of everything"
    before = counted_at_rest(database)
    wrong = []
    looked = 0
    for endpoint in ENDPOINTS:
        if not PLACE.search(endpoint.path) or endpoint.role is Role.ADMIN or not theirs(ann, endpoint.path):
            continue
        looked += 1
        given = request_of(endpoint, ann.ids["collections/name"], bob)
        with bob.http.stream(endpoint.method, ann.address(endpoint.path), **given) as answer:
            if answer.status_code != 404:
                answer.read()
                wrong.append(f"{endpoint.method} {endpoint.path}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    assert looked > 60
    assert counted(database) == before


def counted(database: Engine) -> dict[str, int]:
    """The rows of every table but those that move by themselves."""
    moving = {
        "erasures",
        "events",
        "event_marks",
        "backlogs",
        "sessions",
        "item_tallies",
        "worker_tallies",
        "item_history",
    }
    with database.connect() as connection:
        return {
            table: connection.execute(text(f"select count(*) from {table}")).scalar_one()
            for table in metadata.tables
            if table not in moving
        }


def counted_at_rest(database: Engine) -> dict[str, int]:
    """The same, once nobody is at work any more: jobs that nobody has waited for, and what is to be let go of."""
    left = """
        select (select count(*) from jobs where state in ('queued', 'running')) + (select count(*) from discards)
            + (select count(*) from erasures)
    """

    def at_rest() -> bool:
        with database.connect() as connection:
            return not connection.execute(text(left)).scalar_one()

    until(at_rest, "nobody is at work")
    return counted(database)


@pytest.mark.row("X-01", "X-02", "X-22")
def test_each_finds_his_own_and_lists_nothing_else(
    shared: System, callers: dict[str, httpx.Client], things: dict[str, Furniture]
) -> None:
    for name, other in (("ann", "bob"), ("bob", "ann")):
        mine, foreign = things[name], set(things[other].ids.values()) - set(things[name].ids.values())
        foreign -= {"yolo", "1"}
        for endpoint in ENDPOINTS:
            if (
                endpoint.method != "GET"
                or endpoint.role is not Role.READER
                or endpoint.path in {"/v1/events", "/metrics"}
            ):
                continue
            path = mine.address(endpoint.path) if theirs(mine, endpoint.path) else endpoint.path
            if PLACE.search(path) or path == "/v1/parked/{parked_id}":
                continue
            query = {"collection": mine.ids["collections/name"]} if "collection" in endpoint.query else {}
            answer = mine.http.get(path, params=query, follow_redirects=True)
            if answer.status_code >= 400:
                assert (endpoint.path, answer.status_code) in {
                    (PROCESS, 400), ("/api/monitor/download", 400), ("/v1/locations", 400),
                }, (endpoint.path, answer.status_code, answer.text[:200])  # fmt: skip
            shown = [each for each in foreign if len(each) > 3 and each in answer.text]
            assert shown == [], f"{endpoint.path} shows {shown}"


PROCESS = "/api/processContent"


@pytest.mark.row("X-15")
def test_what_is_put_into_a_parameter_stays_a_value(
    callers: dict[str, httpx.Client], things: dict[str, Furniture], shared: System, database: Engine
) -> None:
    before = counted_at_rest(database)
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or endpoint.path in {"/v1/events", "/readyz"}:  # one stays open, one makes a job
            continue
        for poison in INJECTIONS:
            bad = {place: quote(poison, safe="") for place in (*things["ann"].ids, *OPERATORS)}
            path = Furniture(shared.http, bad).address(endpoint.path)
            query = {name: poison for name in endpoint.query if name != "wait"}
            answer = shared.http.get(path, params=query)
            assert answer.status_code < 500, (path, query)
            assert "root:" not in answer.text
            for name in query:
                assert shared.http.get(path, params={name: poison}).status_code < 500, (path, name)
    assert counted(database) == before


@pytest.mark.row("X-01")
def test_bytes_of_two_tenants_are_one_object_and_neither_knows(
    callers: dict[str, httpx.Client], things: dict[str, Furniture]
) -> None:
    same = b"the very same bytes\n"
    names = {}
    for name, http in callers.items():
        answer = http.post("/v1/files", params={"name": f"{name}.txt"}, content=same)
        assert answer.status_code == 201, "what another has is not there"
        names[name] = answer.json()
    assert names["ann"]["sha256"] == names["bob"]["sha256"]
    assert [each["names"] for each in names.values()] == [["ann.txt"], ["bob.txt"]]
    path = f"/v1/files/{names['ann']['sha256']}"
    assert callers["ann"].delete(path).status_code == 204
    assert callers["ann"].get(path).status_code == 404
    assert callers["bob"].get(f"{path}/content").content == same
    assert callers["bob"].get(path).json()["name"] == "bob.txt"
    assert callers["bob"].delete(path).status_code == 204
    assert callers["bob"].get(path).status_code == 404


@pytest.mark.row("X-01")
def test_jobs_name_nothing_that_is_anothers(
    shared: System, callers: dict[str, httpx.Client], things: dict[str, Furniture]
) -> None:
    ann, bob = things["ann"].ids, callers["bob"]
    own = things["bob"].ids["files/file_id"]

    def ask(kind: str, params: dict[str, Any], **terms: Any) -> tuple[int, str]:
        answer = bob.post("/v1/jobs", json={"kind": kind, "params": params, **terms})
        return answer.status_code, answer.json().get("code", "")

    assert ask("analyze.sleep", {"file": ann["files/file_id"], "time": 0}) == (404, "unknown_file")
    assert ask("split.video", {"file": ann["film"][:40], "rate": 5}) == (404, "unknown_file")
    assert ask("probe.echo", {"text": "t"}, after=[ann["jobs/job_id"]]) == (404, "unknown_dependency")
    assert ask("items.import", {"file": own, "collection": ann["collections/name"]}) == (404, "unknown_collection")
    assert ask("dataset.task", {"version": ann["dataset-versions/version_id"], "task": ann["tasks/task_id"]})[0] == 403
    tracked: dict[str, Any] = {"kind": "analyze.image", "params": {"file": own, "model": ann["models/model"]}}
    assert ask(**tracked) == (400, "unknown_model")
    nightly = {"cron": "0 3 * * *", **tracked}
    assert bob.put("/v1/schedules/of-bob", json=nightly).json()["code"] == "unknown_model"
    line = bob.post("/v1/jobs", content=orjson.dumps(tracked), headers={"Content-Type": "application/x-ndjson"})
    assert (line.status_code, line.json()["error"]["code"]) == (207, "unknown_model")
    spots = {"name": ann["models/model"], "kind": "tracker", "tracker": {"points": [{"name": "a"}]}}
    assert bob.post("/v1/models", json=spots).status_code == 409
    theirs = things["bob"].ids["tasks/task_id"], ann["tasks/task_id"]
    mixed = bob.post("/v1/datasets/mixed/versions", json={"tasks": list(theirs)})
    assert mixed.status_code in {404, 409}, mixed.text
    # The same key lives once for each of them, and an id is taken whoever chose it.
    far = "2090-01-01T00:00:00Z"
    echo = {"kind": "probe.echo", "params": {"text": "t"}, "run_at": far, "key": "one"}
    both = [http.post("/v1/jobs", json=echo) for http in callers.values()]
    assert [answer.status_code for answer in both] == [202, 202]
    assert both[0].json()["id"] != both[1].json()["id"]
    chosen = {"kind": "probe.echo", "params": {"text": "t"}, "run_at": far, "id": both[0].json()["id"]}
    assert bob.post("/v1/jobs", json=chosen).status_code == 409
    # Of many at once, only one's own; by whatever door.
    bulk = {"action": "cancel", "filter": {"state": "scheduled"}}
    counted = bob.post("/v1/jobs/bulk", json=bulk | {"dry_run": True}).json()
    assert counted["count"] == 1
    acted = bob.post("/v1/jobs/bulk", json=bulk).json()["id"]
    until(lambda: bob.get(f"/v1/jobs/{acted}").json()["state"] == "succeeded", "the bulk job ends")
    states = [
        http.get(f"/v1/jobs/{made.json()['id']}").json()["state"]
        for http, made in zip(callers.values(), both, strict=True)
    ]
    assert states == ["scheduled", "cancelled"]
    # The feed and the streams say nothing of it; operators hear everything.
    told = {answer.json()["id"] for answer in both}
    until(lambda: told <= feed(shared.http), "both are in the feed")
    heard = {name: feed(http) for name, http in callers.items()} | {"all": feed(shared.http)}
    assert both[0].json()["id"] in heard["ann"] - heard["bob"]
    assert both[1].json()["id"] in heard["bob"] - heard["ann"]
    assert heard["ann"] | heard["bob"] <= heard["all"]


def feed(http: httpx.Client) -> set[str]:
    """The jobs that the feed tells of."""
    found: set[str] = set()
    since, more = 0, True
    while more:
        page = http.get("/v1/changes", params={"since": since, "limit": 1000}).json()
        found |= {fact["job_id"] for fact in page["changes"] if fact["job_id"]}
        since, more = page["next"], page["more"]
    return found


@pytest.mark.row("X-01")
def test_a_session_of_the_console_is_its_tenants(
    shared: System, callers: dict[str, httpx.Client], things: dict[str, Furniture]
) -> None:
    ann = things["ann"]
    with local_client(shared.url, headers=OURS) as browser:
        entered = browser.post(SIGN_IN, data={"token": callers["bob"].headers["x-secret"]})
        assert entered.status_code == 303
        foreign = set(ann.ids.values()) - set(things["bob"].ids.values())
        for page in PAGES:
            if page.role is None or page.path in {"/console/live", "/console/sign-out"}:
                continue
            look(browser, page, ann, {each for each in foreign if len(each) > 3})
        assert browser.get(f"/v1/jobs/{ann.ids['jobs/job_id']}").status_code == 404


def _nobody(place: re.Match[str]) -> str:
    nothing = {"files": "0" * 64, "exports": "999999"}
    return f"{place[1]}/{nothing.get(place[1], NOBODY)}"


def look(browser: httpx.Client, page: Page, ann: Furniture, foreign: set[str]) -> None:
    if theirs(ann, page.path):
        answer = browser.request(page.method, ann.address(page.path))
        nothing = browser.request(page.method, PLACE.sub(_nobody, page.path))
        assert answer.status_code == nothing.status_code, (page.path, answer.status_code)
        assert answer.status_code != 200, page.path
    elif page.method == "GET" and not PLACE.search(page.path):
        answer = browser.get(page.path)
        assert answer.status_code in {200, 303, 400, 403}, (page.path, answer.status_code)
        assert [each for each in foreign if each in answer.text] == [], page.path


def test_operators_and_tenants_take_turns(shared: System, callers: dict[str, httpx.Client]) -> None:
    """On the gateway's few connections to the database: nothing of one transaction is in the way of the next."""
    took = []
    for turn in range(4):
        for name, caller in {"operator": shared.http, **callers}.items():
            assert caller.put(f"/v1/collections/turns-{name}", json={}).is_success
            added = caller.post(f"/v1/collections/turns-{name}/items", json={"items": [{"key": f"k{turn}"}]})
            took.append((name, added.status_code))
    assert {status for _, status in took} == {200}, took


@pytest.mark.row("X-01", "S2-06", "S2-10")
def test_what_a_tenant_has_found_is_no_task_of_the_operators(
    shared: System, callers: dict[str, httpx.Client], database: Engine
) -> None:
    everything = text("select (select count(*) from fetch_tasks), (select count(*) from candidates)")

    def written() -> tuple[int, int]:
        with database.connect() as connection:
            return tuple(connection.execute(everything).one())

    mine = {"of-operators": shared.http, "of-ann": callers["ann"]}
    for name, caller in mine.items():
        assert caller.put(f"/v1/collections/finds-{name}", json={"ordering": "arrival", "retry_seconds": 0}).is_success
        items = {"items": [{"key": "a"}, {"key": "b"}]}
        assert caller.post(f"/v1/collections/finds-{name}/items", json=items).is_success
    place = {"host": "of-operators.example", "external_id": "1"}
    found = {"key": "a", "state": "found", "candidates": [place]}
    assert shared.http.post("/v1/collections/finds-of-operators/moves", json={"moves": [found]}).is_success
    before = written()
    ann, here = callers["ann"], "/v1/collections/finds-of-ann"
    told = ann.post("/metadata/2", params={"collection": "finds-of-ann"}).json()
    numbers = {album["album"]: str(album["id"]) for album in told["albums"]}
    old = {numbers["a"]: [{"site": place["host"], "torrentId": 1}], numbers["b"]: []}
    results = [found, {"key": "b", "state": "nacked"}]
    for answer in (
        ann.post(f"{here}/leases/{told['lease']}/submit", json={"results": results}),
        ann.post(f"{here}/moves", json={"moves": results}),
        ann.post("/metadata/submit", params={"collection": "finds-of-ann"}, json=old),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), answer.text
    assert written() == before
    states = {key: ann.get(f"{here}/items/{key}").json()["state"] for key in numbers}
    assert states == {"a": "leased", "b": "leased"}, "nothing of it counts"
    del old[numbers["a"]]
    assert ann.post("/metadata/submit", params={"collection": "finds-of-ann"}, json=old).is_success
    assert shared.http.post(f"{here}/moves", json={"moves": [found]}).is_success, "an operator may look for a tenant"


@pytest.mark.row("X-01")
def test_every_table_says_what_a_tenant_may_see_of_it(database: Engine) -> None:
    """Whoever adds a table decides: a policy in a migration."""
    with database.connect() as connection:
        held = set(connection.execute(text("select tablename from pg_policies where policyname = 'tenants'")).scalars())
    assert held == set(metadata.tables)
    with tenancy.transaction(database, "of-nobody") as connection:
        seen = {
            table: connection.execute(text(f"select count(*) from {table}")).scalar_one() for table in metadata.tables
        }
    open_to_all = {"blobs", "erasures", "kind_controls", "backlogs", "event_marks", "job_moves", "sessions"}
    assert {table for table, rows in seen.items() if rows} <= open_to_all
