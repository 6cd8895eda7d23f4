"""Two pages for people: how far a collection is, with some of its items; and one item with all that happened to it."""

from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import collections as native
from gateway.console import page, rendering
from gateway.legacy.paging import document
from gateway.legacy.segments import COLLECTION, WORDS, collection_of, view
from gateway.preference import HTML, JSON, preferred
from gateway.problems import Problem
from gateway.services import transact
from infra import collections
from infra.collections import UnknownCollection
from schemas.items import ItemState, legible

SAMPLE = 20
OTHERS = 100


async def index(request: Request) -> Response:
    """How many items a collection has in each state, and a page of them. JSON if the caller prefers it."""
    name, as_json = collection_of(request), preferred(request, HTML, JSON) == JSON
    try:
        counted = await transact(request, collections.counts, name)
        rows, rest = await native.listed(request, name, SAMPLE)
    except UnknownCollection:
        if name != COLLECTION and as_json:
            raise
        counted, rows, rest = None, [], None
    counts = {WORDS[state] or "null": n for state, n in counted.by_state.items()} if counted is not None else {}
    total = counted.total if counted is not None else 0
    sample = [{"ytid": r["key"], "state": WORDS[ItemState(r["state"])], "partition": r["partition"]} for r in rows]
    if as_json:
        return document({"collection": name, "count": total, "counts": counts, "items": sample, "next": rest})
    return _page(
        request,
        "items/index.html",
        200 if counted is not None or name == COLLECTION else 404,
        name=name,
        there=counted is not None,
        total=total,
        counts=counts,
        items=sample,
        states=[row["state"] for row in rows],
        older="/?" + urlencode({"collection": name, "cursor": rest}) if rest else None,
        others=[row["name"] for row in await transact(request, collections.listing, "", OTHERS)],
        path=lambda key: f"/id/{quote(key, safe='')}?{urlencode({'collection': name})}",
    )


async def item(request: Request) -> Response:
    """One item: its partition, its state, and who moved it from where to where."""
    key, name = request.path_params["item"], collection_of(request)
    try:
        found = await native.found(request, name, key)
    except (Problem, UnknownCollection) as error:
        if isinstance(error, Problem) and error.status != 404:
            raise
        return _page(request, "items/missing.html", 404, name=name, key=key)
    shown = view(found) | {"ytid": legible(found.key)}
    facts = [(word, _plain(value)) for word, value in shown.items() if value is not None]
    return _page(
        request,
        "items/item.html",
        name=name,
        item=found,
        facts=[(word, value) for word, value in facts if word not in {"success", "attributes"}],
        words={state: word or "null" for state, word in WORDS.items()},
    )


def _plain(value: object) -> object:
    """Lists and objects as JSON, which people can paste elsewhere."""
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else value


def _page(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """A page with the looks and the policy of the console, which it belongs to."""
    response = rendering.page(request, template, status, **values)
    response.headers.update(page.HEADERS)
    return response
