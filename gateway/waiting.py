"""`Prefer: wait=N`: hold a reply until the job has ended or N seconds have passed (RFC 7240)."""

import re
import time
from uuid import UUID

import anyio
from starlette.requests import Request

from gateway.services import transact
from infra import jobs

LONGEST_SECONDS = 60
#: The time between two looks: short for jobs that end at once, longer for who waits on.
FIRST_TICK_SECONDS, LONGEST_TICK_SECONDS, SLOWER = 0.01, 0.2, 1.3
#: Who comes when so many wait is answered at once, as the standard allows.
MOST_WAITERS = 200
WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,5})(?:$|[,;\s])")


async def settled(request: Request, job_id: UUID) -> dict[str, str]:
    """Wait as long as the caller prefers. Returns the headers that say so, none when no wait was asked for."""
    asked = WAIT.search(request.headers.get("prefer", ""))
    places: anyio.Semaphore = request.app.state.waiters
    if asked is None or places.value == 0:
        return {}
    seconds = min(int(asked[1]), LONGEST_SECONDS)
    deadline = time.monotonic() + seconds
    tick = FIRST_TICK_SECONDS
    async with places:
        while time.monotonic() < deadline and not await transact(request, jobs.ended, job_id):
            await anyio.sleep(tick)
            tick = min(tick * SLOWER, LONGEST_TICK_SECONDS)
    return {"Preference-Applied": f"wait={seconds}"}
