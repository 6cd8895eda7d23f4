"""What all of these tests have in common."""

import pytest

from infra.broker import connection, frames, offers, parking
from infra.leasing import desk
from tests.system import PATIENCE


@pytest.fixture(autouse=True)
def a_patient_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test's own process a broker counts as lost later: what it is slow to confirm is parked a second time."""
    for module in (connection, frames, offers, parking):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", PATIENCE)
    # A dispatcher gives up after a second, and is asked again; whoever stands in for one here waits for his turn.
    monkeypatch.setattr(desk, "PATIENCE", f"{PATIENCE:g}s")
