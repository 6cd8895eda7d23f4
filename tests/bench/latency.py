"""The leased lane, one job at a time on an idle system: submit to running, finished to visible, and all of it."""

import http.client
import statistics
import time
from dataclasses import dataclass
from datetime import datetime

import orjson

from tests.bench.house import House
from tests.ground import Ground

PAUSE = 0.002
WARM_UP = 5
MOMENTS = """
select split_part(type, '.', 4), occurred_at from events
where job_id = %s and type in ('job.analyze.sleep.running', 'job.analyze.sleep.succeeded')
"""
OVERHEAD = "overhead (both)"
NAMES = ("submit → running", "finished → visible", OVERHEAD, "submit → visible, work included")


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50: float
    p99: float


def measure(ground: Ground, jobs: int) -> dict[str, Spread]:
    """The latencies of `analyze.sleep` with time 0, by name; and of a submit that prefers to wait."""
    with House(ground, processes=("gateway", "relay", "analyzer")) as house:
        file = house.system.upload(b"hello\n", "hello.txt")
        body = orjson.dumps({"kind": "analyze.sleep", "params": {"file": file, "time": 0}})
        caller = Caller(house)
        for _ in range(WARM_UP):
            caller.job(body)
        measured = [caller.job(body) for _ in range(jobs)]
        waited = [caller.waited(body) for _ in range(jobs // 3)]
        caller.close()
    named = dict(zip(NAMES, zip(*measured, strict=True), strict=True))
    return {name: _spread(values) for name, values in named.items()} | {"submit that prefers to wait": _spread(waited)}


class Caller:
    """One client on one connection."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._connection = http.client.HTTPConnection("127.0.0.1", house.system.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {house.system.token}", "Content-Type": "application/json"}

    def job(self, body: bytes) -> tuple[float, float, float, float]:
        """Seconds: until it ran, until its end was visible, both, and the whole."""
        self._house.quiet()
        begin = time.time()
        job_id = self._ask("POST", "/v1/jobs", body)["id"]
        while self._ask("GET", f"/v1/jobs/{job_id}")["state"] != "succeeded":
            time.sleep(PAUSE)
        seen = time.time()
        moments = self._moments(job_id)
        before = moments["running"].timestamp() - begin
        after = seen - moments["succeeded"].timestamp()
        return before, after, before + after, seen - begin

    def waited(self, body: bytes) -> float:
        """Seconds until the answer to a submit that waits for the end."""
        self._house.quiet()
        begin = time.perf_counter()
        job = self._ask("POST", "/v1/jobs", body, {"Prefer": "wait=20"})
        assert job["state"] == "succeeded", job
        return time.perf_counter() - begin

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None = None, more: dict[str, str] | None = None) -> dict:  # type: ignore[type-arg]
        self._connection.request(method, path, body, self._headers | (more or {}))
        answer = self._connection.getresponse()
        told = answer.read()
        assert answer.status in {200, 202}, told
        return dict(orjson.loads(told))

    def _moments(self, job_id: str) -> dict[str, datetime]:
        with self._house.connection.cursor() as cursor:
            cursor.execute(MOMENTS, (job_id,))
            return dict(cursor.fetchall())


def _spread(seconds: tuple[float, ...] | list[float]) -> Spread:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return Spread(statistics.median(seconds) * 1000, cuts[98] * 1000)
