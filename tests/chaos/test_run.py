"""A small chaos run: every kind of blow once while jobs of both lanes are asked for by every door."""

from pathlib import Path

import pytest

from tests.chaos.matrix import STEPS, table
from tests.chaos.play import Plan
from tests.chaos.run import run, run_matrix


@pytest.mark.row("X-04", "X-09", "X-14")
def test_whatever_is_struck_down_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    report = run(tmp_path, Plan(jobs=200, seconds=15, seed=7, pause=0.5))
    print(report)
    assert [str(finding) for finding in report.findings if not finding.holds] == []
    assert set(report.blows) >= {
        "a process killed",
        "the network cut",
        "Postgres killed and started",
        "RabbitMQ killed and started",
    }


@pytest.mark.row("X-09")
def test_killed_at_any_step_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    """One step of each process; `make chaos` has them all."""
    found, orphans = run_matrix(tmp_path, [step for step in STEPS if step.what in SOME])
    print(table(found, orphans))
    assert {step.what for step in found} == SOME
    assert {step.what: broken for step, broken in found.items() if broken.total} == {}
    assert orphans == 0


SOME = {
    "committed, not published",
    "facts sent, not noted",
    "leases given, not committed",
    "an output stored, in no row",
}
