"""`/v1/clean-up`: let go of what is old now, or see what would go."""

import math

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import read, reply
from gateway.problems import Problem
from gateway.services import services, transact
from infra import retention
from infra.retention import Terms
from schemas.registry import KINDS
from schemas.retention import LONGEST, CleanedUp, CleanUp


async def clean_up(request: Request) -> Response:
    """Let go of what is older than its term. The relay does that by itself; here the terms may be others, for once."""
    wanted = await read(request, CleanUp)
    terms = _terms(wanted, retention.terms_of(services(request).settings))
    return reply(await transact(request, _done, wanted.dry_run, terms))


def _done(connection: Connection, dry_run: bool, terms: Terms) -> CleanedUp:
    done = (retention.rehearse if dry_run else retention.go_on)(connection, terms)
    return CleanedUp(
        dry_run=dry_run,
        jobs=done.jobs,
        files=done.files,
        bytes=done.bytes,
        more=done.more,
        stored_bytes=retention.stored(connection),
        job_seconds=terms.jobs,
        kinds=dict(terms.kinds),
        file_seconds=terms.files,
        storage_limit=terms.storage,
    )


def _terms(wanted: CleanUp, usual: Terms) -> Terms:
    for kind, seconds in (wanted.kinds or {}).items():
        if kind not in KINDS:
            raise Problem(400, "unknown_kind", f"There is no kind {kind[:100]!r}.", field="kinds")
        if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST:
            raise Problem(400, "invalid_parameter", "A term is a number of seconds.", field="kinds")
    return Terms(
        jobs=usual.jobs if wanted.job_seconds is None else wanted.job_seconds,
        kinds=usual.kinds if wanted.kinds is None else wanted.kinds,
        files=usual.files if wanted.file_seconds is None else wanted.file_seconds,
        storage=usual.storage if wanted.storage_limit is None else wanted.storage_limit,
    )
