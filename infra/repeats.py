"""Requests that come again: the second one gives what the first one made. Jobs have keys of their own."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from infra import db


class KeyReused(Exception):
    """The key was used with another request."""


@dataclass(frozen=True)
class Repeat:
    """A request that may come again: who makes it, its key, and what it says."""

    submitted_by: str
    key: str
    request_sha256: str


def once(connection: Connection, repeat: Repeat | None, make: Callable[[], str]) -> str:
    """The id of what a request makes, now or the first time; without a key, always now. Raises KeyReused.

    What `make` raises comes through, and leaves the key free once the transaction is rolled back.
    """
    if repeat is None:
        return make()
    by = {"submitted_by": repeat.submitted_by, "key": repeat.key}
    if db.run(connection, "repeats.note", **by, request_sha256=repeat.request_sha256) == 0:
        earlier = db.rows(connection, "repeats.earlier", **by)[0]
        if earlier["request_sha256"] != repeat.request_sha256:
            raise KeyReused
        return str(earlier["made"])
    made = make()
    db.run(connection, "repeats.made", **by, made=made)
    return made
