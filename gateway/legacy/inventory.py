"""The old look-up and fetch queue: `/metadata`, `/torrents`, `/stats`. Albums are items, torrents are fetch tasks."""

from html import escape
from typing import Annotated, Any

import orjson
from pydantic import Field, RootModel, StringConstraints
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway import fetching
from gateway.bodies import read
from gateway.fetching import INVENTORY
from gateway.leases import answered, identity, order_of
from gateway.legacy import forms
from gateway.legacy.paging import document
from gateway.preference import HTML, JSON, preferred
from gateway.problems import Problem
from gateway.services import services, transact
from infra import collections, fetch_tasks, numbers
from infra.collections import UnknownCollection
from infra.fetch_tasks import Fill, Said
from infra.ids import new_id
from schemas.fetching import ExternalId, FetchLeaseRequest, FetchStats, Location
from schemas.fields import Strict
from schemas.hosts import Host
from schemas.items import KEY_SEPARATOR
from schemas.leases import MOST_CANDIDATES, MOST_RESULTS, Order

MOST = 100
LONGEST_NUMBER = 18
NO_STORE = {"Cache-Control": "no-store"}
NO_LEASE = {"lease": None, "expires_at": None}
NOTHING_TAKEN = NO_LEASE | {"retry_seconds": None}
OUTCOMES = {"completed": "found", "available": "not_found", "missing": "gave_up"}


class Torrent(Strict):
    """A torrent at a site, which is given by any address there."""

    site: Host
    torrentId: ExternalId  # noqa: N815 - the old word


Torrents = Annotated[list[Torrent], Field(max_length=MOST_CANDIDATES)]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]


class Found(RootModel[dict[Digits, Torrents]]):
    """What was found for each album, by the number of the album; nothing, if nothing was found."""

    root: dict[Digits, Torrents] = Field(min_length=1, max_length=MOST_RESULTS)


class Lying(RootModel[dict[Location, Torrents]]):
    """The torrents whose content lies at each path."""

    root: dict[Location, Torrents] = Field(min_length=1, max_length=MOST_RESULTS)


async def albums(request: Request) -> Response:
    """Take up to so many albums, at most 100, to look for them. GET is kept for old clients; HEAD takes none."""
    count = _rows(request.path_params["rows"], "rows")
    if request.method == "HEAD":
        return Response(headers=NO_STORE)
    name = _collection(request)
    if count == 0:
        return _albums([], {}, NOTHING_TAKEN)
    worker = request.query_params.get("worker") or identity(request).name
    terms = {"count": count, "worker": worker[:200], "request_id": str(new_id())}
    order = order_of(request, name, "acquire", terms)
    try:
        told = dict(orjson.loads(await answered(request, order)))
    except Problem as problem:
        if problem.code == "unknown_collection" and name == INVENTORY:
            return _albums([], {}, NOTHING_TAKEN)  # nothing has been imported yet
        raise
    return await _handed_out(request, order, told)


async def _handed_out(request: Request, order: Order, told: dict[str, Any]) -> Response:
    """Albums with their numbers. Whoever does not get them, holds none."""
    keys = [item["key"] for item in told["items"]]
    try:
        known = await transact(request, _numbers, order.collection, keys) if keys else {}
    except Exception:
        services(request).questions.abandon(order)
        raise
    if await request.is_disconnected():
        services(request).questions.abandon(order)
    return _albums(told["items"], known, {each: told[each] for each in ("lease", "expires_at", "retry_seconds")})


def _numbers(connection: Any, name: str, keys: list[str]) -> dict[str, int]:
    return dict(numbers.give(connection, collections.get(connection, name)["id"], keys))


def _albums(items: list[dict[str, Any]], known: dict[str, int], lease: dict[str, Any]) -> Response:
    told = [{"album": album, "id": known[key], "sortArtist": artist} for key, album, artist in map(_words, items)]
    return document({"albums": told, "success": True} | lease, headers=NO_STORE)


def _words(item: dict[str, Any]) -> tuple[str, str, str]:
    """An item's key, the album and its artist: the parts of the key, or its attributes."""
    album, _, artist = item["key"].partition(KEY_SEPARATOR)
    return item["key"], album, artist or str(item["attributes"].get("Artist Name", ""))


async def submit_albums(request: Request) -> Response:
    """Say where albums were found, all or nothing: `{"111": [{"site": …, "torrentId": 37}], "444": []}`."""
    found = (await read(request, Found)).root
    if len({int(number) for number in found}) < len(found):
        raise Problem(400, "repeated_album", "Each album is given once.")
    known = await transact(request, _keys, _collection(request), [int(number) for number in found])
    unknown = [number for number in found if int(number) not in known]
    if unknown:
        raise Problem(404, "unknown_album", "Some of these albums are not there; nothing was changed.", unknown=unknown)
    moves = [_move(known[int(number)], torrents) for number, torrents in found.items()]
    order = order_of(request, _collection(request), "move", {"moves": moves, "atomic": True})
    names = {known[int(number)]: number for number in found}
    try:
        told = orjson.loads(await answered(request, order))
    except Problem as problem:
        _rename(problem, names)
        raise
    results = {names[each["key"]]: _told(each) for each in told["results"]}
    return document({"success": True, "message": "Ok", "results": results})


def _keys(connection: Any, name: str, wanted: list[int]) -> dict[int, str]:
    try:
        return dict(numbers.keys(connection, collections.get(connection, name)["id"], wanted))
    except UnknownCollection:
        if name != INVENTORY:
            raise
        return {}


