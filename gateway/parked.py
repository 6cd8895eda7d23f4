"""`/v1/parked`: messages that nobody could process. Look at them, send them again, let them go."""

import base64
import codecs
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.problems import Problem, unavailable
from gateway.replays import sender
from gateway.services import transact
from infra import parked, resolutions
from infra.parked import Filter
from infra.resolutions import Change, Resolution
from infra.topology import JOBS
from schemas.parked import (
    ParkedGroup,
    ParkedGroups,
    ParkedOutcome,
    ParkedPage,
    ParkedReport,
    ParkedSelection,
    ParkedSummary,
    ParkedView,
    Replay,
)
from schemas.wire import LARGEST_BODY

Act = Callable[[Sequence[int]], Any]
LONGEST_FINGERPRINT = 64
LARGEST_ID = 2**63 - 1
DONE = frozenset({Resolution.REPLAYED, Resolution.DISCARDED})
WHY = {
    Resolution.UNKNOWN: (404, "unknown_message", "There is no such parked message."),
    Resolution.ALREADY_RESOLVED: (409, "already_resolved", "The message was replayed or discarded before."),
    Resolution.TRUNCATED: (409, "truncated", "The body was too large to keep: send another body, or discard it."),
    Resolution.HAS_JOB: (409, "has_job", "Its job exists, and the job's own parameters count: ask for a new job."),
    Resolution.JOB_MOVED_ON: (409, "job_moved_on", "Its job does not wait for it any more: discard it."),
    Resolution.INPUTS_GONE: (409, "inputs_gone", "A file that the job reads is not there any more."),
    Resolution.KEY_IN_USE: (409, "key_in_use", "Another live job has the key of its job."),
    Resolution.UNROUTABLE: (409, "unroutable", f"No consumer has this key at {JOBS}: send another routing_key."),
    Resolution.REFUSED: (503, "queue_refuses", "The queue takes no more messages now; try again shortly."),
    Resolution.UNCONFIRMED: (503, "unconfirmed", "The broker has not confirmed the message: it may come twice."),
    Resolution.UNAVAILABLE: (503, "broker_unavailable", "The broker does not answer; try again shortly."),
}


async def page(request: Request) -> Response:
    """Parked messages, newest first, by code, queue and fingerprint; `?open=1` leaves out what is resolved."""
    query = request.query_params
    wanted = Filter(
        code=query.get("code"),
        queue=query.get("queue"),
        fingerprint=query.get("fingerprint"),
        open=query.get("open", "0") not in {"", "0", "false"},
    )
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    before = _number(query["cursor"], _bad_cursor()) if "cursor" in query else None
    found = await transact(request, parked.page, wanted, before, limit + 1)
    rest = str(found[limit - 1]["id"]) if len(found) > limit else None
    return reply(ParkedPage(messages=[ParkedSummary.model_validate(dict(row)) for row in found[:limit]], next=rest))


async def groups(request: Request) -> Response:
    """Open messages by cause: how many, since when, and one of them as an example."""
    after = request.query_params.get("cursor")
    if after is not None and not (after.isalnum() and len(after) <= LONGEST_FINGERPRINT):
        raise _bad_cursor()
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, parked.groups, after, limit + 1)
    views = [
        ParkedGroup.model_validate(
            dict(row)
            | {"example": row["id"], "count": row["messages"], "more": row["messages"] >= parked.MOST_IN_A_GROUP}
        )
        for row in found[:limit]
    ]
    return reply(ParkedGroups(groups=views, next=views[-1].fingerprint if len(found) > limit else None))


async def get(request: Request) -> Response:
    """One parked message with its body, its properties and its headers."""
    return reply(await described(request, _wanted(request)))


async def replay(request: Request) -> Response:
    """Send a message again under its own id, or with another body or routing key. It stays here if nobody takes it."""
    change = await _change(request)
    return await _one(request, partial(_replay, request, change))


async def discard(request: Request) -> Response:
    """Let a message go. It stays in the record, resolved."""
    return await _one(request, partial(_discard, request))


async def replay_all(request: Request) -> Response:
    """Send again every open message that fits, the newest first; each has an outcome of its own."""
    return await _all(request, partial(_replay, request, Change()))


async def discard_all(request: Request) -> Response:
    """Let every open message go that fits."""
    return await _all(request, partial(_discard, request))


async def _replay(request: Request, change: Change, ids: Sequence[int]) -> dict[int, Resolution]:
    return await transact(
        request, resolutions.replay, ids, request.state.identity.name, sender(request, change), change
    )


async def _discard(request: Request, ids: Sequence[int]) -> dict[int, Resolution]:
    return await transact(request, resolutions.discard, ids, request.state.identity.name)


async def _one(request: Request, act: Act) -> Response:
    wanted = _wanted(request)
    outcome = (await act([wanted]))[wanted]
    if outcome in DONE:
        return reply(await described(request, wanted))
    status, code, detail = WHY[outcome]
    raise unavailable(code, detail) if status == 503 else Problem(status, code, detail)


async def _all(request: Request, act: Act) -> Response:
    asked = await read(request, ParkedSelection)
    wanted = Filter(asked.code, asked.queue, asked.fingerprint, asked.ids)
    found = [row["id"] for row in await transact(request, parked.page, wanted, None, asked.limit + 1)]
    chosen = found[: asked.limit]
    # Ids that are not open are asked for too, so that each has its answer.
    outcomes = dict.fromkeys(chosen, "selected") if asked.dry_run else await act(_named(asked) or chosen)
    items = [ParkedOutcome(id=n, outcome=str(outcome)) for n, outcome in outcomes.items()]
    counts = Counter(item.outcome for item in items)
    return reply(ParkedReport(dry_run=asked.dry_run, items=items, counts=dict(counts), more=len(found) > len(chosen)))


def _named(asked: ParkedSelection) -> list[int]:
    return list(dict.fromkeys(asked.ids or []))


async def _change(request: Request) -> Change:
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return Change()
    asked = await read(request, Replay)
    return Change(asked.body.encode() if asked.body is not None else None, asked.routing_key)


async def described(request: Request, wanted: int) -> ParkedView:
    """One message, whole. Raises a 404 problem."""
    row = await transact(request, parked.get, wanted, LARGEST_BODY)
    if row is None:
        raise _unknown()
    body = bytes(row["body"])
    try:
        # A character that the cut goes through is left out.
        shown, encoding = codecs.getincrementaldecoder("utf-8")().decode(body, len(body) == row["size"]), "utf-8"
    except UnicodeDecodeError:
        shown, encoding = base64.b64encode(body).decode(), "base64"
    return ParkedView.model_validate(dict(row) | {"body": shown, "encoding": encoding, "shown": len(body)})


def _wanted(request: Request) -> int:
    return _number(request.path_params["parked_id"], _unknown())


def _number(text: str, otherwise: Problem) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST_ID):
        raise otherwise
    return int(text)


def _unknown() -> Problem:
    return Problem(*WHY[Resolution.UNKNOWN])


def _bad_cursor() -> Problem:
    return Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor")
