"""A form with a file, cut into pieces anywhere, gives the file's bytes and nothing else."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.multipart import OVERHEAD, FilePart
from gateway.problems import Problem

pytestmark = pytest.mark.row("S1-01")

HEADER = "multipart/form-data; boundary=edge"
FILE = b'Content-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: video/mp4\r\n'
NOTE = (b'Content-Disposition: form-data; name="note"\r\n', b"x")


def form(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--edge\r\n" + head + b"\r\n" + body + b"\r\n" for head, body in parts) + b"--edge--\r\n"


def read(raw: bytes, cuts: tuple[int, ...] = ()) -> tuple[FilePart, bytes]:
    part = FilePart(HEADER)
    edges = [0, *sorted(c % (len(raw) + 1) for c in cuts), len(raw)]
    content = b"".join(part.feed(raw[a:b]) for a, b in pairwise(edges))
    part.finish()
    return part, content


@given(
    content=st.binary(max_size=300) | st.sampled_from([b"\r\n--edge", b"\r\n--edg", b"--edge--\r\n", b"\r\n\r\n--"]),
    cuts=st.lists(st.integers(0, 1000), max_size=12).map(tuple),
)
def test_any_cutting_gives_the_same_bytes(content: bytes, cuts: tuple[int, ...]) -> None:
    if b"\r\n--edge" in content:
        content = content.replace(b"edge", b"edgf")
    part, got = read(form(NOTE, (FILE % b"a.mp4", content), NOTE), cuts)
    assert got == content
    assert (part.name, part.content_type) == ("a.mp4", "video/mp4")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (form(), "file_missing"),
        (form(NOTE), "file_missing"),
        (form((FILE % b"", b"")), "file_missing"),
        (form((b'Content-Disposition: form-data; name="file"\r\n', b"text")), "file_missing"),
        (form((b"X: y\r\n", b"text")), "file_missing"),
        (form((FILE % b"a", b"1"), (FILE % b"b", b"2")), "several_files"),
        (form((FILE % b"a", b"1"))[:-6], "bad_multipart"),
        (form((FILE % b"a", b"1"))[:60], "bad_multipart"),
        (b"no form at all", "bad_multipart"),
        (b"", "bad_multipart"),
    ],
)
def test_what_is_no_form_with_one_file_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(Problem) as refused:
        read(raw)
    assert (refused.value.status, refused.value.code) == (400, code)


@pytest.mark.parametrize("header", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 5000}"])
def test_a_form_needs_a_usable_boundary(header: str) -> None:
    with pytest.raises(Problem, match="boundary"):
        FilePart(header)


@pytest.mark.row("X-03")
def test_other_fields_are_not_hoarded() -> None:
    with pytest.raises(Problem) as refused:
        read(form((NOTE[0], bytes(OVERHEAD + 1)), (FILE % b"a", b"1")))
    assert refused.value.status == 413


def test_names_in_any_encoding_are_read() -> None:
    assert read(form((FILE % "näyte.mp4".encode(), b"1")))[0].name == "näyte.mp4"
    assert read(form((FILE % "näyte.mp4".encode("latin-1"), b"1")))[0].name == "näyte.mp4"
