"""Putting messages that nobody can process where people look at them, with the reason."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import amqp
from amqp.serialization import dumps

from infra.broker.connection import PATIENCE_SECONDS, TROUBLE, BrokerAway, connected
from infra.broker.delivery import Delivery
from infra.topology import DEAD

KEPT_PROPERTIES = ("message_id", "type", "correlation_id", "content_type", "priority")
KEPT_HEADER_BYTES = 16 * 1024
"""What a parked message keeps of its producer's headers: a frame's size bounds them all, ours included."""
UNSENDABLE = (amqp.PreconditionFailed, amqp.FrameError, amqp.FrameSyntaxError, amqp.ContentTooLarge)


class Unparkable(Exception):
    """The broker is there, but this very message cannot be sent to it: too large, or not writable at all."""


def park(amqp_url: str, delivery: Delivery, queue: str, reason: str) -> None:
    """Park one message that came out of `queue`. Raises BrokerAway unless the broker has confirmed it, or Unparkable.

    Broker-made `x-*` headers are dropped: older brokers act on them when they are sent back.
    """
    [fate] = park_all(amqp_url, queue, [(delivery, reason)])
    if fate is not None:
        raise fate


def park_all(
    amqp_url: str, queue: str, messages: Sequence[tuple[Delivery, str]]
) -> list[BrokerAway | Unparkable | None]:
    """Park messages, each with its reason, over a connection of their own. Returns for each what `park` would raise."""
    fates: list[BrokerAway | Unparkable | None] = []
    while len(fates) < len(messages):
        try:
            with connected(amqp_url) as connection:
                channel = connection.channel()
                for delivery, reason in messages[len(fates) :]:
                    _send(channel, delivery, queue, reason)
                    fates.append(None)
        except Unparkable as error:
            fates.append(error)
        except BrokerAway as error:
            return [*fates, *[error] * (len(messages) - len(fates))]
    return fates


def _send(channel: Any, delivery: Delivery, queue: str, reason: str) -> None:
    told = {"reelmill-reason": reason, "reelmill-queue": queue, "reelmill-routing-key": delivery.routing_key}
    told["reelmill-parked"] = str(uuid4())  # its own number, so that nobody records it twice
    properties = {name: delivery.properties[name] for name in KEPT_PROPERTIES if name in delivery.properties}
    headers = _kept(delivery.headers) | told
    message = amqp.Message(delivery.body, application_headers=headers, delivery_mode=2, **properties)
    try:
        channel.basic_publish_confirm(
            message, exchange=DEAD, routing_key=delivery.routing_key, mandatory=True, timeout=PATIENCE_SECONDS
        )
    except TROUBLE as error:
        if isinstance(error, UNSENDABLE):
            raise Unparkable(f"{type(error).__name__}: {error}") from error
        raise
    except Exception as error:  # py-amqp's serialization lets out whatever its values make it stumble over
        raise Unparkable(f"{type(error).__name__}: {error}") from error


def _kept(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The producer's headers, if they are few enough: what comes back too large for a frame is parked by nobody."""
    # A name that is not text comes as bytes.
    own = {k: v for k, v in headers.items() if isinstance(k, str) and not k.lower().startswith("x-")}
    try:
        size = len(dumps("F", [own]))
    except Exception:  # what py-amqp can read it cannot always write
        return {}
    return own if size <= KEPT_HEADER_BYTES else {}
