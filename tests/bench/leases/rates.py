"""Items a second: through the whole path, by the dispatcher's statements alone, and by what else people use."""

import argparse
import statistics

from tests.bench.leases.rivals import WAYS
from tests.bench.leases.site import Done, Site
from tests.bench.table import table, verdict

BY_HUNDREDS, BY_ONES = 100, 1
CLIENTS = 16
HUNDREDS_CONNECTIONS, ONES_CONNECTIONS = 16, 64
HUNDREDS_FLOOR, STRAIGHT_FLOOR, NAIVE_FLOOR, ONES_FLOOR = 0.5, 5.0, 1000.0, 0.3
SORT = "order by random()"
CYCLE = "HTTP, 100, and submitted"
#: So that one run takes some seconds and leaves enough for the next.
SHARE = 0.04


def report(site: Site, asked: argparse.Namespace) -> str:
    """The table of one run, everybody in turn."""
    collection = site.collection(asked.items)
    site.rival.fill(asked.items)
    site.settle()
    before = site.counts(collection)
    hundreds = round(asked.items * SHARE / BY_HUNDREDS)
    ones = min(round(asked.items * SHARE / 2), 10_000)
    runs: dict[str, list[float]] = {}
    spent: dict[str, Done] = {}
    for _ in range(asked.rounds):
        for way in WAYS:
            for count in (BY_HUNDREDS, BY_ONES) if way != SORT else (BY_ONES,):
                rate = site.rival.rate(way, CLIENTS if way != SORT else 1, count, asked.seconds)
                runs.setdefault(f"{way}, {count}", []).append(rate)
        for name, terms in (
            ("HTTP, 100", (HUNDREDS_CONNECTIONS, hundreds, BY_HUNDREDS)),
            ("HTTP, 1", (ONES_CONNECTIONS, ones, BY_ONES)),
            (CYCLE, (HUNDREDS_CONNECTIONS, hundreds // 4, BY_HUNDREDS)),
        ):
            spent[name] = site.work(collection, *terms, submit=name == CYCLE)
            runs.setdefault(name, []).append(spent[name].rate)
        alone = site.straight(collection, CLIENTS, BY_HUNDREDS, asked.seconds / 5)
        runs.setdefault("statements alone, 16 x 100", []).append(alone)
    counts = site.counts(collection)
    assert counts["completed"] - before.get("completed", 0) == spent[CYCLE].items * asked.rounds, counts
    assert sum(counts.values()) == asked.items, counts
    return f"{_table(runs)}\n\nCPU microseconds per item:\n\n{profile(spent)}"


def _table(runs: dict[str, list[float]]) -> str:
    rate = {name: statistics.median(each) for name, each in runs.items()}
    best = {n: max(rate[f"{way}, {n}"] for way in WAYS if way != SORT) for n in (BY_HUNDREDS, BY_ONES)}
    goals = {
        "HTTP, 100": (best[BY_HUNDREDS], HUNDREDS_FLOOR),
        "HTTP, 1": (best[BY_ONES], ONES_FLOOR),
        "statements alone, 16 x 100": (best[BY_HUNDREDS], STRAIGHT_FLOOR),
    }
    rows = []
    for name, each in runs.items():
        against = verdict(rate[name] / goals[name][0], goals[name][1]) if name in goals else ""
        naive = verdict(rate[name] / rate[f"{SORT}, 1"], NAIVE_FLOOR) if name == "HTTP, 100" else ""
        rows.append([name, f"{rate[name]:,.0f}", f"{min(each):,.0f} to {max(each):,.0f}", against, naive])
    return table(["", "items/s", "spread", "to the best SKIP LOCKED", f"to {SORT}"], rows)


def profile(spent: dict[str, Done]) -> str:
    """Who used the CPU."""
    names = [name for name in next(iter(spent.values())).cpu if name not in {"relay", "keeper"}]
    rows = [[title, *(f"{done.cpu[name]:,.1f}" for name in names)] for title, done in spent.items()]
    return table(["", *names], rows)
