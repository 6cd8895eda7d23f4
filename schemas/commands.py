"""A request for work, checked and named: what the front door hands to the database, whichever door it came in by."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from schemas.registry import Kind

LONGEST_KEY = 200


@dataclass(frozen=True)
class Input:
    """A file that the job reads: the parameter that names it and its SHA-256."""

    param: str
    sha256: str


@dataclass(frozen=True)
class Command:
    """Run one job. `params` are complete (defaults filled in) and JSON-ready; file references are full SHA-256s."""

    id: UUID
    kind: Kind
    params: dict[str, Any]
    inputs: tuple[Input, ...]
    submitted_by: str
    via: str
    unique_key: str | None = None
    idempotency_key: str | None = None
    priority: int = 0
    parent_id: UUID | None = None
    traceparent: str | None = None
    run_at: datetime | None = None
    concurrency_key: str | None = None
    after: tuple[UUID, ...] = ()
    after_failure: str = "cancel"
    fresh: bool = False
    """Whether the id was made for this very request: nobody can have asked by it before."""

    @property
    def request_sha256(self) -> str:
        """Equal for equal requests: an idempotency key may be repeated only with the same one."""
        request: list[Any] = [self.kind.name, self.params, self.unique_key, self.priority, self.run_at]
        more = [self.concurrency_key, [str(job_id) for job_id in self.after], self.after_failure]
        if more != [None, [], "cancel"]:
            request.append(more)
        return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()


def event_key(source: str, event_id: str) -> str:
    """The idempotency key of a CloudEvent, which its source and its id make unique. At most 200 characters."""
    key = f"{source} {event_id}"
    if len(key) <= LONGEST_KEY and key.isprintable():
        return key
    return f"sha256:{hashlib.sha256(key.encode(errors='replace')).hexdigest()}"
