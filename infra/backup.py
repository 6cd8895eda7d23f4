"""A whole installation in a folder: the database as of one moment, and every object that its rows name.

Nothing stops while a backup is taken: the dump and the list of objects are of one snapshot, objects never change, and
none is erased meanwhile. Objects lie under their SHA-256, so the next backup into the same folder copies what is new.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from infra import db
from infra.migrate import migrate
from infra.refusals import CannotStart
from infra.stack.postgres import programs
from infra.storage import Corrupt, Storage

DUMP = "database.dump"
OBJECTS = "objects"
LIST = "objects.ndjson"
STREAMS = 8
BATCH = 1000


@dataclass(frozen=True)
class Account:
    """What a backup holds, or what a restore has brought back."""

    objects: int
    bytes: int
    copied: int
    """Objects that were not there yet."""


def backup(engine: Engine, storage: Storage, url: str, folder: Path) -> Account:
    """Write a backup into a folder, in the place of the one that was there. Raises CannotStart without pg_dump."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OBJECTS).mkdir(exist_ok=True)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        db.run(connection, "backup.hold")
        [moment] = db.rows(connection, "backup.snapshot")
        draft = folder / f"{DUMP}.new"
        _run("pg_dump", url, "--format=custom", "--no-owner", f"--snapshot={moment['snapshot']}", f"--file={draft}")
        told = _copy_out(connection, storage, folder)
    draft.replace(folder / DUMP)
    return told


def restore(engine: Engine, storage: Storage, url: str, folder: Path) -> Account:
    """Bring a backup back, into an empty database and a bucket. Raises CannotStart where there is something already.

    Every object is checked against its hash as it goes in: Corrupt says which one is damaged.
    """
    if not (folder / DUMP).is_file():
        raise CannotStart(f"There is no backup in {folder}.")
    with engine.begin() as connection:
        if db.rows(connection, "backup.tables"):
            raise CannotStart("The database is not empty. Restore into a new one, and a new bucket.")
        db.run(connection, "tenancy.make_role")
    storage.ensure_bucket()
    entries = [orjson.loads(line) for line in (folder / LIST).read_bytes().splitlines()]
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(partial(_put_back, storage, folder / OBJECTS), entries))
    # Objects first, rows after: what a row names is there, also when this ends halfway.
    _run("pg_restore", url, "--no-owner", "--exit-on-error", "--single-transaction", "--dbname=", str(folder / DUMP))
    migrate(engine)
    with engine.begin() as connection:
        db.run(connection, "backup.statistics")
    return Account(len(entries), sum(entry["size"] for entry in entries), len(entries))


def _copy_out(connection: Connection, storage: Storage, folder: Path) -> Account:
    copied = 0
    sizes = []
    draft = folder / f"{LIST}.new"
    with draft.open("wb") as target, ThreadPoolExecutor(STREAMS) as pool:
        for batch in _named(connection):
            for entry, fresh in pool.map(partial(_fetch, storage, folder / OBJECTS), batch):
                target.write(orjson.dumps(entry) + b"\n")
                sizes.append(entry["size"])
                copied += fresh
    draft.replace(folder / LIST)
    return Account(len(sizes), sum(sizes), copied)


def _named(connection: Connection) -> Iterator[list[db.Row]]:
    after = ""
    while rows := list(db.rows(connection, "backup.objects", after=after, limit=BATCH)):
        yield rows
        after = rows[-1]["object_key"]


def _fetch(storage: Storage, folder: Path, row: db.Row) -> tuple[dict[str, Any], bool]:
    """One object into the folder. Pieces of uploads under way have no hash in the rows: they get one here."""
    if row["sha256"] is not None and _at(folder, row["sha256"]).exists():
        return _entry(row["object_key"], row["sha256"], row["size"]), False
    draft = folder / f"{hashlib.sha256(row['object_key'].encode()).hexdigest()}.new"
    digest = hashlib.sha256()
    size = 0
    with storage.open(row["object_key"]) as chunks, draft.open("wb") as target:
        for chunk in chunks:
            digest.update(chunk)
            size += target.write(chunk)
    sha256 = digest.hexdigest()
    if row["sha256"] not in {None, sha256}:
        draft.unlink()
        raise Corrupt(f"{row['object_key']} holds other bytes than its row says")
    place = _at(folder, sha256)
    place.parent.mkdir(exist_ok=True)
    draft.replace(place)
    return _entry(row["object_key"], sha256, size), True


def _put_back(storage: Storage, folder: Path, entry: dict[str, Any]) -> None:
    stored = storage.put_file(entry["key"], _at(folder, entry["sha256"]), "application/octet-stream")
    if stored.sha256 != entry["sha256"]:
        raise Corrupt(f"{entry['key']} is damaged in the backup")


def _entry(key: str, sha256: str, size: int) -> dict[str, Any]:
    return {"key": key, "sha256": sha256, "size": size}


def _at(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / sha256


def _run(program: str, url: str, *arguments: str) -> None:
    """A tool of Postgres on our database. Its password is in the environment, where no list of processes shows it."""
    given = make_url(url)
    names = {"PGHOST": given.host, "PGPORT": given.port, "PGUSER": given.username, "PGPASSWORD": given.password}
    environment = {name: str(value) for name, value in names.items() if value is not None}
    told = [f"--dbname={given.database}" if each == "--dbname=" else each for each in arguments]
    if program == "pg_dump":
        told.append(str(given.database))
    done = subprocess.run(
        [_tool(program), *told], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"{program} failed: {done.stderr.strip()[-500:]}")


def _tool(program: str) -> str:
    """The wheel's, which is the local server's own; else the system's, which must not be older than the server."""
    try:
        return str(programs() / program)
    except CannotStart:
        found = shutil.which(program)
    if found is None:
        raise CannotStart(f"{program} is missing: install Postgres' client programs, or reelmill[local].")
    return found
