"""One connection to the broker, from the first try to its end: the second importer of pika, of its public side only.

It belongs to the thread that serves it; others may only wake it and hang it up.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pika
from pika.exceptions import AMQPError
from pika.spec import Basic, BasicProperties

from infra.producer.fates import Parcel, Refused, Returned, Unsent
from infra.producer.packing import Letter, letters
from schemas.wire import NORMAL_PRIORITY

log = logging.getLogger("reelmill.producer")

EXCHANGE = "reelmill.jobs"
HEARTBEAT_SECONDS = 15
PERSISTENT = 2
#: Messages written in one go, so that confirms are read in between.
AT_ONCE = 200
#: Packed messages under way: while these travel, the next ones fill.
PACKS = 8

Settled = Callable[[list[Parcel], Unsent | None], None]


class Line:
    """A connection and its channel. It publishes what is in `waiting`, and settles what the broker answers."""

    def __init__(self, given: pika.URLParameters, waiting: deque[Parcel], settled: Settled) -> None:
        self.was_open = False
        self._waiting = waiting
        self._settled = settled
        self._sent: dict[int, Letter] = {}
        self._returned: Counter[str] = Counter()
        self._last = 0
        self._packs = 0
        self._awake = threading.Lock()
        self._channel: Any = None
        self._blocked = False
        self._reason: object = "closed"
        self._connection: Any = pika.SelectConnection(
            given,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        self._connection.add_on_connection_blocked_callback(lambda *_: self._block(True))
        self._connection.add_on_connection_unblocked_callback(lambda *_: self._block(False))

    def serve(self, connected: Callable[[], None]) -> object:
        """Publish what waits until the connection ends; says why it did."""
        self._connected = connected
        try:
            self._connection.ioloop.start()
        except Exception as error:
            log.exception("the connection broke")
            self._reason = error
        return self._reason

    def wake(self) -> None:
        """From any thread: something waits."""
        if self._awake.acquire(blocking=False):  # else somebody has done so already
            self._connection.ioloop.add_callback_threadsafe(self._drain)

    def hang_up(self) -> None:
        """From any thread: end."""
        self._connection.ioloop.add_callback_threadsafe(self._close)

    def end(self) -> None:
        """Nobody calls any more: give back what the loop holds."""
        self._connection.ioloop.close()

    def unconfirmed(self) -> list[Parcel]:
        """What was sent and has no fate, in its order."""
        return [parcel for letter in self._sent.values() for parcel in letter.parcels]

    def _close(self) -> None:
        if self._connection.is_closed:
            self._connection.ioloop.stop()
        elif not self._connection.is_closing:
            self._connection.close()  # while it connects, too: the loop's end alone would leave the socket open

    def _on_open(self, _: Any) -> None:
        self._connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_end)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Any) -> None:
        self._channel = channel
        self.was_open = True
        self._connected()
        self._drain()

    def _on_channel_end(self, _: Any, reason: object) -> None:
        """The broker closes a channel for one bad message; a new connection is the simplest new beginning."""
        self._channel = None
        self._reason = reason
        self._close()

    def _on_end(self, _: Any, reason: object) -> None:
        self._channel = None
        if self._reason == "closed":
            self._reason = reason
        self._connection.ioloop.stop()

    def _block(self, blocked: bool) -> None:
        self._blocked = blocked
        if not blocked:
            self._drain()

    def _drain(self) -> None:
        """Publish some of what waits, and come back for more when the loop has looked at what arrived."""
        if self._awake.locked():
            self._awake.release()
        if self._channel is None or self._blocked:
            return
        source = letters(self._waiting)
        for _ in range(AT_ONCE):
            if self._packs >= PACKS and self._waiting and self._waiting[0].packed:
                break
            letter = next(source, None)
            if letter is None:
                break
            try:
                self._channel.basic_publish(EXCHANGE, letter.kind, letter.body, _properties(letter), mandatory=True)
            except AMQPError as error:
                self._waiting.extendleft(reversed(letter.parcels))
                self._reason = error
                self._close()
                return
            self._last += 1
            self._sent[self._last] = letter
            self._packs += letter.packed
        if self._waiting and self._packs < PACKS:
            self.wake()

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        taken = isinstance(method, Basic.Ack)
        tags = self._covered(method.delivery_tag) if method.multiple else [method.delivery_tag]
        gone: list[Parcel] = []
        for tag in tags:
            if (letter := self._sent.pop(tag, None)) is None:
                continue
            self._packs -= letter.packed
            if not taken:
                self._settled(letter.parcels, Refused("the queue is full, or the broker could not store the message"))
            elif self._returned[letter.message_id]:
                self._returned -= Counter([letter.message_id])
                self._settled(letter.parcels, Returned("no queue is bound for this kind"))
            else:
                gone += letter.parcels
        if gone:
            self._settled(gone, None)
        if self._waiting:
            self.wake()

    def _covered(self, tag: int) -> list[int]:
        """The open tags up to this one; 0 means all."""
        covered = []
        for number in self._sent:  # in the order of tags
            if tag and number > tag:
                break
            covered.append(number)
        return covered

    def _on_return(self, _: Any, __: Any, properties: BasicProperties, ___: bytes) -> None:
        """Its confirm follows."""
        self._returned.update([str(properties.message_id)])


def parameters(url: str, name: str) -> pika.URLParameters:
    """How to connect. Raises ValueError for what is no address of a broker."""
    if not url.startswith(("amqp://", "amqps://")):
        raise ValueError("a broker's address is amqp://user:password@host/vhost, or amqps://")
    made = pika.URLParameters(url)
    made.client_properties = {"connection_name": name}
    made.heartbeat = HEARTBEAT_SECONDS
    made.connection_attempts = 1  # the courier is the only one that tries again
    return made


def _properties(letter: Letter) -> BasicProperties:
    return BasicProperties(
        content_type=letter.content_type,
        delivery_mode=PERSISTENT,
        headers=letter.headers or None,
        message_id=letter.message_id,
        type=letter.kind,
        priority=NORMAL_PRIORITY + letter.priority,
    )
