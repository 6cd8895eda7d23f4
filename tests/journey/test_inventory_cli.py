"""Albums and fetch tasks on the command line, and runs that keep what they hold for as long as they work."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra import db
from infra.cli.app import main
from infra.cli.exits import Exit
from infra.tokens import Role
from tests.furniture import handing_out
from tests.journey.albums import ENDS, LEASES, csv, inventory, pair, run_out, submitted, taken
from tests.journey.test_items import by_state
from tests.journey.test_legacy_segments import as_role
from tests.system import System, until

HANGS_UP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


class CommandLine:
    """The command line, in this process: what it prints as JSON, and its exit code."""

    def __init__(self, system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.talk = ""
        monkeypatch.setenv("REELMILL_URL", system.url)
        monkeypatch.setenv("REELMILL_TOKEN", system.token)

    def __call__(self, *words: str, code: Exit = Exit.OK) -> Any:
        self._monkeypatch.setattr(sys, "argv", ["reelmill", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        self.talk = said.err
        assert (ended.value.code or 0) == code, said.err
        return json.loads(said.out) if said.out.startswith(("{", "[")) else None


@pytest.fixture
def reelmill(running: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(running, monkeypatch, capsys)


@pytest.mark.row("S2-23", "S2-01")
def test_the_command_line(running: System, reelmill: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_bytes(csv("k", "l", "m"))
    for inserted in (3, 0):
        job = reelmill("inventory", "import", str(tmp_path / "i.csv"), "-c", "cli", "--json")
        assert job["result"]["inserted"] == inserted
    (tmp_path / "i.csv").write_bytes(csv("k") + b"an album of nobody\n")
    reelmill("inventory", "import", str(tmp_path / "i.csv"), "-c", "cli", code=Exit.FAILED)
    assert "line 3: wrong_number_of_columns" in reelmill.talk
    for number in ("0", "101", "-1"):
        reelmill("inventory", "lease", number, "-c", "cli", code=Exit.FAILED)
        reelmill("fetch", "lease", "cli.example", number, code=Exit.FAILED)
    reelmill("inventory", "lease", "1", "--nonsense", code=Exit.USAGE)
    first = reelmill("inventory", "lease", "1", "-c", "cli")
    (tmp_path / "found.json").write_text(json.dumps({str(first["albums"][0]["id"]): [pair("cli.example", 5)]}))
    assert reelmill("inventory", "submit", str(tmp_path / "found.json"), "-c", "cli")["success"]
    (tmp_path / "found.json").write_text('{"999999999": []}')
    reelmill("inventory", "submit", str(tmp_path / "found.json"), "-c", "cli", code=Exit.NOT_FOUND)
    search = ("sh", "-c", 'if [ "$0" = l ]; then echo "HTTPS://cli.example/ 6"; echo "cli.example 7"; fi', "{album}")
    reelmill("inventory", "run", "9", "-c", "cli", "--", *search)
    assert by_state(running, "cli") == {"completed": 2, "available": 1}
    lease = reelmill("fetch", "lease", "cli.example", "1")
    assert reelmill("fetch", "extend", lease["lease"])["open"] == 1
    assert reelmill("fetch", "release", lease["lease"])["released"] == 1
    fetch = ("sh", "-c", '[ "$0" = 5 ] && exit 44; [ "$0" = 6 ] && exit 3; echo working; echo "/music/$0"', "{id}")
    reelmill("fetch", "run", "cli.example", "100", "--", *fetch, code=Exit.FAILED)
    reelmill("fetch", "run", "cli.example", "100", "--", "echo", "", code=Exit.FAILED)
    assert "the command printed no location" in reelmill.talk
    assert "exit code 0" not in reelmill.talk
    tasks = reelmill("fetch", "list", "--host", "cli.example", "--json")
    assert [(t["external_id"], t["state"], t["location"]) for t in tasks] == [
        ("5", "unavailable", None),
        ("6", "open", None),
        ("7", "filled", "/music/7"),
    ]
    assert reelmill("fetch", "deliver", str(tasks[1]["id"]), "/music/6")["results"][0]["outcome"] == "done"
    reelmill("fetch", "unavailable", str(tasks[1]["id"]), "gone", code=Exit.CONFLICT)
    assert reelmill("inventory", "stats", "-c", "cli", "--json")["by_state"]["available"] == 2


#: A command that says its word; if there is a pipe of that name, not before somebody has opened it.
SAYS = ("sh", "-c", '[ -p "$1/$0" ] && cat "$1/$0"; echo "$2"')


class Meanwhile(threading.Thread):
    """What happens while a command is at work, which waits at a pipe. Join it to hear what went wrong."""

    def __init__(self, pipe: Path, happens: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        os.mkfifo(pipe)
        self._pipe, self._happens = pipe, happens
        self._error: BaseException | None = None

    def run(self) -> None:
        gate = until(self._opened, "the command is at work")
        try:
            self._happens()
        except BaseException as error:
            self._error = error
        finally:
            self._pipe.unlink()
            os.close(gate)

    def _opened(self) -> int | None:
        try:
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            return None

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        if self._error is not None:
            raise self._error


@pytest.mark.row("S2-21", "S2-23")
def test_a_run_holds_its_lease_as_long_as_a_command_takes(
    running: System, reelmill: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, host = inventory(running, "slow", ttl=3600), f"{uuid.uuid4().hex[:8]}.example"
    monkeypatch.setattr("infra.cli.running.BEATS", 36_000)
    lease = f"/v1/collections/{name}/items/slow%1FArtist of slow"

    def extended() -> None:
        for _ in range(3):
            later(running, name, ends(running, name))

    meanwhile = Meanwhile(tmp_path / "slow", extended)
    meanwhile.start()
    reelmill("inventory", "run", "9", "-c", name, "--", *SAYS, "{album}", str(tmp_path), f"{host} 1")
    meanwhile.join()
    assert running.http.get(lease).json()["state"] == "completed"
    [task] = running.http.get("/v1/fetch-tasks", params={"host": host}).json()["tasks"]
    here = f"/v1/fetch-tasks/{task['id']}"

    def fetched() -> None:
        until(lambda: len(running.http.get(here).json()["history"]) > 6, "the lease is extended")

    meanwhile = Meanwhile(tmp_path / "1", fetched)
    meanwhile.start()
    reelmill("fetch", "run", host, "9", "--ttl", "3600", "--", *SAYS, "{id}", str(tmp_path), "/music/1")
    meanwhile.join()
    assert running.http.get(here).json()["location"] == "/music/1"


def ends(system: System, name: str) -> datetime:
    """When the lease over items of a collection ends."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        found: datetime = connection.execute(ENDS, {"name": name}).scalar_one()
    engine.dispose()
    return found


