"""What a list is asked for in its query: times, and the cursor that an earlier page gave."""

import base64
from datetime import datetime

import orjson
from starlette.requests import Request

from gateway.problems import Problem
from schemas.moments import in_utc


def moment(request: Request, name: str) -> datetime | None:
    """A time in ISO 8601; without a zone it is UTC."""
    value = request.query_params.get(name)
    try:
        return in_utc(datetime.fromisoformat(value)) if value is not None else None
    except ValueError:
        raise Problem(400, "invalid_parameter", f"{name} is a time such as 2030-01-31T12:00:00Z.", field=name) from None


def cursor(created_at: datetime, key: str) -> str:
    """Where the next page begins, as text that callers pass back and need not understand."""
    return base64.urlsafe_b64encode(orjson.dumps([created_at.isoformat(), key])).decode().rstrip("=")


def after(request: Request) -> tuple[datetime, str] | None:
    """The end of the page before, or None for the first. Raises a 400 problem for a cursor that no list gave."""
    given = request.query_params.get("cursor")
    if given is None:
        return None
    try:
        created_at, key = orjson.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        if not isinstance(key, str) or "\0" in key:
            raise ValueError(key)
        return in_utc(datetime.fromisoformat(created_at)), key
    except (TypeError, ValueError):
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor") from None


def place_cursor(pool: int, position: int) -> str:
    """Where the next page of items begins."""
    return f"{pool}-{position}"


def place(request: Request) -> tuple[int, int]:
    """The item that the page before ended with, or one before all. Raises a 400 problem."""
    given = request.query_params.get("cursor", "0-0")
    pool, dash, position = given.partition("-")
    if not (dash and all(part.isascii() and part.isdigit() and len(part) <= 9 for part in (pool, position))):
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor")
    return (int(pool), int(position)) if "cursor" in request.query_params else (0, -1)
