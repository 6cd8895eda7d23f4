"""The old download manager: `/api/segments` and `/api/download`, one collection unless `?collection=` names another."""

from typing import Any
from uuid import UUID

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway import collections as native
from gateway.bodies import read
from gateway.leases import answered, identity, order_of, request_id
from gateway.legacy.paging import document
from gateway.problems import Problem
from gateway.repeats import repeat_of
from gateway.services import services, transact
from gateway.wire import gone
from infra import collections, repeats
from infra.collections import UnknownCollection
from infra.tokens import Role
from schemas.collections import ItemView
from schemas.fields import Strict
from schemas.items import ItemKey, ItemState
from schemas.leases import MOST_RESULTS, Order

COLLECTION = "segments"
#: The old words; nothing is the word for what is available.
WORDS: dict[ItemState, str | None] = {
    ItemState.AVAILABLE: None,
    ItemState.LEASED: "sent-to-worker",
    ItemState.RUNNING: "started",
    ItemState.COMPLETED: "completed",
    ItemState.FAILED: "failed",
    ItemState.MISSING: "missing",
}
STATES = {word: state for state, word in WORDS.items()}
NULLS = frozenset({"null", "NULL", "none", "None"})
#: Why a move was refused, for people.
REASONS = {
    "unknown_item": "There is no such item.",
    "held_by_another": "Somebody else holds this item.",
    "not_in_lease": "This lease never had the item.",
    "finished": "The item is finished.",
    "illegal_move": "An item cannot go from its state to this one.",
}


class Update(Strict):
    """A new state, with the lease that the item was taken under."""

    state: str | None
    lease: UUID | None = None
    error: str | None = Field(None, max_length=4000)


class Batch(Strict):
    """A new state for many items."""

    state: str | None
    ytids: list[ItemKey] = Field(min_length=1)


async def get(request: Request) -> Response:
    """One segment: its id, state and partition, and whatever else its line had."""
    return document(view(await native.found(request, collection_of(request), request.path_params["item"])))


async def count(request: Request) -> Response:
    """How many segments are in a state and a partition; `null` is the word for those that are available."""
    given = request.query_params.get("state")
    state = _state(given) if given is not None else None
    name, partition = collection_of(request), request.query_params.get("partition")
    try:
        counted = await transact(request, collections.counts, name, partition, state)
    except UnknownCollection:
        if name != COLLECTION:
            raise
        return document({"count": 0, "success": True})  # nothing has been imported yet
    return document({"count": counted.total, "success": True})


async def next_item(request: Request) -> Response:
    """Take one item at random. GET is kept for old clients; no other method takes one, and nobody who has gone.

    The same `Idempotency-Key` again gives the same item, while it is held.
    """
    if request.method == "HEAD":
        return Response(headers={"Cache-Control": "no-store"})
    name = request.query_params.get("worker") or identity(request).name
    terms = {"count": 1, "worker": name[:200], "request_id": request_id(request)}
    partition = request.query_params.get("partition")
    order = order_of(
        request, collection_of(request), "acquire", terms | ({"partition": partition} if partition else {})
    )
    told = await _lease(request, order)
    if gone(request.receive):
        services(request).questions.abandon(order)
    headers = {"Cache-Control": "no-store"}
    if not told["items"]:
        wait = round(told["retry_seconds"] or 60)
        message = {"success": False, "message": "Nothing is available right now."}
        return document(message, headers=headers | {"Retry-After": str(wait)})
    [item] = told["items"]
    lease = {name: told[name] for name in ("lease", "worker", "expires_at", "renew_seconds")}
    taken = {"success": True, "download_id": item["key"], "owner": identity(request).name}
    known = {"partition": item["partition"], "attempt": item["attempt"], "attributes": item["attributes"]}
    return document(item["attributes"] | taken | lease | known, headers=headers)


async def _answered(request: Request, order: Order) -> bytes:
    """The dispatcher's answer. An `Idempotency-Key` that was used with another request is refused: 422."""
    repeat = repeat_of(request, order)  # the dispatcher knows the keys of leases only, and those by collection
    if repeat is not None:
        await transact(request, repeats.once, repeat, lambda: order.op)
    return await answered(request, order)


