"""Handlers that misbehave: the runtime, driven turn by turn, ends their jobs and lives on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import psutil
import pytest
from sqlalchemy import Engine

from infra.settings import MIB, Settings
from schemas.registry import Limits
from tests.broker import declare
from tests.desk import Desk
from tests.driven import LIMITS, Driven
from tests.system import until


@pytest.fixture
def desk(settings: Settings, database: Engine) -> Desk:
    declare(settings)
    return Desk(settings, database)


@pytest.fixture
def drive(desk: Desk, settings: Settings) -> Iterator[Callable[[Limits], Driven]]:
    made: list[Driven] = []

    def start(limits: Limits) -> Driven:
        made.append(Driven(desk, settings, limits))
        return made[-1]

    yield start
    for driven in made:
        driven.runtime.close()


def test_every_way_to_end_badly_has_its_state_and_code(drive: Callable[[Limits], Driven]) -> None:
    driven = drive(LIMITS)
    expected = {
        "reject": ("failed", "bad_input"),
        "struggle": ("scheduled", "busy"),
        "break_down": ("scheduled", "internal_error"),
        "leave": ("scheduled", "internal_error"),
        "say_nothing": ("scheduled", "internal_error"),
        "say_the_unsayable": ("scheduled", "internal_error"),
        "say_the_unstorable": ("scheduled", "internal_error"),
        "spread_nonsense": ("scheduled", "internal_error"),
        "spread_in_vain": ("failed", "unknown_file"),
        "die": ("scheduled", "child_died"),
        "behave": ("succeeded", None),
    }
    asked = {do: driven.ask(do) for do in expected}
    ended = {do: driven.end(job_id) for do, job_id in asked.items()}
    assert {do: (job["state"], job["error_code"]) for do, job in ended.items()} == expected
    assert "SIGSEGV" in ended["die"]["error_message"]
    assert "secret" not in ended["break_down"]["error_message"]


def test_parameters_that_this_version_does_not_know_fail_for_good(drive: Callable[[Limits], Driven]) -> None:
    driven = drive(LIMITS)
    job = driven.end(driven.desk.sleep(0))
    assert (job["state"], job["error_code"]) == ("failed", "invalid_parameter")


def test_a_child_stays_warm_until_it_has_grown_fat(drive: Callable[[Limits], Driven]) -> None:
    driven = drive(LIMITS)
    pids = [driven.end(driven.ask(*antic))["result"]["pid"] for antic in (("behave",), ("grow", 400), ("behave",))]
    assert pids[0] == pids[1]
    assert pids[1] != pids[2]


@pytest.mark.row("X-23")
@pytest.mark.parametrize(
    ("limits", "antic", "code"),
    [
        (LIMITS, ("grow_and_stay", 700), "memory_exceeded"),
        (replace(LIMITS, scratch_bytes=20 * MIB), ("fill", 30), "scratch_exceeded"),
    ],
)
def test_a_job_over_its_limits_fails_for_good(
    drive: Callable[[Limits], Driven], limits: Limits, antic: tuple[str, int], code: str
) -> None:
    driven = drive(limits)
    fails_for_good(driven, driven.ask(*antic), code)


@pytest.mark.row("X-23")
def test_a_job_that_runs_for_too_long_fails_for_good(drive: Callable[[Limits], Driven]) -> None:
    driven = drive(LIMITS)
    job_id = driven.ask("for_ever")
    driven.until(lambda: driven.desk.job(job_id)["progress"], "it runs")
    attempt = driven.runtime.slots[0].attempt
    assert attempt is not None
    attempt.started -= LIMITS.wall_seconds
    fails_for_good(driven, job_id, "wall_time_exceeded")


def fails_for_good(driven: Driven, job_id: UUID, code: str) -> None:
    """And another job is done after it."""
    job = driven.end(job_id)
    assert (job["state"], job["error_code"], job["attempt"]) == ("failed", code, 1)
    assert driven.end(driven.ask("behave"))["state"] == "succeeded"


def test_a_cancelled_jobs_own_processes_die_with_it(drive: Callable[[Limits], Driven], settings: Settings) -> None:
    driven = drive(LIMITS)
    job_id = driven.ask("for_ever")
    assert settings.scratch is not None
    scratch = settings.scratch
    [told] = driven.until(lambda: [f for f in scratch.glob("*/*/helper") if f.read_text()], "a helper is started")
    helper = psutil.Process(int(told.read_text()))
    driven.desk.cancel(job_id)
    assert driven.end(job_id)["state"] == "cancelled"
    until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, "the helper is dead")
    assert not told.parent.exists()
