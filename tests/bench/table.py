"""Runs as Markdown: medians, spreads, ratios, and CPU time by process."""

import statistics
from collections.abc import Mapping, Sequence

from tests.bench.contest import Run


def rate(runs: Sequence[Run]) -> float:
    """The median, in jobs a second."""
    return statistics.median(run.rate for run in runs)


def spread(runs: Sequence[Run]) -> str:
    """The slowest and the fastest."""
    return f"{min(run.rate for run in runs):,.0f} to {max(run.rate for run in runs):,.0f}"


def cost(runs: Sequence[Run]) -> float:
    """CPU seconds per job of all processes together, the median."""
    return statistics.median(sum(run.cpu.values()) / run.jobs for run in runs)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def profile(runs: Mapping[str, Sequence[Run]]) -> str:
    """CPU microseconds per job, medians, by process."""
    names = list(dict.fromkeys(name for each in runs.values() for name in each[0].cpu))
    rows = []
    for title, each in runs.items():
        spent = {name: statistics.median(run.cpu.get(name, 0) / run.jobs for run in each) for name in names}
        cells = [f"{spent[name] * 1e6:,.0f}" if name in each[0].cpu else "" for name in names]
        rows.append([title, *cells, f"**{sum(spent.values()) * 1e6:,.0f}**"])
    return table(["", *names, "all"], rows)


def verdict(ratio: float, floor: float) -> str:
    """A ratio, and whether it is enough."""
    return f"**{ratio:.2f}**" if ratio >= floor else f"**{ratio:.2f}** (below {floor:g})"
