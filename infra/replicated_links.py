"""Links that a peer tells of: an item that was found there is found here, too, if it is here."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import Collection, enter
from infra.leasing.reporting import Report, report
from infra.verdicts import Speaker
from schemas.fetching import FetchState
from schemas.leases import Result
from schemas.replication import Change, Entity, Fate, SharedLink


def apply(connection: Connection, changes: Iterable[Change], applier: str) -> dict[Entity, Fate]:
    """Link the items that are here, and take them off the search; of the others nothing is kept."""
    links = {change.entity: change.thing for change in changes if isinstance(change.thing, SharedLink)}
    if not links:
        return {}
    entered = enter(connection, {link.collection for link in links.values()})
    known = _known(connection, list(links.values()))
    fates = dict.fromkeys(links, Fate.KNOWN)
    for name, wanted in _by_collection(links.values(), known).items():
        placed = _place(connection, entered[name], wanted, applier) if name in entered else set()
        fates |= {("link", *link.place): Fate.APPLIED if link.item in placed else Fate.UNPLACED for link in wanted}
    return fates


def _known(connection: Connection, links: Sequence[SharedLink]) -> set[tuple[str, str]]:
    spaces, keys = [link.place[0] for link in links], [link.place[1] for link in links]
    rows = db.rows(connection, "replication.current", kind="link", spaces=spaces, keys=keys)
    return {(row["space"], row["key"]) for row in rows}


def _by_collection(links: Iterable[SharedLink], known: set[tuple[str, str]]) -> dict[str, list[SharedLink]]:
    found: dict[str, list[SharedLink]] = {}
    for link in links:
        if link.place not in known:
            found.setdefault(link.collection, []).append(link)
    return found


def _place(connection: Connection, collection: Collection, links: Sequence[SharedLink], applier: str) -> set[str]:
    """Link items to tasks, which are made if need be. Returns the keys of the items that are here."""
    keys = [link.item for link in links]
    here = {row["key"] for row in db.rows(connection, "replication.items", collection=collection.id, keys=keys)}
    there = [link for link in links if link.item in here]
    if not there:
        return here
    hosts, externals = [link.host for link in there], [link.external_id for link in there]
    keys, names = [link.item for link in there], [applier] * len(there)
    db.run(connection, "fetch_tasks.add", hosts=hosts, externals=externals, names=names)
    values = {"keys": keys, "hosts": hosts, "externals": externals, "names": names}
    db.rows(connection, "fetch_tasks.link", collection=collection.id, **values)
    tasks = db.rows(connection, "fetch_tasks.known", hosts=hosts, externals=externals)
    lost = {(row["host"], row["external_id"]) for row in tasks if row["state"] == FetchState.UNAVAILABLE}
    found = {link.item for link in there if (link.host, link.external_id) not in lost}
    results = [Result(key=key, state="completed") for key in sorted(found)]
    report(connection, collection, [Report(Speaker(applier, applier, override=True), results)])
    return here
