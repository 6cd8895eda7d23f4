"""Two pages for people: how far a collection is, with some of its items; and one item with all that happened to it."""

from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway import collections as native
from gateway.legacy.paging import document
from gateway.legacy.segments import WORDS, collection_of, view
from gateway.problems import Problem
from gateway.services import transact
from infra import collections
from infra.collections import UnknownCollection
from schemas.items import ItemState

SAMPLE = 20


async def index(request: Request) -> Response:
    """How many items a collection has in each state, and a page of them. JSON if the caller prefers it."""
    name = collection_of(request)
    known = [row["name"] for row in await transact(request, collections.listing, "", 100)]
    try:
        counted = await transact(request, collections.counts, name)
        rows, rest = await native.listed(request, name, SAMPLE)
    except UnknownCollection:
        counted, rows, rest = None, [], None
    counts = {WORDS[state] or "null": n for state, n in counted.by_state.items()} if counted is not None else {}
    total = counted.total if counted is not None else 0
    sample = [{"ytid": r["key"], "state": WORDS[ItemState(r["state"])], "partition": r["partition"]} for r in rows]
    if "application/json" in request.headers.get("accept", ""):
        return document({"collection": name, "count": total, "counts": counts, "items": sample, "next": rest})
    onward = f'<p><a href="/?{escape(urlencode({"collection": name, "cursor": rest}))}">more</a></p>' if rest else ""
    others = " ".join(f'<a href="/?{urlencode({"collection": each})}">{escape(each)}</a>' for each in known)
    return _page(
        f"Collection {name}",
        f"<p>{total} items</p>{_table(['state', 'items'], counts.items())}<h2>Items</h2>"
        + _table(["id", "state", "partition"], ((_link(r, name), r["state"], r["partition"]) for r in sample))
        + f"{onward}<p>{others}</p>",
    )


async def item(request: Request) -> Response:
    """One item: its partition, its state, and who moved it from where to where."""
    key = request.path_params["item"]
    try:
        found = await native.found(request, collection_of(request), key)
    except (Problem, UnknownCollection) as error:
        if isinstance(error, Problem) and error.status != 404:
            raise
        return _page("No such item", f"<p>There is no item {escape(key)}.</p>", 404)
    told = view(found)
    facts = [(name, _text(value)) for name, value in told.items() if name not in {"success", "attributes"}]
    moves = [
        (m.at.isoformat(), m.by, WORDS[m.before] or "null", WORDS[m.state] or "null", m.attempt, m.error or "")
        for m in found.history
    ]
    history = _table(["when", "who", "from", "to", "attempt", "error"], moves)
    return _page(found.key, f"{_table(['', ''], facts)}<h2>History</h2>{history}")


class _Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def _link(row: dict[str, Any], collection: str) -> _Markup:
    at = f"/id/{quote(row['ytid'], safe='')}?{urlencode({'collection': collection})}"
    return _Markup(f'<a href="{escape(at)}">{escape(row["ytid"])}</a>')


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    return f"<td>{value if isinstance(value, _Markup) else escape(_text(value))}</td>"


def _page(title: str, body: str, status: int = 200) -> Response:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return HTMLResponse(f"{head}<body><h1>{escape(title)}</h1>{body}</body></html>", status)
