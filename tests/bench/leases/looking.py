"""What people look at, in a large collection that is worked on: counts, the index, one item, a page of items."""

import argparse
import time
from collections.abc import Sequence

from tests.bench.leases.site import Site
from tests.bench.table import table

LOOKS = 100
COUNTS_MS, INDEX_MS = 100.0, 200.0
PAGES = {
    "counts": ("/v1/collections/{collection}/counts", COUNTS_MS),
    "counts of a state and a partition": ("/v1/collections/{collection}/counts?state=completed&partition=", COUNTS_MS),
    "index page": ("/?collection={collection}", INDEX_MS),
    "index page, later on": ("/?collection={collection}&cursor={cursor}", INDEX_MS),
    "one item with its history": ("/v1/collections/{collection}/items/k7", COUNTS_MS),
    "leaderboard": ("/v1/collections/{collection}/leaderboard", COUNTS_MS),
}


def report(site: Site, asked: argparse.Namespace) -> str:
    """Milliseconds of one caller."""
    collection = site.collection(asked.items, done=0.9)
    site.settle()
    site.work(collection, 16, 100, 10)
    http = site.house.system.http
    cursor = http.get(f"/?collection={collection}", headers={"Accept": "application/json"}).json()["next"]
    rows = []
    for name, (path, ceiling) in PAGES.items():
        took = _times(site, path.format(collection=collection, cursor=cursor))
        p99 = took[int(len(took) * 0.99) - 1]
        fine = f"**{p99:.1f}**" + ("" if p99 < ceiling else f" (above {ceiling:g})")
        rows.append([name, f"{took[len(took) // 2]:.1f}", fine, f"{ceiling:g}"])
    return f"{asked.items:,} items, nine tenths done.\n\n{table(['ms', 'p50', 'p99', 'goal'], rows)}"


def _times(site: Site, path: str) -> Sequence[float]:
    """Sorted."""
    took = []
    for _ in range(LOOKS):
        begin = time.perf_counter()
        answer = site.house.system.http.get(path)
        took.append((time.perf_counter() - begin) * 1000)
        assert answer.is_success, answer.text
    return sorted(took)
