"""Asking the dispatcher and waiting for its answer: request and reply over the broker, for no longer than a deadline.

Two messages are under way at most, of like size; who asks meanwhile shares the next one. So a single caller does not
wait, and hundreds share what a message costs. Who stops waiting says so: what the answer would have given goes back
at once. And should it come after all, what it gave goes back, too: another dispatcher may have heard of it before.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from infra.channel import BrokerAway, Link
from infra.channel import Questions as Channel
from infra.ids import new_name
from infra.settings import Settings
from infra.topology import LEASES
from schemas.bundles import MOST_BYTES, MOST_ORDERS, answers_of, bundled
from schemas.leases import Abandon, Acquire, Order, Submit

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
MOST_UNDER_WAY = 2
MOST_GIVEN_UP = 100
BUSY = 503
BUSY_SECONDS = 1.0

log = structlog.get_logger()


class NoAnswer(Exception):
    """Nobody has answered in time, or could have: nothing is known to have happened; try again."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: a status as in HTTP, and a JSON document."""

    status: int
    body: bytes


@dataclass(eq=False, slots=True)
class _Asked:
    """An order on its way, and whoever waits for what becomes of it."""

    order: Order
    body: bytes
    comes_again: bool
    """Whether the caller may ask the same once more, and gets the same."""
    answer: "asyncio.Future[Told | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def expire(self) -> None:
        """Nobody waits any longer."""
        if not self.answer.done():
            self.answer.set_exception(TimeoutError())


class Questions:
    """A channel for questions that comes back by itself. Belongs to the loop it was started on."""

    def __init__(self, settings: Settings, name: str = "reelmill-questions") -> None:
        self._url = settings.amqp_url
        self._name = name
        self._deadline = settings.lease_wait_seconds
        self._channel: Channel | None = None
        self._unsent: deque[_Asked] = deque()
        self._under_way: dict[str, tuple[list[_Asked], asyncio.TimerHandle]] = {}
        self._given_up: dict[str, list[_Asked]] = {}
        self._flushing = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether a question would be sent now."""
        return self._channel is not None and not self._channel.closed.done()

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._keeper = asyncio.create_task(self._keep(), name="questions")

    async def stop(self) -> None:
        """Hang up. Whoever waits gets no answer."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def ask(self, order: Order, comes_again: bool = False) -> Told:
        """The answer to an order. Raises NoAnswer: what it may have taken is given back as soon as that is known.

        An order that takes items has a request id; if the caller chose it, he `comes_again`.
        """
        asked = self._put(order, comes_again)
        late = asyncio.get_running_loop().call_later(self._deadline, asked.expire)
        try:
            told = await asked.answer
        except TimeoutError:
            self.abandon(order)
            raise NoAnswer from None
        except asyncio.CancelledError:
            self.abandon(order)
            raise
        finally:
            late.cancel()
        if told is None:
            raise NoAnswer
        return told

    def abandon(self, order: Order) -> None:
        """Say that nobody has heard the answer to an order. Best effort: the lease ends by itself, too."""
        if not isinstance(order, Acquire | Submit) or order.request_id is None:
            return
        gone = Abandon(op="abandon", collection=order.collection, owner=order.owner, request_id=order.request_id)
        try:
            self._put(gone)
        except NoAnswer:
            log.info("nobody to tell", action="questions.not_abandoned", request_id=order.request_id)

    def _put(self, order: Order, comes_again: bool = False) -> _Asked:
        if not self.connected:
            raise NoAnswer
        asked = _Asked(order, order.model_dump_json(exclude_none=True).encode(), comes_again)
        self._unsent.append(asked)
        if not self._flushing and self._is_worth_it():
            # Those who have come in the same turn of the loop go together.
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)
        return asked

    def _flush(self) -> None:
        self._flushing = False
        while self._unsent and self._is_worth_it():
            some = list(self._next())
            if not some:
                return
            name = new_name()
            try:
                if self._channel is None:
                    raise BrokerAway
                body = bundled([asked.body for asked in some])
                self._channel.ask(LEASES, name, body, self._deadline)
            except BrokerAway:
                _tell(some, [None] * len(some))
                continue
            late = asyncio.get_running_loop().call_later(self._deadline, self._lost, name)
            self._under_way[name] = (some, late)

    def _is_worth_it(self) -> bool:
        """Whether a message may go: alone always, and beside another one when it is half as large.

        A message costs those behind us as much as dozens of orders. When a large one has been answered, the first few
        who come back would go alone, and leave all others to the next; so the two come to be of like size.
        """
        if len(self._under_way) >= MOST_UNDER_WAY:
            return False
        return all(2 * len(self._unsent) >= len(some) for some, _ in self._under_way.values())

    def _next(self) -> Iterator[_Asked]:
        """What goes into one message. Who has stopped waiting is not asked for."""
        number = size = 0
        while self._unsent and number < MOST_ORDERS and size < MOST_BYTES:
            asked = self._unsent.popleft()
            if not asked.answer.done():
                number, size = number + 1, size + len(asked.body)
                yield asked

    def _heard(self, name: str, status: int, body: bytes) -> None:
        some, late = self._under_way.pop(name, (self._given_up.pop(name, []), None))
        if late is not None:
            late.cancel()
        if not some:  # it came twice: the question was taken up again by another dispatcher
            return
        if status == 200:
            answers = [Told(each, told) for each, told in answers_of(body)]
        else:  # the message as a whole was refused
            answers = [Told(status, body)] * len(some)
        for asked, told in zip(some, answers, strict=True):
            self._mind(asked, told)
        _tell(some, answers)
        self._flush()

    def _mind(self, asked: _Asked, told: Told) -> None:
        """Give back what has come too late, unless its caller may have it by now; and say again what was not done."""
        if asked.answer.done() and not asked.comes_again:
            self.abandon(asked.order)
        if isinstance(asked.order, Abandon) and told.status == BUSY:
            asyncio.get_running_loop().call_later(BUSY_SECONDS, self._put_again, asked.order)

    def _put_again(self, gone: Abandon) -> None:
        with suppress(NoAnswer):
            self._put(gone)

    def _lost(self, name: str) -> None:
        some, late = self._under_way.pop(name, ([], None))
        if late is not None:
            late.cancel()
            self._given_up[name] = some
            if len(self._given_up) > MOST_GIVEN_UP:
                del self._given_up[next(iter(self._given_up))]
        _tell(some, [None] * len(some))
        self._flush()

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
            for name in list(self._under_way):
                self._lost(name)
            self._flush()
            if link is not None:
                await link.close()
        return served


def _tell(asked: list[_Asked], told: Sequence[Told | None]) -> None:
    for each, answer in zip(asked, told, strict=True):
        if not each.answer.done():
            each.answer.set_result(answer)
