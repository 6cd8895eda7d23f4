"""The console as people use it: every page looks right in both themes, is accessible, lives, and acts."""

import pytest
from playwright.sync_api import Page

from infra.cli.demo import sample
from infra.topology import JOBS
from tests.broker import publishing
from tests.browser.conftest import look
from tests.system import System, until


@pytest.fixture(scope="module")
def work(system: System) -> dict[str, str]:
    """Something to look at: a video that was split, jobs of every state, a dead letter, a schedule."""
    clip = system.upload(sample().read_bytes(), sample().name)
    split = system.submit("split.video", {"file": clip, "rate": "1", "images": True})
    note = system.upload(b"hello", "note.txt")
    waits = system.submit("analyze.sleep", {"file": note, "time": 1}, run_at="2100-01-01T00:00:00Z")
    fails = system.submit("split.video", {"file": note, "rate": "1"})
    system.http.put("/v1/schedules/nightly", json={"cron": "0 3 * * *", "kind": "probe.echo", "params": {"text": "hi"}})
    for n in range(12):
        system.submit("probe.echo", {"text": f"number {n}"})
    hook = system.http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/never"}).json()["id"]
    system.until_state(split, "succeeded")
    system.until_state(fails, "failed")
    with publishing(system.environment["REELMILL_AMQP_URL"]) as channel:  # the splitter works, so its queue is there
        channel.basic_publish(JOBS, "split.video", b'{"file": 7')
    runs = system.submit("analyze.sleep", {"file": note, "time": 600})
    system.until_state(runs, "running")
    groups = until(lambda: system.http.get("/v1/parked/groups").json()["groups"], "the message is parked")
    cause = groups[0]["fingerprint"]
    return {"cause": cause, "hook": hook, "clip": clip, "split": split, "waits": waits, "fails": fails, "runs": runs}


def test_every_page_is_seen_and_accessible(page: Page, system: System, work: dict[str, str]) -> None:
    told: list[object] = []
    for name, path in {
        "overview": "",
        "jobs": "/jobs",
        "job": f"/jobs/{work['split']}",
        "job-failed": f"/jobs/{work['fails']}",
        "job-running": f"/jobs/{work['runs']}",
        "new-job": f"/jobs/new?like={work['split']}",
        "bulk": "/jobs/bulk?action=cancel&kind=probe.echo",
        "dead": "/dead",
        "dead-cause": f"/dead/{work['cause']}",
        "webhook": f"/webhooks/{work['hook']}",
        "door": "/sign-in",
        "schedules": "/schedules",
        "schedule": "/schedules/form?name=nightly",
        "files": "/files",
        "file": f"/files/{work['clip']}",
        "kinds": "/kinds",
        "workers": "/workers",
        "webhooks": "/webhooks",
        "events": "/events",
        "docs-http": "/docs/http",
        "docs-messages": "/docs/messages",
        "docs-runbooks": "/docs/runbooks",
    }.items():
        answer = page.goto(f"{system.url}/console{path}")
        assert answer is not None
        if answer.status != 200:
            told.append((name, answer.status))
        told += look(page, name)
    assert told == []
