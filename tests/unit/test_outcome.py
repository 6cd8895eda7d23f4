"""Exceptions become outcomes by one table, and no outcome tells more than it should."""

import pytest

from consumers.outcome import Fail, Fenced, JobError, Later, Outcome, Rejected, Skip, outcome_of


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Fenced(), Skip("fenced")),
        (Rejected("no_frames", "The video has no frames."), Fail("no_frames", "The video has no frames.")),
        (JobError("busy", "The device is busy."), Later("busy", "The device is busy.")),
        (MemoryError(), Later("out_of_memory", "The attempt ran out of memory.")),
        (FileNotFoundError(2, "no", "/a/path"), Later("io_error", "Reading or writing failed (FileNotFoundError).")),
    ],
)
def test_the_table_decides(error: BaseException, outcome: Outcome) -> None:
    assert outcome_of(error) == outcome


@pytest.mark.parametrize("error", [ValueError("/secret/path"), SystemExit(3), KeyboardInterrupt()])
def test_what_is_not_in_the_table_is_tried_again_and_told_by_its_type_only(error: BaseException) -> None:
    outcome = outcome_of(error)
    assert isinstance(outcome, Later)
    assert outcome.code == "internal_error"
    assert type(error).__name__ in outcome.message
    assert "secret" not in outcome.message
