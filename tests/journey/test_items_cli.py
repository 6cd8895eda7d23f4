"""The command line of items as scripts use it: lists in, states set from a file, a worker that runs a command."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from infra.cli.exits import Exit
from infra.tokens import Role
from tests.furniture import handing_out
from tests.journey.test_cli import reelmill
from tests.journey.test_legacy_segments import as_role
from tests.system import PATIENCE, System, until

HEARS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay", "keeper")
    handing_out(shared.http)
    return shared


def counts(system: System, collection: str) -> dict[str, int]:
    told = json.loads(reelmill(system, "items", "count", "-c", collection, "--json").stdout)
    return {state: n for state, n in told["by_state"].items() if n}


@pytest.mark.row("S0-16")
def test_from_a_dataset_root_to_states_and_leases(system: System, tmp_path: Path) -> None:
    splits = tmp_path / "other" / "datasplits"
    splits.mkdir(parents=True)
    head = "# one\n# two\n# YTID, start_seconds, end_seconds, positive_labels\n"
    (splits / "eval_segments.csv").write_text(head + "".join(f'-e{n}, 0.0, 9.0, "/m/a,/m/b"\n' for n in range(5)))
    (splits / "balanced_train_segments.csv").write_text(head + "b0, 0.0, 9.0, /m/a\n")
    assert reelmill(system, "audioset", str(tmp_path)).returncode == Exit.NOT_FOUND
    made = reelmill(system, "audioset", str(tmp_path), "--audioset-path", "other", "-c", "root")
    assert made.returncode == Exit.OK, made.stderr
    assert counts(system, "root") == {"available": 6}
    ids = tmp_path / "ids.txt"
    ids.write_bytes(b"\xef\xbb\xbf-e0,some text\r\n\r\n# a comment\r\nnope\r\n-e1\r\n\xff\r\n")
    told = reelmill(system, "items", "set-state", "completed", "--file", str(ids), "-c", "root")
    assert told.returncode == Exit.FAILED
    assert "line 4: 'nope' [unknown_item]" in told.stderr
    assert "line 6:" in told.stderr
    assert "2 updated, 2 refused" in told.stderr
    ids.write_text("-e0\n-e1\n")
    assert reelmill(system, "items", "set-state", "completed", "--file", str(ids), "-c", "root").returncode == Exit.OK
    # Many names go as a file, and a job sets their states.
    ids.write_text("-e2\n" + "".join(f"no{n}\n" for n in range(6000)))
    told = reelmill(system, "items", "set-state", "missing", "--file", str(ids), "-c", "root", "--json")
    assert told.returncode == Exit.FAILED, told.stderr
    many = json.loads(told.stdout)
    assert (many["updated"], len(many["refused"])) == (1, 6000)
    assert many["refused"][-1] == {"line": 6001, "key": "'no5999'", "code": "unknown_item"}
    reelmill(system, "items", "set-state", "available", "--file", str(ids), "-c", "root")
    shown = json.loads(reelmill(system, "items", "show", "-c", "root", "--json", "--", "-e1").stdout)
    assert (shown["state"], shown["partition"]) == ("completed", "eval")
    assert reelmill(system, "lease", "take", "101000", "-c", "root").returncode == Exit.USAGE
    lease = json.loads(reelmill(system, "lease", "take", "3", "-c", "root", "--partition", "eval").stdout)
    assert {item["key"] for item in lease["items"]} == {"-e2", "-e3", "-e4"}
    assert reelmill(system, "lease", "extend", lease["lease"], "-c", "root", "--ttl", "99").returncode == Exit.OK
    one = reelmill(system, "lease", "submit", lease["lease"], "-c", "root", "--missing", "b0")
    assert one.returncode == Exit.CONFLICT
    assert reelmill(system, "lease", "release", lease["lease"], "-c", "root").returncode == Exit.OK
    assert counts(system, "root") == {"available": 4, "completed": 2}
    assert reelmill(system, "items", "count", "-c", "none").returncode == Exit.NOT_FOUND


def test_a_worker_runs_a_command_and_gives_back_what_it_does_not_do(system: System, tmp_path: Path) -> None:
    lines = tmp_path / "items.csv"
    lines.write_text("id,how\n" + "".join(f"k{n},{code}\n" for n, code in enumerate((0, 0, 3, 44))))
    assert reelmill(system, "items", "import", str(lines), "-c", "work").returncode == Exit.OK
    run = ("worker", "run", "-c", "work", "--batch", "2", "--", "sh", "-c", "exit $ITEM_HOW")
    done = reelmill(system, *run)
    assert (done.returncode, done.stderr.split("\n")[-2]) == (Exit.FAILED, "2 completed, 2 not")
    assert counts(system, "work") == {"completed": 2, "failed": 1, "missing": 1}
    lines.write_text("id\n" + "".join(f"s{n}\n" for n in range(4)))
    assert reelmill(system, "items", "import", str(lines), "-c", "slow").returncode == Exit.OK
    # By the command it is known that the worker has heard of its lease. One that ran out would come back by itself.
    begun = tmp_path / "begun"
    command = ("sh", "-c", f"touch '{begun}' && exec sleep 600")
    words = ("worker", "run", "-c", "slow", "--batch", "3", "--ttl", "600", "--", *command)
    for number in (signal.SIGINT, signal.SIGHUP):
        worker = subprocess.Popen(
            # What a suite in the background starts hears neither Ctrl-C nor that its terminal closes, if it does not
            # say that it wants to.
            [sys.executable, "-c", f"{HEARS}from infra.cli.app import main; main()", *words],
            env=os.environ | {"REELMILL_URL": system.url, "REELMILL_TOKEN": system.token},
            start_new_session=True,
        )
        until(begun.exists, "it is at work")
        assert counts(system, "slow") == {"available": 1, "leased": 3}
        begun.unlink()
        os.kill(worker.pid, number)
        assert worker.wait(timeout=120) == 130
        assert counts(system, "slow") == {"available": 4}


@pytest.mark.row("S2-01", "S2-23")
def test_people_can_read_what_an_album_is_called(system: System) -> None:
    keys = {"Lemonade\x1fBeyoncé": "Lemonade · Beyoncé", "two\ttabs\x1f\x1b[2JX": "two␉tabs · ␛[2JX"}
    here = "/v1/collections/read"
    assert system.http.put(here, json={}).is_success
    assert system.http.post(f"{here}/items", json={"items": [{"key": key} for key in keys]}).is_success
    listed = reelmill(system, "items", "list", "-c", "read").stdout.splitlines()
    assert {line.split("  ")[0] for line in listed[1:]} == set(keys.values())
    exact = json.loads(reelmill(system, "items", "list", "-c", "read", "--json").stdout)
    assert {item["key"] for item in exact} == set(keys)
    for page in ("/?collection=read", "/console/collections/read/items"):
        shown = system.http.get(page, headers={"Accept": "text/html"}).text
        assert all(f">{name}</a>" in shown for name in keys.values()), page
    key, name = next(iter(keys.items()))
    assert f"key: {name}\n" in reelmill(system, "items", "show", "-c", "read", key).stdout
    shown = system.http.get(f"/id/{quote(key, safe='')}", params={"collection": "read"}).text
    assert (shown.count(name), shown.count(key)) == (3, 0)
    found = {"key": key, "state": "found", "candidates": [{"host": "read.example", "external_id": "1"}]}
    lease = system.http.post(f"{here}/leases", json={"count": 2}).json()["lease"]
    assert system.http.post(f"{here}/leases/{lease}/submit", json={"results": [found]}).is_success
    [task] = system.http.get("/v1/fetch-tasks", params={"host": "read.example"}).json()["tasks"]
    assert name in reelmill(system, "fetch", "show", str(task["id"])).stdout


def work(system: System, collection: str, *items: dict[str, Any]) -> None:
    """A new collection with these items."""
    assert system.http.put(f"/v1/collections/{collection}", json={"retry_seconds": 600}).status_code == 201
    added = system.http.post(f"/v1/collections/{collection}/items", json={"items": items})
    assert added.is_success, added.text


MANY = 5001
"""Lines of a file that is worth a job."""
ODD = ("no-break\u00a0space", "zero\u200dwidth", "soft\u00adhyphen", "two\x1fparts", "caf\u00e9", "tab\there")


@pytest.mark.row("S0-16")
@pytest.mark.parametrize("lines", [0, MANY], ids=["at once", "by a job"])
def test_states_are_set_alike_however_many_lines_there_are(system: System, tmp_path: Path, lines: int) -> None:
    name = f"alike-{lines}"
    work(system, name, *({"key": key} for key in (*ODD, "#7")))
    rest = [f"no{n}" for n in range(lines)]
    given = [*ODD[:3], " two \x1f parts ", "cafe\u0301", ODD[5], "# 7", " #7", "n\0l", "x" * 1025, "\x1f", *rest]
    keys = tmp_path / "keys.txt"
    keys.write_text("\n".join(given))
    told = reelmill(system, "items", "set-state", "completed", "-f", str(keys), "-c", name, "--json")
    document = json.loads(told.stdout)
    refused = [(each["line"], each["code"]) for each in document["refused"][:3]]
    assert refused == [(9, "not_text"), (10, "not_text"), (11, "unknown_item")]
    assert (told.returncode, document["updated"], len(document["refused"])) == (Exit.FAILED, 7, 3 + lines)
    assert counts(system, name) == {"completed": 7}
    nowhere = reelmill(system, "items", "set-state", "completed", "-f", str(keys), "-c", "nowhere")
    assert nowhere.returncode == Exit.NOT_FOUND, nowhere.stderr
    assert "[unknown_collection]" in nowhere.stderr


@pytest.mark.row("S0-16")
@pytest.mark.parametrize("lines", [3, MANY], ids=["at once", "by a job"])
def test_a_state_that_is_none_is_refused_before_anything_is_sent(system: System, tmp_path: Path, lines: int) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"k{n}\n" for n in range(lines)))
    told = reelmill(system, "items", "set-state", "null", "-f", str(keys), "-c", "nowhere")
    states = "completed, missing, failed, nacked, available or running"
    assert told.stderr == f"There is no state 'null' to set: {states}.\n"
    assert told.returncode == Exit.USAGE


@pytest.mark.row("S0-01", "S0-16")
def test_lines_that_an_import_rejects_are_told_and_are_a_failure(system: System, tmp_path: Path) -> None:
    lines = tmp_path / "items.jsonl"
    good = [json.dumps({"key": f"k{n}"}) for n in range(3)]
    lines.write_text("\n".join([good[0], "{", good[1], *["[]"] * 11, good[2]]))
    told = reelmill(system, "items", "import", str(lines), "-c", "rejects")
    assert told.returncode == Exit.FAILED
    job_id = told.stdout.split()[0]
    first, second, *_, last, end = told.stderr.splitlines()
    assert (first, second, last) == ("line 2: not_json", "line 4: no_object", "line 12: no_object")
    assert len(told.stderr.splitlines()) == 11
    assert end == f"12 lines were rejected. The whole report: reelmill jobs outputs {job_id} --to FOLDER"
    again = reelmill(system, "items", "import", str(lines), "-c", "rejects", "--json")
    assert (again.returncode, json.loads(again.stdout)["result"]["rejected"]) == (Exit.FAILED, 12)
    assert counts(system, "rejects") == {"available": 3}
    # Of several files, the next is imported all the same.
    splits = tmp_path / "audioset" / "datasplits"
    splits.mkdir(parents=True)
    head = "# one\n# two\n# YTID, start_seconds, end_seconds, positive_labels\n"
    (splits / "balanced_train_segments.csv").write_text(f"{head}b0, 0.0, 9.0, /m/a\n, 0.0, 9.0, /m/a\n")
    (splits / "eval_segments.csv").write_text(f"{head}e0, 0.0, 9.0, /m/a\n")
    both = reelmill(system, "audioset", str(tmp_path), "-c", "rejected-root")
    assert (both.returncode, both.stderr.splitlines()[0][:7]) == (Exit.FAILED, "line 5:")
    assert counts(system, "rejected-root") == {"available": 2}


@pytest.fixture
def pipe(tmp_path: Path) -> Callable[[bytes], str]:
    """Something to be read once, as a shell's `<(...)` is: says what it was given."""

    def filled(content: bytes) -> str:
        path = tmp_path / f"{uuid.uuid4().hex}.csv"
        os.mkfifo(path)
        threading.Thread(target=_fill, args=(path, content), daemon=True).start()
        return str(path)

    return filled