async def _lease(request: Request, order: Order) -> dict[str, Any]:
    try:
        return dict(orjson.loads(await _answered(request, order)))
    except Problem as problem:
        if problem.code == "unknown_collection" and order.collection == COLLECTION:
            return {"items": [], "retry_seconds": 60}
        raise


async def update(request: Request) -> Response:
    """Set the state of one item: `{"state": …}`, with the `lease` that `next` gave. 409 for what cannot be."""
    asked = await read(request, Update)
    key, state = request.path_params["item"], _state(asked.state)
    if state is ItemState.LEASED:
        return await _still_leased(request, key, asked.lease)
    result = {"key": key, "state": state.value} | ({"error": asked.error} if asked.error else {})
    if asked.lease is None:
        told = await _moved(request, [result])
        refused = {"code": "unknown_item"} if told["unknown"] else next(iter(told["rejected"]), None)
    else:
        order = order_of(request, collection_of(request), "submit", {"lease": asked.lease, "results": [result]})
        told = orjson.loads(await _answered(request, order))
        refused = next((each for each in told["results"] if each["outcome"] == "refused"), None)
    if refused is not None:
        raise Problem(404 if refused["code"] == "unknown_item" else 409, refused["code"], REASONS[refused["code"]])
    return document({"success": True})


async def _still_leased(request: Request, key: str, lease: UUID | None) -> Response:
    """Only taking an item makes it `sent-to-worker`; one that is, stays so, if whoever holds it says it."""
    found = await native.found(request, collection_of(request), key)
    if found.state is not ItemState.LEASED:
        raise Problem(409, "illegal_move", "An item is taken with /api/download/next.")
    caller = identity(request)
    mine = found.owner == caller.name
    if not (mine or caller.may(Role.PRODUCER) if lease is None else mine and found.lease == lease):
        raise Problem(409, "held_by_another", REASONS["held_by_another"])
    return document({"success": True})


async def batch(request: Request) -> Response:
    """Set the state of many items at once: `{"state": …, "ytids": […]}`. More come as a file, with a job."""
    asked = await read(request, Batch)
    if len(asked.ytids) > MOST_RESULTS:
        raise Problem(413, "too_many_items", f"A batch is limited to {MOST_RESULTS} items.", limit=MOST_RESULTS)
    state = _state(asked.state)
    if state is ItemState.LEASED:
        raise Problem(400, "invalid_state", "Items are taken with /api/download/next.", field="state")
    told = await _moved(request, [{"key": key, "state": state.value} for key in dict.fromkeys(asked.ytids)])
    rejected = [
        {"ytid": each["key"], "state": WORDS[ItemState(each["state"])], "code": each["code"]}
        for each in told["rejected"]
    ]
    counts = {name: told[name] for name in ("updated", "unchanged", "unknown")}
    return document({"success": True, **counts, "rejected": rejected})


async def _moved(request: Request, moves: list[dict[str, str]]) -> dict[str, Any]:
    terms = {"moves": moves, "override": identity(request).may(Role.PRODUCER)}
    order = order_of(request, collection_of(request), "move", terms)
    try:
        return dict(orjson.loads(await _answered(request, order)))
    except Problem as problem:
        if problem.code == "unknown_collection" and order.collection == COLLECTION:
            return {"updated": 0, "unchanged": 0, "unknown": [move["key"] for move in moves], "rejected": []}
        raise


def view(item: ItemView) -> dict[str, Any]:
    """An item in the old words."""
    known = {"ytid": item.key, "state": WORDS[item.state], "partition": item.partition, "success": True}
    beside = {"attempt": item.attempt, "error": item.error, "worker": item.worker, "attributes": item.attributes}
    return item.attributes | known | beside


def collection_of(request: Request) -> str:
    """The collection that a call is about."""
    return request.query_params.get("collection", COLLECTION)


def _state(word: str | None) -> ItemState:
    if word is None or word in NULLS:
        return ItemState.AVAILABLE
    if word not in STATES:
        known = ", ".join(sorted(filter(None, STATES)))
        raise Problem(400, "invalid_state", f"A state is null or one of {known}.", field="state")
    return STATES[word]
