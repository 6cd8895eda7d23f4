"""A short siege: requests from the OpenAPI document, messages to every queue, the worst of media."""

from pathlib import Path

import pytest

from tests.fuzz.run import Plan, Siege
from tests.system import System


@pytest.mark.row("X-07", "X-18", "X-23")
def test_nothing_that_is_sent_breaks_anything(system: System, tmp_path: Path) -> None:
    report = Siege(system, tmp_path, Plan(requests=1000, messages=60, media=20, seed=20)).run()
    assert report.tally.broken == []
    assert report.tally.requests >= 1000
    assert report.broken == []
