"""What the servers have in common: they start, answer, stop and can be killed, on the same ports and data each time."""

import contextlib
import http.client
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from infra.stack.errors import StackError
from infra.stack.home import Identity
from infra.stack.ports import HOST, Block, Port
from infra.stack.processes import Process, ProcessRecord, Program

#: Only what never comes is waited for so long: who has ended is noticed at once.
START_SECONDS = 300.0
#: The search path of every server: none depends on the shell that it was started from.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Site:
    """What the servers of one stack are given. `cancelled` is set when the start is given up."""

    home: Path
    identity: Identity
    ports: Block
    processes: ProcessRecord
    cancelled: threading.Event = field(default_factory=threading.Event)


class Server(ABC):
    """One server of a stack."""

    name: ClassVar[str]

    def __init__(self, site: Site) -> None:
        self.site = site
        self.process: Process | None = None

    @property
    def running(self) -> bool:
        """Whether its process runs; it may not answer yet."""
        return self.process is not None and self.process.running()

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers. Raises StackError with the end of its log."""
        if self.running:
            return
        try:
            self.prepare()
            self.process = self.spawn(self.program())
            self._await_answer(self.process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in its own orderly way, or by force if that takes too long."""
        if self.process:
            self.process.stop()

    def kill(self) -> None:
        """`kill -9`: what a crash looks like to everybody else."""
        if self.process:
            self.process.kill()

    @abstractmethod
    def prepare(self) -> None:
        """Make folders and files that it needs."""

    @abstractmethod
    def program(self) -> Program:
        """How to run it."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests right now."""

    def spawn(self, program: Program) -> Process:
        """Start a program of this server. Raises StackError if it cannot be run at all."""
        try:
            return self.site.processes.spawn(program)
        except OSError as error:
            raise StackError(f"{self.name} cannot be started: {error}") from error

    def port(self, port: Port) -> int:
        """The number of one of the stack's ports."""
        return self.site.ports[port]

    def _await_answer(self, process: Process) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not process.running():
                raise StackError(f"{self.name} ended while starting; the end of {process.log}:\n{process.tail()}")
            if time.monotonic() > deadline:
                sentence = f"{self.name} does not answer after {START_SECONDS:g} s; the end of {process.log}:"
                raise StackError(f"{sentence}\n{process.tail()}")
            if self.site.cancelled.wait(0.05):
                raise StackError(f"{self.name} was not needed any more.")


def status_of(port: int, path: str = "/") -> int | None:
    """The HTTP status that a loopback port answers a GET with, or None if it does not speak HTTP yet."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
