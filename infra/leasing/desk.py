"""Answers to a batch of orders about items: all who ask one collection for items share one statement."""

from collections.abc import Container, Sequence

from sqlalchemy import Connection

from infra.leasing.cases import Answer, Case, of
from infra.leasing.collection import Collection, enter, enter_if_free
from infra.leasing.keeping import abandon, drop, extend, take_back
from infra.leasing.moving import move
from infra.leasing.requests import look_back, serve
from infra.leasing.results import release, submit
from schemas.leases import Abandon, Drop, Extend, Move, Order, Release, Submit

__all__ = ["Answer", "Case", "answer", "take_back"]

#: Those who ask for other collections wait as long.
PATIENCE = "1s"
BUSY = "collection_busy"


def answer(connection: Connection, orders: Sequence[Order], busy: Container[str] = ()) -> list[Case]:
    """Do what these ask for. The caller commits, then sends the answers.

    Nobody waits for collections that are known to be busy: what asks for these is refused, unless they are free again.
    """
    cases = [Case(order) for order in orders]
    names = {order.collection for order in orders}
    known_busy = {name for name in names if name in busy}
    collections: dict[str, Collection | None] = {}
    # Those for which we wait come first: nobody who waits for us holds what we try.
    if names != known_busy:
        collections |= enter(connection, names - known_busy, PATIENCE)
    if known_busy:
        collections |= enter_if_free(connection, known_busy)
    for name in sorted(names):
        here = [case for case in cases if case.order.collection == name]
        collection = collections.get(name)
        if collection is not None:
            _serve(connection, collection, here)
            continue
        for case in here:
            if name in collections:
                case.refuse(503, BUSY, "Somebody changes this collection as a whole; try again shortly.")
            else:
                case.refuse(404, "unknown_collection", "There is no such collection.")
    return cases


def _serve(connection: Connection, collection: Collection, cases: Sequence[Case]) -> None:
    """What comes back is there for those who take."""
    given_up = of(cases, Abandon)
    abandon(connection, collection, given_up)
    here = look_back(connection, collection, [case for case in cases if case.answer is None])
    submit(connection, collection, of(here, Submit))
    move(connection, collection, of(here, Move))
    release(connection, collection, of(here, Release))
    drop(connection, collection, of(here, Drop))
    extend(connection, collection, of(here, Extend))
    serve(connection, collection, here)
    abandon(connection, collection, _just_served(cases, given_up))


def _just_served(cases: Sequence[Case], given_up: Sequence[tuple[Case, Abandon]]) -> list[tuple[Case, Abandon]]:
    """Those whose request has been served just now, and came before they gave it up; not one that came again since."""
    last = {(case.want.owner, case.want.request_id): place for place, case in enumerate(cases) if case.want is not None}
    places = {id(case): place for place, case in enumerate(cases)}
    return [
        (case, order)
        for case, order in given_up
        if last.get((order.owner, order.request_id), len(cases)) < places[id(case)]
    ]
