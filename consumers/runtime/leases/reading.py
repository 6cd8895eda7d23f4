"""From a delivery to an order. What cannot be read is answered, if somebody waits for an answer."""

from typing import Any

import orjson
from pydantic import ValidationError

from consumers.runtime import foreign
from consumers.runtime.foreign import Unprocessable
from infra.broker import UNREADABLE, Delivery
from schemas.leases import LONGEST_REQUEST_ID, ORDER, Order


def read(delivery: Delivery) -> Order:
    """The order in a message. A message that names itself may come twice. Raises Unprocessable."""
    if UNREADABLE in delivery.headers:
        raise Unprocessable("undecodable", "the properties cannot be read")
    try:
        given: Any = orjson.loads(delivery.body)
    except orjson.JSONDecodeError as error:
        raise Unprocessable("bad_json", f"the body is not JSON: {error.msg}") from None
    if not isinstance(given, dict):
        raise Unprocessable("bad_json", "the body is a JSON object")
    given.setdefault("owner", foreign.submitter_of(delivery))
    name = delivery.properties.get("message_id")
    if given.get("op") in {"acquire", "submit"} and isinstance(name, str) and name:
        given.setdefault("request_id", name[:LONGEST_REQUEST_ID])
    try:
        return ORDER.validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Unprocessable("invalid_parameter", f"{field}: {first['msg']}"[:500]) from None


def lifetime(delivery: Delivery) -> float:
    """Seconds for which somebody waits for the answer: the message's own."""
    expiration = delivery.properties.get("expiration")
    return int(expiration) / 1000 if isinstance(expiration, str) and expiration.isdigit() else float("inf")
