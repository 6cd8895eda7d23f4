"""Reading bodies and query parameters within limits, and writing models as JSON."""

from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from gateway.problems import Problem, invalid
from gateway.services import services

M = TypeVar("M", bound=BaseModel)
LARGEST_PAGE = 1000
JSON = "application/json"


async def read(request: Request, model: type[M]) -> M:
    """The JSON body as a model. 413 over the limit, 415 for another media type, 400 for anything not valid."""
    media = media_type(request)
    if media != JSON and not media.endswith("+json"):
        raise Problem(415, "unsupported_media_type", "Send JSON: `Content-Type: application/json`.")
    raw = await read_bytes(request, services(request).settings.body_limit)
    return parsed(raw, model)


def parsed(raw: bytes, model: type[M], what: str = "The body") -> M:
    """JSON as a model. Raises a 400 problem for anything not valid."""
    return validated(loaded(raw, what), model)


def validated(document: Any, model: type[M]) -> M:
    """Plain values as a model. Raises a 400 problem that names every field that is wrong."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid(error) from None


def loaded(raw: bytes, what: str = "The body") -> Any:
    """JSON as plain values. Raises a 400 problem."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "bad_json", f"{what} is not JSON: {error.msg} at character {error.pos}.") from None


def media_type(request: Request) -> str:
    """What the body says it is; JSON when it says nothing."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def read_bytes(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises a 413 problem, without reading when the length says so."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    message = await _part(request)
    if not message.get("more_body", False) and len(message["body"]) <= limit:
        return bytes(message["body"])  # as a rule it came in one piece
    raw = bytearray(message["body"])
    while message.get("more_body", False) and len(raw) <= limit:
        message = await _part(request)
        raw += message["body"]
    if len(raw) > limit:
        raise _too_large(limit)
    return bytes(raw)


async def _part(request: Request) -> Message:
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"The body is limited to {limit} bytes.", limit=limit)


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
