"""A browser for the tests: Debian's chromium through Playwright, with a profile of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.system import System

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
OUTPUT = Path(__file__).parents[1] / "output"
BROKEN_ON_PURPOSE = "net::ERR_FAILED"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    """Everything, on real servers."""
    shared.start("gateway", "relay", "splitter", "analyzer", "dispatcher", "keeper", REELMILL_WEBHOOK_PRIVATE="1")
    return shared


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One browser for a module. Whatever asks another host than ours, or breaks the content policy, fails the test."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    OUTPUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=str(CHROMIUM),
            headless=True,
            args=list(FLAGS),
            viewport={"width": 1360, "height": 900},
            color_scheme="light",
        )
        context.set_default_timeout(20_000)
        yield context
        context.close()


@pytest.fixture(scope="module")
def page(browser: BrowserContext, system: System) -> Iterator[Page]:
    """A page that has signed in with a link, as `reelmill console` prints it."""
    opened = browser.pages[0] if browser.pages else browser.new_page()
    wrong: list[str] = []
    opened.on(
        "console",
        lambda said: wrong.append(said.text) if said.type == "error" and BROKEN_ON_PURPOSE not in said.text else None,
    )
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request",
        lambda asked: wrong.append(asked.url) if not asked.url.startswith((system.url, "data:", "blob:")) else None,
    )
    opened.goto(f"{system.url}/console/sign-in#{system.token}")
    opened.wait_for_url(f"{system.url}/console")
    yield opened
    assert wrong == []
