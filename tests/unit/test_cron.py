"""Cron in time zones: through changes of the clock nothing is lost and nothing comes twice."""

from datetime import datetime

import pytest

from infra.cron import BadCronError, Cron


def times(expression: str, timezone: str, start: str, number: int) -> list[str]:
    moment, found = datetime.fromisoformat(start), []
    for _ in range(number):
        moment = Cron(expression, timezone).after(moment)
        found.append(moment.strftime("%m-%dT%H:%MZ"))
    return found


def test_a_time_of_day_is_that_of_the_place() -> None:
    summer_and_winter = ["10-24T04:30Z", "10-25T05:30Z", "10-26T05:30Z"]
    assert times("30 6 * * *", "Europe/Berlin", "2026-10-23T12:00:00+00:00", 3) == summer_and_winter


def test_what_the_clock_leaves_out_comes_right_after_and_once() -> None:
    # 02:30 does not exist on this day in Berlin.
    assert times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+00:00", 2) == ["03-29T01:00Z", "03-30T00:30Z"]


def test_what_the_clock_repeats_comes_once() -> None:
    # 02:30 exists twice on this day.
    assert times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+00:00", 2) == ["10-25T00:30Z", "10-26T01:30Z"]


def test_every_hour_is_every_hour() -> None:
    hours = ["10-24T23:00Z", "10-25T00:00Z", "10-25T01:00Z", "10-25T02:00Z"]
    assert times("0 * * * *", "Europe/Berlin", "2026-10-24T22:59:59+00:00", 4) == hours


def test_the_present_moment_is_over() -> None:
    assert times("0 12 * * *", "UTC", "2026-01-01T12:00:00+00:00", 1) == ["01-02T12:00Z"]
    assert times("0 12 * * *", "UTC", "2026-01-01T11:59:59.999999+00:00", 1) == ["01-01T12:00Z"]


@pytest.mark.parametrize(
    ("expression", "timezone", "field"),
    [
        ("", "UTC", "cron"),
        ("* * * *", "UTC", "cron"),
        ("* * * * * *", "UTC", "cron"),
        ("60 * * * *", "UTC", "cron"),
        ("* * * * mon-xyz", "UTC", "cron"),
        ("*/0 * * * *", "UTC", "cron"),
        ("0 0 30 2 *", "UTC", "cron"),
        ("٣ * * * *", "UTC", "cron"),
        ("* * * * *", "Mars/Olympus", "timezone"),
        ("* * * * *", "../../etc/passwd", "timezone"),
        ("* * * * *", "", "timezone"),
        ("* * * * *", "Europe", "timezone"),
        ("* * * * *", "a" * 5000, "timezone"),
    ],
)
def test_what_is_no_cron_says_so(expression: str, timezone: str, field: str) -> None:
    with pytest.raises(BadCronError) as refusal:
        Cron(expression, timezone).after(datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
    assert refusal.value.field == field
    assert str(refusal.value).endswith((".", "Berlin."))
