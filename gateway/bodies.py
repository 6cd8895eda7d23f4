"""Reading bodies and query parameters within limits, and writing models as JSON."""

from typing import TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.problems import Problem, invalid
from gateway.services import services

M = TypeVar("M", bound=BaseModel)
LARGEST_PAGE = 1000


async def read(request: Request, model: type[M]) -> M:
    """The JSON body as a model. 413 over the limit, 415 for another media type, 400 for anything not valid."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise Problem(415, "unsupported_media_type", "Send JSON: `Content-Type: application/json`.")
    raw = await read_bytes(request, services(request).settings.body_limit)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "bad_json", f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    try:
        return model.model_validate_json(raw) if isinstance(document, dict) else model.model_validate(document)
    except ValidationError as error:
        raise invalid(error) from None


async def read_bytes(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises a 413 problem, without reading when the length says so."""
    too_large = Problem(413, "too_large", f"The body is limited to {limit} bytes.", limit=limit)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise too_large
    return bytes(raw)


def reply(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A model as JSON."""
    return Response(model.model_dump_json(), status, headers, media_type="application/json")


def integer(request: Request, name: str, default: int, highest: int, lowest: int = 1) -> int:
    """A whole number from the query. 400 when it is none or out of range."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not lowest <= int(text) <= highest:
        raise Problem(400, "invalid_parameter", f"{name} is a whole number from {lowest} to {highest}.", field=name)
    return int(text)


def job_id(request: Request) -> UUID:
    """The job's id in the path. An id that is no UUID names no job: 404."""
    try:
        return UUID(request.path_params["job_id"])
    except ValueError:
        raise Problem(404, "unknown_job", "There is no such job.") from None
