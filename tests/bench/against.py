"""No-op jobs by our doors and by the peers, in turn on one machine; every ratio is to the best peer of the same run."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

from tests.bench.contest import Run
from tests.bench.house import House
from tests.bench.rivals import RIVALS, Match, Rival
from tests.bench.table import profile, rate, spread, table, verdict
from tests.ground import Ground

#: Our doors: what they are, and the ratios that they must and should reach.
DOORS = {
    "amqp": ("AMQP, one message per job", 4.0, 6.0),
    "packed": ("AMQP, packed", 4.0, 6.0),
    "ndjson": ("HTTP, NDJSON", 6.0, 10.0),
    "http": ("HTTP, one request per job, 32 connections", 1.2, 2.0),
}
#: In a round each is measured so often: starting takes longer than running.
TIMES = 2
#: How much longer our long runs are, which show what lasts.
STEADY = 10

Runs = dict[str, list[Run]]


def report(ground: Ground, rounds: int, jobs: int) -> str:
    """Measure everybody, and say it in Markdown."""
    runs: Runs = defaultdict(list)
    turns: list[Callable[[], None]] = [partial(_theirs, ground, runs, jobs, rival) for rival in RIVALS]
    turns.append(partial(_ours, ground, runs, jobs))
    for number in range(rounds):
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
    said = f"Medians of {rounds * TIMES} runs in {rounds} rounds, everybody in turn; load {os.getloadavg()[0]:.1f}."
    return "\n\n".join([said, _rates(runs, jobs), "CPU microseconds per job, by process:", _costs(runs, jobs)])


def _theirs(ground: Ground, runs: Runs, jobs: int, rival: Rival) -> None:
    with Match(ground, rival) as match:
        runs[rival.name] += [match.run(jobs) for _ in range(TIMES)]


def _ours(ground: Ground, runs: Runs, jobs: int) -> None:
    with House(ground) as house:
        for name in DOORS:
            with house.door(name) as door:
                for size in (jobs, jobs * STEADY):
                    runs[f"{name} {size}"] += [door.run(size) for _ in range(TIMES)]


def _rates(runs: Mapping[str, list[Run]], jobs: int) -> str:
    best = max(rate(runs[rival.name]) for rival in RIVALS)
    rows: list[list[object]] = []
    for rival in RIVALS:
        each = runs[rival.name]
        rows.append([rival.name, f"{jobs:,}", f"{rate(each):,.0f}", spread(each), f"{rate(each) / best:.2f}", "", ""])
    for name, (title, floor, goal) in DOORS.items():
        for size in (jobs, jobs * STEADY):
            each = runs[f"{name} {size}"]
            ratio = verdict(rate(each) / best, floor)
            rows.append([title, f"{size:,}", f"{rate(each):,.0f}", spread(each), ratio, floor, goal])
    return table(["", "jobs", "jobs/s", "spread", "to the best peer", "floor", "goal"], rows)


def _costs(runs: Mapping[str, list[Run]], jobs: int) -> str:
    shown = {rival.name: runs[rival.name] for rival in RIVALS}
    return profile(shown | {DOORS[name][0]: runs[f"{name} {jobs * STEADY}"] for name in DOORS})
