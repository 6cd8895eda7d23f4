"""From parcels to messages: one each, or as many jobs of one kind as fit. Pure."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.producer.fates import Parcel
from schemas.registry import KINDS
from schemas.wire import CONTENT_TYPE, MOST_LINES, VERSION, PackedJob, jobs_in, packed_messages


@dataclass(slots=True)
class Letter:
    """A message, and the parcels in it."""

    kind: str
    body: bytes
    message_id: str
    headers: dict[str, Any]
    parcels: list[Parcel]
    priority: int = 0
    content_type: str = CONTENT_TYPE

    @property
    def packed(self) -> bool:
        """Whether its parcels may travel together; then there may be several."""
        return self.parcels[0].packed


def letters(waiting: deque[Parcel]) -> Iterator[Letter]:
    """Take letters from the front of what waits, for as long as somebody asks."""
    while waiting:
        yield _together(waiting, waiting[0].kind) if waiting[0].packed else _alone(waiting.popleft())


def _alone(parcel: Parcel) -> Letter:
    """Told by properties, without headers: the broker has less to store."""
    version = _version(parcel.kind)
    headers: dict[str, Any] = {} if version == 1 else {VERSION: version}
    if parcel.traceparent is not None:
        headers["traceparent"] = parcel.traceparent
    return Letter(parcel.kind, parcel.body, str(parcel.id), headers, [parcel], parcel.priority)


def _together(waiting: deque[Parcel], kind: str) -> Letter:
    """As many of the first ones as have this kind and fit into one message."""
    same: list[Parcel] = []
    # Others append meanwhile, which a loop over the queue would not survive.
    while waiting and len(same) < MOST_LINES and waiting[0].packed and waiting[0].kind == kind:
        same.append(waiting.popleft())
    message = next(packed_messages(kind, [_line(parcel) for parcel in same], _version(kind)))
    number = jobs_in(message)
    waiting.extendleft(reversed(same[number:]))
    return Letter(kind, message.body, message.message_id, message.headers, same[:number], 0, message.content_type)


def _line(parcel: Parcel) -> PackedJob:
    return PackedJob.model_construct(
        id=parcel.id, params=parcel.params, priority=parcel.priority, traceparent=parcel.traceparent
    )


def _version(kind: str) -> int:
    return KINDS[kind].version if kind in KINDS else 1
