"""Deliveries: taken on with the job that checks them; what the check has found is written with that job's success."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db, fetch_tasks, jobs, manifests, submission, tokens
from infra.annotations import Author
from infra.claims import Claim
from infra.fetch_tasks import Fill
from infra.ids import new_id
from infra.storage import NotThere, Storage
from infra.submission import Receipt
from infra.tokens import Role
from infra.uploads import Refusal
from schemas.commands import Command
from schemas.deliveries import DeliveryRequest, Extra, Outcome
from schemas.manifests import MOST_FILES, ListedFile, clean
from schemas.registry import KINDS

MOST_CANDIDATES = 500
FOLDER = "deliveries"
Made = tuple[Command, Receipt]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Offer:
    """An upload that may begin: object n of `keys` is for file n."""

    id: UUID
    files: Sequence[ListedFile]
    keys: Sequence[str]
    expires_at: datetime


def accept(connection: Connection, wanted: DeliveryRequest, author: Author) -> tuple[UUID, list[Made]]:
    """Take a delivery on. Returns its id, and its job, to be published."""
    delivery = new_id()
    made = _check(connection, delivery, author)
    listed = wanted.listing
    db.rows(
        connection,
        "deliveries.insert",
        id=delivery,
        source="prefix" if listed is None else "listed",
        location=wanted.place,
        directory=wanted.directory,
        files=_document(listed.files) if listed is not None else None,
        extra=wanted.extra,
        host=None,
        external_id=None,
        list_sha256=None,
        job_id=made[0].id,
        by=author.name,
        seconds=None,
    )
    return delivery, [made]


def offer(connection: Connection, host: str, external_id: str, seconds: int, by: str) -> Offer:
    """Prepare the upload of a task's content. Raises Refusal: no such task, or no manifest to check it against."""
    if not db.rows(connection, "deliveries.tasks", hosts=[host], external_ids=[external_id]):
        raise Refusal(404, "unknown_task", "There is no such task.")
    manifest = manifests.get(connection, host, external_id)
    if manifest is None:
        raise Refusal(409, "no_manifest", "The task has no manifest yet: there is nothing to check an upload against.")
    delivery = new_id()
    files = [ListedFile(path=path, size=size, sha256=sha256) for path, size, sha256 in manifest["files"]]
    [row] = db.rows(
        connection,
        "deliveries.insert",
        id=delivery,
        source="upload",
        location=f"{FOLDER}/{delivery}",
        directory=manifest["directory"],
        files=_document(files),
        extra=Extra.REFUSE,
        host=host,
        external_id=external_id,
        list_sha256=manifest["list_sha256"],
        job_id=None,
        by=by,
        seconds=seconds,
    )
    keys = [f"{FOLDER}/{delivery}/{n}" for n in range(len(files))]
    return Offer(delivery, files, keys, row["expires_at"])


def complete(connection: Connection, delivery: UUID, author: Author) -> list[Made] | None:
    """All of an upload is there: check it, until it has matched. None when there is no such delivery.

    Nothing new while it is being checked. Raises Refusal when its time is over.
    """
    row = db.row(connection, "deliveries.lock", id=delivery)
    if row is None:
        return None
    if row["job_id"] is not None and not _may_match_yet(connection, row):
        return []
    if row["expired"]:
        raise Refusal(409, "upload_expired", "The time for this upload is over: ask for addresses again.")
    made = _check(connection, delivery, author)
    db.run(connection, "deliveries.start", id=delivery, job_id=made[0].id)
    return [made]


def _may_match_yet(connection: Connection, row: db.Row) -> bool:
    """Whether the check of an upload is over without a match: what was missing may have come since."""
    if row["source"] != "upload" or row["outcome"] == Outcome.MATCHED:
        return False
    return row["outcome"] is not None or jobs.ended(connection, row["job_id"])


def get(connection: Connection, delivery: UUID) -> db.Row | None:
    """A delivery as it was taken on."""
    return db.row(connection, "deliveries.get", id=delivery)


def object_of(storage: Storage, delivery: db.Row, path: str) -> str | None:
    """The key of a delivered file. None for one that lies elsewhere, and for one that is not there.

    Raises ValueError for a path that leads elsewhere.
    """
    if delivery["source"] == "listed":
        return None
    wanted, location = clean(path, entities=False), delivery["location"]
    if delivery["source"] == "prefix":
        return _there(storage, f"{location}/{wanted}") or _called(storage, f"{location}/", wanted)
    found = [n for n, (name, _, _) in enumerate(delivery["files"]) if name == wanted]
    return _there(storage, f"{location}/{found[0]}") if found else None


