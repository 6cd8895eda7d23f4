"""Passwords: what a person may send with a token's name in place of its secret. Only a slow, salted hash is kept."""

import base64
import hashlib
import hmac
import secrets

from sqlalchemy import Connection

from infra import db
from infra.tokens import PREFIX, Identity, identity

SHORTEST = 12
LONGEST = 200
# 16 MB and some 40 ms for each guess: a stolen table is no list of passwords.
COST, BLOCK, LANES = 2**14, 8, 1


class Unfit(ValueError):
    """This cannot be a password; says why."""


def check(password: str) -> None:
    """Raises Unfit."""
    if not SHORTEST <= len(password) <= LONGEST or not password.isprintable():
        raise Unfit(f"a password has {SHORTEST} to {LONGEST} printable characters")
    if password.startswith(PREFIX):
        raise Unfit(f"what begins with {PREFIX} is the secret of a token")


def put(connection: Connection, name: str, password: str) -> bool:
    """Give a live token a password, in place of the one before. False when there is no such token. Raises Unfit."""
    check(password)
    return db.run(connection, "tokens.put_password", name=name, password=_hash(password)) == 1


def find(connection: Connection, name: str, password: str) -> Identity | None:
    """Whose name and password these are. It takes as long for a name that there is not."""
    row = db.row(connection, "tokens.by_name", name=name)
    kept = row["password"] if row is not None else None
    fits = _verify(password, kept or NOBODYS)
    return identity(row) if row is not None and kept is not None and fits else None


def _hash(password: str) -> str:
    salt = secrets.token_bytes(16)
    made = _digest(password, salt, COST, BLOCK, LANES)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(made)])


def _verify(password: str, kept: str) -> bool:
    _, cost, block, lanes, salt, made = kept.split("$")
    found = _digest(password, base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(found, base64.b64decode(made))


def _digest(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(
        password.encode(errors="surrogatepass"), salt=salt, n=cost, r=block, p=lanes, maxmem=64 * 1024**2
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


#: A hash that nobody knows the password of.
NOBODYS = _hash(secrets.token_urlsafe(32))
