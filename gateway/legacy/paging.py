"""Pages of the old lists: a bare JSON list as ever, and the way on in a `Link` header for those who look."""

from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response


def listing(request: Request, items: list[dict[str, Any]], cursor: str | None) -> Response:
    """A page of items; `cursor` is where the next one begins, None on the last."""
    headers = {}
    if cursor is not None:
        query = QueryParams({**request.query_params, "cursor": cursor})
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return document(items, headers=headers)


def document(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any value as JSON; ids and times become text."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
