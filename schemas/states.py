"""The life of a job: its states and its legal moves. The database refuses every move that is not in this table."""

from enum import StrEnum


class JobState(StrEnum):
    """One vocabulary, everywhere: API, events, metrics, CLI, database."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
LIVE = frozenset(JobState) - TERMINAL

MOVES: frozenset[tuple[JobState, JobState]] = frozenset(
    {
        (JobState.SCHEDULED, JobState.QUEUED),  # due
        (JobState.SCHEDULED, JobState.CANCELLED),
        (JobState.QUEUED, JobState.RUNNING),  # claimed
        (JobState.QUEUED, JobState.CANCELLED),
        (JobState.QUEUED, JobState.SCHEDULED),  # nobody could take its message; in the fast lane, a failed attempt
        (JobState.QUEUED, JobState.FAILED),
        (JobState.RUNNING, JobState.SUCCEEDED),
        (JobState.RUNNING, JobState.FAILED),
        (JobState.RUNNING, JobState.CANCELLED),
        (JobState.RUNNING, JobState.SCHEDULED),  # to be tried again later
        (JobState.RUNNING, JobState.QUEUED),  # handed back uncharged, or rescued
        (JobState.FAILED, JobState.QUEUED),  # retried by a person
        (JobState.CANCELLED, JobState.QUEUED),
    }
)

#: Moves of the fast lane only, where claim, effect and end are one transaction.
FAST_MOVES: frozenset[tuple[JobState, JobState]] = frozenset(
    {
        (JobState.QUEUED, JobState.SUCCEEDED),
    }
)
