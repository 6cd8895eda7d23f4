"""The job core, measured: against its peers, its latency, its scale, and what history costs it.

    python -m tests.bench.jobs [--rounds 3] [--jobs 2000] [--history 1000000] [--only peers latency scale growth]

Prints Markdown, for RESULTS.md.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import against, growth, latency, scale
from tests.bench.rivals import PYTHON
from tests.bench.table import cost, rate, spread, table, verdict
from tests.ground import Ground

LATENCIES = 60
LATENCY_FLOOR_MS = 15.0
SCALE_FLOOR = 3.5
GROWTH_FLOOR = 0.9
GROWTH_ROUNDS = 9


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--history", type=int, default=1_000_000, help="finished jobs in the table")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as folder, Ground(Path(folder)) as ground:
        for name in asked.only:
            print(f"\n### {name.capitalize()}\n\n{PARTS[name](ground, asked)}", flush=True)


def _peers(ground: Ground, asked: argparse.Namespace) -> str:
    if not PYTHON.exists():
        return "The peers' environment is not there: `make bench` makes it."
    return against.report(ground, asked.rounds, asked.jobs)


def _latency(ground: Ground, _: argparse.Namespace) -> str:
    spreads = latency.measure(ground, LATENCIES)
    rows = [[name, f"{each.p50:.1f}", f"{each.p99:.1f}"] for name, each in spreads.items()]
    fine = "within" if spreads[latency.OVERHEAD].p50 <= LATENCY_FLOOR_MS else "ABOVE"
    said = f"`analyze.sleep` of 0 s, one at a time, {LATENCIES} jobs. Overhead p50: {fine} {LATENCY_FLOOR_MS:g} ms."
    return f"{said}\n\n{table(['milliseconds', 'p50', 'p99'], rows)}"


def _scale(ground: Ground, _: argparse.Namespace) -> str:
    one, four = (scale.measure(ground, instances) for instances in (1, 4))
    ratio = verdict(four / one, SCALE_FLOOR)
    return f"`analyze.sleep` of 1 s: {one:.2f} jobs/s by one consumer, {four:.2f} by four: {ratio}."


def _growth(ground: Ground, asked: argparse.Namespace) -> str:
    rows = []
    for name, empty, full in growth.measure(ground, asked.history, asked.jobs * against.STEADY, GROWTH_ROUNDS):
        ratio = verdict(rate(full) / rate(empty), GROWTH_FLOOR)
        title = against.DOORS[name][0]
        work = cost(empty) / cost(full)
        cells = [title, f"{rate(empty):,.0f}", spread(empty), f"{rate(full):,.0f}", spread(full), ratio, f"{work:.2f}"]
        rows.append(cells)
    head = ["jobs/s", "empty", "spread", f"{asked.history:,} finished", "spread", "ratio", "of CPU per job"]
    return table(head, rows)


PARTS = {"peers": _peers, "latency": _latency, "scale": _scale, "growth": _growth}

if __name__ == "__main__":
    main()
