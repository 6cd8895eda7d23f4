"""Reading a message's properties and routing key, whatever bytes its producer has put there.

What py-amqp cannot read would break the connection, and with it the deliveries of everybody else, whenever it comes.
So it counts as no properties at all, with a header that says so: the consumer parks the message, as any other that
makes no sense.
"""

from typing import Any

from amqp import serialization, spec

UNREADABLE = "reelmill-unreadable"
"""The only header of a message whose properties could not be read: with what error."""


def forgive() -> None:
    """Have every connection of this process read properties so."""
    serialization.PROPERTY_CLASSES[spec.Basic.CLASS_ID] = _read


def readable(deliver: bytes) -> bytes:
    """The arguments of a `basic.deliver`, with a routing key that is text: the broker takes any bytes for one."""
    place = 4  # after class and method: consumer tag, delivery tag, redelivered, exchange, routing key
    place += 1 + deliver[place] + 9
    place += 1 + deliver[place]
    try:
        deliver[place + 1 :].decode()
    except UnicodeDecodeError:
        key = deliver[place + 1 :].decode(errors="replace").encode("ascii", "replace")
        return deliver[:place] + bytes([len(key)]) + key
    return deliver


def _read(buffer: Any, offset: int) -> tuple[dict[str, Any], int]:
    try:
        properties, end = serialization.decode_properties_basic(buffer, offset)
    except Exception as error:  # py-amqp lets out whatever the bytes make it stumble over
        return {"application_headers": {UNREADABLE: type(error).__name__}}, len(buffer)
    return properties, end
