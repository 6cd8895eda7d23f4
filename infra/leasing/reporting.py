"""Reports about items: judged one by one against what is true now, written all at once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db, verdicts
from infra.leasing.collection import Collection
from infra.verdicts import Change, Speaker
from schemas.fetching import Candidate
from schemas.items import HELD, ItemState
from schemas.leases import Result, Verdict

TOLD = {ItemState.COMPLETED: "completed", ItemState.MISSING: "missing", ItemState.FAILED: "failed"}


@dataclass(slots=True)
class Report:
    """What one speaker says about some items, and what became of each."""

    speaker: Speaker
    results: Sequence[Result]
    verdicts: list[Verdict] = field(default_factory=list)
    found: dict[str, list[Candidate]] = field(default_factory=dict)
    """Where items were found, by their keys."""

    def count(self, outcome: str) -> int:
        """How many of its items had this outcome."""
        return sum(verdict.outcome == outcome for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class _Move:
    speaker: Speaker
    said: Result
    fact: db.Row
    made: Change


def report(connection: Connection, collection: Collection, reports: Sequence[Report]) -> None:
    """Judge reports, write what counts. An item named twice is judged twice: the second time as the first left it."""
    left = [(each, said) for each in reports for said in each.results]
    while left:
        first: list[tuple[Report, Result]] = []
        again: list[tuple[Report, Result]] = []
        seen: set[str] = set()
        for each, said in left:
            (again if said.key in seen else first).append((each, said))
            seen.add(said.key)
        _write(connection, collection, list(_judged(connection, collection, first)))
        left = again


def _judged(connection: Connection, collection: Collection, said: Sequence[tuple[Report, Result]]) -> Iterable[_Move]:
    rows = db.rows(
        connection,
        "moves.keys_of",
        collection=collection.id,
        keys=[result.key for _, result in said],
        leases=[each.speaker.lease_id for each, _ in said],
    )
    facts = {row["place"] - 1: row for row in rows}
    for place, (each, result) in enumerate(said):
        judged = _judge(facts.get(place), each.speaker, result, collection)
        if isinstance(judged, Verdict):
            each.verdicts.append(judged)
        else:
            each.verdicts.append(Verdict(key=result.key, outcome="done", state=judged.made.state))
            yield judged


def _judge(fact: db.Row | None, speaker: Speaker, said: Result, collection: Collection) -> "_Move | Verdict":
    if fact is None:
        return Verdict(key=said.key, outcome="refused", state=None, code="unknown_item")
    state = ItemState(fact["state"])
    if verdicts.repeated(fact, said, speaker):
        return Verdict(key=said.key, outcome="unchanged", state=state)
    code = verdicts.refusal(fact, speaker)
    if code is None and verdicts.same(fact, said):
        return Verdict(key=said.key, outcome="unchanged", state=state)
    made = code or verdicts.change(fact, said, collection.rules)
    if isinstance(made, str):
        return Verdict(key=said.key, outcome="refused", state=state, code=made)
    return _Move(speaker, said, fact, made)


def _write(connection: Connection, collection: Collection, moves: Sequence[_Move]) -> None:
    if not moves:
        return
    db.run(connection, "moves.apply", collection=collection.id, **_columns(moves))
    ended = Counter(
        (move.fact["lease_id"], _ending(move))
        for move in moves
        if move.fact["state"] in HELD and move.made.state not in HELD
    )
    if ended:
        _let_go(connection, ended)
    tallies = Counter((move.speaker.name, word) for move in moves if (word := _word(move)) is not None)
    if tallies:
        workers, words = zip(*tallies, strict=True)
        db.run(
            connection,
            "moves.tally",
            collection=collection.id,
            workers=list(workers),
            what=list(words),
            items=list(tallies.values()),
        )


def _columns(moves: Sequence[_Move]) -> dict[str, list[Any]]:
    return {
        "pools": [move.fact["pool_id"] for move in moves],
        "positions": [move.fact["position"] for move in moves],
        "partitions": [move.fact["partition"] for move in moves],
        "befores": [move.fact["state"] for move in moves],
        "states": [move.made.state.value for move in moves],
        "attempts": [move.made.attempt for move in moves],
        "leases": [move.speaker.lease_id or move.fact["lease_id"] for move in moves],
        "movers": [move.speaker.name for move in moves],
        "waits": [move.made.wait for move in moves],
        "leased": [move.fact["leased_at"] for move in moves],
        "nacked": [move.fact["nacked_at"] for move in moves],
        "nacks": [move.made.nack for move in moves],
        "codes": [move.said.error_code for move in moves],
        "messages": [move.said.error for move in moves],
        "results": [db.document(move.said.result) if move.said.result is not None else None for move in moves],
    }


def _let_go(connection: Connection, ended: Counter[tuple[UUID, str]]) -> None:
    """One line for each lease; what its last items were called is how it ended."""
    endings = {lease_id: ending for lease_id, ending in ended}
    items: Counter[UUID] = Counter()
    for (lease_id, _), number in ended.items():
        items[lease_id] += number
    db.run(
        connection,
        "moves.let_go",
        ids=list(items),
        items=list(items.values()),
        endings=[endings[lease_id] for lease_id in items],
    )


def _ending(move: _Move) -> str:
    return "released" if move.said.state == "available" else "submitted"


def _word(move: _Move) -> str | None:
    if move.made.nack:
        return "nacked"
    if move.made.state is ItemState.AVAILABLE:
        return "returned" if move.fact["state"] in HELD else None
    return TOLD.get(move.made.state)
