"""The console without a browser: who gets in, what another site cannot do, and that every page keeps its role."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest

from gateway.console.page import Page
from gateway.console.routes import PAGES
from gateway.doors import SIGN_IN
from infra import db, tokens
from infra.tokens import Role
from tests.system import System, local_client

OURS = {"Sec-Fetch-Site": "same-origin"}
NOTHING = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway")
    return shared


@pytest.fixture
def clients(system: System) -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def sign_in(clients: ExitStack, system: System, token: str) -> httpx.Client:
    client = clients.enter_context(local_client(system.url, headers=OURS))
    answer = client.post(SIGN_IN, data={"token": token, "next": "/console/jobs"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/jobs")
    return client


def new_token(system: System, name: str, role: Role) -> str:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        made = tokens.create(connection, name, [role])
    engine.dispose()
    return made


def address(page: Page) -> str:
    return re.sub(r"{\w+}", NOTHING, page.path)


@pytest.mark.row("X-01")
def test_a_stranger_is_shown_the_door(system: System, clients: ExitStack) -> None:
    stranger = clients.enter_context(local_client(system.url))
    for page in PAGES:
        if page.role is None:
            continue
        answer = stranger.request(page.method, address(page), headers=OURS)
        if page.method == "GET":
            assert (answer.status_code, answer.headers["location"].startswith(SIGN_IN)) == (303, True), page.path
        else:
            assert answer.status_code == 401, page.path
    opened = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"}
    for path in ("/", "/id/x%20y?collection=a", "/stats"):
        led = stranger.get(path, headers=opened)
        assert (led.status_code, led.headers["location"]) == (303, f"{SIGN_IN}?next={quote(path, safe='')}")
        basic = stranger.get(path, headers=opened, auth=("nobody", "wrong"))
        for program in (stranger.get(path), stranger.get(path, headers={"Accept": "*/*"}), basic):
            assert (program.status_code, "Basic" in program.headers["www-authenticate"]) == (401, True)
    assert stranger.get("/v1/jobs", headers=opened).status_code == 401
    wrong = stranger.post(SIGN_IN, data={"token": "rm_wrong"}, headers=OURS)
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers


@pytest.mark.row("X-01")
def test_a_reader_looks_and_does_nothing(system: System, clients: ExitStack) -> None:
    reader = sign_in(clients, system, new_token(system, "reader", Role.READER))
    for page in PAGES:
        if page.path in {SIGN_IN, "/console/sign-out", "/console/live", "/console/assets/{name}"}:
            continue
        status = reader.request(page.method, address(page)).status_code
        assert (status == 403) is (page.role is not Role.READER), page.path
        assert status < 500, page.path
    assert "New job" not in reader.get("/console").text


@pytest.mark.row("X-02")
def test_another_site_cannot_act_with_our_cookie(system: System, clients: ExitStack) -> None:
    client = sign_in(clients, system, system.token)
    cookie = f"reelmill_session={client.cookies['reelmill_session']}"
    for site in ("cross-site", "same-site"):
        for path in ("/console/kinds/probe.echo/pause", "/v1/kinds/probe.echo/pause", SIGN_IN):
            answer = httpx.post(system.url + path, headers={"Cookie": cookie, "Sec-Fetch-Site": site}, timeout=60)
            assert (answer.status_code, "of another site" in answer.text) == (403, True)
    bare = httpx.post(system.url + "/console/kinds/probe.echo/pause", headers={"Cookie": cookie}, timeout=60)
    assert bare.status_code == 403  # neither header: not a browser of ours
    old = {"Cookie": cookie, "Origin": system.url}
    assert httpx.post(system.url + "/v1/kinds/probe.echo/resume", headers=old, timeout=60).status_code == 200


@pytest.mark.row("X-01")
def test_a_session_is_a_strict_cookie_and_ends_with_its_token(system: System, clients: ExitStack) -> None:
    token = new_token(system, "brief", Role.PRODUCER)
    opened = httpx.post(system.url + SIGN_IN, data={"token": token}, headers=OURS, timeout=60)
    told = opened.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=strict" in told
    assert token not in told
    client = sign_in(clients, system, token)
    assert client.get("/v1/jobs").status_code == 200
    kept = client.cookies["reelmill_session"]
    assert client.post("/console/sign-out").headers["location"] == SIGN_IN
    gone = httpx.get(system.url + "/v1/jobs", headers={"Cookie": f"reelmill_session={kept}"}, timeout=60)
    assert (gone.status_code, gone.json()["code"]) == (401, "session_ended")
    fresh = sign_in(clients, system, token)
    new_token(system, "brief", Role.PRODUCER)  # replaces the token, and with it all that it opened
    assert fresh.get("/v1/jobs").status_code == 401


@pytest.mark.row("X-02")
def test_pages_allow_no_inline_script_and_no_other_host(system: System, clients: ExitStack) -> None:
    client = sign_in(clients, system, system.token)
    for path in (
        "/console",
        "/console/jobs",
        "/console/files",
        "/console/docs/http",
        "/console/docs/messages",
        "/console/docs/runbooks",
        "/console/collections",
        "/console/models",
        "/console/datasets",
        "/",
        SIGN_IN,
    ):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert not re.search(
            r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://(?!127\.0\.0\.1)", _own(answer.text)
        )
    for path in ("//evil.example", "/\\evil.example", "https://evil.example", "/idevil"):
        assert client.get("/console/sign-in", params={"next": path}).text.count("evil") == 0
    assert client.get("/console/assets/..%2fpage.py").status_code == 404


def test_the_api_is_shown_area_by_area(system: System, clients: ExitStack) -> None:
    client = sign_in(clients, system, system.token)
    first = client.get("/console/docs/http").text
    areas = set(re.findall(r'href="\?area=([^"#]+)', first))
    assert {"jobs", "watching", "Older%20surfaces"} <= areas
    shown = [
        re.findall(r'<article class="card" id="([^"]+)"', client.get(f"/console/docs/http?area={each}").text)
        for each in areas
    ]
    operations = [name for each in shown for name in each]
    document = system.http.get("/v1/openapi.json").json()
    assert len(operations) == len(set(operations)) == sum(len(methods) for methods in document["paths"].values())


def test_wrong_addresses_are_pages_too(system: System, clients: ExitStack) -> None:
    client = sign_in(clients, system, system.token)
    for path, status in (
        ("/console/jobs?state=nope", 400),
        ("/console/jobs?before=nope", 400),
        (f"/console/jobs/{NOTHING}", 404),
        ("/console/jobs/bulk?action=cancel", 400),
        ("/console/jobs/bulk?action=nope&kind=a", 400),
        ("/console/events?types=%24", 400),
        ("/console/files/zz", 400),
        ("/console/webhooks/nope", 404),
        ("/console/jobs?created_after=soon", 400),
        ("/console/collections/nope", 404),
        ("/console/collections/nope/items", 404),
        (f"/console/collections/nope/imports/{NOTHING}", 404),
        ("/console/analyses?before=nope", 400),
        (f"/console/analyses/{NOTHING}", 404),
        ("/console/models/nope", 404),
        ("/console/projects/nope", 404),
        ("/console/uploads/nope", 404),
        ("/console/tasks/nope", 404),
        ("/console/datasets/nope", 404),
        ("/console/datasets/nope/1.0.0", 404),
        ("/console/exports/nope", 400),
        ("/console/exports/7", 404),
        ("/console/docs/http?area=nope", 404),
        ("/console/schedules/form?name=nope", 404),
        ("/console/schedules/form?like=nope", 400),
    ):
        answer = client.get(path)
        assert (answer.status_code, "<h1>" in answer.text) == (status, True), path
    for params in ("{", '{"text": "\\u0000"}'):
        bad = client.post("/console/jobs/new", data={"kind": "probe.echo", "params": params})
        assert (bad.status_code, 'role="alert"' in bad.text, "<form" in bad.text) == (400, True, True)
        assert "Not valid" in bad.text or params != "{"


GOOD_SCHEDULE = {"name": "odd", "cron": "0 3 * * *", "timezone": "UTC", "kind": "probe.echo", "params": '{"text": "x"}'}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Not This"},
        {"name": "a\0b"},
        {"name": ""},
        {"was": "a\0b"},
        {"cron": "\0 * * * *"},
        {"cron": ""},
        {"timezone": "Mars/North"},
        {"timezone": "../\0"},
        {"kind": "nope"},
        {"kind": "\0"},
        {"params": "[]"},
        {"params": '{"text": "\\u0000"}'},
        {"params": '{"text": "\\ud800"}'},
        {"params": "{"},
        {"priority": "ten"},
        {"priority": "10"},
    ],
)
def test_a_schedule_that_cannot_be_is_told_above_what_was_typed(
    system: System, clients: ExitStack, wrong: dict[str, str]
) -> None:
    client = sign_in(clients, system, system.token)
    answer = client.post("/console/schedules/form", data=GOOD_SCHEDULE | wrong)
    assert (answer.status_code, 'role="alert"' in answer.text) == (400, True)
    assert 'value="0 3 * * *"' in answer.text or "cron" in wrong
    assert system.http.get("/v1/schedules").json()["schedules"] == []


def test_what_is_typed_is_found(system: System, clients: ExitStack) -> None:
    client = sign_in(clients, system, system.token)
    sha256 = system.upload(b"a film", "two words.mp4")
    job = system.submit("probe.echo", {"text": "sought"})
    for typed, seen in ((job, "probe.echo"), (f" {sha256[:12]} ", "two words.mp4"), ("two words.mp4", sha256[:12])):
        page = client.get("/console/find", params={"q": typed}, follow_redirects=True)
        assert (page.status_code, seen in page.text) == (200, True)
    assert 'action="/console/find"' in client.get("/console").text


def test_jobs_between_two_times(system: System, clients: ExitStack) -> None:
    client = sign_in(clients, system, system.token)
    made = system.submit("probe.echo", {"text": "when"})
    at = datetime.now(UTC)
    near, far = at - timedelta(hours=1), at + timedelta(hours=1)  # of a module, all jobs are made within it
    for after, before, there in ((near, None, True), (None, near, False), (near, far, True), (far, None, False)):
        asked = {"created_after": _minute(after), "created_before": _minute(before), "kind": ""}
        page = client.get("/console/jobs", params=asked)
        assert (page.status_code, made in page.text) == (200, there)
    plan = client.get("/console/jobs/bulk", params={"action": "cancel", "created_before": near.isoformat()})
    assert "Cancel 0 jobs?" in plan.text


def _minute(moment: datetime | None) -> str:
    """As a browser's field for a time says it."""
    return moment.strftime("%Y-%m-%dT%H:%M") if moment is not None else ""


def _own(page: str) -> str:
    """Without what shows text: placeholders, code, and what others wrote."""
    return re.sub(r"placeholder=\"[^\"]*\"|<pre.*?</pre>|<td.*?</td>", "", page, flags=re.DOTALL)
