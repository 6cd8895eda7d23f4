"""What goes out of the object store and what stays: rows decide, never the age alone."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from infra import claims, files, submission
from infra.ids import new_id
from infra.relay.disposal import BATCH, Disposal
from infra.settings import Settings
from infra.storage import Storage
from tests.bucket import Bucket
from tests.makers import new_command, new_file, stored
from tests.system import until

DELIVERY = text(
    "insert into deliveries (id, source, location, directory, files, extra, host, external_id, list_sha256, "
    "created_by, expires_at, outcome, checked_at) values (:id, 'upload', 'x', 'x', '[]', 'refuse', 'a.example', '1', "
    ":list, 'me', now() + make_interval(days => :days), cast(:outcome as text), "
    "case when cast(:outcome as text) is not null then now() end)"
)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    storage = Storage(settings)
    storage.ensure_bucket()
    return storage


def keys(storage: Storage) -> set[str]:
    return {key for prefix in ("uploads/", "jobs/", "deliveries/", "other/") for key in storage.keys(prefix, -3600)}


def put(storage: Storage, key: str) -> str:
    storage.put_bytes(key, b"x", "text/plain")
    return key


def delivery(database: Engine, days: int, outcome: str | None) -> UUID:
    """An upload for a task whose time is over in so many days."""
    made = new_id()
    values = {"id": made, "days": days, "outcome": outcome, "list": "0" * 64}
    with database.begin() as connection:
        connection.execute(DELIVERY, values)
    return made


def sweep(settings: Settings, database: Engine, storage: Storage, orphan_seconds: float) -> None:
    settings = settings.model_copy(update={"orphan_seconds": orphan_seconds})
    asyncio.run(_sweep(Disposal(settings, database, storage)))


async def _sweep(disposal: Disposal) -> None:
    assert await disposal.sweep() is False


@pytest.mark.row("X-09", "S1-23")
def test_orphans_go_and_named_objects_stay(settings: Settings, database: Engine, storage: Storage) -> None:
    named = stored(b"named")
    with database.begin() as connection:
        files.add(connection, named, "test")
    live, ended = new_command(new_file(database)), new_command(new_file(database))
    with database.begin() as connection:
        submission.submit(connection, [live, ended])
        held = claims.claim(connection, ended.id, "test", 60)
        assert held is not None
        claims.fail(connection, held, "broken", "It broke.")
    here, part, matched, over, never = (
        delivery(database, days, outcome)
        for days, outcome in ((1, None), (1, "partial"), (-1, "matched"), (-1, None), (-1, "partial"))
    )
    stays = {
        put(storage, named.object_key),
        put(storage, f"deliveries/{here}/0"),  # under way
        put(storage, f"deliveries/{part}/0"),  # what is missing may come
        put(storage, f"deliveries/{matched}/0"),
        put(storage, f"jobs/{live.id}/1/still-at-work.bin"),  # its row comes when the job has ended
        put(storage, f"other/{uuid4()}"),  # not ours
    }
    orphans = {
        put(storage, f"uploads/{uuid4()}"),
        put(storage, f"jobs/{ended.id}/1/left-behind.bin"),
        put(storage, f"jobs/{new_id()}/1/of-no-job.bin"),
        put(storage, "jobs/not-an-id/1/odd.bin"),
        put(storage, f"deliveries/{over}/0"),
        put(storage, f"deliveries/{never}/0"),
        put(storage, f"deliveries/{new_id()}/0"),
        put(storage, "deliveries/not-an-id/0"),
    }
    sweep(settings, database, storage, 3600)
    assert keys(storage) == stays | orphans  # too young, all of them

    def swept() -> bool:
        sweep(settings, database, storage, 0)  # the store counts in whole seconds
        return not keys(storage) & orphans

    until(swept, "the orphans are removed")
    assert keys(storage) == stays


def test_listed_objects_are_erased_but_never_one_that_a_row_names(
    settings: Settings, database: Engine, storage: Storage
) -> None:
    named = stored(b"named")
    gone = [put(storage, f"uploads/{uuid4()}") for _ in range(3)]
    missing = f"uploads/{uuid4()}"
    with database.begin() as connection:
        files.add(connection, named, "test")
        for key in (*gone, missing, named.object_key):
            connection.execute(text("insert into erasures (object_key) values (:key)"), {"key": key})
    put(storage, named.object_key)
    disposal = Disposal(settings, database, storage)
    assert asyncio.run(disposal.erase()) is False
    assert keys(storage) == {named.object_key}
    with database.connect() as connection:
        left = [row.object_key for row in connection.execute(text("select object_key from erasures"))]
    assert left == [named.object_key]


def test_a_long_list_is_erased_in_batches(settings: Settings, database: Engine, storage: Storage) -> None:
    with database.begin() as connection:
        connection.execute(
            text("insert into erasures (object_key) select 'uploads/' || n from generate_series(1, :n) as n"),
            {"n": BATCH + 1},
        )
    disposal = Disposal(settings, database, storage)

    async def erase_twice() -> list[bool]:
        return [await disposal.erase(), await disposal.erase()]

    assert asyncio.run(erase_twice()) == [True, False]
    with database.connect() as connection:
        assert connection.execute(text("select count(*) from erasures")).scalar_one() == 0


def test_an_object_that_the_store_refuses_to_remove_holds_up_no_other(
    settings: Settings, database: Engine, storage: Storage
) -> None:
    refused = "uploads/../outside"
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into erasures (object_key, created_at) "
                "select :refused, now() - interval '2 hours' "
                "union all select 'uploads/' || n, now() - interval '1 hour' from generate_series(1, :n) as n"
            ),
            {"refused": refused, "n": BATCH},
        )
    disposal = Disposal(settings, database, storage)

    async def erase(times: int) -> list[bool]:
        return [await disposal.erase() for _ in range(times)]

    assert asyncio.run(erase(1)) == [True]
    with database.connect() as connection:
        order = list(connection.execute(text("select object_key from erasures order by created_at")).scalars())
    assert len(order) == 2  # the batch is full of those that came first
    assert order[-1] == refused
    assert asyncio.run(erase(2)) == [False, False]
    with database.connect() as connection:
        assert list(connection.execute(text("select object_key from erasures")).scalars()) == [refused]


def test_a_batch_that_is_refused_as_a_whole_is_not_tried_again_at_once(
    settings: Settings, database: Engine, storage: Storage
) -> None:
    with database.begin() as connection:
        connection.execute(
            text("insert into erasures (object_key) select 'uploads/../' || n from generate_series(1, :n) as n"),
            {"n": BATCH},
        )
    assert asyncio.run(Disposal(settings, database, storage).erase()) is False
    with database.connect() as connection:
        assert connection.execute(text("select count(*) from erasures")).scalar_one() == BATCH


@pytest.mark.row("X-09")
def test_uploads_that_nobody_finished_are_aborted(
    settings: Settings, database: Engine, storage: Storage, environment: dict[str, str]
) -> None:
    bucket = Bucket(environment)
    ours = {f"uploads/{uuid4()}", f"jobs/{new_id()}/1/half.bin"}
    other = f"other/{uuid4()}"
    for key in (*ours, other):
        bucket.begin(key)
    sweep(settings, database, storage, 3600)
    assert bucket.pending_keys() == {*ours, other}  # too young: somebody may be at work

    def aborted() -> bool:
        sweep(settings, database, storage, 0)  # the store counts in whole seconds
        return not bucket.pending_keys() & ours

    until(aborted, "the uploads are aborted")
    assert bucket.pending_keys() == {other}


def test_a_store_that_is_away_costs_nothing(settings: Settings, database: Engine) -> None:
    away = Storage(settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:1"}))
    with database.begin() as connection:
        connection.execute(text("insert into erasures (object_key) values ('uploads/a')"))
    with pytest.raises(Exception, match="does not answer"):
        asyncio.run(Disposal(settings, database, away).erase())
    with database.connect() as connection:
        assert connection.execute(text("select count(*) from erasures")).scalar_one() == 1
