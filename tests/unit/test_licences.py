"""No library comes in whose licence nobody has looked at."""

from tests.licences import ROOT, WEAK, listed, pinned, verdict


def test_every_library_in_the_lock_has_a_licence_that_is_let_in() -> None:
    lock = ROOT / "requirements.lock"
    found = listed(lock)
    assert len(found) > 0.8 * len(pinned(lock))
    assert {name: told for name, told in found.items() if told[2] == "refused"} == {}
    assert set(WEAK) >= {name for name, told in found.items() if told[2] == "weak"}


def test_copyleft_and_silence_are_refused() -> None:
    for licence in ("GPL-3.0", "AGPL-3.0-only", "unknown", "MIT AND GPL-2.0", "MPL-2.0"):
        assert verdict("another", licence) == "refused"
    assert verdict("another", "MIT") == "free"
