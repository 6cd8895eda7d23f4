"""Whether what is said about an item counts, and what follows from it. Pure: the database refuses what is not legal."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from schemas.items import FINISHED, HELD, MOVES, ItemState
from schemas.leases import Result

LONGEST_RETRY_SECONDS = 24 * 3600.0
ENDED = frozenset({ItemState.COMPLETED, ItemState.MISSING})


class Fact(Protocol):
    """What is true of an item: the columns of `leases.keys_of`."""

    def __getitem__(self, name: str, /) -> Any:
        """A column."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a collection says about failures: after so many attempts, or searches in vain, it is over."""

    max_attempts: int
    retry_seconds: float

    def wait(self, attempt: int) -> float:
        """Seconds until an item is offered again; they double with every attempt."""
        return float(min(self.retry_seconds * 2 ** max(attempt - 1, 0), LONGEST_RETRY_SECONDS))


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who reports: the holder of a lease, or somebody without one (`override`: whoever holds the item)."""

    owner: str
    name: str
    lease_id: UUID | None = None
    override: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of an item. `wait`: seconds until it is offered, None if it is not."""

    state: ItemState
    attempt: int
    wait: float | None = None
    nack: bool = False


def refusal(fact: Fact, speaker: Speaker) -> str | None:
    """Why this speaker may say nothing about the item now, or None.

    After its expiry a lease still counts while nobody else holds the item and it is not finished.
    """
    state, offered = ItemState(fact["state"]), fact["offered"] or not fact["touched"]
    if speaker.lease_id is None:
        if state in HELD and fact["owner"] != speaker.owner and not speaker.override:
            return "held_by_another"
        return None
    if state in HELD:
        return None if fact["lease_id"] == speaker.lease_id else "held_by_another"
    if not fact["had"]:
        return "not_in_lease"
    return None if offered else "finished"


def change(fact: Fact, said: Result, rules: Rules) -> Change | str:
    """What a report makes of an item; a code when that is no legal move."""
    before, attempt = ItemState(fact["state"]), int(fact["attempt"])
    if said.state == "nacked" and before in ENDED:
        return "finished"
    made = _nacked(fact, attempt, rules) if said.state == "nacked" else _made(said.state, before, attempt, rules)
    return made if (before, made.state) in MOVES else "illegal_move"


def same(fact: Fact, said: Result) -> bool:
    """Whether the item is already as the report says."""
    return bool(fact["state"] == said.state)


def repeated(fact: Fact, said: Result, speaker: Speaker) -> bool:
    """Whether this very report has been made before: an item that the lease itself has finished so, or a vain search.

    A search in vain counts once for each time that an item is handed out.
    """
    if said.state == "nacked" and fact["state"] == ItemState.AVAILABLE:
        nacked, leased = fact["nacked_at"], fact["leased_at"]
        return bool(nacked is not None and (leased is None or nacked >= leased))
    return fact["state"] in FINISHED and fact["state"] == said.state and fact["lease_id"] == speaker.lease_id


def _nacked(fact: Fact, attempt: int, rules: Rules) -> Change:
    """Looked for in vain once more. Attempts without a word, whose leases ran out, say nothing of what there is."""
    attempt = max(attempt, 1)  # whoever found nothing has looked, with or without a lease
    if fact["nacks"] + 1 >= rules.max_attempts:
        return Change(ItemState.MISSING, attempt, nack=True)
    return Change(ItemState.AVAILABLE, attempt, rules.wait(attempt), nack=True)


def _made(said: str, before: ItemState, attempt: int, rules: Rules) -> Change:
    if said == "failed":
        last = attempt >= rules.max_attempts
        return Change(ItemState.FAILED, attempt, None if last else rules.wait(attempt))
    if said == "available":
        # Given back, the attempt was none; set free by hand after an end, everything begins anew.
        return Change(ItemState.AVAILABLE, max(attempt - 1, 0) if before in HELD else 0, 0.0)
    return Change(ItemState(said), attempt)
