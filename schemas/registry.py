"""The one registry of kinds: what can be asked for, by whom it is done, and within which limits."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.analyses import Sleep
from schemas.bulk import Bulk
from schemas.catalogue import ImportItems, SetStates
from schemas.echo import Echo
from schemas.fields import Strict
from schemas.splitting import SplitVideo

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


class Lane(StrEnum):
    """How a delivery is settled.

    `leased` work is claimed, acknowledged at once and kept alive by heartbeats. `fast` work is declared short and
    idempotent: what has arrived is done in one transaction, effect and end together, and acknowledged after it.
    """

    LEASED = "leased"
    FAST = "fast"


class Consumer(StrEnum):
    """Who does the work. Each has one queue, `reelmill.<consumer>`."""

    SPLITTER = "splitter"
    ANALYZER = "analyzer"
    DISPATCHER = "dispatcher"
    KEEPER = "keeper"


@dataclass(frozen=True)
class Limits:
    """Bounds on one job. Seconds and bytes; over the limit the job fails for good with a code."""

    attempts: int = 5
    wall_seconds: int = 6 * 3600
    memory_bytes: int = 4 * 1024**3
    scratch_bytes: int = 64 * 1024**3
    first_retry_seconds: float = 2.0
    longest_retry_seconds: float = 300.0
    concurrency: int | None = None
    """Jobs of the kind that run at once, on all consumers together."""
    per_key: int = 1
    """Jobs of the kind with one concurrency key that run at once."""
    starts_per_second: float | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of job. `inputs` names the parameters that refer to files, locked while the job lives."""

    name: str
    params: type[Strict]
    consumer: Consumer
    summary: str
    inputs: tuple[str, ...] = ()
    lane: Lane = Lane.LEASED
    limits: Limits = Limits()
    version: int = 1
    upgrades: tuple[Upgrade, ...] = ()
    """For each earlier version, beginning with 1, what turns its parameters into those of the next. Pure functions."""

    def __post_init__(self) -> None:
        assert len(self.upgrades) == self.version - 1, f"{self.name} needs an upgrade from each of its versions"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="split.video",
            params=SplitVideo,
            consumer=Consumer.SPLITTER,
            summary="Cut a video into task videos, frames and a manifest.",
            inputs=("file",),
        ),
        Kind(
            name="analyze.sleep",
            params=Sleep,
            consumer=Consumer.ANALYZER,
            summary="Sleep, then write a CSV file with the seconds slept.",
            inputs=("file",),
            limits=Limits(wall_seconds=2 * 3600, memory_bytes=1024**3),
        ),
        Kind(
            name="probe.echo",
            params=Echo,
            consumer=Consumer.DISPATCHER,
            summary="Answer with the same text: the system's test of itself.",
            lane=Lane.FAST,
            limits=Limits(wall_seconds=5),
        ),
        Kind(
            name="jobs.bulk",
            params=Bulk,
            consumer=Consumer.KEEPER,
            summary="Cancel or retry every job that a filter chooses.",
            limits=Limits(wall_seconds=2 * 3600, memory_bytes=2 * 1024**3, scratch_bytes=1024**3),
        ),
        Kind(
            name="items.import",
            params=ImportItems,
            consumer=Consumer.KEEPER,
            summary="Bring the lines of a file into a collection; what is known keeps its progress.",
            inputs=("file",),
            limits=Limits(wall_seconds=6 * 3600, memory_bytes=1024**3),
        ),
        Kind(
            name="items.set_state",
            params=SetStates,
            consumer=Consumer.KEEPER,
            summary="Set the state of every item that a file names.",
            inputs=("file",),
            limits=Limits(wall_seconds=6 * 3600, memory_bytes=1024**3),
        ),
    )
}


def kinds_of(consumer: Consumer) -> tuple[Kind, ...]:
    """The kinds that one consumer does."""
    return tuple(kind for kind in KINDS.values() if kind.consumer is consumer)
