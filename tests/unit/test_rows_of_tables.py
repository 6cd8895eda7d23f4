"""Lines of a table make the same items whether they are made by the thousand or one by one."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.keeper import tables
from consumers.keeper.flat import columns_of
from consumers.keeper.items import Staging
from consumers.keeper.lines import Text, split
from consumers.keeper.rows import rows
from schemas.catalogue import ImportItems

FIELD = st.sampled_from(
    ["a", "b b", "", " x ", "#c", 'q"q', "ö", "%s", "{}", "\\", "\\n", "x\ny", "t\t", "\r", "\udcff", "k" * 1030]
)

#: How the database reads a backslash and what follows.
MARK, MARKS = re.compile(r"\\(.)"), {"\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


def staged(text: str, name: str, batch: int = 5, **params: Any) -> tuple[list[Any], list[Any]]:
    """Items as the database is told of them, so many lines at a time, and the report."""
    report = io.BytesIO()
    wanted = ImportItems.model_validate({"collection": "c", "file": "0" * 64} | params)
    cut = split(text)
    pieces = ("".join(cut[n : n + batch]) for n in range(0, len(cut), batch))
    source = Staging(rows(Text(pieces), name, wanted), report)
    content = b""
    while piece := source.read(7):
        content += piece
    items = []
    for each in content.decode().split("\n")[:-1]:
        line, key, partition, attributes = (
            MARK.sub(lambda found: MARKS[found[1]], field) for field in each.split("\t")
        )
        items.append((int(line), key, partition, orjson.loads(attributes)))
    return items, [orjson.loads(line) for line in report.getvalue().splitlines()]


@given(
    lines=st.lists(st.lists(FIELD, min_size=2, max_size=4), max_size=12),
    batch=st.integers(1, 5),
    head=st.sampled_from([["ytid", "n", "%d"], ["ytid", "partition", "n"], ["ytid", "n", "n"], ["n", "key", ""]]),
    name=st.sampled_from(["a.csv", "a_segments.csv"]),
    key=st.sampled_from([[], ["n"]]),
)
def test_by_the_thousand_and_one_by_one(
    lines: list[list[str]], batch: int, head: Sequence[str], name: str, key: list[str]
) -> None:
    sink = io.StringIO(newline="")
    csv.writer(sink, lineterminator="\n").writerows([head, *lines])
    text = sink.getvalue()
    texts = [text, f"# one\n# {text}"] if "ytid" in head else [text]
    for each in texts:
        with pytest.MonkeyPatch.context() as patched:
            together = staged(each, name, batch, key=key)
            patched.setattr(tables, "columns_of", lambda *_: None)
            assert staged(each, name, batch, key=key) == together


PIECE = st.sampled_from(
    ["a", "b", ",", ", ", '"', '""', '"a"', '"a,b"', '"a, b"', " ", "#", "\t", "\n", "\n", "\r\n", "\r"]
)
ROW = st.sampled_from(
    ['a, 1, "x,y"\n', 'b, 2, "z"\n', "c,3,z\n", "d, 4, z\r\n", 'e,5,"x"\n', "f\t6\tz\n", "g,7\n", "h,8,z,z\n"]
)


@given(
    pieces=st.lists(PIECE | ROW, max_size=20),
    head=st.sampled_from(["# ytid, n, labels\n", "id,n,labels\n", "id\tn\tlabels\n", "id\n"]),
    batch=st.integers(1, 5),
)
@example(pieces=["a,1,2,3\n", "b,1\n"], head="id,n,labels\n", batch=2)  # a field too many and one too few
@example(pieces=['a,1,"\n', 'b,2,"x"x"\n'], head="id,n,labels\n", batch=2)  # as many quotes as there would be
@settings(max_examples=1000)
def test_whatever_the_text_is(pieces: list[str], head: str, batch: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        together = staged(head + "".join(pieces), "a.csv", batch)
        patched.setattr(tables, "columns_of", lambda *_: None)
        assert staged(head + "".join(pieces), "a.csv", batch) == together


def test_what_is_as_it_nearly_always_is_goes_all_at_once() -> None:
    for text in ('a, 1, "x,y"\nb, 2, "z"\n', "a,1,x y\nb,,z", 'a,"1",x\r\nb,"2",z\r\n'):
        assert columns_of(text, 3, ",") is not None, text
    assert columns_of("a\t1\nb\t,\n", 2, "\t") == [["a", "b"], ["1", ","]]


def test_lines_keep_their_numbers() -> None:
    text = 'id,n\na,1\nb,"2\n2"\n\n"c\nc",2\nc,3,4\nd,5\n'
    items, report = staged(text, "a.csv")
    assert items == [(2, "a", "", {"n": "1"}), (3, "b", "", {"n": "2\n2"}), (9, "d", "", {"n": "5"})]
    assert [(each["line"], each["reason"]) for each in report] == [
        (6, "bad_character"),
        (7, "bad_character"),
        (8, "wrong_number_of_columns"),
    ]


@pytest.mark.row("S0-01")
@pytest.mark.parametrize(
    ("many", "stray", "further_down"),
    [
        (20_000, '"id50,a,b,c\n', {}),
        (300, '"id50,a,b,c\n', {}),
        (300, 'id50,a,b,"c\n', {}),
        (300, '"id50,a,b,c\n', {100: 'id100,a,b,c"\n'}),
        (300, 'id50,"a,b,c\n', {100: 'id100,"a",b,c\n'}),
        (300, 'id50,"a,b,c\n', {100: 'id100,"a\n', 101: 'a",b,c\n'}),
    ],
    ids=["a field too long", "the end", "the end, last field", "columns", "a field in quotes", "a field of two lines"],
)
@pytest.mark.parametrize("name", ["a.csv", "a_segments.csv"])
def test_a_quote_that_nobody_closes_costs_its_own_line(
    many: int, stray: str, further_down: dict[int, str], name: str
) -> None:
    there = {n: f"id{n},a,b,c\n" for n in range(many)} | {50: stray} | further_down
    head = "# ytid,x,y,z\n" if name == "a_segments.csv" else "id,x,y,z\n"
    items, report = staged(head + "".join(there.values()), name, 1000)
    assert [each["line"] for each in report] == [52]
    rows_there = [n for n, line in there.items() if n != 50 and line.startswith("id")]
    assert [(line, key) for line, key, _, _ in items] == [(n + 2, f"id{n}") for n in rows_there]


def test_a_last_line_whose_quote_nobody_closes_is_no_item() -> None:
    items, report = staged('id,n\na,1\nb,"2', "a.csv")
    assert [key for _, key, _, _ in items] == ["a"]
    assert [each["line"] for each in report] == [3]


def test_of_what_cannot_be_kept_every_line_is_told() -> None:
    items, report = staged('id,n\na,1\nb,"\udcff\n2,3\n"\nc,"3\n3"\n', "a.csv")
    assert [(line, key) for line, key, _, _ in items] == [(2, "a"), (6, "c")]
    assert [(each["line"], each["reason"]) for each in report] == [(n, "bad_character") for n in (3, 4, 5)]


def test_a_comment_is_one_line_whatever_its_quotes() -> None:
    items, report = staged('# ytid,n\n# said, "nobody\na,1\n"# said\nb,2\n"c",3\n', "a_segments.csv")
    assert [(line, key) for line, key, _, _ in items] == [(3, "a"), (5, "b"), (6, "c")]
    assert report == []


def test_where_every_line_opens_a_quote_and_closes_one_each_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LONGEST_LINE", 1000)
    items, report = staged("id,x\n" + 'a","\n' * 5000, "a.csv")
    assert items == []
    assert [each["line"] for each in report] == list(range(2, 5002))


def test_of_quotes_that_nobody_closes_a_few_are_told_at_a_time() -> None:
    lines = [f'"id{n},a\n' if n % 100 == 50 else f"id{n},a\n" for n in range(20_000)]
    wanted = ImportItems.model_validate({"collection": "c", "file": "0" * 64})
    source = Staging(rows(Text(iter(["id,x\n", *lines])), "a.csv", wanted), io.BytesIO())
    pieces = list(iter(lambda: source.read(2**20), b""))
    assert max(map(len, pieces)) < 10_000
    assert [int(line.split(b"\t")[0]) - 2 for line in b"".join(pieces).splitlines()] == [
        n for n in range(20_000) if n % 100 != 50
    ]
    assert source.rejected == 200


def test_what_a_reader_refuses_is_refused_among_plain_lines_and_alone() -> None:
    long = "x" * (csv.field_size_limit() + 1)
    for batch in (1, 5):
        items, report = staged(f"id,n\na,1\nb,{long}\nc,2\n", "a.csv", batch)
        assert [(line, key) for line, key, _, _ in items] == [(2, "a"), (4, "c")]
        assert [each["line"] for each in report] == [3]
