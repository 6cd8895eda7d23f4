"""Collections: how far each is, who holds what, what comes in, and what can be done about it."""

import time
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway import collections as api
from gateway import intake, uploads
from gateway.bodies import job_id
from gateway.console import page, rendering
from gateway.problems import Problem, invalid
from gateway.services import in_thread, services, transact
from infra import blobs, db, jobs, steps
from infra import collections as store
from infra.collections import ENDED_BADLY
from infra.leasing import expiry, watching
from infra.storage import Storage
from schemas.collections import CollectionName, CollectionRequest
from schemas.items import ItemState

SHOWN = 50
PARTITIONS = 100
FEED = 18
IMPORTS = 8
HOURS = 3600.0
#: So much of a report is read for its first wrong lines.
REPORT_BYTES = 128 * 1024
WRONG_LINES = 200
KIND = "items.import"


async def listing(request: Request) -> Response:
    """All collections, and a form for another one."""
    return await _listing(request)


async def put(request: Request) -> Response:
    """Make a collection, or change its rules."""
    fields = await page.form(request)
    name = page.text(fields, "name") or ""
    asked = {field: value for field in ("ordering", "ttl", "max_attempts") if (value := page.text(fields, field))}
    try:
        CollectionName(name=name)
        wanted = CollectionRequest.model_validate(asked)
    except ValidationError as error:
        return await _listing(request, invalid(error))
    if await transact(request, store.put, name, wanted, request.state.identity.name) is None:
        return await _listing(request, Problem(409, "ordering_fixed", "The ordering of a collection cannot change."))
    return page.back(_at(name), "created")


async def show(request: Request) -> Response:
    """One collection."""
    name = request.path_params["name"]
    found = await transact(request, _look, name)
    return rendering.page(request, "collections/collection.html", **found, path=_at(name))


async def items(request: Request) -> Response:
    """Its items: all of them, or those that are missing or failed."""
    name = request.path_params["name"]
    rows, rest = await api.listed(request, name, SHOWN)
    kept = {k: v for k in ("state", "partition", "dead") if (v := request.query_params.get(k))}
    return rendering.page(
        request,
        "collections/items.html",
        name=name,
        path=_at(name),
        rows=rows,
        states=sorted(ENDED_BADLY),
        state_asked=request.query_params.get("state"),
        partition=request.query_params.get("partition") or "",
        older=f"{_at(name)}/items?" + urlencode(kept | {"cursor": rest}) if rest else None,
        item_path=lambda key: f"/id/{quote(key, safe='')}?{urlencode({'collection': name})}",
    )


async def release(request: Request) -> Response:
    """Give back what old leases hold."""
    name = request.path_params["name"]
    given = page.text(await page.form(request), "hours") or ""
    try:
        hours = float(given)
        if not 0 <= hours <= 1e5:
            raise ValueError(given)
    except ValueError:
        raise Problem(400, "invalid_parameter", "hours is a number from 0.", field="hours") from None
    by = request.state.identity.name
    asked = time.monotonic()  # what is taken from now on stays
    while (await transact(request, expiry.release_older, name, hours * HOURS + time.monotonic() - asked, by))[0]:
        pass
    return page.back(_at(name), "released")


async def bring_in(request: Request) -> Response:
    """Import a file of items that comes with the form."""
    name = request.path_params["name"]
    await transact(request, store.get, name)
    row, _ = await uploads.store(request)
    receipt = await intake.submit(request, KIND, {"collection": name, "file": row["sha256"]})
    return page.back(f"{_at(name)}/imports/{receipt.job_id}", "created")


async def imported(request: Request) -> Response:
    """One import: how it goes, and what is wrong with which line."""
    name, wanted = request.path_params["name"], job_id(request)
    job, report = await transact(request, _import, name, wanted)
    if job is None:
        raise Problem(404, "unknown_import", "There is no such import into this collection.")
    wrong = await in_thread(_wrong_lines, services(request).storage, report) if report is not None else []
    return rendering.page(
        request,
        "collections/import.html",
        name=name,
        path=_at(name),
        job=job,
        wrong=wrong[:WRONG_LINES],
        more=len(wrong) > WRONG_LINES,
        report=report,
    )


async def _listing(request: Request, wrong: Problem | None = None) -> Response:
    rows, progress, rest = await transact(request, _read, request.query_params.get("after", ""))
    return rendering.page(
        request,
        "collections/listing.html",
        wrong.status if wrong is not None else 200,
        rows=rows,
        progress_by=progress,
        wrong=wrong,
        older="/console/collections?" + urlencode({"after": rest}) if rest else None,
    )


def _read(connection: Connection, after: str) -> tuple[list[db.Row], dict[int, dict[ItemState, int]], str | None]:
    found = store.listing(connection, after, SHOWN + 1)
    rows = list(found[:SHOWN])
    rest = rows[-1]["name"] if len(found) > SHOWN else None
    return rows, watching.progress(connection, [row["id"] for row in rows]), rest


def _look(connection: Connection, name: str) -> dict[str, Any]:
    row = store.get(connection, name)
    counts = store.counts(connection, name)
    leases = watching.open_leases(connection, row["id"], SHOWN + 1)
    return {
        "collection": row,
        "counts": counts,
        "partitions": list(counts.by_partition.items())[:PARTITIONS],
        "more_partitions": max(len(counts.by_partition) - PARTITIONS, 0),
        "leaderboard": store.leaderboard(connection, name)[:SHOWN],
        "leases": leases[:SHOWN],
        "more_leases": len(leases) > SHOWN,
        "feed": watching.feed(connection, row["id"], FEED),
        "imports": watching.imports(connection, name, IMPORTS),
    }


def _import(connection: Connection, name: str, wanted: UUID) -> tuple[db.Row | None, db.Row | None]:
    job = jobs.get(connection, wanted)
    if job is None or job["kind"] != KIND or job["params"].get("collection") != name:
        return None, None
    made = steps.outputs(connection, wanted, "", 1)
    return job, blobs.resolve(connection, made[0]["sha256"])[0] if made else None


def _wrong_lines(storage: Storage, report: db.Row) -> list[dict[str, Any]]:
    """The first lines of a report; one that is cut off at the end is left out."""
    with storage.open(report["object_key"], 0, min(report["size"], REPORT_BYTES)) as chunks:
        head = b"".join(chunks)
    whole = head.rsplit(b"\n", 1)[0] if b"\n" in head else b""
    return [orjson.loads(line) for line in whole.splitlines()[: WRONG_LINES + 1]]


def _at(name: str) -> str:
    return f"/console/collections/{quote(name, safe='')}"
