"""What people do in the console, done by a browser: act on jobs, see them live, upload through a broken connection."""

import hashlib
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

import gateway.console
from infra.cli.demo import sample
from tests.browser.conftest import PATIENCE
from tests.system import System, until

BROUGHT = (Path(gateway.console.__path__[0]) / "vendor" / "htmx.min.js").exists()
live = pytest.mark.skipif(not BROUGHT, reason="the console's scripts were not fetched from npm")


@live
@pytest.mark.row("X-14")
def test_a_list_lives_until_it_is_paused(page: Page, system: System) -> None:
    page.goto(f"{system.url}/console/jobs?kind=probe.echo")
    switch = page.get_by_role("button", name="Live updates")
    expect(switch).to_contain_text("Live")
    first = system.submit("probe.echo", {"text": "seen"})
    expect(page.locator(f'a[href$="{first}"]').first).to_be_visible()
    switch.click()
    expect(switch).to_contain_text("Paused")
    expect(page.locator(".htmx-request")).to_have_count(0)  # what was asked for before is answered
    second = system.submit("probe.echo", {"text": "unseen"})
    system.until_state(second, "succeeded")
    expect(page.locator(f'a[href$="{second}"]')).to_have_count(0)
    switch.click()
    expect(page.locator(f'a[href$="{second}"]').first).to_be_visible()


def test_many_are_cancelled_after_they_were_counted(page: Page, system: System) -> None:
    later = [system.submit("probe.echo", {"text": "n"}, run_at="2100-01-01T00:00:00Z") for _ in range(3)]
    page.goto(f"{system.url}/console/jobs?state=scheduled&kind=probe.echo")
    page.get_by_role("link", name="Cancel all that match").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel 3 jobs?")
    page.get_by_role("button", name="Cancel 3 jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("jobs.bulk")
    for job_id in later:
        system.until_state(job_id, "cancelled")


def test_a_failed_job_is_understood_and_retried_with_all_of_its_cause(page: Page, system: System) -> None:
    note = system.upload(b"no video", "note.txt")
    failed = system.submit("split.video", {"file": note, "rate": "1"})
    system.until_state(failed, "failed")
    page.goto(f"{system.url}/console/dead")
    row = page.get_by_role("row", name=re.compile("unreadable_video"))
    expect(row).to_contain_text("split.video")
    row.get_by_role("button", name=re.compile("Retry")).click()
    page.wait_for_url(re.compile("/console/jobs/"))
    until(lambda: len(_attempts(system, failed)) == 2, "it was tried once more")
    page.goto(f"{system.url}/console/jobs/{failed}")
    expect(page.locator(".timeline").first.get_by_role("listitem")).to_have_count(2)


def test_a_kind_is_paused_limited_and_resumed(page: Page, system: System) -> None:
    page.goto(f"{system.url}/console/kinds")
    page.get_by_role("button", name="Pause analyze.sleep").click()
    expect(page.get_by_role("status").first).to_contain_text("Paused")
    assert _kind(system, "analyze.sleep")["paused"]
    page.get_by_role("button", name="Resume analyze.sleep").click()
    page.get_by_label("Jobs at once of analyze.sleep").fill("7")
    page.get_by_role("button", name="Set limits of analyze.sleep").click()
    expect(page.get_by_label("Jobs at once of analyze.sleep")).to_have_value("7")
    assert not _kind(system, "analyze.sleep")["paused"]
    assert _kind(system, "analyze.sleep")["concurrency"] == 7


def test_a_job_comes_again_and_again(page: Page, system: System) -> None:
    job = system.submit("probe.echo", {"text": "every night"})
    page.goto(f"{system.url}/console/jobs/{job}")
    page.get_by_role("link", name="Again and again").click()
    expect(page.locator("select[name=kind]")).to_have_value("probe.echo")
    page.get_by_label("Name").fill("by-hand")
    page.get_by_label("When, as cron").fill("0 3 * *")
    page.get_by_label("Whose clock").fill("Europe/Berlin")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("five fields")
    expect(page.get_by_label("Parameters, as JSON")).to_have_value(re.compile("every night"))  # nothing typed is lost
    page.get_by_label("When, as cron").fill("0 3 * * *")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="by-hand", exact=True).click()
    page.get_by_label("Enabled").uncheck()
    page.get_by_label("Parameters, as JSON").fill("{")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("not JSON")
    page.get_by_label("Parameters, as JSON").fill('{"text": "never"}')
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name="by-hand")
    expect(row).to_contain_text("paused")
    kept = system.http.get("/v1/schedules/by-hand").json()
    assert (kept["params"], kept["timezone"], kept["enabled"]) == ({"text": "never"}, "Europe/Berlin", False)
    page.get_by_role("link", name="New schedule").click()
    page.get_by_label("Name").fill("by-hand")
    page.get_by_label("When, as cron").fill("* * * * *")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("There is a schedule of this name")
    page.goto(f"{system.url}/console/schedules")
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_a_video_is_asked_for_by_hand_and_its_result_plays(page: Page, system: System) -> None:
    clip = system.upload(sample().read_bytes(), sample().name)
    page.goto(f"{system.url}/console/files/{clip}")
    able = page.locator("section", has=page.get_by_role("heading", name="Do something with it"))
    able.get_by_role("link", name="split.video", exact=True).click()
    text = page.get_by_label("Parameters, as JSON")
    text.fill(text.input_value().replace("}", ', "rate": "1"}'))
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("/console/jobs/[0-9a-f-]{36}"))
    job_id = page.url.rpartition("/")[2].partition("?")[0]
    system.until_state(job_id, "succeeded", patience=120)
    page.goto(f"{system.url}/console/jobs/{job_id}")
    film = page.locator(".gallery video").first
    film.evaluate("film => { film.muted = true; return film.play(); }")
    until(lambda: film.evaluate("film => film.currentTime") > 0, "the film plays")


