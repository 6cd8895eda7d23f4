"""The command line as scripts use it: data on stdout, talk on stderr, fixed exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.demo import sample
from infra.cli.exits import Exit
from tests import forks
from tests.system import PATIENCE, System


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "relay", "splitter", "analyzer")
    return shared


def reelmill(system: System, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person's shell would, without a terminal."""
    ours = {"REELMILL_URL": system.url, "REELMILL_TOKEN": system.token}
    return forks.run(arguments, os.environ | ours | environment)


def test_split_downloads_what_it_made(system: System, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = reelmill(system, "split", str(sample()), "--rate", "1", "--images", "--to", str(out), "--json")
    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["result"]["frames"] == 10
    assert sorted(p.name for p in (out / "frames").iterdir()) == [f"{k:06d}.jpg" for k in range(10)]
    assert (out / "manifest.json").stat().st_size > 0


def test_files_go_in_and_come_out(system: System, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    file_id = reelmill(system, "files", "put", str(tmp_path / "note.txt")).stdout.split()[0]
    assert file_id in reelmill(system, "files", "list", "--json").stdout
    assert reelmill(system, "files", "get", file_id, "--to", str(tmp_path / "back.txt")).returncode == Exit.OK
    assert (tmp_path / "back.txt").read_text() == "hello"
    (tmp_path / "big.bin").write_bytes(bytes(range(256)) * 8192)
    direct = reelmill(system, "files", "put", "--direct", "--json", str(tmp_path / "big.bin"))
    assert direct.returncode == Exit.OK, direct.stderr
    [sent] = json.loads(direct.stdout)
    assert (sent["name"], sent["size"]) == ("big.bin", 256 * 8192)
    assert reelmill(system, "files", "rm", file_id).returncode == Exit.OK
    gone = reelmill(system, "files", "get", file_id)
    assert (gone.returncode, gone.stdout) == (Exit.NOT_FOUND, "")
    assert "unknown_file" in gone.stderr


def test_jobs_are_asked_for_shown_and_cancelled(system: System) -> None:
    file = system.upload(b"hello")
    asked = reelmill(system, "jobs", "submit", "analyze.sleep", json.dumps({"file": file, "time": 600}), "--json")
    job_id = json.loads(asked.stdout)["id"]
    assert job_id in reelmill(system, "jobs", "list", "--json").stdout
    assert "queued" in reelmill(system, "jobs", "show", job_id).stdout
    assert reelmill(system, "jobs", "wait", job_id, "--timeout", "0").returncode == Exit.TIMEOUT
    assert reelmill(system, "jobs", "cancel", job_id).returncode == Exit.OK
    assert reelmill(system, "jobs", "wait", job_id).returncode == Exit.JOB_FAILED
    assert reelmill(system, "jobs", "cancel", job_id).returncode == Exit.CONFLICT


def test_many_jobs_are_asked_for_with_a_file(system: System, tmp_path: Path) -> None:
    later = {"kind": "probe.echo", "run_at": "2100-01-01T00:00:00Z"}
    need = "01981f5e-0000-7000-8000-000000000001"
    lines = [json.dumps(later | terms) for terms in ({"id": need}, {"after": [need]}, {}, {"priority": 99})]
    (tmp_path / "jobs.ndjson").write_text("\n".join(lines[:3]))
    good = reelmill(system, "jobs", "submit", "--batch", str(tmp_path / "jobs.ndjson"), "--json")
    told = [json.loads(line) for line in good.stdout.splitlines()]
    assert (good.returncode, [line["status"] for line in told]) == (Exit.OK, ["created"] * 3)
    (tmp_path / "jobs.ndjson").write_text("\n".join([lines[0], *lines[3:]]))
    bad = reelmill(system, "jobs", "submit", "--batch", str(tmp_path / "jobs.ndjson"))
    assert (bad.returncode, bad.stdout) == (Exit.FAILED, "")
    assert "0 created, 1 duplicate, 1 refused" in bad.stderr
    assert "line 2" in bad.stderr
    one = ("jobs", "submit", "probe.echo", "--id", told[0]["id"][:-1] + "2", "--after", need, "--concurrency-key", "k")
    assert json.loads(reelmill(system, *one, "--json").stdout)["state"] == "scheduled"
    assert reelmill(system, *one).returncode == Exit.OK
    assert reelmill(system, *one[:4], need).returncode == Exit.CONFLICT
    assert reelmill(system, "jobs", "submit").returncode == Exit.USAGE
    assert reelmill(system, "jobs", "submit", "--batch", str(tmp_path / "none")).returncode == Exit.USAGE


def test_mistakes_have_their_codes(system: System, tmp_path: Path) -> None:
    assert reelmill(system, "jobs", "show", "no-such-job").returncode == Exit.NOT_FOUND
    assert reelmill(system, "jobs", "list", REELMILL_TOKEN="nope").returncode == Exit.DENIED
    assert reelmill(system, "jobs", "submit", "no.such").returncode == Exit.USAGE
    assert reelmill(system, "jobs", "submit", "analyze.sleep", "{").returncode == Exit.USAGE
    assert reelmill(system, "no-such-command").returncode == Exit.USAGE
    away = reelmill(system, "jobs", "list", REELMILL_URL="http://127.0.0.1:1")
    assert (away.returncode, away.stdout) == (Exit.FAILED, "")
    assert "reelmill up" in away.stderr
    for address in ("notaurl", "http://a:b", "ftp://a.example"):
        said = f"{address} is no address of a gateway; it begins with http:// or https://.\n"
        nowhere = reelmill(system, "jobs", "list", REELMILL_URL=address)
        assert (nowhere.returncode, nowhere.stderr) == (Exit.USAGE, said)
        nowhere = reelmill(system, "replicate", address, "--peer-token", "t")
        assert (nowhere.returncode, nowhere.stderr) == (Exit.USAGE, said)
    (tmp_path / "some.csv").write_text("id\nk\n")
    for words in (
        ("inventory", "import", str(tmp_path / "some.csv")),
        ("items", "count"),
        ("lease", "take", "1"),
        ("worker", "run", "true"),
    ):
        named = reelmill(system, *words[:2], "-c", "bad name/x", *words[2:])
        assert (named.returncode, "is no collection's name" in named.stderr) == (Exit.USAGE, True), named.stderr
    (tmp_path / "empty.csv").touch()
    for word in ("inventory", "items"):
        empty = reelmill(system, word, "import", str(tmp_path / "empty.csv"), "-c", "of-nothing")
        assert (empty.returncode, empty.stderr) == (Exit.USAGE, f"{tmp_path / 'empty.csv'} is empty.\n")
        assert reelmill(system, "collections", "show", "of-nothing").returncode == Exit.NOT_FOUND
    nobody = reelmill(system, "--home", str(tmp_path), "jobs", "list", REELMILL_URL="", REELMILL_TOKEN="")
    assert nobody.returncode == Exit.FAILED
    assert "reelmill up" in nobody.stderr


def test_doctor_finds_what_is_wrong_and_console_leads_in(system: System) -> None:
    well = reelmill(system, "doctor", "--json")
    found = {finding["what"]: finding["state"] for finding in json.loads(well.stdout)}
    # The dispatcher is not up here, so a job does not get done; everything else is well.
    assert found["local servers"] == "ok"
    assert {found.pop("a job gets done"), found["gateway"], found["services"], found["token"]} == {"fail", "ok"}
    assert well.returncode == Exit.FAILED
    away = reelmill(system, "doctor", REELMILL_URL="http://127.0.0.1:1")
    assert (away.returncode, "reelmill up" in away.stdout) == (Exit.FAILED, True)
    link = reelmill(system, "console")
    assert (link.returncode, link.stdout.strip()) == (Exit.OK, f"{system.url}/console/sign-in#{system.token}")


def test_every_list_speaks_json_and_completion_is_there(system: System) -> None:
    lists = ("jobs", "files", "kinds", "schedules", "webhooks", "dead", "projects", "collections", "queues")
    for name in lists:
        listed = reelmill(system, name, "list", "--json")
        assert (listed.returncode, type(json.loads(listed.stdout)), listed.stderr) == (Exit.OK, list, "")
    for shell in ("bash", "zsh", "fish"):
        asked = os.environ | {"_REELMILL_COMPLETE": f"source_{shell}"}
        program = Path(sys.executable).with_name("reelmill")
        script = subprocess.run([program], env=asked, capture_output=True, text=True, check=False, timeout=120)
        assert (script.returncode, "_REELMILL_COMPLETE=complete_" in script.stdout) == (Exit.OK, True)


def test_a_project_is_made_filled_and_listed_by_number(system: System) -> None:
    project = reelmill(system, "projects", "create", "street").stdout.strip()
    cut = ("--rate", "1", "--frames-per-task", "3", "--json")
    for film in (sample(), sample().with_name("bigbuckbunny.mp4")):
        made = reelmill(system, "projects", "upload", project, str(film), *cut)
        assert (made.returncode, json.loads(made.stdout)["state"]) == (Exit.OK, "succeeded"), made.stderr
    assert len(json.loads(reelmill(system, "projects", "show", project, "--json").stdout)["uploads"]) == 2
    tasks = json.loads(reelmill(system, "projects", "tasks", project, "--json").stdout)
    first = [task["number"] for task in tasks if task["upload_id"] == tasks[0]["upload_id"]]
    assert first == [0, 1, 2, 3]
    assert [task["number"] for task in tasks] == first + list(range(len(tasks) - len(first)))
    seen, query = [], {"project": project, "limit": "1"}
    while True:
        page = system.http.get("/v1/tasks", params=query).json()
        seen += [task["id"] for task in page["tasks"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [task["id"] for task in tasks]
    wrong = system.http.get("/v1/tasks", params={"cursor": query["cursor"][:-8]})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_cursor")
    workers = json.loads(reelmill(system, "workers", "list", "--json").stdout)
    assert any(worker["worker"].startswith("splitter") for worker in workers["lately"])
    assert reelmill(system, "files", "rm", tasks[0]["video"], "--json").returncode != Exit.USAGE


@pytest.mark.row("X-21")
@pytest.mark.parametrize("module", [("gateway",), ("infra.relay",), ("consumers", "splitter")])
def test_a_bad_setting_stops_the_start_with_its_name(system: System, module: tuple[str, ...]) -> None:
    environment = os.environ | system.environment | {"REELMILL_LEASE_SECONDS": "soon"}
    done = subprocess.run(
        [sys.executable, "-m", *module], env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "REELMILL_LEASE_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr
