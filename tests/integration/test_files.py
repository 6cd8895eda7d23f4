"""Files through a real gateway: found by prefix, listed in pages, deleted when nothing needs them."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import claims, submission
from schemas.commands import Input
from tests.bucket import Bucket
from tests.makers import new_command, new_file
from tests.system import System, until

MANY = """
with made as (
    insert into blobs (sha256, sha1, size, object_key, created_at)
    select encode(sha256(n::text::bytea), 'hex'), left(md5('x' || n) || md5('y' || n), 40), 1, 'k/' || n, now()
    from generate_series(1, 10000) as n returning sha256
)
insert into files (sha256, name, content_type, created_by, created_at)
select sha256, 'a.mp4', 'video/mp4', 'test', now() - make_interval(secs => (row_number() over ()) / 100) from made
"""


def shared_prefix() -> tuple[bytes, bytes, str]:
    """Two contents whose SHA-1s begin with the same four digits."""
    seen: dict[str, bytes] = {}
    for n in itertools.count():
        content = b"content %d" % n
        prefix = hashlib.sha1(content).hexdigest()[:4]
        if prefix in seen:
            return seen[prefix], content, prefix
        seen[prefix] = content
    raise AssertionError


def pages(system: System, url: str, **query: Any) -> Iterator[dict[str, Any]]:
    cursor: dict[str, Any] = {}
    while True:
        page = system.http.get(url, params=query | cursor).json()
        yield page
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


@pytest.mark.row("S1-05", "X-15")
def test_a_prefix_of_either_hash_finds_one_file_or_says_why_not(system: System) -> None:
    system.start("gateway")
    left, right, prefix = shared_prefix()
    system.upload(left)
    sha1 = hashlib.sha1(left).hexdigest()
    for found in (prefix, prefix.upper(), sha1[:8], sha1, hashlib.sha256(left).hexdigest()[:4]):
        assert system.http.get(f"/file/{found}").content == left
    system.upload(right)
    several = system.http.get(f"/file/{prefix}")
    assert (several.status_code, several.json()["code"]) == (409, "ambiguous_file_id")
    assert several.json()["candidates"] == 2
    assert system.http.get(f"/file/{sha1}").content == left
    assert system.http.delete(f"/file/{prefix}").status_code == 409
    assert system.http.get("/file/0000000").status_code == 404
    short = system.http.get(f"/file/{sha1[:3]}")
    assert (short.status_code, short.json()["code"]) == (400, "bad_file_id"), "three digits are too few even if unique"
    for bad in ("%25", "%25%25%25%25", "____", "abc", "abc%25", "..%2f..%2fetc", "%00%00%00%00", "a" * 65, "'or'1"):
        answer = system.http.get(f"/file/{bad}")
        assert answer.status_code in {400, 404}, bad
        assert system.http.get(f"/v1/files/{bad}").status_code in {400, 404}
    assert system.http.get("/file/____").status_code == system.http.get("/file/%25%25%25%25").status_code == 400
    assert system.http.get("/file/%C3%A9%C3%A9%C3%A9%C3%A9").status_code == 400


@pytest.mark.row("S1-03", "X-17")
def test_ten_thousand_files_page_without_gaps_while_others_arrive(system: System, database: Engine) -> None:
    system.start("gateway")
    with database.begin() as connection:
        connection.execute(text(MANY))
    seen = []
    for number, page in enumerate(pages(system, "/v1/files", limit=997)):
        seen += [file["sha256"] for file in page["files"]]
        system.upload(b"arrived meanwhile %d" % number)
    assert len(seen) == len(set(seen)) == 10_000


@pytest.mark.row("S1-03", "X-18")
def test_lists_are_filtered_and_the_old_one_is_a_bare_list(system: System) -> None:
    system.start("gateway")
    for name, kind in (("a.txt", "text/plain"), ("b.txt", "text/plain"), ("c.mp4", "video/mp4")):
        system.http.post(f"/v1/files?name={name}", content=name.encode(), headers={"Content-Type": kind})
    system.upload(b"a.txt", "second name")

    def names(**query: str) -> list[str]:
        return [file["name"] for file in system.http.get("/v1/files", params=query).json()["files"]]

    assert names() == ["c.mp4", "b.txt", "a.txt"]
    assert names(name="b.txt") == ["b.txt"]
    assert names(name="second name") == ["a.txt"]
    assert names(content_type="text/plain") == ["b.txt", "a.txt"]
    middle = system.http.get("/v1/files", params={"name": "b.txt"}).json()["files"][0]["created_at"]
    assert names(created_after=middle) == ["c.mp4", "b.txt"]
    assert names(created_before=middle) == ["a.txt"]
    assert names(created_before="2000-01-01") == []
    old = system.http.get("/file", params={"limit": 2})
    assert [file["filename"] for file in old.json()] == ["c.mp4", "b.txt"]
    assert {"file_id", "filename", "content_type", "created"} <= set(old.json()[0])
    rest = system.http.get(old.links["next"]["url"])
    assert [file["filename"] for file in rest.json()] == ["a.txt"]
    assert "next" not in rest.links
    for query in (
        {"limit": "0"},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "WzEsMl0"},
        {"created_after": "soon"},
        {"name": "\0"},
    ):
        answer = system.http.get("/v1/files", params=query)
        assert answer.status_code == 400, query
        assert answer.json()["code"] in {"invalid_parameter", "bad_cursor", "bad_character"}


@pytest.mark.row("S1-06", "S1-27")
def test_a_file_that_a_live_job_reads_is_not_deleted(system: System, database: Engine) -> None:
    system.start("gateway")
    first, second = new_file(database, b"first"), new_file(database, b"second")
    command = new_command(first)
    both = (*command.inputs, Input("file2", second))
    waiting = type(command)(**(vars(command) | {"inputs": both}))
    with database.begin() as connection:
        submission.submit(connection, [waiting])
    for file in (first, second):
        answer = system.http.delete(f"/v1/files/{file}")
        assert (answer.status_code, answer.json()["code"]) == (409, "file_in_use")
        assert answer.json()["jobs"] == [str(waiting.id)]
    assert system.http.delete(f"/v1/files/{second}?force=1").status_code == 204
    assert system.job(str(waiting.id))["state"] == "cancelled"
    assert system.http.delete(f"/v1/files/{first}").status_code == 204


@pytest.mark.row("S1-06", "S1-22")
def test_force_asks_running_jobs_to_end_and_waits_for_them(system: System, database: Engine) -> None:
    system.start("gateway")
    file = new_file(database)
    command = new_command(file)
    with database.begin() as connection:
        submission.submit(connection, [command])
        held = claims.claim(connection, command.id, "test", 60)
    assert held is not None
    answer = system.http.delete(f"/v1/files/{file}?force=1")
    assert (answer.status_code, answer.json()["code"]) == (409, "file_in_use")
    assert system.job(str(command.id))["cancel_requested_at"] is not None
    with database.begin() as connection:
        assert claims.cancel(connection, held) == "cancelled"
    assert system.http.delete(f"/v1/files/{file}?force=1").status_code == 204


@pytest.mark.row("S1-06")
def test_a_deleted_file_is_gone_from_the_list_and_from_the_store(system: System, environment: dict[str, str]) -> None:
    system.start("gateway", "relay")
    bucket = Bucket(environment)
    file = system.upload(b"to be deleted")
    assert len(bucket.keys()) == 1
    assert system.http.delete(f"/v1/files/{file}").status_code == 204
    assert system.http.delete(f"/v1/files/{file}").status_code == 404
    assert system.http.get(f"/v1/files/{file}").status_code == 404
    assert system.http.get("/file").json() == []
    until(lambda: bucket.keys() == [], "the object is erased")
    assert system.upload(b"to be deleted") == file
    assert system.http.get(f"/v1/files/{file}/content").content == b"to be deleted"
