"""The selection rule against a slow, literal reading of it; tasks; and which rates a source can serve."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.splitter.plan import Plan, fits, make_plan, sample_count
from consumers.splitter.timeline import Timeline

MS = Fraction(1, 1000)
RATES = st.sampled_from(["1", "4", "5", "7", "10", "24", "30", "31", "60", "1/2", "30000/1001", "23.976"]).map(Fraction)


def constant(rate: Fraction | int, frames: int, clock: int = 90_000, start: int = 0) -> Timeline:
    """Frames at an even distance, rounded to ticks of 1 / clock seconds."""
    ticks = [start + round(number / Fraction(rate) * clock) for number in range(frames + 1)]
    return Timeline(Fraction(1, clock), ticks[:-1], ticks[-1])


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    clock = draw(st.sampled_from([1000, 12800, 90_000]))
    gaps = draw(st.lists(st.integers(1, clock), min_size=1, max_size=40))
    ticks = [draw(st.integers(-clock, clock))]
    for gap in gaps:
        ticks.append(ticks[-1] + gap)
    return Timeline(Fraction(1, clock), ticks[:-1], ticks[-1])


def literal(timeline: Timeline, rate: Fraction) -> list[int]:
    """For every k: the last frame with pts <= t0 + k / rate + tolerance."""
    zero, chosen, k = timeline.pts[0], [], 0
    while k == 0 or k / rate < timeline.duration - timeline.tolerance:
        moment = zero * timeline.time_base + k / rate + timeline.tolerance
        chosen.append(max(i for i, pts in enumerate(timeline.pts) if pts * timeline.time_base <= moment))
        k += 1
    return chosen


@pytest.mark.row("S3-06")
@given(timelines(), RATES)
def test_the_plan_is_the_rule(timeline: Timeline, rate: Fraction) -> None:
    plan = make_plan(timeline, rate, 120)
    assert list(plan.ordinals) == literal(timeline, rate)
    assert all(plan.pts(k) <= plan.deadline(k) for k in range(len(plan.ordinals)))


@pytest.mark.row("S3-06")
@given(timelines(), RATES)
def test_a_rate_that_fits_never_repeats_frames_for_long(timeline: Timeline, rate: Fraction) -> None:
    if fits(timeline, rate):
        assert sample_count(timeline, rate) <= 2 * len(timeline.pts) + 1


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("fps", ["10", "24000/1001", "25", "30000/1001", "30", "60"])
@pytest.mark.parametrize("clock", [1000, 90_000])
def test_the_source_rate_and_all_below_are_served_without_repeats(fps: str, clock: int) -> None:
    timeline = constant(Fraction(fps), 300, clock)
    for rate in (Fraction(fps), Fraction(fps) / 2, Fraction(5), Fraction(7)):
        assert fits(timeline, rate)
        ordinals = make_plan(timeline, rate, 120).ordinals
        assert all(a < b for a, b in pairwise(ordinals))
        assert abs(len(ordinals) - timeline.duration * rate) <= 1
    assert list(make_plan(timeline, Fraction(fps), 120).ordinals) == list(range(300))


@pytest.mark.row("S3-06")
@pytest.mark.parametrize(
    ("fps", "rate"), [("10", "11"), ("24000/1001", "24"), ("30000/1001", "30"), ("30", "31"), ("25", "60")]
)
@pytest.mark.parametrize("clock", [1000, 90_000])
def test_a_rate_above_the_source_does_not_fit(fps: str, rate: str, clock: int) -> None:
    assert not fits(constant(Fraction(fps), 300, clock), Fraction(rate))


def test_rounded_timestamps_choose_the_same_frames_as_exact_ones() -> None:
    for rate in (15, 10, 6, 5, 3, 1):
        exact, rounded = (make_plan(constant(30, 300, clock), Fraction(rate), 120) for clock in (90_000, 1000))
        assert list(exact.ordinals) == list(rounded.ordinals) == list(range(0, 300, 30 // rate))


def test_where_the_first_frame_stands_does_not_matter() -> None:
    plans = [make_plan(constant(25, 100, start=start), Fraction(7), 120) for start in (0, 132_000, -5)]
    assert len({tuple(plan.ordinals) for plan in plans}) == 1


def test_a_pause_keeps_the_frame_on_screen() -> None:
    timeline = Timeline(MS, [0, 100, 200, 1200, 1300], 1400)
    assert list(make_plan(timeline, Fraction(5), 120).ordinals) == [0, 2, 2, 2, 2, 2, 3]
    assert fits(timeline, Fraction(5))


def test_a_pause_does_not_hide_the_rate_of_the_rest() -> None:
    ticks = [*range(0, 5000, 40), *range(7000, 12_000, 40)]
    timeline = Timeline(MS, ticks, 12_000)
    assert timeline.average_rate < 21
    assert fits(timeline, Fraction(25))
    assert not fits(timeline, Fraction(26))


def test_dropped_frames_and_jitter_do_not_lower_the_rate() -> None:
    dropped = [n * 3000 for n in range(300) if n % 20]
    jitter = [n * 3000 + (-1) ** n * 250 for n in range(300)]
    for ticks in (dropped, jitter):
        timeline = Timeline(Fraction(1, 90_000), ticks, ticks[-1] + 3000)
        assert fits(timeline, Fraction(30))
        assert not fits(timeline, Fraction(31))


def test_one_picture_that_stays_for_hours_cannot_be_blown_up() -> None:
    assert not fits(Timeline(MS, [0, 33], 36_000_000), Fraction(30))


@pytest.mark.parametrize("duration", [0, 33, 40])
def test_a_single_frame_is_one_sample(duration: int) -> None:
    timeline = Timeline(MS, [7], 7 + duration)
    for rate in (Fraction(1), Fraction(5), Fraction(24)):
        assert fits(timeline, rate)
        assert list(make_plan(timeline, rate, 120).ordinals) == [0]


def test_a_thousand_frames_a_second_are_told_apart() -> None:
    timeline = constant(1000, 500, clock=90_000)
    assert list(make_plan(timeline, Fraction(1000), 120).ordinals) == list(range(500))


@pytest.mark.row("S3-07")
@pytest.mark.parametrize(
    ("samples", "counts"),
    [(50, [50]), (120, [120]), (121, [120, 1]), (240, [120, 120]), (241, [120, 120, 1])],
)
def test_tasks_hold_120_samples_and_the_last_one_the_rest(samples: int, counts: list[int]) -> None:
    plan = make_plan(constant(10, samples), Fraction(10), 120)
    assert [task.count for task in plan.tasks] == counts
    assert [k for task in plan.tasks for k in task.samples] == list(range(samples))
    assert all(plan.task_of(k) == task for task in plan.tasks for k in task.samples)


@given(st.integers(1, 2000), st.integers(1, 300))
def test_tasks_cover_every_sample_once(samples: int, frames_per_task: int) -> None:
    plan = Plan(constant(10, 2), Fraction(10), frames_per_task, range(samples))
    assert [k for task in plan.tasks for k in task.samples] == list(range(samples))
    assert all(task.count == frames_per_task for task in plan.tasks[:-1])
