"""`/v1/collections`: their rules, their items, how far they are, who has done what."""

from typing import Any

import orjson
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway import ownership
from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.leases import identity
from gateway.problems import Problem
from gateway.queries import place, place_cursor
from gateway.services import transact
from infra import collections, db, imports
from infra.imports import NewItem
from infra.leasing import expiry
from infra.leasing.collection import known
from schemas.collections import (
    Added,
    CollectionName,
    CollectionPage,
    CollectionRequest,
    CollectionSummary,
    CollectionView,
    FoundAt,
    ItemMove,
    ItemPage,
    ItemSummary,
    ItemView,
    Leaderboard,
    NewItems,
    OldLeases,
    Released,
)
from schemas.items import ItemState


async def put(request: Request) -> Response:
    """Make a collection, 201, or change its rules, 200. Its ordering stays as it was at first: 409."""
    wanted, name = await read(request, CollectionRequest), CollectionName(name=_name(request)).name
    created = await transact(request, collections.put, name, wanted, identity(request).name)
    if created is None:
        await ownership.require_collection(request, name)
        raise Problem(409, "ordering_fixed", "The ordering of a collection cannot change.")
    return reply(await transact(request, _view, name), 201 if created else 200)


async def get(request: Request) -> Response:
    """A collection, its rules, and how many of its items are in which state."""
    return reply(await transact(request, _view, _name(request)))


async def page(request: Request) -> Response:
    """Collections by name."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, collections.listing, request.query_params.get("cursor", ""), limit + 1)
    rest = found[limit - 1]["name"] if len(found) > limit else None
    return reply(
        CollectionPage(collections=[CollectionSummary.model_validate(dict(row)) for row in found[:limit]], next=rest)
    )


async def counts(request: Request) -> Response:
    """How many items are in which state, by partition; all of one moment. Filters combine."""
    partition, state = request.query_params.get("partition"), state_of(request)
    return reply(await transact(request, collections.counts, _name(request), partition, state))


async def leaderboard(request: Request) -> Response:
    """What each worker has taken and done."""
    return reply(Leaderboard(workers=await transact(request, collections.leaderboard, _name(request))))


async def add(request: Request) -> Response:
    """Add a few items, or renew the attributes of known ones. Progress is kept. Many: the job `items.import`."""
    asked = await read(request, NewItems)
    items = [NewItem(item.key, item.partition, orjson.dumps(item.attributes).decode()) for item in asked.items]
    return reply(await transact(request, _add, _name(request), items))


async def release(request: Request) -> Response:
    """Give back what leases hold that were taken so long ago, at once and uncharged. Their holders may not know."""
    asked = await read(request, OldLeases)
    by = identity(request).name
    leases, items = await transact(request, expiry.release_older, _name(request), asked.older_than, by)
    return reply(Released(leases=leases, items=items))


async def items(request: Request) -> Response:
    """Items in the order in which they are kept. `state` may be missing or failed; `dead=1`: not offered again."""
    rows, rest = await listed(request, _name(request))
    return reply(ItemPage(items=[ItemSummary.model_validate(_told(row)) for row in rows], next=rest))


async def item(request: Request) -> Response:
    """One item: its state, who holds it, and what has happened to it."""
    return reply(await found(request, _name(request), request.path_params["key"]))


async def found(request: Request, name: str, key: str) -> ItemView:
    """An item, whole. Raises a 404 problem."""
    view = await transact(request, _item, name, key)
    if view is None:
        raise Problem(404, "unknown_item", "There is no such item in this collection.")
    return view


async def listed(request: Request, name: str, default: int = 100) -> tuple[list[db.Row], str | None]:
    """A page of items as the query asks for it, and the cursor of the next."""
    limit = integer(request, "limit", default, LARGEST_PAGE)
    state, partition, after = state_of(request), request.query_params.get("partition"), place(request)
    if state is not None and state not in collections.ENDED_BADLY:
        raise Problem(400, "invalid_parameter", "Lists are of all items, or of those missing or failed.", field="state")
    if state is None:
        rows = await transact(request, collections.page, name, partition, after, limit + 1)
    else:
        dead = request.query_params.get("dead", "0") not in {"", "0", "false"}
        rows = await transact(
            request, collections.page_ended_badly, name, state, partition, after, limit + 1, dead=dead
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return list(rows[:limit]), place_cursor(last["pool_id"], last["position"]) if last is not None else None


def state_of(request: Request) -> ItemState | None:
    """The state in the query. Raises a 400 problem for a word that is none."""
    given = request.query_params.get("state")
    if given is not None and given not in set(ItemState):
        raise Problem(400, "invalid_parameter", f"state is one of {', '.join(ItemState)}.", field="state")
    return ItemState(given) if given is not None else None


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _view(connection: Connection, name: str) -> CollectionView:
    row = dict(collections.get(connection, name))
    counted = collections.counts(connection, name)
    return CollectionView.model_validate(
        row | {"ttl": row["ttl_seconds"], "counts": counted.by_state, "total": counted.total}
    )


def _add(connection: Connection, name: str, items: list[NewItem]) -> Added:
    collection = known(connection, name)
    if collection is None:
        raise collections.UnknownCollection
    staged = imports.put(connection, items)
    merged = imports.merge(connection, collection, staged)
    return Added(
        inserted=merged.inserted, updated=merged.updated, unchanged=merged.unchanged, duplicate=merged.duplicate
    )


def _item(connection: Connection, name: str, key: str) -> ItemView | None:
    row = collections.item(connection, name, key)
    if row is None:
        return None
    history = [
        ItemMove.model_validate(dict(move) | {"lease": move["lease_id"], "error": move["error_message"]})
        for move in collections.history(connection, name, key)
    ]
    found = [FoundAt.model_validate(dict(place)) for place in collections.found(connection, row)]
    held = row["state"] in {"leased", "running"}
    holder = {name: row[name] if held else None for name in ("owner", "worker", "expires_at")}
    return ItemView.model_validate(
        _told(row) | holder | {"lease": row["lease_id"] if held else None, "history": history, "found": found}
    )


def _told(row: Any) -> dict[str, Any]:
    return dict(row) | {"error": row["error_message"]}
