"""Parts of work that are named by all that they depend on: done once, and used by every later job that needs the same.

A stage is a step of a job. Its name says what it is, from which bytes, with which model and parameters; so another job
may take it over, as a step of its own, in the one transaction in which its objects are held against deletion.
"""

from dataclasses import replace
from pathlib import PurePosixPath

from sqlalchemy import Connection

from infra import db, steps
from infra.claims import Claim
from infra.steps import Checkpoint, StoredObject

PREFIX = "stage:"
COUNT = "artifacts"


class LostClaim(Exception):
    """The claim is lost; nothing was written."""


def reuse(connection: Connection, held: Claim, name: str, ordinal: int, folder: str) -> Checkpoint | None:
    """Take a stage of a succeeded job over, its objects below `folder`. None when there is none. Raises LostClaim."""
    found = db.row(connection, "stages.find", name=name, job_id=held.id)
    if found is None:
        return None
    objects = [StoredObject(**row) for row in db.rows(connection, "stages.objects", job_id=found["job_id"], name=name)]
    if len(objects) != found["record"].get(COUNT) or any(each.object_key is None for each in objects):
        return None  # retention is taking it away
    mine = tuple(replace(each, name=folder + PurePosixPath(each.name).name) for each in objects)
    taken = Checkpoint(name, ordinal, found["record"], mine)
    if not steps.checkpoint(connection, held.id, held.token, taken):
        raise LostClaim
    return taken