def _fill(path: Path, content: bytes) -> None:
    with suppress(BrokenPipeError):
        path.write_bytes(content)


@pytest.mark.row("S0-01", "S0-16")
def test_a_pipe_is_as_good_as_a_file(system: System, pipe: Callable[[bytes], str]) -> None:
    lines = b"id\n" + b"".join(b"p%d\n" % n for n in range(MANY))
    assert reelmill(system, "items", "import", pipe(lines), "-c", "piped").returncode == Exit.OK
    assert counts(system, "piped") == {"available": MANY}
    few = reelmill(system, "items", "set-state", "missing", "-f", pipe(b"p0\np1\n"), "-c", "piped")
    assert (few.returncode, few.stderr) == (Exit.OK, "2 updated, 0 refused\n")
    many = reelmill(system, "items", "set-state", "completed", "-f", pipe(lines[3:]), "-c", "piped", "--json")
    told = json.loads(many.stdout)
    assert (told["updated"], [each["line"] for each in told["refused"]]) == (MANY - 2, [1, 2])
    put = reelmill(system, "files", "put", pipe(b"hello"), "--json")
    assert [file["size"] for file in json.loads(put.stdout)] == [5]


@pytest.mark.row("S0-20", "S0-21")
def test_what_a_failing_command_says_is_kept_as_far_as_it_can_be(system: System) -> None:
    work(system, "nul", {"key": "k"})
    command = ("sh", "-c", r"printf 'oops\000binary\377' >&2; exit 1")
    done = reelmill(system, "worker", "run", "-c", "nul", "--", *command)
    assert (done.returncode, done.stderr) == (Exit.FAILED, "0 completed, 1 not\n")
    item = json.loads(reelmill(system, "items", "show", "k", "-c", "nul", "--json").stdout)
    assert (item["state"], item["attempt"], item["error"]) == ("failed", 1, "oopsbinary\ufffd")


