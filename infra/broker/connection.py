"""A connection to the broker that fails in one way, within a bounded time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import amqp
from amqp.exceptions import MessageNacked
from kombu.connection import Connection
from kombu.exceptions import KombuError

from infra.broker import properties

HEARTBEAT_SECONDS = 30
PATIENCE_SECONDS = 5.0
"""How long the broker may take to answer before its connection counts as lost."""
TROUBLE = (amqp.AMQPError, MessageNacked, KombuError, OSError)


class BrokerAway(Exception):
    """The broker does not answer, or did not take what it was given: try again later."""


def connect(amqp_url: str) -> Any:
    """py-amqp's connection. Not kombu's around it: that one, when it breaks, quietly makes a new one, which is deaf."""
    properties.forgive()
    connection = Connection(
        amqp_url,
        heartbeat=HEARTBEAT_SECONDS,
        connect_timeout=PATIENCE_SECONDS,
        # An empty name means the one in the URL, and makes TLS check it.
        ssl={"server_hostname": None} if amqp_url.startswith("amqps:") else False,
    )
    connection.ensure_connection(max_retries=0)
    wire = connection.connection
    # Without it, a broker that hangs would hang us in the middle of a method.
    wire.sock.settimeout(PATIENCE_SECONDS)
    return wire


@contextmanager
def connected(amqp_url: str) -> Iterator[Any]:
    """A connection for a few methods. Raises BrokerAway for whatever goes wrong with it."""
    try:
        wire = connect(amqp_url)
        try:
            yield wire
        except BaseException:
            wire.collect()
            raise
        wire.close()
    except TROUBLE as error:
        raise BrokerAway(f"{type(error).__name__}: {error}") from error
