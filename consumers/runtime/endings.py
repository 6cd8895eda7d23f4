"""How an attempt ends, in one transaction: what the handler decided, or what befell it. Fenced by the claim's token."""

from dataclasses import dataclass

from sqlalchemy import Connection

from consumers.artifacts import Artifact
from consumers.outcome import Done, Fail, Later, Outcome, Skip
from infra import claims, metrics
from infra.claims import Claim
from infra.steps import StoredObject
from schemas.states import TERMINAL


@dataclass(frozen=True)
class Cancelled:
    """The job's end was asked for, and its child is dead."""


@dataclass(frozen=True)
class HandedBack:
    """The consumer stops before the job is done: another one takes it at once, and the attempt does not count."""


Ending = Outcome | Cancelled | HandedBack

FENCED = Skip("fenced")
UNSTORABLE = Later("internal_error", "What the attempt made cannot be stored; the log of the consumer has it.")


def settle(connection: Connection, claim: Claim, ending: Ending) -> str | None:
    """Write an ending down. Returns the state that the job reached; None when the claim is lost: nothing is written."""
    match ending:
        case Done(result, artifacts):
            return claims.succeed(connection, claim, result, [stored_object(a) for a in artifacts])
        case Later(code, message):
            return claims.retry(connection, claim, code, message)
        case Fail(code, message):
            return claims.fail(connection, claim, code, message)
        case Cancelled():
            return claims.cancel(connection, claim)
        case HandedBack():
            return claims.release(connection, claim)
        case Skip():
            return None


def count(claim: Claim, ending: Ending, state: str | None, seconds: float) -> None:
    """Tell Prometheus, once the transaction is committed."""
    if state is None:
        metrics.jobs_fenced_total.labels(claim.kind).inc()
    if state in TERMINAL:
        metrics.jobs_finished_total.labels(claim.kind, state).inc()
    metrics.jobs_attempts_total.labels(claim.kind, reason_of(ending)).inc()
    metrics.jobs_run_seconds.labels(claim.kind).observe(seconds)


def reason_of(ending: Ending) -> str:
    """An ending in a word."""
    match ending:
        case Later(code) | Fail(code):
            return code
        case Skip(reason):
            return reason
        case Done():
            return "done"
        case Cancelled():
            return "cancelled"
        case HandedBack():
            return "handed_back"


def stored_object(artifact: Artifact) -> StoredObject:
    """An artifact as the database knows it."""
    return StoredObject(
        name=artifact.name,
        sha256=artifact.sha256,
        sha1=artifact.sha1,
        size=artifact.size,
        content_type=artifact.content_type,
        object_key=artifact.object_key,
    )
