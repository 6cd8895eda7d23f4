"""What was made of media, for people who look at it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import db


def analyses(connection: Connection, kinds: Sequence[str], before: UUID | None, limit: int) -> Sequence[db.Row]:
    """Jobs of these kinds, newest first, each with the first file that it reads."""
    return db.rows(connection, "media.analyses", kinds=list(kinds), before=before, limit=limit)
