"""Schedules: what comes again and again, and how it has gone."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.console import page, rendering
from gateway.problems import Problem
from gateway.services import transact
from infra import schedules

SHOWN = 200


async def listing(request: Request) -> Response:
    """Schedules by name."""
    after = request.query_params.get("after", "")
    rows = await transact(request, schedules.page, after, SHOWN + 1)
    rest = rows[SHOWN - 1]["name"] if len(rows) > SHOWN else None
    return rendering.page(request, "schedules/listing.html", rows=rows[:SHOWN], rest=rest)


async def delete(request: Request) -> Response:
    """Forget a schedule; the jobs that it has made stay."""
    if not await transact(request, schedules.delete, request.path_params["name"]):
        raise Problem(404, "unknown_schedule", "There is no such schedule.")
    return page.back("/console/schedules", "deleted")
