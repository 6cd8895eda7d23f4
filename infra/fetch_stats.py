"""How far an inventory and its fetch tasks are: sums that are kept, and looks at what is live. No table is counted."""

from collections import Counter

from sqlalchemy import Connection

from infra import collections, db
from schemas.fetching import FetchState, FetchStats, HostStats
from schemas.items import ItemState


def stats(connection: Connection, name: str) -> FetchStats:
    """All of it. Raises UnknownCollection."""
    row = collections.get(connection, name)
    counted = collections.counts(connection, name)
    [searches] = db.rows(connection, "fetch_tasks.searches", collection=row["id"])
    return _stats(connection, name, counted.by_state, dict(searches))


def without_items(connection: Connection, name: str) -> FetchStats:
    """The same for an inventory that nobody has made yet."""
    return _stats(connection, name, dict.fromkeys(ItemState, 0), {"active": 0, "stale": 0, "nacked": 0, "oldest": None})


def _stats(
    connection: Connection, name: str, by_state: dict[ItemState, int], searches: dict[str, object]
) -> FetchStats:
    hosts = _hosts(connection)
    return FetchStats.model_validate(
        {
            "collection": name,
            "items": sum(by_state.values()),
            "by_state": by_state,
            "oldest_lease": searches.pop("oldest"),
            "tasks": sum(host.total for host in hosts),
            "filled": sum(host.filled for host in hosts),
            "hosts": hosts,
        }
        | searches
    )


def _hosts(connection: Connection) -> list[HostStats]:
    counted: dict[str, Counter[str]] = {}
    for row in db.rows(connection, "fetch_tasks.counts"):
        counted.setdefault(row["host"], Counter())[row["state"]] = row["tasks"]
    live = {row["host"]: row for row in db.rows(connection, "fetch_tasks.live")}
    return [_host(host, tasks, live.get(host)) for host, tasks in sorted(counted.items())]


def _host(host: str, tasks: Counter[str], live: db.Row | None) -> HostStats:
    """A lease that ran out is none, whether or not somebody has opened its tasks again already."""
    late = live["late"] if live is not None else 0
    return HostStats(
        host=host,
        open=tasks[FetchState.OPEN] + late,
        active=tasks[FetchState.LEASED] - late,
        stale=late + (live["returned"] if live is not None else 0),
        filled=tasks[FetchState.FILLED],
        unavailable=tasks[FetchState.UNAVAILABLE],
        total=tasks.total(),
        oldest_lease=live["oldest"] if live is not None else None,
    )
