"""From what a caller calls a file (a SHA-256, a SHA-1, a prefix of either) to the one content it means."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection
from starlette.requests import Request

from gateway.problems import Problem
from gateway.services import tenant_of, transact
from infra import blobs, db

HEX = re.compile(r"[0-9a-fA-F]{4,64}")
COUNTED = 101
SHA256_DIGITS = 64


async def resolve(request: Request, reference: str) -> db.Row:
    """The content behind a reference. 400 when it is not 4 to 64 hex digits, 404 for none, 409 for several."""
    if HEX.fullmatch(reference) is None:
        raise Problem(400, "bad_file_id", "A file id is 4 to 64 hex digits of its SHA-1 or SHA-256.")
    return _only(await transact(request, blobs.resolve, reference, COUNTED))


async def sha256_of(request: Request, reference: str) -> str:
    """The SHA-256 behind a reference of a new job. A whole one is not looked up: the commit refuses what is not
    there, but does not know what is a tenant's.

    Raises the problems of `resolve`.
    """
    if not tenant_of(request) and len(reference) == SHA256_DIGITS and HEX.fullmatch(reference) is not None:
        return reference.lower()
    return str((await resolve(request, reference))["sha256"])


async def resolve_all(request: Request, references: Iterable[str]) -> dict[str, str | Problem]:
    """The SHA-256 behind each reference, or the problem that `resolve` would raise. Looked up together."""
    return await transact(request, _resolve_all, sorted(set(references)))


def _resolve_all(connection: Connection, references: Iterable[str]) -> dict[str, str | Problem]:
    found: dict[str, str | Problem] = {}
    for reference in references:
        try:
            found[reference] = _only(blobs.resolve(connection, reference, COUNTED))["sha256"]
        except Problem as problem:
            found[reference] = problem
    return found


def _only(found: Sequence[db.Row]) -> db.Row:
    if not found:
        raise Problem(404, "unknown_file", "No file has an id that begins so.")
    if len(found) > 1:
        raise Problem(409, "ambiguous_file_id", "Several files have an id that begins so.", candidates=len(found))
    return found[0]
