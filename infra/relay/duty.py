"""A duty: a small piece of work done again and again. Its failure is told and tried again; it never ends the relay."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from infra import metrics
from infra.relay.leadership import LostLeadership

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class Duty:
    """`work` returns whether more is waiting, and is called again at once if so, else after `seconds`."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[bool]]


async def perform(duty: Duty, ended: asyncio.Event) -> None:
    """Do a duty until the leadership has ended."""
    failures = 0
    metrics.relay_duty_failures_total.labels(duty.name)  # at zero from the start
    while not ended.is_set():
        try:
            wait = 0.0 if await duty.work() else duty.seconds
            failures = 0
        except LostLeadership:
            return
        except Exception as error:
            failures += 1
            wait = min(duty.seconds * 2**failures, LONGEST_WAIT_SECONDS)
            metrics.relay_duty_failures_total.labels(duty.name).inc()
            log.error("a duty failed", action="relay.duty_failed", duty=duty.name, failures=failures, exc_info=error)
        await pause(ended, wait)


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than this."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
