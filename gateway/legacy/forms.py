"""Fields of the old forms, and what is wrong with them in the old surface's own field names."""

from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request

from gateway.bodies import read_bytes
from gateway.problems import Problem, invalid
from gateway.services import services
from schemas.registry import Kind

MOST_FIELDS = 64
LONGEST_FIELD = 16 * 1024
#: The parameters that the old forms call otherwise.
OLD_NAMES = {"file": "file_id", "file2": "file2_id"}
NEW_NAMES = {old: new for new, old in OLD_NAMES.items()}


async def fields(request: Request) -> dict[str, Any]:
    """The fields of an urlencoded or multipart form, or of a JSON object. Raises a 400 problem for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return _object(await read_bytes(request, services(request).settings.body_limit))
    form = await request.form(max_files=0, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD)
    pairs = form.multi_items()
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Problem(400, "repeated_field", "Each field is given once.")
    return values


async def kept(request: Request) -> dict[str, Any]:
    """The fields, read once for whoever asks."""
    if not hasattr(request.state, "fields"):
        request.state.fields = await fields(request)
    given: dict[str, Any] = request.state.fields
    return given


async def auth_key(request: Request) -> str | None:
    """The token in the field `auth_key`; None when it is not there."""
    try:
        given = (await kept(request)).get("auth_key")
    except Problem:
        return None  # whoever has no token is told only that
    return given if isinstance(given, str) and given else None


def required(values: dict[str, Any], field: str) -> Any:
    """A field that must be there and not empty."""
    if values.get(field) in (None, ""):
        raise Problem(400, f"missing_{field}", f"The field {field} is missing.", field=field)
    return values[field]


def checked(kind: Kind, file_id: Any, extras: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a job. Raises a 400 problem whose code names the first field that is wrong."""
    renamed = sorted(OLD_NAMES.keys() & extras.keys())
    if renamed:
        raise Problem(400, "unknown_parameter", f"There is no parameter {renamed[0]}.", field=renamed[0])
    params = {"file": file_id} | {NEW_NAMES.get(field, field): value for field, value in extras.items()}
    try:
        kind.params.model_validate(params)
    except ValidationError as error:
        raise _refused(error) from None
    return params


def _refused(error: ValidationError) -> Problem:
    problem = invalid(error)
    errors = [e | {"field": OLD_NAMES.get(e["field"], e["field"])} for e in problem.extra["errors"]]
    first = errors[0]
    if first["type"] == "extra_forbidden":
        code = "unknown_parameter"
    else:
        code = f"{'missing' if first['type'] == 'missing' else 'invalid'}_{first['field'].partition('.')[0]}"
    return Problem(400, code, f"{first['field']}: {first['message']}.", field=first["field"], errors=errors)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "bad_json", f"The body is not JSON: {error.msg}.") from None
    if not isinstance(document, dict):
        raise Problem(400, "bad_json", "The body is a JSON object.")
    return document
