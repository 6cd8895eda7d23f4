"""What all of these tests have in common."""

import pytest

from infra.broker import connection, frames, parking
from tests.system import PATIENCE


@pytest.fixture(autouse=True)
def a_patient_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test's own process a broker counts as lost later: what it is slow to confirm is parked a second time."""
    for module in (connection, frames, parking):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", PATIENCE)
