"""`make chaos`: jobs of both lanes while everything is killed, restarted and cut off; then the invariants, counted.

python -m tests.chaos.run [--jobs 2000] [--seconds 200] [--seed N]
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from infra import db
from tests.chaos.play import Plan, Play
from tests.chaos.report import Report
from tests.ground import Ground


def run(folder: Path, plan: Plan) -> Report:
    """Everything, on servers of its own in `folder`."""
    with Ground(folder) as ground:
        environment = ground.environment() | {"REELMILL_REPUBLISH_SECONDS": "5"}
        database = db.connect(environment["REELMILL_DATABASE_URL"], pool=2)
        try:
            with ground.system(environment) as system:
                return Play(ground, system, database, plan).run()
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
    print(f"seed {asked.seed}", flush=True)
    plan = Plan(asked.jobs, asked.seconds, asked.seed)
    if asked.keep:
        report = run(asked.keep.absolute(), plan)
    else:
        with tempfile.TemporaryDirectory(prefix="reelmill-chaos-") as folder:
            report = run(Path(folder), plan)
    print(report)
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