@pytest.mark.row("S0-20", "S0-24")
def test_a_worker_that_is_refused_says_why_in_a_sentence(system: System) -> None:
    work(system, "closed", {"key": "k"})
    with as_role(system, Role.READER, "only-looks") as reader:
        looks = reader.headers["authorization"].removeprefix("Bearer ")
    for collection, token, code, why in (
        ("nowhere", system.token, Exit.NOT_FOUND, "[unknown_collection]"),
        ("closed", "nobody's", Exit.DENIED, "[bad_credentials]"),
        ("closed", looks, Exit.DENIED, "[forbidden]"),
        ("not a name", system.token, Exit.USAGE, "collection"),
    ):
        done = reelmill(system, "worker", "run", "-c", collection, "--", "true", REELMILL_TOKEN=token)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
        assert why in done.stderr
    nowhere = reelmill(system, "worker", "run", "--", "true", REELMILL_URL="gateway:8000")
    assert (nowhere.returncode, nowhere.stderr[:26]) == (Exit.USAGE, "gateway:8000 is no address")
    assert counts(system, "closed") == {"available": 1}


@pytest.mark.row("S0-02", "S0-20")
def test_an_attribute_that_no_environment_has_room_for_is_left_out(system: System) -> None:
    odd = {"a=b": 1, "": 2, "n\0l": 3, "nul": "\0", "long": "\u00e9" * 70_000, "Fine one": 5}
    work(system, "odd", {"key": "k", "attributes": odd})
    ours = "' '.join(sorted(name + '=' + os.environ[name] for name in os.environ if name.startswith('ITEM_')))"
    command = (sys.executable, "-c", f"import os, sys; sys.exit({ours})")
    assert reelmill(system, "worker", "run", "-c", "odd", "--", *command).returncode == Exit.FAILED
    item = json.loads(reelmill(system, "items", "show", "k", "-c", "odd", "--json").stdout)
    assert (item["attempt"], item["error"]) == (1, "ITEM_FINE ONE=5")


