"""From a delivery to orders. What cannot be read is answered, if somebody waits for an answer."""

from typing import Any

import orjson
from pydantic import ValidationError

from consumers.runtime import foreign
from consumers.runtime.foreign import Unprocessable
from infra.broker import UNREADABLE, Delivery
from infra.leasing.cases import PUSHED
from infra.topology import ITEMS_PREFIX
from schemas.bundles import BUNDLE, orders_of
from schemas.leases import LONGEST_REQUEST_ID, ORDER, Drop, Order


def read(delivery: Delivery) -> list[Order | Unprocessable]:
    """The orders in a message, one or a bundle of them. A message that names itself may come twice.

    Raises Unprocessable when none of it can be read; in a bundle each is read by itself.
    """
    if UNREADABLE in delivery.headers:
        raise Unprocessable("undecodable", "the properties cannot be read")
    if _died_in(delivery).startswith(ITEMS_PREFIX):
        return [_dropped(delivery)]
    if not is_bundle(delivery):
        return [_order(delivery.body, delivery)]
    return [_or_why(line, delivery) for line in orders_of(delivery.body)]


def is_bundle(delivery: Delivery) -> bool:
    """Whether it has several orders, and wants several answers."""
    return delivery.properties.get("content_type") == BUNDLE


def _died_in(delivery: Delivery) -> str:
    """The queue in which a message died, if it has."""
    deaths = delivery.headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths else {}
    return str(last.get("queue", "")) if isinstance(last, dict) else ""


def _dropped(delivery: Delivery) -> Order:
    """An item that a consumer has not acknowledged, or that none has taken."""
    try:
        told = orjson.loads(delivery.body)
        charged = delivery.headers["x-death"][0].get("reason") != "expired"
        return Drop(op="drop", collection=told["collection"], owner=PUSHED, lease=told["lease"], charged=charged)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError):
        raise Unprocessable("bad_json", "the message is not an item's") from None


def _or_why(body: bytes, delivery: Delivery) -> Order | Unprocessable:
    try:
        return _order(body, delivery)
    except Unprocessable as problem:
        return problem


def _order(body: bytes, delivery: Delivery) -> Order:
    try:
        given: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unprocessable("bad_json", f"the body is not JSON: {error.msg}") from None
    if not isinstance(given, dict):
        raise Unprocessable("bad_json", "the body is a JSON object")
    if "owner" not in given:
        given["owner"] = foreign.submitter_of(delivery)
    name = delivery.properties.get("message_id")
    if given.get("op") in ("acquire", "submit") and isinstance(name, str) and name and not is_bundle(delivery):
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
