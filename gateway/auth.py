"""Who is calling: `Authorization: Bearer <token>`, basic credentials, a session, or nobody.

Basic credentials are a token's name with its secret, or with the password that it was given.

The look-up is remembered for a few seconds, so a revoked token may live that much longer. It is renewed before that is
over, and made once for all who come meanwhile: hundreds of workers with one token never wait for it together. A session
is a cookie, which a browser sends by itself: with it, only our own pages may change anything.
"""

import asyncio
import base64
import binascii
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine
from starlette.requests import Request

from gateway.problems import Problem
from gateway.services import in_thread
from infra import passwords, sessions, tokens
from infra.tokens import Identity, Role

REMEMBER_SECONDS = 5.0
#: So long before it is forgotten a look-up is renewed, behind the back of whoever comes then.
AHEAD_SECONDS = 2.0
REMEMBERED = 10_000
#: Wrong credentials that one address may send in a window before it has to wait for the next.
FAILURES = 20
WINDOW_SECONDS = 60.0
COOKIE = "reelmill_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a browser does not answer with a dialog of its own.
BEARER = {"WWW-Authenticate": 'Bearer realm="reelmill"'}
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="reelmill", Basic realm="reelmill", charset="UTF-8"'}


Find = Callable[[Connection, str], Identity | None]


@dataclass
class Callers:
    """Identities by secret, remembered briefly."""

    engine: Engine
    failures: int = FAILURES
    _known: dict[str, tuple[float, Identity]] = field(default_factory=dict)
    _asking: "dict[str, asyncio.Task[Identity | None]]" = field(default_factory=dict)
    _failures: Counter[str] = field(default_factory=Counter)
    _window_ends: float = 0.0

    async def of(self, secret: str, peer: str, name: str | None = None) -> Identity | None:
        """The caller behind a secret, or behind a name and its password; or None.

        Raises a 429 problem for an address that has guessed too often. Who was known before is not shut out with it.
        """
        key = secret if name is None else f"{name}:{secret}"
        if key not in self._known:
            self._bound_guesses(peer)
        identity = await self._remembered(key, partial(self._look_up, secret, partial(_find, name=name)))
        if identity is None:
            self._failures[peer] += 1
        return identity

    async def of_session(self, session: str) -> Identity | None:
        """The caller who opened a session, or None."""
        return await self._remembered(f"session {session}", partial(self._look_up, session, sessions.find))

    def forget_session(self, session: str) -> None:
        """Somebody has signed out. What a look-up that is under way has found is not remembered."""
        self._known.pop(f"session {session}", None)
        self._asking.pop(f"session {session}", None)

    async def _remembered(self, key: str, look_up: Callable[[], Identity | None]) -> Identity | None:
        until, identity = self._known.get(key, (0.0, None))
        left = until - time.monotonic()
        if left < AHEAD_SECONDS and key not in self._asking:
            self._asking[key] = asyncio.create_task(self._ask(key, look_up))
            # What it raises is for those who wait for it, if anybody does.
            self._asking[key].add_done_callback(lambda task: task.cancelled() or task.exception())
        return identity if left > 0 else await asyncio.shield(self._asking[key])

    async def _ask(self, key: str, look_up: Callable[[], Identity | None]) -> Identity | None:
        try:
            identity = await in_thread(look_up)
        finally:
            forgotten = self._asking.get(key) is not asyncio.current_task()
            if not forgotten:
                del self._asking[key]
        if forgotten:
            return identity
        if identity is None:
            self._known.pop(key, None)
            return None
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBER_SECONDS, identity)
        return identity

    def _bound_guesses(self, peer: str) -> None:
        if time.monotonic() > self._window_ends:
            self._failures.clear()
            self._window_ends = time.monotonic() + WINDOW_SECONDS
        if self._failures[peer] >= self.failures:
            wait = {"Retry-After": str(int(WINDOW_SECONDS))}
            raise Problem(429, "too_many_failures", "Too many unknown credentials came from here.", headers=wait)

    def _look_up(self, secret: str, find: Find) -> Identity | None:
        with self.engine.connect() as connection:
            return find(connection, secret)


def _find(connection: Connection, secret: str, name: str | None) -> Identity | None:
    if name is None:
        return tokens.find(connection, secret)
    if secret.startswith(tokens.PREFIX):
        found = tokens.find(connection, secret)
        return found if found is not None and found.name == name else None
    return passwords.find(connection, name, secret)


async def require(request: Request, role: Role, key: str | None = None) -> Identity:
    """The caller, who has this role. Raises a 401 problem for strangers and a 403 for those who may not.

    `key` is a token that came in another way; it counts when there is no `Authorization`.
    """
    by_session = key is None and "authorization" not in request.headers and COOKIE in request.cookies
    identity = await (_of_session(request) if by_session else _of_token(request, key))
    if not identity.may(role):
        raise Problem(403, "forbidden", f"This needs the role {role.value}.", role=role.value)
    return identity


def require_same_origin(request: Request) -> None:
    """Refuse what another site's page has a browser send. Raises a 403 problem.

    Every browser of today says where a request comes from; over plain HTTP to another machine only `Origin` does.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    ours = site in {"same-origin", "none"} if site is not None else urlsplit(origin).netloc == request.url.netloc
    if not ours:
        raise Problem(403, "cross_site", "This came from a page of another site.")


async def _of_session(request: Request) -> Identity:
    callers: Callers = request.app.state.callers
    identity = await callers.of_session(request.cookies[COOKIE])
    if identity is None:
        raise Problem(401, "session_ended", "The session has ended; sign in again.", headers=BEARER)
    if request.method not in SAFE:
        require_same_origin(request)
    return identity


async def _of_token(request: Request, key: str | None) -> Identity:
    name, secret = _credentials(request.headers.get("authorization", ""))
    secret = secret or key
    if secret is None:
        raise Problem(401, "unauthenticated", "Send a token: `Authorization: Bearer <token>`.", headers=CHALLENGE)
    callers: Callers = request.app.state.callers
    identity = await callers.of(secret, peer(request), name)
    if identity is None:
        raise Problem(401, "bad_credentials", "These credentials are not known, or not any more.", headers=CHALLENGE)
    return identity


def peer(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client else ""


def _credentials(header: str) -> tuple[str | None, str | None]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return None, value.strip()
    if scheme.lower() == "basic":
        try:
            name, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None, None
        return (name, secret) if colon and secret else (None, None)
    return None, None
