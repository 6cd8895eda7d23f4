"""The fast lane for a test: its runtime, turned by the test in this process, and messages for it by the hundred."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import pika
from sqlalchemy import Engine, text

from consumers.registry import Work, work_of
from consumers.runtime.database import Database
from consumers.runtime.fast.loop import FastRuntime
from infra.broker import Delivery
from infra.ids import new_id
from infra.settings import Settings
from infra.topology import JOBS, queue_of
from schemas.commands import Command
from schemas.registry import KINDS, Consumer
from schemas.wire import Message
from tests.broker import declare, publishing
from tests.desk import Desk
from tests.system import until

QUEUE = queue_of(Consumer.DISPATCHER)
ECHO = KINDS["probe.echo"]


def echo(text: str = "hello", **params: Any) -> Command:
    """A command for an echo, or for what else has its name."""
    return Command(id=new_id(), kind=ECHO, params={"text": text} | params, inputs=(), submitted_by="test", via="http")


class Lane:
    """A desk, and one fast consumer that turns only when it is told."""

    def __init__(self, settings: Settings, engine: Engine, work: dict[str, Work] | None = None) -> None:
        declare(settings)
        self.settings = settings
        self.desk = Desk(settings, engine)
        self._url = settings.amqp_url.get_secret_value()
        work = work or work_of(Consumer.DISPATCHER)
        self.runtime = FastRuntime(settings, "dispatcher", QUEUE, work, Database(engine))
        self.runtime.intake.resume()
        self.sent = self.answered = 0
        settle_all = self.runtime.intake.settle_all

        def counted(deliveries: Sequence[Delivery]) -> int:
            number = settle_all(deliveries)
            self.answered += number
            return number

        self.runtime.intake.settle_all = counted  # type: ignore[method-assign]

    def send(self, messages: Iterable[Message]) -> None:
        """Publish as the gateway and the relay do, all over one connection."""
        with publishing(self._url) as channel:
            for m in messages:
                properties = pika.BasicProperties(
                    m.content_type, headers=m.headers, delivery_mode=2, message_id=m.message_id or None, type=m.type
                )
                channel.basic_publish(JOBS, m.routing_key, m.body, properties)
                self.sent += 1

    def turn_until(self, condition: Callable[[], Any], what: str) -> None:
        """Turn until a condition holds."""

        def turned() -> Any:
            self.runtime.turn()
            return condition()

        until(turned, what)

    def finish(self) -> None:
        """Turn until every message that was sent is acknowledged, and hang up: any other would be back in the queue."""
        self.turn_until(lambda: self.answered >= self.sent, "every message is acknowledged")
        self.runtime.close()
        assert self.desk.depth(QUEUE) == 0

    def states(self) -> dict[str, int]:
        """How many jobs are in which state."""
        with self.desk.engine.begin() as connection:
            found = connection.execute(text("select state, count(*) as number from jobs group by state")).all()
        return {row.state: row.number for row in found}

    def facts(self, *job_ids: UUID) -> list[str]:
        """What has happened to jobs, in a word each: of all jobs if none is named."""
        query = "select split_part(type, '.', 4) from events where job_id = any(:ids) or not :named order by id"
        with self.desk.engine.begin() as connection:
            return list(connection.execute(text(query), {"ids": list(job_ids), "named": bool(job_ids)}).scalars())
