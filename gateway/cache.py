"""`/v1/cache/{space}/{key}`: values that all workers share, each for a time."""

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import names
from gateway.bodies import integer, read_bytes, reply
from gateway.downloads import has_etag
from gateway.problems import Problem, invalid
from gateway.services import transact
from infra import cache
from infra.cache import Condition
from schemas.cache import DEFAULT_SECONDS, LARGEST_VALUE, LONGEST_SECONDS, CachedView, CacheKey, CacheSpace


class Place(BaseModel):
    """A key in a space, as an address names it."""

    space: CacheSpace
    key: CacheKey


async def put(request: Request) -> Response:
    """Put a value, of any media type, for `ttl` seconds; seven days by default.

    With `If-Match` only in place of that value, with `If-None-Match: *` only where there is none: else 412.
    """
    place = _place(request)
    seconds = integer(request, "ttl", DEFAULT_SECONDS, LONGEST_SECONDS)
    condition = _condition(request)
    value = await read_bytes(request, LARGEST_VALUE)
    content_type = names.content_type(request.headers.get("content-type"), place.key)
    who = request.state.identity.name
    row = await transact(request, cache.put, (place.space, place.key), value, content_type, seconds, who, condition)
    if row is None:
        raise Problem(412, "precondition_failed", "Another value is there, or none is.")
    return reply(CachedView.model_validate(dict(row)), 200, {"ETag": f'"{row["etag"]}"'})


async def get(request: Request) -> Response:
    """A value that has not expired; 304 when `If-None-Match` names it."""
    place = _place(request)
    row = await transact(request, cache.get, place.space, place.key)
    if row is None:
        raise _unknown()
    etag = f'"{row["etag"]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={int(row['seconds'])}",
        "Reelmill-Expires-At": row["expires_at"].isoformat(),
    }
    if has_etag(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(bytes(row["value"]), headers=headers, media_type=names.served_type(row["content_type"]))


async def delete(request: Request) -> Response:
    """End a value now."""
    place = _place(request)
    if not await transact(request, cache.expire, place.space, place.key, request.state.identity.name):
        raise _unknown()
    return Response(status_code=204)


def _condition(request: Request) -> Condition:
    expected, absent = request.headers.get("if-match"), request.headers.get("if-none-match")
    if absent not in {None, "*"} or (expected is not None and ("," in expected or expected.strip() == "*")):
        raise Problem(400, "bad_condition", "If-Match names one ETag; If-None-Match is *.")
    return Condition(expected.strip().strip('"') if expected is not None else None, absent is not None)


def _place(request: Request) -> Place:
    try:
        return Place.model_validate(request.path_params)
    except ValidationError as error:
        raise invalid(error) from None


def _unknown() -> Problem:
    return Problem(404, "unknown_value", "There is no such value, or not any more.")
