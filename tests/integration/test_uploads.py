"""Uploads through a real gateway: streamed, limited, deduplicated, and without a trace when they break."""

import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.bucket import Bucket
from tests.system import PATIENCE, System, until

MIB = 1024 * 1024
LIMIT = 3 * MIB


@pytest.fixture
def bucket(environment: dict[str, str]) -> Bucket:
    return Bucket(environment)


def nothing_is_left(database: Engine, bucket: Bucket) -> bool:
    with database.connect() as connection:
        rows = connection.execute(text("select count(*) from blobs")).scalar_one()
    return rows == 0 and bucket.keys() == [] and bucket.pending() == 0


def request(system: System, length: int, path: str = "/v1/files", kind: str = "video/mp4") -> bytes:
    """The head of a POST that announces `length` bytes."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: reelmill",
        f"Authorization: Bearer {system.token}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def connect(system: System) -> socket.socket:
    return socket.create_connection(("127.0.0.1", system.port), timeout=PATIENCE)


@pytest.mark.row("S1-01", "S1-02")
def test_a_file_gets_its_hashes_as_id_and_is_known_the_second_time(system: System) -> None:
    system.start("gateway")
    content = b"Hello, world\n"
    first = system.http.post("/v1/files?name=hello.txt", content=content, headers={"Content-Type": "text/plain"})
    form = system.http.post("/v1/files", files={"file": ("other.txt", content, "text/markdown")})
    old = system.http.post("/file", files={"file": ("../third.txt", content)})
    assert (first.status_code, form.status_code, old.status_code) == (201, 200, 200)
    view = first.json()
    assert view["sha256"] == hashlib.sha256(content).hexdigest()
    assert view["sha1"] == view["file_id"] == old.json()["file_id"] == "7b4758d4baa20873585b9597c7cb9ace2d690ab8"
    assert (view["size"], view["name"], view["content_type"]) == (13, "hello.txt", "text/plain")
    assert first.headers["location"] == view["links"]["self"]
    again = system.http.get(view["links"]["self"]).json()
    assert again["names"] == ["hello.txt", "other.txt", "third.txt"]
    assert again["name"] == "hello.txt"


@pytest.mark.row("S1-02")
def test_two_at_once_under_two_names_are_one_file(system: System, bucket: Bucket) -> None:
    system.start("gateway", "relay")
    content = bytes(5 * MIB)
    with ThreadPoolExecutor(2) as pool:
        ids = set(pool.map(lambda name: system.upload(content, name), ["left.bin", "right.bin"]))
    assert len(ids) == 1
    listed = system.http.get("/v1/files").json()["files"]
    assert [file["sha256"] for file in listed] == list(ids)
    assert set(system.http.get(f"/v1/files/{ids.pop()}").json()["names"]) == {"left.bin", "right.bin"}
    until(lambda: len(bucket.keys()) == 1, "the second object is erased")


@pytest.mark.row("S1-01")
def test_an_upload_that_is_cut_off_leaves_nothing(system: System, database: Engine, bucket: Bucket) -> None:
    system.start("gateway")
    form = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    for head in (
        request(system, 60 * MIB),
        request(system, 60 * MIB, "/file", "multipart/form-data; boundary=edge") + form,
    ):
        with connect(system) as client:
            client.sendall(head + bytes(20 * MIB))
            until(lambda: bucket.pending() == 1, "the gateway has begun to store the parts")
        until(lambda: nothing_is_left(database, bucket), "everything of the broken upload is gone")
    assert system.http.get("/v1/files").json() == {"files": [], "next": None}
    assert system.upload(b"still alive")


@pytest.mark.row("S1-01")
def test_a_form_that_ends_early_leaves_nothing(system: System, database: Engine, bucket: Bucket) -> None:
    system.start("gateway")
    form = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + bytes(9 * MIB)
    answer = system.http.post("/file", content=form, headers={"Content-Type": "multipart/form-data; boundary=edge"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_multipart")
    assert answer.json()["success"] is False
    assert nothing_is_left(database, bucket)


@pytest.mark.row("S1-01", "X-03")
def test_a_file_over_the_limit_is_refused_before_and_while_it_is_read(
    system: System, database: Engine, bucket: Bucket
) -> None:
    system.start("gateway", REELMILL_UPLOAD_LIMIT=str(LIMIT))
    with connect(system) as client:
        client.sendall(request(system, 10 * 1024**3))  # and not one byte of a body
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")

    def endless() -> Iterator[bytes]:
        for _ in range(LIMIT // MIB + 20):
            yield bytes(MIB)

    assert system.http.post("/v1/files", content=endless()).status_code == 413
    form = system.http.post("/file", files={"file": ("a", bytes(LIMIT + 1))})
    assert (form.status_code, form.json()["code"], form.json()["limit"]) == (413, "too_large", LIMIT)
    until(lambda: nothing_is_left(database, bucket), "nothing of the refused files is stored")
    assert system.http.post("/file", files={"file": ("a", bytes(LIMIT))}).status_code == 200


@pytest.mark.row("S1-01", "X-18")
def test_a_request_without_a_file_is_refused(system: System, database: Engine, bucket: Bucket) -> None:
    system.start("gateway")
    answers = [
        system.http.post("/v1/files?name=empty", content=b""),
        system.http.post("/file", files={"other": ("a", b"x")}),
        system.http.post("/file", files={"file": ("a", b"")}),
        system.http.post("/file", data={"file": "text"}, files={"x": ("y", b"z")}),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(400, "file_missing")] * 4
    assert nothing_is_left(database, bucket)


@pytest.mark.row("S1-01", "X-23")
def test_a_gibibyte_passes_through_without_filling_the_gateway(system: System) -> None:
    system.start("gateway")
    block, count = bytes(range(256)) * 4096, 1024
    whole = hashlib.sha256()
    for _ in range(count):
        whole.update(block)
    answer = system.http.post("/v1/files?name=big", content=(block for _ in range(count)), timeout=300)
    assert (answer.status_code, answer.json()["sha256"]) == (201, whole.hexdigest())
    back = hashlib.sha256()
    with system.http.stream("GET", f"/v1/files/{whole.hexdigest()}/content", timeout=300) as download:
        for piece in download.iter_bytes(MIB):
            back.update(piece)
    assert back.digest() == whole.digest()
    peak = Path(f"/proc/{system.processes['gateway'].pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(peak) * 1024 < 200 * 1000 * 1000
