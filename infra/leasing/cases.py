"""An order about items under way to its answer."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from infra.leasing.reporting import Report
from infra.leasing.taking import Want
from schemas.leases import Order


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: a status as in HTTP, and a JSON document."""

    status: int
    body: bytes


@dataclass(slots=True)
class Case:
    """An order and its answer, once there is one."""

    order: Order
    answer: Answer | None = None
    want: Want | None = None
    report: Report | None = None
    leases: list[UUID] = field(default_factory=list)
    """What it has taken: to be given back if nobody hears of it."""

    def refuse(self, status: int, code: str, detail: str, **more: Any) -> None:
        """Answer that it cannot be."""
        self.answer = Answer(status, orjson.dumps({"code": code, "detail": detail, **more}, default=str))
