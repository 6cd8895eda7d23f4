"""The audit log: every fact, newest first, and the stream that keeps pages alive."""

from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import events as api
from gateway.bodies import integer
from gateway.console import rendering
from gateway.problems import Problem
from gateway.services import transact
from infra import browsing, events
from schemas.events import MEANT, expression

SHOWN = 100
LARGEST = 10**9 - 1
GROUPS = (
    ("everything", ""),
    ("ends of jobs", "job.#.succeeded,job.#.failed,job.#.cancelled"),
    ("failures", "job.#.failed"),
    ("files", "file.#,artifact.#"),
    ("operators", "kind.#,webhook.#"),
)


async def listing(request: Request) -> Response:
    """Facts by type, from a number backwards."""
    types = request.query_params.get("types", "")
    try:
        wanted = expression(api.PATTERNS.validate_python([each for each in types.split(",") if each]))
    except ValidationError:
        raise Problem(400, "invalid_parameter", f"Not valid: types; {MEANT}.", field="types") from None
    head = (await transact(request, events.span)).head
    before = integer(request, "before", min(head + 1, LARGEST), LARGEST)
    rows = await transact(request, browsing.facts, before, wanted, SHOWN)
    rest = rows[-1]["seq"] if len(rows) == SHOWN else None
    older = "/console/events?" + urlencode({"types": types, "before": rest}) if rest else None
    return rendering.page(request, "events/listing.html", rows=rows, older=older, types=types, groups=GROUPS, head=head)


async def stream(request: Request) -> Response:
    """What has happened, as it happens: one stream for a page, with replay after `Last-Event-ID`."""
    return await api.stream(request)
