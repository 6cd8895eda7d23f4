"""The three servers together: started side by side, told to the world in `endpoints.json`, and gone when this stops."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.stack import endpoints, objects, postgres, rabbitmq
from infra.stack.endpoints import Endpoints
from infra.stack.errors import StackError
from infra.stack.home import Home
from infra.stack.objects import Objects
from infra.stack.ports import Block, claim
from infra.stack.postgres import Postgres
from infra.stack.processes import Process, ProcessRecord, Program
from infra.stack.rabbitmq import RabbitMQ
from infra.stack.server import Server, Site


class Stack:
    """The servers of one home, and the programs that are started on them. A context manager: in it, they run.

    `postgres`, `objects` and `rabbitmq` can be stopped, killed and started one by one.
    """

    postgres: Postgres
    objects: Objects
    rabbitmq: RabbitMQ

    def __init__(self, home: Path) -> None:
        self._home = Home(home)
        self._site: Site | None = None
        self._servers: list[Server] = []
        self._programs: list[Process] = []

    @property
    def home(self) -> Path:
        """The folder of this stack, absolute."""
        return self._home.path

    def start(self) -> Endpoints:
        """End what a crash left in this home, start the servers and wait until all answer.

        Raises StackError when a server is not installed or does not start, and when a live process holds the home.
        """
        for installed in (postgres.programs, objects.weed, rabbitmq.installed):
            installed()
        self._home.hold()
        try:
            self._site = self._settle()
            self._start_servers(self._site)
            self.endpoints.write(self.home)
        except BaseException:
            self.stop()
            raise
        return self.endpoints

    def stop(self) -> None:
        """Stop the programs, then the servers, then whatever escaped; give back ports and home. Safe to call twice."""
        site, self._site = self._site, None
        programs, self._programs = self._programs, []
        with ExitStack() as last:
            last.callback(self._home.let_go)
            if site:
                endpoints.remove(self.home)
                last.callback(site.ports.release)
                last.callback(site.processes.reap)
                last.callback(_side_by_side, [server.stop for server in self._servers])
                _side_by_side([program.stop for program in programs])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def site(self) -> Site:
        """What the running servers share. Raises StackError when they do not run."""
        if self._site is None:
            raise StackError(f"No servers run in {self.home}.")
        return self._site

    @property
    def endpoints(self) -> Endpoints:
        """Where the servers are, with passwords; known once they were started."""
        return Endpoints(
            database=self.postgres.url,
            amqp=self.rabbitmq.url,
            s3=self.objects.store,
            rabbitmq=self.rabbitmq.node,
            metrics={self.rabbitmq.name: self.rabbitmq.metrics},
        )

    @property
    def ports(self) -> Block:
        """The stack's ports; `HTTP` and those from `METRICS` on are for the application."""
        return self.site.ports

    def environment(self) -> dict[str, str]:
        """The variables that lead a process of the product to these servers."""
        own = {"REELMILL_HOME": str(self.home), "REELMILL_DEVICE_LOCKS": str(self.home)}
        return self.endpoints.environment() | own

    def rabbitmqctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on the broker and return what it prints. Raises StackError with its complaint."""
        return rabbitmq.rabbitmqctl(self.rabbitmq.node, *arguments)

    def evaluate(self, expression: str) -> str:
        """Evaluate Erlang on the broker and return the result in Erlang's words. Raises StackError."""
        return rabbitmq.evaluate(self.rabbitmq.node, expression)

    def spawn(self, program: Program) -> Process:
        """Start a program that lives no longer than the stack, a crash included. It logs to `logs/<name>.log`."""
        process = self.site.processes.spawn(program)
        self._programs.append(process)
        return process

    def _settle(self) -> Site:
        endpoints.remove(self.home)
        identity = self._home.identity()
        processes = ProcessRecord(self.home, identity.id)
        processes.reap()
        block = claim(identity.ports)
        self._home.keep(identity.model_copy(update={"ports": block.base}))
        return Site(self.home, identity, block, processes)

    def _start_servers(self, site: Site) -> None:
        self.postgres, self.objects, self.rabbitmq = Postgres(site), Objects(site), RabbitMQ(site)
        self._servers = [self.postgres, self.objects, self.rabbitmq]
        _side_by_side([server.start for server in self._servers], site.cancelled.set)


def _side_by_side(actions: Sequence[Callable[[], None]], give_up: Callable[[], None] = lambda: None) -> None:
    """Run all at once. `give_up` is called at the first failure or at Ctrl-C, which is raised when all are over."""
    with ThreadPoolExecutor(max_workers=max(1, len(actions))) as pool:
        running = [pool.submit(action) for action in actions]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            give_up()
            raise
