"""How an attempt ends, in one transaction: what the handler decided, or what befell it. Fenced by the claim's token."""

from dataclasses import dataclass

from sqlalchemy import Connection

from consumers.artifacts import Artifact
from consumers.outcome import Done, Fail, Later, Outcome, Skip
from consumers.runtime import offspring
from infra import claims, effects, holds
from infra.claims import Claim
from infra.steps import StoredObject
from schemas.states import JobState


@dataclass(frozen=True)
class Cancelled:
    """The job's end was asked for, and its child is dead."""


@dataclass(frozen=True)
class HandedBack:
    """The consumer stops before the job is done: another one takes it at once, and the attempt does not count."""


Ending = Outcome | Cancelled | HandedBack

FENCED = Skip("fenced")
UNSTORABLE = Later("internal_error", "What the attempt made cannot be stored; the log of the consumer has it.")


@dataclass(frozen=True)
class Settled:
    """How an ending was written down: the state that the job reached, None when the claim was lost and nothing was.

    `work`: jobs have come into the line, or may leave their place aside, of which no message says so yet.
    """

    state: str | None
    work: bool = False


def settle(connection: Connection, claim: Claim, ending: Ending) -> Settled:
    """Write an ending down, and what follows from it. Raises Unresolved for a job that is to read an unknown file."""
    state = _end(connection, claim, ending)
    if state is None:
        return Settled(None)
    follow = ending.jobs if isinstance(ending, Done) and state == JobState.SUCCEEDED else ()
    made = offspring.make(connection, claim, follow)
    if state == JobState.SUCCEEDED:
        made += effects.apply(connection, claim)
    let_in = 0
    if claim.counted:
        let_in = holds.let_next_in(connection, claim.kind, claim.concurrency_key, claim.crowded)
    return Settled(state, work=made + let_in > 0)


def _end(connection: Connection, claim: Claim, ending: Ending) -> str | None:
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
