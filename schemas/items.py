"""Items under lease: their states and legal moves. The database refuses every move that is not in this table."""

from enum import StrEnum


class ItemState(StrEnum):
    """One vocabulary, everywhere. A failed item is offered again until its attempts are spent."""

    AVAILABLE = "available"
    LEASED = "leased"
    RUNNING = "running"
    COMPLETED = "completed"
    MISSING = "missing"
    FAILED = "failed"


KEY_SEPARATOR = "\x1f"
"""Between the parts of a key of several columns."""

HELD = frozenset({ItemState.LEASED, ItemState.RUNNING})
FINISHED = frozenset({ItemState.COMPLETED, ItemState.MISSING, ItemState.FAILED})

_A, _L, _R, _C, _M, _F = ItemState

MOVES: frozenset[tuple[ItemState, ItemState]] = frozenset(
    {
        (_A, _L),
        (_A, _A),  # looked for in vain by somebody who holds it no longer
        (_A, _C),  # it was done elsewhere, or late
        (_A, _M),
        (_A, _F),
        (_L, _R),
        (_L, _C),
        (_L, _M),
        (_L, _F),
        (_L, _A),  # given back, or expired
        (_R, _C),
        (_R, _M),
        (_R, _F),
        (_R, _A),
        (_F, _L),  # tried again
        (_F, _A),
        (_F, _C),
        (_F, _M),
        (_M, _A),
        (_C, _A),
    }
)


class Ordering(StrEnum):
    """Which item is handed out next: any, or the first to come."""

    RANDOM = "random"
    ARRIVAL = "arrival"