def path_of(name: str) -> str:
    """The path that an object's name says, as manifests have paths; one that no manifest can have stays as it is."""
    try:
        return clean(name, entities=False)
    except ValueError:
        return name


def _there(storage: Storage, key: str) -> str | None:
    try:
        storage.size(key)
    except NotThere:
        return None
    return key


def _called(storage: Storage, prefix: str, path: str) -> str | None:
    """The key under a prefix that says a path in another Unicode form, as the file names of some systems do."""
    listed = islice(storage.sizes(prefix), MOST_FILES)
    return next((key for key, _ in listed if path_of(key.removeprefix(prefix)) == path), None)


def candidates(connection: Connection, delivery: db.Row) -> Sequence[db.Row]:
    """The manifests that a delivery may match."""
    by = {name: delivery[name] for name in ("directory", "list_sha256")}
    return db.rows(connection, "manifests.candidates", **by, limit=MOST_CANDIDATES)


def view(connection: Connection, delivery: UUID) -> db.Row | None:
    """A delivery, how far it is, and what its check has found."""
    nothing = {"outcome": None, "cursor_time": None, "cursor_id": None}
    return db.row(connection, "deliveries.view", id=delivery, **nothing, limit=1)


def page(
    connection: Connection, outcome: Outcome | None, cursor: tuple[datetime, str] | None, limit: int
) -> Sequence[db.Row]:
    """Deliveries, newest first, after a cursor `(created_at, id)`."""
    time, last = cursor if cursor is not None else (None, None)
    return db.rows(
        connection, "deliveries.view", id=None, outcome=outcome, cursor_time=time, cursor_id=last, limit=limit
    )


def checked(connection: Connection, claim: Claim) -> int:
    """A check is about to have succeeded: its outcome shows, and what it has matched is filled."""
    result = db.rows(connection, "deliveries.result", job_id=claim.id)[0]["result"]
    row = get(connection, UUID(result["delivery"]))
    if row is None:
        return 0
    filled = _fill(connection, result["matched"], row["location"], claim.submitted_by)
    compared = [each | _fate(filled.get((each["host"], each["external_id"]))) for each in result["compared"]]
    db.run(connection, "deliveries.checked", id=row["id"], outcome=result["outcome"], compared=db.document(compared))
    return 0


def _fill(connection: Connection, matched: list[list[str]], location: str, by: str) -> dict[Pair, bool]:
    """Fill what was matched, unless its manifest has changed since.

    Returns the tasks that there are of it: whether each is filled with this now, or stays where somebody else has put
    it.
    """
    if not matched:
        return {}
    hosts, ids = [each[0] for each in matched], [each[1] for each in matched]
    tasks = db.rows(connection, "deliveries.tasks", hosts=hosts, external_ids=ids)
    same = {"list_sha256": matched[0][2]}
    kept = {_pair(row) for row in db.rows(connection, "manifests.unchanged", hosts=hosts, external_ids=ids, **same)}
    fills = {_pair(row): Fill(row["id"], location) for row in tasks if _pair(row) in kept}
    caller = tokens.named(connection, by)
    override = caller is not None and caller.may(Role.PRODUCER)
    fetch_tasks.fill_patiently(connection, list(fills.values()), by, override)
    here = fetch_tasks.at(connection, list(fills.values()))
    filled = {pair: each.task_id in here for pair, each in fills.items()}
    # A manifest says no other place than its task: what stays where it was has one place.
    lying = [pair for pair in kept if filled.get(pair, True)]
    hosts, ids = [host for host, _ in lying], [external_id for _, external_id in lying]
    db.run(connection, "manifests.located", hosts=hosts, external_ids=ids, **same, location=location, by=by)
    return filled


def _pair(row: db.Row) -> Pair:
    return row["host"], row["external_id"]


def _fate(filled: bool | None) -> dict[str, Any]:
    """What became of the task of a manifest; None when there is none to be filled."""
    return {"filled": bool(filled), "code": "finished" if filled is False else None}


def _check(connection: Connection, delivery: UUID, author: Author) -> Made:
    command = author.command(KINDS["deliveries.check"], {"delivery": delivery})
    [receipt] = submission.submit(connection, [command])
    return command, receipt


def _document(files: Sequence[ListedFile]) -> str:
    return db.document([[file.path, file.size, file.sha256] for file in files])
