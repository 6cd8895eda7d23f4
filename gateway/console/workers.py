"""Workers: who holds which job or which items, and who has gone silent; the idle hold neither."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.console import rendering
from gateway.services import transact
from infra import overview
from infra.leasing import watching

HOLDERS = 200


async def listing(request: Request) -> Response:
    """Those at work, and those who ended something within the hour."""
    return rendering.page(request, "workers/listing.html", **await transact(request, _look))


def _look(connection: Connection) -> dict[str, Any]:
    busy = overview.workers(connection)
    lately: Mapping[str, Any] = overview.lately_of_workers(connection)
    known = {row["worker"] for row in busy}
    idle = [row for name, row in sorted(lately.items()) if name not in known]
    holders = watching.holders(connection, HOLDERS + 1)
    more = len(holders) > HOLDERS
    return {"busy": busy, "lately": lately, "idle": idle, "holders": holders[:HOLDERS], "more": more}
