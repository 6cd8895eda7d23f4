"""Names and media types of strangers, made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.names import LONGEST_NAME, content_type, disposition, file_name, media_type, served_type


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("hello.txt", "hello.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\clip.mp4", "clip.mp4"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("nul\0.mp4", "nul.mp4"),
        (".hidden", ".hidden"),
        ("x" * 300 + ".mp4", "x" * 196 + ".mp4"),
        ("y" * 300, "y" * 200),
    ],
)
def test_a_name_is_one_plain_component(given_name: str | None, kept: str) -> None:
    assert file_name(given_name) == kept


@given(st.text())
def test_every_name_becomes_a_header(name: str) -> None:
    kept = file_name(name)
    assert 0 < len(kept) <= LONGEST_NAME
    assert file_name(kept) == kept
    header = disposition(kept)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


@pytest.mark.row("S1-04")
@pytest.mark.parametrize(
    ("claimed", "stored", "served"),
    [
        ("Video/MP4; codecs=x", "video/mp4", "video/mp4"),
        ("image/png", "image/png", "image/png"),
        ("text/csv", "text/csv", "text/csv"),
        ("text/html; charset=utf-8", "text/html", "text/plain; charset=utf-8"),
        ("text/javascript", "text/javascript", "text/plain; charset=utf-8"),
        ("image/svg+xml", "image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/xhtml+xml", "application/octet-stream"),
        ("application/pdf", "application/pdf", "application/octet-stream"),
        ("video/mp4\r\nX: y", "application/octet-stream", "application/octet-stream"),
        ("../..", "application/octet-stream", "application/octet-stream"),
        (None, "application/octet-stream", "application/octet-stream"),
    ],
)
def test_no_type_is_ever_active(claimed: str | None, stored: str, served: str) -> None:
    assert media_type(claimed) == stored
    assert served_type(stored) == served


@pytest.mark.parametrize(
    ("claimed", "name", "stored"),
    [
        ("application/x-www-form-urlencoded", "clip.mp4", "video/mp4"),
        ("application/octet-stream", "clip.mp4", "video/mp4"),
        (None, "notes.csv", "text/csv"),
        (None, "unheard.of", "application/octet-stream"),
        ("text/csv", "clip.mp4", "text/csv"),
    ],
)
def test_a_name_speaks_where_the_client_says_nothing(claimed: str | None, name: str, stored: str) -> None:
    assert content_type(claimed, name) == stored
