"""A small chaos run: every kind of blow once while jobs of both lanes are asked for by every door."""

from pathlib import Path

import pytest

from tests.chaos.play import Plan
from tests.chaos.run import run


@pytest.mark.row("X-04", "X-09", "X-14")
def test_whatever_is_struck_down_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    report = run(tmp_path, Plan(jobs=200, seconds=15, seed=7, pause=0.5))
    print(report)
    assert [str(finding) for finding in report.findings if not finding.holds] == []
    assert set(report.blows) >= {"a process killed", "Postgres killed and started", "RabbitMQ killed and started"}