@pytest.mark.row("S0-12")
def test_a_worker_whom_nobody_answers_says_so_once_and_goes_on(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with socket.create_server(("127.0.0.1", 0)) as server, said.open("wb") as sink:
        server.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        worker = subprocess.Popen(
            [sys.executable, "-c", f"{HEARS}from infra.cli.app import main; main()", "worker", "run", "--", "true"],
            env=os.environ | {"REELMILL_URL": url, "REELMILL_TOKEN": "any"},
            stderr=sink,
        )
        for _ in range(3):
            server.accept()[0].close()
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=PATIENCE) == 130
    [line] = said.read_text().splitlines()
    assert line.startswith(f"No answer from {url} (")


@pytest.mark.row("S0-11", "S0-21")
def test_what_a_worker_has_lost_is_neither_completed_nor_done(system: System) -> None:
    work(system, "taken", *({"key": f"k{n}"} for n in range(3)))
    # Somebody with a say has set one by hand while it was worked on.
    by_hand = """if 1:
        import json, os, sys, urllib.request
        if sys.argv[1] == "k1":
            urllib.request.urlopen(urllib.request.Request(
                os.environ["REELMILL_URL"] + "/v1/collections/taken/moves",
                json.dumps({"moves": [{"key": "k1", "state": "missing"}]}).encode(),
                {"Authorization": "Bearer " + os.environ["REELMILL_TOKEN"], "Content-Type": "application/json"},
            ))
    """
    run = ("worker", "run", "-c", "taken", "--batch", "3", "--", sys.executable, "-c", by_hand, "{key}")
    done = reelmill(system, *run)
    assert done.stderr.splitlines() == ["k1: finished", "2 completed, 0 not, 1 lost"]
    assert done.returncode == Exit.FAILED
    assert counts(system, "taken") == {"completed": 2, "missing": 1}
