"""What size, history and a snapshot that somebody holds cost: the same requests of collections that differ in one."""

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from tests.bench.leases.site import Site
from tests.bench.table import table

ROUNDS_EACH = 5
CONNECTIONS = 16
PER_REQUEST = 20
TOLERANCE = 0.8
SMALL, LARGE, WORKED, HELD = "small", "large", "90 % done", "a snapshot held"


def report(site: Site, asked: argparse.Namespace) -> str:
    """Rates by circumstance, in turn, and their ratios to the small collection's."""
    rounds = ROUNDS_EACH * asked.rounds
    small = [site.collection(asked.small, number=number) for number in range(rounds + 1)]
    large, worked = site.collection(asked.items), site.collection(asked.items, done=0.9)
    site.settle()
    requests = asked.small // PER_REQUEST * 9 // 10
    site.work(small.pop(), CONNECTIONS, requests, PER_REQUEST)
    runs: dict[str, list[tuple[float, float]]] = {}

    def measure(name: str, collection: str) -> None:
        done = site.work(collection, CONNECTIONS, requests, PER_REQUEST)
        runs.setdefault(name, []).append((done.rate, done.cpu["postgres"] + done.cpu["dispatcher"]))

    for collection in small:
        measure(SMALL, collection)
        measure(LARGE, large)
        measure(WORKED, worked)
    with _snapshot(site):
        for _ in range(rounds):
            measure(HELD, large)
    base = statistics.median(rate for rate, _ in runs[SMALL])
    base_cpu = statistics.median(cpu for _, cpu in runs[SMALL])
    rows = []
    for name, each in runs.items():
        rate = statistics.median(rate for rate, _ in each)
        cpu = statistics.median(cpu for _, cpu in each)
        fine = f"**{rate / base:.2f}**" + ("" if rate / base >= TOLERANCE else f" (below {TOLERANCE})")
        rows.append([name, f"{rate:,.0f}", fine, f"{cpu:.1f}", f"{cpu / base_cpu:.2f}"])
    last = statistics.median(rate for rate, _ in runs[HELD][-3:]) / statistics.median(r for r, _ in runs[HELD][:3])
    head = ["", "items/s", "to the small one", "CPU us per item (Postgres, dispatcher)", "to the small one"]
    told = f"{PER_REQUEST} items a request, {asked.small:,} and {asked.items:,} items. Last to first under the snapshot"
    return f"{told}: {last:.2f}.\n\n{table(head, rows)}"


@contextmanager
def _snapshot(site: Site) -> Iterator[None]:
    """Somebody else's long transaction: nothing that is older than it can be cleaned up."""
    with site.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("set idle_in_transaction_session_timeout = 0"))
        connection.commit()
        connection.execute(text("select count(*) from leases"))
        yield
        connection.rollback()
