"""The channels of items under lease, for the AsyncAPI document: orders and their answers, and items in queues."""

from typing import Any

from pydantic import BaseModel

from schemas.inlining import inlined
from schemas.leases import (
    Abandon,
    Acquire,
    Extend,
    ExtensionView,
    LeaseView,
    Move,
    MovesView,
    Release,
    SubmissionView,
    Submit,
)

LEASES_QUEUE = "reelmill.leases"
ITEMS_QUEUE = "reelmill.items.{collection}"
ORDERS, ANSWERS, ITEMS = "lease orders", "lease answers", "items of a collection"
JSON = "application/json"
_ORDERS: dict[str, type[BaseModel]] = {
    "acquire": Acquire,
    "extend": Extend,
    "release": Release,
    "submit": Submit,
    "move": Move,
    "abandon": Abandon,
}
_ANSWERS: dict[str, type[BaseModel]] = {
    "lease": LeaseView,
    "extension": ExtensionView,
    "submission": SubmissionView,
    "moves": MovesView,
}


def channels() -> dict[str, Any]:
    """What is said in which queue."""
    asked = (
        "Straight to the queue, through the default exchange, with `reply_to` (best `amq.rabbitmq.reply-to`), "
        "`correlation_id` and, as its `expiration`, the time for which somebody waits for the answer."
    )
    told = (
        "Its `type` is the status, as over HTTP; `correlation_id` is the question's. A refusal has `code` and `detail`."
    )
    pushed = (
        "Each item under a lease of its own; a collection with `push` keeps its queue filled. Submit, then "
        "acknowledge. What is returned, or left when the channel closes, comes again once, as the next attempt."
    )
    name = {"collection": {"description": "The collection's name."}}
    return {
        ORDERS: _queue(LEASES_QUEUE, asked, {op: _message(op, model) for op, model in _ORDERS.items()}),
        ANSWERS: {"address": None, "description": told}
        | {"messages": {word: _message(word, model) for word, model in _ANSWERS.items()}},
        ITEMS: _queue(ITEMS_QUEUE, pushed, {"item": _message("item", LeaseView)}) | {"parameters": name},
    }


def operations() -> dict[str, Any]:
    """What is done there."""
    reply = {"address": {"location": "$message.header#/reply_to"}, "channel": _to(ANSWERS)}
    return {
        "ask about items": {"action": "send", "channel": _to(ORDERS), "reply": reply},
        "take pushed items": {"action": "receive", "channel": _to(ITEMS)},
    }


def _queue(address: str, description: str, messages: dict[str, Any]) -> dict[str, Any]:
    queue = {"name": address, "durable": True, "exclusive": False, "autoDelete": False}
    amqp = {"is": "queue", "queue": queue, "bindingVersion": "0.3.0"}
    return {"address": address, "description": description, "messages": messages, "bindings": {"amqp": amqp}}


def _message(name: str, model: type[BaseModel]) -> dict[str, Any]:
    payload = inlined(model.model_json_schema())
    headers = {"type": "object", "properties": {"reply_to": {"type": "string"}, "correlation_id": {"type": "string"}}}
    return {"name": name, "contentType": JSON, "payload": payload, "headers": headers}


def _to(channel: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}"}
