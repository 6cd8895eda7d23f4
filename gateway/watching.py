"""`/v1/workers`, `/v1/queues`: who works, and what waits."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import reply
from gateway.services import transact
from infra import overview
from infra.leasing import watching
from schemas.watching import QueueList, WorkerList

HOLDERS = 200


async def workers(request: Request) -> Response:
    """Workers: which jobs and items they hold, and what they have ended within the hour."""
    return reply(WorkerList.model_validate(await transact(request, _workers)))


async def queues(request: Request) -> Response:
    """What waits for each consumer, and for how long."""
    return reply(QueueList.model_validate({"queues": await transact(request, overview.queues)}))


def _workers(connection: Connection) -> dict[str, Any]:
    return {
        "busy": [dict(row) for row in overview.workers(connection)],
        "holding": [dict(row) for row in watching.holders(connection, HOLDERS)],
        "lately": [dict(row) for row in overview.lately_of_workers(connection).values()],
    }
