"""From what a caller calls a file (a SHA-256, a SHA-1, a prefix of either) to the one content it means."""

import re

from starlette.requests import Request

from gateway.problems import Problem
from gateway.services import transact
from infra import blobs, db

HEX = re.compile(r"[0-9a-fA-F]{4,64}")
COUNTED = 101


async def resolve(request: Request, reference: str) -> db.Row:
    """The content behind a reference. 400 when it is not 4 to 64 hex digits, 404 for none, 409 for several."""
    if HEX.fullmatch(reference) is None:
        raise Problem(400, "bad_file_id", "A file id is 4 to 64 hex digits of its SHA-1 or SHA-256.")
    found = await transact(request, blobs.resolve, reference, COUNTED)
    if not found:
        raise Problem(404, "unknown_file", "No file has an id that begins so.")
    if len(found) > 1:
        raise Problem(409, "ambiguous_file_id", "Several files have an id that begins so.", candidates=len(found))
    return found[0]
