"""`make chaos`: the crash matrix; then jobs of both lanes while everything is struck down; the invariants, counted.

python -m tests.chaos.run [--jobs 2000] [--seconds 200] [--seed N]
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from infra import db
from tests.chaos.matrix import STEPS, Broken, Matrix, Step, table
from tests.chaos.play import Plan, Play
from tests.chaos.report import Report
from tests.chaos.wires import Wires
from tests.ground import Ground

#: What the dead had claimed is soon over, many times in a run: that is what is to be seen.
IMPATIENT = {"REELMILL_LEASE_SECONDS": "3", "REELMILL_LEASE_WAIT_SECONDS": "5"}


def run(folder: Path, plan: Plan) -> Report:
    """Everything, on servers of its own in `folder`."""
    with Ground(folder) as ground:
        environment = ground.environment() | IMPATIENT | {"REELMILL_REPUBLISH_SECONDS": "5"}
        database = db.connect(environment["REELMILL_DATABASE_URL"], pool=2)
        try:
            with Wires(environment) as wires, ground.system(environment) as system:
                return Play(ground, system, database, wires, plan).run()
        finally:
            database.dispose()


def run_matrix(folder: Path, steps: Sequence[Step] = STEPS) -> tuple[dict[Step, Broken], int]:
    """The crash matrix, on servers of its own in `folder`: what broke at each step, and orphans at the end."""
    with Ground(folder) as ground:
        environment = ground.environment() | IMPATIENT | {"REELMILL_REPUBLISH_SECONDS": "1"}
        database = db.connect(environment["REELMILL_DATABASE_URL"], pool=2)
        try:
            with ground.system(environment) as system:
                matrix = Matrix(system, database, folder)
                return matrix.run(steps), matrix.orphans
        finally:
            database.dispose()


def main() -> int:
    """Run and print. 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=200, help="how long blows are dealt")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", type=Path, help="a new folder for the servers' data and all logs, which is kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelmill-matrix-") as folder:
        found, orphans = run_matrix(Path(folder))
    print(table(found, orphans), flush=True)
    print(f"seed {asked.seed}", flush=True)
    plan = Plan(asked.jobs, asked.seconds, asked.seed)
    if asked.keep:
        report = run(asked.keep.absolute(), plan)
    else:
        with tempfile.TemporaryDirectory(prefix="reelmill-chaos-") as folder:
            report = run(Path(folder), plan)
    print(report)
    whole = not orphans and not any(broken.total for broken in found.values())
    return 0 if report.holds and whole else 1


if __name__ == "__main__":
    sys.exit(main())
