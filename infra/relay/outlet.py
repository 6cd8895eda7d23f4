"""The way out to the broker: a publisher, and the topology declared before anything is sent on a new channel."""

import asyncio
from collections.abc import Sequence

from infra import broker
from infra.publisher import Confirmation, Publisher
from infra.settings import Settings
from schemas.wire import Message


class Outlet:
    """What the duties publish through."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self._url = settings.amqp_url
        self._publisher = publisher
        self._declared = 0
        self._turn = asyncio.Lock()

    async def open(self) -> bool:
        """Whether messages can be sent now. Declares the topology first, once per incarnation of the channel."""
        async with self._turn:
            incarnation = self._publisher.incarnation
            if not self._publisher.connected or self._publisher.blocked:
                return False
            if self._declared != incarnation:
                await asyncio.to_thread(broker.declare, self._url.get_secret_value())
                self._declared = incarnation
            return True

    def doubt(self) -> None:
        """Something of the topology may be missing: declare it again before anything else is sent."""
        self._declared = 0

    async def publish(self, exchange: str, messages: Sequence[Message], mandatory: bool = True) -> list[Confirmation]:
        """Send messages in their order, all in flight together; their fates, in the same order."""
        return await asyncio.gather(*(self._publisher.publish(exchange, m, mandatory) for m in messages))

    async def depth(self, queue: str) -> int | None:
        """Messages ready in a queue; None when there is no such queue. Raises BrokerAway."""
        return await self._publisher.depth(queue)
