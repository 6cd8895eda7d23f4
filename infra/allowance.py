"""How many bytes of uploads a caller may keep: the quota of his token. Content counts for whoever brought it first."""

from sqlalchemy import Connection

from infra import db
from infra.tokens import Identity


class OverQuotaError(Exception):
    """It is more than the caller may keep: `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__("more than the caller may keep")
        self.limit = limit


def check(connection: Connection, who: Identity, more: int = 0) -> None:
    """Raises OverQuotaError when what a caller keeps, with `more` bytes, is too much. Until the end of the transaction
    nobody else adds to it: so several uploads at once are counted one after the other.
    """
    if who.storage_bytes is None:
        return
    db.run(connection, "line.lock", name=f"allowance:{who.name}")
    used = db.rows(connection, "allowance.used", name=who.name)[0]["bytes"]
    if used + more > who.storage_bytes:
        raise OverQuotaError(who.storage_bytes)
