"""What jobs do to a collection as a whole, each step remembered in the transaction that did it, under their claim."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import imports, steps
from infra.bulk import LostClaim
from infra.claims import Claim
from infra.imports import Source
from infra.leasing.collection import Collection, enter, known
from infra.leasing.ends import ENDS, end
from infra.leasing.reporting import Report, report
from infra.steps import Checkpoint
from infra.verdicts import Speaker
from schemas.items import ItemState
from schemas.leases import Reported, Result

MERGED = "merged"


def merge(connection: Connection, held: Claim, collection: str, source: Source, name: str) -> Checkpoint | None:
    """Stage a file and merge it; None when there is no such collection. Raises LostClaim: roll back.

    `name` stands for the file and all that decides what its lines make. When the import of that name was the last to
    change the collection, everything is as it says already, and nothing of the source is read.
    """
    found = known(connection, collection)
    if found is None:
        return None
    record = imports.done_before(connection, found, name)
    if record is not None:
        there = sum(record[what] for what in ("inserted", "updated", "unchanged"))
        record |= {"inserted": 0, "updated": 0, "unchanged": there}
        return _remembered(connection, held, Checkpoint(MERGED, 0, record, ()))
    staged = imports.copy(connection, source)
    found = known(connection, collection)  # staging takes its time
    if found is None:
        return None
    merged = imports.merge(connection, found, staged)
    record = {
        "inserted": merged.inserted,
        "updated": merged.updated,
        "unchanged": merged.unchanged,
        "duplicate": merged.duplicate,
        "duplicate_lines": [list(each) for each in merged.repeated],
        "updated_lines": [list(each) for each in merged.renewed],
    }
    if merged.inserted or merged.updated:
        imports.remember(connection, found, name, record | {"updated_lines": []})
    return _remembered(connection, held, Checkpoint(MERGED, 0, record, ()))


def move(
    connection: Connection,
    held: Claim,
    collection: str,
    state: Reported,
    named: Sequence[tuple[int, str]],
    ordinal: int,
) -> Checkpoint | None:
    """Set the state of items; None when there is no such collection. Raises LostClaim: roll back."""
    found = enter(connection, [collection]).get(collection)
    if found is None:
        return None
    told = _moved(connection, found, held.submitted_by, state, named)
    refused = [(number, key, code) for number, key, code in told if code not in {"done", "unchanged"}]
    unknown = sum(code == "unknown_item" for _, _, code in refused)
    record = {
        "lines": len(named),
        "counts": {
            "updated": sum(outcome == "done" for _, _, outcome in told),
            "unchanged": sum(outcome == "unchanged" for _, _, outcome in told),
            "unknown": unknown,
            "rejected": len(refused) - unknown,
        },
        "refused": [list(each) for each in refused],
    }
    return _remembered(connection, held, Checkpoint(f"batch-{ordinal:06d}", ordinal, record, ()))


def _moved(
    connection: Connection, collection: Collection, mover: str, state: Reported, named: Sequence[tuple[int, str]]
) -> list[tuple[int, str, str]]:
    """Line, key and what became of it, in the order of the lines."""
    if state in ENDS:
        outcomes = end(connection, collection, ItemState(state), [key for _, key in named], mover)
        return [(number, key, outcome) for (number, key), outcome in zip(named, outcomes, strict=True)]
    said = Report(Speaker(mover, mover, override=True), [Result(key=key, state=state) for _, key in named])
    report(connection, collection, [said])
    told = zip(_order(named, said), said.verdicts, strict=True)
    return sorted((number, verdict.key, verdict.code or verdict.outcome) for number, verdict in told)


def _order(named: Sequence[tuple[int, str]], said: Report) -> list[int]:
    """The lines of the verdicts: those of a key come in the order in which it was named."""
    lines: dict[str, list[int]] = {}
    for number, key in reversed(named):
        lines.setdefault(key, []).append(number)
    return [lines[verdict.key].pop() for verdict in said.verdicts]


def _remembered(connection: Connection, held: Claim, step: Checkpoint) -> Checkpoint:
    if not steps.checkpoint(connection, held.id, held.token, step):
        raise LostClaim
    return step
