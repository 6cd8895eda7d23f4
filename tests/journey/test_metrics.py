"""A running system, scraped: every metric there is has a sample, and no label could grow without bound."""

import json
import re
from contextlib import suppress

import httpx
import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from infra import metrics
from infra.topology import JOBS
from tests.broker import publishing
from tests.furniture import handing_out
from tests.receiver import receiving
from tests.system import System, until

PROCESSES = ("gateway", "relay", "analyzer", "dispatcher")
METRICS: dict[str, MetricWrapperBase] = {
    name: metric for name, metric in vars(metrics).items() if isinstance(metric, Counter | Gauge | Histogram)
}
BOUNDED = {"route", "method", "status", "kind", "via", "reason", "outcome", "state", "exchange", "result", "duty"}
BOUNDED |= {"consumer", "queue", "what"}
#: Of collections, the newest only (`infra.relay.gauges.MOST_COLLECTIONS`).
BOUNDED |= {"collection"}
SAMPLE = re.compile(r"^([a-z_]+?)(?:_bucket|_count|_sum|_created)?(?:{[^}]*})? [-+.e\d]+$", re.MULTILINE)

#: What is to be seen of a job of each of two kinds, a webhook and a stream, when all is done.
SAMPLES = (
    ("gateway", "event_listeners 1.0"),
    ("analyzer", 'jobs_finished_total{kind="analyze.sleep",outcome="succeeded"} 1.0'),
    ("dispatcher", 'jobs_finished_total{kind="probe.echo",outcome="succeeded"} 1.0'),
    ("relay", 'webhook_deliveries_total{result="delivered"}'),
    *(
        ("relay", f'jobs_oldest_queued_seconds{{consumer="{name}"}} 0.0')
        for name in ("analyzer", "dispatcher", "splitter")
    ),
    *(("relay", f'jobs_held{{reason="{reason}"}} 0.0') for reason in ("paused", "concurrency", "rate")),
)


def scrape(system: System, name: str) -> str:
    ports = [json.loads(line)["port"] for line in system.log(name).splitlines() if "probes.ready" in line]
    return httpx.get(f"http://127.0.0.1:{ports[-1]}/metrics", timeout=120).text if ports else ""


def shown(system: System) -> set[str]:
    return {found for name in PROCESSES for found in SAMPLE.findall(scrape(system, name))}


def until_shown(system: System, name: str, sample: str) -> None:
    until(lambda: sample in scrape(system, name), f"the {name} shows {sample}")


def publish_nonsense(system: System) -> None:
    with publishing(system.environment["REELMILL_AMQP_URL"]) as channel:
        channel.basic_publish(JOBS, "analyze.sleep", b"{")


@pytest.mark.row("X-13")
def test_every_metric_has_a_sample_in_a_running_system(shared: System) -> None:
    shared.start(*PROCESSES, REELMILL_WEBHOOK_PRIVATE="1")
    handing_out(shared.http)
    with receiving() as receiver, shared.http.stream("GET", "/v1/events") as stream:
        assert stream.status_code == 200
        assert shared.http.post("/v1/webhooks", json={"url": receiver.url}).status_code == 201
        file = shared.upload(b"hello")
        jobs = [shared.submit("analyze.sleep", {"file": file, "time": 0}), shared.submit("probe.echo", {})]
        for job_id in jobs:
            shared.until_state(job_id, "succeeded")
        publish_nonsense(shared)
        assert shared.http.put("/v1/collections/c", json={}).is_success
        assert shared.http.post("/v1/collections/c/items", json={"items": [{"key": "k"}]}).is_success
        assert shared.http.post("/v1/collections/c/leases", json={"count": 1, "worker": "w"}).is_success
        with suppress(AssertionError):
            until(lambda: set(METRICS) <= shown(shared), "every metric has a sample")
        assert set(METRICS) - shown(shared) == set()
        # Whoever has done something counts it after that is written down; gauges tell of the leader's last look.
        for name, sample in SAMPLES:
            until_shown(shared, name, sample)


def test_no_label_could_grow_without_bound() -> None:
    assert {label for metric in METRICS.values() for label in metric._labelnames} <= BOUNDED
