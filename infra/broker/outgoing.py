"""A connection on which messages only go out: it comes back by itself, and never raises."""

from collections.abc import Callable
from typing import Any

import structlog

from infra.broker import frames
from infra.broker.connection import HEARTBEAT_SECONDS, connect
from infra.broker.patience import Patience

log = structlog.get_logger()


class Outgoing:
    """Sends when it can. Belongs to one thread."""

    def __init__(self, amqp_url: str) -> None:
        self._url = amqp_url
        self._wire: Any = None
        self._channel: Any = None
        self._patience = Patience()

    @property
    def connected(self) -> bool:
        """Whether a message would be sent now."""
        return self._wire is not None

    def turn(self) -> bool:
        """Connect if that is due, keep the heartbeat. Whether a message would be sent now."""
        if self._wire is None and not self._patience.left():
            self._guarded(self._open)
        elif self._wire is not None:
            self._guarded(self._hear)
        return self._wire is not None

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._guarded(self._wire.close)
        self._drop()

    def due(self) -> float:
        """Seconds until it wants another turn."""
        return HEARTBEAT_SECONDS / 4 if self._wire is not None else self._patience.left()

    def _open(self) -> None:
        self._wire = connect(self._url)
        self._channel = self._wire.channel()
        self._patience.heard()

    def _hear(self) -> None:
        self._wire.heartbeat_tick()
        frames.read(self._wire)

    def _guarded(self, work: Callable[[], Any]) -> bool:
        try:
            work()
        except Exception as error:  # py-amqp lets errors of every kind out when a connection breaks
            self._drop()
            self._patience.failed(error)
            log.warning("nothing can be sent", action="broker.mute", detail=repr(error))
            return False
        return True

    def _drop(self) -> None:
        wire, self._wire, self._channel = self._wire, None, None
        if wire is not None:
            wire.collect()
