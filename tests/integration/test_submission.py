"""New jobs in one transaction: duplicates give the first job, dead inputs refuse, one bad command spoils no other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from infra import files, submission
from infra.submission import Receipt, Verdict
from schemas.commands import Command
from tests.makers import new_command, new_file


def submit(database: Engine, *commands: Command) -> list[Receipt]:
    with database.begin() as connection:
        return submission.submit(connection, commands)


def test_a_batch_is_answered_in_order(database: Engine) -> None:
    file = new_file(database)
    first, second = new_command(file), new_command(file, unique_key="k")
    again, lost = new_command(file, unique_key="k"), new_command("0" * 64)
    receipts = submit(database, first, second, again, lost)
    assert [r.verdict for r in receipts] == [Verdict.CREATED, Verdict.CREATED, Verdict.DUPLICATE, Verdict.UNKNOWN_FILE]
    assert [r.job_id for r in receipts] == [first.id, second.id, second.id, None]


def test_an_idempotency_key_remembers_the_request(database: Engine) -> None:
    file, other = new_file(database), new_file(database, b"other")
    first = new_command(file, idempotency_key="i")
    assert submit(database, first)[0].verdict is Verdict.CREATED
    assert submit(database, new_command(file, idempotency_key="i"))[0] == Receipt(Verdict.DUPLICATE, first.id, "queued")
    assert submit(database, new_command(other, idempotency_key="i"))[0].verdict is Verdict.KEY_REUSED


@pytest.mark.row("S3-50", "X-04")
def test_the_same_message_twice_is_one_job(database: Engine) -> None:
    command = new_command(new_file(database))
    assert [submit(database, command)[0].verdict for _ in range(2)] == [Verdict.CREATED, Verdict.DUPLICATE]


def test_many_at_once_with_one_key_make_one_job(database: Engine) -> None:
    file = new_file(database)
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: submit(database, new_command(file, unique_key="k"))[0], range(40)))
    assert sum(r.verdict is Verdict.CREATED for r in receipts) == 1
    assert len({r.job_id for r in receipts}) == 1


@pytest.mark.row("S1-06", "S1-27")
def test_a_file_that_a_live_job_reads_cannot_be_deleted(database: Engine) -> None:
    file = new_file(database)
    receipt = submit(database, new_command(file))[0]
    with pytest.raises(files.InUseError) as refusal, database.begin() as connection:
        files.delete(connection, file)
    assert refusal.value.jobs == (receipt.job_id,)


def test_a_deleted_file_goes_and_comes_back_with_another_object(database: Engine) -> None:
    file = new_file(database)
    with database.begin() as connection:
        assert files.delete(connection, file)
        assert not files.delete(connection, file)
        assert connection.execute(text("select count(*) from erasures")).scalar_one() == 1
    assert submit(database, new_command(file))[0].verdict is Verdict.UNKNOWN_FILE
    assert new_file(database) == file
    assert submit(database, new_command(file))[0].verdict is Verdict.CREATED