def later(system: System, name: str, than: datetime) -> None:
    """Wait until a lease ends later."""
    until(lambda: ends(system, name) > than, "the lease is extended")


@pytest.mark.row("S2-21", "S2-23", "S2-06")
def test_a_run_that_loses_its_lease_goes_on(running: System, reelmill: CommandLine, tmp_path: Path) -> None:
    name = inventory(running, "x", "y", "z", ttl=3600)

    def lose() -> None:
        run_out(running, LEASES, name=name)
        until(lambda: by_state(running, name) == {"available": 3}, "the lease is over")
        until(lambda: one_taken(running.http, name) == "x", "somebody else has the first")

    meanwhile = Meanwhile(tmp_path / "x", lose)
    meanwhile.start()
    words = ("inventory", "run", "9", "-c", name, "--", *SAYS, "{album}", str(tmp_path), "lost.example {id}")
    with as_role(running, Role.WORKER, "slow") as slow:
        reelmill("--token", slow.headers["authorization"].removeprefix("Bearer "), *words, code=Exit.FAILED)
    meanwhile.join()
    assert reelmill.talk.count("[lease_ended]") == 1
    assert "2 done, 1 not" in reelmill.talk
    assert by_state(running, name) == {"leased": 1, "completed": 2}


def one_taken(http: httpx.Client, name: str) -> str | None:
    """Take one album; nothing while the collection is busy."""
    albums = http.post("/metadata/1", params={"collection": name}).json().get("albums", ())
    return albums[0]["album"] if albums else None


@pytest.mark.row("S2-23")
def test_an_interrupted_run_gives_back_what_it_holds(running: System) -> None:
    name, host = inventory(running, "i", "j", "k"), f"{uuid.uuid4().hex[:8]}.example"
    ids = taken(running.http, name, 1)
    submitted(running.http, name, {str(ids["i"]): [pair(host, n) for n in range(3)]})
    leased = {"host": host, "state": "leased"}
    albums: tuple[tuple[str, ...], Callable[[], Any]] = (
        ("inventory", "run", "9", "-c", name),
        lambda: by_state(running, name).get("leased"),
    )
    tasks: tuple[tuple[str, ...], Callable[[], Any]] = (
        ("fetch", "run", host, "9"),
        lambda: running.http.get("/v1/fetch-tasks", params=leased).json()["tasks"],
    )
    for number, (words, holds) in (
        (signal.SIGINT, albums),
        (signal.SIGTERM, tasks),
        (signal.SIGHUP, albums),
        (signal.SIGHUP, tasks),
    ):
        started = subprocess.Popen(
            # What a suite under `nohup` starts does not hear of a terminal that closes.
            [sys.executable, "-c", f"{HANGS_UP}; from infra.cli.app import main; main()", *words, "--", "sleep", "600"],
            env=os.environ | {"REELMILL_URL": running.url, "REELMILL_TOKEN": running.token},
            start_new_session=True,
        )
        until(holds, "it has its lease")
        os.kill(started.pid, number)
        assert started.wait(timeout=120) == 130
        assert not holds()
