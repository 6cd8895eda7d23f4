"""The one registry of kinds: what can be asked for, by whom it is done, and within which limits."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.analyses import Sleep
from schemas.fields import Strict
from schemas.splitting import SplitVideo


class Lane(StrEnum):
    """How a delivery is settled: `leased` work is claimed, acknowledged at once and kept alive by heartbeats."""

    LEASED = "leased"


class Consumer(StrEnum):
    """Who does the work. Each has one queue, `reelmill.<consumer>`."""

    SPLITTER = "splitter"
    ANALYZER = "analyzer"


@dataclass(frozen=True)
class Limits:
    """Bounds on one job. Seconds and bytes; over the limit the job fails for good with a code."""

    attempts: int = 5
    wall_seconds: int = 6 * 3600
    memory_bytes: int = 4 * 1024**3
    scratch_bytes: int = 64 * 1024**3
    first_retry_seconds: float = 2.0
    longest_retry_seconds: float = 300.0


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
    )
}


def kinds_of(consumer: Consumer) -> tuple[Kind, ...]:
    """The kinds that one consumer does."""
    return tuple(kind for kind in KINDS.values() if kind.consumer is consumer)
