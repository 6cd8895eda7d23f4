"""A collection as people run it: made, filled from a file with wrong lines, watched, and old leases released."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import look
from tests.browser.test_journeys import live
from tests.system import System, until

LINES = "key,partition,minutes\n" + "".join(f"clip-{n:02d},{'eval' if n % 4 else 'train'},{n}\n" for n in range(24))
WRONG = "clip-99,eval\n,eval,3\nclip-01,eval,1\n"


@pytest.fixture(scope="module")
def leasing(system: System) -> None:
    """Items can be had: the dispatcher hears orders, and the gateway its answers."""
    until(lambda: "reelmill.leases" in system.log("dispatcher"), "the dispatcher has its queue")
    assert system.http.put("/v1/collections/noon", json={}).status_code == 201
    until(lambda: system.http.post("/v1/collections/noon/leases", json={"count": 1}).is_success, "an order is answered")


@live
@pytest.mark.row("S0-01")
def test_a_collection_is_made_and_filled_from_a_file(page: Page, system: System, tmp_path: Path) -> None:
    page.goto(f"{system.url}/console/collections")
    page.get_by_label("Name").fill("night shift")
    page.locator("form").last.evaluate("form => { form.noValidate = true; }")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Name").fill("night")
    page.get_by_label("Lease, seconds").fill("600")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("night")

    (tmp_path / "items.csv").write_text(LINES + WRONG)
    page.set_input_files("input[type=file]", tmp_path / "items.csv")
    page.get_by_role("button", name="Import").click()
    page.wait_for_url(re.compile("/imports/"))
    lines = page.get_by_role("region", name="Lines to look at").get_by_role("row")
    expect(lines).to_have_count(4)  # a header, two that made no item, one that came twice
    expect(lines.nth(1)).to_contain_text("wrong_number_of_columns")
    expect(lines.nth(2)).to_contain_text("empty_key")
    expect(lines.nth(3)).to_contain_text("clip-01")
    assert look(page, "import") == []


@live
@pytest.mark.row("S0-18", "S0-19")
def test_a_collection_is_watched_and_rid_of_old_leases(page: Page, system: System, leasing: None) -> None:
    told: list[object] = []
    here = "/v1/collections/dusk"
    assert system.http.put(here, json={"ttl": 600}).status_code == 201
    items = [{"key": f"clip-{n:02d}", "partition": "eval" if n % 4 else "train"} for n in range(24)]
    assert system.http.post(f"{here}/items", json={"items": items}).is_success
    lease = system.http.post(f"{here}/leases", json={"count": 6, "worker": "dusk-1"}).json()
    results = [{"key": item["key"], "state": "completed"} for item in lease["items"][:4]]
    results.append({"key": lease["items"][4]["key"], "state": "missing", "error": "private"})
    assert system.http.post(f"{here}/leases/{lease['lease']}/submit", json={"results": results}).is_success
    page.goto(f"{system.url}/console/collections/dusk")
    expect(page.get_by_role("region", name="Leaderboard").get_by_role("row", name="dusk-1")).to_contain_text("4")
    system.http.post(f"{here}/leases", json={"count": 3, "worker": "dusk-2", "partition": "eval"})
    feed = page.locator("section", has=page.get_by_role("heading", name="Live feed"))
    expect(feed.get_by_role("listitem").first).to_contain_text("dusk-2 took 3")  # without a reload
    told += look(page, "collection")

    page.goto(f"{system.url}/console/workers")
    expect(page.get_by_role("row", name=re.compile("dusk-2"))).to_contain_text("3")
    told += look(page, "workers-items")

    page.goto(f"{system.url}/console/collections/dusk")
    page.get_by_label("Taken more than so many hours ago").fill("0")
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_role("status").first).to_contain_text("Released")
    counts = system.http.get(f"{here}/counts").json()["by_state"]
    assert (counts["available"], counts["leased"], counts["completed"], counts["missing"]) == (19, 0, 4, 1)
    again = system.http.post(f"{here}/leases", json={"count": 24, "worker": "dusk-3"}).json()["items"]
    assert {item["attempt"] for item in again} == {1}  # what was released does not count as tried
    assert system.http.post(f"{here}/release", json={"older_than": 3600}).json() == {"leases": 0, "items": 0}

    page.goto(f"{system.url}/console/collections/dusk/items?state=missing")
    told += look(page, "items")
    page.locator("td a").click()
    expect(page.get_by_role("table")).to_contain_text("private")
    told += look(page, "item")
    page.get_by_role("link", name="items", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Collection dusk")
    told += look(page, "index")
    page.goto(f"{system.url}/console/collections")
    expect(page.get_by_role("row", name=re.compile("dusk"))).to_be_visible()
    told += look(page, "collections")
    assert told == []
