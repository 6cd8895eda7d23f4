"""What endpoints are given: the doors to the outside world, opened once by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar, cast

import anyio.to_thread
from sqlalchemy import Engine
from starlette.requests import Request

from gateway.pressure import Pressure
from infra import tenancy
from infra.outbox import Outbox
from infra.publisher import Publisher
from infra.questions import Questions
from infra.settings import Settings
from infra.storage import Storage
from infra.tokens import Identity

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


def tenant_of(request: Request) -> str:
    """The tenant that the caller acts for; empty for operators, and where nobody has asked yet who calls."""
    identity: Identity | None = getattr(request.state, "identity", None)
    return identity.tenant if identity is not None else ""


async def transact(request: Request, work: Callable[..., T], *args: object, **kwargs: object) -> T:
    """Run `work(connection, ...)` in one transaction, in a thread. It sees what the caller's tenant sees."""
    return await in_thread(_run, services(request).engine, tenant_of(request), work, args, kwargs)


async def transact_unscoped(request: Request, work: Callable[..., T], *args: object, **kwargs: object) -> T:
    """The same, seeing everything: for work that is told the tenant, because it shares something with others."""
    return await in_thread(_run, services(request).engine, "", work, args, kwargs)


def _run(engine: Engine, tenant: str, work: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
    with tenancy.transaction(engine, tenant) as connection:
        return work(connection, *args, **kwargs)
