"""`reelmill up`: everything starts, mends itself, and leaves nothing behind."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from infra.stack import endpoints
from infra.stack.endpoints import Endpoints
from tests.system import local_client, until

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("REELMILL_")}


def reelmill(home: Path) -> list[str]:
    """The command, for this home."""
    return [sys.executable, "-c", "from infra.cli.app import main; main()", "--home", str(home)]


def said(home: Path, *arguments: str) -> str:
    """What a command prints that knows nothing but the home."""
    command = [*reelmill(home), *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    command = [*reelmill(tmp_path / "home"), "up"]
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
        yield process, tmp_path / "home"
        process.terminate()
        process.wait(timeout=300)


def running(home: Path) -> list[psutil.Process]:
    """The processes that work on this home, whoever is their parent now."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return process.environ().get("REELMILL_HOME") == str(home)
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


@pytest.mark.row("X-12", "X-13")
def test_up_serves_mends_and_leaves_nothing(up: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, home = up

    def ready() -> Endpoints | None:
        assert process.poll() is None, (home.parent / "up.log").read_text()
        found = endpoints.read(home)
        return found if found is not None and found.http is not None else None

    where = until(ready, "everything is up", patience=600)
    assert where.http is not None
    assert stat.S_IMODE((home / "endpoints.json").stat().st_mode) == 0o600
    for name, url in where.metrics.items():
        assert httpx.get(url, timeout=120).is_success, name
    next(p for p in running(home) if "analyzer" in p.cmdline()).kill()
    with local_client(where.http, where.token) as http:
        file = http.post("/v1/files", params={"name": "a"}, content=b"hello").json()["sha256"]
        job = http.post("/v1/jobs", json={"kind": "analyze.sleep", "params": {"file": file, "time": 0}}).json()["id"]
        until(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "succeeded", "a new analyzer does the job")
    made = said(home, "token", "create", "someone", "--role", "reader")
    theirs = httpx.get(f"{where.http}/v1/jobs", headers={"Authorization": f"Bearer {made.strip()}"}, timeout=120)
    assert theirs.status_code == 200
    kept = json.loads(said(home, "backup", str(home.parent / "kept"), "--json"))
    assert kept["objects"] == len(("the file", "what the job made of it"))

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 0
    assert running(home) == []
    assert endpoints.read(home) is None
