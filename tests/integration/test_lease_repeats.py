"""Orders that come again, or late: the same answer, what is still free, or a clear refusal."""

import pytest
from sqlalchemy import Engine

from infra.leasing import expiry
from infra.leasing.collection import enter
from tests.integration.lending import EXPIRE_ALL, acquire, ask, expire, keys, make, submit, sums


@pytest.fixture
def ten(database: Engine) -> Engine:
    """A collection of ten items."""
    make(database, "c", [f"k{n}" for n in range(10)], max_attempts=5, retry_seconds=0)
    return database


@pytest.mark.row("S0-17")
def test_a_request_whose_answer_nobody_heard_is_served_when_it_comes_again(ten: Engine) -> None:
    asked = {"op": "acquire", "count": 3, "request_id": "r1"}
    [first] = ask(ten, asked)
    ask(ten, {"op": "abandon", "request_id": "r1"})
    [again] = ask(ten, asked)
    assert len(keys(again)) == 3
    assert again["lease"] != first["lease"]
    assert sums(ten) == {"available": 7, "leased": 3}


@pytest.mark.row("S0-17")
def test_all_done_and_the_next_ones_once_however_often_that_is_said(ten: Engine) -> None:
    lease = acquire(ten, 4)
    said = {"op": "submit", "lease": lease["lease"], "completed": "all", "next": {"count": 2}, "request_id": "r2"}
    [first] = ask(ten, said)
    [again] = ask(ten, said)
    assert (first["status"], first["done"], again["status"], again["done"]) == (200, 4, 200, 0)
    assert again["next"]["lease"] == first["next"]["lease"]
    assert sorted(keys(again["next"])) == sorted(keys(first["next"]))
    assert sums(ten) == {"available": 4, "leased": 2, "completed": 4}


@pytest.mark.row("S0-12")
def test_all_done_counts_after_the_lease_ran_out_for_what_nobody_else_has_taken(ten: Engine) -> None:
    lease = acquire(ten, 10, worker="slow")
    submit(ten, lease, "completed", keys(lease)[0])
    expire(ten)
    other = acquire(ten, 2, worker="quick")
    [late] = ask(ten, {"op": "submit", "lease": lease["lease"], "completed": "all"})
    assert (late["status"], late["done"], late["open"]) == (200, 7, 0)
    assert not {each["key"] for each in late["results"]} & set(keys(other))
    assert sums(ten) == {"leased": 2, "completed": 8}
    [over] = ask(ten, {"op": "submit", "lease": lease["lease"], "completed": "all"})
    assert (over["status"], over["code"], over["ending"]) == (409, "lease_ended", "expired")


@pytest.mark.row("S0-12")
def test_all_done_says_nothing_of_what_the_lease_has_reported_otherwise(ten: Engine) -> None:
    lease = acquire(ten, 5)
    failed, nacked, released, *_ = keys(lease)
    submit(ten, lease, "failed", failed)
    submit(ten, lease, "nacked", nacked)
    ask(ten, {"op": "release", "lease": lease["lease"], "keys": [released]})
    expire(ten)
    [late] = ask(ten, {"op": "submit", "lease": lease["lease"], "completed": "all"})
    assert {each["key"] for each in late["results"]} == set(keys(lease)) - {failed, nacked, released}
    assert sums(ten) == {"available": 7, "failed": 1, "completed": 2}


@pytest.mark.row("S0-17")
def test_all_done_comes_again_after_its_caller_gave_up(ten: Engine) -> None:
    lease = acquire(ten, 4)
    said = {"op": "submit", "lease": lease["lease"], "completed": "all", "next": {"count": 2}, "request_id": "r2"}
    ask(ten, said)
    ask(ten, {"op": "abandon", "request_id": "r2"})
    [again] = ask(ten, said)
    assert (again["status"], again["done"], len(keys(again["next"]))) == (200, 0, 2)


def test_who_gives_up_and_asks_again_keeps_what_he_gets(ten: Engine) -> None:
    asked, gone = {"op": "acquire", "count": 3, "request_id": "r1"}, {"op": "abandon", "request_id": "r1"}
    first, _, again = ask(ten, asked, gone, asked)
    assert keys(first) == keys(again)
    assert sums(ten) == {"available": 7, "leased": 3}
    _, last = ask(ten, gone, asked)  # as another batch has it
    assert len(keys(last)) == 3
    assert last["lease"] != again["lease"]
    assert sums(ten) == {"available": 7, "leased": 3}
    _, _ = ask(ten, asked, gone)
    assert sums(ten) == {"available": 10}


def test_where_somebody_is_leases_end_later_and_elsewhere_they_end_now(ten: Engine) -> None:
    make(ten, "other", ["x"], retry_seconds=0)
    acquire(ten, 2)
    ask(ten, {"op": "acquire", "collection": "other"})
    with ten.connect() as inside, ten.begin() as connection:
        enter(inside, ["c"])
        connection.execute(EXPIRE_ALL)
    with ten.connect() as inside:
        enter(inside, ["c"])
        for ended in (1, 0):
            with ten.begin() as connection:
                assert expiry.sweep(connection) == ended
    with ten.begin() as connection:
        assert expiry.sweep(connection) == 1
    assert sums(ten) == {"available": 10}


def test_a_request_id_stands_for_one_request(ten: Engine) -> None:
    asked = {"op": "acquire", "count": 1, "request_id": "r3"}
    [first] = ask(ten, asked)
    for other in ({"count": 2}, {"partition": "p"}, {"worker": "w"}, {"ttl": 5}):
        [refused] = ask(ten, asked | other)
        assert (refused["status"], refused["code"]) == (422, "idempotency_key_reused"), other
    said = {"op": "submit", "lease": first["lease"], "completed": "all", "next": {"count": 1}, "request_id": "r3"}
    [refused] = ask(ten, said)
    assert (refused["status"], refused["code"]) == (422, "idempotency_key_reused")
    assert sums(ten) == {"available": 9, "leased": 1}  # nothing of it was done
    one, two = ask(ten, asked | {"request_id": "r4"}, asked | {"request_id": "r4", "count": 5})
    assert (one["status"], two["status"]) == (200, 422)
    [mine] = ask(ten, asked | {"owner": "other", "count": 3})
    assert len(keys(mine)) == 3


def test_many_leases_end_a_part_at_a_time(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_ITEMS", 5)
    make(database, "c", [f"k{n}" for n in range(12)], max_attempts=5, retry_seconds=0)
    for _ in range(4):
        acquire(database, 3)
    expire(database)  # while fewer than five had been given back, one more lease was
    assert sums(database) == {"available": 6, "leased": 6}
    with database.begin() as connection:
        assert expiry.release_older(connection, "c", 0, "me") == (2, 6)
    with database.begin() as connection:
        assert expiry.release_older(connection, "c", 0, "me") == (0, 0)
    assert sums(database) == {"available": 12}
