"""One measurement: jobs from one producer process until all of them are rows that say so, and who used the CPU."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.bench import profile

PATIENCE = 180.0
SHORTEST_GLANCE, LONGEST_GLANCE = 0.002, 0.1


@dataclass(frozen=True)
class Run:
    """`jobs` jobs in `seconds`; CPU seconds by the name of a process."""

    jobs: int
    seconds: float
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


class Producer:
    """A process that is connected and waits: it is told a number and sends that many jobs."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                argv, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._log = log
        self._expect("ready")

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def send(self, count: int) -> None:
        """Tell it to start; returns at once."""
        print(count, file=_pipe(self._process.stdin), flush=True)

    def sent(self) -> None:
        """Wait until it has sent them all."""
        self._expect("sent")

    def close(self) -> None:
        """End it."""
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def check(self) -> None:
        """Raises AssertionError with the end of its log if it has died."""
        if self._process.poll() is not None:
            raise AssertionError(f"the producer has died:\n{self._log.read_text()[-2000:]}")

    def _expect(self, word: str) -> None:
        line = _pipe(self._process.stdout).readline().strip()
        if line != word:
            raise AssertionError(f"the producer said {line!r} instead of {word!r}:\n{self._log.read_text()[-2000:]}")


def measure(producer: Producer, done: Callable[[], int], jobs: int, pids: Mapping[str, int]) -> Run:
    """Send jobs and wait until `done` has grown by their number."""
    before = done()
    watched = {**pids, "producer": producer.pid}
    cpu = profile.all_used(watched)
    begin = time.perf_counter()
    producer.send(jobs)
    try:
        seconds = _until(done, before + jobs, before, begin)
    except AssertionError:
        producer.check()
        raise
    after = profile.all_used(watched)
    producer.sent()
    return Run(jobs, seconds, profile.between(cpu, after))


def _until(done: Callable[[], int], target: int, before: int, begin: float) -> float:
    """Count often near the end and seldom before: counting costs the database time."""
    while True:
        count = done()
        elapsed = time.perf_counter() - begin
        if count >= target:
            return elapsed
        if elapsed > PATIENCE:
            raise AssertionError(f"{count - before} of {target - before} jobs were done after {elapsed:.0f} s")
        rate = max(count - before, 1) / elapsed
        time.sleep(min(max((target - count) / rate / 4, SHORTEST_GLANCE), LONGEST_GLANCE))


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
