"""The table of legal moves: the state machine that everything else relies on."""

from schemas.states import LIVE, MOVES, TERMINAL, JobState


def test_every_state_can_be_left_or_is_terminal() -> None:
    left = {before for before, _ in MOVES}
    assert left >= LIVE
    assert JobState.SUCCEEDED not in left


def test_terminal_states_are_reached_only_from_live_ones() -> None:
    assert all(before in LIVE for before, after in MOVES if after in TERMINAL)


def test_only_a_queued_job_starts_running() -> None:
    assert {before for before, after in MOVES if after is JobState.RUNNING} == {JobState.QUEUED}
