"""Jobs that wait for others: let go when all of these have ended, or cancelled with the first that did not succeed.

What counts is how a job ended first. The trigger writes that down beside those who wait, in the transaction of the
ending, so a job that a person runs once more changes nothing for them. `after_failure` says who minds.
"""

from uuid import UUID

from sqlalchemy import Connection

from infra import db

BATCH = 2000


def follow(connection: Connection) -> bool:
    """Look at the endings that are new. Costs what they are, not how many jobs wait. True when there are more."""
    news = db.rows(connection, "dependents.news", batch=BATCH)
    if not news:
        return False
    broken = {row["job_id"]: row for row in news if row["outcome"] != "succeeded"}
    waiting = db.rows(connection, "dependents.lock", ids=list({row["job_id"] for row in news}))
    cancelled = [row["id"] for row in waiting if row["id"] in broken and row["after_failure"] == "cancel"]
    _cancel(connection, [broken[job_id] for job_id in cancelled])
    rest = list({row["id"] for row in waiting}.difference(cancelled))
    if rest:
        db.run(connection, "dependents.release", ids=rest)
    return len(news) == BATCH or bool(cancelled)  # others may wait for those


def _cancel(connection: Connection, broken: list[db.Row]) -> None:
    if broken:
        ids: list[UUID] = [row["job_id"] for row in broken]
        needs, outcomes = [row["needs_id"] for row in broken], [row["outcome"] for row in broken]
        db.run(connection, "dependents.cancel", ids=ids, needs=needs, outcomes=outcomes)