def _move(key: str, torrents: list[Torrent]) -> dict[str, Any]:
    if not torrents:
        return {"key": key, "state": "nacked"}
    candidates = [{"host": torrent.site, "external_id": torrent.torrentId} for torrent in torrents]
    return {"key": key, "state": "found", "candidates": candidates}


def _rename(problem: Problem, names: dict[str, str]) -> None:
    """Items are called by their numbers here."""
    problem.extra["unknown"] = [names[key] for key in problem.extra.get("unknown", ())]
    problem.extra["rejected"] = [
        {"id": names[each["key"]], "code": each["code"]} for each in problem.extra.get("rejected", ())
    ]


def _told(verdict: dict[str, Any]) -> dict[str, Any]:
    outcome = "unchanged" if verdict["outcome"] == "unchanged" else OUTCOMES.get(verdict["state"], verdict["state"])
    return {"outcome": outcome, "torrents": verdict["tasks"]}


async def torrents(request: Request) -> Response:
    """Take torrents of a site to fetch them: the fields `site` and `rows`, 0 by default and 100 at most."""
    fields = await forms.fields(request)
    host = fetching.host_of(str(forms.required(fields, "site")), "site")
    count = _rows(str(fields.get("rows") or "0"), "rows")
    told: list[dict[str, Any]] = []
    lease: dict[str, Any] = NO_LEASE
    if count:
        worker = str(fields.get("worker") or identity(request).name)[:200]
        asked = FetchLeaseRequest.model_validate({"host": host, "count": count, "worker": worker})
        view = await fetching.taken(request, asked)
        told = [{"id": task.id, "siteTorrentId": _short(task.external_id)} for task in view.tasks]
        lease = {"lease": view.lease, "expires_at": view.expires_at}
    return document({"site": host, "torrents": told, "success": True} | lease, headers=NO_STORE)


async def submit_torrents(request: Request) -> Response:
    """Say where the content of torrents lies, all or nothing: `{path: [{"site": …, "torrentId": 37}]}`."""
    lying = (await read(request, Lying)).root
    places = {(torrent.site, torrent.torrentId): path for path, torrents in lying.items() for torrent in torrents}
    if not places:
        return document({"success": True, "message": "Ok", "filled": 0, "unchanged": 0})
    if len(places) < sum(map(len, lying.values())):
        raise Problem(400, "repeated_torrent", "Each torrent lies at one place.")
    known = await transact(request, fetch_tasks.ids_of, list(places))
    unknown = [{"site": site, "torrentId": _short(number)} for site, number in places if (site, number) not in known]
    if unknown:
        raise Problem(404, "unknown_torrent", "Nobody asked for some of these; nothing was changed.", unknown=unknown)
    fills = [Fill(known[pair], path) for pair, path in places.items()]
    outcome = await fetching.written(request, Said(fills, [], identity(request).name))
    done = sum(verdict.outcome == "done" for verdict in outcome.verdicts)
    return document({"success": True, "message": "Ok", "filled": done, "unchanged": len(fills) - done})


async def stats(request: Request) -> Response:
    """How many albums there are, are looked for, were not found; and the torrents of each site. JSON or HTML."""
    counted = await fetching.counted(request, _collection(request))
    headers = NO_STORE | {"Vary": "Accept"}
    if preferred(request, HTML, JSON) == JSON:
        return document(_old_words(counted), headers=headers)
    return HTMLResponse(_page(counted), headers=headers)


def _old_words(counted: FetchStats) -> dict[str, Any]:
    return {
        "albums": counted.items,
        "metadata": {"active": counted.active, "stale": counted.stale},
        "nacked": counted.nacked,
        "torrents": {"filled": counted.filled, "total": counted.tasks},
        "sites": [host.model_dump(mode="json") for host in counted.hosts],
        "oldest_lease": counted.oldest_lease,
        "success": True,
    }


def _page(counted: FetchStats) -> str:
    facts = [
        ("albums", counted.items),
        ("looked for now", counted.active),
        ("lease ran out", counted.stale),
        ("not found", counted.nacked),
        ("oldest lease", counted.oldest_lease or ""),
        ("torrents filled", f"{counted.filled} of {counted.tasks}"),
    ]
    names = ("host", "open", "active", "stale", "filled", "unavailable", "total")
    rows = [[getattr(host, name) for name in names] for host in counted.hosts]
    title = f"Statistics of {escape(counted.collection)}"
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    return f"{head}<body><h1>{title}</h1>{_table(facts)}<h2>Sites</h2>{_table([names, *rows])}</body></html>"


def _table(rows: Any) -> str:
    cells = ("".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _rows(given: str, field: str) -> int:
    """A number of rows, at most 100, however long it is written. Raises a 400 problem."""
    if not given.isascii() or not given.isdigit():
        raise Problem(400, "invalid_parameter", f"{field} is a whole number from 0 on.", field=field)
    digits = given.lstrip("0")
    return MOST if len(digits) > LONGEST_NUMBER else min(int(digits or "0"), MOST)


def _short(external_id: str) -> int | str:
    """Numbers are told as numbers."""
    plain = external_id.isascii() and external_id.isdigit() and len(external_id) <= LONGEST_NUMBER
    return int(external_id) if plain and str(int(external_id)) == external_id else external_id


def _collection(request: Request) -> str:
    return request.query_params.get("collection", INVENTORY)
