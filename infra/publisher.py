"""Publishing with confirms: one connection, one channel, many messages in flight.

It never consumes (an alarm on a publishing connection freezes acks), never tries a message twice and never blocks the
loop: what the broker did not confirm stays the caller's, and the row in the database remembers it.
"""

import asyncio
import random
import time

import structlog

from infra import metrics
from infra.channel import BrokerAway, Line, Link
from infra.confirms import Confirmation
from infra.settings import Settings
from schemas.wire import Message

__all__ = ["BrokerAway", "Confirmation", "Publisher"]

log = structlog.get_logger()

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
FLUSH_SECONDS = 5.0


class Publisher:
    """A confirmed channel that comes back by itself. Belongs to the loop it was started on.

    `window` bounds the messages in flight; `deadline`, in seconds, bounds every call.
    """

    def __init__(
        self, settings: Settings, name: str = "reelmill-publisher", window: int = 500, deadline: float = 30.0
    ) -> None:
        self._url = settings.amqp_url
        self._name = name
        self._window = asyncio.Semaphore(window)
        self._deadline = deadline
        self._link: Link | None = None
        self._line: Line | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.incarnation = 0
        """How many channels there have been: a new number means that the broker may have forgotten things."""

    @property
    def connected(self) -> bool:
        """Whether a message would be sent now."""
        return self._line is not None and not self._line.closed.done()

    @property
    def blocked(self) -> bool:
        """Whether the broker has stopped reading because of an alarm."""
        return self._link is not None and self._link.blocked

    async def start(self) -> None:
        """Begin to connect; returns at once. The broker may be away for as long as it likes."""
        self._keeper = asyncio.create_task(self._keep(), name="publisher")

    async def stop(self) -> None:
        """Wait a moment for what is in flight, then close. Later publishes are `unavailable`."""
        line, self._line = self._line, None
        until = time.monotonic() + FLUSH_SECONDS
        while line is not None and line.confirms and time.monotonic() < until:
            await asyncio.sleep(0.01)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def publish(self, exchange: str, message: Message, mandatory: bool = True) -> Confirmation:
        """Send one persistent message and wait for its fate. Answers at once while the broker is away or blocked."""
        fate = await self._publish(exchange, message, mandatory)
        metrics.jobs_published_total.labels(exchange, fate.value).inc()
        return fate

    async def depth(self, queue: str) -> int | None:
        """Messages that are ready in a queue; None when there is no such queue. Raises BrokerAway."""
        if self._link is None or not self.connected or self.blocked:
            raise BrokerAway("not connected, or blocked by an alarm")
        try:
            async with asyncio.timeout(self._deadline):
                return await self._link.depth(queue)
        except TimeoutError:
            raise BrokerAway("no answer in time") from None

    async def _publish(self, exchange: str, message: Message, mandatory: bool) -> Confirmation:
        fate: asyncio.Future[Confirmation] | None = None
        try:
            async with asyncio.timeout(self._deadline):
                fate = await self._send(exchange, message, mandatory)
                if fate is None:
                    return Confirmation.UNAVAILABLE
                started = time.perf_counter()
                result = await fate
                metrics.jobs_confirm_seconds.observe(time.perf_counter() - started)
                return result
        except TimeoutError:
            return Confirmation.UNKNOWN if fate is not None else Confirmation.UNAVAILABLE

    async def _send(self, exchange: str, message: Message, mandatory: bool) -> asyncio.Future[Confirmation] | None:
        if not self.connected or self.blocked:
            return None
        # A place is given back when the message is settled, not when its caller loses patience: the window bounds
        # what the broker owes us, whoever still waits for it.
        await self._window.acquire()
        fate = None
        try:
            if self._line is not None and self.connected and not self.blocked:  # still
                fate = self._line.send(exchange, message, mandatory)
                metrics.jobs_publish_inflight.inc()
        except BrokerAway:
            log.info("channel closing", action="publisher.closing")
        finally:
            if fate is None:
                self._window.release()
        return fate

    def _settled(self) -> None:
        metrics.jobs_publish_inflight.dec()
        self._window.release()

    async def _keep(self) -> None:
        """Connect, serve until that ends, and again, for ever."""
        wait = FIRST_WAIT_SECONDS
        while True:
            before = self.incarnation
            await self._serve()
            wait = FIRST_WAIT_SECONDS if self.incarnation > before else min(wait * 2, LONGEST_WAIT_SECONDS)
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def _serve(self) -> None:
        """Keep a channel open for as long as one connection lives: a bad publish closes the channel, no more."""
        link = None
        try:
            link = Link(self._url.get_secret_value(), self._name)
            await link.opened()
            self._link = link
            while True:
                line = await link.line(self._settled)
                self._line = line
                self.incarnation += 1
                log.info("publishing", action="publisher.ready", incarnation=self.incarnation)
                reason = await line.closed
                self._line = None
                log.warning("publishing interrupted", action="publisher.interrupted", detail=str(reason))
        except BrokerAway as error:
            log.warning("broker away", action="publisher.away", detail=str(error))
        except Exception:
            log.exception("publisher broke", action="publisher.broke")
        finally:
            self._link = self._line = None
            if link is not None:
                await link.close()
