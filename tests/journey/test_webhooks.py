"""Webhooks: facts that go out signed, are tried again, and reach one side although the other hangs."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import Engine, text
from standardwebhooks import Webhook, WebhookVerificationError

from infra import db
from infra.cli.exits import Exit
from tests.journey.test_cli import reelmill
from tests.receiver import Letter, Receiver, receiving
from tests.system import System, until

PRIVATE = {"REELMILL_WEBHOOK_PRIVATE": "1"}
WANTED = "news.*"


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", **PRIVATE)
    return shared


@pytest.fixture(scope="module")
def engine(system: System) -> Iterator[Engine]:
    made = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=2)
    yield made
    made.dispose()


@pytest.fixture
def receiver(system: System) -> Iterator[Receiver]:
    """Another side, forgotten by everybody at the end of the test."""
    with receiving() as found:
        yield found
        for hook in system.http.get("/v1/webhooks").json()["webhooks"]:
            assert system.http.delete(f"/v1/webhooks/{hook['id']}").status_code == 204


def add(system: System, url: str, *types: str) -> dict[str, Any]:
    answer = system.http.post("/v1/webhooks", json={"url": url, "types": types or [WANTED]})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def tell(engine: Engine, kind: str = "news.one", number: int = 1) -> None:
    values = {"kind": kind, "number": number}
    with engine.begin() as connection:
        connection.execute(
            text("insert into events (type, data) select :kind, '{\"a\": 1}' from generate_series(1, :number)"), values
        )


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def deliveries(system: System, hook: dict[str, Any]) -> list[dict[str, Any]]:
    return list(system.http.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["deliveries"])


def until_delivery(system: System, hook: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    """Wait until the newest delivery looks like this."""

    def found() -> dict[str, Any] | None:
        newest = deliveries(system, hook)[:1]
        return newest[0] if newest and wanted.items() <= newest[0].items() else None

    return until(found, f"the newest delivery has {wanted}")


def until_tried(system: System, hook: dict[str, Any], attempt: int) -> dict[str, Any]:
    """Wait until the newest delivery was tried so often, or more often: the next attempt comes by itself."""

    def found() -> dict[str, Any] | None:
        newest = deliveries(system, hook)[:1]
        return newest[0] if newest and newest[0]["attempt"] >= attempt else None

    return until(found, f"the newest delivery was tried {attempt} times")


def in_flight(system: System, receiver: Receiver) -> int:
    """How many requests the relay has open at a receiver that answers none."""
    port = httpx.URL(receiver.url).port
    open_ones = psutil.Process(system.processes["relay"].pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.raddr[1] == port for each in open_ones)


def until_came(receiver: Receiver, path: str, number: int = 1) -> list[Letter]:
    """Wait for so many facts; the first letter of each. A fact whose answer takes too long comes again."""

    def came() -> list[Letter] | None:
        first: dict[int, Letter] = {}
        for letter in list(receiver.letters[path]):
            first.setdefault(letter.fact["seq"], letter)
        return list(first.values()) if len(first) >= number else None

    return until(came, f"{number} came to {path}")


def test_a_fact_goes_out_signed_to_whom_it_was_promised(system: System, engine: Engine, receiver: Receiver) -> None:
    hook = add(system, f"{receiver.url}/a?b=c", WANTED)
    assert hook["secret"].startswith("whsec_")
    tell(engine, "other.one")
    tell(engine)
    [letter] = until_came(receiver, "/a?b=c")
    assert Webhook(hook["secret"]).verify(letter.body, letter.headers) == letter.fact
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(letter.body + b" ", letter.headers)
    fact = letter.fact
    assert (fact["type"], fact["data"], fact["timestamp"]) == ("news.one", {"a": 1}, fact["occurred_at"])
    assert letter.headers["webhook-id"] == f"event-{fact['seq']}"
    delivery = until_delivery(system, hook, state="delivered", status=200)
    assert (delivery["seq"], delivery["attempt"] > 0) == (fact["seq"], True)
    shown = system.http.get(f"/v1/webhooks/{hook['id']}").json()
    assert shown == {name: value for name, value in hook.items() if name != "secret"} | {"seen_seq": fact["seq"]}
    assert hook["secret"] not in system.http.get("/v1/webhooks").text


def test_a_refused_delivery_is_made_again_and_comes_with_the_same_id(
    system: System, engine: Engine, receiver: Receiver
) -> None:
    receiver.answers["/a"].extend([500, 302])
    hook = add(system, f"{receiver.url}/a")
    tell(engine)
    for attempt, status in ((1, 500), (2, 302)):
        delivery = until_tried(system, hook, attempt)
        # Unless it was tried again before we looked, or the answer has come too late.
        if delivery["attempt"] == attempt and not str(delivery["error"]).startswith("no answer"):
            assert (delivery["state"], delivery["status"]) == ("pending", status)
            assert delivery["error"] == f"status {status}"
            assert delivery["next_at"] is not None
            run(engine, "update webhook_deliveries set next_at = now()")
    until_delivery(system, hook, state="delivered", attempt=3, status=200, error=None)
    assert len({letter.headers["webhook-id"] for letter in receiver.letters["/a"]}) == 1
    assert len(receiver.letters["/a"]) == 3
    assert not receiver.letters["/elsewhere"]


def test_after_the_last_attempt_a_delivery_has_failed(system: System, engine: Engine, receiver: Receiver) -> None:
    receiver.answers["/a"].extend([500] * 50)
    hook = add(system, f"{receiver.url}/a")
    tell(engine)
    until_tried(system, hook, 1)
    run(engine, "update webhook_deliveries set next_at = now(), attempt = 10")
    assert until_delivery(system, hook, state="failed")["finished_at"] is not None


@pytest.mark.parametrize(("status", "reason"), [(410, "gone"), (500, "failing")])
def test_an_endpoint_that_is_gone_or_fails_for_days_is_given_up_until_it_is_enabled(
    system: System, engine: Engine, receiver: Receiver, status: int, reason: str
) -> None:
    receiver.answers["/a"].extend([status] * 50)
    hook = add(system, f"{receiver.url}/a")
    if reason == "failing":
        run(engine, "update webhooks set failing_since = now() - interval '4 days'")
    here = f"/v1/webhooks/{hook['id']}"
    tell(engine)
    shown = until(lambda: _disabled(system, here), "the webhook is disabled")
    assert shown["disabled_reason"] == reason
    since = shown["seen_seq"]
    tell(engine)
    page = system.http.get(f"/v1/changes?since={since}&types=webhook.disabled&wait=60", timeout=120).json()
    assert page["changes"][0]["data"] == {"webhook_id": hook["id"], "reason": reason}
    assert system.http.post(f"{here}/test").json()["code"] == "disabled"
    assert len(until_came(receiver, "/a")) == 1
    receiver.answers["/a"].clear()
    assert system.http.post(f"{here}/enable").json()["disabled_at"] is None
    run(engine, "update webhook_deliveries set next_at = now()")
    until_came(receiver, "/a", 2)
    until(lambda: [d["state"] for d in deliveries(system, hook)] == ["delivered"] * 2, "also what was refused")
    assert system.http.post(f"{here}/enable").status_code == 409


def _disabled(system: System, here: str) -> dict[str, Any] | None:
    shown = system.http.get(here).json()
    return dict(shown) if shown["disabled_at"] is not None else None


def test_an_endpoint_that_hangs_holds_up_no_other(system: System, engine: Engine, receiver: Receiver) -> None:
    with receiving() as hanging:
        hanging.held.add("/hangs")
        add(system, f"{hanging.url}/hangs")
        well = add(system, f"{receiver.url}/well")
        for n in range(1, 4):
            tell(engine, number=10)
            until_came(hanging, "/hangs")
            until_came(receiver, "/well", n * 10)
        until_delivery(system, well, state="delivered")
        until_came(hanging, "/hangs", 4)
        # A look takes a moment, in which one may be given up and the next one goes out: then both are seen.
        assert min(in_flight(system, hanging) for _ in range(3)) <= 4, "one goes out when another is given up"
        system.stop_one("relay")  # who is told to stop does not wait for those who hang
        system.start("relay", **PRIVATE)


@pytest.mark.row("X-09")
def test_a_relay_that_is_killed_between_noting_and_delivering_loses_nothing(
    system: System, engine: Engine, receiver: Receiver
) -> None:
    receiver.held.add("/a")
    hook = add(system, f"{receiver.url}/a")
    tell(engine, number=50)
    until_came(receiver, "/a")
    system.kill("relay")
    assert {delivery["state"] for delivery in deliveries(system, hook)} == {"pending"}
    tell(engine, number=50)
    receiver.held.clear()
    receiver.released.set()
    system.start("relay", **PRIVATE)
    until(lambda: len(set(receiver.numbers("/a"))) == 100, "every fact has come")
    until(lambda: {d["state"] for d in deliveries(system, hook)} == {"delivered"}, "and is noted")


def test_for_a_while_the_old_secret_signs_beside_the_new_one(
    system: System, engine: Engine, receiver: Receiver
) -> None:
    hook = add(system, f"{receiver.url}/a")
    rotated = system.http.post(f"/v1/webhooks/{hook['id']}/rotate").json()
    assert rotated["secret"] != hook["secret"]
    tell(engine)
    [letter] = until_came(receiver, "/a")
    for secret in (hook["secret"], rotated["secret"]):
        Webhook(secret).verify(letter.body, letter.headers)
    until_delivery(system, hook, state="delivered")
    run(engine, "update webhooks set previous_until = now()")
    tell(engine)
    letter = until_came(receiver, "/a", 2)[1]
    Webhook(rotated["secret"]).verify(letter.body, letter.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(letter.body, letter.headers)


def test_a_webhook_can_be_tried_out_alone(system: System, engine: Engine, receiver: Receiver) -> None:
    one, _ = add(system, f"{receiver.url}/one"), add(system, f"{receiver.url}/two", "#")
    assert system.http.post(f"/v1/webhooks/{one['id']}/test").status_code == 202
    [letter] = until_came(receiver, "/one")
    assert (letter.fact["type"], letter.fact["data"]) == ("webhook.test", {"webhook_id": one["id"]})
    tell(engine)
    until_came(receiver, "/two")
    assert "webhook.test" not in {letter.fact["type"] for letter in receiver.letters["/two"]}


def test_deliveries_page_without_gaps(system: System, engine: Engine, receiver: Receiver) -> None:
    hook = add(system, f"{receiver.url}/a")
    tell(engine, number=5)
    until_came(receiver, "/a", 5)
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = system.http.get(f"/v1/webhooks/{hook['id']}/deliveries", params=query).json()
        seen += [delivery["seq"] for delivery in page["deliveries"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == sorted(set(receiver.numbers("/a")), reverse=True)


def test_the_command_adds_tries_lists_and_removes(system: System, receiver: Receiver) -> None:
    made = json.loads(reelmill(system, "webhooks", "add", f"{receiver.url}/a", "--types", "file.*", "--json").stdout)
    tried = reelmill(system, "webhooks", "test", made["id"], "--timeout", "120")
    assert (tried.returncode, tried.stderr.strip()) == (Exit.OK, "Delivered: 200.")
    Webhook(made["secret"]).verify(receiver.letters["/a"][0].body, receiver.letters["/a"][0].headers)
    receiver.answers["/a"].extend([500] * 50)  # the next attempt comes by itself
    failed = reelmill(system, "webhooks", "test", made["id"], "--timeout", "120")
    assert (failed.returncode, "status 500" in failed.stderr) == (Exit.FAILED, True)
    assert reelmill(system, "webhooks", "rotate", made["id"]).stdout.startswith("whsec_")
    listed = reelmill(system, "webhooks", "list").stdout
    assert made["id"] in listed
    assert "file.*" in listed
    assert reelmill(system, "webhooks", "deliveries", made["id"]).stdout.count("webhook.test") == 2
    assert reelmill(system, "webhooks", "rm", made["id"]).returncode == Exit.OK
    assert reelmill(system, "webhooks", "rm", made["id"]).returncode == Exit.NOT_FOUND


@pytest.mark.row("X-18")
@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://example.org"},
        {"url": "file:///etc/passwd"},
        {"url": "http://"},
        {"url": "http://me:secret@example.org"},
        {"url": "http://example.org/#x"},
        {"url": "http://example.org:99999"},
        {"url": "http://example.org:0"},
        {"url": "http://exa mple.org"},
        {"url": "http://example.org/" + "a" * 2000},
        {"url": "http://127.0.0.1", "types": []},
        {"url": "http://127.0.0.1", "types": ["a..b"]},
        {"url": "http://127.0.0.1", "types": ["a"] * 21},
        {"url": "http://127.0.0.1", "secret": "mine"},
        {},
    ],
)
def test_what_is_no_webhook_is_refused(system: System, body: dict[str, Any]) -> None:
    answer = system.http.post("/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_unknown_webhooks_are_unknown(system: System) -> None:
    for name in ("00000000-0000-7000-8000-000000000000", "x"):
        assert system.http.get(f"/v1/webhooks/{name}").status_code == 404
        assert system.http.delete(f"/v1/webhooks/{name}").status_code == 404
        assert system.http.post(f"/v1/webhooks/{name}/rotate").status_code == 404
