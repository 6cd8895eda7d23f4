"""A browser for the tests: Debian's chromium through Playwright, with a profile of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from sqlalchemy import Engine

import gateway.console
from infra.stack import Stack
from tests.conftest import new_database, new_environment, new_system
from tests.system import System
from tests.vhosts import Vhosts

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
OUTPUT = Path(__file__).parents[1] / "output"
AXE = Path(gateway.console.__path__[0]) / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: A connection that a test cuts, and forms that it fills in wrongly.
ON_PURPOSE = ("net::ERR_FAILED", "status of 400", "status of 409")
#: Milliseconds that a busy machine may take to show something.
PATIENCE = 180_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


#: Everything that a page shows something of.
PROCESSES = ("gateway", "relay", "splitter", "analyzer", "pose", "dispatcher", "keeper", "exporter")


@pytest.fixture(scope="package")
def system(stack: Stack, admin: Engine, vhosts: Vhosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Everything, on real servers; one for all modules here."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("browser")
    with (
        vhosts.one() as vhost,
        new_system(new_environment(stack, new_database(stack, admin), vhost, folder), folder) as running,
    ):
        running.start(*PROCESSES, REELMILL_WEBHOOK_PRIVATE="1")
        yield running


@pytest.fixture(scope="package")
def browser(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One browser for all modules here, and for no longer: as long as it lives, its library keeps an event loop."""
    OUTPUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=str(CHROMIUM),
            headless=True,
            args=list(FLAGS),
            viewport={"width": 1360, "height": 900},
            color_scheme="light",
            timeout=PATIENCE,
        )
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield context
        context.close()


@pytest.fixture(scope="package")
def signed_in(browser: BrowserContext, system: System) -> tuple[Page, list[str]]:
    """A page that has signed in with a link, as `reelmill console` prints it, and what went wrong on it."""
    opened = browser.pages[0] if browser.pages else browser.new_page()
    wrong: list[str] = []
    opened.on(
        "console",
        lambda said: (
            wrong.append(said.text)
            if said.type == "error" and not any(each in said.text for each in ON_PURPOSE)
            else None
        ),
    )
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request",
        lambda asked: wrong.append(asked.url) if not asked.url.startswith((system.url, "data:", "blob:")) else None,
    )
    opened.on("dialog", lambda asked: asked.accept())
    opened.goto(f"{system.url}/console/sign-in#{system.token}")
    opened.wait_for_url(f"{system.url}/console")
    return opened, wrong


@pytest.fixture
def page(signed_in: tuple[Page, list[str]]) -> Iterator[Page]:
    """The page. Whatever asks another host than ours, or breaks the content policy, fails the test."""
    opened, wrong = signed_in
    wrong.clear()
    opened.emulate_media(color_scheme="light", reduced_motion="reduce")
    yield opened
    assert wrong == []


def look(page: Page, name: str) -> list[object]:
    """A picture in each theme; what axe finds in either."""
    told: list[object] = []
    page.wait_for_load_state()
    if AXE.exists():
        # In the page's own world, as a script would be: the content policy forbids anything else.
        page.evaluate(AXE.read_text())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.screenshot(path=OUTPUT / f"{name}-{scheme}.png", full_page=False)
        if AXE.exists():
            only = TAGS if scheme == "light" else ["color-contrast"]  # nothing else differs in the dark
            terms = {"runOnly": only, "resultTypes": ["violations"], "preload": False}
            found: list[dict[str, Any]] = page.evaluate("async terms => (await axe.run(terms)).violations", terms)
            told += [(name, scheme, v["id"], [node["html"][:160] for node in v["nodes"]][:3]) for v in found]
    return told
