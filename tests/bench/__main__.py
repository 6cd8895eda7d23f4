"""`make bench`: every measurement, as ratios from one run on one machine. Clips are kept between runs."""

import sys
from pathlib import Path

from tests.bench import split

FOLDER = Path("tests/output/bench")

if __name__ == "__main__":
    split.main([str(FOLDER), *sys.argv[1:]])
