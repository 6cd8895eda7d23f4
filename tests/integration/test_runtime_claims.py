"""What the runtime asks of claims beside taking and ending them."""

from sqlalchemy import Engine

from infra import claims, jobs, submission
from infra.claims import Claim
from tests.makers import new_command, new_file


def held(database: Engine, sha256: str) -> Claim:
    command = new_command(sha256)
    with database.begin() as connection:
        submission.submit(connection, [command])
        claim = claims.claim(connection, command.id, "w", 30)
    assert claim is not None
    return claim


def test_a_claim_tells_how_long_its_job_has_waited(database: Engine) -> None:
    assert held(database, new_file(database)).waited_seconds >= 0


def test_only_a_jobs_own_inputs_have_a_key(database: Engine) -> None:
    mine, other = new_file(database, b"mine"), new_file(database, b"other")
    claim = held(database, mine)
    with database.begin() as connection:
        found = claims.input_of(connection, claim, mine)
        assert found is not None
        assert found["object_key"].startswith("uploads/")
        assert claims.input_of(connection, claim, other) is None


def test_a_cancel_that_was_accepted_wins_over_handing_back(database: Engine) -> None:
    claim = held(database, new_file(database))
    with database.begin() as connection:
        assert jobs.cancel(connection, claim.id)
        assert claims.release(connection, claim) == "cancelled"
        assert claims.release(connection, claim) is None
