"""Byte ranges: what a header means for a content of a given size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ranges import Span, Unsatisfiable, parse

pytestmark = pytest.mark.row("S1-04")


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-5", Span(2, 4)),
        ("bytes=2-", Span(2, 8)),
        ("bytes=9-", Span(9, 1)),
        ("bytes=0-99", Span(0, 10)),
        ("bytes=-3", Span(7, 3)),
        ("bytes=-99", Span(0, 10)),
        ("Bytes= 1-2 ", Span(1, 2)),
    ],
)
def test_one_range_is_a_part(header: str, span: Span) -> None:
    assert parse(header, 10) == span


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1-2,4-5",
        "lines=1-2",
        "bytes=1-" + "9" * 99,
    ],
)
def test_anything_else_means_the_whole(header: str | None) -> None:
    assert parse(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=-1", 0)]
)
def test_a_range_without_a_byte_is_refused(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse(header, size)


@given(data=st.binary(min_size=1, max_size=50), first=st.integers(0, 60), last=st.integers(0, 60))
def test_a_range_is_the_slice_it_names(data: bytes, first: int, last: int) -> None:
    try:
        span = parse(f"bytes={first}-{last}", len(data))
    except Unsatisfiable:
        assert first >= len(data)
        return
    if span is None:
        assert last < first
        return
    assert data[span.start : span.start + span.length] == data[first : last + 1]
    assert span.content_range(len(data)) == f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
