"""Manifests are read as sites write them, and no name in one leads out of its directory."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.manifests import ManifestRequest

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\|{}"), min_size=1, max_size=40)


def read(directory: str, files: Any, **more: Any) -> ManifestRequest:
    return ManifestRequest.model_validate({"directory": directory, "files": files, **more})


def listed(request: ManifestRequest) -> list[tuple[str, int]]:
    return [(file.path, file.size) for file in request.listing.files]


@pytest.mark.row("S2-13")
def test_the_list_form_and_the_json_form_say_the_same() -> None:
    text = "02 - B &amp; C.flac{{{2048}}}|||01 - Caf&eacute;.flac{{{10}}}|||scans/a {{{1}}}.png{{{0}}}"
    files = [
        {"path": "01 - Cafe\u0301.flac", "size": 10},
        {"path": "02 - B &amp; C.flac", "size": 2048},
        {"path": "scans/a {{{1}}}.png", "size": 0},
    ]
    one, other = read("A &amp; B", text), read("A &amp; B", files)
    site = {"response": {"torrent": {"id": 37, "filePath": "A &amp; B", "fileList": text, "seeders": 3}}}
    for found in (one, other, ManifestRequest.model_validate(site)):
        assert found.folder == "A & B"
        assert listed(found) == [("01 - Café.flac", 10), ("02 - B & C.flac", 2048), ("scans/a {{{1}}}.png", 0)]
        assert found.listing.sha256 == one.listing.sha256
        assert found.listing.bytes == 2058
    literal = read("A &amp; B", files, entities=False)
    assert (literal.folder, listed(literal)[1][0]) == ("A &amp; B", "02 - B &amp; C.flac")
    assert literal.listing.sha256 != one.listing.sha256


@pytest.mark.row("S2-13")
@pytest.mark.parametrize(
    "path",
    ["../x", "a/../x", "/x", "a//x", "./x", "a/.", "..", "a/", "a\\x", "..\\x", "a\0x", "a\nx", "..&#47;x",
     "&#46;&#46;/x", "&sol;etc", "&#x2e;./x", "a" * 1025, "&bsol;x"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    for files in ([{"path": path, "size": 1}], f"{path}{{{{{{1}}}}}}"):
        with pytest.raises(ValidationError):
            read("d", files)
    with pytest.raises(ValidationError):
        read(path, "a{{{1}}}")


@pytest.mark.row("S2-13")
@pytest.mark.parametrize(
    "files",
    ["", "a", "a{{{}}}", "a{{{1}}", "a{{{-1}}}", "a{{{1}}}|||b", "a{{{1e3}}}", "{{{1}}}",
     "a{{{99999999999999999999}}}",
     "a{{{1}}}|||a{{{1}}}", "a &amp; b{{{1}}}|||a & b{{{2}}}", "é{{{1}}}|||e\u0301{{{1}}}", [], None, 7, {"a": 1},
     [{"path": "a", "size": -1}], [{"path": "a"}], [{"size": 1}], [["a", 1]],
     [{"path": "a", "size": 1, "sha256": "x"}], "a{{{1}}}|||a/b{{{1}}}", "a/b/c{{{1}}}|||a{{{1}}}"],
)  # fmt: skip
def test_a_list_that_makes_no_sense_is_refused(files: Any) -> None:
    with pytest.raises(ValidationError):
        read("d", files)


@pytest.mark.row("S2-13")
@given(st.dictionaries(NAMES, st.integers(0, 2**40), min_size=1, max_size=8))
def test_every_name_survives(sizes: dict[str, int]) -> None:
    wanted = {unicodedata.normalize("NFC", name): size for name, size in sizes.items() if name not in {".", ".."}}
    if len(wanted) == len(sizes):
        text = "|||".join(f"{name}{{{{{{{size}}}}}}}" for name, size in sizes.items())
        assert dict(listed(read("d", text, entities=False))) == wanted
