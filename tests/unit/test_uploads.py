"""A body on its way in, where a real client would take too long to misbehave."""

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message

from gateway import uploads
from gateway.problems import Problem


@pytest.mark.row("S1-01", "X-03")
def test_a_client_that_says_nothing_more_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "STALL_SECONDS", 0.01)
    said = [b"first", b"second"]

    async def receive() -> Message:
        if not said:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": said.pop(0), "more_body": True}

    got: list[bytes] = []

    async def read() -> None:
        async for chunk in uploads.arriving(Request({"type": "http", "headers": []}, receive), 100):
            got.append(chunk)

    with pytest.raises(Problem) as stalled:
        anyio.run(read)
    assert (stalled.value.status, stalled.value.code) == (408, "upload_stalled")
    assert got == [b"first", b"second"]
