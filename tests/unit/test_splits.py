"""How datasets are split: whole groups, seeded, as close as groups allow, nobody forgotten."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.splits import share

SHARES = [(60, 20, 20), (70, 20, 10), (80, 10, 10), (100, 0, 0), (50, 50, 0), (34, 33, 33)]
NAMES = ("training", "validation", "testing")


def split(weights: list[int], shares: tuple[int, ...], seed: int = 0) -> dict[str, list[int]]:
    """The weights in each split."""
    groups = dict(enumerate(weights))
    given = share(groups, dict(zip(NAMES, shares, strict=True)), seed)
    assert list(given) == list(groups)
    return {name: [groups[group] for group, at in given.items() if at == name] for name in NAMES}


@pytest.mark.row("S3-30")
@pytest.mark.parametrize(
    ("weights", "shares", "meant"),
    [
        ([10] * 7, (60, 20, 20), [(4, 5), (1, 2), (1, 2)]),
        ([5, 90, 33, 7, 60, 12, 48, 20, 71, 3], (70, 20, 10), None),
        ([10, 10], (80, 10, 10), None),
        ([1000, 1, 1], (80, 10, 10), [(1,), (1,), (1,)]),
        ([0] * 10, (60, 20, 20), [(6,), (2,), (2,)]),
    ],
)
def test_the_cases_that_went_wrong(
    weights: list[int], shares: tuple[int, ...], meant: list[tuple[int, ...]] | None
) -> None:
    made = split(weights, shares)
    assert sum(map(len, made.values())) == len(weights)
    if meant is not None:
        for name, allowed in zip(NAMES, meant, strict=True):
            assert len(made[name]) in allowed, made
    if len(weights) > 3 and any(weights):
        for name, wanted in zip(NAMES, shares, strict=True):
            off = abs(100 * sum(made[name]) / sum(weights) - wanted)
            assert off <= 100 * max(weights) / sum(weights)


@pytest.mark.row("S3-30")
@settings(deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=40),
    st.sampled_from(SHARES),
    st.integers(0, 1000),
)
def test_every_group_is_in_one_split_and_no_wanted_split_is_empty(
    weights: list[int], shares: tuple[int, ...], seed: int
) -> None:
    made = split(weights, shares, seed)
    assert sum(map(len, made.values())) == len(weights)
    assert made == split(weights, shares, seed)
    for name, wanted in zip(NAMES, shares, strict=True):
        assert wanted > 0 or not made[name]
        assert len(weights) < 3 or wanted == 0 or made[name]


@pytest.mark.row("S3-30")
def test_the_seed_decides_among_equals() -> None:
    groups = dict.fromkeys(range(30), 1)
    shares = dict(zip(NAMES, (60, 20, 20), strict=True))
    assert len({tuple(share(groups, shares, seed).values()) for seed in range(5)}) > 1
