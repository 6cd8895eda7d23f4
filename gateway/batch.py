"""Many jobs in one request, each with its own outcome: one bad line spoils no other.

The lines go in chunks: while one is being committed, the next is checked. A job may wait for those of earlier lines, so
a whole fan-in is one request.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import asking, intake, ownership
from gateway.bodies import loaded, parsed, read_bytes, validated
from gateway.intake import Asked, Caller
from gateway.problems import Problem, problem_of, unavailable
from gateway.references import resolve_all
from gateway.services import Services, services
from infra.ledger import Answer
from infra.outbox import Overloaded
from infra.submission import Receipt, Verdict
from schemas.commands import Command
from schemas.lines import NDJSON, Event, JobLine
from schemas.registry import Kind

MOST_LINES = 10_000
#: Lines of one transaction, and of one turn of the loop, which serves others in between.
CHUNK = 1000
BREATH = 200
#: Batches that are worked on at a time; the next one waits, but not for ever.
AT_ONCE = 4
PLACES = anyio.Semaphore(AT_ONCE)
PLACE_SECONDS = 30.0
#: Refusals that say nothing about the request: it is good, and better made later.
LATER = frozenset({429, 503})

Read = Callable[[Any], Asked]


@dataclass(frozen=True, slots=True)
class Draft:
    """A line whose request is sound; its files are still as the caller named them."""

    place: int
    kind: Kind
    params: dict[str, Any]
    asked: Asked


async def of_lines(request: Request) -> Response:
    """Jobs as `application/x-ndjson`."""
    raw = await read_bytes(request, services(request).settings.batch_limit)
    if raw.count(b"\n") - raw.endswith(b"\n") >= MOST_LINES:
        raise _too_many()
    lines = [(n, line) for n, line in enumerate(raw.split(b"\n"), start=1) if line.strip()]
    return await _answer(request, lines, _of_line)


async def of_events(request: Request) -> Response:
    """Jobs as a batch of CloudEvents."""
    events = loaded(await read_bytes(request, services(request).settings.batch_limit))
    if not isinstance(events, list):
        raise Problem(400, "invalid_parameter", "A batch of CloudEvents is a JSON array.")
    if len(events) > MOST_LINES:
        raise _too_many()
    return await _answer(request, list(enumerate(events, start=1)), _of_event)


async def _answer(request: Request, lines: Sequence[tuple[int, Any]], read: Read) -> Response:
    if request.headers.get("idempotency-key") is not None:
        raise Problem(400, "bad_idempotency_key", "In a batch, each line has its own `idempotency_key`.")
    if not lines:
        raise Problem(400, "empty_batch", "There is no line in the body.")
    async with _place():
        batch = Batch(services(request), request, intake.caller(request), lines, read)
        return await batch.run()


class Batch:
    """One such request."""

    def __init__(
        self, given: Services, request: Request, caller: Caller, lines: Sequence[tuple[int, Any]], read: Read
    ) -> None:
        self._given = given
        self._request = request
        self._caller = caller
        self._lines = lines
        self._read = read
        self._outcomes: list[bytes] = [b""] * len(lines)
        self._problems: list[Problem] = []

    async def run(self) -> Response:
        """Take what can be taken. 202 when that is everything, else 207; a problem when load let nothing in."""
        under_way: deque[tuple[Sequence[int], asyncio.Task[Sequence[Answer]]]] = deque()
        for start in range(0, len(self._lines), CHUNK):
            if len(under_way) > 1:
                await self._settle(*under_way.popleft())
            places, commands = await self._chunk(range(start, min(start + CHUNK, len(self._lines))))
            if commands:
                under_way.append((places, asyncio.create_task(self._submit(commands))))
        while under_way:
            await self._settle(*under_way.popleft())
        if len(self._problems) == len(self._lines) and {p.status for p in self._problems} <= LATER:
            raise self._problems[0]
        later = [problem.headers for problem in self._problems if problem.status in LATER]
        body = b"\n".join(self._outcomes) + b"\n"
        return Response(body, 207 if self._problems else 202, later[0] if later else None, media_type=NDJSON)

    async def _chunk(self, places: range) -> tuple[list[int], list[Command]]:
        """The commands of some lines, each with its place."""
        drafts: list[Draft] = []
        for place in places:
            if place % BREATH == 0:
                await asyncio.sleep(0)
            try:
                draft = self._draft(place)
                await ownership.require(self._request, draft.kind, draft.params, draft.asked.terms.after)
                drafts.append(draft)
            except Problem as problem:
                self._refuse(place, problem)
        wanted = {file for draft in drafts for _, file in draft.kind.references(draft.params)}
        files = await resolve_all(self._request, wanted) if wanted else {}
        return self._build(drafts, files)

    def _draft(self, place: int) -> Draft:
        asked = self._read(self._lines[place][1])
        kind, params = intake.check(asked.kind, asked.params)
        intake.admit(self._caller.identity, kind)
        self._given.pressure.check(kind.consumer)
        return Draft(place, kind, params, asked)

    def _build(self, drafts: Sequence[Draft], files: dict[str, str | Problem]) -> tuple[list[int], list[Command]]:
        found = {reference: file for reference, file in files.items() if isinstance(file, str)}
        places, commands = [], []
        for draft in drafts:
            missing = next((files[f] for _, f in draft.kind.references(draft.params) if f not in found), None)
            if isinstance(missing, Problem):
                self._refuse(draft.place, missing)
                continue
            places.append(draft.place)
            commands.append(intake.build(self._caller, draft.kind, draft.params, draft.asked, found))
        return places, commands

    async def _submit(self, commands: Sequence[Command]) -> Sequence[Answer]:
        try:
            return await self._given.outbox.submit_many(commands, self._caller.identity.live_jobs)
        except Overloaded as error:
            return [error] * len(commands)

    async def _settle(self, places: Sequence[int], task: asyncio.Task[Sequence[Answer]]) -> None:
        for place, answer in zip(places, await task, strict=True):
            problem = intake.refusal(answer) if isinstance(answer, Receipt) else problem_of(answer)
            if problem is not None:
                self._refuse(place, problem)
            elif isinstance(answer, Receipt):
                self._accept(place, answer)

    def _accept(self, place: int, receipt: Receipt) -> None:
        status = "created" if receipt.verdict is Verdict.CREATED else "duplicate"
        told = {"line": self._lines[place][0], "status": status, "id": receipt.job_id, "state": receipt.state}
        self._outcomes[place] = orjson.dumps(told)

    def _refuse(self, place: int, problem: Problem) -> None:
        error = {"code": problem.code, "message": problem.detail}
        fields = [each["field"] for each in problem.extra.get("errors", ()) if each["field"]]
        if fields:
            error["field"] = fields[0]
        self._problems.append(problem)
        self._outcomes[place] = orjson.dumps({"line": self._lines[place][0], "status": "refused", "error": error})


def _of_line(line: bytes) -> Asked:
    return asking.of_request(parsed(line, JobLine, "The line"))


def _of_event(event: Any) -> Asked:
    return asking.of_event(validated(event, Event))


def _too_many() -> Problem:
    return Problem(413, "too_many_lines", f"A batch has at most {MOST_LINES} lines.", limit=MOST_LINES)


@asynccontextmanager
async def _place() -> AsyncIterator[None]:
    try:
        with anyio.fail_after(PLACE_SECONDS):
            await PLACES.acquire()
    except TimeoutError:
        raise unavailable("too_many_batches", "Too many batches are under way; try again shortly.") from None
    try:
        yield
    finally:
        PLACES.release()
