"""Projects: what belongs together. To delete one takes everything that was made in it."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import db, uploads


def put(connection: Connection, project: str, name: str, created_by: str) -> bool:
    """Make a project; False when there is one with this id."""
    return db.run(connection, "projects.insert", id=project, name=name, created_by=created_by) == 1


def page(connection: Connection, after: str, limit: int) -> Sequence[db.Row]:
    """Projects by id."""
    return db.rows(connection, "projects.page", id=None, after=after, limit=limit)


def get(connection: Connection, project: str) -> db.Row | None:
    """One project."""
    return db.row(connection, "projects.page", id=project, after="", limit=1)


def delete(connection: Connection, project: str) -> bool:
    """Delete a project with its uploads, tasks, boxes and their objects. Its live jobs are cancelled."""
    held = db.rows(connection, "projects.uploads", id=project)
    for row in held:
        if row["id"] is not None:
            uploads.delete(connection, row["id"])
    return db.run(connection, "projects.delete", id=project) == 1