@live
@pytest.mark.row("S1-01")
def test_an_upload_that_broke_goes_on_where_it_stopped(page: Page, system: System, tmp_path: Path) -> None:
    content = random.Random(8).randbytes(20 * 1024 * 1024)
    (tmp_path / "film.bin").write_bytes(content)
    offsets: list[int] = []

    def break_after_the_first(route: Route) -> None:
        offsets.append(int(route.request.headers.get("upload-offset", "-1")))
        if offsets[-1] > 0:
            route.abort()
        else:
            route.continue_()

    def patches(route: Route) -> None:
        break_after_the_first(route) if route.request.method == "PATCH" else route.continue_()

    page.goto(f"{system.url}/console/files")
    page.route("**/v1/resumable/*", patches)
    page.set_input_files("input[type=file]", tmp_path / "film.bin")
    expect(page.locator("[data-queue] [data-state]")).to_contain_text("8.4 MB of")  # the first piece has arrived
    while len(offsets) < 2:
        page.wait_for_event("requestfailed")
    page.reload()  # the tab is closed and opened again
    page.unroute("**/v1/resumable/*")
    with page.expect_request(lambda asked: asked.method == "PATCH") as resumed:
        page.set_input_files("input[type=file]", tmp_path / "film.bin")
    assert int(resumed.value.headers["upload-offset"]) == 8 * 1024 * 1024
    done = page.locator("[data-done]")
    expect(done).to_have_attribute("data-done", hashlib.sha256(content).hexdigest())
    got = system.http.get(f"/v1/files/{hashlib.sha256(content).hexdigest()}").json()
    assert (got["name"], got["size"]) == ("film.bin", len(content))


def test_pages_work_without_scripts_and_by_keyboard(browser: BrowserContext, page: Page, system: System) -> None:
    page.goto(f"{system.url}/console")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    plain = browser.browser.new_context(java_script_enabled=False) if browser.browser else None
    if plain is None:
        pytest.skip("this browser has no second profile")
    plain.set_default_timeout(PATIENCE)
    other = plain.new_page()
    other.goto(f"{system.url}/console/jobs")
    other.get_by_label("Token").fill(system.token)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Jobs")
    other.get_by_role("link", name="New job").click()
    other.locator("select[name=kind]").select_option("probe.echo")
    other.get_by_label("Parameters, as JSON").fill('{"text": "no scripts"}')
    other.get_by_role("button", name="Submit").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("probe.echo")
    plain.close()


def _attempts(system: System, job_id: str) -> list[str]:
    facts = system.http.get(f"/v1/jobs/{job_id}/events").json()["events"]
    return [fact["type"] for fact in facts if fact["type"].endswith(".running")]


def _kind(system: System, name: str) -> dict[str, object]:
    return next(kind for kind in system.http.get("/v1/kinds").json()["kinds"] if kind["name"] == name)
