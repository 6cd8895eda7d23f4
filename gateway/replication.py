"""`/v1/replication`: what deployments share, as a feed, and taking over what a peer's feed tells."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import integer, parsed, read_bytes, reply
from gateway.problems import Problem, unavailable
from gateway.services import services, transact
from infra import fetch_tasks, replicated_links, replication
from infra.fetch_items import Overtaken
from schemas.replication import (
    MOST_CHANGES,
    ReplicaBatch,
    ReplicaMark,
    ReplicaMarks,
    ReplicaReport,
)

LONGEST_NUMBER = 18
#: One thing may be as large as the largest body that made it, written out.
BODIES = 4


async def changes(request: Request) -> Response:
    """Things that have changed after the number `since`, each as it is now. 410 when the feed does not go so far.

    Then it was made anew, from a backup: read it from its beginning.
    """
    limit = integer(request, "limit", 100, MOST_CHANGES)
    since = _since(request)
    await transact(request, replication.number)
    head = await transact(request, replication.head)
    if since > head:
        raise Problem(410, "gone", f"The feed ends at number {head}: read it from its beginning.", head=head)
    return reply(await transact(request, replication.page, since, limit))


async def apply(request: Request) -> Response:
    """Take over what goes before what is here. The same changes again change nothing."""
    raw = await read_bytes(request, BODIES * services(request).settings.batch_limit)
    batch = parsed(raw, ReplicaBatch)
    who = request.state.identity.name
    applied = await transact(request, replication.apply, batch.changes, who)
    fates = {**applied.fates, **await transact(request, replicated_links.apply, batch.changes, who)}
    if applied.tasks:
        await _settle(request, applied.tasks, who)
    if batch.peer is not None:
        await transact(request, replication.mark, batch.peer, batch.next)
    return reply(ReplicaReport(outcomes=[fates[change.entity] for change in batch.changes]))


async def marks(request: Request) -> Response:
    """Which feed this is and how long, and how far the feeds of peers were read and applied."""
    feed, head = await transact(request, replication.feed), await transact(request, replication.head)
    read = [ReplicaMark.model_validate(dict(row)) for row in await transact(request, replication.marks)]
    return reply(ReplicaMarks(feed=feed, head=head, marks=read))


async def _settle(request: Request, tasks: Sequence[tuple[str, str]], who: str) -> None:
    try:
        await transact(request, fetch_tasks.taken_over, tasks, who)
    except Overtaken:
        raise unavailable("overtaken", "Others report the same tasks right now; try again shortly.") from None


def _since(request: Request) -> int:
    given = request.query_params.get("since", "0")
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        raise Problem(400, "invalid_parameter", "since is the number of a change.", field="since")
    return int(given)
