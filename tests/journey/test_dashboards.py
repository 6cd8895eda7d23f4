"""Dashboards and alerts against a real Prometheus that scrapes a running system: every expression has data."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from schemas.registry import Consumer
from tests.furniture import handing_out
from tests.receiver import receiving
from tests.system import PATIENCE, System, free_port, until

DEPLOY = Path(__file__).parents[2] / "infra" / "deploy"
RULES = DEPLOY / "rules.yaml"
BOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
PROCESSES = ("gateway", "relay", "analyzer", "dispatcher")
needs = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")


def panels(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["panels"])


def expression(text: str) -> str:
    """As Grafana would send it, with every variable at its widest."""
    return text.replace("$__rate_interval", "20s").replace("$job", ".+")


@contextmanager
def prometheus(folder: Path, targets: list[str]) -> Iterator[httpx.Client]:
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "reelmill", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def data(client: httpx.Client, query: str) -> list[Any]:
    try:
        answer = client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []  # it is not up yet
    if answer.status_code == 503:
        return []
    assert answer.status_code == 200, f"{query}: {answer.text}"
    found: list[Any] = answer.json()["data"]["result"]
    return found


def address(system: System, name: str) -> str:
    ports = [json.loads(line)["port"] for line in system.log(name).splitlines() if "probes.ready" in line]
    return f"127.0.0.1:{ports[-1]}" if ports else ""


@needs
@pytest.mark.row("X-13")
def test_every_panel_has_data_and_no_alert_fires_in_a_system_that_works(shared: System, tmp_path: Path) -> None:
    shared.start(*PROCESSES, REELMILL_WEBHOOK_PRIVATE="1")
    until(lambda: all(address(shared, name) for name in PROCESSES), "every process shows its metrics")
    handing_out(shared.http)
    wanted = {expression(t["expr"]) for path in BOARDS for panel in panels(path) for t in panel["targets"]}
    scalers = yaml.safe_load_all((DEPLOY / "keda.yaml").read_text())
    wanted |= {trigger["metadata"]["query"] for each in scalers for trigger in each["spec"]["triggers"]}
    with receiving() as receiver, prometheus(tmp_path, [address(shared, name) for name in PROCESSES]) as client:
        assert shared.http.post("/v1/webhooks", json={"url": receiver.url}).status_code == 201
        file = shared.upload(b"hello")
        assert shared.http.put("/v1/collections/board", json={}).status_code == 201
        items = [{"key": str(n)} for n in range(9)]
        assert shared.http.post("/v1/collections/board/items", json={"items": items}).is_success
        taken = shared.http.post("/v1/collections/board/leases", json={"count": 2}).json()
        done = {"results": [{"key": taken["items"][0]["key"], "state": "completed"}]}
        assert shared.http.post(f"/v1/collections/board/leases/{taken['lease']}/submit", json=done).is_success

        def everything() -> bool:
            """There is work all the while, so that rates have something to tell."""
            shared.submit("probe.echo", {"text": "hello"})
            shared.submit("analyze.sleep", {"file": file, "time": 0})
            left.difference_update([query for query in left if data(client, query)])
            return not left

        left = set(wanted)  # what has had data may lose it: a scrape that comes late ends a series for a while
        try:
            until(everything, "every panel has data")
        finally:
            assert left == set()
        rules = client.get("/api/v1/rules").json()["data"]["groups"]
        assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
        firing = client.get("/api/v1/alerts").json()["data"]["alerts"]
        assert [alert["labels"] for alert in firing if alert["state"] == "firing"] == []


ITEM_ALERTS = (
    (
        "ReelmillItemsNotTaken",
        "still",
        "90 items of still are to do, and nobody takes any.",
        "Work on this collection had begun; no worker has asked for an hour.",
    ),
    (
        "ReelmillItemLeasesExpire",
        "lost",
        "50% of the items taken from lost run out.",
        "More than one in five within an hour, and more than twenty items.",
    ),
    (
        "ReelmillItemsFail",
        "fails",
        "10% of the items taken from fails fail.",
        "More than one in twenty within an hour, and the items that have failed grow by more than twenty.",
    ),
)


def item_alert(name: str, collection: str, summary: str, description: str) -> dict[str, Any]:
    """After two and a half hours: this one collection, and no other."""
    said = {"summary": summary, "description": description, "runbook_url": f"infra/deploy/runbooks.md#{name.lower()}"}
    labels = {"severity": "warning", "collection": collection}
    return {
        "eval_time": "150m",
        "alertname": name,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": said}],
    }


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_rules_are_sound_and_alerts_tell_what_they_should(tmp_path: Path) -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    told = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": 'jobs_oldest_queued_seconds{consumer="splitter"}', "values": "1600x30"},
                    {"series": "relay_leader", "values": "1x30"},
                    {"series": "messages_parked", "values": "0x5 3x25"},
                    # Of three collections one stands still, one loses every other lease, and one fails; `well` is well.
                    *[
                        {"series": f'items_state{{collection="{name}",state="available"}}', "values": "90x180"}
                        for name in ("still", "lost", "fails", "well")
                    ],
                    {"series": 'items_handled{collection="still",what="taken"}', "values": "0+5x20 100x160"},
                    *[
                        {"series": f'items_handled{{collection="{name}",what="taken"}}', "values": "0+10x180"}
                        for name in ("lost", "fails", "well")
                    ],
                    {"series": 'items_handled{collection="lost",what="expired"}', "values": "0+5x180"},
                    {"series": 'items_handled{collection="well",what="expired"}', "values": "0+1x180"},
                    {"series": 'items_handled{collection="fails",what="failed"}', "values": "0+1x180"},
                    {"series": 'items_state{collection="fails",state="failed"}', "values": "0+1x180"},
                    {"series": 'items_handled{collection="well",what="failed"}', "values": "0+1x180"},  # tried again
                    {"series": 'items_state{collection="well",state="failed"}', "values": "3x180"},
                ],
                "alert_rule_test": [
                    {"eval_time": "4m", "alertname": "ReelmillOldestWaitTooLong", "exp_alerts": []},
                    {
                        "eval_time": "10m",
                        "alertname": "ReelmillOldestWaitTooLong",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "warning", "consumer": "splitter"},
                                "exp_annotations": {
                                    "summary": "A job has waited 26m 40s for the splitter.",
                                    "description": "Not enough consumers of this name run, or they do not get on.",
                                    "runbook_url": "infra/deploy/runbooks.md#reelmilloldestwaittoolong",
                                },
                            }
                        ],
                    },
                    {"eval_time": "29m", "alertname": "ReelmillNoLeader", "exp_alerts": []},
                    {"eval_time": "45m", "alertname": "ReelmillItemsNotTaken", "exp_alerts": []},
                    *[item_alert(*each) for each in ITEM_ALERTS],
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(told))
    tested = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.yaml")], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_consumer_scales() -> None:
    scalers = list(yaml.safe_load_all((DEPLOY / "keda.yaml").read_text()))
    assert sorted(each["spec"]["scaleTargetRef"]["name"] for each in scalers) == sorted(Consumer)
    for each in scalers:
        assert f'consumer="{each["metadata"]["name"]}"' in each["spec"]["triggers"][0]["metadata"]["query"]


def test_every_alert_has_its_runbook_and_every_panel_its_words() -> None:
    headings = set(re.findall(r"^## (\w+)$", (DEPLOY / "runbooks.md").read_text(), re.MULTILINE))
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    alerts = [rule for rule in rules if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == headings
    for rule in alerts:
        assert rule["annotations"]["runbook_url"] == f"infra/deploy/runbooks.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"warning", "critical"}
    for path in BOARDS:
        for panel in panels(path):
            assert panel["title"]
            assert panel["description"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert all('job=~"$job"' in target["expr"] for target in panel["targets"])
