"""How long one of two hundred workers waits for an item, each asking again as soon as it has one."""

import argparse
import statistics

from tests.bench.leases.site import Done, Site
from tests.bench.table import table, verdict

WORKERS = 200
CEILING_MS = 100.0
RATIO_FLOOR = 1 / 1.5


def report(site: Site, asked: argparse.Namespace) -> str:
    """p50 and p99 by size."""
    requests = asked.small * 9 // 10
    # Numbers that no other part uses: these run dry.
    small = [site.collection(asked.small, number=100 + number) for number in range(asked.rounds + 1)]
    large = site.collection(asked.items)
    site.settle()
    site.work(small.pop(), WORKERS, requests, 1)
    runs: dict[int, list[Done]] = {asked.small: [], asked.items: []}
    for collection in small:
        runs[asked.small].append(site.work(collection, WORKERS, requests, 1))
        runs[asked.items].append(site.work(large, WORKERS, requests, 1))
    p99 = {items: statistics.median(each.p99 for each in done) for items, done in runs.items()}
    rows = []
    for items, done in runs.items():
        p50 = statistics.median(each.p50 for each in done)
        rate = statistics.median(each.rate for each in done)
        fine = f"**{p99[items]:.1f}**" + ("" if p99[items] < CEILING_MS else f" (above {CEILING_MS:g})")
        rows.append([f"{items:,} items", f"{p50:.1f}", fine, f"{rate:,.0f}"])
    ratio = verdict(p99[asked.small] / p99[asked.items], RATIO_FLOOR)
    told = f"{WORKERS} workers, their first requests not counted. p99 small to large: {ratio}."
    return f"{told}\n\n{table(['ms', 'p50', 'p99', 'leases/s'], rows)}"
