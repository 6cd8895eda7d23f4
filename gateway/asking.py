"""The shapes in which a job may be asked for: our own JSON, a line of many, a CloudEvent in structured mode."""

from gateway.endpoint import TRACEPARENT
from gateway.intake import Asked, Terms
from gateway.problems import Problem
from schemas.commands import LONGEST_KEY, event_key
from schemas.jobs import JobRequest
from schemas.lines import Event, JobLine


def of_request(wanted: JobRequest) -> Asked:
    """What a JobRequest, or a line, asks for."""
    key = wanted.idempotency_key if isinstance(wanted, JobLine) else None
    if key is not None and not key.isprintable():
        raise Problem(400, "bad_idempotency_key", f"An idempotency key has 1 to {LONGEST_KEY} printable characters.")
    return Asked(wanted.kind, wanted.params, Terms.of(wanted), key)


def of_event(event: Event) -> Asked:
    """What a CloudEvent asks for. The same event again gives the same job."""
    trace = event.traceparent if event.traceparent and TRACEPARENT.fullmatch(event.traceparent) else None
    return Asked(event.type, event.data, Terms(), event_key(event.source, event.id), trace)
