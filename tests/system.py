"""The whole system for a test: real processes on real servers, started, killed and stopped by name."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from sqlalchemy import text

from infra import db
from infra.cli.local import COMMANDS
from tests.forks import Fork, popen

T = TypeVar("T")
Launch = Callable[[Sequence[str], Mapping[str, str], Path], "Fork | subprocess.Popen[bytes]"]

#: Seconds. Only what never comes is waited for so long; a busy machine may take most of a minute to start everything.
PATIENCE = 120.0


def free_port() -> int:
    """A loopback port that nobody listens on right now, and that nobody gets who does not ask for it by number."""
    with reserved_port() as reserved:
        return int(reserved.getsockname()[1])


def reserved_port() -> socket.socket:
    """The same, and nobody else finds it free until this is closed: tests of other processes look for ports, too."""
    while True:
        port = random.randrange(10_000, 20_000)  # below those of the stacks and of the kernel
        reserved = socket.socket()
        try:
            reserved.bind(("127.0.0.1", port))
        except OSError:
            reserved.close()
            continue
        # Set when it is bound, it lets a server in that says the same, and still keeps out whoever looks as we did.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return reserved


def local_client(
    url: str, token: str | None = None, headers: Mapping[str, str] | None = None, timeout: float = PATIENCE
) -> httpx.Client:
    """Asks a server on this machine, so it does without the world's certificates: to read them takes 40 ms."""
    sent = dict(headers or {}) | ({"Authorization": f"Bearer {token}"} if token is not None else {})
    return httpx.Client(base_url=url, headers=sent, timeout=timeout, verify=False, trust_env=False)


def until(condition: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """Poll until `condition` gives something true, and return it. Fails the test, naming `what`, when it never does."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        time.sleep(0.05)


def served(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, asked for again while it is that somebody else is at the same thing: nobody waits long for that."""

    def answer() -> httpx.Response | None:
        found = ask()
        return None if found.status_code == 503 and found.json().get("code") == "busy" else found

    return until(answer, "it is not busy any more")


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie counts as one
        return False


class System:
    """Processes of one test. `environment` holds the REELMILL_* variables; logs go to `folder`."""

    def __init__(self, environment: dict[str, str], token: str, folder: Path, launch: Launch = popen) -> None:
        self._launch = launch
        self._reserved = reserved_port()
        self.port = int(self._reserved.getsockname()[1])
        self.environment = environment | {"REELMILL_HTTP_PORT": str(self.port), "REELMILL_METRICS_PORT": "0"}
        self.token = token
        self.folder = folder
        self.processes: dict[str, Fork | subprocess.Popen[bytes]] = {}
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = local_client(self.url, token)

    def start(self, *names: str, **environment: str) -> None:
        """Start processes (`splitter.2` is a second splitter); returns when the gateway, if among them, answers."""
        for name in names:
            assert name not in self.processes or self.processes[name].poll() is not None, f"{name} runs already"
            command = COMMANDS[name.partition(".")[0]]
            variables = os.environ | self.environment | environment
            self.processes[name] = self._launch(command, variables, self.folder / f"{name}.log")
        if "gateway" in names:
            until(self._answers, "the gateway answers")

    def _answers(self) -> bool:
        if self.processes["gateway"].poll() is not None:
            raise AssertionError(f"the gateway has died:\n{self.log('gateway')[-3000:]}")
        try:
            return self.http.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def log(self, name: str) -> str:
        """What a process has said so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """`kill -9`, and wait for the end."""
        self.processes[name].kill()
        self.processes[name].wait()

    def lapse(self) -> None:
        """Let the leases of running jobs be over, as if the time of a consumer that was killed had passed."""
        self._change("update jobs set lease_until = now() - interval '1 s' where state = 'running'")

    def hasten(self) -> None:
        """Let jobs that wait for another attempt be due."""
        self._change("update jobs set run_at = now() where state = 'scheduled' and attempt > 0")

    def _change(self, statement: str) -> None:
        engine = db.connect(self.environment["REELMILL_DATABASE_URL"], pool=1)
        with engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def stop_one(self, name: str) -> None:
        """SIGTERM, and wait for the end."""
        self.processes[name].terminate()
        self.processes[name].wait(timeout=PATIENCE)

    def children(self, name: str) -> list[psutil.Process]:
        """The worker children of a consumer (not Python's own resource tracker)."""
        found = psutil.Process(self.processes[name].pid).children(recursive=True)
        return [child for child in found if _is_worker(child)]

    def stop(self) -> None:
        """SIGTERM to all, then SIGKILL to those that stay."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.http.close()
        self._reserved.close()

    def upload(self, content: bytes, name: str = "file.bin") -> str:
        """Upload bytes; returns the SHA-256."""
        answer = self.http.post("/v1/files", params={"name": name}, content=content)
        assert answer.is_success, answer.text
        return str(answer.json()["sha256"])

    def submit(self, kind: str, params: dict[str, Any], **terms: Any) -> str:
        """Ask for a job; returns its id."""
        answer = self.http.post("/v1/jobs", json={"kind": kind, "params": params, **terms})
        assert answer.status_code in {200, 202}, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """One job as the gateway shows it."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.is_success, answer.text
        return dict(answer.json())

    def until_state(self, job_id: str, *states: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until a job is in one of these states."""

        def reached() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["state"] in states else None

        return until(reached, f"job {job_id} is {' or '.join(states)}", patience)
