"""Sessions of the console: a browser that showed a token once. Only hashes are kept, and a session ends with its token.

A table and not a signed cookie: signing out and revoking a token take effect everywhere, and there is no key to share
between gateways. The price is one indexed look-up, remembered for seconds like that of a token.
"""

import hashlib
import secrets

from sqlalchemy import Connection

from infra import db
from infra.tokens import Identity, identity_of

LONGEST_SECONDS = 12 * 3600.0


def begin(connection: Connection, token: str) -> str | None:
    """Open a session for the holder of a token and return its secret; None when the token is not valid."""
    db.run(connection, "sessions.forget")
    secret = secrets.token_urlsafe(32)
    opened = db.run(
        connection,
        "sessions.open",
        id_sha256=_digest(secret),
        secret_sha256=_digest(token),
        seconds=LONGEST_SECONDS,
    )
    return secret if opened else None


def find(connection: Connection, secret: str) -> Identity | None:
    """The caller whose session this is."""
    row = db.row(connection, "sessions.find", id_sha256=_digest(secret))
    if row is None:
        return None
    return identity_of(row)


def end(connection: Connection, secret: str) -> None:
    """Close a session. Closing one that is not there is fine."""
    db.run(connection, "sessions.close", id_sha256=_digest(secret))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
