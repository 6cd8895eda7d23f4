"""`python -m tests.rows`: every row of the specification with the tests that prove it."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("rows.tsv")


def titles() -> dict[str, str]:
    """Row id to title."""
    return dict(line.split("\t", 1) for line in TABLE.read_text().splitlines())


class Collector:
    """A pytest plugin that notes which tests carry which row."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Read the marks of every test."""
        for item in items:
            for mark in item.iter_markers("row"):
                for row in mark.args:
                    self.tests.setdefault(row, set()).add(item.nodeid.partition("[")[0])


def collect() -> dict[str, set[str]]:
    """Row id to the tests that carry it."""
    collector = Collector()
    with redirect_stdout(StringIO()):
        code = pytest.main(["--collect-only", "-qq"], plugins=[collector])
    if code != pytest.ExitCode.OK:
        raise SystemExit(f"The tests cannot be collected (pytest says {code}).")
    return collector.tests


def main() -> int:
    """Print the table, and how many rows have a test."""
    proven = collect()
    known = titles()
    for row, title in known.items():
        print(f"{row}  {title}")
        for test in sorted(proven.get(row, ())):
            print(f"         {test}")
    done = sum(row in proven for row in known)
    print(f"\n{done} of {len(known)} rows have a test.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
