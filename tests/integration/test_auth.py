"""Who is calling: secrets are looked up, remembered briefly, and not guessed by the thousand."""

import asyncio
import threading

import anyio
import pytest
from sqlalchemy import Connection, Engine, event, text

from gateway import auth
from gateway.auth import FAILURES, Callers
from gateway.problems import Problem
from infra import passwords, sessions, tokens
from infra.tokens import Identity, Role


@pytest.fixture
def secret(database: Engine) -> str:
    with database.begin() as connection:
        return tokens.create(connection, "me", [Role.READER])


def test_a_secret_names_its_caller_until_it_is_revoked(database: Engine, secret: str) -> None:
    with database.begin() as connection:
        found = tokens.find(connection, secret)
        assert found is not None
        assert (found.name, found.may(Role.READER), found.may(Role.PRODUCER)) == ("me", True, False)
        assert tokens.find(connection, secret + "x") is None
        assert tokens.revoke(connection, "me")
        assert tokens.find(connection, secret) is None


def test_a_new_secret_replaces_the_old_one(database: Engine, secret: str) -> None:
    with database.begin() as connection:
        newer = tokens.create(connection, "me", [Role.ADMIN])
        assert tokens.find(connection, secret) is None
        assert tokens.find(connection, newer) is not None


@pytest.mark.row("S2-18")
def test_a_password_is_good_with_its_name_for_as_long_as_the_token(database: Engine, secret: str) -> None:
    password = "correct horse battery"

    async def ask() -> None:
        callers = Callers(database)
        who = await callers.of(password, "here", "me")
        assert who is not None
        assert (who.name, who.may(Role.PRODUCER)) == ("me", False)
        assert await callers.of(secret, "here", "me") == who
        for wrong, name in ((password, "you"), (password, None), ("correct horse", "me"), (secret, "you"), ("", "me")):
            assert await callers.of(wrong, "here", name) is None, (wrong, name)

    with database.begin() as connection:
        assert passwords.put(connection, "me", password)
        assert not passwords.put(connection, "you", password)
        for unfit in ("short", "rm_" + "x" * 20, "x" * 201, "twelve chars\n"):
            with pytest.raises(passwords.Unfit):
                passwords.put(connection, "me", unfit)
    anyio.run(ask)
    with database.begin() as connection:
        kept = connection.execute(text("select password from tokens")).scalar_one()
        assert password not in kept
        tokens.create(connection, "me", [Role.ADMIN])
        assert passwords.find(connection, "me", password) is None, "a new token has no password yet"
        passwords.put(connection, "me", password)
        tokens.revoke(connection, "me")
        assert passwords.find(connection, "me", password) is None


@pytest.mark.row("S2-18")
def test_guessing_is_stopped_where_it_comes_from(
    database: Engine, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "WINDOW_SECONDS", 3600.0)  # it is not over before the last guess

    async def guess() -> None:
        callers = Callers(database)
        assert await callers.of(secret, "friend") is not None
        for number in range(FAILURES):
            assert await callers.of(f"rm_{number}", "guesser") is None
        with pytest.raises(Problem) as refusal:
            await callers.of("rm_once_more", "guesser")
        assert refusal.value.status == 429
        assert "Retry-After" in refusal.value.headers
        assert await callers.of("rm_typo", "somebody else") is None
        assert await callers.of(secret, "guesser") is not None  # a caller who is known already is not shut out

    anyio.run(guess)


def test_one_look_up_serves_all_who_come_meanwhile(
    database: Engine, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *call: asked.append(call[2]))

    monkeypatch.setattr(auth, "REMEMBER_SECONDS", 3600.0)

    async def together() -> None:
        callers = Callers(database)
        found = await asyncio.gather(*(callers.of(secret, "here") for _ in range(50)))
        assert [who and who.name for who in found] == ["me"] * 50
        assert len(asked) == 1
        # It is about to be forgotten: nobody waits for the next one, and it is one again.
        monkeypatch.setattr(auth, "AHEAD_SECONDS", auth.REMEMBER_SECONDS)
        with database.begin() as connection:
            tokens.revoke(connection, "me")
        asked.clear()
        found = await asyncio.gather(*(callers.of(secret, "here") for _ in range(50)))
        assert [who and who.name for who in found] == ["me"] * 50
        while await callers.of(secret, "here") is not None:
            await asyncio.sleep(0)
        assert len(asked) <= 2

    anyio.run(together)


@pytest.mark.row("X-01")
def test_a_look_up_that_is_under_way_brings_no_closed_session_back(
    database: Engine, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, found, closed = sessions.find, threading.Event(), threading.Event()

    def slow(connection: Connection, session: str) -> Identity | None:
        identity = find(connection, session)
        found.set()
        closed.wait()
        return identity

    async def sign_out() -> None:
        callers = Callers(database)
        with database.begin() as connection:
            session = sessions.begin(connection, secret)
        assert session is not None
        assert await callers.of_session(session) is not None
        monkeypatch.setattr(sessions, "find", slow)
        monkeypatch.setattr(auth, "AHEAD_SECONDS", auth.REMEMBER_SECONDS)
        assert await callers.of_session(session) is not None  # and it is looked up once more, behind our back
        await asyncio.to_thread(found.wait)
        with database.begin() as connection:
            sessions.end(connection, session)
        callers.forget_session(session)
        under_way = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        closed.set()
        await asyncio.gather(*under_way)
        assert await callers.of_session(session) is None

    monkeypatch.setattr(auth, "REMEMBER_SECONDS", 3600.0)
    try:
        anyio.run(sign_out)
    finally:
        closed.set()
