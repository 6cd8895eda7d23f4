"""Hosts have one form, however they are written."""

import pytest

from schemas.hosts import normalise


@pytest.mark.row("S2-09")
@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("https://Example.com:443/", "example.com"),
        ("example.com", "example.com"),
        (" http://user:secret@EXAMPLE.com:80/a/b?c#d ", "example.com"),
        ("example.com:443", "example.com"),
        ("//example.com./x", "example.com"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://example.com:443", "example.com"),
        ("https://Bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example:80", "xn--bcher-kva.example"),
        ("https://faß.example/", "xn--fa-hia.example"),
        ("my_site", "my_site"),
        ("10.0.0.1:8080", "10.0.0.1:8080"),
        ("http://[2001:DB8::0001]:80/", "[2001:db8::1]"),
        ("[::1]:81", "[::1]:81"),
        ("example.com/a//b", "example.com"),
        ("example.com//b", "example.com"),
        ("example.com?x=//y", "example.com"),
        ("example.com#//y", "example.com"),
        ("user@Example.com:8080/http://other.example/", "example.com:8080"),
        ("HTTP://example.com:/a//b", "example.com"),
    ],
)
def test_one_form(given: str, host: str) -> None:
    assert normalise(given) == host
    assert normalise(host) == host


@pytest.mark.row("S2-09")
@pytest.mark.parametrize(
    "given",
    [
        *("", " ", "https://", "https:///path", "http://:80/", "http://exa mple.com", "example.com:x"),
        *("example.com:99999", "a..b", "-a.b", "http://[::1", "[::x]", "x" * 64 + ".com", "a\0b", "ex\nample.com"),
        *("\u2024.example", "http://%00/"),
        *("http:/example.com", "HTTPS:/example.com", "http:", "http:example.com", "http:/a//b", "1x://example.com"),
    ],
)
def test_what_is_no_host(given: str) -> None:
    with pytest.raises(ValueError, match="not"):
        normalise(given)
