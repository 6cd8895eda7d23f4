"""From a project to a dataset, and an export of labelled data: by hand, in the browser."""

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import look
from tests.browser.test_journeys import live
from tests.gallery import Studio, place, squares
from tests.labelled import Annotations
from tests.system import System


@live
@pytest.mark.row("S3-01")
def test_from_a_film_to_an_accepted_task(page: Page, system: System, tmp_path: Path) -> None:
    told: list[object] = []
    film = system.upload(squares(tmp_path / "street.mp4", 20), "street.mp4")
    page.goto(f"{system.url}/console/projects")
    page.get_by_label("Name").fill("street")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("street")
    project = page.url.rpartition("/")[2].partition("?")[0]
    page.get_by_label("File, by its SHA-256").fill("zz")
    page.get_by_role("button", name="Make tasks").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto(f"{system.url}/console/files/{film}")
    page.get_by_role("link", name="Projects", exact=True).last.click()
    page.get_by_role("link", name="street", exact=True).click()
    expect(page.get_by_label("File, by its SHA-256")).to_have_value(film)
    page.get_by_label("Frames per second").fill("10")
    page.get_by_label("Frames per task").fill("10")
    page.get_by_role("button", name="Make tasks").click()
    page.wait_for_url(re.compile("/console/uploads/"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)  # without a reload
    told += look(page, "upload")
    studio = Studio(system)
    for n, task in enumerate(studio.tasks(project)):
        x, y = place(10 * n)
        studio.say(task["id"], 1, {"label": "car", "x": x, "y": y, "width": 40, "height": 40})
    rows.first.get_by_role("link").click()
    frame = page.locator(".framed").first
    expect(frame.locator("rect.human")).to_have_count(1)
    page.wait_for_load_state()  # before it, places are those of a page without its style
    drawn, picture = frame.locator("rect").bounding_box(), frame.locator("img").bounding_box()
    assert drawn is not None
    assert picture is not None
    x, _ = place(0)
    assert abs((drawn["x"] - picture["x"]) / picture["width"] - x / 320) < 0.02  # where the square is
    page.locator("select[name=status]").select_option(label="accepted")
    page.locator("select[name=task_status]").select_option(label="completed")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("status").first).to_contain_text("Changed")
    told += look(page, "task")
    page.goto(f"{system.url}/console/projects/{project}")
    told += look(page, "project")
    page.goto(f"{system.url}/console/projects")
    told += look(page, "projects")
    assert told == []


@live
@pytest.mark.row("S3-20")
def test_a_dataset_is_made_and_taken_away(page: Page, system: System, tmp_path: Path) -> None:
    told: list[object] = []
    studio = Studio(system)
    project = studio.project("lane")
    film = system.upload(squares(tmp_path / "lane.mp4", 20, 90), "lane.mp4")
    studio.upload(project, file=film, rate=10, frames_per_task=10)
    for task in studio.tasks(project):
        studio.say(task["id"], 1, {"label": "car", "x": 10, "y": 20, "width": 40, "height": 40})
        studio.accept(task["id"])
    page.goto(f"{system.url}/console/projects/{project}")
    page.get_by_role("link", name="Make a dataset").click()
    page.get_by_role("textbox", name="Dataset").fill("lane")
    page.get_by_role("button", name="Make and build").click()
    page.wait_for_url(re.compile(r"/console/datasets/lane/[0-9.]+"))
    archive = page.locator("a[download]")
    expect(archive).to_be_visible()  # without a reload
    expect(page.get_by_role("cell", name="training", exact=True).first).to_be_visible()
    expect(page.locator(".framed").first.locator("rect")).to_have_count(1)
    told += look(page, "dataset-version")
    with page.expect_download() as fetched:
        archive.click()
    assert Path(fetched.value.path()).read_bytes()[:2] == b"PK"
    page.goto(f"{system.url}/console/datasets/lane")
    told += look(page, "dataset")
    page.goto(f"{system.url}/console/datasets")
    told += look(page, "datasets")
    assert told == []


@live
@pytest.mark.row("S4-06")
def test_an_export_is_asked_for_watched_and_fetched_on_one_page(page: Page, system: System) -> None:
    mail = Annotations(system, "mail", labels=["bad", "good"], min_votes=1)
    mail.post("datapoints", {"data": ["good good", "bad", "good", "so bad"]})
    classifier = mail.classifier()
    page.goto(f"{system.url}/console/exports")
    told = look(page, "exports")
    page.get_by_role("link", name="mail").first.click()
    here = page.url
    page.get_by_label("json", exact=True).uncheck()
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()  # without a format there is nothing to make
    page.get_by_label("parquet").check()
    page.get_by_label("json", exact=True).check()
    page.get_by_role("button", name="Export", exact=True).click()
    link = page.get_by_role("link", name=re.compile("Download"))
    expect(link).to_be_visible()  # without a reload
    assert page.url.partition("?")[0] == here
    expect(page.locator("[data-expires]").first).to_contain_text("in ")  # when it goes
    told += look(page, "export")
    with page.expect_download() as fetched:
        link.click()
    [export] = system.http.get(f"/v1/classifiers/{classifier}/exports").json()["exports"]
    assert hashlib.sha256(Path(fetched.value.path()).read_bytes()).hexdigest() == export["sha256"]
    assert told == []
