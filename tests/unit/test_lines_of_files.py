"""The lines of an uploaded file: their ends stay, what no database keeps does not, and there is a limit."""

from io import BytesIO
from pathlib import Path

import pytest

from consumers.keeper import lines
from consumers.keeper.items import Staging
from consumers.keeper.rows import rows
from consumers.outcome import Rejected
from schemas.catalogue import ImportItems


def read(path: Path) -> list[str]:
    return [line for _, texts in lines.texts(path, path.name) for line in texts]


def test_a_nul_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfid\r\na\0b\n\xc3\0\xa9")
    assert read(path) == ["id\r\n", "a\udcffb\n", "\udcc3\udcff\udca9"]


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_BYTES", 100)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n" * 50)
    assert len(read(path)) == 50
    path.write_bytes(b"a\n" * 51)
    with pytest.raises(Rejected):
        read(path)


@pytest.mark.parametrize("size", range(1, 12))
def test_lines_are_whole_wherever_a_piece_ends(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PIECE", size)
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    path = tmp_path / "a.csv"
    path.write_bytes("a\r\n\r\n\nb\u2028c\vd\rthirteen longs\né".encode())
    assert read(path) == ["a\r\n", "\r\n", "\n", "b\u2028c\vd\r", "thirteen l", "ongs\n", "é"]


def test_a_line_that_is_too_long_is_no_item(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"key,x\nk1," + b"x" * (lines.LONGEST_LINE + 50_000) + b"\nk2,y\n")
    wanted = ImportItems.model_validate({"collection": "c", "file": "0" * 64})
    source = Staging(
        (made for name, text in lines.texts(path, path.name) for made in rows(text, name, wanted)), BytesIO()
    )
    assert b"".join(iter(source.read, b"")) == b'4\tk2\t\t{"x":"y"}\n'
