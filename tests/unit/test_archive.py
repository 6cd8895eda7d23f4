"""The archive writer by itself: what goes in comes out, hashed, in pandas' orientation, in blocks of any size."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.archive.columns import ColumnSpools, TextSpool
from consumers.archive.reading import Reading
from consumers.archive.zipping import BLOCK, Member, archive
from consumers.exporter.rendering import BLOCK as ROWS_AT_ONCE
from consumers.exporter.rendering import NumberSpool

MOMENT = datetime(2030, 1, 31, 12, tzinfo=UTC)


def drain(source: Reading) -> None:
    while source.read(1000):
        pass


def read(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.row("S4-12")
def test_members_of_any_length_come_out_with_their_hashes() -> None:
    contents = {
        "empty": b"",
        "small": b"hello",
        "packed": bytes(200_000),
        "large": bytes(range(256)) * (BLOCK // 50) + b"end",
    }

    def chunks(content: bytes) -> Iterator[bytes]:
        for start in range(0, len(content), BLOCK - 1):
            yield content[start : start + BLOCK - 1]

    def made() -> bytes:
        members = (Member(name, chunks(content), packed=name == "packed") for name, content in contents.items())
        return b"".join(archive(members, MOMENT, lambda entries: {"files": len(entries)}))

    data = made()
    found = read(data)
    told = json.loads(found.pop("manifest.json"))
    assert found == contents
    assert told["files"] == len(contents)
    assert [(each["name"], each["size"], each["sha256"]) for each in told["members"]] == [
        (name, len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()
    ]
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.getinfo("packed").compress_size > 200_000
        assert opened.getinfo("large").compress_size < len(contents["large"]) // 10
    assert made() == data  # the same members at the same moment are the same bytes


def test_a_member_that_breaks_breaks_the_archive() -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise OSError("no more")

    source = Reading(archive([Member("a", broken())], MOMENT, lambda _: {}))
    with pytest.raises(OSError, match="no more"):
        drain(source)


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_reading_loses_nothing(chunks: list[bytes], size: int) -> None:
    source, pieces = Reading(chunks), []
    while piece := source.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    assert b"".join(pieces) == b"".join(chunks)


@pytest.mark.row("S4-08")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**62), 2**62), st.text(max_size=5)
            ),
            min_size=1,
            max_size=4,
        ),
        max_size=4,
    )
)
def test_columns_are_what_pandas_writes(tmp_path_factory: pytest.TempPathFactory, blocks: list[list[object]]) -> None:
    names = ["number", "integer", 'text, "quoted"']
    rows = [row for block in blocks for row in block]
    folder: Path = tmp_path_factory.mktemp("spools")
    text, integers, numbers = (folder / name for name in ("text", "integers", "numbers"))
    spools = ColumnSpools(
        {
            "number": NumberSpool(numbers, np.float64),
            "integer": NumberSpool(integers, np.int64),
            names[2]: TextSpool(text),
        }
    )
    for block in blocks:
        spools.add(dict(zip(names, zip(*block, strict=True), strict=True)))
    spools.end()
    document = json.loads(b"".join(spools.chunks(lambda _: None)))
    assert list(document) == names
    for place, name in enumerate(names):
        assert document[name] == {str(n): row[place] for n, row in enumerate(rows)}  # type: ignore[index]
    assert list(folder.iterdir()) == []


@pytest.mark.row("S4-08")
def test_row_numbers_go_on_from_block_to_block(tmp_path: Path) -> None:
    values = np.random.default_rng(5).normal(size=2 * ROWS_AT_ONCE + 7)
    spool = NumberSpool(tmp_path / "numbers", values.dtype)
    for first in range(0, len(values), 16_384):
        spool.add(first, values[first : first + 16_384])
    spool.end()
    text = b"{" + b"".join(spool.chunks()) + b"}"
    assert json.loads(text) == {str(n): value for n, value in enumerate(values.tolist())}
    assert list(json.loads(text))[-1] == str(len(values) - 1)
