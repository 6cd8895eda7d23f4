"""From a delivery to jobs: decoded, checked, and done. One message may ask for one job, or for hundreds."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from consumers.runtime import foreign
from consumers.runtime.fast.hands import Hands
from consumers.runtime.fast.requests import Refused, Request, alone
from consumers.runtime.foreign import Unprocessable
from infra.broker import Delivery
from infra.ids import new_id
from schemas.registry import Kind
from schemas.wire import PackedJob, Undecodable, decode_packed, is_packed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all jobs of one message have in common."""

    delivery: Delivery
    kind: Kind
    version: int
    submitted_by: str


class Reader:
    """Reads the messages of one consumer."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def read(self, delivery: Delivery) -> tuple[list[Request], list[Refused]]:
        """The jobs that a message asks for, done, and those of its parts that nobody can process."""
        try:
            kind = foreign.kind_of(delivery, self._hands.work)
            version = foreign.version_of(delivery, kind)
            origin = _Origin(delivery, kind, version, foreign.submitter_of(delivery))
            if is_packed(delivery.properties.get("content_type")):
                return self._read_lines(origin)
            return [self._read_whole(origin)], []
        except Unprocessable as error:
            problem = error
        except Exception as error:
            # Whatever a message does to us, it is the message that goes, not the consumer.
            log.error("a message cannot be read", action="message.refused", exc_info=error)
            problem = Unprocessable("undecodable", f"reading it failed with {type(error).__name__}")
        return [], [Refused(delivery, delivery, problem, foreign.job_id_of(delivery))]

    def _read_whole(self, origin: _Origin) -> Request:
        delivery = origin.delivery
        job_id = foreign.job_id_of(delivery)
        request = self._done(origin, job_id or new_id(), foreign.body_of(delivery))
        request.priority = foreign.priority_of(delivery.properties.get("priority"))
        request.traceparent = foreign.trace_of(delivery)
        if job_id is None and foreign.message_id_of(delivery):
            request.command = foreign.read(delivery, self._hands.work)
        return request

    def _read_lines(self, origin: _Origin) -> tuple[list[Request], list[Refused]]:
        try:
            lines = decode_packed(origin.delivery.body)
        except Undecodable as error:
            raise Unprocessable("undecodable", str(error)) from None
        requests: list[Request] = []
        refused: list[Refused] = []
        for line, job in lines:
            try:
                requests.append(self._read_line(origin, line, job))
            except Unprocessable as problem:
                job_id = job.id if isinstance(job, PackedJob) else None
                message = alone(origin.delivery, line, origin.kind, job_id)
                refused.append(Refused(message, origin.delivery, problem, job_id))
        return requests, refused

    def _read_line(self, origin: _Origin, line: bytes, job: PackedJob | Undecodable) -> Request:
        if isinstance(job, Undecodable):
            raise Unprocessable("undecodable", str(job))
        request = self._done(origin, job.id, job.params)
        request.priority = job.priority
        request.traceparent = foreign.traceparent_of(job.traceparent)
        request.line = line
        return request

    def _done(self, origin: _Origin, job_id: UUID, given: dict[str, Any]) -> Request:
        params = foreign.checked(origin.kind, origin.version, given)
        return Request(
            id=job_id,
            kind=origin.kind,
            params=params.model_dump(mode="json"),
            outcome=self._hands.do(origin.kind.name, params),
            source=origin.delivery,
            submitted_by=origin.submitted_by,
        )
