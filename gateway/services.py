"""What endpoints are given: the doors to the outside world, opened once by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar, cast

import anyio.to_thread
from sqlalchemy import Engine
from starlette.requests import Request

from gateway.pressure import Pressure
from infra.outbox import Outbox
from infra.publisher import Publisher
from infra.questions import Questions
from infra.settings import Settings
from infra.storage import Storage

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """Everything an endpoint may use."""

    settings: Settings
    engine: Engine
    storage: Storage
    outbox: Outbox
    publisher: Publisher
    pressure: Pressure
    questions: Questions


def services(request: Request) -> Services:
    """The services of the application that serves this request."""
    return cast(Services, request.app.state.services)


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work (the database, the object store) without holding up the other requests."""
    return await anyio.to_thread.run_sync(partial(work, *args, **kwargs))


async def transact(request: Request, work: Callable[..., T], *args: object, **kwargs: object) -> T:
    """Run `work(connection, ...)` in one transaction, in a thread."""

    def run() -> T:
        with services(request).engine.begin() as connection:
            return work(connection, *args, **kwargs)

    return await in_thread(run)
