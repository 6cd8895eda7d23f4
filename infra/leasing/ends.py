"""Ends by the thousand: items that are completed or missing whoever holds them, in one statement for all of a batch."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import Collection
from schemas.items import MOVES, ItemState

ENDS = frozenset({ItemState.COMPLETED, ItemState.MISSING})
"""What they become, whatever the rules of their collection."""


def end(connection: Connection, collection: Collection, state: ItemState, keys: Sequence[str], mover: str) -> list[str]:
    """What became of each of these: `done`, `unchanged`, a code of refusal. A key that comes again changes nothing."""
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    once = sorted(first.values())
    odd = db.rows(
        connection,
        "moves.end",
        collection=collection.id,
        keys=[keys[place] for place in once],
        state=state,
        befores=sorted(before for before, after in MOVES if after == state),
        mover=mover,
    )
    told = dict.fromkeys(once, "done") | {once[row["place"] - 1]: _odd(row["state"], state) for row in odd}
    return [told[place] if (place := first[key]) == n else _again(told[place]) for n, key in enumerate(keys)]


def _odd(before: str | None, state: ItemState) -> str:
    if before is None:
        return "unknown_item"
    return "unchanged" if before == state else "illegal_move"


def _again(first: str) -> str:
    return "unchanged" if first == "done" else first
