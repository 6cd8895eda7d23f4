"""Of the media types of a reply, the caller gets the one that he would rather have."""

import pytest
from starlette.requests import Request

from gateway.preference import preferred

HTML, JSON = "text/html", "application/json"


@pytest.mark.row("S2-17")
@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ([], HTML),
        ([""], HTML),
        (["*/*"], HTML),
        ([JSON], JSON),
        (["APPLICATION/JSON"], JSON),
        (["application/json;charset=utf-8"], JSON),
        (["application/json, text/plain, */*"], JSON),
        (["application/*"], JSON),
        (["text/html,application/json;q=0.5"], HTML),
        (["text/html;q=0.5,application/json"], JSON),
        (["text/html;Q=0.5 , application/json ; q=0.501"], JSON),
        (["text/html;q=0.5", JSON], JSON),
        (["application/json;q=0"], HTML),
        (["application/json;q=0, */*"], HTML),
        (["text/html;q=0, */*"], JSON),
        (["text/html;q=0.1, */*;q=0.2"], JSON),
        (["application/json, text/html"], JSON),
        (["text/html, application/json"], HTML),
        (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], HTML),
        (["application/json;q=x, text/html;q=0.1"], HTML),
        (["application/json;q=nan, text/html;q=0.1"], HTML),
        (["image/png"], HTML),
        (["application/jsonlines"], HTML),
        ([",;=/"], HTML),
    ],
)
def test_what_is_preferred(accept: list[str], media: str) -> None:
    headers = [(b"accept", line.encode()) for line in accept]
    assert preferred(Request({"type": "http", "headers": headers}), HTML, JSON) == media
