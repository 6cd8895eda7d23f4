"""What a tenant's request names outside of its own transaction: looked at before it goes where everything is seen.

Queries of a tenant see nothing else anyway. But the dispatcher, the consumers and the batches of new jobs work for all.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway import models
from gateway.problems import Problem
from gateway.services import tenant_of, transact
from infra import tenancy
from schemas.leases import Move, Order, Result, Submit
from schemas.registry import Kind

#: Parameters by which a job writes to rows that are not its own. An address of its own has looked whose they are.
ROWS = frozenset({"task", "version", "upload", "project", "classifier"})


async def require(
    request: Request, kind: Kind, params: dict[str, Any], after: Sequence[UUID] = (), vouched: bool = False
) -> None:
    """Refuse a job of a tenant that names what is not his. Raises problems; a 403 where nobody has looked yet."""
    if not tenant_of(request):
        return
    if not vouched and ROWS & params.keys():
        raise Problem(403, "guarded_kind", f"{kind.name} is asked for at an address of its own: see the OpenAPI page.")
    if "collection" in params:
        await require_collection(request, params["collection"])
    await models.pinned(request, kind.name, params)
    if after and not await transact(request, tenancy.sees_jobs, after):
        raise Problem(404, "unknown_dependency", "A job that this one is to wait for does not exist.")


async def require_collection(request: Request, name: str) -> None:
    """Refuse a collection that is another tenant's. Raises a 404 problem."""
    if tenant_of(request) and not await transact(request, tenancy.sees_collection, name):
        raise Problem(404, "unknown_collection", "There is no such collection.")


async def require_order(request: Request, order: Order) -> None:
    """Refuse an order of a tenant about items that are not his, or about what is operators'. Raises problems."""
    await require_collection(request, order.collection)
    # Of what is found fetch tasks are made. They are operators', whoever asked: a tenant could never take one.
    if tenant_of(request) and any(said.state == "found" for said in _said(order)):
        raise Problem(403, "forbidden", "Only those who act for no tenant may say where something was found.")


def _said(order: Order) -> Sequence[Result]:
    if isinstance(order, Submit):
        return order.results
    return order.moves if isinstance(order, Move) else ()
