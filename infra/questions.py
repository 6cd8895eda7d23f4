"""Asking the dispatcher and waiting for its answer: request and reply over the broker, for no longer than a deadline.

Who stops waiting says so: what the answer would have given goes back at once.
"""

import asyncio
import random
from dataclasses import dataclass

import orjson
import structlog

from infra.channel import BrokerAway, Link
from infra.channel import Questions as Channel
from infra.ids import new_id
from infra.settings import Settings
from infra.topology import LEASES
from schemas.leases import Abandon, Acquire, Order, Submit

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0

log = structlog.get_logger()


class NoAnswer(Exception):
    """Nobody has answered in time, or could have: nothing is known to have happened; try again."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: a status as in HTTP, and a JSON document."""

    status: int
    body: bytes


class Questions:
    """A channel for questions that comes back by itself. Belongs to the loop it was started on."""

    def __init__(self, settings: Settings, name: str = "reelmill-questions") -> None:
        self._url = settings.amqp_url
        self._name = name
        self._deadline = settings.lease_wait_seconds
        self._channel: Channel | None = None
        self._waiting: dict[str, asyncio.Future[Told | None]] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._keeper = asyncio.create_task(self._keep(), name="questions")

    async def stop(self) -> None:
        """Hang up. Whoever waits gets no answer."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def ask(self, order: Order) -> Told:
        """The answer to an order. Raises NoAnswer: what it may have taken is given back as soon as that is known."""
        name = str(new_id())
        answer: asyncio.Future[Told | None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        try:
            self._send(name, order, self._deadline)
            async with asyncio.timeout(self._deadline):
                told = await answer
        except TimeoutError:
            self.abandon(order, name)
            raise NoAnswer from None
        except asyncio.CancelledError:
            self.abandon(order, name)
            raise
        finally:
            del self._waiting[name]
        if told is None:
            raise NoAnswer
        return told

    def abandon(self, order: Order, name: str | None = None) -> None:
        """Say that nobody has heard the answer to an order. Best effort: the lease ends by itself, too."""
        if not isinstance(order, Acquire | Submit):
            return
        request_id = order.request_id or name
        if request_id is None:
            return
        gone = Abandon(op="abandon", collection=order.collection, owner=order.owner, request_id=request_id)
        try:
            self._send(str(new_id()), gone, None)
        except NoAnswer:
            log.info("nobody to tell", action="questions.not_abandoned", request_id=request_id)

    def _send(self, name: str, order: Order, seconds: float | None) -> None:
        if self._channel is None or self._channel.closed.done():
            raise NoAnswer
        try:
            self._channel.ask(LEASES, name, orjson.dumps(order.model_dump(mode="json", exclude_none=True)), seconds)
        except BrokerAway:
            raise NoAnswer from None

    def _heard(self, name: str, status: int, body: bytes) -> None:
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(Told(status, body))

    def _lost(self, name: str) -> None:
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _keep(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            wait = FIRST_WAIT_SECONDS if await self._serve() else min(wait * 2, LONGEST_WAIT_SECONDS)
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def _serve(self) -> bool:
        """Keep a channel for as long as it lives. Whether there was one."""
        link = None
        served = False
        try:
            link = Link(self._url.get_secret_value(), self._name)
            await link.opened()
            self._channel = await link.questions(self._heard, self._lost)
            served = True
            reason = await self._channel.closed
            log.warning("questions interrupted", action="questions.interrupted", detail=str(reason))
        except BrokerAway as error:
            log.warning("broker away", action="questions.away", detail=str(error))
        except Exception:
            log.exception("questions broke", action="questions.broke")
        finally:
            self._channel = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)
            if link is not None:
                await link.close()
        return served
