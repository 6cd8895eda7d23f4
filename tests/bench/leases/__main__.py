"""The lease dispatcher: against its rivals, by size and history, under many workers, when people look; imports.

    python -m tests.bench.leases [--items 2000000] [--small 10000] [--seconds 5] [--rounds 3] [--only rates flat ...]

pgbench and all of our processes use one Postgres server, in turn. Prints Markdown, for RESULTS.md.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.leases import flat, importing, latency, looking, rates
from tests.bench.leases.site import site
from tests.ground import Ground

PARTS = {
    "rates": rates.report,
    "flat": flat.report,
    "latency": latency.report,
    "look": looking.report,
    "import": importing.report,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=5, help="of one run of pgbench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="reelmill-bench-") as folder,
        Ground(Path(folder)) as ground,
        site(ground) as here,
    ):
        for name in asked.only:
            told = PARTS[name](here, asked)
            print(f"\n### {name.capitalize()}\n\nLoad {os.getloadavg()[0]:.1f}.\n\n{told}", flush=True)


if __name__ == "__main__":
    main()
