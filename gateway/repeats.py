"""`Idempotency-Key` for requests that make something else than a job: the same request again gives the same thing."""

import hashlib

from pydantic import BaseModel
from starlette.requests import Request

from gateway import intake
from infra.repeats import Repeat


def repeat_of(request: Request, asked: BaseModel) -> Repeat | None:
    """What to remember of this request; None without a key. Raises a 400 problem for a key that is none."""
    key = intake.idempotency_key(request)
    if key is None:
        return None
    said = f"{request.method} {request.url.path}\n{asked.model_dump_json()}"
    return Repeat(request.state.identity.name, key, hashlib.sha256(said.encode()).hexdigest())
