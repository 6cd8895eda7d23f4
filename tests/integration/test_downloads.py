"""Downloads through a real gateway: exact, ranged, revalidated, never rendered, and never damaged in silence."""

import hashlib

import httpx
import pytest
from sqlalchemy import Engine, text

from infra import claims, files, submission
from infra.steps import StoredObject
from tests.bucket import Bucket
from tests.makers import new_command
from tests.system import System

MIB = 1024 * 1024


@pytest.fixture
def bucket(environment: dict[str, str]) -> Bucket:
    return Bucket(environment)


def key_of(database: Engine, sha256: str) -> str:
    with database.connect() as connection:
        found = connection.execute(text("select object_key from blobs where sha256 = :s"), {"s": sha256})
        return str(found.scalar_one())


@pytest.mark.row("S1-04")
def test_whole_ranged_and_unchanged_downloads(system: System) -> None:
    system.start("gateway")
    content = b"".join(n.to_bytes(4, "big") for n in range(300_000))
    file = system.upload(content, "näyte 1.mp4")
    sha1 = hashlib.sha1(content).hexdigest()
    for url in (f"/v1/files/{file}/content", f"/file/{sha1}", f"/file/{sha1[:9]}"):
        whole = system.http.get(url)
        assert (whole.status_code, whole.content) == (200, content)
        assert whole.headers["etag"] == f'"{file}"'
        assert whole.headers["accept-ranges"] == "bytes"
        assert "filename*=UTF-8''n%C3%A4yte%201.mp4" in whole.headers["content-disposition"]
    head = system.http.head(f"/file/{sha1}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")

    def ask(**headers: str) -> httpx.Response:
        return system.http.get(f"/file/{sha1}", headers={n.replace("_", "-"): v for n, v in headers.items()})

    part = ask(Range="bytes=262143-262145")
    assert (part.status_code, part.content) == (206, content[262143:262146])
    assert part.headers["content-range"] == f"bytes 262143-262145/{len(content)}"
    assert ask(Range="bytes=-5").content == content[-5:]
    assert ask(Range="bytes=1199990-").content == content[1199990:]
    assert ask(Range="bytes=0-1,4-5").status_code == 200
    past = ask(Range=f"bytes={len(content)}-")
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert ask(If_None_Match=f'"x", W/"{file}"').status_code == 304
    assert ask(If_None_Match='"x"').status_code == 200
    assert ask(Range="bytes=0-0", If_Range=f'"{file}"').status_code == 206
    assert ask(Range="bytes=0-0", If_Range='"x"').status_code == 200
    assert ask(Range="bytes=0-0", If_Range="Wed, 21 Oct 2015 07:28:00 GMT").status_code == 200


@pytest.mark.row("S1-04", "X-02")
def test_active_content_is_not_rendered(system: System) -> None:
    system.start("gateway")
    for kind in ("text/html", "image/svg+xml", "application/javascript", "text/xml"):
        page = f"<script>alert('{kind}')</script>".encode()
        sent = system.http.post("/file", files={"file": ('a".html', page, kind)}).json()
        answer = system.http.get(f"/file/{sent['file_id']}")
        assert sent["content_type"] == kind
        assert answer.headers["content-type"] in {"text/plain; charset=utf-8", "application/octet-stream"}
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.row("X-16")
def test_damaged_bytes_never_pass_for_good_ones(system: System, database: Engine, bucket: Bucket) -> None:
    system.start("gateway")
    small, large, short = (system.upload(bytes([n]) * size) for n, size in ((1, 1000), (2, 2 * MIB), (3, MIB)))
    bucket.put(key_of(database, small), b"\x09" * 1000)
    bucket.put(key_of(database, large), b"\x02" * (2 * MIB - 1) + b"\x09")
    bucket.put(key_of(database, short), b"\x03" * 700_000)
    answer = system.http.get(f"/v1/files/{small}/content")
    assert (answer.status_code, answer.json()["code"]) == (502, "object_corrupt")
    for file in (large, short):
        with pytest.raises(httpx.RemoteProtocolError):
            system.http.get(f"/v1/files/{file}/content")
    assert "objects_corrupt_total 3.0" in system.http.get("/metrics").text


@pytest.mark.row("X-16")
def test_a_missing_object_is_our_fault_and_said_so(system: System, database: Engine, bucket: Bucket) -> None:
    system.start("gateway")
    file = system.upload(b"soon gone")
    bucket.remove(key_of(database, file))
    answer = system.http.get(f"/v1/files/{file}/content")
    assert (answer.status_code, answer.json()["code"]) == (502, "object_missing")


@pytest.mark.row("S1-04", "S1-06")
def test_what_a_job_made_is_downloaded_the_same_way_but_not_deleted(
    system: System, database: Engine, bucket: Bucket
) -> None:
    system.start("gateway")
    file, made = system.upload(b"input"), b"sleep,0\n"
    sha256, sha1 = hashlib.sha256(made).hexdigest(), hashlib.sha1(made).hexdigest()
    bucket.put("jobs/x/1/output.csv", made)
    command = new_command(file)
    with database.begin() as connection:
        submission.submit(connection, [command])
        held = claims.claim(connection, command.id, "test", 60)
    assert held is not None
    output = StoredObject("tables/output.csv", sha256, sha1, len(made), "text/csv", "jobs/x/1/output.csv")
    assert system.http.get(f"/file/{sha1}").status_code == 404
    with database.begin() as connection:
        assert claims.succeed(connection, held, {}, [output]) == "succeeded"
    answer = system.http.get(f"/file/{sha1}")
    assert (answer.content, answer.headers["content-type"]) == (made, "text/csv")
    assert 'filename="output.csv"' in answer.headers["content-disposition"]
    assert system.http.get(f"/v1/files/{sha256}").json()["created_by"] is None
    refused = system.http.delete(f"/file/{sha1}")
    assert (refused.status_code, refused.json()["code"]) == (409, "is_output")
    assert system.http.get("/v1/files").json()["files"][0]["sha256"] == file
    with database.begin() as connection:
        assert files.get(connection, sha256) is None
