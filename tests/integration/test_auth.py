"""Who is calling: secrets are looked up, remembered briefly, and not guessed by the thousand."""

import anyio
import pytest
from sqlalchemy import Engine

from gateway.auth import FAILURES, Callers
from gateway.problems import Problem
from infra import tokens
from infra.tokens import Role


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


def test_guessing_is_stopped_where_it_comes_from(database: Engine, secret: str) -> None:
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
