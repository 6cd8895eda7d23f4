"""New jobs in one transaction: duplicates give the first job, dead inputs refuse, one bad command spoils no other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from infra import files, submission
from infra.ids import new_id
from infra.submission import Receipt, Verdict
from schemas.commands import Command
from schemas.registry import KINDS
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


def echo(**terms: Any) -> Command:
    fixed: dict[str, Any] = {"id": new_id(), "params": {"text": "x"}, "submitted_by": "test", "via": "http"}
    return Command(kind=KINDS["probe.echo"], inputs=(), **fixed | terms)


def verdicts(receipts: list[Receipt]) -> list[Verdict]:
    return [receipt.verdict for receipt in receipts]


def test_an_id_belongs_to_the_request_that_used_it_first(database: Engine) -> None:
    first, fresh = echo(), echo(fresh=True)
    other = replace(first, params={"text": "y"})
    assert verdicts(submit(database, first, other, first)) == [Verdict.CREATED, Verdict.ID_REUSED, Verdict.DUPLICATE]
    assert submit(database, first) == [Receipt(Verdict.DUPLICATE, first.id, "queued")]
    assert verdicts(submit(database, other, fresh)) == [Verdict.ID_REUSED, Verdict.CREATED]
    # Nobody chose that id, so whoever names it now has made another request.
    assert verdicts(submit(database, replace(fresh, fresh=False))) == [Verdict.ID_REUSED]


def test_of_several_with_one_id_the_first_counts_whatever_the_others_lack(database: Engine) -> None:
    lost, good = echo(after=(uuid4(),)), echo()
    good = replace(good, id=lost.id)
    # Inserted in the order of their keys: the second one would come first.
    first = echo(unique_key="b")
    second = replace(first, unique_key="a")
    receipts = submit(database, lost, good, first, second)
    assert verdicts(receipts) == [Verdict.UNKNOWN_NEED, Verdict.CREATED, Verdict.CREATED, Verdict.ID_REUSED]


def test_a_job_waits_only_for_jobs_that_exist(database: Engine) -> None:
    made = echo(idempotency_key="k")
    assert verdicts(submit(database, made)) == [Verdict.CREATED]
    need = echo()
    again = echo(idempotency_key="k")  # turns out to be the job above, so its own id names nothing
    vain, waiting, chain = echo(after=(again.id,)), echo(after=(need.id, made.id)), echo()
    chain = replace(chain, after=(waiting.id,))
    receipts = submit(database, again, vain, need, waiting, chain, echo(after=(vain.id,)))
    assert verdicts(receipts) == [
        Verdict.DUPLICATE,
        Verdict.UNKNOWN_NEED,
        Verdict.CREATED,
        Verdict.CREATED,
        Verdict.CREATED,
        Verdict.UNKNOWN_NEED,
    ]
    with database.connect() as connection:
        needs = connection.execute(text("select count(*) from job_dependencies")).scalar_one()
    assert needs == 3


def test_a_receipt_tells_what_the_row_says(database: Engine) -> None:
    now = datetime.now(UTC)
    commands = [
        echo(),
        echo(run_at=now - timedelta(days=1)),
        echo(run_at=now + timedelta(days=1)),
        new_command(new_file(database)),
    ]
    receipts = submit(database, *commands)
    with database.connect() as connection:
        for command, receipt in zip(commands, receipts, strict=True):
            row = connection.execute(text("select * from jobs where id = :id"), {"id": command.id}).mappings().one()
            assert (receipt.state, receipt.queued_at) == (row["state"], row["queued_at"])
            assert (receipt.created_at, command.run_at or receipt.created_at) == (row["created_at"], row["run_at"])


@pytest.mark.parametrize(("sending", "published"), [(True, 1), (False, 0)])
def test_only_fast_jobs_that_can_go_out_now_count_as_published(database: Engine, sending: bool, published: int) -> None:
    need = echo()
    later = echo(run_at=datetime.now(UTC) + timedelta(days=1))
    with database.begin() as connection:
        submission.submit(
            connection, [need, later, echo(after=(need.id,)), new_command(new_file(database))], sending=sending
        )
    with database.connect() as connection:
        rows = connection.execute(text("select id from jobs where published_at is not null")).scalars().all()
    assert rows == [need.id] * published
