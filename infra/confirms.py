"""Delivery tags and what became of them: the bookkeeping of one confirmed channel. It knows no broker library."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

Destination = tuple[str, str, str | None]
"""Exchange, routing key and message id: all that a returned message tells about itself."""


class Confirmation(StrEnum):
    """The fate of one message."""

    ACKED = "acked"  # the broker has it
    NACKED = "nacked"  # a queue refused it: full, or broken
    RETURNED = "returned"  # no queue is bound for it
    UNKNOWN = "unknown"  # sent, then the channel or the patience ended: the broker may or may not have it
    UNAVAILABLE = "unavailable"  # not sent


@dataclass(slots=True)
class _Waiting:
    fate: asyncio.Future[Confirmation]
    destination: Destination
    returned: bool = False


class Confirms:
    """The messages of one channel that wait for their confirm. `settled` is called once for each that got one."""

    def __init__(self, settled: Callable[[], None]) -> None:
        self._settled = settled
        self._last = 0
        self._waiting: dict[int, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def sent(self, destination: Destination) -> asyncio.Future[Confirmation]:
        """Note a message that has just been written to the channel; the broker numbers them in that order."""
        self._last += 1
        fate = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = _Waiting(fate, destination)
        return fate

    def returned(self, destination: Destination) -> None:
        """A message came back. Its confirm follows, so the oldest such message is marked and settled then."""
        for waiting in self._waiting.values():
            if waiting.destination == destination and not waiting.returned:
                waiting.returned = True
                return

    def confirmed(self, tag: int, multiple: bool, accepted: bool) -> None:
        """The broker's ack or nack of one tag, or of all tags up to it (0: of all). Unknown tags are ignored."""
        fate = Confirmation.ACKED if accepted else Confirmation.NACKED
        for number in self._covered(tag) if multiple else [tag]:
            self._settle(number, fate)

    def abandon(self) -> None:
        """The channel is gone, and with it every answer."""
        for number in list(self._waiting):
            self._settle(number, Confirmation.UNKNOWN)

    def _covered(self, tag: int) -> list[int]:
        covered = []
        for number in self._waiting:  # in the order of tags
            if tag and number > tag:
                break
            covered.append(number)
        return covered

    def _settle(self, number: int, fate: Confirmation) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is None:
            return
        self._settled()
        if not waiting.fate.done():  # its publisher may have lost patience
            returned = waiting.returned and fate is Confirmation.ACKED
            waiting.fate.set_result(Confirmation.RETURNED if returned else fate)
