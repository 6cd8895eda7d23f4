"""The quick way delivers every planned frame, bit for bit as decoding everything does, from wherever it starts."""

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from consumers.splitter.decode import Sample, _careful, _Missing, _quick, samples
from consumers.splitter.plan import Plan, make_plan
from consumers.splitter.probe import Source, scan
from tests.clips.factory import Clips, Recipe

X264 = (("preset", "ultrafast"), ("bf", "3"), ("g", "20"))
KINDS = {
    "closed": Recipe(frames=90, options=X264),
    "pyramid": Recipe(frames=90, options=(("preset", "veryfast"), ("bf", "5"), ("g", "30"))),
    "open": Recipe(frames=90, suffix="ts", options=(*X264, ("x264-params", "open-gop=1:keyint=15"))),
    "hevc": Recipe(
        frames=90,
        codec="libx265",
        options=(("preset", "ultrafast"), ("x265-params", "bframes=3:keyint=20:open-gop=1:log-level=0")),
    ),
    "mpeg2": Recipe(frames=90, suffix="ts", codec="mpeg2video", options=(("bf", "2"), ("g", "12"), ("b", "2000000"))),
    "vp9": Recipe(frames=90, suffix="webm", codec="libvpx-vp9", options=(("b", "500000"), ("cpu-used", "8"))),
    "variable": Recipe(frames=90, ticks=tuple(n * 3000 + n % 4 * 500 for n in range(90)), options=X264),
}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.getbasetemp() / "clips")


def planned(clip: Path, rate: str) -> tuple[Source, Plan]:
    source = scan(clip, None)
    return source, make_plan(source.timeline, Fraction(rate), 10)


def seen(found: Iterable[Sample]) -> list[tuple[int, int, int, str]]:
    """Everything about the samples, with a hash of their pixels."""

    def digest(sample: Sample) -> str:
        return hashlib.sha256(sample.shot.frame.to_ndarray().tobytes()).hexdigest()

    return [(sample.number, sample.ordinal, sample.pts, digest(sample)) for sample in found]


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", ["5", "7", "1"])
def test_skipping_changes_no_pixel(clips: Clips, kind: str, rate: str) -> None:
    source, plan = planned(clips.make(KINDS[kind]), rate)
    everything = list(range(len(plan.ordinals)))
    assert seen(_quick(source, plan, everything)) == seen(_careful(source, plan, everything))


@pytest.mark.row("S3-41")
@pytest.mark.parametrize("kind", KINDS)
def test_starting_at_a_keyframe_changes_no_pixel(clips: Clips, kind: str) -> None:
    source, plan = planned(clips.make(KINDS[kind]), "10")
    expected = seen(_careful(source, plan, range(len(plan.ordinals))))
    for first in (1, 7, 13, 20, 29):
        assert seen(_quick(source, plan, range(first, len(plan.ordinals)))) == expected[first:]


@pytest.mark.row("S3-41")
def test_where_no_keyframe_is_a_fresh_start_the_careful_way_takes_over(clips: Clips) -> None:
    options = (("preset", "ultrafast"), ("x264-params", "intra-refresh=1:keyint=30"))
    source, plan = planned(clips.make(Recipe(frames=90, suffix="mkv", options=options)), "10")
    later = plan.tasks[1:]
    with pytest.raises(_Missing):
        seen(_quick(source, plan, [k for task in later for k in task.samples]))
    assert seen(samples(source, plan, later)) == seen(_careful(source, plan, range(30)))[10:]


def test_nothing_to_do_decodes_nothing(clips: Clips) -> None:
    source, plan = planned(clips.make(KINDS["closed"]), "10")
    assert list(samples(source, plan, [])) == []
