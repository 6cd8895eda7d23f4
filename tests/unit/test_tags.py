"""Which deliveries one acknowledgement may stand for."""

from hypothesis import given
from hypothesis import strategies as st

from infra.broker.tags import Tags


@given(order=st.permutations(range(1, 13)), cuts=st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_every_delivery_is_acknowledged_once_and_none_before_its_time(order: list[int], cuts: list[int]) -> None:
    tags = Tags()
    outstanding = set(range(1, 13))
    while order:
        size = cuts.pop()
        batch, order = order[:size], order[size:]
        reached, beyond = tags.answer(batch)
        # What a broker does: `multiple` takes all up to a tag that it must know.
        assert reached == 0 or reached in outstanding
        taken = {tag for tag in outstanding if tag <= reached} | set(beyond)
        assert taken == set(batch), "these, and nobody else's"
        outstanding -= taken


def test_a_run_without_a_gap_is_one_acknowledgement() -> None:
    tags = Tags()
    assert tags.answer([1, 2, 3]) == (3, [])
    assert tags.answer([5, 6]) == (0, [5, 6])
    assert tags.answer([4, 7]) == (7, [])
