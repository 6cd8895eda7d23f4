"""A slot: room for one attempt, and the warm child that runs it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from consumers.outcome import Fail, Later
from consumers.registry import Work
from consumers.runtime.child import Boot, Task
from consumers.runtime.devices import Place
from consumers.runtime.endings import FENCED, Ending
from consumers.runtime.scratch import Scratch
from consumers.runtime.warm import Warm
from infra.claims import Claim

RESTART_SECONDS = 1.0
WEIGH_SECONDS = 5.0

log = structlog.get_logger()


@dataclass
class Attempt:
    """A claim that this process holds. Once it is known how it ends, `ending` waits to be written down."""

    claim: Claim
    folder: Path
    started: float
    weigh_after: float = 0.0
    ending: Ending | None = None
    settle_after: float = 0.0


class Slot:
    """Room for one attempt at a time. Its child outlives the attempts, and is replaced when it dies."""

    def __init__(self, boot: Boot, scratch: Scratch) -> None:
        self._boot = boot
        self._scratch = scratch
        self._child: Warm | None = None
        self._not_before = 0.0
        self.attempt: Attempt | None = None
        self.place = boot.place if isinstance(boot.place, Place) else None
        self._revive()

    @property
    def free(self) -> bool:
        """Whether it can take an attempt now."""
        return self.idle and self.manned and (self.place is None or self.place.held)

    @property
    def manned(self) -> bool:
        """Whether there is a child."""
        return self._child is not None

    @property
    def idle(self) -> bool:
        """Whether it holds no claim."""
        return self.attempt is None

    def signals(self) -> list[Any]:
        """What to wait on."""
        return self._child.signals() if self._child is not None else []

    def start(self, claim: Claim) -> None:
        """Run an attempt."""
        assert self._child is not None
        assert self.attempt is None
        self.attempt = Attempt(claim, self._scratch.folder(claim), time.monotonic())
        self._child.give(Task(claim, self.attempt.folder))

    def listen(self) -> None:
        """Take the child's word, or its death, as the attempt's ending. A dead child is replaced."""
        if self._child is None:
            self._revive()
            return
        dead = self._child.dead  # asked first: what was said before the end must still be heard
        said = self._child.hear()
        if said is not None and self.attempt is not None and said.token == self.attempt.claim.token:
            self._end(said.outcome)
        if dead:
            cause = self._child.cause()
            log.warning("a child died", action="child.died", cause=cause)
            self._end(Later("child_died", f"The process that did the work died ({cause})."))
            self._bury()

    def stop(self, ending: Ending) -> None:
        """Kill the child and end the attempt so, unless it has already ended by itself."""
        if self.attempt is not None and self.attempt.ending is None:
            self._bury()
            self._end(ending)

    def fence(self) -> None:
        """The claim is lost: whatever was to be written down must not be."""
        self.stop(FENCED)
        if self.attempt is not None:
            self.attempt.ending = FENCED

    def check_limits(self) -> None:
        """End an attempt that takes too long, or too much memory or disk, for good."""
        if self.attempt is None or self.attempt.ending is not None or self._child is None:
            return
        limits = self._work[self.attempt.claim.kind].kind.limits
        if time.monotonic() - self.attempt.started > limits.wall_seconds:
            self.stop(Fail("wall_time_exceeded", f"The job ran for more than {limits.wall_seconds} s."))
        elif (used := self._child.memory()) > limits.memory_bytes:
            message = f"The job used {used >> 20} MiB of memory; the limit is {limits.memory_bytes >> 20} MiB."
            self.stop(Fail("memory_exceeded", message))
        elif (used := self._on_disk(self.attempt)) > limits.scratch_bytes:
            message = f"The job used {used >> 20} MiB of disk; the limit is {limits.scratch_bytes >> 20} MiB."
            self.stop(Fail("scratch_exceeded", message))

    def clear(self) -> None:
        """The ending is written down: make room. A child that has grown fat is replaced, so that leaks end here."""
        assert self.attempt is not None
        self._scratch.remove(self.attempt.folder)
        limits = self._work[self.attempt.claim.kind].kind.limits
        self.attempt = None
        if self._child is not None and self._child.own_memory() > limits.memory_bytes // 2:
            self._bury()

    def close(self) -> None:
        """Kill the child."""
        self._bury()
        if self.place is not None:
            self.place.close()

    @property
    def _work(self) -> Mapping[str, Work]:
        return self._boot.work

    def _on_disk(self, attempt: Attempt) -> int:
        """Bytes in the work folder, looked at now and then: it may hold many files. 0 in between."""
        now = time.monotonic()
        if now < attempt.weigh_after:
            return 0
        attempt.weigh_after = now + WEIGH_SECONDS
        return self._scratch.used(attempt.folder)

    def _end(self, ending: Ending) -> None:
        if self.attempt is not None and self.attempt.ending is None:
            self.attempt.ending = ending

    def _bury(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _revive(self) -> None:
        now = time.monotonic()
        if now >= self._not_before:
            self._not_before = now + RESTART_SECONDS
            self._child = Warm(self._boot)
