"""The command line as a tree: every command speaks JSON, and every command that we tell people about is there."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from infra.cli import running
from infra.cli.app import app

ROOT = Path(__file__).parents[2]
#: These stay, run somebody's command, or print a script: what they print is talk.
STAY = {"up", "demo", "migrate", "console", "worker run", "inventory run", "fetch run", "producer"}
TELL = [
    ROOT / "README.md",
    ROOT / "infra" / "deploy" / "runbooks.md",
    *sorted((ROOT / "gateway" / "console").rglob("templates/**/*.html")),
    *sorted((ROOT / "infra" / "cli").glob("*.py")),
]
TREE: Any = typer.main.get_command(app)
TOLD = re.compile(r"reelmill ((?:[^\s`<#|&]+ ?)+)")


def leaves(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """The commands that do something, by the words that lead to them."""
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves(each, *path, name)
    if not hasattr(command, "commands"):
        yield " ".join(path), command


def options(command: Any) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}


def test_every_command_says_what_it_does_and_speaks_json() -> None:
    found = dict(leaves(TREE))
    assert {name for name, command in found.items() if "--json" not in options(command)} == STAY
    assert all(command.help for command in found.values())
    nodes = {"workers list", "queues list", "projects create", "collections leaderboard", "lease take", "dead replay"}
    assert nodes <= set(found)


@pytest.mark.parametrize("path", [path for path in TELL if TOLD.search(path.read_text())], ids=lambda path: path.name)
def test_every_command_that_is_told_of_is_there(path: Path) -> None:
    for told in TOLD.findall(path.read_text()):
        command = TREE
        for each in told.split(" -- ")[0].split():
            word = each.strip("\"'.,;:)").partition("|")[0]
            if hasattr(command, "commands") and re.fullmatch(r"[a-z-]+", word) and not word.startswith("-"):
                assert word in command.commands, told
                command = command.commands[word]
            elif word.startswith("--") and "{" not in word:
                assert word.partition("=")[0] in options(command), told


def test_a_terminal_that_closes_ends_no_run_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signal.SIGHUP in running.ending()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert signal.SIGHUP not in running.ending()
    finally:
        signal.signal(signal.SIGHUP, before)
