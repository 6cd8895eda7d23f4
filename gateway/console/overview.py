"""The first page: is it going well, and if not, where to look."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.console import rendering
from gateway.console.words import plural, span
from gateway.services import transact
from infra import browsing, controls, overview, parked

MINUTES = 60
SLOW_SECONDS = 60.0
PARKED = 1000


@dataclass(frozen=True)
class Bar:
    """One minute of the chart, in its coordinates: 12 wide, 100 high."""

    x: int
    good: float
    bad: float
    label: str


@dataclass(frozen=True)
class Concern:
    """Something that somebody should look at."""

    level: str
    said: str
    href: str


async def show(request: Request) -> Response:
    """The overview."""
    return rendering.page(request, "overview/overview.html", **await transact(request, _look))


def _look(connection: Connection) -> dict[str, Any]:
    states = overview.states(connection)
    oldest = overview.oldest(connection)
    minutes = {row["minute"]: row for row in overview.finished(connection)}
    failed = overview.failed_lately(connection)
    ended = [(row["succeeded"], row["others"]) for row in minutes.values()]
    waits = [row["wait"] for row in minutes.values() if row["wait"] is not None]
    return {
        "states": states,
        "most": overview.COUNTED,
        "failed": failed,
        "oldest": max(oldest.values(), default=None),
        "workers": len(overview.workers(connection)),
        "bars": _bars(minutes),
        "ended": sum(map(sum, ended)),
        "wait": max(waits, default=None),
        "concerns": _concerns(connection, oldest, failed),
        "recent": browsing.jobs(connection, browsing.Chosen(), None, 8),
        "nothing": not any(states.values()),
    }


def _bars(minutes: dict[int, Any]) -> list[Bar]:
    highest = max((row["succeeded"] + row["others"] for row in minutes.values()), default=0) or 1
    bars = []
    for minute in range(MINUTES - 1, -1, -1):
        row = minutes.get(minute, {"succeeded": 0, "others": 0})
        label = f"{minute} min ago: {row['succeeded']} succeeded, {row['others']} did not"
        bars.append(
            Bar((MINUTES - 1 - minute) * 12, 96 * row["succeeded"] / highest, 96 * row["others"] / highest, label)
        )
    return bars


def _concerns(connection: Connection, oldest: Mapping[str, float], failed: int) -> list[Concern]:
    messages = parked.open_count(connection, PARKED)
    slow = [
        Concern("warn", f"A job has waited {span(seconds)} for the {consumer}. Is one running?", "/console/kinds")
        for consumer, seconds in sorted(oldest.items())
        if seconds > SLOW_SECONDS
    ]
    paused = [
        Concern("warn", f"{kind} is paused.", "/console/kinds")
        for kind, control in sorted(controls.by_kind(connection).items())
        if control["paused_at"] is not None
    ]
    others = browsing.attention(connection)
    counted = (
        (messages, "bad", "message", "{} that nobody could process.", "/console/dead"),
        (failed, "bad", "job", "{} failed within a day.", "/console/dead#jobs"),
        (others["webhooks_disabled"], "warn", "webhook", "{} disabled.", "/console/webhooks"),
        (others["webhooks_failing"], "warn", "webhook", "{} failing.", "/console/webhooks"),
        (others["schedules_wrong"], "warn", "schedule", "{} made no job the last time.", "/console/schedules"),
    )
    wrong = [
        Concern(level, sentence.format(plural(count, word)), href)
        for count, level, word, sentence, href in counted
        if count
    ]
    return [*wrong, *slow, *paused]
