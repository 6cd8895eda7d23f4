"""tus 1.0 as any client speaks it: creation, offsets, checksums, expiry, termination; what breaks loses nothing."""

import base64
import hashlib
import socket

import httpx
import pytest
from sqlalchemy import text

from infra import db, resumable, tokens
from infra.tokens import Role
from tests.system import System, until

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream"}
CONTENT = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway")
    return shared


def begin(system: System, size: int = len(CONTENT), name: str = "film.mp4") -> str:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    made = system.http.post("/v1/resumable", headers=TUS | {"Upload-Length": str(size), "Upload-Metadata": metadata})
    assert made.status_code == 201, made.text
    assert made.headers["upload-offset"] == "0"
    return made.headers["location"]


def patch(system: System, place: str, start: int, piece: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return system.http.patch(place, headers=PIECE | {"Upload-Offset": str(start)} | named, content=piece)


def stands_at(system: System, place: str) -> int:
    return int(system.http.head(place, headers=TUS).headers["upload-offset"])


@pytest.mark.row("S1-01")
def test_pieces_become_the_file(system: System) -> None:
    place = begin(system)
    assert patch(system, place, 0, CONTENT[:300_000]).headers["upload-offset"] == "300000"
    assert stands_at(system, place) == 300_000
    last = patch(system, place, 300_000, CONTENT[300_000:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(CONTENT)))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert last.headers["content-location"] == f"/v1/files/{sha256}"
    assert system.http.get(f"/v1/files/{sha256}/content").content == CONTENT
    view = system.http.get(place).json()
    assert view["file"]["sha256"] == sha256
    assert (view["name"], view["content_type"], view["received"]) == ("film.mp4", "video/mp4", len(CONTENT))
    assert patch(system, place, len(CONTENT), b"").status_code == 204


def test_what_came_before_a_connection_broke_is_kept(system: System) -> None:
    place = begin(system)
    head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.token}\r\nTus-Resumable: 1.0.0\r\n"
    head += (
        f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", system.port)) as connection:
        connection.sendall(head.encode() + CONTENT[:400_000])
        connection.shutdown(socket.SHUT_WR)
    start = until(lambda: stands_at(system, place), "what had come counts")
    assert 0 < start <= 400_000
    assert patch(system, place, start, CONTENT[start:]).status_code == 204
    assert system.http.get(place).json()["file"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_a_piece_in_the_wrong_place_is_told_the_right_one(system: System) -> None:
    place = begin(system)
    patch(system, place, 0, b"abc")
    late = patch(system, place, 0, b"abc")
    assert (late.status_code, late.json()["code"], late.headers["upload-offset"]) == (409, "offset_mismatch", "3")
    over = patch(system, place, 3, CONTENT)
    assert over.status_code == 413


def test_a_piece_with_a_checksum_counts_only_when_it_fits(system: System) -> None:
    place = begin(system)
    good = base64.b64encode(hashlib.sha1(CONTENT[:1000]).digest()).decode()
    wrong = patch(system, place, 0, CONTENT[1000:2000], Upload_Checksum=f"sha1 {good}")
    assert (wrong.status_code, stands_at(system, place)) == (460, 0)
    assert patch(system, place, 0, CONTENT[:1000], Upload_Checksum=f"sha1 {good}").status_code == 204
    assert patch(system, place, 1000, b"x", Upload_Checksum="crc32 eA==").json()["code"] == "unknown_algorithm"


def test_an_upload_is_given_up_by_hand_or_by_time_and_its_pieces_go(system: System) -> None:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    by_hand, by_time = begin(system), begin(system)
    for place in (by_hand, by_time):
        patch(system, place, 0, b"abc")
    assert system.http.delete(by_hand, headers=TUS).status_code == 204
    assert system.http.head(by_hand, headers=TUS).status_code == 404
    with engine.begin() as connection:
        connection.execute(
            text("update resumable_uploads set expires_at = now() where id = :id"), {"id": by_time[-36:]}
        )
    assert system.http.head(by_time, headers=TUS).status_code == 404
    with engine.begin() as connection:
        resumable.expire(connection)
        left = connection.execute(
            text("select count(*) from upload_pieces where upload_id in (:a, :b)"),
            {"a": by_hand[-36:], "b": by_time[-36:]},
        )
        assert left.scalar_one() == 0
        listed = connection.execute(text("select object_key from erasures")).scalars().all()
        for place in (by_hand, by_time):
            assert any(place[-36:] in key for key in listed)
    engine.dispose()


@pytest.mark.row("X-18")
def test_mistakes_are_problems(system: System) -> None:
    place = begin(system)
    able = system.http.options("/v1/resumable")
    assert "creation" in able.headers["tus-extension"]
    cases = (
        (system.http.post("/v1/resumable", headers={"Upload-Length": "5"}), 412, "tus_version"),
        (system.http.post("/v1/resumable", headers=TUS), 400, "invalid_parameter"),
        (system.http.post("/v1/resumable", headers=TUS | {"Upload-Length": "9" * 18}), 413, "too_large"),
        (system.http.post("/v1/resumable", headers=TUS | {"Upload-Length": "0"}), 400, "empty_file"),
        (
            system.http.post("/v1/resumable", headers=TUS | {"Upload-Length": "5", "Upload-Metadata": "a ?"}),
            400,
            "invalid_parameter",
        ),
        (
            system.http.patch(place, headers=TUS | {"Upload-Offset": "0", "Content-Type": "text/plain"}, content=b"x"),
            415,
            "unsupported_media_type",
        ),
        (patch(system, "/v1/resumable/nope", 0, b"x"), 404, "unknown_upload"),
    )
    for answer, status, code in cases:
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_an_upload_is_its_makers_alone(system: System) -> None:
    place = begin(system)
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        other = tokens.create(connection, "other", [Role.PRODUCER])
    engine.dispose()
    head = httpx.head(system.url + place, headers=TUS | {"Authorization": f"Bearer {other}"}, timeout=60)
    assert head.status_code == 404


@pytest.mark.row("S1-01", "S1-04", "X-16")
def test_bytes_go_straight_to_the_store_and_back(system: System) -> None:
    content = b"straight " * 50_000
    sha256 = hashlib.sha256(content).hexdigest()
    made = system.http.post("/v1/transfers").json()
    done = made["links"]["complete"]

    def complete(wanted: str = sha256) -> httpx.Response:
        return system.http.post(done, json={"sha256": wanted, "name": "../straight.mp4"})

    assert (complete().status_code, complete().json()["code"]) == (409, "not_uploaded")
    assert httpx.put(made["url"], content=content, timeout=60).is_success  # nobody showed a token
    wrong = complete("0" * 64)
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["sha256"]) == (409, "hash_mismatch", sha256)
    assert complete().json()["code"] == "not_uploaded"  # what did not fit is gone
    assert httpx.put(made["url"], content=content, timeout=60).is_success
    first = complete()
    assert (first.status_code, first.json()["name"], first.json()["sha256"]) == (201, "straight.mp4", sha256)
    assert httpx.put(made["url"], content=b"other bytes", timeout=60).is_success  # the address is still good
    assert system.http.get(f"/v1/files/{sha256}/content").content == content
    assert complete().json()["code"] == "hash_mismatch"
    assert (complete().status_code, complete().json()["sha256"]) == (200, sha256)
    moved = system.http.get(f"/v1/files/{sha256}/content", params={"redirect": "1"}, follow_redirects=False)
    assert moved.status_code == 307
    away = httpx.get(moved.headers["location"], timeout=60)
    assert (away.content, away.headers["content-type"]) == (content, "video/mp4")
    assert "straight.mp4" in away.headers["content-disposition"]
    assert system.http.post("/v1/transfers/nope/complete", json={"sha256": sha256}).status_code == 404
    assert system.http.post(done, json={"sha256": "zz"}).status_code == 400
