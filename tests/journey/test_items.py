"""Whole files of items from outside: imported by a job, counted, set, listed, with a report for every odd line."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import psutil
import pytest

from tests.furniture import handing_out
from tests.system import System

#: How the lists that AudioSet publishes begin.
PUBLISHED = b"""# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
--ZhevVpy1s, 50.000, 60.000, "/m/012xff"
"""
AUDIOSET = Path(__file__).parents[3] / "shared/data/audioset/datasplits/eval_segments.csv"
LINES = 200_000
#: As JSON has them.
LINE_ENDS = ("\\n", "\\r", "\\u0085", "\\u2028", "\\u2029")
MEMORY_LIMIT = 400 * 1024**2


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


def imported(system: System, collection: str, content: bytes, name: str, **params: Any) -> dict[str, Any]:
    """Upload a file, import it, wait for the end; returns the job."""
    system.http.put(f"/v1/collections/{collection}", json={"retry_seconds": 0})
    file = system.upload(content, name)
    job = system.submit("items.import", {"collection": collection, "file": file, **params})
    return system.until_state(job, "succeeded", "failed", patience=120)


def report(system: System, job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = system.http.get(f"/v1/jobs/{job['id']}/outputs/report.ndjson", follow_redirects=True)
    if answer.is_redirect:
        answer = httpx.get(answer.headers["location"])
    return [orjson.loads(line) for line in answer.content.splitlines()]


def by_state(system: System, collection: str, **query: str) -> dict[str, int]:
    counts = system.http.get(f"/v1/collections/{collection}/counts", params=query).json()
    return {state: n for state, n in counts["by_state"].items() if n}


@pytest.mark.row("S0-01")
def test_a_large_file_with_duplicates_and_bad_lines(running: System) -> None:
    distinct = LINES - LINES // 20
    lines = [f'y{n % distinct:06d},{n % distinct},{n % distinct + 10},"/m/a,/m/b"' for n in range(LINES)]
    lines[10], lines[20], lines[30] = ",1,2,x", "one,two", "y\xff,1,2,x"
    text = "# Segments\n# YTID, start_seconds, end_seconds, positive_labels\n" + "\n".join(lines) + "\n"
    content = text.encode("latin-1")
    memory = psutil.Process(running.processes["keeper"].pid)
    done = imported(running, "large", content, "balanced_train_segments.csv")
    [child] = running.children("keeper")
    assert child.memory_info().rss < MEMORY_LIMIT
    assert memory.memory_info().rss < MEMORY_LIMIT
    assert done["result"] == {
        "lines": LINES,
        "inserted": distinct,
        "updated": 0,
        "unchanged": 0,
        "duplicate": LINES - 3 - distinct,
        "rejected": 3,
    }
    told = report(running, done)
    assert [(each["line"], each["reason"]) for each in told if each["outcome"] == "rejected"] == [
        (13, "empty_key"),
        (23, "wrong_number_of_columns"),
        (33, "bad_character"),
    ]
    moves = [{"key": f"y{n:06d}", "state": "completed"} for n in range(100, 110)]
    assert running.http.post("/v1/collections/large/moves", json={"moves": moves}).json()["updated"] == 10
    again = imported(running, "large", gzip.compress(content), "balanced_train_segments.csv.gz")
    assert (again["result"]["inserted"], again["result"]["unchanged"]) == (0, distinct)
    assert by_state(running, "large") == {"available": distinct - 10, "completed": 10}
    assert by_state(running, "large", partition="balanced_train", state="completed") == {"completed": 10}
    assert by_state(running, "large", partition="eval") == {}


@pytest.mark.row("S0-01", "S0-02")
@pytest.mark.skipif(not AUDIOSET.exists(), reason="the segment list is not there")
def test_the_segment_list_of_audioset(running: System) -> None:
    rows = AUDIOSET.read_text().count("\n") - 1
    done = imported(running, "audioset", AUDIOSET.read_bytes(), AUDIOSET.name)
    assert (done["result"]["inserted"], done["result"]["rejected"]) == (rows, 0)
    item = running.http.get("/v1/collections/audioset/items/--4gqARaEJE").json()
    assert item["partition"] == "eval"
    assert item["attributes"] == {
        "start_seconds": "0",
        "end_seconds": "10",
        "positive_labels": "/m/068hy,/m/07q6cd_,/m/0bt9lr,/m/0jbk",
    }
    lease = running.http.post("/v1/collections/audioset/leases", json={"count": 3, "partition": "eval"}).json()
    assert all(each["attributes"]["positive_labels"] for each in lease["items"])
    assert by_state(running, "audioset") == {"available": rows - 3, "leased": 3}


def packed(**files: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_dot_", "."), content)
    return sink.getvalue()


@pytest.mark.row("S0-01", "S0-02")
@pytest.mark.parametrize(
    ("name", "content", "params", "keys"),
    [
        ("a.csv", b"\xef\xbb\xbfid,n\r\na,1\r\nb,2\r\n", {}, {"a": {"n": "1"}, "b": {"n": "2"}}),
        ("a.csv", b",YTID,partition\n0,-x,eval\n1,'q'\"<,eval\n", {}, {"-x": {}, "'q'\"<": {}}),
        ("a.tsv", b"key\tt\na\tx,y\n", {}, {"a": {"t": "x,y"}}),
        ("a.jsonl", b'{"id": 7, "deep": {"x": [1]}}\n\n', {}, {"7": {"deep": {"x": [1]}}}),
        ("a.zip", packed(a_dot_csv=b"id\na\n", b_dot_csv=b"id\nb\n"), {}, {"a": {}, "b": {}}),
        (
            "i.csv",
            "Artist Name,Album Title\n Sigur Ro\u0301s , ( ) \nSigur Rós,( )\n".encode(),
            {"key": ["Album Title", "Artist Name"]},
            {"( )\x1fSigur Rós": {}},
        ),
        ("a.csv", b"id,x\na,1\n", {"columns": {"x": "label"}, "partition": "p"}, {"a": {"label": "1"}}),
        (
            "eval_segments.csv",
            PUBLISHED,
            {},
            {
                "--PJHxphWEs": {
                    "start_seconds": "30.000",
                    "end_seconds": "40.000",
                    "positive_labels": "/m/09x0r,/t/dd00088",
                },
                "--ZhevVpy1s": {"start_seconds": "50.000", "end_seconds": "60.000", "positive_labels": "/m/012xff"},
            },
        ),
    ],
    ids=["bom", "pandas", "tsv", "jsonl", "zip", "inventory", "mapped", "published"],
)
def test_every_dialect(
    running: System, request: pytest.FixtureRequest, name: str, content: bytes, params: dict[str, Any], keys: Any
) -> None:
    collection = f"dialect-{request.node.callspec.id}"
    done = imported(running, collection, content, name, **params)
    assert done["state"] == "succeeded", done["error"]
    listed = running.http.get(f"/v1/collections/{collection}/items").json()["items"]
    assert {item["key"]: item["attributes"] for item in listed} == keys
    for key in keys:
        shown = running.http.get(f"/v1/collections/{collection}/items/{quote(key, safe='')}")
        assert shown.json()["key"] == key
    otherwise = params | {"partition": "other"}  # or nothing would be merged
    assert imported(running, collection, content, name, **otherwise)["result"]["inserted"] == 0


@pytest.mark.row("S0-01")
def test_of_an_archive_with_tables_only_these_are_read(running: System) -> None:
    files = {"README.txt": b"Two tables,\nand a picture\n", "a.csv": b"id,n\na,1\n", "dot.png": b"\x89PNG\r\n\x1a\n\0"}
    content = packed(**files, **{"deep/b.TSV.gz": gzip.compress(b"id\tn\nb\t1\n")})
    done = imported(running, "tables", content, "more.zip")
    assert (done["result"]["lines"], done["result"]["inserted"]) == (2, 2)
    assert done["result"]["passed_over"] == ["README.txt", "dot.png"]
    bare = imported(running, "no-tables", packed(**{"README.txt": b"id\na\n"}), "bare.zip")
    assert (bare["result"]["inserted"], "passed_over" in bare["result"]) == (1, False)


@pytest.mark.row("S0-01")
def test_keys_come_again_in_another_file_of_an_archive(running: System) -> None:
    content = packed(a_dot_csv=b"id,n\na,1\nb,1\nc,1\n", b_dot_csv=b"id,n\na,2\nd,2\nb,2\n")
    done = imported(running, "archived", content, "two.zip")
    assert (done["result"]["inserted"], done["result"]["duplicate"]) == (4, 2)
    told = [(each["line"], each["key"]) for each in report(running, done) if each["outcome"] == "duplicate"]
    assert told == [(2, "a"), (3, "b")]


@pytest.mark.row("S0-01")
def test_a_quote_that_nobody_closes_costs_its_own_line(running: System) -> None:
    lines = [b"id%d,a,b,c\n" % n for n in range(20_000)]
    lines[50] = b'"id50,a,b,c\n'
    done = imported(running, "stray", b"id,x,y,z\n" + b"".join(lines), "a.csv")
    assert (done["result"]["lines"], done["result"]["inserted"], done["result"]["rejected"]) == (20_000, 19_999, 1)
    [told] = report(running, done)
    assert (told["line"], told["outcome"]) == (52, "rejected")


@pytest.mark.parametrize(
    ("content", "params", "code"),
    [
        (b"\x1f\x8bbroken", {}, "bad_archive"),
        (b"PK\x03\x04broken", {}, "bad_archive"),
        (b"id\na\n", {"key": ["nope"]}, "no_such_column"),
        (b"# nothing\n# here\n", {}, "no_header"),
        (b"x" * 200_000 + b"\n", {}, "no_header"),
    ],
)
def test_a_file_that_is_none_fails_for_good(running: System, content: bytes, params: dict[str, Any], code: str) -> None:
    failed = imported(running, "broken", content, "a.csv", **params)
    assert (failed["state"], failed["error"]["code"], failed["attempt"]) == ("failed", code, 1)
    assert by_state(running, "broken") == {}


@pytest.mark.row("S0-01")
def test_lines_that_no_database_can_keep_are_told_and_the_others_come_in(running: System) -> None:
    nul, half, deep = "\\u0000", "\\ud800", "[" * 300 + "]" * 300
    lines = {
        f'{{"id":"a","partition":"x{nul}"}}': "bad_character",
        f'{{"id":"b{nul}"}}': "bad_character",
        f'{{"id":"c","x":"{nul}"}}': None,
        f'{{"id":"d","x":{{"y":[1,{{"z":"a{nul}b"}}]}}}}': None,
        f'{{"id":"e","x":[{{"a{nul}b":1}}]}}': None,
        f'{{"id":"f","x":"{half}"}}': "not_json",
        f'{{"id":"g","partition":"{half}"}}': "not_json",
        f'{{"id":"h","x":{deep}}}': "bad_character",
        '{"id":"i","x":NaN}': "not_json",
        '{"id":"j","x":"\udcff"}': "not_json",
        '{"id":"k","x":"\0"}': "not_json",
        '{"id":"l","x":"\\\\u0000","y":"\\n\\t\\\\"}': None,
        '{"id":"m","partition":"a\\tb\\\\n"}': None,
        **{f'{{"id":"n{end}n"}}': "bad_character" for end in LINE_ENDS},
        '{"id":"o\\n"}': None,
        '{"id":"p\\u001fp"}': None,
    }
    content = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
    done = imported(running, "unkept", content, "a.jsonl")
    assert (done["state"], done["error"]) == ("succeeded", None)
    assert {each["line"]: each["reason"] for each in report(running, done)} == {
        number: reason for number, reason in enumerate(lines.values(), 1) if reason is not None
    }
    listed = running.http.get("/v1/collections/unkept/items").json()["items"]
    assert {item["key"]: (item["partition"], item["attributes"]) for item in listed} == {
        "c": ("", {"x": "\0"}),
        "d": ("", {"x": {"y": [1, {"z": "a\0b"}]}}),
        "e": ("", {"x": [{"a\0b": 1}]}),
        "l": ("", {"x": "\\u0000", "y": "\n\t\\"}),
        "m": ("a\tb\\n", {}),
        "o": ("", {}),
        "p\x1fp": ("", {}),
    }
    lease = running.http.post("/v1/collections/unkept/leases", json={"count": 9}).json()
    assert {item["key"]: item["attributes"] for item in lease["items"]} == {
        item["key"]: item["attributes"] for item in listed
    }
    table = imported(running, "unkept", b"id,x\nn,1\n", "a.csv", columns={"x": "a\tb"})
    assert (table["state"], table["result"]["inserted"]) == ("succeeded", 1)


def test_what_no_database_can_keep_and_no_address_can_name_is_bad_input(running: System) -> None:
    assert running.http.put("/v1/collections/odd", json={}).is_success
    unnamed = [{"key": orjson.loads(f'"a{end}b"')} for end in LINE_ENDS]
    for wrong in ({"key": "a\0b"}, {"key": "a", "partition": "\0"}, *unnamed):
        answer = running.http.post("/v1/collections/odd/items", json={"items": [wrong]})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), answer.text
    params = {"collection": "odd", "file": running.upload(b"id,x\na,1\n", "a.csv"), "columns": {"x": "a\0"}}
    answer = running.http.post("/v1/jobs", json={"kind": "items.import", "params": params})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), answer.text
    answer = running.http.post("/v1/collections/odd/moves", json={"moves": [{"key": "a\0b", "state": "completed"}]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), answer.text


@pytest.mark.row("S0-16", "S2-01")
def test_a_file_of_keys_means_what_a_file_of_items_means(running: System) -> None:
    columns = {"key": ["album", "artist"]}
    imported(running, "keys", "album,artist\n( ),Sigur Rós\nagætis,\n".encode(), "a.csv", **columns)
    names = " ( ) \x1f Sigur Ro\u0301s ,x\nagætis\x1f\n".encode()
    file = running.upload(names, "done.txt")
    job = running.submit("items.set_state", {"collection": "keys", "file": file, "state": "completed"})
    assert running.until_state(job, "succeeded", "failed")["result"]["updated"] == 2
    assert by_state(running, "keys") == {"completed": 2}


@pytest.mark.row("S0-15")
def test_states_by_a_file(running: System) -> None:
    imported(running, "bulk", b"id\n" + b"".join(b"k%d\n" % n for n in range(12_000)), "a.csv")
    names = b"k0,done long ago\r\n\r\n# comment\r\nnope\r\nk0\r\n\xff\r\n" + b"".join(
        b"k%d\n" % n for n in range(1, 11_000)
    )
    file = running.upload(names, "done.txt")
    job = running.submit("items.set_state", {"collection": "bulk", "file": file, "state": "completed"})
    done = running.until_state(job, "succeeded", "failed")
    assert done["result"] == {"updated": 11_000, "unchanged": 1, "unknown": 1, "rejected": 1}
    assert report(running, done) == [
        {"line": 6, "key": "\\udcff", "outcome": "refused", "code": "not_text"},
        {"line": 4, "key": "nope", "outcome": "refused", "code": "unknown_item"},
    ]
    assert by_state(running, "bulk") == {"available": 1000, "completed": 11_000}
    lease = running.http.post("/v1/collections/bulk/leases", json={}).json()
    [held] = [item["key"] for item in lease["items"]]
    file = running.upload(f"k0\n{held}\n".encode(), "missing.txt")
    job = running.submit("items.set_state", {"collection": "bulk", "file": file, "state": "missing"})
    done = running.until_state(job, "succeeded", "failed")
    assert done["result"] == {"updated": 1, "unchanged": 0, "unknown": 0, "rejected": 1}
    page = running.http.get("/v1/collections/bulk/items", params={"state": "missing"}).json()
    assert [item["key"] for item in page["items"]] == [held]
    assert running.http.post(f"/v1/collections/bulk/leases/{lease['lease']}/extend").status_code == 409
    history = running.http.get(f"/v1/collections/bulk/items/{held}").json()["history"]
    assert [(move["before"], move["state"]) for move in history] == [("available", "leased"), ("leased", "missing")]
    again = running.submit("items.set_state", {"collection": "bulk", "file": file, "state": "available"})
    assert running.until_state(again, "succeeded", "failed")["result"]["updated"] == 2
