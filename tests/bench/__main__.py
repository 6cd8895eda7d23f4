"""`make bench`: every measurement, as ratios from one run on one machine. Clips are kept between runs.

python -m tests.bench                    all of it, about half an hour
python -m tests.bench jobs --rounds 5    one of it, with its own options
python -m tests.bench split --seconds 10
python -m tests.bench leases --items 200000 --only rates latency
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import export, hour, jobs, pages, pose, split
from tests.bench.leases import __main__ as leases

FOLDER = Path("tests/output/bench")
BENCHES: dict[str, Callable[[Sequence[str]], None]] = {
    "jobs": jobs.main,
    "export": export.main,
    "leases": leases.main,
    "pages": pages.main,
    "pose": pose.main,
    "split": lambda arguments: split.main([str(FOLDER), *arguments]),
    "hour": lambda arguments: hour.main([str(FOLDER), *arguments]),
}


def main(arguments: Sequence[str]) -> None:
    """Run what is named, or everything."""
    if arguments:
        BENCHES[arguments[0]](arguments[1:])
        return
    for bench in BENCHES.values():
        bench([])


if __name__ == "__main__":
    main(sys.argv[1:])
