"""Answers to a batch of orders about items: all who ask one collection for items share one statement."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra.leasing.cases import Answer, Case, of
from infra.leasing.collection import Collection, enter
from infra.leasing.keeping import abandon, drop, extend, give_back
from infra.leasing.moving import move
from infra.leasing.requests import look_back, serve
from infra.leasing.results import release, submit
from schemas.leases import Abandon, Drop, Extend, Move, Order, Release, Submit

__all__ = ["Answer", "Case", "answer", "give_back"]


def answer(connection: Connection, orders: Sequence[Order]) -> list[Case]:
    """Do what these ask for. The caller commits, then sends the answers."""
    cases = [Case(order) for order in orders]
    collections = enter(connection, {order.collection for order in orders})
    for name in sorted({order.collection for order in orders}):
        here = [case for case in cases if case.order.collection == name]
        if name in collections:
            _serve(connection, collections[name], here)
        else:
            for case in here:
                case.refuse(404, "unknown_collection", "There is no such collection.")
    return cases


def _serve(connection: Connection, collection: Collection, cases: Sequence[Case]) -> None:
    """What comes back is there for those who take."""
    cases = look_back(connection, collection, cases)
    submit(connection, collection, of(cases, Submit))
    move(connection, collection, of(cases, Move))
    release(connection, collection, of(cases, Release))
    drop(connection, collection, of(cases, Drop))
    extend(connection, collection, of(cases, Extend))
    serve(connection, collection, cases)
    abandon(connection, collection, of(cases, Abandon))
