"""Leases that end with items still in them: these are offered again, unless somebody has found them meanwhile."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra.leasing import finding
from infra.leasing.cases import ended
from infra.leasing.collection import Collection
from infra.leasing.reporting import Report, report
from infra.verdicts import Speaker
from schemas.leases import Result

FETCHING = "fetching"
"""Who ends the search for what a fetch task brings."""


def give_back(
    connection: Connection,
    collection: Collection,
    lease_ids: Sequence[UUID],
    why: tuple[str, str] | None = None,
    *,
    charged: bool,
    mover: str | None = None,
) -> dict[UUID, int]:
    """End these leases; how many items each of them still held. `charged`: the attempt counts, for the reason `why`."""
    if not lease_ids:
        return {}
    found = finding.alive(connection, collection, leases=lease_ids)
    if found:
        done = [Result(key=row["key"], state="completed") for row in found]
        report(connection, collection, [Report(Speaker(FETCHING, FETCHING, override=True), done)])
    back = ended(connection, "moves.return", collection, lease_ids, why, charged=charged, mover=mover)
    return dict(Counter(row["lease_id"] for row in found) + Counter(back))
