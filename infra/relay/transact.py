"""One transaction, in a thread, from a coroutine."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

P = ParamSpec("P")
T = TypeVar("T")


async def transact(
    engine: Engine, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `work(connection, ...)`, commit and return what it gave."""

    def run() -> T:
        with engine.begin() as connection:
            return work(connection, *args, **kwargs)

    return await asyncio.to_thread(run)
