"""A film with its points: they lie where they are, step by step, and the plots and the view in space go along."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import look
from tests.dots import scene
from tests.system import System, until

FRAMES = 24
TRACKER = {
    "points": [{"name": name, "colour": colour} for name, colour in scene.COLOURS.items()],
    "skeleton": scene.SKELETON,
}
#: Whether the overlay has anything near a place of the film.
DRAWN = """([x, y]) => {
  const canvas = document.querySelector("[data-overlay]");
  const film = document.querySelector("[data-film]");
  const scale = canvas.width / film.videoWidth;
  const [left, top] = [x, y].map((at) => Math.round((at + 0.5) * scale) - 1);
  const seen = canvas.getContext("2d").getImageData(left, top, 3, 3);
  return seen.data.some((value, n) => n % 4 === 3 && value > 0);
}"""
PIXELS = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.reduce(
  (all, value, n) => (all * 31 + value * (n % 97)) % 1000003, 7)"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[scene.Clip, scene.Clip]:
    folder = tmp_path_factory.mktemp("clips")
    space = scene.path_in_space(FRAMES, 0.3)
    hidden = {number: (scene.POINTS.index("tail"),) for number in range(10, 14)}
    first = scene.film(folder / "left.mp4", "camera-1", space, 1, hidden)
    return first, scene.film(folder / "right.mp4", "camera-2", space, 2)


@pytest.fixture(scope="module")
def analyses(system: System, clips: tuple[scene.Clip, scene.Clip]) -> dict[str, str]:
    """A labelled film of one camera, and points in space from two."""
    assert system.http.post("/v1/models", json={"name": "dots", "kind": "tracker", "tracker": TRACKER}).is_success
    cameras = [{"name": name, "projection": c.projection.tolist()} for name, c in scene.CAMERAS.items()]
    rig = {"name": "stereo", "kind": "rig", "cameras": cameras, "models": ["dots"]}
    assert system.http.post("/v1/models", json=rig).is_success
    left, right = (system.upload(clip.path.read_bytes(), clip.path.name) for clip in clips)
    made = {
        "label": system.submit("analyze.label", {"file": left, "model": "dots"}),
        "space": system.submit("analyze.label_3d", {"file": left, "file2": right, "model": "stereo"}),
    }
    for job_id in made.values():
        system.until_state(job_id, "succeeded")
    return made


def at(page: Page) -> int:
    return int(page.locator("[data-analysis]").get_attribute("data-frame") or -1)


def go(page: Page, system: System, job_id: str) -> None:
    page.goto(f"{system.url}/console/analyses/{job_id}")
    await_film(page)
    reach(page, 0)


def await_film(page: Page) -> None:
    """Wait for the coordinates, and for the film itself: without its length nothing can be looked for in it."""
    expect(page.locator("[data-ready]")).to_be_visible()
    film = page.locator("[data-film]")
    until(lambda: film.evaluate("film => film.readyState >= 2 && !film.seeking"), "the film is there")


def reach(page: Page, frame: int) -> None:
    """Wait for a frame. The browser may still tell of the one before, once, when it next paints."""
    shown = page.locator("[data-analysis]")
    expect(shown).to_have_attribute("data-frame", str(frame))
    page.evaluate("() => new Promise((painted) => requestAnimationFrame(painted))")
    expect(shown).to_have_attribute("data-frame", str(frame))


def drawn(page: Page, places: Any) -> list[bool]:
    return [bool(page.evaluate(DRAWN, [float(x), float(y)])) for x, y in places]


def same(page: Page, places: Any, expected: list[bool]) -> bool:
    return drawn(page, places) == expected


@pytest.mark.row("S1-09", "S1-10")
def test_points_lie_on_the_film_step_by_step(
    page: Page, system: System, analyses: dict[str, str], clips: tuple[scene.Clip, scene.Clip]
) -> None:
    truth = clips[0]
    go(page, system, analyses["label"])
    for step in range(1, 11):
        if step % 2:
            page.keyboard.press(".")
        else:
            page.get_by_role("button", name="Next frame").click()
        reach(page, step)
        expected = truth.visible[step].tolist()
        until(partial(same, page, truth.pixels[step], expected), f"the points of frame {step} lie where they are")
    page.keyboard.press(",")
    reach(page, 9)
    page.get_by_role("button", name="Next unsure").click()
    reach(page, 10)  # there the tail is hidden
    row = page.locator("[data-values] tr", has_text="nose")
    shown = [float(text) for text in row.locator("td").all_inner_texts()[1:3]]
    assert np.allclose(shown, truth.pixels[10, 0], atol=1)
    page.get_by_label("nose").uncheck()
    assert drawn(page, truth.pixels[10, :1]) == [False]
    page.get_by_label("nose").check()
    page.get_by_role("checkbox", name="Points").uncheck()
    assert not any(drawn(page, truth.pixels[10]))
    page.get_by_role("checkbox", name="Points").check()
    assert look(page, "film") == []


def test_plots_follow_the_film_and_lead_it(page: Page, system: System, analyses: dict[str, str]) -> None:
    page.goto(f"{system.url}/console/jobs/{analyses['label']}")
    page.get_by_role("link", name="Watch it").click()
    await_film(page)
    plot = page.get_by_role("slider", name="Likelihood over time")
    before = plot.evaluate(PIXELS)
    plot.focus()
    page.keyboard.press("End")
    reach(page, FRAMES - 1)
    expect(plot).to_have_attribute("aria-valuenow", str(FRAMES - 1))
    assert plot.evaluate(PIXELS) != before  # the cursor has moved
    box = plot.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 44 + (box["width"] - 44) / 2, box["y"] + 20)
    until(lambda: abs(at(page) - (FRAMES - 1) / 2) <= 1, "a click goes to the middle")
    page.emulate_media(color_scheme="dark")
    ink = plot.evaluate("canvas => getComputedStyle(canvas).color")
    levels = [int(part) for part in re.findall(r"\d+", ink)[:3]]
    assert min(levels) > 128  # light on dark


@pytest.mark.row("S1-10")
def test_a_labelled_film_plays(page: Page, system: System, analyses: dict[str, str]) -> None:
    go(page, system, analyses["label"])
    page.locator("[data-view]").select_option(label="Labelled film")
    film = page.locator("[data-film]")
    expect(film).to_have_attribute("src", re.compile("/content$"))
    await_film(page)
    page.get_by_role("button", name="Play", exact=True).click()
    until(lambda: film.evaluate("film => film.currentTime") > 0.2, "the film plays")
    until(lambda: at(page) > 0, "its frames are counted")


@pytest.mark.row("S1-13", "S1-14")
def test_points_in_space_turn(page: Page, system: System, analyses: dict[str, str]) -> None:
    go(page, system, analyses["space"])
    space = page.locator("[data-space]")
    until(lambda: space.evaluate("canvas => canvas.width") > 300, "space is drawn")
    first = space.evaluate(PIXELS)
    space.focus()
    page.keyboard.press("ArrowLeft")
    turned = space.evaluate(PIXELS)
    assert turned != first
    page.get_by_role("button", name="Reset view").click()
    assert space.evaluate(PIXELS) == first
    page.get_by_role("button", name="Next frame").click()
    reach(page, 1)
    assert space.evaluate(PIXELS) != first
    second = page.locator("[data-view]")
    second.select_option(label="right.mp4")
    document = json.loads(page.locator("[data-analysis]").get_attribute("data-analysis") or "{}")
    assert [view["name"] for view in document["views"]] == ["left.mp4", "right.mp4"]
    assert len({view["table"] for view in document["views"]}) == 2
    expect(page.locator("[data-film]")).to_have_attribute("src", document["views"][1]["video"])
    in_space = page.locator("video[aria-label='Film of the points in space']")
    in_space.evaluate("film => { film.muted = true; return film.play(); }")
    until(lambda: in_space.evaluate("film => film.currentTime") > 0, "the film of space plays")
    told = look(page, "film-space")
    page.goto(f"{system.url}/console/analyses")
    told += look(page, "analyses")
    assert told == []


def test_a_model_is_registered_looked_at_and_deleted(page: Page, system: System, tmp_path: Path) -> None:
    page.goto(f"{system.url}/console/models")
    text = page.get_by_label("The model, as JSON")
    text.fill('{"name": "fly", "kind": "tracker"}')
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("alert")).to_contain_text("tracker")
    text.fill('{"name": "fly", "kind": "tracker", "tracker": {"points": [{"name": "head", "colour": [250, 0, 0]}]}}')
    told = look(page, "models")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("fly")
    told += look(page, "model")
    assert system.http.get("/v1/models/fly").json()["points"] == ["head"]
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(re.compile("/console/models"))
    assert system.http.get("/v1/models/fly").status_code == 404
    assert told == []
